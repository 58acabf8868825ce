//! Names that a side cannot hold.

use std::collections::BTreeSet;

use expect_test::expect;

use super::{check_chosen_with, check_undone, check_with, pair, pair_of, windows};
use crate::model::describe;
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
    let planned = |strategy| {
        let policy = Policy { strategy, copy_label: "L".to_owned(), ..windows() };
        let plan = crate::plan(&pair.differences(), &policy);
        check_undone(&pair, &plan);
        let put: Vec<String> = plan.ops.remote.iter().map(|op| op.path.as_str().to_owned()).collect();
        let held: Vec<String> = plan.conflicts.iter().map(|one| one.path.as_str().to_owned()).collect();
        (put, held)
    };
    for strategy in Strategy::ALL.into_iter().filter(|strategy| *strategy != Strategy::KeepBoth) {
        assert_eq!(planned(strategy), (vec!["e\u{301}".to_owned()], vec!["\u{e9}".to_owned()]));
    }
    let both = ["e\u{301}", "\u{e9} (conflict L)"].map(str::to_owned);
    assert_eq!(planned(Strategy::KeepBoth), (both.to_vec(), Vec::new()));
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
/// Every name that a side cannot hold: in another case, reserved, with a character that Windows forbids, too long.
const UNFIT: &str = "local: d/ d/A=1 d/a=2 nul=5 q?=6 a-name-that-is-long=7@9";

fn short_names() -> Policy {
    let mut policy = windows();
    policy.names.remote.name_len_max = Some(16);
    policy
}

#[test]
fn a_strategy_decides_about_names_only_where_nothing_is_lost() {
    let strategies =
        [Strategy::Manual, Strategy::KeepLocal, Strategy::KeepRemote, Strategy::AutoMerge, Strategy::Newer];
    let plan_of = |strategy| {
        let pair = pair_of("base:", UNFIT, "remote:");
        describe(&crate::plan(&pair.differences(), &Policy { strategy, ..short_names() }))
    };
    let plans: BTreeSet<String> = strategies.into_iter().map(plan_of).collect();
    assert_eq!(plans.len(), 1, "{plans:#?}");
    check_with(
        &short_names(),
        "base:",
        UNFIT,
        "remote:",
        expect![[r#"
            remote: make d/
            remote: put d/A=1
            Name a-name-that-is-long: a-name-that-is-long=7 | nothing (the name has 19 bytes, and 16 is the most there)
            Name d/a: d/a=2 | nothing (A is the same name there)
            Name nul: nul=5 | nothing (Windows refuses the name)
            Name q?: q?=6 | nothing (Windows refuses the name)
        "#]],
    );
    let both = Policy { strategy: Strategy::KeepBoth, ..short_names() };
    check_with(
        &both,
        "base:",
        UNFIT,
        "remote:",
        expect![[r#"
            local: move a-name-that-is-long -> a-n (conflict L)
            local: move d/a -> d/a (conflict L)
            local: move nul -> nul (conflict L)
            local: move q? -> q_ (conflict L)
            remote: make d/
            remote: put a-n (conflict L)=7 from a-name-that-is-long
            remote: put d/A=1
            remote: put d/a (conflict L)=2 from d/a
            remote: put nul (conflict L)=5 from nul
            remote: put q_ (conflict L)=6 from q?
        "#]],
    );
}

#[test]
fn a_choice_about_a_name_can_be_each() {
    let (base, remote) = ("base:", "remote:");
    check_chosen_with(
        &short_names(),
        Choice::KeepLocal,
        base,
        UNFIT,
        remote,
        expect![[r#"
            remote: make d/
            remote: put d/A=1
            Name a-name-that-is-long: a-name-that-is-long=7 | nothing (the name has 19 bytes, and 16 is the most there)
            Name d/a: d/a=2 | nothing (A is the same name there)
            Name nul: nul=5 | nothing (Windows refuses the name)
            Name q?: q?=6 | nothing (Windows refuses the name)
        "#]],
    );
    check_chosen_with(
        &short_names(),
        Choice::KeepRemote,
        base,
        UNFIT,
        remote,
        expect![[r#"
            local: remove q?
            local: remove nul
            local: remove d/a
            local: remove a-name-that-is-long
            remote: make d/
            remote: put d/A=1
        "#]],
    );
    check_chosen_with(
        &short_names(),
        Choice::KeepBoth,
        base,
        UNFIT,
        remote,
        expect![[r#"
            local: move a-name-that-is-long -> a-n (conflict L)
            local: move d/a -> d/a (conflict L)
            local: move nul -> nul (conflict L)
            local: move q? -> q_ (conflict L)
            remote: make d/
            remote: put a-n (conflict L)=7 from a-name-that-is-long
            remote: put d/A=1
            remote: put d/a (conflict L)=2 from d/a
            remote: put nul (conflict L)=5 from nul
            remote: put q_ (conflict L)=6 from q?
        "#]],
    );
}

#[test]
fn names_of_moved_entries_are_decided_like_those_of_new_ones() {
    let (base, local, remote) = (
        "base: a=1#1 b=2#2 d/#3 d/x=1#4",
        "local: nul=1#1 A=2#2 q?/#3 q?/x=1#4",
        "remote: a=1#1 b=2#2 d/#3 d/x=1#4",
    );
    check_with(
        &short_names(),
        base,
        local,
        remote,
        expect![[r#"
        Name A: A=2 | b=2 (a is the same name there)
        Name nul: nul=1 | a=1 (Windows refuses the name)
        Name q?: q?/ | d/ (Windows refuses the name)
    "#]],
    );
    let both = Policy { strategy: Strategy::KeepBoth, ..short_names() };
    check_with(
        &both,
        base,
        local,
        remote,
        expect![[r#"
        local: move nul -> nul (conflict L)
        local: move q? -> q_ (conflict L)
        remote: move a -> nul (conflict L)
        remote: move b -> A
        remote: move d -> q_ (conflict L)
    "#]],
    );
}
