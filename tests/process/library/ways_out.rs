//! What commands and daemons say where something is wrong: the fact, and a way out that holds for the daemon that was named.

use std::fs;
use std::time::Duration;

use serde_json::json;

use super::{GUID, Team};
use crate::support::{Outcome, args};

/// What a command said to people.
trait Says {
    fn says(&self, part: &str);
}

impl Says for Outcome {
    fn says(&self, part: &str) {
        assert!(self.err.iter().any(|line| line.contains(part)), "no `{part}` in {self:#?}");
    }
}

#[test]
fn a_command_that_is_named_as_a_way_out_names_the_same_daemon() {
    let team = Team::new("a");
    let dir = team.path("a").to_str().expect("it is text").to_owned();
    team.run('a', args!["library", "pause", "nothing"])
        .expect_code(2)
        .says(&format!("`swarm library ls --dir {dir}`"));
    team.run('a', args!["library", "show", "nothing"])
        .expect_code(8)
        .says(&format!("`swarm daemon --dir {dir}`"));
    team.keep('a', &json!({}));
    team.start('a');
    let refused = team.run('a', args!["library", "log", "nothing"]).expect_code(2);
    refused.says(&format!("`swarm library ls --dir {dir}`"));
    // What the environment names needs no flag.
    let mut command = team.world.command(&args!["library", "log", "nothing"]);
    command.env("SWARM_DAEMON_DIR", &dir);
    crate::support::Process::start(&mut command, b"").end().expect_code(2).says("`swarm library ls`");
}

#[test]
fn peers_are_named_by_digits_that_one_of_them_alone_has() {
    let team = Team::new("a");
    let (one, other) = ("cd".repeat(32), format!("{}{}", "cd".repeat(5), "ab".repeat(27)));
    for (name, node) in [("one", &one), ("other", &other)] {
        team.run('a', args!["peer", "add", node.as_str(), "--trust", "--name", name]).expect_code(0);
    }
    let unclear = team.run('a', args!["peer", "untrust", &one[..8]]).expect_code(2);
    for name in [format!("one ({}", &one[..12]), format!("other ({}", &other[..12])] {
        unclear.says(&name);
    }
    team.run('a', args!["peer", "untrust", other[..12].to_uppercase()]).expect_code(0);
    assert_eq!(team.settings('a', "peers.json")[1]["trusted"], json!(false));
    assert_eq!(team.settings('a', "peers.json")[0]["trusted"], json!(true));
    team.run('a', args!["peer", "remove", "one"]).expect_code(0);
    team.run('a', args!["peer", "trust", &other[..5]]).expect_code(2).says("8 digits");
    team.run('a', args!["peer", "remove", "nobody"]).expect_code(2).says("`swarm peer ls");
}

#[test]
fn nothing_is_taken_back_of_one_of_several_nodes_of_a_name() {
    let team = Team::sharing("abc");
    let name = || team.peer_status('b', 'a')["name"].as_str().unwrap_or_default().to_owned();
    team.until("both are linked", || {
        "ac".chars().all(|letter| team.peer_status('b', letter)["connected"] == true) && !name().is_empty()
    });
    let undo = |node: &str| team.run('b', args!["author", "undo", node, "--since", "1h", "--list"]);
    let refused = undo(&name()).expect_code(2);
    "ac".chars().for_each(|letter| refused.says(&team.node(letter)[..12]));
    undo(&team.node('a')[..12]).expect_code(0);
}

#[test]
fn an_address_that_is_none_is_refused_as_what_was_typed() {
    let team = Team::new("a");
    let long = "cd".repeat(31);
    for address in ["abc", "host:0", long.as_str(), "abc@host:1", ""] {
        let refused = team.run('a', args!["peer", "add", address]).expect_code(2);
        refused.says(&format!("`{address}` is no address of a peer"));
        refused.says("HOST:PORT");
        assert!(!refused.err.join("\n").contains("peers.json"), "{refused:#?}");
    }
    assert_eq!(team.settings('a', "peers.json"), json!([]));
}

