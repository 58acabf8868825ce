//! Peers that speak HTTP(S) alone: foreign nodes, and daemons whose UDP does not get through.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{GUID, Team};
use crate::support::MIB;

/// A foreign node in Python, with a folder of its own.
struct Foreign {
    process: Child,
    port: u16,
}

impl Foreign {
    /// Starts one on the folder `foreign` of a team; `rate` is in bytes a second, 0 for as fast as it can.
    fn start(team: &Team, mode: &str, rate: u64) -> Self {
        let folder = team.path("foreign");
        fs::create_dir_all(&folder).expect("a place");
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/process/library/foreign_node.py");
        let mut command = Command::new("python3");
        command.arg(script).arg(folder).args([GUID, mode, &rate.to_string()]).stdout(Stdio::piped());
        let mut process = command.spawn().expect("python3 is there");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("it is piped"))
            .read_line(&mut line)
            .expect("it tells its port");
        Self { process, port: line.trim().parse().expect("a port") }
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn peer(&self, trusted: bool) -> Value {
        json!({"address": self.address(), "trusted": trusted})
    }

    /// Bytes of files that it gave.
    fn served(&self) -> u64 {
        self.told("/served").parse().expect("a number")
    }

    /// The GUIDs that it was asked to list, in order.
    fn asked(&self) -> Vec<String> {
        self.told("/asked").lines().map(str::to_owned).collect()
    }

    fn told(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
    }

