//! Input of a service: its configuration, its list of contents, its control socket, its metrics page.

use swarm_core::base::limits::{COORDINATORS_MAX, ZONE_LEN_MAX};
use swarm_engine::limits::{LINKS_MAX, PEERS_MAX};
use swarm_host::fuzzing;
use swarm_host::limits::CONTENTS_MAX;
use swarm_host::protocol::{Answer, ContentState, ContentStatus, Envelope, Request, Status, VERSION};

use super::pieces::{content, node};
use super::{SLACK_LEN, Samples, assert_told, bounded};

/// An accepted configuration is within limits; a refusal is one line with file, line and key.
pub(super) fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match bounded(text.len(), (CONFIG_TIMES, CONFIG_SLACK_LEN), || fuzzing::config(text)) {
        Err(error) => {
            assert_told(&error);
            let line = error
                .to_string()
                .strip_prefix("node.toml:")
                .map(|rest| rest.split(':').next().map(str::to_owned));
            let line: usize = line.flatten().and_then(|line| line.parse().ok()).expect("a line is named");
            assert!((1..=text.lines().count() + 2).contains(&line), "line {line}");
        }
        Ok(config) => {
            let (fixed, live) = (config.fixed, config.live);
            let finders = fixed.finders;
            assert!(fixed.peers.count_max.is_none_or(|max| (1..=LINKS_MAX).contains(&max.get())));
            assert!(finders.coordinators.len() <= COORDINATORS_MAX && live.contents.len() <= CONTENTS_MAX);
            assert!(finders.zone.is_none_or(|zone| (1..=ZONE_LEN_MAX).contains(&zone.as_str().len())));
            assert!(live.schedule.iter().all(|window| window.from != window.to));
            fixed.advertise.iter().chain(&finders.dht_bootstrap).for_each(super::texts::check_address);
            let is_nobody = fixed.collecting.is_some_and(|collecting| collecting.nodes.is_empty());
            assert!(!is_nobody);
        }
    }
}

pub(super) fn config_samples() -> Samples {
    let id = node(7).to_string();
    let full = format!(
        r#"listen = "[::]:4433"
advertise = ["seed.example.org:4433"]
coordinators = ["{id}@seed.example:4433"]
zone = "lab"
lan = false
dht = true
dht_bootstrap = ["127.0.0.1:7"]
map_port = true
state_dir = "/var/lib/swarm"
control = "run/control.sock"
limit_up = "100mbit"
limit_down_per_peer = "5MB/s"
max_peers = 50
log = "json"
metrics_listen = "127.0.0.1:9433"
coordinator = true
[aggregate]
store = "store"
quota = "2TB"
accept = ["any"]
content = ["{id}"]
[[schedule]]
from = "08:00"
to = "18:00"
limit_up = "1MB/s"
[[content]]
paths = ["/srv/films", "more"]
[[content]]
manifest = "a.swarm"
path = "/srv/a"
"#
    );
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        ("full", full.into_bytes()),
        ("nothing", Vec::new()),
        ("twice", text("max_peers = 1\nmax_peers = 2")),
        ("unknown_key", text("\"a\\nb\\u001b[2J\" = 1")),
        ("unknown_variant", text("log = \"x\\ny\"")),
        ("bad_rate", text("limit_up = \"\\u001bfast\"")),
        ("nested", text(&"a=[".repeat(100))),
        ("tables", text(&"[[content]]\n".repeat(40))),
        ("no_value", text("listen =\n")),
        ("same_content", text("[[content]]\npaths = [\"a\"]\n[[content]]\npaths = [\"a\"]")),
    ]
}

/// A list of contents, or of peers, survives being written.
pub(super) fn saved(bytes: &[u8]) {
    match bounded(bytes.len(), (JSON_TIMES, SLACK_LEN), || fuzzing::peer_list(bytes)) {
        Err(why) => assert!(!why.is_empty()),
        Ok((written, count)) => {
            assert!(count <= PEERS_MAX);
            assert_eq!(fuzzing::peer_list(&written), Ok((written, count)));
        }
    }
    match bounded(bytes.len(), (JSON_TIMES, SLACK_LEN), || fuzzing::saved_list(bytes)) {
        Err(why) => assert!(!why.is_empty()),
        Ok((written, count)) => {
            assert!(count <= CONTENTS_MAX);
            assert_eq!(fuzzing::saved_list(&written), Ok((written, count)));
        }
    }
}

