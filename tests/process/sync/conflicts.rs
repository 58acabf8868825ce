//! Conflicts: how they are shown, and decided in every way.

use super::Folders;
use crate::support::args;

/// Both sides edited `page`, a text of several lines; one more path changed without a conflict.
fn edited() -> Folders {
    let folders = Folders::new();
    folders.write("a/page", "one\ntwo\nthree\nfour\nfive\n");
    folders.write("a/free", "free");
    // What both had last is kept for merging.
    folders.sync(args!["--resolve", "auto-merge"]).expect_code(0);
    folders.write("a/page", "ONE\ntwo\nthree\nfour\nfive\n");
    folders.write("b/page", "one\ntwo\nthree\nfour\nFIVE\n");
    folders.write("a/free", "not held up");
    folders
}

/// `a` deleted `page`, `b` edited it.
fn deleted() -> Folders {
    let folders = Folders::agreed(&["page", "other"]);
    folders.remove("a/page");
    folders.write("b/page", "edited");
    folders
}

/// Decides the conflict so and syncs; both sides then have these texts, in order of their names.
fn check(folders: &Folders, choice: &str, texts: &[&str]) {
    folders.sync(args![]).expect_code(9);
    let [id] = &folders.conflicts()[..] else { panic!("not one conflict") };
    folders.run(args!["resolve", id, choice, "--pair", "b"]).expect_code(0);
    folders.sync(args![]).expect_code(0);
    folders.assert_same();
    assert!(folders.conflicts().is_empty());
    let tree = folders.tree("a");
    let found: Vec<&String> =
        tree.iter().filter(|(path, _)| path.contains("page")).map(|(_, text)| text).collect();
    let wanted: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
    assert_eq!(found, wanted.iter().collect::<Vec<_>>(), "{choice}: {tree:#?}");
}

const OURS: &str = "ONE\ntwo\nthree\nfour\nfive\n";
const THEIRS: &str = "one\ntwo\nthree\nfour\nFIVE\n";
const MERGED: &str = "ONE\ntwo\nthree\nfour\nFIVE\n";

#[test]
fn an_edit_on_both_sides_is_decided_in_every_way() {
    check(&edited(), "keep-local", &[OURS]);
    check(&edited(), "keep-remote", &[THEIRS]);
    check(&edited(), "merge", &[MERGED]);
    let folders = edited();
    folders.write("mine", "my own");
    check(&folders, "mine", &["my own"]);
    let folders = edited();
    folders.sync(args![]).expect_code(9);
    folders.run(args!["resolve", "a/page", "keep-both"]).expect_code(0);
    folders.sync(args![]).expect_code(0);
    folders.assert_same();
    assert_eq!(folders.read("a/page"), OURS);
    assert!(
        folders.tree("a").values().any(|text| *text == format!("{THEIRS:?}")),
        "{:#?}",
        folders.tree("a")
    );
}

#[test]
fn a_deletion_against_an_edit_is_decided_in_every_way() {
    check(&deleted(), "keep-local", &[]);
    check(&deleted(), "keep-remote", &["edited"]);
    check(&deleted(), "keep-both", &["edited"]);
    let folders = deleted();
    folders.write("mine", "my own");
    check(&folders, "mine", &["my own"]);
}

#[test]
fn what_loses_is_kept() {
    let folders = edited();
    check(&folders, "keep-local", &[OURS]);
    folders.run(args!["restore", "b/page", "-o", "lost"]).expect_code(0);
    assert_eq!(folders.read("lost"), THEIRS);
}

