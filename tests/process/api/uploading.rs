//! Files that clients put into a library in parts, over cuts and restarts.

use std::io::Write as _;
use std::time::Duration;

use data_encoding::BASE64;

use super::client::{Ask, Told, connect};
use super::{GUID, Site, password_of};

const PARTIAL: &str = "application/partial-upload";

fn begin(site: &Site, user: &str, path: &str, len: usize) -> Told {
    let ask = Ask::new("POST", &format!("/api/v1/uploads/{GUID}?path={path}&modified_ms=7"));
    site.ask_as(user, ask.with("upload-length", &len.to_string()))
}

fn begun(site: &Site, path: &str, len: usize) -> String {
    let told = begin(site, "edith", path, len).expect(201);
    assert_eq!((told.header("upload-offset"), told.header("upload-complete")), ("0", "?0"));
    told.header("location").to_owned()
}

fn part(at: &str, offset: usize, bytes: &[u8], is_last: bool) -> Ask {
    let mut ask = Ask::new("PATCH", at)
        .with("content-type", PARTIAL)
        .with("upload-offset", &offset.to_string())
        .with("upload-complete", if is_last { "?1" } else { "?0" });
    ask.body = bytes.to_vec();
    ask
}

fn offset(site: &Site, at: &str) -> usize {
    let told = site.ask_as("edith", Ask::new("HEAD", at)).expect(200);
    told.header("upload-offset").parse().expect("a number")
}

/// Begins a request that never ends, and breaks its connection off once `sent` bytes of the upload are here.
fn cut(site: &Site, at: &str, text: &[u8], sent: usize) {
    let pair = BASE64.encode(format!("edith:{}", password_of("edith")).as_bytes());
    let mut stream = connect(site.address());
    let host = site.address();
    write!(
        stream,
        "PATCH {at} HTTP/1.1\r\nhost: {host}\r\nauthorization: Basic {pair}\r\ncontent-type: {PARTIAL}\r\nupload-offset: 0\r\n\
         upload-complete: ?1\r\ncontent-length: {}\r\n\r\n",
        text.len()
    )
    .expect("it listens");
    stream.write_all(&text[..sent]).expect("it listens");
    let name = at.rsplit('/').next().expect("a name");
    let bytes = site.team.path(&format!("a/lib/.swarm/uploads/resumable/{name}/bytes"));
    site.team.until("the bytes are here", || bytes.metadata().is_ok_and(|found| found.len() == sent as u64));
}

#[test]
fn an_upload_goes_on_after_a_cut_and_a_restart() {
    let site = Site::of("ab");
    let text: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    let at = begun(&site, "films/long.bin", text.len());
    cut(&site, &at, &text, 1_000_000);
    assert_eq!(offset(&site, &at), 1_000_000);
    let stopped = site.team.stop('a');
    drop(stopped);
    site.start('a');
    site.team.until("the library works", || {
        site.ask_as("edith", Ask::get(&format!("/files?guid={GUID}"))).status == 200
    });
    let known = site.ask_as("edith", Ask::get(&format!("/api/v1/uploads/{GUID}"))).expect(200).json();
    assert_eq!((&known[0]["location"], &known[0]["offset"]), (&at.as_str().into(), &1_000_000.into()));
    assert_eq!((&known[0]["path"], &known[0]["modified_ms"]), (&"films/long.bin".into(), &7.into()));
    // From another place than it stands at.
    let told = site.ask_as("edith", part(&at, 0, &text, true)).expect(409);
    assert_eq!(told.header("upload-offset"), "1000000");
    site.ask_as("edith", part(&at, 1_000_000, &text[1_000_000..2_000_000], false)).expect(204);
    site.ask_as("edith", part(&at, 2_000_000, &[], true)).expect(400);
    assert!(!site.team.is_there("a/lib/films/long.bin"));
    let told = site.ask_as("edith", part(&at, 2_000_000, &text[2_000_000..], true)).expect(201);
    assert_eq!(told.header("upload-complete"), "?1");
    assert!(std::fs::read(site.team.path("a/lib/films/long.bin")).expect("there") == text);
    // Whoever did not hear it asks again.
    assert_eq!(offset(&site, &at), text.len());
    site.ask_as("edith", part(&at, text.len(), &[], true)).expect(201);
    assert_eq!(site.ask_as("edith", Ask::get(&format!("/api/v1/uploads/{GUID}"))).expect(200).text(), "[]");
    site.team.until("the other has it", || site.team.is_there("b/lib/films/long.bin"));
}

