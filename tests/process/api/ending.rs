//! Bodies that go on while their user, role or link goes.

use std::cell::RefCell;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::client::{Ask, Told, connect};
use super::{GUID, Site, password_of};

/// More than the sockets of both ends hold.
const LONG: usize = 48 << 20;

/// Begins a request as a user, or as nobody, and leaves its connection open.
fn begun(site: &Site, user: Option<&str>, head: &str) -> TcpStream {
    let mut stream = connect(site.address());
    let proof = user.map(|user| {
        let pair = BASE64.encode(format!("{user}:{}", password_of(user)).as_bytes());
        format!("authorization: Basic {pair}\r\n")
    });
    let proof = proof.unwrap_or_default();
    let host = site.address();
    write!(stream, "{head} HTTP/1.1\r\nhost: {host}\r\n{proof}connection: close\r\n").expect("it listens");
    stream
}

/// Begins a download, and takes the first bytes of it.
fn download(site: &Site, user: Option<&str>, path: &str) -> TcpStream {
    let mut stream = begun(site, user, &format!("GET {path}"));
    stream.write_all(b"\r\n").expect("it listens");
    let mut first = [0; 15];
    stream.read_exact(&mut first).expect("an answer");
    assert_eq!(std::str::from_utf8(&first), Ok("HTTP/1.1 200 OK"), "{path}");
    stream
}

/// Takes the rest slowly, and counts it.
fn taken(site: &Site, stream: TcpStream) -> usize {
    let (stream, len) = (RefCell::new(stream), RefCell::new(0));
    site.team.until("the download ends", || {
        let mut block = vec![0; 1 << 20];
        match stream.borrow_mut().read(&mut block) {
            Ok(0) | Err(_) => true,
            Ok(read) => {
                *len.borrow_mut() += read;
                false
            }
        }
    });
    len.into_inner()
}

fn take_out(site: &Site, user: &str) {
    site.ask_as("adam", Ask::new("DELETE", &format!("/api/v1/users/{user}"))).expect(204);
}

#[test]
fn downloads_end_with_their_user_and_those_by_a_link_with_its_maker() {
    let site = Site::new();
    site.put("films/long.bin", &"x".repeat(LONG));
    let link = Ask::post(
        &format!("/api/v1/libraries/{GUID}/links"),
        &json!({"path": "films/long.bin", "seconds": 60}),
    );
    let link = site.ask_as("edith", link).expect(201).json()["url"].as_str().expect("an address").to_owned();
    let downloads = [
        download(&site, Some("edith"), &format!("/file/{GUID}/films/long.bin")),
        download(&site, Some("edith"), &format!("/api/v1/libraries/{GUID}/zip?path=films")),
        download(&site, None, &link),
    ];
    let of_another = download(&site, Some("vera"), &format!("/file/{GUID}/films/long.bin"));
    take_out(&site, "edith");
    for (number, stream) in downloads.into_iter().enumerate() {
        let len = taken(&site, stream);
        assert!(len < LONG, "download {number} came whole");
    }
    assert!(taken(&site, of_another) > LONG);
}

#[test]
fn an_upload_ends_with_its_user_or_role_and_leaves_nothing() {
    let site = Site::new();
    let leftovers = || std::fs::read_dir(site.team.path("a/lib/.swarm/uploads")).map_or(0, Iterator::count);
    let begin = |name: &str| {
        let put = format!("PUT /api/v1/libraries/{GUID}/files/{name}");
        let mut stream = begun(&site, Some("edith"), &put);
        stream.write_all(b"content-length: 2000000\r\n\r\n").expect("it listens");
        stream.write_all(&[0; 1_000_000]).expect("it is taken");
        stream
    };
    let stream = begin("one.bin");
    site.team.until("it comes", || leftovers() == 1);
    let role = json!({"role": "viewer"});
    site.ask_as("adam", Ask::new("PATCH", "/api/v1/users/edith").json(&role)).expect(204);
    assert_eq!(status(stream), "403");
    site.ask_as("adam", Ask::new("PATCH", "/api/v1/users/edith").json(&json!({"role": "editor"})))
        .expect(204);
    let stream = begin("two.bin");
    site.team.until("it comes", || leftovers() == 1);
    take_out(&site, "edith");
    assert_eq!(status(stream), "401");
    site.team.until("nothing is left", || leftovers() == 0);
    assert!(!site.team.is_there("a/lib/one.bin") && !site.team.is_there("a/lib/two.bin"));
}