#[test]
fn a_conflict_holds_up_nothing_else_and_is_explained() {
    let folders = edited();
    let ended = folders.sync(args![]).expect_code(9);
    assert!(ended.failure_line().contains("1 conflict needs a decision"), "{ended:#?}");
    assert_eq!(folders.read("b/free"), "not held up");
    assert_eq!((folders.read("a/page"), folders.read("b/page")), (OURS.to_owned(), THEIRS.to_owned()));
    let shown = folders.run(args!["conflicts", "a"]).expect_code(0).out.join("\n");
    for part in
        ["page", "a/page: ", "b/page: ", "modified 20", "-ONE", "+FIVE", "keep-local", "merge", "FILE"]
    {
        assert!(shown.contains(part), "no `{part}` in:\n{shown}");
    }
    // It stays one until it is decided, and is found from either side.
    folders.sync(args![]).expect_code(9);
    assert_eq!(folders.run(args!["conflicts", "b/page", "--json"]).expect_code(0).json().len(), 1);
    assert!(folders.run(args!["conflicts", "b/free", "--json"]).expect_code(0).json().is_empty());
}

#[test]
fn a_conflict_in_json_has_both_versions() {
    let folders = edited();
    let ended = folders.sync(args!["--json"]).expect_code(9);
    let conflict = ended.events("conflict").pop().expect("a line");
    let listed = folders.run(args!["conflicts", "a", "--json"]).expect_code(0).json().pop().expect("a line");
    for field in ["conflict_id", "file_path", "kind", "local_version", "remote_version", "status"] {
        assert_eq!(conflict[field], listed[field], "{field}");
    }
    assert_eq!(
        (&listed["file_path"], &listed["kind"], &listed["status"]),
        (&"page".into(), &"simultaneous_edit".into(), &"open".into())
    );
    assert_eq!(listed["remote_version"]["hash"], blake3::hash(THEIRS.as_bytes()).to_hex().as_str());
    assert!(listed["local_version"]["modified_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{listed}");
    assert!(ended.error_message().contains("conflict"));
}

#[test]
fn a_decision_holds_for_what_was_seen_alone() {
    let folders = edited();
    folders.sync(args![]).expect_code(9);
    folders.run(args!["resolve", "a/page", "keep-local"]).expect_code(0);
    folders.write("b/page", "edited after the decision");
    folders.sync(args![]).expect_code(9);
    assert_eq!(folders.read("b/page"), "edited after the decision");
}

#[test]
fn many_are_decided_at_once() {
    let folders = Folders::agreed(&["docs/one", "docs/two", "docs/three", "other"]);
    for name in ["docs/one", "docs/two", "docs/three", "other"] {
        folders.write(&format!("a/{name}"), "from a");
        folders.write(&format!("b/{name}"), "from b");
    }
    folders.sync(args![]).expect_code(9);
    let refused = folders.run(args!["resolve", "a/docs", "keep-local"]).expect_code(2);
    assert!(refused.failure_line().contains("3 conflicts"), "{refused:#?}");
    folders.run(args!["resolve", "a/docs", "keep-local", "--all"]).expect_code(0);
    folders.sync(args![]).expect_code(9);
    assert_eq!(
        (folders.read("b/docs/two"), folders.read("b/other")),
        ("from a".to_owned(), "from b".to_owned())
    );
    folders.run(args!["resolve", "a", "keep-remote", "--all"]).expect_code(0);
    folders.sync(args![]).expect_code(0);
    folders.assert_same();
    assert_eq!(folders.read("a/other"), "from b");
}

#[test]
fn strategies_decide_without_asking() {
    let strategy = |flags: &[&str]| {
        let folders = edited();
        let later = swarm_node::clock::wall_clock() + std::time::Duration::from_secs(60);
        let page = std::fs::File::options().write(true).open(folders.path("b/page")).expect("ours");
        page.set_modified(later).expect("ours");
        let flags = flags.iter().flat_map(|flag| args!["--resolve", flag]).collect();
        folders.sync(flags).expect_code(0);
        folders.assert_same();
        folders
    };
    assert_eq!(strategy(&["keep-local"]).read("b/page"), OURS);
    assert_eq!(strategy(&["keep-remote"]).read("a/page"), THEIRS);
    assert_eq!(strategy(&["newer"]).read("a/page"), THEIRS);
    assert_eq!(strategy(&["auto-merge"]).read("a/page"), MERGED);
    assert_eq!(strategy(&["keep-local", "pag*=auto-merge"]).read("a/page"), MERGED);
    assert_eq!(strategy(&["keep-both"]).tree("a").len(), 3);
    let manual = edited();
    manual.sync(args!["--resolve", "keep-local", "--resolve", "page=manual"]).expect_code(9);
}

#[test]
fn texts_that_overlap_are_left_to_somebody() {
    let folders = Folders::agreed(&["page"]);
    folders.write("a/page", "from a");
    folders.write("b/page", "from b");
    folders.sync(args!["--resolve", "auto-merge"]).expect_code(9);
    let refused = folders.run(args!["resolve", "a/page", "merge"]);
    assert_ne!(refused.code, Some(0), "{refused:#?}");
    assert_eq!((folders.read("a/page"), folders.read("b/page")), ("from a".to_owned(), "from b".to_owned()));
}

#[test]
fn a_file_where_the_other_side_has_a_folder_is_a_conflict() {
    let folders = Folders::agreed(&["other"]);
    folders.write("a/x", "a file");
    folders.write("b/x/inside", "in a folder");
    folders.sync(args![]).expect_code(9);
    assert_eq!(folders.run(args!["conflicts", "a", "--json"]).expect_code(0).json()[0]["kind"], "structure");
    folders.run(args!["resolve", "a/x", "keep-both"]).expect_code(0);
    folders.sync(args![]).expect_code(0);
    folders.assert_same();
    let texts: Vec<String> = folders.tree("a").into_values().collect();
    assert!(texts.contains(&"\"a file\"".to_owned()) && texts.contains(&"\"in a folder\"".to_owned()));
}

#[test]
fn asking_takes_a_terminal() {
    let folders = edited();
    let refused = folders.sync(args!["--interactive"]).expect_code(2);
    assert!(refused.failure_line().contains("swarm resolve"), "{refused:#?}");
    assert_eq!(folders.read("b/free"), "free", "nothing was done");
}

#[test]
fn a_person_at_a_terminal_is_asked() {
    let folders = edited();
    // Another key is asked again; the difference does not decide.
    let Some(said) = folders.at_a_terminal("sync a b --interactive", "x\nd\nm\n") else { return };
    assert!(said.contains("+FIVE") && said.contains("[m]erge"), "{said}");
    folders.assert_same();
    assert_eq!(folders.read("a/page"), MERGED);
}

#[test]
fn texts_are_merged_though_nobody_asked_for_it_before() {
    let folders = Folders::new();
    folders.write("a/page", "one\ntwo\nthree\nfour\nfive\n");
    folders.sync(args![]).expect_code(0);
    folders.write("a/page", OURS);
    folders.write("b/page", THEIRS);
    check(&folders, "merge", &[MERGED]);
}

#[test]
fn a_merge_without_what_both_had_last_says_what_to_do() {
    let folders = Folders::new();
    let text = format!("line{}\n", " words".repeat(20)).repeat(8000);
    (1..=9).for_each(|number| {
        folders.write(&format!("a/{number}"), &text.replace("line", &format!("l{number}")))
    });
    folders.sync(args![]).expect_code(0);
    // No more than some megabytes are kept for merging.
    folders.write("a/9", "from a\n");
    folders.write("b/9", "from b\n");
    folders.sync(args![]).expect_code(9);
    let shown = folders.run(args!["conflicts", "a"]).expect_code(0).out.join("\n");
    assert!(shown.contains("merge       not possible: what both folders had last was not kept"), "{shown}");
    let refused = folders.run(args!["resolve", "a/9", "merge"]).expect_code(2);
    let [id] = &folders.conflicts()[..] else { panic!("not one conflict") };
    assert!(refused.failure_line().contains(&format!("swarm resolve {id} FILE")), "{refused:#?}");
    folders.write("mine", "my own");
    check(&folders, "mine", &[]);
    assert_eq!(folders.read("b/9"), "my own");
}