#[test]
fn a_library_that_was_left_is_followed_again_at_once() {
    let team = Team::sharing("ab");
    team.write("a/lib/page", "text");
    team.until_text("b", "page", "text");
    let mut name = "lib".to_owned();
    for (library, folder) in [("Lib 1", "second"), (GUID, "third"), ("Lib 1", "third"), (GUID, "lib")] {
        team.run('b', args!["unsubscribe", name.as_str()]).expect_code(0);
        let target = format!("b/{folder}");
        let said = team.run('b', args!["subscribe", library, target.as_str()]).expect_code(0);
        assert_eq!(said.out, [GUID]);
        let shown = team.run('b', args!["library", "show", folder, "--json"]).expect_code(0).json();
        assert_eq!(shown[0]["mounts"][0]["dir"], team.path(&target).to_str().expect("it is text").to_owned());
        team.until("the file is there", || team.is_there(&format!("b/{folder}/page")));
        folder.clone_into(&mut name);
    }
}

#[test]
fn a_command_that_waits_for_a_peer_says_so_soon() {
    let team = Team::new("b");
    team.set('b', "peers.json", &json!([]));
    team.start('b');
    let node = "e1".repeat(32);
    let address = format!("swarm://{node}@127.0.0.1:1/photos#abc");
    for args in [
        args!["subscribe", address.as_str(), "copy", "--dir", team.path("b")],
        args!["sync", "copy", address.as_str()],
    ] {
        let waiting = team.world.start(&args);
        let began = super::now();
        waiting.wait_stderr(&format!("waiting for {}@127.0.0.1:1", &node[..8]));
        assert!(super::now().duration_since(began) < Duration::from_secs(10));
        waiting.kill();
    }
    // The first one left the peer in the files.
    team.run('b', args!["subscribe", "--guid", GUID, "b/lib"]).expect_code(0);
    let waiting = team.world.start(&args!["library", "sync", "lib", "--wait", "--dir", team.path("b")]);
    waiting.wait_stderr("no peer is connected (127.0.0.1:1: ");
    waiting.kill();
}

#[test]
fn a_lock_of_somebody_else_is_not_ended() {
    let team = Team::sharing("ab");
    team.write("a/lib/page", "text");
    team.until_same("ab");
    team.run('a', args!["lock", "Lib 1:/page", "--why", "new dates"]).expect_code(0);
    team.until("the lock is seen", || team.library('b')["locks"][0]["path"] == "page");
    let refused = team.run('b', args!["unlock", "lib:/page"]).expect_code(7);
    refused.says(&format!("locked by {}", &team.node('a')[..8]));
    team.run('b', args!["unlock", "lib:/other"]).expect_code(0).says("nothing is locked at `other`");
    team.run('a', args!["unlock", "Lib 1:/page"]).expect_code(0);
    team.until("no lock is left", || team.library('b')["locks"] == json!([]));
}

#[test]
fn a_subscriber_sees_the_numbers_that_it_goes_by() {
    let team = Team::new("ab");
    team.keep('a', &json!({"approvals": {"delete": 2, "move": 3, "bulk": 50}}));
    team.subscribe('b', &json!({}));
    "ab".chars().for_each(|letter| team.start(letter));
    team.write("a/lib/page", "text");
    team.until_text("b", "page", "text");
    for (letter, name) in [('a', "Lib 1"), ('b', "lib")] {
        for command in ["policy", "show"] {
            let shown = || team.run(letter, args!["library", command, name]).expect_code(0).out.join("\n");
            team.until_shown("the numbers are shown", shown, |text| {
                ["deletions  2 of", "moves      3 of", "50 changes or more"]
                    .iter()
                    .all(|part| text.contains(part))
            });
        }
    }
    let shown = team.run('b', args!["library", "policy", "lib"]).expect_code(0).out.join("\n");
    assert!(shown.contains("of the trusted peers that have the library"), "{shown}");
}

#[test]
fn a_damaged_memory_of_a_library_tells_the_way_out() {
    let team = Team::sharing("a");
    team.write("a/lib/x.txt", "x");
    team.until("it is known", || team.library('a')["files"] == 1);
    for file in ["author.json", "policies.json"] {
        team.stop('a');
        let memory = format!("a/.swarm/libraries/{GUID}/{file}");
        team.write(&memory, "");
        team.start('a');
        team.until_shown(
            "the way out is told",
            || team.status('a')["errors"].to_string(),
            |errors| errors.contains(file) && errors.contains("remove this file"),
        );
        fs::remove_file(team.path(&memory)).expect("it is there");
        team.until("it goes on", || team.library('a')["state"] == "up to date");
        team.write(&format!("a/lib/after {file}"), "more");
        team.until_same("a");
    }
}

