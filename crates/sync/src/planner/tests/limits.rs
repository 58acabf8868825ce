//! Mirrors, blind places, the guard.

use expect_test::expect;

use super::{approved, blind, check, check_with, mirror};
use crate::{Policy, Strategy, TreePath};

#[test]
fn a_mirror_makes_the_remote_side_equal_and_leaves_the_local_one() {
    check_with(
        &mirror(),
        "base: a=1 b=1 c=1 d/ d/x=1",
        "local: a=2 b=1 d/ d/x=1",
        "remote: a=3 c=2 d=4 e/ e/y=5",
        expect![[r"
            remote: remove d
            remote: make d/
            remote: replace a=2
            remote: put b=1
            remote: put d/x=1
            remote: remove e/y
            remote: remove e
            remote: remove c
        "]],
    );
    check_with(
        &mirror(),
        "base: a=1#1",
        "local: b=1#1",
        "remote: a=2#8",
        expect![[r"
        remote: move a -> b
        remote: replace b=1
    "]],
    );
}

#[test]
fn nothing_is_planned_where_a_side_is_blind() {
    check_with(
        &blind("d/x"),
        "base: d/ d/x=1 d/y=1 e/ e/z=1",
        "local: e/ e/z=2",
        "remote: d/ d/x=2 d/y=1 e/ e/z=1",
        expect![[r"
            remote: replace e/z=2
            remote: remove d/y
        "]],
    );
}

#[test]
fn a_folder_above_a_blind_place_does_not_move() {
    check_with(
        &blind("d/s"),
        "base: d/#1 d/x=1#2 d/s/#3",
        "local: e/#1 e/x=1#2 e/s/#3",
        "remote: d/#1 d/x=1#2 d/s/#3",
        expect![[r""]],
    );
}

#[test]
fn the_guard_holds_a_run_that_deletes_too_much() {
    check(
        "base: f0=1 f1=1 f2=1 f3=1 f4=1 f5=1 f6=1 f7=1",
        "local: f0=1",
        "remote: f0=1 f1=1 f2=1 f3=1 f4=1 f5=1 f6=1 f7=1",
        expect![[r"
            remote: remove f7
            remote: remove f6
            remote: remove f5
            remote: remove f4
            remote: remove f3
            remote: remove f2
            remote: remove f1
            held: remote deletes 7, replaces 0 of 8
        "]],
    );
    check(
        "base: f0=1 f1=1 f2=1 f3=1",
        "local:",
        "remote: f0=1 f1=1 f2=1 f3=1",
        expect![[r"
        remote: remove f3
        remote: remove f2
        remote: remove f1
        remote: remove f0
    "]],
    );
}

#[test]
fn moves_are_neither_deletions_nor_replacements() {
    check(
        "base: f0=1 f1=1 f2=1 f3=1 f4=1 f5=1 f6=1 f7=1",
        "local: g0=1 g1=1 g2=1 g3=1 g4=1 g5=1 g6=1 g7=1",
        "remote: f0=1 f1=1 f2=1 f3=1 f4=1 f5=1 f6=1 f7=1",
        expect![[r"
            remote: move f0 -> g0
            remote: move f1 -> g1
            remote: move f2 -> g2
            remote: move f3 -> g3
            remote: move f4 -> g4
            remote: move f5 -> g5
            remote: move f6 -> g6
            remote: move f7 -> g7
        "]],
    );
}

#[test]
fn an_approved_run_is_not_held() {
    check_with(
        &approved(),
        "base: f0=1 f1=1 f2=1 f3=1 f4=1 f5=1 f6=1 f7=1",
        "local:",
        "remote: f0=1 f1=1 f2=1 f3=1 f4=1 f5=1 f6=1 f7=1",
        expect![[r"
            remote: remove f7
            remote: remove f6
            remote: remove f5
            remote: remove f4
            remote: remove f3
            remote: remove f2
            remote: remove f1
            remote: remove f0
        "]],
    );
}

#[test]
fn nothing_is_done_with_a_base_that_contradicts_itself() {
    check(
        "base: a/c/#2 a/c/c=1#3",
        "local: a=1#3",
        "remote: a/#4 a/c/#2",
        expect![[r"
        Structure a: a=1 | a/ (two entries have this name)
    "]],
    );
}

/// A name that one side could not look at, and the next one that the other could not: neither is free for the copy.
#[test]
fn a_conflict_copy_goes_to_no_place_that_was_not_looked_at() {
    let mut policy = Policy { strategy: Strategy::KeepBoth, ..blind("a (conflict L) 2") };
    policy.blind.local = vec![TreePath::new("a (conflict L)").expect("a path")];
    check_with(
        &policy,
        "base:",
        "local: a=6",
        "remote: a/ a/a=1",
        expect![[r#"
            local: make a (conflict L) 3/
            local: put a (conflict L) 3/a=1 from a/a
            remote: move a -> a (conflict L) 3
            remote: put a=6
        "#]],
    );
}