/// The rest of an answer, and its status.
fn status(mut stream: TcpStream) -> String {
    let mut told = Vec::new();
    stream.read_to_end(&mut told).expect("an answer");
    String::from_utf8_lossy(&told).split(' ').nth(1).unwrap_or_default().to_owned()
}

/// Begins a request whose body is read by now, but for its last byte.
fn held_back(site: &Site, user: &str, head: &str, body: &Value) -> (TcpStream, u8) {
    let mut stream = begun(site, Some(user), head);
    let mut body = body.to_string().into_bytes();
    let last = body.pop().expect("a body");
    let len = body.len() + 1;
    let fields =
        format!("content-type: application/json\r\ncontent-length: {len}\r\nexpect: 100-continue\r\n\r\n");
    stream.write_all(fields.as_bytes()).expect("it listens");
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).expect("an answer");
    assert_eq!(std::str::from_utf8(&go_on), Ok("HTTP/1.1 100 Continue\r\n\r\n"));
    stream.write_all(&body).expect("it reads");
    (stream, last)
}

#[test]
fn a_request_whose_body_comes_after_its_user_or_role_went_does_nothing() {
    let site = Site::new();
    site.put("a.txt", "one");
    let lock = json!({"path": "a.txt", "seconds": 60, "why": "mine"});
    let head = format!("POST /api/v1/libraries/{GUID}/locks");
    let ends = |change: &dyn Fn(), expected: &str| {
        let (mut stream, last) = held_back(&site, "edith", &head, &lock);
        change();
        stream.write_all(&[last]).expect("it reads");
        assert_eq!(status(stream), expected);
    };
    let change = |role: &str| {
        let ask = Ask::new("PATCH", "/api/v1/users/edith").json(&json!({"role": role}));
        site.ask_as("adam", ask).expect(204);
    };
    ends(&|| (), "204");
    ends(&|| change("viewer"), "403");
    change("editor");
    ends(&|| take_out(&site, "edith"), "401");
}

/// Somebody may get a long version over a slow line.
#[test]
fn versions_that_are_got_slowly_keep_nobody_waiting() {
    let site = Site::new();
    let long = "x".repeat(LONG);
    for (name, text) in [("long.bin", &*long), ("short.txt", "old")] {
        site.put(name, text);
        let mut ask = Ask::new("PUT", &format!("/api/v1/libraries/{GUID}/files/{name}"));
        ask.body = b"another one".to_vec();
        let tag = format!("\"{}\"", blake3::hash(text.as_bytes()).to_hex());
        site.ask_as("edith", ask.with("if-match", &tag)).expect(204);
    }
    let version = |name: &str| {
        let versions =
            || site.get(&format!("/api/v1/libraries/{GUID}/versions?path={name}"))["versions"].clone();
        site.team.until("it is kept", || versions()[0]["run"].is_string());
        format!("/file/{GUID}/{name}?version={}", versions()[0]["run"].as_str().expect("a run"))
    };
    let (long, short) = (version("long.bin"), version("short.txt"));
    let slow: Vec<TcpStream> =
        (0..=swarm_api::limits::SCRATCHES_MAX).map(|_| download(&site, Some("vera"), &long)).collect();
    let told: Told = site.ask_as("vera", Ask::get(&short)).expect(200);
    assert_eq!(told.text(), "old");
    let head = site.ask_as("vera", Ask { method: "HEAD".to_owned(), ..Ask::get(&long) }).expect(200);
    assert_eq!(head.header("content-length"), LONG.to_string());
    assert!(!site.team.is_there("a/.swarm/scratch"), "nothing was copied");
    drop(slow);
}

/// Whoever is answered early has sent more than the daemon has read: a connection that is reset then takes the answer with it.
#[test]
fn a_client_that_is_refused_early_gets_the_answer() {
    let site = Site::new();
    let body = vec![0; 16 << 20];
    for (user, path, status) in
        [("vera", "long.bin", 403), ("edith", "%2e%2e/out", 400), ("nobody", "long.bin", 401)]
    {
        let mut ask = Ask::new("PUT", &format!("/api/v1/libraries/{GUID}/files/{path}"));
        ask.body.clone_from(&body);
        let told = ask.basic(user, &password_of(user)).over_http(site.address());
        assert_eq!(told.status, status, "{}", told.text());
        let refused: Value = told.json();
        assert!(refused["detail"].is_string(), "{refused}");
    }
}
