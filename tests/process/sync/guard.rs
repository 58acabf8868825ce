//! Runs that would delete or replace too much, and plans that somebody reviews.

use super::{Folders, number};
use crate::support::args;

/// A pair of a hundred files, sixty of which were deleted on one side.
fn folders() -> Folders {
    let folders = Folders::new();
    (0..100).for_each(|number| folders.write(&format!("a/{number}.txt"), &format!("text {number}")));
    folders.sync(args![]).expect_code(0);
    (0..60).for_each(|number| folders.remove(&format!("a/{number}.txt")));
    folders
}

#[test]
fn a_mass_deletion_is_held_and_undone_after_it_was_approved() {
    let folders = folders();
    let before = folders.tree("b");
    for flags in [args![], args!["--dry-run"]] {
        let held = folders.sync(flags).expect_code(9);
        let line = held.failure_line();
        for part in ["held", "delete 60 of 100 paths in b", "--dry-run", "--max-delete 60", "--plan"] {
            assert!(line.contains(part), "no `{part}` in {line}");
        }
        assert_eq!(folders.tree("b"), before, "nothing was done");
    }
    folders.sync(args!["--max-delete", "59"]).expect_code(9);
    folders.sync(args!["--max-delete", "60"]).expect_code(0);
    folders.assert_same();
    assert_eq!(folders.tree("b").len(), 40);
    folders.run(args!["undo", "--pair", "a"]).expect_code(0);
    assert_eq!(folders.tree("b"), before, "all are back, byte by byte");
    folders.sync(args!["--max-delete", "100%"]).expect_code(0);
    folders.assert_same();
}

#[test]
fn a_share_approves_too_and_json_has_the_numbers() {
    let folders = folders();
    let held = folders.sync(args!["--json"]).expect_code(9);
    let plan = held.events("plan").pop().expect("a line");
    let numbers = ["deleted", "replaced", "total"].map(|field| number(&plan["held"], field));
    assert_eq!((numbers, &plan["held"]["side"]), ([60, 0, 100], &"remote".into()));
    assert_eq!(held.events("error")[0]["code"], 9);
    folders.sync(args!["--max-delete", "60%"]).expect_code(0);
    folders.assert_same();
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let folders = Folders::agreed(&["edited", "deleted", "moved", "kept"]);
    folders.write("a/edited", "edited in a");
    folders.write("a/new", "new");
    folders.rename("a/moved", "a/elsewhere");
    folders.remove("b/deleted");
    let (a, b) = (folders.tree("a"), folders.tree("b"));
    let planned = folders.sync(args!["--dry-run"]).expect_code(0);
    let said = planned.out.join("\n");
    for part in [
        "in b:",
        "new      new",
        "changed  edited",
        "moved    moved -> elsewhere",
        "in a:",
        "deleted  deleted",
    ] {
        assert!(said.contains(part), "no `{part}` in:\n{said}");
    }
    assert_eq!(
        planned.out.last().map(String::as_str),
        Some("1 new, 1 changed, 1 moved -> b; 1 deleted -> a")
    );
    let lines = folders.sync(args!["--dry-run", "--json"]).expect_code(0);
    assert_eq!(lines.events("operation").len(), 4, "{lines:#?}");
    assert_eq!((folders.tree("a"), folders.tree("b")), (a, b));
}

#[test]
fn a_reviewed_plan_is_carried_out_where_it_still_holds() {
    let folders = folders();
    folders.write("a/99.txt", "edited");
    folders.sync(args!["--plan-out", "plan.json"]).expect_code(0);
    assert_eq!(folders.tree("b").len(), 100, "writing a plan does nothing");
    let refused = folders.sync(args!["--plan-out", "plan.json"]).expect_code(4);
    assert!(refused.failure_line().contains("plan.json"), "{refused:#?}");
    // Somebody goes on working.
    folders.write("b/0.txt", "edited after the review");
    folders.write("a/later.txt", "made after the review");
    let done = folders.sync(args!["--plan", "plan.json"]);
    assert_eq!(folders.read("b/0.txt"), "edited after the review", "{done:#?}");
    assert_eq!(folders.read("b/99.txt"), "edited");
    assert!(!folders.path("b/1.txt").exists() && !folders.path("b/later.txt").exists());
    // What was left alone is looked at anew.
    folders.sync(args!["--resolve", "keep-remote"]).expect_code(0);
    folders.assert_same();
    assert_eq!(folders.read("a/0.txt"), "edited after the review");
}

#[test]
fn a_file_that_is_no_plan_is_refused() {
    let folders = Folders::agreed(&["one"]);
    folders.write("plan.json", "{\"a\": 1}");
    folders.write("binary", "\0");
    for name in ["plan.json", "binary", "missing", "a"] {
        let refused = folders.sync(args!["--plan", name]).expect_code(2);
        assert!(refused.failure_line().contains(name), "{refused:#?}");
    }
    let other = Folders::agreed(&["two"]);
    other.write("a/new", "new");
    other.sync(args!["--plan-out", folders.path("other.json")]).expect_code(0);
    let refused = folders.sync(args!["--plan", "other.json"]).expect_code(2);
    assert!(refused.failure_line().contains("other.json"), "{refused:#?}");
}

#[test]
fn a_plan_that_names_what_no_plan_has_is_refused_whole() {
    let folders = Folders::agreed(&["one"]);
    folders.write("a/new", "new");
    folders.write("a/two", "two");
    folders.sync(args!["--plan-out", "plan.json"]).expect_code(0);
    let plan = folders.read("plan.json");
    let long = "x/".repeat(3000) + "x";
    let paths = [
        (".swarm", "`.swarm`"),
        (".swarm/versions/x", "`.swarm/versions/x`"),
        ("../x", "`../x`"),
        ("a/../../x", "`a/../../x`"),
        ("/etc/x", "`/etc/x`"),
        ("a\\u0000b", "NUL"),
        ("", "empty"),
        ("a//b", "`a//b`"),
        (&long, "longer than 4096 bytes"),
    ];
    for (path, part) in paths {
        folders.write("hostile.json", &plan.replace("\"new\"", &format!("\"{path}\"")));
        let refused = folders.sync(args!["--plan", "hostile.json"]).expect_code(2);
        let line = refused.failure_line();
        assert!(line.contains("`hostile.json` is no plan") && line.contains(part), "{path}: {line}");
        assert_eq!(folders.tree("b").len(), 1, "nothing was done");
    }
    folders.sync(args!["--plan", "plan.json"]).expect_code(0);
    folders.assert_same();
}
