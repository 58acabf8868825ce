//! Names that act on a terminal, and names that are no text.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use swarm_core::base::is_hidden;

use super::Folders;
use crate::support::{Outcome, args};

const EVIL: &str = "x\u{1b}]0;evil\u{7}\u{202e}";
const SHOWN: &str = "x\\u{1b}]0;evil\\u{7}\\u{202e}";

fn assert_harmless(outcome: &Outcome) {
    for line in outcome.out.iter().chain(&outcome.err) {
        assert!(!line.contains(is_hidden), "{line:?}");
    }
}

#[test]
fn no_name_and_no_text_reaches_the_terminal_raw() {
    let folders = Folders::agreed(&[EVIL, "other"]);
    folders.write(&format!("a/{EVIL}"), &format!("from a {EVIL}\n"));
    folders.write(&format!("b/{EVIL}"), &format!("from b {EVIL}\n"));
    folders.write(&format!("a/new{EVIL}"), "new");
    let at = format!("a/{EVIL}");
    let mut shown = 0;
    for args in [
        args!["sync", "a", "b", "--dry-run"],
        args!["sync", "a", "b", "--dry-run", "--json"],
        args!["sync", "a", "b"],
        args!["conflicts", "a"],
        args!["conflicts", "a", "--json"],
        args!["explain", at],
        args!["resolve", at, EVIL],
        args!["resolve", at, "keep-local"],
        args!["sync", "a", "b", "--json"],
        args!["versions", format!("b/{EVIL}")],
        args!["restore", format!("b/{EVIL}")],
        args!["changes", "--pair", "a"],
        args!["changes", "--pair", "a", "--json"],
        args!["sync", "a", EVIL],
        args!["sync", EVIL, "b"],
        args!["sync", "--list"],
        args!["undo", "--pair", EVIL],
    ] {
        let outcome = folders.run(args);
        assert_harmless(&outcome);
        shown += usize::from(outcome.out.iter().chain(&outcome.err).any(|line| line.contains(SHOWN)));
    }
    assert!(shown > 8, "only {shown} of them named it");
}

#[test]
fn a_name_that_is_no_text_is_named_and_left_alone() {
    let folders = Folders::agreed(&["one"]);
    let odd = folders.path("a").join(OsStr::from_bytes(b"caf\xe9"));
    std::fs::write(&odd, "odd").expect("a place");
    folders.write("a/two", "two");
    let done = folders.sync(args![]).expect_code(9);
    assert!(done.err.iter().any(|line| line.contains("caf\\xe9") && line.contains("UTF-8")), "{done:#?}");
    assert_eq!(folders.read("b/two"), "two");
    assert_eq!(folders.tree("b").len(), 2);
    std::fs::rename(odd, folders.path("a/café")).expect("ours");
    folders.sync(args![]).expect_code(0);
    folders.assert_same();
}

#[test]
fn odd_names_and_deep_folders_are_carried() {
    let folders = Folders::new();
    for name in
        [" ", "-n", "a\nb", "con", "x:y", "ends. ", "ü", "u\u{308}", "🎬", "@", "a@20261129T101500.123Z"]
    {
        folders.write(&format!("a/{name}"), name);
    }
    folders.write(&format!("a/{}", "n".repeat(255)), "long");
    folders.write(&format!("a/{}leaf", "d/".repeat(200)), "deep");
    folders.sync(args![]).expect_code(0);
    folders.assert_same();
    std::fs::remove_dir_all(folders.path("b/d")).expect("ours");
    folders.sync(args!["--max-delete", "1000"]).expect_code(0);
    folders.assert_same();
}

#[test]
fn a_path_that_is_too_long_is_called_that() {
    let folders = Folders::agreed(&["one"]);
    // No call takes such a path as a whole.
    let deeper = format!(
        "name={}; i=0; while [ $i -lt 17 ]; do mkdir $name; cd -P $name; i=$((i+1)); done; echo x > leaf",
        "n".repeat(250)
    );
    let made = std::process::Command::new("sh").args(["-c", &deeper]).current_dir(folders.path("a")).status();
    assert!(made.expect("a shell").success());
    folders.write("a/two", "two");
    let done = folders.sync(args![]).expect_code(9);
    let line = done.err.iter().find(|line| line.contains("left out")).expect("a line");
    assert!(line.contains("longer than 4096 bytes") && !line.contains("UTF-8"), "{line}");
    assert_eq!(folders.read("b/two"), "two");
}

#[test]
fn a_name_that_only_a_plan_has_is_never_shown() {
    let folders = Folders::agreed(&["page", "other", "third"]);
    folders.rename("a/page", "a/aside");
    folders.rename("a/other", "a/page");
    folders.rename("a/aside", "a/other");
    let planned = folders.sync(args!["--dry-run"]).expect_code(0);
    let said = planned.out.join("\n");
    assert!(said.contains("other -> page") && said.contains("page -> other"), "{said}");
    assert!(said.contains("2 moved -> b"), "{said}");
    let all = [
        planned,
        folders.sync(args!["--dry-run", "--json"]).expect_code(0),
        folders.sync(args!["--json"]).expect_code(0),
        folders.run(args!["changes", "--pair", "a"]).expect_code(0),
        folders.run(args!["changes", "--pair", "a", "--json"]).expect_code(0),
        folders.run(args!["explain", "a/page"]).expect_code(0),
        folders.run(args!["undo", "--pair", "a", "--json"]).expect_code(0),
        folders.run(args!["changes", "--pair", "a"]).expect_code(0),
    ];
    for outcome in all {
        assert!(!format!("{outcome:?}").contains("swarm-move"), "{outcome:#?}");
    }
    assert_eq!((folders.read("b/page"), folders.read("b/other")), ("page".to_owned(), "other".to_owned()));
}