#[test]
fn a_newer_request_ends_one_that_hangs() {
    let site = Site::new();
    let text = vec![b'x'; 100_000];
    let at = begun(&site, "a.bin", text.len());
    let pair = BASE64.encode(format!("edith:{}", password_of("edith")).as_bytes());
    let mut hanging = connect(site.address());
    let host = site.address();
    write!(
        hanging,
        "PATCH {at} HTTP/1.1\r\nhost: {host}\r\nauthorization: Basic {pair}\r\ncontent-type: {PARTIAL}\r\nupload-offset: 0\r\n\
         content-length: {}\r\n\r\nfirst",
        text.len()
    )
    .expect("it listens");
    let name = at.rsplit('/').next().expect("a name");
    let bytes = site.team.path(&format!("a/lib/.swarm/uploads/resumable/{name}/bytes"));
    site.team.until("the bytes are here", || bytes.metadata().is_ok_and(|found| found.len() == 5));
    assert_eq!(offset(&site, &at), 5);
    site.ask_as("edith", part(&at, 5, &text[5..], true)).expect(201);
    assert_eq!(site.team.read("a/lib/a.bin").len(), text.len());
}

#[test]
fn an_upload_is_of_its_user_who_may_still_write() {
    let site = Site::new();
    let at = begun(&site, "a.txt", 5);
    let refused = begin(&site, "vera", "b.txt", 5).expect(403).json();
    assert_eq!(
        (&refused["code"], &refused["params"]["permission"]),
        (&"not-allowed".into(), &"library.write".into())
    );
    begin(&site, "greta", "b.txt", 5).expect(404);
    for ask in [Ask::get(&at), part(&at, 0, b"other", true), Ask::new("DELETE", &at)] {
        site.ask_as("adam", ask.clone()).expect(404);
        site.ask_as("vera", ask).expect(403);
    }
    site.ask_as(
        "adam",
        Ask::new("PATCH", "/api/v1/users/edith").json(&serde_json::json!({"role": "viewer"})),
    )
    .expect(204);
    site.team
        .until("the role is taken over", || site.ask_as("edith", part(&at, 0, b"first", true)).status == 403);
    assert!(!site.team.is_there("a/lib/a.txt"));
    site.ask_as(
        "adam",
        Ask::new("PATCH", "/api/v1/users/edith").json(&serde_json::json!({"role": "editor"})),
    )
    .expect(204);
    site.team.until("the role is taken over", || site.ask_as("edith", Ask::get(&at)).status == 200);
    site.ask_as("edith", Ask::new("DELETE", &at)).expect(204);
    let gone = site.ask_as("edith", Ask::get(&at)).expect(404).json();
    assert_eq!(gone["code"], "no-such-upload");
}

#[test]
fn what_is_put_is_what_the_client_meant() {
    let site = Site::new();
    site.put("a.txt", "first");
    let digest = |text: &str| {
        let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        format!("sha-256=:{}:", BASE64.encode(hash.as_ref()))
    };
    // The bytes stay while it is asked what to replace.
    let at = begun(&site, "a.txt", 6);
    site.ask_as("edith", part(&at, 0, b"second", true)).expect(412);
    assert_eq!((site.team.read("a/lib/a.txt").as_str(), offset(&site, &at)), ("first", 6));
    let tag = format!("\"{}\"", blake3::hash(b"first").to_hex());
    site.ask_as("edith", part(&at, 6, &[], true).with("if-match", &tag)).expect(204);
    assert_eq!(site.team.read("a/lib/a.txt"), "second");
    let at = begun(&site, "b.txt", 5);
    site.ask_as("edith", part(&at, 0, b"longer", true)).expect(400);
    site.ask_as("edith", part(&at, 0, b"wrong", true).with("repr-digest", &digest("right"))).expect(400);
    site.ask_as("edith", Ask::get(&at)).expect(404);
    assert!(!site.team.is_there("a/lib/b.txt"));
    let at = begun(&site, "b.txt", 5);
    site.ask_as("edith", part(&at, 0, b"right", true).with("repr-digest", &digest("right"))).expect(201);
    assert_eq!(site.team.read("a/lib/b.txt"), "right");
    for path in [".swarm/mount", "%2e%2e/out"] {
        begin(&site, "edith", path, 5).expect(400);
    }
}

#[test]
fn an_upload_that_nobody_continued_for_a_day_is_gone() {
    let site = Site::new();
    let at = begun(&site, "a.txt", 5);
    let name = at.rsplit('/').next().expect("a name").to_owned();
    let folder = site.team.path(&format!("a/lib/.swarm/uploads/resumable/{name}"));
    let begun_at = folder.join("note").metadata().and_then(|note| note.modified()).expect("a time");
    let yesterday = begun_at - Duration::from_secs(25 * 3600);
    for part in ["note", "bytes"] {
        let file = std::fs::File::options().write(true).open(folder.join(part)).expect("it is there");
        file.set_modified(yesterday).expect("a time");
    }
    site.ask_as("edith", part(&at, 0, b"first", true)).expect(404);
    begun(&site, "b.txt", 5);
    assert!(!folder.exists(), "whoever begins one removes it");
}
