//! Files that clients put into a library.

use std::io::{Read as _, Write as _};

use serde_json::json;

use super::client::{Ask, Told, connect};
use super::{GUID, Site, password_of};

fn put(site: &Site, path: &str, text: &str, replaces: Option<&str>) -> Told {
    let mut ask = Ask::new("PUT", &format!("/api/v1/libraries/{GUID}/files/{path}"));
    ask.body = text.as_bytes().to_vec();
    if let Some(tag) = replaces {
        ask = ask.with("if-match", tag);
    }
    site.ask_as("edith", ask)
}

fn tag(text: &str) -> String {
    format!("\"{}\"", blake3::hash(text.as_bytes()).to_hex())
}

#[test]
fn a_file_is_put_where_nothing_stands_and_goes_to_the_others() {
    let site = Site::of("ab");
    put(&site, "notes/day%201.txt", "first", None).expect(201);
    put(&site, "notes/day%201.txt", "second", None).expect(412);
    site.team.until("the other has it", || site.team.is_there("b/lib/notes/day 1.txt"));
    assert_eq!(site.team.read("b/lib/notes/day 1.txt"), "first");
    // Longer than what is said in JSON may be.
    let long = "long ".repeat(1_000_000);
    put(&site, "long.txt", &long, None).expect(201);
    assert!(site.team.read("a/lib/long.txt") == long);
}

#[test]
fn what_is_replaced_is_named_by_its_hash_and_becomes_a_version() {
    let site = Site::new();
    site.put("a.txt", "first");
    put(&site, "a.txt", "second", Some(&tag("other"))).expect(412);
    put(&site, "a.txt", "second", Some("W/\"weak\"")).expect(412);
    // What somebody deleted does not come back by being saved.
    put(&site, "gone.txt", "second", Some(&tag("first"))).expect(412);
    assert_eq!(site.team.read("a/lib/a.txt"), "first");
    put(&site, "a.txt", "second", Some(&tag("first"))).expect(204);
    assert_eq!(site.team.read("a/lib/a.txt"), "second");
    site.until_listed("a.txt", "second".len());
    let versions = site.get(&format!("/api/v1/libraries/{GUID}/versions?path=a.txt"));
    let run = versions["versions"][0]["run"].as_str().expect("it is kept");
    let old = site.ask_as("adam", Ask::get(&format!("/file/{GUID}/a.txt?version={run}"))).expect(200);
    assert_eq!(old.text(), "first");
}

#[test]
fn nothing_is_put_where_no_library_has_files() {
    let site = Site::new();
    for path in [".swarm/mount", ".swarm/versions/x", "%2e%2e/out", "a/%2e%2e/%2e%2e/out"] {
        put(&site, path, "x", None).expect(400);
    }
    assert!(!site.team.is_there("a/out") && !site.team.is_there("a/lib/.swarm/versions/x"));
}

#[test]
fn what_is_to_stay_free_stays_free_whether_or_not_a_length_is_told() {
    let site = Site::stopped("a");
    let mut config = site.team.settings('a', "config.json");
    config["minFree"] = json!("8000TB");
    site.team.set('a', "config.json", &config);
    site.set_users(&super::users());
    site.start('a');
    site.until_users(5);
    site.team.until("the library works", || {
        site.ask_as("adam", Ask::get(&format!("/files?guid={GUID}"))).status == 200
    });
    put(&site, "a.txt", "text", None).expect(507);
    // The client is still sending when it is told.
    put(&site, "c.txt", &"long ".repeat(4_000_000), None).expect(507);
    let pair = data_encoding::BASE64.encode(format!("edith:{}", password_of("edith")).as_bytes());
    let mut stream = connect(site.address());
    let head = format!(
        "PUT /api/v1/libraries/{GUID}/files/b.txt HTTP/1.1\r\nhost: {}\r\nauthorization: Basic {pair}\r\n\
         transfer-encoding: chunked\r\nconnection: close\r\n\r\n4\r\ntext\r\n0\r\n\r\n",
        site.address()
    );
    stream.write_all(head.as_bytes()).expect("it listens");
    let mut told = [0; 12];
    stream.read_exact(&mut told).expect("an answer");
    assert_eq!(std::str::from_utf8(&told), Ok("HTTP/1.1 507"));
    assert!(!site.team.is_there("a/lib/a.txt") && !site.team.is_there("a/lib/b.txt"));
}
