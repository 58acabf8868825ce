//! The folders of a library become others: what is not there was deleted by nobody.

use serde_json::json;

use super::{GUID, Team};
use crate::support::args;

/// Two daemons with three files, of which one stands in a folder.
fn team() -> Team {
    let team = Team::sharing("ab");
    for name in ["one.txt", "two.txt", "films/three.txt"] {
        team.write(&format!("a/lib/{name}"), name);
        team.until_text("b", name, name);
    }
    team.until_same("ab");
    team
}

/// Nobody lost anything, and a last file comes through, which is after everything else.
fn has_all(team: &Team, folder: &str) {
    for name in ["one.txt", "two.txt", "films/three.txt"] {
        team.until(&format!("{name} is in {folder}"), || team.is_there(&format!("{folder}/{name}")));
    }
    team.write(&format!("{folder}/last.txt"), "last");
    team.until_text("a", "last.txt", "last");
    for name in ["one.txt", "two.txt", "films/three.txt"] {
        assert!(team.is_there(&format!("a/lib/{name}")), "{name} is gone at a");
    }
    team.until("all is done", || "ab".chars().all(|letter| team.library(letter)["state"] == "up to date"));
    for name in ["one.txt", "two.txt", "films/three.txt"] {
        assert!(team.is_there(&format!("a/lib/{name}")), "{name} is gone at a");
        assert!(team.is_there(&format!("{folder}/{name}")), "{name} is gone in {folder}");
    }
}

#[test]
fn a_library_that_gets_another_folder_is_fetched_into_it() {
    let team = team();
    team.set('b', "subscriptions.json", &json!([]));
    team.until("it is left", || team.library('b').is_null());
    team.set('b', "subscriptions.json", &json!([{"guid": GUID, "localSyncDir": "other"}]));
    has_all(&team, "b/other");
}

#[test]
fn whoever_leaves_a_library_takes_it_up_again_at_once_in_another_folder() {
    let team = team();
    team.run('b', args!["unsubscribe", "lib"]).expect_code(0);
    team.run('b', args!["subscribe", "Lib 1", team.path("b/other")]).expect_code(0);
    has_all(&team, "b/other");
}

#[test]
fn a_folder_that_is_another_by_an_edit_of_the_settings_is_filled() {
    let team = team();
    team.set('b', "subscriptions.json", &json!([{"guid": GUID, "localSyncDir": "other"}]));
    has_all(&team, "b/other");
}

#[test]
fn what_is_included_again_is_fetched_again() {
    let team = team();
    let subscribed = |exclude: &[&str]| json!([{"guid": GUID, "localSyncDir": "lib", "exclude": exclude}]);
    team.stop('b');
    team.set('b', "subscriptions.json", &subscribed(&["films"]));
    team.start('b');
    team.write("a/lib/films/four.txt", "four");
    team.write("a/lib/marker.txt", "marker");
    team.until_text("b", "marker.txt", "marker");
    assert!(!team.is_there("b/lib/films/four.txt"));
    std::fs::remove_dir_all(team.path("b/lib/films")).expect("it was there");
    team.write("b/lib/seen.txt", "seen");
    team.until_text("a", "seen.txt", "seen");
    assert!(team.is_there("a/lib/films/three.txt"));
    team.set('b', "subscriptions.json", &subscribed(&[]));
    has_all(&team, "b/lib");
    assert!(team.is_there("a/lib/films/four.txt"));
}

#[test]
fn a_mount_that_is_taken_out_of_the_settings_deletes_nothing_elsewhere() {
    let team = Team::new("ab");
    let mount = |dir: &str, path: &str, sync: bool| {
        if sync {
            json!({"dir": dir, "libpath": path, "sync": true})
        } else {
            json!({"dir": dir, "libpath": path, "readonly": true})
        }
    };
    let library = |mounts: Vec<serde_json::Value>| json!({"Lib 1": {"guid": GUID, "mounts": mounts}});
    let films = mount("films", "/films", false);
    team.set('a', "libraries.json", &library(vec![films, mount("lib", "/", true)]));
    team.subscribe('b', &json!({}));
    team.write("a/films/three.txt", "films/three.txt");
    team.write("a/lib/one.txt", "one.txt");
    team.write("a/lib/two.txt", "two.txt");
    "ab".chars().for_each(|letter| team.start(letter));
    for name in ["one.txt", "two.txt", "films/three.txt"] {
        team.until_text("b", name, name);
    }
    team.set('a', "libraries.json", &library(vec![mount("lib", "/", true)]));
    // It comes back from the others, for the library has it.
    team.until_text("a", "films/three.txt", "films/three.txt");
    has_all(&team, "b/lib");
}

#[test]
fn the_tree_is_told_page_by_page_whatever_its_names_are() {
    let team = Team::sharing("a");
    let names = ["\u{1b}[31m", "a", "\u{9b}31m", "\u{fffd}"];
    for name in names {
        team.write(&format!("a/lib/{name}"), "x");
    }
    team.until("all are known", || team.library('a')["files"] == names.len());
    let mut told: Vec<String> = Vec::new();
    loop {
        let start = told.last();
        let request = json!({"request": "tree", "library": GUID, "place": null, "start": start, "limit": 1});
        let reply = team.ask('a', &request);
        let Some(entry) = reply["answer"]["tree"].get(0) else { break };
        told.push(entry["path"].as_str().expect("text").to_owned());
        assert!(told.len() <= names.len(), "{told:?}");
    }
    assert_eq!(told, names);
}
