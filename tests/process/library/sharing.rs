//! Files that come, change and go among daemons that trust each other.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::Duration;

use serde_json::json;

use super::{GUID, Team};
use crate::support::MIB;

/// The way of the guide: a library with a read-only and a sync mount, a subscriber, and a second one that takes from both.
#[test]
fn a_subscriber_gets_the_library_and_the_next_one_takes_from_both() {
    let team = Team::new("abc");
    (0..8).for_each(|number| drop(team.file(&format!("video/film {number}.bin"), 3 * MIB)));
    team.write("a/libsync-Lib1/notes/plan.txt", "plan");
    let mounts = json!([
        {"dir": "../video", "libpath": "/video", "readonly": true},
        {"dir": "libsync-Lib1", "libpath": "/", "sync": true},
    ]);
    team.set('a', "libraries.json", &json!({"Lib 1": {"guid": GUID, "mounts": mounts}}));
    team.subscribe('b', &json!({}));
    team.subscribe('c', &json!({}));
    // So slow that the percent is seen on its way.
    for letter in ['a', 'b'] {
        let mut config = team.settings(letter, "config.json");
        config["limits"] = json!({"up": "4MB/s"});
        team.set(letter, "config.json", &config);
    }
    team.start('a');
    team.start('b');
    let on_the_way =
        |percent: &str| percent.parse::<f64>().is_ok_and(|percent| percent > 0.0 && percent < 100.0);
    let seen = [Cell::new(false), Cell::new(false)];
    team.until("the percent rises, and both see it", || {
        let (own, at_peer) = (team.library('b'), team.peer_status('a', 'b'));
        let percents = [&own["percent"], &at_peer["libraries"][0]["percent"]];
        for (seen, percent) in seen.iter().zip(percents) {
            seen.set(seen.get() || percent.as_str().is_some_and(on_the_way));
        }
        seen.iter().all(Cell::get)
    });
    team.until("all is there", || team.library('b')["percent"] == "100.0");
    assert_eq!(team.read("b/lib/notes/plan.txt"), "plan");
    assert_eq!(team.tree("video"), team.tree("b/lib/video"));
    team.start('c');
    team.until("all is there", || team.library('c')["percent"] == "100.0");
    assert_eq!(team.tree("b/lib"), team.tree("c/lib"));
    let came = |letter: char| team.peer_status('c', letter)["received"].as_u64().expect("a number");
    team.until("both sent much of it", || came('a') * 4 > 24 * MIB && came('b') * 4 > 24 * MIB);
}

