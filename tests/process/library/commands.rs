//! Libraries by commands alone, as an operator types them: what they print, how they end, and what the files say then.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use super::{GUID, Team};
use crate::support::{Outcome, Process, Signal, args};

impl Team {
    /// Runs a command for a daemon's folder.
    pub(super) fn run(&self, letter: char, mut args: Vec<std::ffi::OsString>) -> Outcome {
        args.extend(args!["--dir", self.path(&letter.to_string())]);
        self.world.run(&args)
    }

    /// What a command prints, if it succeeds.
    pub(super) fn printed(&self, letter: char, args: Vec<std::ffi::OsString>) -> String {
        self.run(letter, args).expect_code(0).out.join("\n")
    }

    /// Runs one that reads this from stdin.
    fn run_with(&self, letter: char, args: Vec<std::ffi::OsString>, stdin: &str) -> Outcome {
        let mut args = args;
        args.extend(args!["--dir", self.path(&letter.to_string())]);
        Process::start(&mut self.world.command(&args), stdin.as_bytes()).end()
    }
}

#[test]
fn settings_are_made_by_commands_before_the_daemon_runs() {
    let team = Team::new("a");
    team.write("video/film", "film");
    let create = args!["library", "create", "Lib 1", "--mount", "video:/video", "--sync", "target"];
    let guid = team.printed('a', create.clone());
    assert_eq!(guid.len(), 32, "{guid}");
    team.run('a', create).expect_code(4);
    team.run('a', args!["library", "create", "x", "--mount", "nowhere"]).expect_code(2);
    let mounts = &team.settings('a', "libraries.json")["Lib 1"]["mounts"];
    assert_eq!((&mounts[0]["libpath"], &mounts[0]["readonly"]), (&json!("/video"), &json!(true)));
    assert_eq!((&mounts[1]["libpath"], &mounts[1]["sync"]), (&json!("/"), &json!(true)));

    let policy = args!["library", "policy", "Lib 1", "--delete", "2", "--bulk", "100"];
    assert!(team.printed('a', policy).contains("deletions  2 "));
    assert_eq!(team.settings('a', "libraries.json")["Lib 1"]["approvals"], json!({"delete": 2, "bulk": 100}));
    team.run('a', args!["library", "pause", "Lib 1"]).expect_code(0);
    team.run('a', args!["library", "priority", guid.as_str(), "-7"]).expect_code(0);
    let library = &team.settings('a', "libraries.json")["Lib 1"];
    assert_eq!((&library["paused"], &library["priority"]), (&json!(true), &json!(-7)));
    team.run('a', args!["library", "resume", "Lib 1"]).expect_code(0);
    team.run('a', args!["library", "pause", "Lib 2"]).expect_code(2);

    team.run('a', args!["peer", "add", "10.0.0.2:8000", "--trust", "--name", "bob"]).expect_code(0);
    team.run('a', args!["peer", "add", "10.0.0.2:8000"]).expect_code(4);
    team.run('a', args!["peer", "untrust", "bob"]).expect_code(0);
    let table = team.printed('a', args!["peer", "ls"]);
    assert!(table.contains("bob") && table.contains("untrusted"), "{table}");
    team.run('a', args!["peer", "remove", "bob"]).expect_code(0);
    let carla = "cd".repeat(32);
    team.run('a', args!["peer", "add", carla.as_str(), "--trust"]).expect_code(0);
    assert_eq!(team.settings('a', "peers.json")[0]["node"], json!(carla));
    assert!(team.printed('a', args!["peer", "ls"]).contains("to be found"));
    // As many digits of a key as the table shows are enough.
    team.run('a', args!["peer", "untrust", &carla[..4]]).expect_code(2);
    team.run('a', args!["peer", "untrust", &carla[..8]]).expect_code(0);
    assert_eq!(team.settings('a', "peers.json")[0]["trusted"], json!(false));
    team.run('a', args!["peer", "remove", &carla[..8]]).expect_code(0);
    assert_eq!(team.settings('a', "peers.json"), json!([]));

    let add = args!["user", "add", "anna", "--role", "viewer", "--library", "Lib 1=editor"];
    team.run_with('a', add, "secret\n").expect_code(0);
    let user = &team.settings('a', "users.json")[0];
    assert!(user["hash"].as_str().is_some_and(|hash| hash.starts_with("$argon2id$")), "{user}");
    assert_eq!((&user["role"], &user["libraries"]), (&json!("viewer"), &json!({guid.as_str(): "editor"})));
    let shown = team.run('a', args!["users", "--json"]).expect_code(0).json();
    assert_eq!(shown, [json!({"user": "anna", "role": "viewer", "libraries": {guid.as_str(): "editor"}})]);
    let table = team.run('a', args!["users"]).expect_code(0).out.join("\n");
    assert!(table.contains("Lib 1") && !table.contains(&guid), "{table}");
    team.run_with('a', args!["user", "add", "bob"], "").expect_code(2);
    team.run('a', args!["user", "remove", "anna"]).expect_code(0);

    let unheard =
        team.run('a', args!["subscribe", "--guid", GUID, "copy", "--include", "*.mkv"]).expect_code(0);
    assert_eq!(unheard.out, [GUID]);
    team.run('a', args!["library", "select", "copy", "--exclude", "*.tmp"]).expect_code(0);
    let subscription = &team.settings('a', "subscriptions.json")[0];
    assert_eq!((&subscription["include"], &subscription["exclude"]), (&Value::Null, &json!(["*.tmp"])));
    team.run('a', args!["unsubscribe", "copy"]).expect_code(0);
    team.run('a', args!["library", "remove", "Lib 1"]).expect_code(0);
    assert_eq!(team.settings('a', "libraries.json"), json!({}));
    assert!(team.is_there("video/film"));
    team.run('a', args!["library", "show", "Lib 1"]).expect_code(8);
}

