//! Runs that are interrupted or killed at any moment: the next one goes on, and nothing is lost or half there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::Folders;
use crate::support::{MIB, Signal, args, kill_count};

#[test]
fn an_interrupted_run_ends_cleanly_and_is_continued() {
    let folders = Folders::new();
    (0..16).for_each(|number| drop(folders.world.file(&format!("a/{number}.bin"), MIB)));
    let mut sync = folders.start(args!["--json", "--limit-up", "4MiB/s"]);
    sync.wait_json(|line| (line["event"] == "progress").then_some(()));
    sync.signal(Signal::Interrupt);
    let ended = sync.end().expect_code(130);
    assert!(ended.error_message().contains("run the same command again to go on"), "{ended:#?}");
    folders.sync(args![]).expect_code(0);
    folders.assert_same();
    // What was under way left nothing behind.
    let list = |folder: &Path| {
        fs::read_dir(folder).map_or(Vec::new(), |all| all.map(|at| at.unwrap().path()).collect())
    };
    let beside = list(&folders.path("b/.swarm/incoming"));
    let left: Vec<_> =
        beside.iter().flat_map(|at| if at.is_dir() { list(at) } else { vec![at.clone()] }).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// At this rate the copy would take an hour.
#[test]
fn an_interrupt_does_not_wait_for_the_rate() {
    let folders = Folders::new();
    folders.world.file("a/long.bin", 4 * MIB);
    let mut sync = folders.start(args!["--json", "--limit-up", "1KiB/s"]);
    sync.wait_json(|line| (line["event"] == "plan").then_some(()));
    std::thread::sleep(Duration::from_millis(300));
    sync.signal(Signal::Interrupt);
    sync.end().expect_code(130);
}

#[test]
fn a_killed_run_loses_nothing_whenever_it_was() {
    let folders = Folders::new();
    let mut contents = BTreeSet::new();
    for number in 0..200 {
        folders.write(&format!("a/{}/{number}.txt", number % 7), &format!("text {number}"));
    }
    folders.sync(args![]).expect_code(0);
    for kill in 0..kill_count() {
        // Edits, renames and deletions on both sides.
        let new = format!("edit {kill}");
        folders.write(&format!("a/{}/edited {kill}.txt", kill % 7), &new);
        contents.insert(format!("{new:?}"));
        folders.world.file(&format!("b/big {kill}.bin"), MIB / 2);
        let (from, to) = (format!("b/{}/{}.txt", kill % 7, kill % 7), format!("b/moved {kill}.txt"));
        if folders.path(&from).exists() {
            folders.rename(&from, &to);
        }
        let sync = folders.start(args!["--max-delete", "1000"]);
        std::thread::sleep(Duration::from_millis(kill * 37 % 250));
        sync.kill();
    }
    folders.sync(args!["--max-delete", "1000"]).expect_code(0);
    folders.assert_same();
    let tree = folders.tree("a");
    let found: BTreeSet<&String> = tree.values().collect();
    assert!(contents.iter().all(|content| found.contains(content)), "{tree:#?}");
    let texts = (0..200).filter(|number| found.contains(&format!("\"text {number}\""))).count();
    assert_eq!(texts, 200, "every content is accounted for");
}
