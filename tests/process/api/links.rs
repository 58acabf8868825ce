//! Links to files for people without a name here.

use std::io::{Read as _, Write as _};

use serde_json::{Value, json};

use super::client::{Ask, Told, connect};
use super::{GUID, Site};

const TEXT: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

/// Makes a link as the editor; its address is kept out of all logs.
#[track_caller]
fn made(site: &Site, wanted: &Value) -> Value {
    let ask = Ask::post(&format!("/api/v1/libraries/{GUID}/links"), wanted);
    let made = site.ask_as("edith", ask).expect(201).json();
    let url = made["url"].as_str().expect("an address");
    site.is_secret(url.split('/').nth(2).expect("a token"));
    made
}

fn url(made: &Value) -> &str {
    made["url"].as_str().expect("an address")
}

fn listed(site: &Site) -> Vec<Value> {
    let links = site.ask_as("edith", Ask::get(&format!("/api/v1/libraries/{GUID}/links"))).expect(200).json();
    links["links"].as_array().expect("a list").clone()
}

/// Asks until the download before is over.
fn when_free(ask: impl Fn() -> Told) -> Told {
    loop {
        let told = ask();
        if told.status != 503 {
            return told;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn site() -> Site {
    let site = Site::new();
    site.put("films/a b.txt", TEXT);
    site
}

#[test]
fn whoever_has_a_link_gets_the_file_and_its_ranges_until_it_is_revoked() {
    let site = site();
    let link = made(&site, &json!({"path": "films/a b.txt", "seconds": 60}));
    assert!(url(&link).ends_with("/a%20b.txt"), "{link}");
    assert_eq!(link["urls"], json!([]), "this daemon listens on loopback alone");
    let told = site.ask(&Ask::get(url(&link))).expect(200);
    assert_eq!(told.text(), TEXT);
    for (name, expected) in [
        ("referrer-policy", "no-referrer"),
        ("x-robots-tag", "noindex, nofollow, noarchive"),
        ("cache-control", "private, no-store"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; sandbox"),
        ("accept-ranges", "bytes"),
    ] {
        assert_eq!(told.header(name), expected, "{name}");
    }
    let part = site.ask(&Ask::get(url(&link)).with("range", "bytes=10-12")).expect(206);
    assert_eq!((part.text().as_str(), part.header("content-range")), ("abc", "bytes 10-12/36"));
    let head = site.ask(&Ask::new("HEAD", url(&link))).expect(200);
    assert_eq!((head.header("content-length"), head.body.len()), ("36", 0));
    let found = listed(&site);
    assert_eq!(
        (found.len(), &found[0]["path"], &found[0]["user"]),
        (1, &json!("films/a b.txt"), &json!("edith"))
    );
    assert_eq!(found[0]["expires_at_ms"], link["expires_at_ms"]);
    // Links outlive the daemon.
    site.team.stop('a');
    site.start('a');
    site.team.until("it holds again", || site.ask(&Ask::get(url(&link))).status == 200);
    let path = format!("/api/v1/libraries/{GUID}/links/{}", found[0]["id"].as_str().expect("an id"));
    site.ask_as("edith", Ask::new("DELETE", &path)).expect(204);
    site.ask_as("edith", Ask::new("DELETE", &path)).expect(404);
    let gone = site.ask(&Ask::get(url(&link))).expect(404);
    assert_eq!(gone.text(), site.ask(&Ask::get("/link/guessed/x")).expect(404).text());
    assert!(listed(&site).is_empty());
    let log = site.team.read("a/.swarm/audit.log");
    assert!(log.contains("\"did\":\"link create\"") && log.contains("\"did\":\"link revoke\""), "{log}");
}

#[test]
fn a_link_ends_with_its_time_and_with_the_rights_of_its_maker() {
    let site = site();
    let short = made(&site, &json!({"path": "films/a b.txt", "seconds": 2}));
    let long = made(&site, &json!({"path": "films/a b.txt", "seconds": 600}));
    site.ask(&Ask::get(url(&short))).expect(200);
    site.team.until("its time is over", || site.ask(&Ask::get(url(&short))).status == 404);
    site.ask(&Ask::get(url(&long))).expect(200);
    let change = |role: &str| {
        let ask = Ask::new("PATCH", "/api/v1/users/edith").json(&json!({"role": role}));
        site.ask_as("adam", ask).expect(204);
    };
    change("viewer");
    site.ask(&Ask::get(url(&long))).expect(404);
    change("editor");
    site.ask(&Ask::get(url(&long))).expect(200);
    site.ask_as("adam", Ask::new("DELETE", "/api/v1/users/edith")).expect(204);
    site.ask(&Ask::get(url(&long))).expect(404);
    // Another one of that name has not made it.
    let again = json!({"user": "edith", "password": super::password_of("edith"), "role": "editor"});
    site.ask_as("adam", Ask::post("/api/v1/users", &again)).expect(201);
    assert!(listed(&site).is_empty());
    site.ask(&Ask::get(url(&long))).expect(404);
}

#[test]
fn a_link_for_once_is_used_up_by_one_whole_download_and_by_nothing_else() {
    let site = site();
    let link = made(&site, &json!({"path": "films/a b.txt", "seconds": 60, "once": true}));
    let bytes = format!("{}?download", url(&link));
    let get = |range: Option<&str>| -> Told {
        let ask = Ask::get(&bytes);
        let ask = range.map_or(ask.clone(), |range| ask.with("range", range));
        when_free(|| site.ask(&ask))
    };
    // What a chat does to show a preview.
    for _ in 0..3 {
        let shown = site.ask(&Ask::get(url(&link))).expect(200);
        assert!(shown.header("content-type").starts_with("text/html") && !shown.text().contains(TEXT));
        site.ask(&Ask::new("HEAD", url(&link))).expect(200);
        site.ask(&Ask::new("HEAD", &bytes)).expect(200);
    }
    assert_eq!(get(Some("bytes=0-9")).expect(206).text(), TEXT[..10]);
    assert_eq!(get(Some("bytes=0-9")).expect(206).text(), TEXT[..10]);
    // Answers without bytes of the file.
    let etag = format!("\"{}\"", blake3::hash(TEXT.as_bytes()).to_hex());
    for (name, value, status) in
        [("range", "bytes=99-", 416), ("if-none-match", etag.as_str(), 304), ("if-match", "\"other\"", 412)]
    {
        when_free(|| site.ask(&Ask::get(&bytes).with(name, value))).expect(status);
    }
    get(Some("bytes=0-9")).expect(206);
    assert_eq!(listed(&site).len(), 1);
    // The rest of it, as a download that goes on asks for it.
    site.team.until("the first one is over", || get(Some("bytes=10-")).status == 206);
    site.team.until("it is used up", || listed(&site).is_empty());
    get(None).expect(404);
    site.ask(&Ask::get(url(&link))).expect(404);
}

#[test]
fn a_download_that_breaks_off_uses_nothing_up() {
    let site = Site::new();
    let path = site.team.file("a/lib/film.bin", 30_000_000);
    site.until_listed("film.bin", 30_000_000);
    let link = made(&site, &json!({"path": "film.bin", "seconds": 60, "once": true}));
    let bytes = format!("{}?download", url(&link));
    let mut broken = connect(site.address());
    write!(broken, "GET {bytes} HTTP/1.1\r\nhost: {}\r\n\r\n", site.address()).expect("it listens");
    let second = || site.ask(&Ask::get(&bytes));
    let mut first = [0; 12];
    broken.read_exact(&mut first).expect("it began");
    assert_eq!(&first, b"HTTP/1.1 200");
    let busy = site.ask(&Ask::get(&bytes).with("range", "bytes=0-0")).expect(503);
    assert_eq!(busy.header("retry-after"), "10");
    drop(broken);
    site.team
        .until("it is free again", || site.ask(&Ask::get(&bytes).with("range", "bytes=0-0")).status == 206);
    let told = when_free(second).expect(200);
    assert!(told.body == std::fs::read(path).expect("it is there"));
    site.team.until("it is used up", || second().status == 404);
}

#[test]
fn a_folder_comes_as_a_zip_file_and_once_if_so_wanted() {
    let site = site();
    site.put("elsewhere.txt", "not in it");
    let link = made(&site, &json!({"path": "films", "seconds": 60, "once": true}));
    let told = site.ask(&Ask::get(&format!("{}?download", url(&link)))).expect(200);
    assert_eq!(told.header("content-type"), "application/zip");
    assert!(
        told.text().starts_with("PK") && told.text().contains(TEXT) && !told.text().contains("not in it")
    );
    site.team.until("it is used up", || site.ask(&Ask::get(url(&link))).status == 404);
}

#[test]
fn names_are_no_markup_and_what_is_not_there_has_no_link() {
    let site = Site::new();
    let name = "<img src=x onerror=alert(1)>.txt";
    site.put(name, "x");
    let link = made(&site, &json!({"path": name, "seconds": 60, "once": true}));
    let page = site.ask(&Ask::get(url(&link))).expect(200);
    assert!(!page.text().contains("<img") && page.text().contains("&lt;img"), "{page:?}");
    let policy = page.header("content-security-policy");
    assert!(policy.contains("sandbox allow-downloads") && !policy.contains("unsafe"), "{policy}");
    let refused = |wanted: Value, status: u16| {
        site.ask_as("edith", Ask::post(&format!("/api/v1/libraries/{GUID}/links"), &wanted)).expect(status);
    };
    refused(json!({"path": "none", "seconds": 60}), 404);
    refused(json!({"path": name, "seconds": 0}), 400);
    refused(json!({"path": name, "seconds": 99_999_999}), 400);
    refused(json!({"path": "../../etc/passwd", "seconds": 60}), 400);
    refused(json!({"path": name}), 422);
}