#[test]
fn edits_go_both_ways_whatever_they_are() {
    let team = Team::sharing("abc");
    team.write("a/lib/from a.txt", "a");
    team.write("b/lib/from b/deep/er.txt", "b");
    team.write("c/lib/empty.txt", "");
    fs::create_dir_all(team.path("c/lib/empty folder")).expect("a place");
    symlink("from a.txt", team.path("a/lib/link")).expect("a place");
    symlink("/nowhere", team.path("b/lib/dangling")).expect("a place");
    team.write("b/lib/run.sh", "#!/bin/sh");
    fs::set_permissions(team.path("b/lib/run.sh"), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let tree = |count| {
        team.until("all is there", || {
            team.library('a')["state"] == "up to date" && team.tree("a/lib").len() == count
        })
    };
    tree(9);
    let same = team.until_same("abc");
    assert_eq!(same["run.sh"], r##"executable "#!/bin/sh""##);
    assert_eq!(same["link"], "link to from a.txt");
    assert_eq!((same["empty folder"].as_str(), same["empty.txt"].as_str()), ("folder", r#""""#));
    // Changed, renamed, deleted, and a bit flipped, each at another one.
    team.write("b/lib/from a.txt", "a, changed at b");
    fs::rename(team.path("c/lib/from b"), team.path("c/lib/renamed")).expect("it is there");
    fs::remove_file(team.path("a/lib/link")).expect("it is there");
    fs::set_permissions(team.path("a/lib/run.sh"), fs::Permissions::from_mode(0o644)).expect("it is ours");
    fs::remove_dir(team.path("a/lib/empty folder")).expect("it is there");
    team.until_text("abc", "from a.txt", "a, changed at b");
    team.until_text("abc", "renamed/deep/er.txt", "b");
    ["link", "from b", "empty folder"].iter().for_each(|name| team.until_gone("abc", name));
    team.until("the bit is gone", || team.tree("c/lib")["run.sh"] == r##""#!/bin/sh""##);
    team.until_same("abc");
}

#[test]
fn many_small_files_and_a_big_one_come_whole() {
    let team = Team::sharing("abc");
    for number in 0..2000 {
        team.write(&format!("a/lib/{}/{number}.txt", number % 20), &format!("text {number}"));
    }
    team.file("b/lib/big.bin", 50 * MIB);
    team.until("all files are known", || team.library('c')["files"] == 2001);
    let same = team.until_same("abc");
    assert_eq!(same.len(), 2000 + 20 + 1);
    fs::rename(team.path("c/lib/7"), team.path("c/lib/seven")).expect("it is there");
    team.until_gone("ab", "7");
    let renamed = team.until_same("abc");
    assert_eq!(renamed["seven/7.txt"], r#""text 7""#);
    assert_eq!(renamed.len(), same.len());
}

/// Content does not go over the wire again because it has another name.
#[test]
fn a_folder_that_moves_costs_records_and_no_bytes_of_files() {
    let team = Team::sharing("ab");
    let (files, len) = (500, 20_000);
    for number in 0..files {
        team.file(&format!("a/lib/before/{}/{number}.bin", number % 7), len);
    }
    team.until("all files are known", || team.library('b')["files"] == files);
    let same = team.until_same("ab");
    let received = || team.peer_status('b', 'a')["received"].as_u64().expect("a number");
    team.until("nothing comes any more", || {
        let before = received();
        std::thread::sleep(Duration::from_secs(3));
        received() - before < 10_000
    });
    let before = received();
    fs::rename(team.path("a/lib/before"), team.path("a/lib/after")).expect("it is there");
    team.until_gone("b", "before");
    let moved = team.until_same("ab");
    assert_eq!(moved.len(), same.len());
    assert_eq!(moved["after/3/3.bin"], same["before/3/3.bin"]);
    // Traffic is counted every two seconds.
    std::thread::sleep(Duration::from_secs(3));
    let came = received() - before;
    assert!(came * 20 < files * len, "{came} bytes came for {files} files of {len} that only moved");
}

/// Each has its own part of the library, and far more commits than it joins contents of at once.
#[test]
fn many_commits_go_both_ways_at_once() {
    let team = Team::new("ab");
    team.keep('a', &json!({}));
    team.keep('b', &json!({}));
    let peers = ['a', 'b'].map(|letter| team.settings(letter, "peers.json"));
    for letter in ['a', 'b'] {
        team.set(letter, "peers.json", &json!([]));
        team.start(letter);
    }
    let commits = |letter: char| team.library(letter)["commits"].as_u64().unwrap_or(0);
    for round in 1..=COMMITS {
        for letter in ['a', 'b'] {
            // Longer than what is packed with its commit.
            team.file(&format!("{letter}/lib/of {letter}/{round}.bin"), 600_000);
        }
        team.until("both are signed", || commits('a') >= round && commits('b') >= round);
    }
    for (letter, peers) in ['a', 'b'].iter().zip(&peers) {
        team.set(*letter, "peers.json", peers);
    }
    team.until("all are known", || "ab".chars().all(|letter| team.library(letter)["files"] == 2 * COMMITS));
    assert_eq!(team.until_same("ab").len() as u64, 2 * COMMITS + 2);
}

/// Together more than are served at once.
const COMMITS: u64 = 40;