#[test]
fn an_address_lets_one_machine_in_and_both_change_the_library() {
    let team = Team::new("abc");
    for letter in ['a', 'b', 'c'] {
        team.set(letter, "peers.json", &json!([]));
        team.start(letter);
    }
    team.write("source/film", "film");
    team.run('a', args!["library", "create", "Lib 1", "--mount", "source:/in", "--sync", "a/lib"])
        .expect_code(0);
    let dir = team.path("a");
    let mut share = team.world.start(&args!["share", "Lib 1", "--dir", dir]);
    let address = share.wait_line(|line| line.starts_with("swarm://").then(|| line.to_owned()));
    assert!(address.contains("/Lib%201#"), "{address}");
    team.run('b', args!["subscribe", address.as_str(), "b/lib"]).expect_code(0);
    share.end().expect_code(0);
    team.until_text("b", "in/film", "film");
    team.write("b/lib/back", "from b");
    team.until_text("a", "back", "from b");
    // Used up, and it leaves nothing behind.
    assert_eq!(team.settings('a', "users.json"), json!([]));
    let refused = team.run('c', args!["subscribe", address.as_str(), "c/lib"]);
    assert_eq!(refused.code, Some(3), "{refused:#?}");
    assert_ne!(team.peer_status('a', 'c')["trust"], "trusted");
    // It is no reason to trust what is there.
    assert_eq!(team.settings('c', "peers.json"), json!([]));

    // Who others told of is trusted by a command, too.
    let me = team.printed('a', args!["peer", "me"]);
    assert_eq!(me, team.status('a')["address"], "the address of others");

    let screen = team.printed('a', args!["status"]);
    for part in ["Lib 1", "up to date", "100.0 %", "trusted", "connected"] {
        assert!(screen.contains(part), "no `{part}` in {screen}");
    }
    assert!(screen.lines().all(|line| line.starts_with("address") || line.chars().count() <= 80), "{screen}");
    let tree = team.run('b', args!["library", "tree", "lib", "--json"]).expect_code(0).json();
    let paths: Vec<&str> = tree.iter().map(|entry| entry["path"].as_str().expect("a path")).collect();
    assert_eq!(paths, ["back", "in", "in/film"]);
    let below = team.run('b', args!["library", "tree", "lib:/in", "--json"]).expect_code(0).json();
    assert_eq!(below.len(), 1 + 1, "{below:?}");
    let log = team.run('b', args!["library", "log", "lib", "--json"]).expect_code(0).json();
    assert_eq!(log[0]["paths"], json!(["+ back"]), "{log:?}");
}

