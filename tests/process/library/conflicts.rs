//! Edits of one file on daemons that do not hear each other.

use std::collections::BTreeMap;
use std::fs;

use serde_json::json;

use super::Team;

/// Three that have the same file; `a` and `b` change it while they are cut off from each other. `c` is with `a`.
fn disputed(strategy: &str, before: &str, at_a: &str, at_b: &str) -> Team {
    let team = Team::sharing_with("abc", &json!({"conflicts": strategy}));
    team.write("a/lib/x.txt", before);
    team.until_text("abc", "x.txt", before);
    team.until_same("abc");
    team.stop('b');
    team.write("a/lib/x.txt", at_a);
    team.until_text("ac", "x.txt", at_a);
    team.write("b/lib/x.txt", at_b);
    let later = fs::metadata(team.path("a/lib/x.txt")).expect("it is there").modified().expect("a time");
    let later = later + std::time::Duration::from_secs(10);
    fs::File::options()
        .write(true)
        .open(team.path("b/lib/x.txt"))
        .expect("it is there")
        .set_modified(later)
        .expect("it is ours");
    team.start('b');
    team
}

/// Everything that a daemon has or keeps.
fn accounted_for(team: &Team, text: &str) -> bool {
    let has = |tree: &BTreeMap<String, String>| tree.values().any(|found| *found == format!("{text:?}"));
    "abc"
        .chars()
        .any(|letter| has(&team.tree(&format!("{letter}/lib"))) || team.keeps(&format!("{letter}/lib"), text))
}

#[test]
fn manual_keeps_both_sides_until_somebody_decides() {
    let team = disputed("manual", "before", "of a", "of b");
    let conflicts = |letter| team.library(letter)["conflicts"].as_u64().expect("a number");
    team.until("somebody is asked", || "abc".chars().any(|letter| conflicts(letter) > 0));
    assert!(accounted_for(&team, "of a") && accounted_for(&team, "of b"));
    // Whoever is asked decides by making the file what it is to be.
    team.write("b/lib/x.txt", "of both");
    team.write("a/lib/y.txt", "meanwhile");
    team.until_text("abc", "y.txt", "meanwhile");
    assert!(
        accounted_for(&team, "of a") && (accounted_for(&team, "of b") || accounted_for(&team, "of both"))
    );
}

