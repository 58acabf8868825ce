//! Sealed libraries: members read them, a mirror between them carries and serves what it cannot read.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::Team;

/// Words that no random bytes hold by chance.
const SECRET: &str = "the butler did it, in the library, with the candlestick";
/// Other bytes than those of the note: a mirror holds equal files once.
const ANSWER: &str = "the butler did it, in the library, with the candlestick, they say";
const FOLDER: &str = "folder-of-the-heist";
const FILM: &str = "film-of-the-heist";

/// `m` mirrors the sealed library of `a`; `b` and `c` know `a` by its key, and reach the mirror alone.
fn team() -> Team {
    let team = Team::new("mabc");
    team.set('m', "libraries.json", &json!({"box": {"guid": super::GUID, "role": "mirror"}}));
    team.keep('a', &json!({"sealed": true}));
    team.subscribe('b', &json!({}));
    team.subscribe('c', &json!({}));
    // Nobody is given a key by mistake, before it is known who is who.
    "mabc".chars().for_each(|letter| team.set(letter, "peers.json", &json!([])));
    "mabc".chars().for_each(|letter| team.start(letter));
    let peers: Vec<Value> = "abc".chars().map(|letter| team.peer(letter, true)).collect();
    team.set('m', "peers.json", &json!(peers));
    trust(&team, 'a', "b");
    trust(&team, 'b', "a");
    trust(&team, 'c', "");
    team
}

/// A member trusts these, which it cannot reach, and links to the mirror.
fn trust(team: &Team, letter: char, trusted: &str) {
    let mut mirror = team.peer('m', false);
    mirror["role"] = json!("mirror");
    let by_key = |other: char| {
        let (address, node) = (format!("127.0.0.1:{}", 9 + other as u16 % 5), team.node_of(other));
        json!({"address": address, "node": node, "trusted": true})
    };
    let peers: Vec<Value> = [mirror].into_iter().chain(trusted.chars().map(by_key)).collect();
    team.set(letter, "peers.json", &json!(peers));
}

/// Whether any name or file below a folder holds one of these.
fn holds(folder: &Path, secrets: &[Vec<u8>]) -> Option<String> {
    let is_in = |bytes: &[u8]| secrets.iter().any(|secret| memchr(bytes, secret));
    for entry in walkdir::WalkDir::new(folder).into_iter().filter_map(Result::ok) {
        let name = entry.path().to_string_lossy().into_owned();
        let is_told = is_in(name.as_bytes())
            || entry.file_type().is_file() && fs::read(entry.path()).is_ok_and(|bytes| is_in(&bytes));
        if is_told {
            return Some(name);
        }
    }
    None
}

