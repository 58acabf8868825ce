//! What runs replaced or deleted can be brought back, and what they did is on record.

use super::Folders;
use crate::support::args;

#[test]
fn a_version_is_restored_in_its_place_and_elsewhere() {
    let folders = Folders::agreed(&["page", "other"]);
    folders.write("a/page", "second");
    folders.sync(args![]).expect_code(0);
    folders.write("a/page", "third");
    folders.sync(args![]).expect_code(0);
    let listed = folders.run(args!["versions", "b/page", "--json"]).expect_code(0).json();
    assert_eq!(listed.len(), 2, "{listed:?}");
    let versions: Vec<&str> = listed.iter().map(|line| line["version"].as_str().expect("a name")).collect();
    let oldest = versions.iter().min().expect("there are two");
    let shown = folders.run(args!["versions", "b/page"]).expect_code(0).out.join("\n");
    assert!(versions.iter().all(|version| shown.contains(version)), "{shown}");

    folders.run(args!["restore", "b/page", "-o", "newest"]).expect_code(0);
    assert_eq!(folders.read("newest"), "second");
    let piped = folders.run(args!["restore", format!("b/page@{oldest}"), "-o", "-"]).expect_code(0);
    assert_eq!(piped.out, ["page"]);
    let refused = folders.run(args!["restore", "b/page", "-o", "newest"]).expect_code(4);
    assert!(refused.failure_line().contains("newest"), "{refused:#?}");

    folders.run(args!["restore", format!("b/page@{oldest}")]).expect_code(0);
    assert_eq!(folders.read("b/page"), "page");
    folders.sync(args![]).expect_code(0);
    folders.assert_same();
    assert_eq!(folders.read("a/page"), "page");
    // What the restore replaced is kept in its turn.
    folders.run(args!["restore", "b/page", "-o", "replaced"]).expect_code(0);
    assert_eq!(folders.read("replaced"), "third");
}

#[test]
fn a_deleted_file_is_restored_by_its_path() {
    let folders = Folders::agreed(&["docs/page", "docs/other", "third"]);
    std::fs::remove_dir_all(folders.path("a/docs")).expect("ours");
    folders.sync(args![]).expect_code(0);
    assert!(!folders.path("b/docs").exists());
    folders.run(args!["restore", "b/docs/page"]).expect_code(0);
    assert_eq!(folders.read("b/docs/page"), "docs/page");
    folders.sync(args![]).expect_code(0);
    folders.assert_same();
}

#[test]
fn a_run_is_undone_in_both_folders() {
    let folders = Folders::agreed(&["edited", "deleted", "moved/one", "moved/two", "theirs"]);
    folders.write("a/edited", "new text");
    folders.remove("a/deleted");
    folders.rename("a/moved", "a/elsewhere");
    folders.write("a/new/file", "new");
    folders.write("b/theirs", "edited in b");
    let (a, b) = (folders.tree("a"), folders.tree("b"));
    let done = folders.sync(args!["--json"]).expect_code(0).events("done").pop().expect("a line");
    folders.assert_same();
    folders.run(args!["undo", done["run"].as_str().expect("a name"), "--pair", "b/theirs"]).expect_code(0);
    assert_eq!((folders.tree("a"), folders.tree("b")), (a, b));
    let refused = folders.run(args!["undo", "20200101T000000.000Z", "--pair", "a"]).expect_code(2);
    assert!(refused.failure_line().contains("20200101T000000.000Z"), "{refused:#?}");
}

#[test]
fn an_undo_leaves_alone_what_was_edited_since() {
    let folders = Folders::agreed(&["page", "other"]);
    folders.write("a/page", "second");
    folders.write("a/other", "second");
    folders.sync(args![]).expect_code(0);
    folders.write("b/page", "edited since");
    let undone = folders.run(args!["undo", "--pair", "a"]);
    assert_ne!(undone.code, Some(0), "{undone:#?}");
    assert_eq!(
        (folders.read("b/page"), folders.read("b/other")),
        ("edited since".to_owned(), "other".to_owned())
    );
}