#[test]
fn votes_are_given_by_the_first_digits_of_a_proposal() {
    let team = Team::sharing_with("ab", &json!({"approvals": {"delete": 2}}));
    for name in ["one", "two", "three"] {
        team.write(&format!("a/lib/{name}"), name);
    }
    team.until_same("ab");
    let held = |count: usize| {
        team.until("it waits", || team.proposals('b', false).len() == count);
        let listed = team.run('b', args!["approvals", "--json"]).expect_code(0).json();
        let id = listed[0]["id"].as_str().expect("an id").to_owned();
        assert_eq!(listed[0]["library"], "lib");
        id
    };
    fs::remove_file(team.path("a/lib/one")).expect("it is there");
    let id = held(1);
    let shown = team.printed('b', args!["approvals"]);
    assert!(shown.contains("1 of 2 votes") && shown.contains("  one"), "{shown}");
    team.run('b', args!["approve", "ffffffffffffffff"]).expect_code(2);
    team.run('b', args!["withdraw", &id[..12]]).expect_code(2);
    team.run('b', args!["approve", &id[..12]]).expect_code(0);
    team.until_gone("ab", "one");

    fs::remove_file(team.path("a/lib/two")).expect("it is there");
    let id = held(1);
    team.run('a', args!["withdraw", &id[..12]]).expect_code(0);
    team.until_text("ab", "two", "two");
    team.until("nothing waits", || team.proposals('b', false).is_empty());
    fs::remove_file(team.path("a/lib/three")).expect("it is there");
    held(1);
    team.run('b', args!["approve", "--all", "lib"]).expect_code(0);
    team.until_gone("ab", "three");
    let ended = team.run('b', args!["approvals", "lib", "--all", "--json"]).expect_code(0).json();
    let mut ends: Vec<&str> = ended.iter().map(|one| one["ended"].as_str().expect("a word")).collect();
    ends.sort_unstable();
    assert_eq!(ends, ["approved", "approved", "withdrawn"]);
}

#[test]
fn what_an_author_did_is_taken_back_on_all_machines() {
    let team = Team::sharing("ab");
    for (name, text) in [("kept", "kept"), ("edited", "before"), ("deleted", "was here"), ("moved", "moves")]
    {
        team.write(&format!("a/lib/{name}"), text);
    }
    let before = team.until_same("ab");
    team.write("b/lib/edited", "vandal");
    team.write("b/lib/new folder/added", "added");
    fs::remove_file(team.path("b/lib/deleted")).expect("it is there");
    fs::rename(team.path("b/lib/moved"), team.path("b/lib/elsewhere")).expect("it is there");
    team.until_text("a", "edited", "vandal");
    team.until_gone("a", "deleted");
    let damaged = team.until_same("ab");
    let node = team.node('b');
    let list = team.run('a', args!["author", "undo", &node[..10], "--since", "1h", "--list", "--json"]);
    let mut paths: Vec<String> =
        list.expect_code(0).json().iter().map(|line| line["path"].to_string()).collect();
    paths.sort_unstable();
    let expected = ["deleted", "edited", "elsewhere", "moved", "new folder", "new folder/added"];
    assert_eq!(paths, expected.map(|path| format!("\"{path}\"")));
    assert_eq!(team.tree("a/lib"), damaged, "a list changes nothing");

    team.run('a', args!["author", "undo", "nobody", "--since", "1h"]).expect_code(2);
    let done =
        team.printed('a', args!["author", "undo", node.as_str(), "--since", "1h", "--library", "Lib 1"]);
    assert!(done.contains("3 paths as before, 3 paths gone"), "{done}");
    team.until_text("ab", "edited", "before");
    team.until_text("ab", "deleted", "was here");
    team.until_text("ab", "moved", "moves");
    assert_eq!(team.until_same("ab"), before);
    assert!(team.keeps("a/lib", "vandal") && team.keeps("a/lib", "added"));
    let nothing = team.run('a', args!["author", "undo", node.as_str(), "--since", "1h"]).expect_code(0);
    assert_eq!(nothing.out, Vec::<String>::new());
}