fn memchr(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// What a mirror is not to have of a file, and of the key of its library.
fn secrets_of(team: &Team, letter: char, file: &str) -> Vec<Vec<u8>> {
    let bytes = fs::read(team.path(file)).expect("it is there");
    let hash = blake3::hash(&bytes);
    let piece = &bytes[..bytes.len().min(48)];
    let keys = team.read(&format!("{letter}/.swarm/libraries/{}/keys.json", super::GUID));
    let keys: Value = serde_json::from_str(&keys).expect("JSON");
    let mut secrets = vec![hash.as_bytes().to_vec(), hash.to_hex().as_bytes().to_vec(), piece.to_vec()];
    for key in keys["keys"].as_array().expect("a list") {
        let text = key["key"].as_str().expect("a text");
        let key: swarm_core::manifest::ContentKey = text.parse().expect("a key");
        secrets.extend([text.as_bytes().to_vec(), key.as_bytes().to_vec()]);
    }
    secrets
}

#[test]
fn members_who_never_meet_share_a_library_over_a_mirror_that_cannot_read_it() {
    let team = team();
    team.write(&format!("a/lib/{FOLDER}/note.txt"), SECRET);
    team.file(&format!("a/lib/{FOLDER}/{FILM}"), 3_000_000);
    team.until("the mirror has all of it", || is_mirrored(&team, 2));
    let secrets = secrets_of(&team, 'a', &format!("a/lib/{FOLDER}/{FILM}"));
    team.stop('a');
    team.until_text("b", &format!("{FOLDER}/note.txt"), SECRET);
    let film = format!("lib/{FOLDER}/{FILM}");
    team.until("the film came", || {
        fs::read(team.path(&format!("b/{film}"))).ok() == fs::read(team.path(&format!("a/{film}"))).ok()
    });
    // The other way: what `b` writes reaches `a`, when `b` is away.
    team.write(&format!("b/lib/{FOLDER}/answer.txt"), ANSWER);
    team.until("the mirror has that too", || is_mirrored(&team, 3));
    team.stop('b');
    team.start('a');
    team.until_text("a", &format!("{FOLDER}/answer.txt"), ANSWER);
    // `c` is no member: it carries the commits, and reads nothing.
    assert!(!team.is_there(&format!("c/lib/{FOLDER}")));
    // A new member reads the history, given to it over the mirror.
    trust(&team, 'c', "ab");
    trust(&team, 'a', "bc");
    team.until_text("c", &format!("{FOLDER}/note.txt"), SECRET);
    team.until_text("c", &format!("{FOLDER}/answer.txt"), ANSWER);
    team.stop('m');
    let names = [SECRET, FOLDER, FILM, "note.txt", "answer.txt"].map(|word| word.as_bytes().to_vec());
    let all: Vec<Vec<u8>> = names.into_iter().chain(secrets).collect();
    assert_eq!(holds(&team.path("m"), &all), None);
    assert!(holds(&team.path("a"), &all).is_some(), "the words are those of a member");
}

#[test]
fn a_member_that_was_removed_reads_nothing_of_what_comes_after() {
    let team = team();
    trust(&team, 'c', "ab");
    trust(&team, 'b', "ac");
    trust(&team, 'a', "bc");
    team.write("a/lib/before.txt", "before");
    team.until_text("bc", "before.txt", "before");
    trust(&team, 'a', "b");
    team.until("a new epoch has begun", || epochs(&team, 'a') == 2 && epochs(&team, 'b') == 2);
    team.write("a/lib/after.txt", SECRET);
    team.until_text("b", "after.txt", SECRET);
    team.write("b/lib/answer.txt", SECRET);
    team.until_text("a", "answer.txt", SECRET);
    // It still carries what it cannot read.
    team.until("the commits are carried", || team.library('c')["commits"] == team.library('a')["commits"]);
    assert!(!team.is_there("c/lib/after.txt") && !team.is_there("c/lib/answer.txt"));
    assert_eq!(epochs(&team, 'c'), 1);
    assert_eq!(team.read("c/lib/before.txt"), "before");
    let secrets = [SECRET.as_bytes().to_vec()];
    assert_eq!(holds(&team.path("c"), &secrets), None);
}

#[test]
fn a_mirror_of_a_library_that_is_not_sealed_keeps_what_is_deleted() {
    let team = Team::new("mab");
    team.set('m', "libraries.json", &json!({"box": {"guid": super::GUID, "role": "mirror"}}));
    team.keep('a', &json!({}));
    team.subscribe('b', &json!({}));
    "ma".chars().for_each(|letter| team.start(letter));
    team.write("a/lib/kept.txt", "kept");
    team.write("a/lib/gone.txt", "gone");
    team.until("the mirror has both", || is_mirrored(&team, 2));
    fs::remove_file(team.path("a/lib/gone.txt")).expect("removed");
    team.until("the deletion is signed", || team.library('a')["files"] == 1);
    team.until("the mirror carries it", || team.library('m')["commits"] == team.library('a')["commits"]);
    let mut away = team.peer('a', true);
    away["node"] = json!(team.node('a'));
    team.set('b', "peers.json", &json!([team.peer('m', true), away]));
    team.stop('a');
    team.start('b');
    team.until_text("b", "kept.txt", "kept");
    assert!(is_mirrored(&team, 2));
    assert!(!team.is_there("m/libraries/box") && !team.is_there("b/lib/gone.txt"));
}

/// Whether the mirror holds so many files.
fn is_mirrored(team: &Team, count: usize) -> bool {
    let folder = team.path(&format!("m/libraries/mirrors/{}", super::GUID));
    let files = walkdir::WalkDir::new(folder).into_iter().filter_map(Result::ok);
    let is_kept = |entry: &walkdir::DirEntry| {
        entry.file_type().is_file() && !entry.path().to_string_lossy().contains("incoming")
    };
    files.filter(is_kept).count() == count
}

/// How many keys of the library a member has.
fn epochs(team: &Team, letter: char) -> usize {
    let path = team.path(&format!("{letter}/.swarm/libraries/{}/keys.json", super::GUID));
    let keys: Value =
        fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    keys["keys"].as_array().map_or(0, Vec::len)
}
