//! The pages /metrics and /health of a daemon.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use prometheus_parse::{Sample, Scrape, Value as Figure};
use serde_json::{Value, json};

use super::{GUID, Team};

const SOON: Duration = Duration::from_secs(10);

/// Head and body of a page; `None` if nothing listens there.
fn try_get(address: &str, path: &str) -> Option<(String, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: daemon\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.to_owned(), body.to_owned()))
}

/// The same of the daemon's page, wherever it is.
fn get(team: &Team, letter: char, path: &str) -> (String, String) {
    let status = team.status(letter);
    let address = status["metrics"].as_str().unwrap_or_else(|| panic!("no page: {status}"));
    try_get(address, path).unwrap_or_else(|| panic!("no {path} at {address}"))
}

fn set_metrics(team: &Team, letter: char, address: &Value) {
    let mut config = team.settings(letter, "config.json");
    config["metrics"] = address.clone();
    team.set(letter, "config.json", &config);
}

/// The figure of this name with these labels.
fn figure(page: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let scrape = Scrape::parse(page.lines().map(|line| Ok(line.to_owned()))).expect("it parses");
    let is_meant = |sample: &&Sample| {
        sample.metric == name && labels.iter().all(|(key, value)| sample.labels.get(key) == Some(value))
    };
    match scrape.samples.iter().find(is_meant)?.value {
        Figure::Counter(value) | Figure::Gauge(value) | Figure::Untyped(value) => Some(value),
        Figure::Histogram(_) | Figure::Summary(_) => None,
    }
}

#[test]
fn the_page_tells_how_far_libraries_and_peers_are() {
    let team = Team::new("ab");
    team.keep('a', &json!({}));
    team.subscribe('b', &json!({}));
    set_metrics(&team, 'a', &json!("127.0.0.1:0"));
    ['a', 'b'].iter().for_each(|letter| team.start(*letter));
    team.file("a/lib/film.bin", 300_000);
    team.until_same("ab");
    let (library, peer) = ([("library", "Lib 1"), ("guid", GUID)], team.node('b'));
    let of_peer = [("peer", peer.as_str())];
    let is_all_there = || {
        let (_, page) = get(&team, 'a', "/metrics");
        figure(&page, "swarm_peer_library_percent", &[of_peer[0], library[0], library[1]]) == Some(100.0)
            && figure(&page, "swarm_peer_sent_bytes_total", &of_peer) >= Some(300_000.0)
            && figure(&page, "swarm_library_state", &[library[0], ("state", "up to date")]) == Some(1.0)
    };
    team.until("the peer has all of it", is_all_there);
    let (head, page) = get(&team, 'a', "/metrics");
    assert!(head.contains(" 200 ") && head.contains("application/openmetrics-text"), "{head}");
    for (name, labels, expected) in [
        ("swarm_library_files", &library[..], 1.0),
        ("swarm_library_bytes", &library, 300_000.0),
        ("swarm_library_present_bytes", &library, 300_000.0),
        ("swarm_library_wanted_files", &library, 0.0),
        ("swarm_library_conflicts", &library, 0.0),
        ("swarm_library_percent", &library, 100.0),
        ("swarm_peer_linked", &of_peer, 1.0),
        ("swarm_healthy", &[], 1.0),
    ] {
        assert_eq!(figure(&page, name, labels), Some(expected), "{name} in {page}");
    }
    let documented = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations/metrics.md");
    let documented = std::fs::read_to_string(documented).expect("the page of metrics");
    for metric in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        assert!(documented.contains(&format!("`{metric}")), "docs/operations/metrics.md lacks {metric}");
    }
    team.stop('b');
    team.until("the peer is gone from the page", || {
        figure(&get(&team, 'a', "/metrics").1, "swarm_peer_linked", &of_peer) == Some(0.0)
    });
}

#[test]
fn health_names_each_library_that_stands_still() {
    let team = Team::new("a");
    team.keep('a', &json!({}));
    set_metrics(&team, 'a', &json!("127.0.0.1:0"));
    team.write("a/lib/x.txt", "x");
    team.start('a');
    let is_healthy = || get(&team, 'a', "/health").0.contains(" 200 ");
    team.until("the library works", || team.library('a')["state"] == "up to date" && is_healthy());
    std::fs::rename(team.path("a/lib"), team.path("a/away")).expect("moved");
    team.ask('a', &json!({"request": "sync", "library": GUID}));
    team.until("its folder is missed", || !is_healthy());
    let (head, body) = get(&team, 'a', "/health");
    assert!(head.contains(" 503 "), "{head}");
    assert!(body.starts_with(&format!("Lib 1 ({GUID}): ")) && body.lines().count() == 1, "{body}");
    assert_eq!(figure(&get(&team, 'a', "/metrics").1, "swarm_healthy", &[]), Some(0.0));
    for _ in 0..20 {
        team.ask('a', &json!({"request": "explain", "library": GUID, "path": "x.txt"}));
        assert!(!is_healthy(), "who asks looks at no folder");
    }
    std::fs::rename(team.path("a/away"), team.path("a/lib")).expect("moved back");
    team.until("it works again", is_healthy);
}

#[test]
fn the_page_follows_the_settings() {
    let team = Team::new("a");
    team.start('a');
    assert_eq!(team.status('a')["metrics"], Value::Null);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address: SocketAddr = taken.local_addr().expect("it is bound");
    set_metrics(&team, 'a', &json!(address));
    let is_told = || {
        let errors = team.status('a')["file_errors"].to_string();
        errors.contains("metrics") && errors.contains(&address.to_string())
    };
    team.within(SOON, "the taken address is told", is_told);
    drop(taken);
    team.until("it is tried again", || team.status('a')["metrics"] == json!(address));
    assert_eq!(team.status('a')["file_errors"], json!([]));
    let address = address.to_string();
    assert!(try_get(&address, "/health").is_some());
    set_metrics(&team, 'a', &Value::Null);
    team.within(SOON, "the page is gone", || try_get(&address, "/health").is_none());
}