#[test]
fn a_folder_that_was_lost_is_told_with_a_way_out_that_works() {
    let team = Team::sharing("ab");
    team.write("a/lib/page", "text");
    team.until_text("b", "page", "text");
    fs::remove_dir_all(team.path("b/lib")).expect("it is there");
    let activity = || team.status('b')["errors"].to_string();
    let names_the_way = |errors: &String| {
        errors.contains("it is lost")
            && errors.contains("another folder")
            && !errors.contains("make the folder")
    };
    team.until_shown("a missing folder", activity, |errors| {
        errors.contains("is not there") && names_the_way(errors)
    });
    fs::create_dir(team.path("b/lib")).expect("a place");
    team.until_shown("one that was made anew", activity, |errors| {
        errors.contains("was replaced") && names_the_way(errors)
    });
    team.stop('b');
    team.start('b');
    team.until_shown("after a restart", activity, names_the_way);
    team.run('b', args!["unsubscribe", "lib"]).expect_code(0);
    team.run('b', args!["subscribe", "Lib 1", "b/new"]).expect_code(0);
    team.until("the file is there", || team.is_there("b/new/page"));
    assert!(team.is_there("a/lib/page"));
}

#[test]
fn a_name_that_nobody_offers_is_no_guid() {
    let team = Team::new("ab");
    team.keep('a', &json!({}));
    "ab".chars().for_each(|letter| team.start(letter));
    team.until("it is offered", || team.peer_status('b', 'a')["libraries"][0]["name"] == "Lib 1");
    let refused = team.run('b', args!["subscribe", "Lib1", "b/typo"]).expect_code(2);
    refused.says("`Lib1`");
    refused.says("`Lib 1`");
    refused.says("--guid");
    team.run('b', args!["subscribe", "jdfhdhdbe48474", "b/typo"]).expect_code(2);
    assert_eq!(team.settings('b', "subscriptions.json"), json!([]));
    // What a peer offers may be called as it likes.
    team.run('b', args!["subscribe", GUID, "b/lib"]).expect_code(0);
    team.run('b', args!["subscribe", GUID, "b/lib", "--include", "*.txt"]).expect_code(0);
    // GUIDs of any form, if somebody means them; and those of the form that is made here.
    team.run('b', args!["subscribe", "--guid", "some-guid", "b/some"]).expect_code(0);
    let usual = "0123456789abcdef".repeat(2);
    team.run('b', args!["subscribe", usual.as_str(), "b/usual"]).expect_code(0);
    team.stop('b');
    team.run('b', args!["unsubscribe", "some"]).expect_code(0);
    team.run('b', args!["subscribe", "some-guid", "b/some"]).expect_code(2).says("does not run");
}

#[test]
fn two_daemons_do_not_keep_one_folder() {
    let team = Team::new("abc");
    team.keep('a', &json!({}));
    team.start('a');
    team.subscribe('b', &json!({"localSyncDir": "shared"}));
    team.start('b');
    team.write("a/lib/page", "text");
    team.until("it came", || team.is_there("b/shared/page"));
    team.subscribe('c', &json!({"localSyncDir": "../b/shared"}));
    team.start('c');
    let errors = || team.status('c')["errors"].to_string();
    team.until_shown("it is refused", errors, |errors| {
        errors.contains("another daemon") && errors.contains(team.path("b").to_str().expect("it is text"))
    });
    assert_eq!(team.library('c')["state"], "stopped");
    team.until("the first goes on", || team.library('b')["state"] == "up to date");
    // A restart finds its own folder free, and who is dead holds nothing.
    team.stop('b');
    team.until("it takes over", || team.library('c')["state"] == "up to date");
    team.kill('c');
    team.start('b');
    team.write("a/lib/more", "text");
    team.until("the first has it again", || team.is_there("b/shared/more"));
}

