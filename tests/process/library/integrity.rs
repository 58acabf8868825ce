//! Bytes that a disk lost though nobody touched them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;

use super::{GUID, Team};
use crate::support::{MIB, RottingDisk};

/// Of these daemons, `b` has its folder on such a disk. `a` gave it a file of 3 MiB; further ones have nothing yet, and do not run.
fn with_rotting_disk(letters: &str) -> Option<(Team, RottingDisk)> {
    let team = Team::new(letters);
    let disk = RottingDisk::mount(&team.path("odd"), 64)?;
    team.keep('a', &json!({}));
    team.set('b', "subscriptions.json", &json!([{"guid": GUID, "localSyncDir": disk.path("lib")}]));
    team.write("a/lib/small.txt", "small");
    team.file("a/lib/film.bin", 3 * MIB);
    ['a', 'b'].iter().for_each(|letter| team.start(*letter));
    let has_all = || team.library('b')["percent"] == "100.0" && team.library('b')["files"] == 2;
    team.until("all is there", has_all);
    // What was written a moment ago is read again at the next start: only after that, and after that moment, is it known by what the disk tells of it.
    let is_settled = || {
        let found = fs::metadata(film(&disk)).expect("it is there");
        let changed = UNIX_EPOCH + Duration::from_secs(found.ctime().unsigned_abs());
        changed.elapsed().is_ok_and(|age| age > Duration::from_secs(4))
    };
    team.until("it is not new any more", is_settled);
    team.stop('b');
    team.start('b');
    team.until("all is known", || has_all() && team.library('b')["state"] == "up to date");
    Some((team, disk))
}

/// Flips a bit while the daemon does not run.
fn rot(team: &Team, disk: &RottingDisk) {
    team.stop('b');
    let bytes = fs::read(film(disk)).expect("it is there");
    disk.rot(&bytes[ROTTEN_AT..ROTTEN_AT + 1024]);
    assert!(!is_good(team, &film(disk)));
}

fn is_good(team: &Team, file: &Path) -> bool {
    fs::read(file).is_ok_and(|bytes| bytes == fs::read(team.path("a/lib/film.bin")).expect("it is there"))
}

/// Whether a daemon tells of the file.
fn is_flagged(team: &Team, letter: char) -> bool {
    let errors = team.status(letter)["errors"].clone();
    let is_it = |error: &serde_json::Value| {
        (&error["guid"], &error["file"], &error["issue"])
            == (&json!(GUID), &json!("film.bin"), &json!("hash-mismatch"))
    };
    errors.as_array().expect("a list").iter().any(is_it)
}

/// In its second chunk.
const ROTTEN_AT: usize = 1 << 20;

fn film(disk: &RottingDisk) -> PathBuf {
    disk.path("lib/film.bin")
}

#[test]
fn a_scrub_finds_what_rotted_and_repairs_it_from_peers() {
    let Some((team, disk)) = with_rotting_disk("ab") else { return };
    let commits = team.library('a')["commits"].clone();
    rot(&team, &disk);
    team.start_ahead('b', Duration::from_secs(31 * 24 * 3600));
    team.until("it is repaired", || is_good(&team, &film(&disk)));
    team.until("nothing is told of it any more", || !is_flagged(&team, 'b'));
    assert_eq!(team.library('a')["commits"], commits, "nobody takes wrong bytes for a new version");
}

#[test]
fn a_peer_with_wrong_bytes_is_named_and_others_serve() {
    let Some((team, disk)) = with_rotting_disk("abc") else { return };
    rot(&team, &disk);
    let node = team.node_of('a');
    team.stop('a');
    team.start('b');
    team.subscribe('c', &json!({}));
    // It has to know the author, which is away.
    let mut peers = team.settings('c', "peers.json");
    peers[0]["node"] = json!(node);
    team.set('c', "peers.json", &peers);
    team.start('c');
    team.until("it is told where it is", || is_flagged(&team, 'b'));
    team.until("it is told at the other", || is_flagged(&team, 'c'));
    let errors = team.status('c')["errors"].to_string();
    assert!(errors.contains(&team.node_of('b')[..8]) && !errors.contains(&node[..8]), "{errors}");
    assert!(!team.is_there("c/lib/film.bin"), "wrong bytes are nobody's file");
    team.start('a');
    team.until("it is told at all", || is_flagged(&team, 'a') || is_good(&team, &film(&disk)));
    team.until("the other has it whole", || is_good(&team, &team.path("c/lib/film.bin")));
    team.until("it is repaired", || is_good(&team, &film(&disk)));
    team.until("nobody tells of it any more", || "abc".chars().all(|letter| !is_flagged(&team, letter)));
    assert!(is_good(&team, &team.path("a/lib/film.bin")));
}