#[test]
fn versions_are_restored_and_runs_undone_for_everybody() {
    let team = Team::sharing("ab");
    team.write("a/lib/page", "first");
    team.write("a/lib/other", "other");
    team.until_same("ab");
    team.write("a/lib/page", "second");
    team.until_text("b", "page", "second");
    team.until_same("ab");
    let versions = team.run('b', args!["versions", "lib:/page", "--json"]).expect_code(0).json();
    assert_eq!(versions.len(), 1, "{versions:?}");
    let out = team.path("out");
    team.run('b', args!["restore", "lib:/page", "-o", &out]).expect_code(0);
    assert_eq!(team.read("out"), "first");
    team.run('b', args!["restore", "lib:/page", "-o", &out]).expect_code(4);
    team.run('b', args!["restore", "lib:/nothing"]).expect_code(2);
    let version = versions[0]["version"].as_str().expect("a name");
    team.run('b', args!["restore", format!("lib:/page@{version}")]).expect_code(0);
    team.until_text("ab", "page", "first");
    team.until_same("ab");

    fs::remove_file(team.path("a/lib/other")).expect("it is there");
    team.until_gone("b", "other");
    team.until_same("ab");
    // The file is gone a moment before that is written down.
    let changes = || team.printed('b', args!["changes", "lib"]);
    team.until_shown("both are listed", changes, |changes| {
        changes.contains("deleted  other") && changes.contains(": restore")
    });
    team.run('b', args!["undo", "lib"]).expect_code(0);
    team.until_text("ab", "other", "other");
    team.run('b', args!["changes", "nothing"]).expect_code(2);
    let why = team.printed('b', args!["explain", "lib:/other"]);
    assert!(why.contains("file of 5 B") && why.contains("by undo"), "{why}");
}

#[test]
fn a_conflict_is_shown_and_decided() {
    let team = Team::sharing("ab");
    let base = "one\ntwo\nthree\nfour\nfive\n";
    team.write("a/lib/text", base);
    team.write("a/lib/plain", "base");
    team.until_same("ab");
    team.stop('b');
    team.write("a/lib/text", &base.replace("one", "ONE"));
    team.write("a/lib/plain", "from a");
    team.run('a', args!["library", "sync", "Lib 1", "--wait"]).expect_code(0);
    team.write("b/lib/text", &base.replace("five", "FIVE"));
    team.write("b/lib/plain", "from b");
    team.start('b');
    let asked = || ['a', 'b'].into_iter().find(|letter| team.library(*letter)["conflicts"] == 2);
    team.until("one of them asks about both", || asked().is_some());
    let asked = asked().expect("it asked");
    let (name, word, theirs, own) = match asked {
        'a' => ("Lib 1", "'Lib 1'", "from b", "from a"),
        _ => ("lib", "lib", "from a", "from b"),
    };
    let shown = team.printed(asked, args!["conflicts", name]);
    assert!(shown.contains("text") && shown.contains("keep-both"), "{shown}");
    let screen = team.printed(asked, args!["status"]);
    assert!(screen.contains(&format!("{name}: 2 conflicts: swarm conflicts {word}")), "{screen}");
    let waited = team.run(asked, args!["library", "sync", name, "--wait"]).expect_code(9);
    assert!(waited.err.iter().any(|line| line.contains("2 conflicts")), "{:?}", waited.err);
    let at = |path: &str| format!("{name}:/{path}");
    team.run(asked, args!["resolve", name, "local"]).expect_code(2);
    team.run(asked, args!["resolve", at("text"), "perhaps"]).expect_code(2);
    let merged = base.replace("one", "ONE").replace("five", "FIVE");
    team.write("merged", &merged);
    team.run(asked, args!["resolve", at("text"), "merged"]).expect_code(0);
    team.run(asked, args!["resolve", at("plain"), "remote"]).expect_code(0);
    team.until_text("ab", "text", &merged);
    team.until_text("ab", "plain", theirs);
    assert!(team.keeps(&format!("{asked}/lib"), own));
    team.until("no conflict is left", || "ab".chars().all(|letter| team.library(letter)["conflicts"] == 0));
}

#[test]
fn a_lock_is_seen_by_the_others_until_it_is_over() {
    let team = Team::sharing("ab");
    team.write("a/lib/page", "text");
    team.until_same("ab");
    team.run('a', args!["lock", "Lib 1"]).expect_code(2);
    team.run('a', args!["lock", "Lib 1:/page", "--for", "3h", "--why", "new dates"]).expect_code(0);
    team.until("the lock is seen", || team.library('b')["locks"][0]["path"] == "page");
    let explained = team.printed('b', args!["explain", "lib:/page"]);
    assert!(explained.contains("new dates"), "{explained}");
    let told = team.run('b', args!["lock", "lib:/page", "--why", "me too"]).expect_code(0);
    assert!(told.err.iter().any(|line| line.contains("new dates")), "{told:#?}");
    team.run('b', args!["unlock", "lib:/page"]).expect_code(0);
    team.run('a', args!["unlock", "Lib 1:/page"]).expect_code(0);
    team.until("no lock is left", || team.library('b')["locks"] == json!([]));
}

