//! Moves: found, merged, put in order.

use expect_test::expect;

use super::check;
use crate::model::{Pair, read_tree};
use crate::{PerSide, Policy};

#[test]
fn a_moved_file_is_moved_on_the_other_side() {
    check(
        "base: a=1#1",
        "local: b=1#1",
        "remote: a=1#8",
        expect![[r"
        remote: move a -> b
    "]],
    );
    check(
        "base: a=1",
        "local: b=1",
        "remote: a=1",
        expect![[r"
        remote: move a -> b
    "]],
    );
    check(
        "base: d/ d/a=1#1",
        "local: d/ e/ e/f/ e/f/b=1#1",
        "remote: d/ d/a=1#8",
        expect![[r"
        remote: make e/
        remote: make e/f/
        remote: move d/a -> e/f/b
    "]],
    );
}

#[test]
fn a_number_that_is_used_again_is_no_move() {
    check(
        "base: a=1#1",
        "local: b=2#1",
        "remote: a=1#8",
        expect![[r"
        remote: put b=2
        remote: remove a
    "]],
    );
}

#[test]
fn an_empty_file_is_no_evidence_of_a_move() {
    check(
        "base: a=0",
        "local: b=0",
        "remote: a=0",
        expect![[r"
        remote: put b=0
        remote: remove a
    "]],
    );
}

#[test]
fn a_moved_folder_is_one_move() {
    check(
        "base: d/#1 d/x=1#2 d/s/#3 d/s/y=2#4",
        "local: e/#1 e/x=1#2 e/s/#3 e/s/y=2#4",
        "remote: d/#5 d/x=1#6 d/s/#7 d/s/y=2#8",
        expect![[r"
            remote: move d -> e
        "]],
    );
    check(
        "base: d/ d/x=1 d/s/ d/s/y=2",
        "local: e/ e/x=1 e/s/ e/s/y=2",
        "remote: d/ d/x=1 d/s/ d/s/y=2",
        expect![[r"
            remote: move d -> e
        "]],
    );
}

#[test]
fn children_that_changed_or_left_a_moved_folder_are_told_apart() {
    check(
        "base: d/#1 d/x=1#2 d/y=2#3 d/z=3#4",
        "local: e/#1 e/x=4#2 e/new=5#9 y=2#3",
        "remote: d/#5 d/x=1#6 d/y=2#7 d/z=3#8",
        expect![[r"
            remote: move d -> e
            remote: move e/y -> y
            remote: put e/new=5
            remote: replace e/x=4
            remote: remove e/z
        "]],
    );
}

#[test]
fn an_edit_follows_a_file_that_was_moved() {
    check(
        "base: a=1#1",
        "local: b=1#1",
        "remote: a=2#8",
        expect![[r"
        local: replace b=2 from a
        remote: move a -> b
    "]],
    );
    check(
        "base: d/ d/x=1",
        "local: e/ e/x=1",
        "remote: d/ d/x=2",
        expect![[r"
        local: replace e/x=2 from d/x
        remote: move d -> e
    "]],
    );
    check(
        "base: d/#1 d/x=1#2",
        "local: e/#1 e/x=2#2",
        "remote: d/#5 d/x=3#6",
        expect![[r"
        remote: move d -> e
        SimultaneousEdit e/x: e/x=2 | e/x=3
    "]],
    );
}

#[test]
fn what_is_new_in_a_folder_follows_it() {
    check(
        "base: d/#1 d/x=1#2",
        "local: e/#1 e/x=1#2 e/a=3#9",
        "remote: d/#5 d/x=1#6 d/b=4#7",
        expect![[r"
            local: put e/b=4 from d/b
            remote: move d -> e
            remote: put e/a=3
        "]],
    );
}

#[test]
fn both_sides_move_different_entries() {
    check(
        "base: d/#1 d/x=1#2 e/#3 e/y=2#4",
        "local: f/#1 f/x=1#2 e/#3 e/y=2#4",
        "remote: d/#5 d/x=1#6 g/#7 g/y=2#8",
        expect![[r"
            local: move e -> g
            remote: move d -> f
        "]],
    );
    check(
        "base: d/#1 d/s/#2 d/s/x=1#3",
        "local: e/#1 e/s/#2 e/s/x=1#3",
        "remote: d/#5 d/t/#6 d/t/x=1#7",
        expect![[r"
            local: move e/s -> e/t
            remote: move d -> e
            agreed: d/s d/s/x
        "]],
    );
}

#[test]
fn two_files_swap_their_names() {
    check(
        "base: a=1#1 b=2#2",
        "local: a=2#2 b=1#1",
        "remote: a=1#8 b=2#9",
        expect![[r#"
            remote: move b -> .swarm-move-50431693
            remote: move a -> b
            remote: move .swarm-move-50431693 -> a
        "#]],
    );
    check(
        "base: a=1#1 b=2#2",
        "local: a=2#2 b=1#1",
        "remote: a=3#8 b=2#9",
        expect![[r#"
            local: replace b=3 from a
            remote: move b -> .swarm-move-50431693
            remote: move a -> b
            remote: move .swarm-move-50431693 -> a
        "#]],
    );
}

#[test]
fn two_folders_swap_their_names() {
    check(
        "base: a/#1 a/x=1#2 b/#3 b/y=2#4",
        "local: a/#3 a/y=2#4 b/#1 b/x=1#2",
        "remote: a/#5 a/x=1#6 b/#7 b/y=2#8",
        expect![[r"
            remote: move b/y -> a/y
            remote: move a/x -> b/x
        "]],
    );
}

#[test]
fn a_chain_of_moves_starts_at_its_end() {
    check(
        "base: a=1#1 b=2#2 c=3#3",
        "local: b=1#1 c=2#2 d=3#3",
        "remote: a=1#7 b=2#8 c=3#9",
        expect![[r"
        remote: move c -> d
        remote: move b -> c
        remote: move a -> b
    "]],
    );
}

#[test]
fn a_circle_of_moves_goes_through_a_name_of_its_own() {
    check(
        "base: a=1#1 b=2#2 c=3#3",
        "local: b=1#1 c=2#2 a=3#3",
        "remote: a=1#7 b=2#8 c=3#9",
        expect![[r#"
            remote: move c -> .swarm-move-b30c13bf
            remote: move b -> c
            remote: move a -> b
            remote: move .swarm-move-b30c13bf -> a
        "#]],
    );
}

#[test]
fn a_folder_and_its_child_change_places() {
    check(
        "base: a/#1 a/b/#2 a/b/x=1#3 a/y=2#4",
        "local: b/#2 b/a/#1 b/x=1#3 b/a/y=2#4",
        "remote: a/#5 a/b/#6 a/b/x=1#7 a/y=2#8",
        expect![[r"
            remote: move a/b -> b
            remote: move a -> b/a
        "]],
    );
}

#[test]
fn a_saved_file_keeps_its_name_though_its_old_version_was_renamed() {
    check(
        "base: a=1#1",
        "local: a=2#2 old=1#1",
        "remote: a=1#8",
        expect![[r"
        remote: move a -> old
        remote: put a=2
    "]],
    );
    check(
        "base: a=1#1",
        "local: a=2#2 old=1#1",
        "remote: a=3#8",
        expect![[r"
        remote: put old=1
        SimultaneousEdit a: a=2 | a=3
    "]],
    );
}

#[test]
fn moved_to_two_places_is_a_conflict() {
    check(
        "base: a=1#1",
        "local: b=1#1",
        "remote: c=1#1",
        expect![[r"
        Structure b: b=1 | c=1 (moved to b and to c)
    "]],
    );
    check(
        "base: d/#1 d/x=1#2",
        "local: e/#1 e/x=1#2",
        "remote: f/#1 f/x=3#2",
        expect![[r"
        Structure e: e/ | f/ (moved to e and to f)
    "]],
    );
}

#[test]
fn two_entries_moved_onto_one_name_are_a_conflict() {
    check(
        "base: a=1#1 b=2#2",
        "local: c=1#1 b=2#2",
        "remote: a=1#1 c=2#2",
        expect![[r"
        Structure c: c=1 | c=2 (two entries have this name) holds a b
    "]],
    );
    check(
        "base: a=1#1",
        "local: c=1#1",
        "remote: a=1#1 c=2#2",
        expect![[r"
        Structure c: c=1 | c=2 (two entries have this name) holds a
    "]],
    );
}

#[test]
fn the_same_bytes_at_one_place_are_agreed_however_they_came_there() {
    check(
        "base: a=1#1 b=1#2",
        "local: c=1#1 b=1#2",
        "remote: a=1#1 c=1#2",
        expect![[r"
        local: remove b
        remote: remove a
        agreed: c
    "]],
    );
}

#[test]
fn folders_moved_into_each_other_are_a_conflict() {
    check(
        "base: p/#1 p/x=1#2 q/#3 q/y=2#4",
        "local: q/#3 q/y=2#4 q/p/#1 q/p/x=1#2",
        "remote: p/#1 p/x=1#2 p/q/#3 p/q/y=2#4",
        expect![[r"
            Structure q/p: q/p/ | p/q/ (folders were moved into each other) holds p q
        "]],
    );
}

#[test]
fn moved_here_and_deleted_there_is_a_conflict() {
    check(
        "base: d/#1 d/x=1#2",
        "local: e/#1 e/x=1#2",
        "remote:",
        expect![[r"
        Deletion e: e/ | nothing
    "]],
    );
    check(
        "base: a=1#1",
        "local:",
        "remote: b=1#1",
        expect![[r"
        Deletion b: nothing | b=1
    "]],
    );
}

#[test]
fn a_chain_of_ten_thousand_moves_is_planned() {
    let name = |number: usize| format!("f{number:05}");
    let tree = |shift: usize| {
        let words: Vec<String> =
            (0..10_000).map(|n| format!("{}={}#{}", name(n + shift), n + 1, n + 1)).collect();
        read_tree(&words.join(" "))
    };
    let mut pair = Pair::of(PerSide { local: tree(0), remote: tree(0) });
    pair.trees.local = tree(1);
    let plan = pair.run(&Policy::default()).expect("each operation is possible");
    assert_eq!((plan.ops.local.len(), plan.ops.remote.len()), (0, 10_000));
    assert!(pair.unequal().is_empty());
}

#[test]
fn a_file_that_both_have_at_its_new_name_is_agreed_though_its_old_name_was_edited_on_one_side() {
    check(
        "base: a=1#1 e/",
        "local: e/ e/a=1#9",
        "remote: a=2#5 e/ e/a=1#1",
        expect![[r"
        agreed: e/a
        Deletion a: nothing | a=2
    "]],
    );
}

#[test]
fn a_folder_moved_to_where_the_other_side_has_the_same_is_agreed_there() {
    check(
        "base: d/#1 d/x=1#2",
        "local: d/#1 d/x=1#2 e/#3 e/x=2#4",
        "remote: e/#1 e/x=2#2",
        expect![[r#"
        local: remove d/x
        local: remove d
        agreed: e e/x
    "#]],
    );
    check(
        "base: d/#1 d/x=1#2",
        "local: d/#1 d/x=3#2 e/#3 e/x=1#4",
        "remote: e/#1 e/x=1#2",
        expect![[r#"
        agreed: e e/x
        Deletion d/x: d/x=3 | nothing
    "#]],
    );
}

#[test]
fn a_name_for_the_time_of_a_run_is_one_that_nothing_has() {
    check(
        "base: a=1#1 b=2#2",
        "local: a=2#2 b=1#1",
        "remote: a=1#8 b=2#9 .swarm-move-50431693=3#7",
        expect![[r#"
            local: put .swarm-move-50431693=3
            remote: move b -> .swarm-move-97b7afb3
            remote: move a -> b
            remote: move .swarm-move-97b7afb3 -> a
        "#]],
    );
}
