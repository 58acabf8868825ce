//! Names that a side cannot hold.

use expect_test::expect;

use super::{check_chosen_with, check_with, pair, windows};
use crate::{Choice, Direction, Policy, Strategy, TreePath};

#[test]
fn names_that_a_side_cannot_hold_are_conflicts_and_the_rest_goes_on() {
    check_with(
        &windows(),
        "base:",
        "local: aux.txt=1 b=2 d/ d/a?=3",
        "remote: c=1",
        expect![[r"
        local: put c=1
        remote: make d/
        remote: put b=2
        Name aux.txt: aux.txt=1 | nothing (Windows refuses the name)
        Name d/a?: d/a?=3 | nothing (Windows refuses the name)
    "]],
    );
    check_with(
        &windows(),
        "base:",
        "local: A=1 a=2 b=3",
        "remote:",
        expect![[r"
        remote: put A=1
        remote: put b=3
        Name a: a=2 | nothing (A is the same name there)
    "]],
    );
}

#[test]
fn two_forms_of_one_name_are_one_name_there() {
    let pair = pair("", "\u{e9}=1 e\u{301}=2", "");
    let plan = crate::plan(&pair.differences(), &windows());
    let put: Vec<&str> = plan.ops.remote.iter().map(|op| op.path.as_str()).collect();
    let held: Vec<&str> = plan.conflicts.iter().map(|conflict| conflict.path.as_str()).collect();
    assert_eq!((put, held), (vec!["e\u{301}"], vec!["\u{e9}"]));
}

#[test]
fn unchanged_names_that_the_policy_tells_of_are_minded() {
    let standing = vec![TreePath::new("d/a").expect("a path")];
    let policy = Policy { standing, ..windows() };
    check_with(
        &policy,
        "base: d/ d/a=1",
        "local: d/ d/a=1 d/A=2",
        "remote: d/ d/a=1",
        expect![[r"
        Name d/A: d/A=2 | nothing (a is the same name there)
    "]],
    );
}

#[test]
fn a_name_may_change_its_case_alone() {
    check_with(
        &windows(),
        "base: a=1#1",
        "local: A=1#1",
        "remote: a=1#8",
        expect![[r"
        remote: move a -> A
    "]],
    );
    check_with(
        &windows(),
        "base: d/ a=1#1",
        "local: d/ A=2#2",
        "remote: d/ a=1#8",
        expect![[r"
        remote: remove a
        remote: put A=2
    "]],
    );
}

#[test]
fn two_names_that_are_one_and_were_both_seen_on_a_side_are_planned_to_an_end() {
    // A folder was renamed to its other case while it was walked.
    let standing = vec![TreePath::new("E").expect("a path")];
    let policy = Policy { standing, ..windows() };
    check_with(
        &policy,
        "base: E/",
        "local: E/",
        "remote: E/ e/",
        expect![[r#"
            local: make e/
        "#]],
    );
}

#[test]
fn a_mirror_makes_no_copies_of_names_that_it_cannot_hold() {
    let policy = Policy { strategy: Strategy::KeepBoth, direction: Direction::ToRemote, ..windows() };
    check_with(
        &policy,
        "base:",
        "local: A=1 a=2",
        "remote:",
        expect![[r#"
            remote: put A=1
            Name a: a=2 | nothing (A is the same name there)
        "#]],
    );
}

#[test]
fn a_conflict_that_ends_at_a_name_which_a_side_cannot_hold_is_decided_by_a_choice() {
    let (base, local, remote) =
        ("base: a=3#1 e=2#2 A=3#3", "local: A=3#3 a=9#4 f=5#2", "remote: A=3#3 f=3#1");
    let standing = vec![TreePath::new("A").expect("a path")];
    let policy = Policy { strategy: Strategy::KeepLocal, standing, ..windows() };
    check_with(
        &policy,
        base,
        local,
        remote,
        expect![[r#"
            agreed: e
            Structure f: f=5 | f=3 (two entries have this name) holds a
        "#]],
    );
    check_chosen_with(
        &policy,
        Choice::KeepRemote,
        base,
        local,
        remote,
        expect![[r#"
            local: remove f
            local: move a -> f
            remote: replace f=9 from a
            agreed: e
        "#]],
    );
    check_chosen_with(
        &policy,
        Choice::KeepBoth,
        base,
        local,
        remote,
        expect![[r#"
            local: move a -> f (conflict L)
            remote: move f -> f (conflict L)
            remote: put f=5
            remote: replace f (conflict L)=9 from a
            agreed: e
        "#]],
    );
}
