//! The table of the planner, row by row, for entries that stay where they are.

use expect_test::expect;

use super::check;

#[test]
fn a_change_goes_to_the_side_that_has_none() {
    check(
        "base: a=1 b=1 c=1",
        "local: a=2 b=1 d/ d/x=3",
        "remote: a=1 b=2 c=1",
        expect![[r"
        local: replace b=2
        remote: make d/
        remote: replace a=2
        remote: put d/x=3
        remote: remove c
    "]],
    );
}

#[test]
fn the_same_change_on_both_is_agreed() {
    check(
        "base: a=1 b=1 c=1#3",
        "local: a=2 d=1#3 n/ n/x=1",
        "remote: a=2 d=1#9 n/ n/x=1",
        expect![[r"
        agreed: a b c d n n/x
    "]],
    );
    check(
        "base:",
        "local: a=1 d/ d/x=2",
        "remote: a=1 d/ d/x=2",
        expect![[r"
        agreed: a d d/x
    "]],
    );
}

#[test]
fn the_executable_bit_goes_without_the_bytes() {
    check(
        "base: a=1",
        "local: a=1*",
        "remote: a=1",
        expect![[r"
        remote: chmod +x a
    "]],
    );
    check(
        "base: a=1*",
        "local: a=1",
        "remote: a=1*",
        expect![[r"
        remote: chmod -x a
    "]],
    );
}

#[test]
fn bytes_of_one_side_and_the_bit_of_the_other_are_both_kept() {
    check(
        "base: a=1",
        "local: a=1*",
        "remote: a=2",
        expect![[r"
        local: replace a=2*
        remote: chmod +x a
    "]],
    );
    check(
        "base: a=1",
        "local: a=2",
        "remote: a=1*",
        expect![[r"
        local: chmod +x a
        remote: replace a=2*
    "]],
    );
}

#[test]
fn new_files_of_the_same_bytes_agree_in_the_bit() {
    check(
        "base:",
        "local: a=1*",
        "remote: a=1",
        expect![[r"
        remote: chmod +x a
    "]],
    );
}

#[test]
fn two_edits_are_a_conflict_that_blocks_nothing_else() {
    check(
        "base: a=1 b=1",
        "local: a=2 b=2",
        "remote: a=3 b=1",
        expect![[r"
        remote: replace b=2
        SimultaneousEdit a: a=2 | a=3
    "]],
    );
    check(
        "base:",
        "local: a=2",
        "remote: a=3",
        expect![[r"
        SimultaneousEdit a: a=2 | a=3
    "]],
    );
    check(
        "base: a=1",
        "local: a->x",
        "remote: a->y",
        expect![[r"
        SimultaneousEdit a: a->x | a->y
    "]],
    );
}

#[test]
fn a_deletion_against_an_edit_is_a_conflict_and_the_edit_stays() {
    check(
        "base: a=1",
        "local:",
        "remote: a=2",
        expect![[r"
        Deletion a: nothing | a=2
    "]],
    );
    check(
        "base: a=1",
        "local: a=2",
        "remote:",
        expect![[r"
        Deletion a: a=2 | nothing
    "]],
    );
    check(
        "base: d/ d/a=1 d/b=1",
        "local:",
        "remote: d/ d/a=2 d/b=1",
        expect![[r"
        remote: remove d/b
        Deletion d/a: nothing | d/a=2
    "]],
    );
}

#[test]
fn a_folder_with_something_new_in_it_lives_and_the_rest_goes() {
    check(
        "base: d/ d/x=1 d/s/ d/s/y=2",
        "local:",
        "remote: d/ d/x=1 d/s/ d/s/y=2 d/s/new=3",
        expect![[r"
        local: make d/
        local: make d/s/
        local: put d/s/new=3
        remote: remove d/x
        remote: remove d/s/y
    "]],
    );
}

#[test]
fn a_file_against_a_folder_is_a_conflict_that_holds_the_folder() {
    check(
        "base:",
        "local: a=1",
        "remote: a/ a/x=2",
        expect![[r"
        Structure a: a=1 | a/ (two entries have this name)
    "]],
    );
    check(
        "base: a=1",
        "local: a=2",
        "remote: a/ a/x=2",
        expect![[r"
        Structure a: a=2 | a/ (two entries have this name)
    "]],
    );
    check(
        "base: a/ a/x=1",
        "local: a=2",
        "remote: a/ a/x=1 a/y=3",
        expect![[r"
        Structure a: a=2 | a/ (two entries have this name)
    "]],
    );
}

#[test]
fn a_file_becomes_a_folder_and_back() {
    check(
        "base: a=1",
        "local: a/ a/x=2",
        "remote: a=1",
        expect![[r"
        remote: remove a
        remote: make a/
        remote: put a/x=2
    "]],
    );
    check(
        "base: a/ a/x=1 a/s/ a/s/y=1",
        "local: a=2",
        "remote: a/ a/x=1 a/s/ a/s/y=1",
        expect![[r"
        remote: remove a/s/y
        remote: remove a/s
        remote: remove a/x
        remote: remove a
        remote: put a=2
    "]],
    );
    check(
        "base: a/ a/x=1#5",
        "local: a=1#5",
        "remote: a/ a/x=1#6",
        expect![[r#"
            remote: move a -> .swarm-move-f3a08fe1
            remote: move .swarm-move-f3a08fe1/x -> a
            remote: remove .swarm-move-f3a08fe1
        "#]],
    );
}