    /// Waits until a daemon has looked twice more at what it lists: all that the daemon makes of the list of before is over by then.
    fn until_looked(&self, team: &Team, letter: char) {
        for _ in 0..2 {
            let before = self.asked().len();
            let mut peers = team.settings(letter, "peers.json");
            // Any change has the daemon look.
            let origin = peers.as_array_mut().expect("a list").last_mut().expect("an origin");
            origin["name"] = json!(format!("seen {before}"));
            team.set(letter, "peers.json", &peers);
            team.until("the list was read", || self.asked().len() > before);
        }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a daemon tells of an origin.
fn origin_status(team: &Team, letter: char, address: &str) -> Value {
    let status = team.status(letter);
    let peers = status["peers"].as_array().expect("a list");
    peers.iter().find(|peer| peer["address"] == address).cloned().unwrap_or(Value::Null)
}

/// The errors of a file that a daemon tells, as issue and detail.
fn errors_of(team: &Team, letter: char, file: &str) -> Vec<(String, String)> {
    let status = team.status(letter);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let errors = status["errors"].as_array().expect("a list").iter();
    errors
        .filter(|error| error["file"] == file)
        .map(|error| (text(&error["issue"]), text(&error["detail"])))
        .collect()
}

fn has_issue(team: &Team, letter: char, file: &str, issue: &str, part: &str) -> bool {
    errors_of(team, letter, file).iter().any(|(found, detail)| found == issue && detail.contains(part))
}

/// The same random bytes in the folder of a foreign node and in another.
fn same_file(team: &Team, name: &str, other: &str, len: u64) -> Vec<u8> {
    let bytes = fs::read(team.file(&format!("foreign/{name}"), len)).expect("it is there");
    let other = team.path(other);
    fs::create_dir_all(other.parent().expect("it has one")).expect("a place");
    fs::write(other, &bytes).expect("a place");
    bytes
}

fn until_bytes(team: &Team, name: &str, bytes: &[u8]) {
    let path = team.path(name);
    team.until(&format!("{name} is there"), || fs::read(&path).is_ok_and(|found| found == bytes));
}

/// A subscriber whose only peer is a foreign node.
fn follower(foreign: impl Fn(&Team) -> Foreign, trusted: bool) -> (Team, Foreign) {
    let team = Team::new("b");
    fs::create_dir_all(team.path("foreign")).expect("a place");
    let foreign = foreign(&team);
    team.subscribe('b', &json!({}));
    team.set('b', "peers.json", &json!([foreign.peer(trusted)]));
    team.start('b');
    (team, foreign)
}

#[test]
fn a_foreign_node_that_is_trusted_is_followed_and_what_changed_here_stays() {
    let (team, foreign) = follower(
        |team| {
            team.write("foreign/a.txt", "one");
            team.write("foreign/deep er/b ü.txt", "two");
            team.write("foreign/gone.txt", "stays");
            Foreign::start(team, "range", 0)
        },
        true,
    );
    team.until_text("b", "a.txt", "one");
    team.until_text("b", "deep er/b ü.txt", "two");
    team.until_text("b", "gone.txt", "stays");
    let modified =
        |path: &str| fs::metadata(team.path(path)).and_then(|found| found.modified()).expect("it is there");
    let apart = modified("foreign/a.txt").duration_since(modified("b/lib/a.txt")).unwrap_or_default();
    assert!(apart < Duration::from_millis(1), "the time goes along: {apart:?}");
    team.until("the library has them", || team.library('b')["files"] == 3);
    let peer = origin_status(&team, 'b', &foreign.address());
    assert_eq!(
        (&peer["connected"], &peer["trouble"], &peer["trust"]),
        (&json!(true), &json!(null), &json!("trusted"))
    );
    assert!(peer["received"].as_u64() > Some(10), "{peer}");
    team.until("all of the library is there", || {
        origin_status(&team, 'b', &foreign.address())["libraries"][0]["percent"] == "100.0"
    });

    // Changed there alone, deleted there alone, changed at both.
    team.write("b/lib/deep er/b ü.txt", "two here");
    team.until("the change here is known", || {
        let reply = team.ask('b', &json!({"request": "explain", "library": GUID, "path": "deep er/b ü.txt"}));
        reply.to_string().contains(blake3_of("two here").as_str())
    });
    team.write("foreign/a.txt", "one there");
    team.write("foreign/deep er/b ü.txt", "two there");
    fs::remove_file(team.path("foreign/gone.txt")).expect("it was there");
    team.until_text("b", "a.txt", "one there");
    team.until("the conflict is told", || {
        has_issue(&team, 'b', "deep er/b ü.txt", "conflict", &foreign.address())
    });
    assert_eq!(team.read("b/lib/deep er/b ü.txt"), "two here");
    assert_eq!(team.read("b/lib/gone.txt"), "stays");
}

fn blake3_of(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

#[test]
fn a_foreign_node_that_is_not_trusted_adds_nothing() {
    let (team, foreign) = follower(
        |team| {
            team.write("foreign/a.txt", "one");
            Foreign::start(team, "range", 0)
        },
        false,
    );
    team.until("it answers", || origin_status(&team, 'b', &foreign.address())["connected"] == true);
    foreign.until_looked(&team, 'b');
    assert!(!team.is_there("b/lib/a.txt"));
    assert_eq!(foreign.served(), 0);
}

#[test]
fn a_foreign_node_that_lies_is_named_and_nothing_of_it_lands() {
    let (team, foreign) = follower(
        |team| {
            team.file("foreign/a.bin", 3 * MIB);
            Foreign::start(team, "lie", 0)
        },
        true,
    );
    team.until("it is named", || has_issue(&team, 'b', "a.bin", "hash-mismatch", &foreign.address()));
    let served = foreign.served();
    foreign.until_looked(&team, 'b');
    assert_eq!((served, foreign.served()), (3 * MIB, 3 * MIB), "it is not asked again");
    assert!(!team.is_there("b/lib/a.bin"));
    let uploads = fs::read_dir(team.path("b/lib/.swarm/uploads")).map(Iterator::count).unwrap_or_default();
    assert_eq!(uploads, 0, "nothing is left");
}

#[test]
fn a_file_that_changes_while_it_comes_is_taken_in_one_version() {
    let (team, _foreign) = follower(
        |team| {
            team.file("foreign/a.bin", 8 * MIB);
            Foreign::start(team, "change", 0)
        },
        true,
    );
    let len = 8 * MIB as usize;
    let changed = [b"changed".repeat(len / 7), b"!".repeat(len % 7)].concat();
    until_bytes(&team, "b/lib/a.bin", &changed);
    team.until("it is no trouble any more", || errors_of(&team, 'b', "a.bin").is_empty());
    assert_eq!(team.library('b')["conflicts"], 0);
}

/// `a` keeps a file that a foreign node has, too; `b` fetches it from both. Returns what came from each.
fn shared_with(mode: &str, rate: u64, len: u64) -> (Team, Foreign, u64, u64) {
    shared_with_slow(mode, rate, len, "8MB/s")
}

/// The same, with what `a` sends at most.
fn shared_with_slow(mode: &str, rate: u64, len: u64, up: &str) -> (Team, Foreign, u64, u64) {
    let team = Team::new("ab");
    let bytes = same_file(&team, "big.bin", "a/lib/big.bin", len);
    let foreign = Foreign::start(&team, mode, rate);
    let mut config = team.settings('a', "config.json");
    config["limits"] = json!({"up": up});
    team.set('a', "config.json", &config);
    team.keep('a', &json!({}));
    team.start('a');
    team.until("it is known", || team.library('a')["files"] == 1);
    team.subscribe('b', &json!({}));
    team.set('b', "peers.json", &json!([team.peer('a', true), foreign.peer(false)]));
    team.start('b');
    until_bytes(&team, "b/lib/big.bin", &bytes);
    let from_peer = team.peer_status('b', 'a')["received"].as_u64().unwrap_or_default();
    let from_origin = foreign.served();
    (team, foreign, from_peer, from_origin)
}

#[test]
fn a_peer_and_an_origin_share_a_file() {
    let (_team, _foreign, from_peer, from_origin) = shared_with("range", 8 * MIB, 64 * MIB);
    assert!(from_origin > 6 * MIB + MIB / 2, "{from_origin} bytes came from the origin");
    assert!(from_peer > 6 * MIB + MIB / 2, "{from_peer} bytes came from the peer");
    assert!(from_origin < 72 * MIB, "{from_origin} bytes came from the origin");
}

#[test]
fn an_origin_that_gives_files_only_whole_is_asked_once() {
    // Slow enough that the peer is not done before the file has come whole.
    let (_team, _foreign, from_peer, from_origin) = shared_with_slow("whole", 0, 32 * MIB, "2MB/s");
    assert!(from_origin >= 32 * MIB, "{from_origin} bytes came from the origin");
    assert!(from_peer < 28 * MIB, "{from_peer} bytes came from the peer");
    // Of the answer to the first request for a part, some is on its way before the connection is closed.
    assert!(from_origin <= 48 * MIB, "{from_origin} bytes came from the origin");
}

#[test]
fn a_file_that_an_origin_has_again_comes_from_it() {
    // The peer alone would take an hour.
    let (_team, _foreign, from_peer, from_origin) = shared_with_slow("gone", 0, 32 * MIB, "10KB/s");
    assert!(from_peer < 4 * MIB, "{from_peer} bytes came from the peer");
    assert!(from_origin >= 28 * MIB, "{from_origin} bytes came from the origin");
}

#[test]
fn an_origin_that_lies_about_a_chunk_is_named_and_the_peer_sends_it_all() {
    let (team, foreign, from_peer, from_origin) = shared_with("lie", 0, 48 * MIB);
    assert!(
        has_issue(&team, 'b', "big.bin", "hash-mismatch", &foreign.address()),
        "{:?}",
        team.status('b')["errors"]
    );
    assert!(from_peer >= 48 * MIB, "{from_peer} bytes came from the peer");
    assert!(from_origin <= 4 * MIB, "{from_origin} bytes came from the origin");
    team.until("it is complete", || team.library('b')["state"] == "up to date");
}

#[test]
fn a_file_of_which_nobody_tells_the_chunks_comes_from_an_origin() {
    let team = Team::new("ab");
    let bytes = same_file(&team, "big.bin", "a/lib/big.bin", 8 * MIB);
    let foreign = Foreign::start(&team, "range", 0);
    team.keep('a', &json!({}));
    team.start('a');
    team.until("it is known", || team.library('a')["files"] == 1);
    // A library that is paused learns of commits and fetches nothing.
    team.subscribe('b', &json!({"paused": true}));
    team.set('b', "peers.json", &json!([team.peer('a', true), foreign.peer(false)]));
    team.start('b');
    team.until("the commit is there", || team.library('b')["commits"] == 1);
    team.stop('a');
    team.subscribe('b', &json!({}));
    until_bytes(&team, "b/lib/big.bin", &bytes);
    team.until("it is complete", || team.library('b')["state"] == "up to date");
}

/// A daemon that is reached by HTTPS alone, by its user.
fn https_peer(team: &Team, password: &str) -> Value {
    let address = format!("https://{}", team.address('a'));
    json!({"address": address, "trusted": true, "username": "bob", "password": password})
}

#[test]
fn a_daemon_is_followed_over_https_alone_and_its_certificate_is_pinned() {
    let team = Team::new("ab");
    team.set('a', "peers.json", &json!([]));
    team.set('a', "users.json", &json!([{"user": "bob", "pass": "secret", "role": "viewer"}]));
    team.keep('a', &json!({}));
    let bytes = fs::read(team.file("a/lib/film.bin", 5 * MIB)).expect("it is there");
    team.write("a/lib/a.txt", "one");
    team.start('a');
    team.until("it is known", || team.library('a')["files"] == 2);
    team.subscribe('b', &json!({}));
    team.set('b', "peers.json", &json!([https_peer(&team, "wrong")]));
    team.start('b');
    let address = format!("https://{}", team.address('a'));
    let has_trouble = |part: &str| {
        origin_status(&team, 'b', &address)["trouble"].as_str().is_some_and(|trouble| trouble.contains(part))
    };
    team.until("the wrong password is told", || has_trouble("password"));
    team.until("its certificate is pinned", || {
        team.settings('b', "peers.json")[0]["fingerprint"].is_string()
    });
    let mut peers = team.settings('b', "peers.json");
    let pinned = peers[0]["fingerprint"].as_str().expect("it was pinned").to_owned();
    assert_eq!(pinned.len(), 32 * 3 - 1);
    peers[0]["password"] = json!("secret");
    team.set('b', "peers.json", &peers);
    until_bytes(&team, "b/lib/film.bin", &bytes);
    team.until_text("b", "a.txt", "one");
    team.until("all is there", || origin_status(&team, 'b', &address)["libraries"][0]["percent"] == "100.0");

    team.stop('a');
    for file in walkdir::WalkDir::new(team.path("a/.swarm")).into_iter().filter_map(Result::ok) {
        if file.file_name().to_string_lossy().starts_with("https-") {
            fs::remove_file(file.path()).expect("it was there");
        }
    }
    team.start('a');
    team.until("another certificate is told", || has_trouble("certificate changed") && has_trouble(&pinned));
    let mut peers = team.settings('b', "peers.json");
    assert_eq!(peers[0]["fingerprint"], pinned);

    // The way out that it tells.
    peers[0].as_object_mut().expect("an entry").remove("fingerprint");
    team.set('b', "peers.json", &peers);
    team.until("the new one is pinned", || {
        let fingerprint = team.settings('b', "peers.json")[0]["fingerprint"].clone();
        fingerprint.is_string() && fingerprint != pinned
    });
    team.until("it is used again", || origin_status(&team, 'b', &address)["trouble"].is_null());
}

#[test]
fn a_sealed_library_is_not_followed_over_https_alone() {
    let team = Team::new("ab");
    team.set('a', "peers.json", &json!([]));
    team.set('a', "users.json", &json!([{"user": "bob", "pass": "secret", "role": "viewer"}]));
    team.keep('a', &json!({"sealed": true}));
    team.write("a/lib/a.txt", "one");
    team.start('a');
    team.until("it is known", || team.library('a')["files"] == 1);
    team.subscribe('b', &json!({}));
    team.set('b', "peers.json", &json!([https_peer(&team, "secret")]));
    team.start('b');
    team.until("it is told", || has_issue(&team, 'b', "", "not-synced", "sealed"));
    assert!(!team.is_there("b/lib/a.txt"));
    assert_eq!(team.library('b')["commits"], 0);
}

#[test]
fn what_peers_deleted_does_not_come_back_from_an_origin() {
    let team = Team::new("ab");
    team.write("foreign/gone.txt", "old");
    team.write("foreign/stays.txt", "new");
    let foreign = Foreign::start(&team, "range", 0);
    team.keep('a', &json!({}));
    team.write("a/lib/gone.txt", "old");
    team.start('a');
    team.subscribe('b', &json!({}));
    team.set('b', "peers.json", &json!([team.peer('a', true)]));
    team.start('b');
    team.until_text("b", "gone.txt", "old");
    fs::remove_file(team.path("a/lib/gone.txt")).expect("it was there");
    team.until_gone("b", "gone.txt");
    team.stop('a');
    // With its peer away, the origin is followed.
    let mut peers = team.settings('b', "peers.json");
    peers.as_array_mut().expect("a list").push(foreign.peer(true));
    team.set('b', "peers.json", &peers);
    team.until_text("b", "stays.txt", "new");
    foreign.until_looked(&team, 'b');
    assert!(!team.is_there("b/lib/gone.txt"));
    assert_eq!(foreign.served(), 3, "only what is new was fetched");
}

#[test]
fn a_file_that_cannot_be_had_or_put_holds_up_no_other_and_is_not_fetched_again_and_again() {
    let (team, foreign) = follower(
        |team| {
            team.write("b/lib/taken", "a file, where a folder is to be");
            team.write("foreign/a broken.txt", "0123456789");
            team.write("foreign/taken/below.txt", "01234");
            team.write("foreign/z.txt", "012");
            Foreign::start(team, "range", 0)
        },
        true,
    );
    team.until_text("b", "z.txt", "012");
    team.until("both are told", || {
        has_issue(&team, 'b', "a broken.txt", "fetch", "500")
            && has_issue(&team, 'b', "taken/below.txt", "refused", &foreign.address())
    });
    foreign.until_looked(&team, 'b');
    // Once more at most, if all of this took so long that it was its turn again.
    assert!(foreign.served() <= 13, "{} bytes came from the origin", foreign.served());
    assert!(has_issue(&team, 'b', "taken/below.txt", "refused", &foreign.address()), "it is told still");
}

#[test]
fn an_origin_is_asked_for_the_libraries_that_it_is_a_peer_for() {
    let (team, foreign) = follower(|team| Foreign::start(team, "range", 0), false);
    let own = json!({"guid": "0123456789abcdef", "mounts": [{"dir": "own", "libpath": "/", "sync": true}]});
    fs::create_dir_all(team.path("b/own")).expect("a place");
    team.set('b', "libraries.json", &json!({"Own": own}));
    team.until("both libraries are there", || {
        team.status('b')["libraries"].as_array().is_some_and(|libraries| libraries.len() == 2)
    });
    foreign.until_looked(&team, 'b');
    assert!(foreign.asked().iter().all(|guid| guid == GUID), "{:?}", foreign.asked());
}

#[test]
fn an_origin_that_is_one_too_many_is_told_not_to_be_used() {
    let team = Team::new("b");
    team.subscribe('b', &json!({}));
    let address = |number: usize| format!("http://127.0.0.1:{}", number + 1);
    let peers: Vec<Value> = (0..33).map(|number| json!({"address": address(number)})).collect();
    team.set('b', "peers.json", &json!(peers));
    team.start('b');
    let trouble = |number| {
        let trouble = origin_status(&team, 'b', &address(number))["trouble"].clone();
        trouble.as_str().unwrap_or_default().to_owned()
    };
    team.until("it is told", || trouble(32).contains("not used") && trouble(31).contains("does not answer"));
}

#[test]
fn files_of_an_origin_come_no_faster_than_this_node_may_fetch() {
    let team = Team::new("b");
    let bytes = fs::read(team.file("foreign/a.bin", 4 * MIB)).expect("it is there");
    let foreign = Foreign::start(&team, "range", 0);
    team.subscribe('b', &json!({}));
    let mut config = team.settings('b', "config.json");
    config["limits"] = json!({"down": "1MB/s"});
    team.set('b', "config.json", &config);
    team.set('b', "peers.json", &json!([foreign.peer(true)]));
    let began_at = now();
    team.start('b');
    until_bytes(&team, "b/lib/a.bin", &bytes);
    let took = began_at.elapsed();
    assert!(took >= Duration::from_secs(3), "{took:?}");
}

#[expect(clippy::disallowed_methods, reason = "a test measures how long a daemon takes")]
fn now() -> Instant {
    Instant::now()
}
