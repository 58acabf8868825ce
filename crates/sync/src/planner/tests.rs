//! Pictures of plans, and random pairs that have to come together.

use expect_test::{Expect, expect};

use crate::model::{Pair, describe, read_tree};
use crate::{PerSide, Policy};

/// Checks what is planned for three trees.
fn check(base: &str, local: &str, remote: &str, expected: Expect) {
    check_with(&Policy::default(), base, local, remote, expected);
}

fn check_with(policy: &Policy, base: &str, local: &str, remote: &str, expected: Expect) {
    let tree = |text: &str, name: &str| read_tree(text.strip_prefix(name).expect("the name of the tree"));
    let base = tree(base, "base:");
    let mut pair = Pair::of(PerSide { local: base.clone(), remote: base });
    pair.trees = PerSide { local: tree(local, "local:"), remote: tree(remote, "remote:") };
    let mut policy = policy.clone();
    policy.totals = PerSide::each(|side| pair.trees.of(side).entries.len() as u64);
    policy.copy_label = "L".to_owned();
    let plan = crate::plan(&pair.differences(), &policy);
    expected.assert_eq(&describe(&plan));
    pair.perform(&plan).expect("each operation is possible");
}

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

mod canopy;
