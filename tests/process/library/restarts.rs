//! Daemons that end at any moment: nothing is lost or half there, and the next start goes on.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::support::{MIB, kill_count};

use super::Team;

#[test]
fn a_restart_at_any_time_keeps_all() {
    let team = Team::sharing("ab");
    for number in 0..200 {
        team.write(&format!("a/lib/{}/{number}.txt", number % 7), &format!("text {number}"));
    }
    team.file("a/lib/big.bin", 20 * MIB);
    for round in 0..6 {
        let letter = if round % 2 == 0 { 'b' } else { 'a' };
        team.stop(letter);
        team.write(&format!("{letter}/lib/while away {round}.txt"), &format!("{round}"));
        team.start(letter);
        assert_eq!(team.library(letter)["guid"], super::GUID);
    }
    team.until("all files are known", || team.library('b')["files"] == 207);
    let same = team.until_same("ab");
    assert_eq!(same.len(), 200 + 7 + 7);
    let commits = team.library('a')["commits"].clone();
    ['a', 'b'].iter().for_each(|letter| drop(team.stop(*letter)));
    ['a', 'b'].iter().for_each(|letter| team.start(*letter));
    assert_eq!(team.until_same("ab"), same);
    assert_eq!(team.library('a')["commits"], commits, "a restart signs nothing");
}

#[test]
fn many_new_files_are_taken_over_in_parts() {
    let team = Team::new("ab");
    team.keep('a', &json!({}));
    team.subscribe('b', &json!({}));
    for number in 0..40 {
        team.write(&format!("a/lib/{}/{number}.txt", number % 7), &format!("text {number}"));
    }
    ['a', 'b'].iter().for_each(|letter| team.start_with(*letter, "SWARM_TEST_PART_PATHS", "3"));
    team.until("all files are known", || team.library('b')["files"] == 40);
    assert_eq!(team.until_same("ab").len(), 40 + 7);
    let commits = team.library('a')["commits"].as_u64();
    assert!(commits.is_some_and(|commits| commits >= 16), "47 new paths, 3 a plan: {commits:?}");
    // A deleted folder and a moved file end the parts: they are planned together with what is new.
    fs::remove_dir_all(team.path("a/lib/3")).expect("it is there");
    fs::rename(team.path("a/lib/0/0.txt"), team.path("a/lib/moved.txt")).expect("it is there");
    (0..20).for_each(|number| team.write(&format!("a/lib/new/{number}.txt"), &format!("new {number}")));
    team.until("they are known", || team.is_there("b/lib/new/19.txt") && team.is_there("b/lib/moved.txt"));
    let same = team.until_same("ab");
    assert!(!same.contains_key("3") && !same.contains_key("0/0.txt"), "{same:?}");
    assert_eq!(same.len(), 40 + 7 - 6 - 1 + 20 + 1);
}

#[test]
fn a_kill_at_any_moment_loses_nothing() {
    let team = Team::sharing("ab");
    let mut texts = BTreeSet::new();
    for number in 0..100 {
        team.write(&format!("a/lib/{}/{number}.txt", number % 7), &format!("text {number}"));
        texts.insert(format!("\"text {number}\""));
    }
    for kill in 0..kill_count() {
        let (letter, other) = if kill % 2 == 0 { ('a', 'b') } else { ('b', 'a') };
        for (letter, name) in [(letter, "near"), (other, "far")] {
            let text = format!("{name} {kill}");
            team.write(&format!("{letter}/lib/new/{text}.txt"), &text);
            texts.insert(format!("{text:?}"));
        }
        team.file(&format!("{other}/lib/big {} of {other}.bin", kill % 3), MIB + kill);
        let moved = team.path(&format!("a/lib/{}/{}.txt", kill % 7, kill % 7));
        if moved.exists() {
            fs::rename(moved, team.path(&format!("a/lib/moved {kill}.txt"))).expect("it is there");
        }
        // The moment of a kill is by chance in a real life; here it goes through the first half second.
        std::thread::sleep(Duration::from_millis(kill * 37 % 500));
        team.kill(letter);
        team.start(letter);
    }
    let same = team.until_same("ab");
    let found: BTreeSet<String> = same.values().cloned().collect();
    let lost: Vec<&String> = texts.difference(&found).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    for letter in "ab".chars() {
        team.until_shown("no fetch or copy left anything", || leftovers(&team, letter), Vec::is_empty);
    }
}

/// Files of fetches and copies that were under way.
fn leftovers(team: &Team, letter: char) -> Vec<std::path::PathBuf> {
    let below = |name: &str| {
        let folder = team.path(&format!("{letter}/lib/.swarm/{name}"));
        walkdir::WalkDir::new(folder)
            .into_iter()
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_file())
    };
    ["incoming", "fetched"].into_iter().flat_map(below).map(walkdir::DirEntry::into_path).collect()
}

#[test]
fn a_lost_index_is_made_anew_and_nothing_is_deleted() {
    let team = Team::sharing("abc");
    for number in 0..50 {
        team.write(&format!("a/lib/{}/{number}.txt", number % 7), &format!("text {number}"));
    }
    team.write("b/lib/of b.txt", "b");
    team.until("all files are known", || "abc".chars().all(|letter| team.library(letter)["files"] == 51));
    let same = team.until_same("abc");
    for letter in ['a', 'b'] {
        team.stop(letter);
        team.lose_index(letter);
        team.start(letter);
        assert_eq!(team.until_same("abc"), same);
    }
    // Its next commits are taken: it has one history.
    team.write("a/lib/new of a.txt", "a");
    team.write("b/lib/new of b.txt", "b");
    team.until_text("abc", "new of a.txt", "a");
    team.until_text("abc", "new of b.txt", "b");
    for letter in "abc".chars() {
        assert_eq!(team.status(letter)["errors"], serde_json::json!([]));
    }
}