#[test]
fn a_library_that_cannot_change_its_folder_stands_still_until_it_can() {
    let team = Team::new("abc");
    team.keep('a', &json!({}));
    team.start('a');
    team.subscribe('b', &json!({"localSyncDir": "shared"}));
    team.subscribe('c', &json!({"localSyncDir": "own"}));
    team.start('b');
    team.start('c');
    team.write("a/lib/page", "text");
    team.until("it came", || team.is_there("b/shared/page") && team.is_there("c/own/page"));
    // What the third has and the folder that it is given lacks is no deletion.
    team.run('b', args!["library", "pause", GUID]).expect_code(0);
    team.until("it is paused", || team.library('b')["state"] == "paused");
    team.write("a/lib/late", "text");
    team.until("it came", || team.is_there("c/own/late"));
    team.until("both are done", || team.library('c')["state"] == "up to date");
    team.subscribe('c', &json!({"localSyncDir": "../b/shared"}));
    let errors = || team.status('c')["errors"].to_string();
    team.until_shown("it is refused", errors, |errors| errors.contains("another daemon"));
    team.stop('b');
    team.until("it takes over", || team.library('c')["state"] == "up to date");
    team.until("it brings what is lacking", || team.is_there("b/shared/late"));
    assert_eq!(team.read("a/lib/late"), "text");
    assert_eq!(team.read("a/lib/page"), "text");
}

#[test]
fn a_folder_is_restored_with_all_that_was_kept_of_it() {
    let team = Team::sharing("ab");
    for name in ["one", "two", "deep/three"] {
        team.write(&format!("a/lib/folder/{name}"), name);
    }
    // So many that the folder is not the most of the library.
    for number in 0..6 {
        team.write(&format!("a/lib/{number}"), "text");
    }
    let before = team.until_same("ab");
    fs::remove_dir_all(team.path("a/lib/folder")).expect("it is there");
    team.until_gone("b", "folder");
    team.until_same("ab");
    let out = team.path("out");
    team.run('b', args!["restore", "lib:/folder", "-o", &out]).expect_code(0);
    assert_eq!(
        (team.read("out/one"), team.read("out/deep/three")),
        ("one".to_owned(), "deep/three".to_owned())
    );
    team.run('b', args!["restore", "lib:/folder"]).expect_code(0).says("3 files");
    team.until_text("ab", "folder/deep/three", "deep/three");
    assert_eq!(team.until_same("ab"), before);
    // What stands there is a later version than those that are kept: a run has to be named.
    team.write("a/lib/folder/one", "other");
    team.until_text("b", "folder/one", "other");
    team.until_same("ab");
    team.run('b', args!["restore", "lib:/folder"]).expect_code(2).says("name the version");
    let versions = team.run('b', args!["versions", "lib:/folder", "--json"]).expect_code(0).json();
    let version = versions[0]["version"].as_str().expect("a name").to_owned();
    team.run('b', args!["restore", format!("lib:/folder@{version}")]).expect_code(0).says("1 file ");
    team.until_text("ab", "folder/one", "one");
    team.run('b', args!["restore", "lib:/nothing"]).expect_code(2);
}

#[test]
fn long_lists_are_cut_and_the_newest_comes_first() {
    let team = Team::sharing("ab");
    team.write("a/lib/first", "text");
    team.until_text("b", "first", "text");
    for number in 0..30 {
        team.write(&format!("a/lib/many/{number}"), "text");
    }
    team.until("all came", || team.library('b')["files"] == 31);
    team.until_same("ab");
    let node = team.node('a');
    let list =
        || team.run('b', args!["author", "undo", node.as_str(), "--since", "1h", "--list"]).expect_code(0);
    let shown = list().out;
    assert_eq!(shown.iter().filter(|line| line.contains(" -> ")).count(), 20, "{shown:#?}");
    assert!(shown.iter().any(|line| line.contains("and 12 more")), "{shown:#?}");
    let all = args!["author", "undo", node.as_str(), "--since", "1h", "--list", "--json"];
    assert_eq!(team.run('b', all).expect_code(0).json().len(), 32);

    let text = team.run('b', args!["changes", "lib"]).expect_code(0).out.join("\n");
    let at = |path: &str| text.find(path).unwrap_or_else(|| panic!("{path} in {text}"));
    assert!(at("many/29") < at("first"), "{text}");
}
