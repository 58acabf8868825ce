//! Every kind of conflict with every strategy, and choices.

use expect_test::expect;

use super::{check_chosen, check_with, pair, with};
use crate::model::{describe, read_tree};
use crate::{Choice, ContentHash, Entry, Policy, Side, Strategy};

#[test]
fn keep_local_settles_each_kind_of_conflict() {
    check_with(
        &with(Strategy::KeepLocal),
        "base: a.txt=1@1",
        "local: a.txt=2@3",
        "remote: a.txt=3@2",
        expect![[r"
            remote: replace a.txt=2
        "]],
    );
    check_with(
        &with(Strategy::KeepLocal),
        "base: a=1",
        "local:",
        "remote: a=2",
        expect![[r"
        remote: remove a
    "]],
    );
    check_with(
        &with(Strategy::KeepLocal),
        "base: a=1#1",
        "local: b=1#1@2",
        "remote: c=1#1@3",
        expect![[r"
            remote: move c -> b
            agreed: a
        "]],
    );
    check_with(
        &with(Strategy::KeepLocal),
        "base: a=1#1 b=2#2",
        "local: c=1#1@2 b=2#2",
        "remote: a=1#1 c=2#2@3",
        expect![[r"
            remote: move c -> b
            remote: move a -> c
        "]],
    );
    check_with(
        &with(Strategy::KeepLocal),
        "base:",
        "local: a=1@1",
        "remote: a/@2 a/x=2",
        expect![[r"
        remote: remove a/x
        remote: remove a
        remote: put a=1
    "]],
    );
    check_with(
        &with(Strategy::KeepLocal),
        "base: p/#1 p/x=1#2 q/#3 q/y=2#4",
        "local: q/#3 q/y=2#4 q/p/#1 q/p/x=1#2",
        "remote: p/#1 p/x=1#2 p/q/#3 p/q/y=2#4",
        expect![[r"
            remote: move p/q -> q
            remote: move p -> q/p
        "]],
    );
    check_with(
        &with(Strategy::KeepLocal),
        "base: d/#1 d/x=1#2",
        "local: e/#1 e/x=1#2",
        "remote:",
        expect![[r"
            remote: make e/
            remote: put e/x=1
            agreed: d d/x
        "]],
    );
}

#[test]
fn keep_remote_settles_each_kind_of_conflict() {
    check_with(
        &with(Strategy::KeepRemote),
        "base: a.txt=1@1",
        "local: a.txt=2@3",
        "remote: a.txt=3@2",
        expect![[r"
            local: replace a.txt=3
        "]],
    );
    check_with(
        &with(Strategy::KeepRemote),
        "base: a=1",
        "local:",
        "remote: a=2",
        expect![[r"
        local: put a=2
    "]],
    );
    check_with(
        &with(Strategy::KeepRemote),
        "base: a=1#1",
        "local: b=1#1@2",
        "remote: c=1#1@3",
        expect![[r"
            local: move b -> c
            agreed: a
        "]],
    );
    check_with(
        &with(Strategy::KeepRemote),
        "base: a=1#1 b=2#2",
        "local: c=1#1@2 b=2#2",
        "remote: a=1#1 c=2#2@3",
        expect![[r"
            local: move c -> a
            local: move b -> c
        "]],
    );
    check_with(
        &with(Strategy::KeepRemote),
        "base:",
        "local: a=1@1",
        "remote: a/@2 a/x=2",
        expect![[r"
        local: remove a
        local: make a/
        local: put a/x=2
    "]],
    );
    check_with(
        &with(Strategy::KeepRemote),
        "base: p/#1 p/x=1#2 q/#3 q/y=2#4",
        "local: q/#3 q/y=2#4 q/p/#1 q/p/x=1#2",
        "remote: p/#1 p/x=1#2 p/q/#3 p/q/y=2#4",
        expect![[r"
            local: move q/p -> p
            local: move q -> p/q
        "]],
    );
    check_with(
        &with(Strategy::KeepRemote),
        "base: d/#1 d/x=1#2",
        "local: e/#1 e/x=1#2",
        "remote:",
        expect![[r"
            local: remove e/x
            local: remove e
            agreed: d d/x
        "]],
    );
}

#[test]
fn newer_settles_each_kind_of_conflict() {
    check_with(
        &with(Strategy::Newer),
        "base: a.txt=1@1",
        "local: a.txt=2@3",
        "remote: a.txt=3@2",
        expect![[r"
            remote: replace a.txt=2
        "]],
    );
    check_with(
        &with(Strategy::Newer),
        "base: a=1",
        "local:",
        "remote: a=2",
        expect![[r"
        local: put a=2
    "]],
    );
    check_with(
        &with(Strategy::Newer),
        "base: a=1#1",
        "local: b=1#1@2",
        "remote: c=1#1@3",
        expect![[r"
        local: move b -> c
        agreed: a
    "]],
    );
    check_with(
        &with(Strategy::Newer),
        "base: a=1#1 b=2#2",
        "local: c=1#1@2 b=2#2",
        "remote: a=1#1 c=2#2@3",
        expect![[r"
            local: move c -> a
            local: move b -> c
        "]],
    );
    check_with(
        &with(Strategy::Newer),
        "base:",
        "local: a=1@1",
        "remote: a/@2 a/x=2",
        expect![[r"
        local: remove a
        local: make a/
        local: put a/x=2
    "]],
    );
    check_with(
        &with(Strategy::Newer),
        "base: p/#1 p/x=1#2 q/#3 q/y=2#4",
        "local: q/#3 q/y=2#4 q/p/#1 q/p/x=1#2",
        "remote: p/#1 p/x=1#2 p/q/#3 p/q/y=2#4",
        expect![[r"
            remote: move p/q -> q
            remote: move p -> q/p
        "]],
    );
    check_with(
        &with(Strategy::Newer),
        "base: d/#1 d/x=1#2",
        "local: e/#1 e/x=1#2",
        "remote:",
        expect![[r"
            remote: make e/
            remote: put e/x=1
            agreed: d d/x
        "]],
    );
}

#[test]
fn keep_both_settles_each_kind_of_conflict() {
    check_with(
        &with(Strategy::KeepBoth),
        "base: a.txt=1@1",
        "local: a.txt=2@3",
        "remote: a.txt=3@2",
        expect![[r"
            local: put a (conflict L).txt=3 from a.txt
            remote: move a.txt -> a (conflict L).txt
            remote: put a.txt=2
        "]],
    );
    check_with(
        &with(Strategy::KeepBoth),
        "base: a=1",
        "local:",
        "remote: a=2",
        expect![[r"
        local: put a=2
    "]],
    );
    check_with(
        &with(Strategy::KeepBoth),
        "base: a=1#1",
        "local: b=1#1@2",
        "remote: c=1#1@3",
        expect![[r"
        local: put c=1
        remote: put b=1
        agreed: a
    "]],
    );
    check_with(
        &with(Strategy::KeepBoth),
        "base: a=1#1 b=2#2",
        "local: c=1#1@2 b=2#2",
        "remote: a=1#1 c=2#2@3",
        expect![[r"
            local: move b -> c (conflict L)
            remote: move c -> c (conflict L)
            remote: move a -> c
        "]],
    );
    check_with(
        &with(Strategy::KeepBoth),
        "base:",
        "local: a=1@1",
        "remote: a/@2 a/x=2",
        expect![[r"
        local: make a (conflict L)/
        local: put a (conflict L)/x=2 from a/x
        remote: move a -> a (conflict L)
        remote: put a=1
    "]],
    );
    check_with(
        &with(Strategy::KeepBoth),
        "base: p/#1 p/x=1#2 q/#3 q/y=2#4",
        "local: q/#3 q/y=2#4 q/p/#1 q/p/x=1#2",
        "remote: p/#1 p/x=1#2 p/q/#3 p/q/y=2#4",
        expect![[r"
            remote: move p/q -> q
            remote: move p -> q/p
        "]],
    );
    check_with(
        &with(Strategy::KeepBoth),
        "base: d/#1 d/x=1#2",
        "local: e/#1 e/x=1#2",
        "remote:",
        expect![[r"
            remote: make e/
            remote: put e/x=1
            agreed: d d/x
        "]],
    );
}

#[test]
fn auto_merge_asks_for_texts_alone() {
    check_with(
        &with(Strategy::AutoMerge),
        "base: a.txt=1@1",
        "local: a.txt=2@3",
        "remote: a.txt=3@2",
        expect![[r"
            SimultaneousEdit a.txt: a.txt=2 | a.txt=3
            merge: a.txt
        "]],
    );
    check_with(
        &with(Strategy::AutoMerge),
        "base: a=1",
        "local:",
        "remote: a=2",
        expect![[r"
        Deletion a: nothing | a=2
    "]],
    );
    check_with(
        &with(Strategy::AutoMerge),
        "base: a=1#1",
        "local: b=1#1@2",
        "remote: c=1#1@3",
        expect![[r"
            Structure b: b=1 | c=1 (moved to b and to c)
        "]],
    );
    check_with(
        &with(Strategy::AutoMerge),
        "base: a=1#1 b=2#2",
        "local: c=1#1@2 b=2#2",
        "remote: a=1#1 c=2#2@3",
        expect![[r"
            Structure c: c=1 | c=2 (two entries have this name) holds a b
        "]],
    );
    check_with(
        &with(Strategy::AutoMerge),
        "base:",
        "local: a=1@1",
        "remote: a/@2 a/x=2",
        expect![[r"
        Structure a: a=1 | a/ (two entries have this name)
    "]],
    );
    check_with(
        &with(Strategy::AutoMerge),
        "base: p/#1 p/x=1#2 q/#3 q/y=2#4",
        "local: q/#3 q/y=2#4 q/p/#1 q/p/x=1#2",
        "remote: p/#1 p/x=1#2 p/q/#3 p/q/y=2#4",
        expect![[r"
            Structure q/p: q/p/ | p/q/ (folders were moved into each other) holds p q
        "]],
    );
    check_with(
        &with(Strategy::AutoMerge),
        "base: d/#1 d/x=1#2",
        "local: e/#1 e/x=1#2",
        "remote:",
        expect![[r"
            Deletion e: e/ | nothing
        "]],
    );
}

#[test]
fn a_copy_gets_a_name_that_is_free() {
    check_with(
        &with(Strategy::KeepBoth),
        "base:",
        "local: a.txt=1 A_(CONFLICT_L).TXT=5",
        "remote: a.txt=2",
        expect![[r"
            local: put a (conflict L) 2.txt=2 from a.txt
            remote: move a.txt -> a (conflict L) 2.txt
            remote: put A (CONFLICT L).TXT=5
            remote: put a.txt=1
        "]],
    );
    check_with(
        &with(Strategy::KeepBoth),
        "base:",
        "local: .a=1 b=1",
        "remote: .a=2 b=2",
        expect![[r"
        local: put .a (conflict L)=2 from .a
        local: put b (conflict L)=2 from b
        remote: move .a -> .a (conflict L)
        remote: move b -> b (conflict L)
        remote: put .a=1
        remote: put b=1
    "]],
    );
}

#[test]
fn equal_times_are_left_to_somebody() {
    check_with(
        &with(Strategy::Newer),
        "base: a=1@1",
        "local: a=2@3",
        "remote: a=3@3",
        expect![[r"
        SimultaneousEdit a: a=2 | a=3
    "]],
    );
}

#[test]
fn a_choice_comes_before_a_strategy_and_holds_for_what_was_seen_alone() {
    let mut pair = pair("a=1", "a=2", "a=3");
    let id = crate::plan(&pair.differences(), &Policy::default()).conflicts[0].id;
    let mut policy = with(Strategy::KeepRemote);
    policy.choices.insert(id, Choice::KeepLocal);
    let seen = describe(&crate::plan(&pair.differences(), &policy));
    expect![[r"
        remote: replace a=2
    "]]
    .assert_eq(&seen);
    pair.trees.remote = read_tree("a=4");
    let changed = describe(&crate::plan(&pair.differences(), &policy));
    expect![[r"
        local: replace a=4
    "]]
    .assert_eq(&changed);
}

#[test]
fn a_settled_content_is_put_on_both_sides() {
    for (base, local, remote) in [("a=1", "a=2", "a=3"), ("a=1", "a=2", ""), ("a=1#1", "b=1#1", "c=1#1")] {
        let mut pair = pair(base, local, remote);
        let mut policy = Policy::default();
        let id = crate::plan(&pair.differences(), &policy).conflicts[0].id;
        let settled = Choice::Settled { len: 1, hash: ContentHash::of(b"5"), executable: false };
        policy.choices.insert(id, settled);
        let plan = pair.run(&policy).expect("each operation is possible");
        assert!(plan.conflicts.is_empty(), "{}", describe(&plan));
        assert!(pair.unequal().is_empty(), "{}", describe(&plan));
        let has_it = |one: &Entry| one.file().is_some_and(|file| file.hash == ContentHash::of(b"5"));
        let is_settled = |side: Side| pair.trees.of(side).entries.values().any(has_it);
        assert!(is_settled(Side::Local) && is_settled(Side::Remote), "{}", describe(&plan));
    }
}

#[test]
fn a_folder_that_keeps_its_place_keeps_all_that_its_side_has() {
    let (base, local, remote) =
        ("base: a/ a/x=1 a/s/ a/s/y=2", "local: a/ a/x=5 a/s/ a/s/y=2 a/new=6", "remote: a->f");
    check_with(
        &with(Strategy::KeepLocal),
        base,
        local,
        remote,
        expect![[r#"
        remote: remove a
        remote: make a/
        remote: make a/s/
        remote: put a/new=6
        remote: put a/s/y=2
        remote: put a/x=5
    "#]],
    );
    check_with(
        &with(Strategy::KeepBoth),
        base,
        local,
        remote,
        expect![[r#"
        local: put a (conflict L)->f from a
        remote: move a -> a (conflict L)
        remote: make a/
        remote: make a/s/
        remote: put a/new=6
        remote: put a/s/y=2
        remote: put a/x=5
    "#]],
    );
    check_with(
        &with(Strategy::KeepRemote),
        base,
        local,
        remote,
        expect![[r#"
        local: remove a/new
        local: remove a/s/y
        local: remove a/s
        local: remove a/x
        local: remove a
        local: put a->f
        held: local deletes 5, replaces 0 of 5
    "#]],
    );
    check_chosen(
        Choice::KeepLocal,
        base,
        local,
        remote,
        expect![[r#"
        remote: remove a
        remote: make a/
        remote: make a/s/
        remote: put a/new=6
        remote: put a/s/y=2
        remote: put a/x=5
    "#]],
    );
    check_chosen(
        Choice::KeepBoth,
        base,
        local,
        remote,
        expect![[r#"
        local: put a (conflict L)->f from a
        remote: move a -> a (conflict L)
        remote: make a/
        remote: make a/s/
        remote: put a/new=6
        remote: put a/s/y=2
        remote: put a/x=5
    "#]],
    );
    check_chosen(
        Choice::KeepRemote,
        base,
        local,
        remote,
        expect![[r#"
        local: remove a/new
        local: remove a/s/y
        local: remove a/s
        local: remove a/x
        local: remove a
        local: put a->f
        held: local deletes 5, replaces 0 of 5
    "#]],
    );
}

#[test]
fn a_choice_about_a_folder_holds_for_all_below_it() {
    let (base, local, remote) = (
        "base: d/#1 d/x=1#2 d/y=1#3 d/z=1#4",
        "local: e/#1 e/x=2#2 e/y=1#3",
        "remote: f/#1 f/x=3#2 f/y=1#3 f/z=4#4",
    );
    check_chosen(
        Choice::KeepLocal,
        base,
        local,
        remote,
        expect![[r#"
        remote: move f -> e
        remote: replace e/x=2
        remote: remove e/z
        agreed: d d/x d/y d/z
    "#]],
    );
    check_chosen(
        Choice::KeepRemote,
        base,
        local,
        remote,
        expect![[r#"
        local: move e -> f
        local: replace f/x=3
        local: put f/z=4
        agreed: d d/x d/y d/z
    "#]],
    );
}

#[test]
fn what_was_moved_out_of_a_folder_that_loses_goes_on_with_what_is_new_in_it() {
    check_with(
        &with(Strategy::KeepLocal),
        "base: d/#1 d/x=1#2 d/s/#3 d/s/y=2#4",
        "local: e/#1 e/x=1#2 e/s/#3 e/s/y=2#4",
        "remote: s/#3 s/y=2#4 s/new=5#9",
        expect![[r#"
            local: move e/s -> s
            local: put s/new=5
            remote: make e/
            remote: put e/x=1
            agreed: d d/s d/s/y d/x
        "#]],
    );
    check_with(
        &with(Strategy::KeepRemote),
        "base: d/#1 d/x=1#2 d/s/#3 d/s/y=2#4",
        "local: e/#1 e/x=1#2 e/s/#3 e/s/y=2#4",
        "remote: s/#3 s/y=2#4 s/new=5#9",
        expect![[r#"
            local: move e/s -> s
            local: put s/new=5
            local: remove e/x
            local: remove e
            agreed: d d/s d/s/y d/x
        "#]],
    );
}

#[test]
fn a_folder_moved_to_two_places_stands_at_both_with_what_each_side_has() {
    let (base, local, remote) = (
        "base: d/#1 d/s/#2 d/s/x=1#3 d/y=2#4 d/g=3#5 d/h=4#6",
        "local: e/#1 e/s/#2 e/s/x=1#3 e/y=5#4 e/new=6#9 h=4#6",
        "remote: f/#1 f/s/#2 f/s/x=1#3 f/y=2#4 f/h=4#6 g=3#5",
    );
    check_with(
        &with(Strategy::KeepBoth),
        base,
        local,
        remote,
        expect![[r#"
        local: make f/
        local: make f/s/
        local: put f/h=4
        local: put f/s/x=1
        local: put f/y=2
        local: put g=3
        remote: make e/
        remote: make e/s/
        remote: put e/new=6
        remote: put e/s/x=1
        remote: put e/y=5
        remote: put h=4
        agreed: d d/g d/h d/s d/s/x d/y
    "#]],
    );
    check_chosen(
        Choice::KeepBoth,
        base,
        local,
        remote,
        expect![[r#"
        local: make f/
        local: make f/s/
        local: put f/h=4
        local: put f/s/x=1
        local: put f/y=2
        local: put g=3
        remote: make e/
        remote: make e/s/
        remote: put e/new=6
        remote: put e/s/x=1
        remote: put e/y=5
        remote: put h=4
        agreed: d d/g d/h d/s d/s/x d/y
    "#]],
    );
}