#[test]
fn newer_takes_the_later_one_everywhere_and_keeps_the_other() {
    let team = disputed("newer", "before", "of a", "of b");
    let same = team.until_same("abc");
    assert_eq!(same["x.txt"], r#""of b""#);
    assert!(accounted_for(&team, "of a"));
}

#[test]
fn keep_both_has_both_everywhere() {
    let team = disputed("keep_both", "before", "of a", "of b");
    team.until("both are at the one that follows", || team.tree("c/lib").len() == 2);
    let same = team.until_same("abc");
    let texts: Vec<&String> = same.values().collect();
    assert!(texts.contains(&&r#""of a""#.to_owned()) && texts.contains(&&r#""of b""#.to_owned()), "{same:?}");
    assert_eq!(same.len(), 2);
}

#[test]
fn auto_merge_joins_texts_that_changed_at_different_lines() {
    let lines = |first: &str, last: &str| format!("{first}\n2\n3\n4\n5\n6\n7\n{last}\n");
    let team = disputed("auto_merge", &lines("1", "8"), &lines("one", "8"), &lines("1", "eight"));
    team.until_text("abc", "x.txt", &lines("one", "eight"));
    team.until_same("abc");
}

/// One deletes what the other changes: the change is not lost.
#[test]
fn an_edit_is_not_lost_to_a_deletion() {
    let team = Team::sharing("ab");
    team.write("a/lib/x.txt", "before");
    team.until_text("ab", "x.txt", "before");
    team.until_same("ab");
    team.stop('b');
    fs::remove_file(team.path("a/lib/x.txt")).expect("it is there");
    team.write("a/lib/mark.txt", "deleted");
    team.until("it is known", || team.library('a')["files"] == 1);
    team.write("b/lib/x.txt", "changed");
    team.start('b');
    team.until_text("ab", "mark.txt", "deleted");
    assert_eq!(team.read("b/lib/x.txt"), "changed");
}

fn explained(team: &Team, letter: char, path: &str) -> serde_json::Value {
    let reply = team.ask(letter, &json!({"request": "explain", "library": super::GUID, "path": path}));
    reply["answer"]["explain"].clone()
}

/// A machine that takes no part in a conflict knows of it, and may end it; so may the one whose version lost.
#[test]
fn every_machine_shows_a_conflict_and_a_decision_anywhere_ends_it() {
    for decides in ['a', 'b', 'c'] {
        let team = disputed("manual", "before", "of a", "of b");
        team.until("all three say so", || {
            "abc".chars().all(|letter| team.library(letter)["state"] == "conflict")
        });
        let count = |letter, key: &str| team.library(letter)[key].as_u64().expect("a number");
        let own: Vec<u64> = "abc".chars().map(|letter| count(letter, "conflicts")).collect();
        let elsewhere: Vec<u64> = "abc".chars().map(|letter| count(letter, "conflicts_elsewhere")).collect();
        assert_eq!((own.iter().sum::<u64>(), elsewhere.iter().sum::<u64>()), (1, 2), "{own:?} {elsewhere:?}");
        for (letter, own) in "abc".chars().zip(own) {
            let place = if own == 1 { "here" } else { "elsewhere" };
            assert_eq!(explained(&team, letter, "x.txt")["conflict"], place, "{letter}");
            let reply = team.ask(letter, &json!({"request": "disputes", "library": super::GUID}));
            let listed = reply["answer"]["disputes"].as_array().expect("a list").len() as u64;
            assert_eq!(listed, 1 - own, "{reply}");
        }
        let request = json!({"request": "decide", "library": super::GUID, "path": "x.txt", "choice": "keep-remote", "all": false});
        let reply = team.ask(decides, &request);
        assert!(!reply.to_string().contains("failed"), "{reply}");
        let same = team.until_same("abc");
        assert_eq!(same.len(), 1, "{same:?}");
        assert_eq!(explained(&team, 'c', "x.txt")["conflict"], serde_json::Value::Null);
        // The version that lost is kept, where it stood.
        let lost = if same["x.txt"].contains("of a") { ("b/lib", "of b") } else { ("a/lib", "of a") };
        assert!(team.keeps(lost.0, lost.1));
    }
}

/// One has a folder where another edits the file: whoever wins among the versions, what was chosen stands, and nobody shows a conflict any more.
#[test]
fn a_conflict_of_a_file_with_a_folder_ends_when_it_is_decided() {
    for choice in ["keep-local", "keep-remote"] {
        let team = Team::sharing_with("abc", &json!({"conflicts": "manual"}));
        team.write("a/lib/F/d/one.txt", "one");
        team.write("a/lib/x.txt", "before");
        team.until_text("abc", "F/d/one.txt", "one");
        team.until_same("abc");
        team.stop('b');
        fs::remove_file(team.path("a/lib/x.txt")).expect("it is there");
        fs::create_dir(team.path("a/lib/x.txt")).expect("a place");
        fs::rename(team.path("a/lib/F/d"), team.path("a/lib/x.txt/d")).expect("it is there");
        team.until_text("ac", "x.txt/d/one.txt", "one");
        team.write("b/lib/x.txt", "edited");
        team.start('b');
        team.until("it is a conflict", || team.library('b')["conflicts"] == 1);
        let request = json!({"request": "decide", "library": super::GUID, "path": "x.txt", "choice": choice, "all": true});
        let reply = team.ask('b', &request);
        assert!(!reply.to_string().contains("failed"), "{reply}");
        let same = team.until_same("abc");
        assert_eq!(same["x.txt"] == r#""edited""#, choice == "keep-local", "{same:?}");
        assert!(same.values().any(|text| text == r#""one""#), "{same:?}");
    }
}