pub(super) fn saved_samples() -> Samples {
    let id = content(7);
    let peers = |good: &str, bad: &str| {
        let node = node(7);
        format!(r#"{{"version":1,"saved_at":7,"peers":[{{"node":"{node}","good_bytes":{good},"bad_chunks":{bad},"stalls":0,"lies":2e-1}}]}}"#).into_bytes()
    };
    let list = |contents: &str| format!("{{\"version\":1,\"contents\":[{contents}]}}").into_bytes();
    let paths = format!(r#"{{"content":"{id}","spec":{{"kind":"paths","paths":["/a","/b c"]}}}}"#);
    let copy = format!(r#"{{"content":"{id}","spec":{{"kind":"copy","manifest":"/a.swarm","path":"/a"}}}}"#);
    let fetch = r#"{"content":"x","spec":{"kind":"fetch","ticket":"swarm1","out":"/o","is_complete":true},"collected":{"len":5,"wanted_at_ms":7}}"#;
    vec![
        ("several", list(&format!("{paths},{copy},{fetch}"))),
        ("nothing", list("")),
        ("later_version", b"{\"version\":2,\"contents\":[]}".to_vec()),
        ("many_paths", list(&paths.replace("\"/a\",", &"\"\",".repeat(100)))),
        ("cut", list(&paths)[..60].to_vec()),
        ("null", b"null".to_vec()),
        ("peers", peers("5e9", "1.5")),
        ("peers_worth_less_than_nothing", peers("0", "-1")),
    ]
}

/// The first byte selects the direction of the line. A request survives being written; an invalid one is answered in one line.
pub(super) fn control(bytes: &[u8]) {
    let [mode, line @ ..] = bytes else { return };
    if mode % 2 == 0 { check_request(line) } else { check_answer(line) }
}

fn check_request(line: &[u8]) {
    let written = |request: Request| {
        serde_json::to_vec(&Envelope { version: VERSION, request })
            .expect("it has no keys that are not strings")
    };
    match bounded(line.len(), (JSON_TIMES, SLACK_LEN), || fuzzing::request(line)) {
        Ok(request) => {
            let once = written(request);
            let again = fuzzing::request(&once).map(written);
            assert_eq!(again.ok(), Some(once));
        }
        Err(answer) => {
            assert!(matches!(answer, Answer::Error { .. }));
            let said = serde_json::to_vec(&answer).expect("a message");
            assert!(!said.contains(&b'\n'));
            check_answer(&said);
        }
    }
}

fn check_answer(line: &[u8]) {
    if let Ok(answer) =
        bounded(line.len(), (JSON_TIMES, SLACK_LEN), || serde_json::from_slice::<Answer>(line))
    {
        let written = serde_json::to_vec(&answer).expect("it was read");
        assert!(!written.contains(&b'\n'));
        assert!(serde_json::from_slice::<Answer>(&written).is_ok());
    }
}

pub(super) fn control_samples() -> Samples {
    let requests = [
        ("add_paths", Request::AddPaths { paths: vec!["/a".into(), "/b".into()], skip_unportable: false }),
        ("add_copy", Request::AddCopy { manifest: "/a.swarm".into(), path: "/a".into() }),
        (
            "add_fetch",
            Request::AddFetch {
                ticket: "swarm1".to_owned(),
                out: "/o".into(),
                include: Vec::new(),
                content_key: None,
            },
        ),
        ("remove", Request::Remove { content: "1f6b".to_owned() }),
        ("list", Request::List),
        ("status", Request::Status),
    ];
    let mut samples: Samples = requests
        .into_iter()
        .map(|(name, request)| {
            let line = serde_json::to_vec(&Envelope { version: VERSION, request }).expect("plain");
            (name, [vec![0], line].concat())
        })
        .collect();
    let content = ContentStatus {
        content: Some(content(1).to_string()),
        name: "film".to_owned(),
        is_configured: true,
        state: ContentState::Serving,
        detail: None,
        category: None,
        bytes: 9,
        present_bytes: 9,
        sent_bytes: 1,
        fetched_bytes: 2,
        corrupt_bytes: 3,
        sent_bytes_per_sec: 4,
        fetched_bytes_per_sec: 5,
        lost_chunks: 0,
        ticket: Some("swarm1".to_owned()),
    };
    let status = Status { contents: vec![content], ..Status::default() };
    let answer = |answer: &Answer| [vec![1], serde_json::to_vec(answer).expect("plain")].concat();
    samples.extend([
        ("answer_status", answer(&Answer::Status(Box::new(status)))),
        ("answer_progress", answer(&Answer::Progress { hashed_bytes: 1, total_bytes: 2 })),
        ("later_version", b"\0{\"version\":2,\"request\":\"fly\"}".to_vec()),
        ("unknown", b"\0{\"version\":1,\"request\":{\"fly\":{}}}".to_vec()),
        ("nested", [b"\0".to_vec(), b"[".repeat(200)].concat()),
    ]);
    samples
}

/// Every client is answered in HTTP or not at all, and the connection ends.
pub(super) fn http(bytes: &[u8]) {
    let answer = bounded(bytes.len(), (HTTP_TIMES, HTTP_SLACK_LEN), || fuzzing::metrics_page(bytes));
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 ") || answer.starts_with(b"HTTP/1.0 "));
    assert!(answer.len() < 64 << 10);
}

pub(super) fn http_samples() -> Samples {
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        ("metrics", text("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")),
        ("healthz", text("HEAD /healthz HTTP/1.0\r\n\r\n")),
        ("elsewhere", text("GET /x HTTP/1.1\r\nHost: a\r\n\r\n")),
        ("post", text("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")),
        ("chunked", text("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n")),
        ("two_lengths", text("GET /metrics HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")),
        ("cut", text("GET /met")),
        ("other", vec![0x16, 3, 1, 2, 0]),
        ("headers", text(&format!("GET /metrics HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(60)))),
    ]
}

/// The tree of the parser, tables and their places.
const CONFIG_TIMES: u64 = 400;
const CONFIG_SLACK_LEN: u64 = 64 << 10;
/// A path of three bytes stands for a struct of 24, in a list that doubles; then all of it is written, with indents.
const JSON_TIMES: u64 = 64;
/// hyper's buffer bounds how much it reads.
const HTTP_TIMES: u64 = 16;
/// A runtime, the buffers of a connection, a pipe in each direction.
const HTTP_SLACK_LEN: u64 = 512 << 10;
