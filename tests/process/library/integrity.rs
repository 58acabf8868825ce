//! Bytes that a disk lost though nobody touched them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::{GUID, Team};
use crate::support::{MIB, RottingDisk};

/// `b` has its folder on such a disk. `a` gave it a file of 3 MiB.
fn with_rotting_disk() -> Option<(Team, RottingDisk)> {
    let team = Team::new("ab");
    let disk = RottingDisk::mount(&team.path("odd"), 64)?;
    team.keep('a', &json!({}));
    team.set('b', "subscriptions.json", &json!([{"guid": GUID, "localSyncDir": disk.path("lib")}]));
    team.write("a/lib/small.txt", "small");
    team.file("a/lib/film.bin", 3 * MIB);
    ['a', 'b'].iter().for_each(|letter| team.start(*letter));
    team.until("all is there", || team.library('b')["percent"] == "100.0");
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
    let Some((team, disk)) = with_rotting_disk() else { return };
    let commits = team.library('a')["commits"].clone();
    rot(&team, &disk);
    team.start_ahead('b', Duration::from_secs(31 * 24 * 3600));
    team.until("it is repaired", || is_good(&team, &film(&disk)));
    team.until("nothing is told of it any more", || !is_flagged(&team, 'b'));
    assert_eq!(team.library('a')["commits"], commits, "nobody takes wrong bytes for a new version");
}