#[test]
fn changes_are_on_record() {
    let folders = Folders::agreed(&["page", "old"]);
    folders.write("a/page", "second");
    folders.rename("a/old", "a/renamed");
    folders.sync(args![]).expect_code(0);
    let log = folders
        .run(args!["changes", "--pair", "a", "--json"])
        .expect_code(0)
        .json()
        .pop()
        .expect("an object");
    let changes = log["changes"].as_array().expect("a list");
    let find = |kind: &str, path: &str| {
        let found = changes.iter().find(|change| change["type"] == kind && change["path"] == path);
        found.unwrap_or_else(|| panic!("no {kind} {path} in {log:#}")).clone()
    };
    find("created", "page");
    assert_eq!(find("moved", "renamed")["from"], "old");
    let modified = find("modified", "page");
    assert_eq!(modified["side"], "remote");
    assert!(modified["timestamp"].as_str().is_some_and(|at| at.ends_with('Z')), "{modified}");
    let shown = folders.run(args!["changes", "--pair", "b", "--since", "1h"]).expect_code(0).out.join("\n");
    assert!(shown.contains("changed  page") && shown.contains("old -> renamed"), "{shown}");
    let none = folders.run(args!["changes", "--pair", "a", "--since", "2100-01-01", "--json"]).expect_code(0);
    assert_eq!(none.json()[0]["changes"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_path_is_explained() {
    let folders = Folders::agreed(&["page", "other"]);
    folders.write("a/.swarmignore", "*.tmp\n");
    folders.write("a/x.tmp", "x");
    folders.write("a/page", "edited in a");
    folders.write("b/page", "edited in b");
    folders.sync(args![]).expect_code(9);
    let explained = |path: &str| folders.run(args!["explain", path]).expect_code(0).out.join("\n");
    assert!(explained("a/page").contains("conflict"), "{}", explained("a/page"));
    assert!(explained("a/x.tmp").contains(".swarmignore"), "{}", explained("a/x.tmp"));
    assert!(!explained("b/other").is_empty());
}

#[test]
fn the_last_file_of_a_folder_is_restored() {
    let folders = Folders::agreed(&["one", "two"]);
    folders.write("a/one", "changed");
    folders.sync(args![]).expect_code(0);
    ["a/one", "a/two"].iter().for_each(|name| folders.remove(name));
    folders.run(args!["restore", "a/one"]).expect_code(0);
    assert!(folders.path("a/one").exists());
}

#[test]
fn a_path_that_cannot_be_synced_fails_nothing_that_was_asked_of_another() {
    use std::os::unix::ffi::OsStrExt as _;
    let folders = Folders::agreed(&["page", "other"]);
    folders.write("a/page", "second");
    folders.sync(args![]).expect_code(0);
    let odd = folders.path("a").join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    std::fs::write(odd, "odd").expect("a place");
    let restored = folders.run(args!["restore", "b/page"]).expect_code(0);
    assert_eq!(folders.read("b/page"), "page");
    assert!(restored.err.iter().any(|line| line.contains("caf\\xe9")), "{restored:#?}");
    let undone = folders.run(args!["undo", "--pair", "a"]).expect_code(0);
    assert_eq!(folders.read("b/page"), "second");
    assert!(undone.err.iter().any(|line| line.contains("caf\\xe9")), "{undone:#?}");
}

#[test]
fn changes_tell_what_was_undone_and_restored() {
    let folders = Folders::agreed(&["page", "other"]);
    folders.write("a/page", "second");
    folders.sync(args![]).expect_code(0);
    folders.run(args!["undo", "--pair", "a"]).expect_code(0);
    folders.run(args!["restore", "b/page"]).expect_code(0);
    let log =
        folders.run(args!["changes", "--pair", "a", "--json"]).expect_code(0).json().pop().expect("one");
    let changes = log["changes"].as_array().expect("a list");
    let causes: Vec<&str> = changes.iter().map(|change| change["cause"].as_str().expect("a word")).collect();
    assert_eq!(causes, ["sync", "sync", "sync", "undo", "restore"], "{log:#}");
    assert_eq!(changes[3]["undone_run"], changes[2]["run"], "{log:#}");
    let shown = folders.run(args!["changes", "--pair", "a"]).expect_code(0).out.join("\n");
    let undone = changes[2]["run"].as_str().expect("a name");
    assert!(shown.contains(&format!(": undo of run {undone}")) && shown.contains(": restore"), "{shown}");
}