#[test]
fn a_byte_that_changed_by_itself_is_found() {
    let team = Team::sharing("a");
    team.write("a/lib/good", "good");
    team.write("a/lib/bad", "bad");
    team.until("both are known", || team.library('a')["files"] == 2);
    let said = team.printed('a', args!["library", "verify", "Lib 1"]);
    assert!(said.contains("read 2 files"), "{said}");
    team.stop('a');
    let path = team.path("a/lib/bad");
    let modified = fs::metadata(&path).and_then(|metadata| metadata.modified()).expect("a time");
    fs::write(&path, "bud").expect("a place");
    let file = fs::File::options().write(true).open(&path).expect("it is there");
    file.set_modified(modified).expect("it is ours");
    drop(file);
    team.start('a');
    let found = team.run('a', args!["library", "verify", "Lib 1", "--json"]);
    let view = &found.json()[0];
    // Where the disk tells of the change by its other times, the file was read again: nothing is wrong with it then.
    let is_new = view["bad"] == json!([]);
    assert!(is_new || (view["bad"] == json!(["bad"]) && found.code == Some(5)), "{found:#?}");
}

#[test]
fn a_library_of_two_is_made_by_one_command_at_each() {
    let team = Team::new("a");
    team.write("photos/one", "one");
    let dir = team.path("a");
    team.set('a', "peers.json", &json!([]));
    let start = || team.world.start(&args!["share", "photos", "photos", "--dir", &dir]);
    let mut share = start();
    let address = share.wait_line(|line| line.starts_with("swarm://").then(|| line.to_owned()));
    let sync = |more: &[&str]| {
        let mut args = args!["sync", "copy", address.as_str()];
        args.extend(more.iter().map(Into::into));
        team.world.run(&args)
    };
    sync(&["--dry-run"]).expect_code(2);
    sync(&[]).expect_code(0);
    assert_eq!(team.read("copy/one"), "one");
    team.write("copy/two", "two");
    team.write("photos/three", "three");
    sync(&[]).expect_code(0);
    assert_eq!((team.read("photos/two"), team.read("copy/three")), ("two".to_owned(), "three".to_owned()));
    share.signal(Signal::Terminate);
    share.end().expect_code(130);

    // Both know each other by now: the other way round, and after a restart.
    let mut again = start();
    again.wait_line(|line| line.starts_with("swarm://").then_some(()));
    fs::remove_file(team.path("photos/one")).expect("it is there");
    let mut args = args!["sync", "copy", address.as_str(), "--watch"];
    args.extend(args![]);
    let mut watch = team.world.start(&args);
    team.within(Duration::from_mins(1), "the deletion came", || !team.is_there("copy/one"));
    team.write("copy/four", "four");
    team.within(Duration::from_mins(1), "the file came", || team.is_there("photos/four"));
    watch.signal(Signal::Terminate);
    watch.end().expect_code(130);
    again.signal(Signal::Terminate);
    again.end().expect_code(130);
}

#[test]
fn explain_says_whether_the_bytes_of_a_path_can_come() {
    let team = Team::new("abc");
    team.keep('a', &json!({}));
    team.subscribe('b', &json!({"exclude": ["film.bin"]}));
    team.subscribe('c', &json!({}));
    "abc".chars().for_each(|letter| team.start(letter));
    // All know each other's keys from then on.
    team.write("a/lib/first", "text");
    team.until_text("bc", "first", "text");
    team.until("all are linked", || team.peer_status('c', 'b')["connected"] == true);
    team.stop('c');
    team.file("a/lib/film.bin", 2 << 20);
    team.until("the film is told", || team.library('b')["bytes"].as_u64() >= Some(2 << 20));
    team.write("a/lib/page", "text");
    team.until_text("b", "page", "text");
    team.stop('a');
    team.start('c');
    team.until_text("c", "page", "text");
    let explained = || team.printed('c', args!["explain", "lib:/film.bin"]);
    team.until_shown("nobody has the bytes", explained, |text| {
        text.contains("waiting: no connected peer has its bytes (none came for 1")
    });
    team.until("the status says so, too", || {
        let activity = team.library('c')["activity"].to_string();
        activity.contains("no connected peer has all files of 1 commit: nothing came for ")
    });
    team.start('a');
    team.until("they come", || team.is_there("c/lib/film.bin"));
    assert!(!explained().contains("waiting"), "{}", explained());
}
