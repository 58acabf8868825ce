//! Pictures of plans, and random pairs that have to come together.

mod table;

mod conflicts;
mod decided;
mod moves;

mod limits;
mod names;

mod canopy;

use expect_test::Expect;

use crate::model::{Pair, describe, read_tree};
use crate::{Direction, Guard, NameRules, PerSide, Policy, Strategy, TreePath};

/// Checks what is planned for three trees.
fn check(base: &'static str, local: &'static str, remote: &'static str, expected: Expect) {
    check_with(&Policy::default(), base, local, remote, expected);
}

fn check_with(
    policy: &Policy,
    base: &'static str,
    local: &'static str,
    remote: &'static str,
    expected: Expect,
) {
    let text = |text: &'static str, name: &str| text.strip_prefix(name).expect("the name of the tree");
    let mut pair = pair(text(base, "base:"), text(local, "local:"), text(remote, "remote:"));
    let mut policy = policy.clone();
    policy.totals = PerSide::each(|side| pair.trees.of(side).entries.len() as u64);
    policy.copy_label = "L".to_owned();
    let plan = crate::plan(&pair.differences(), &policy);
    expected.assert_eq(&describe(&plan));
    pair.perform(&plan).expect("each operation is possible");
}

fn pair(base: &str, local: &str, remote: &str) -> Pair {
    let pair = Pair::of(PerSide { local: read_tree(base), remote: read_tree(base) });
    Pair { trees: PerSide { local: read_tree(local), remote: read_tree(remote) }, ..pair }
}

fn with(strategy: Strategy) -> Policy {
    Policy { strategy, ..Policy::default() }
}

/// The remote side takes names for one that differ in case or form, and refuses those of Windows.
fn windows() -> Policy {
    let remote =
        NameRules { ignores_case: true, ignores_form: true, refuses_windows_names: true, name_len_max: None };
    Policy { names: PerSide { local: NameRules::default(), remote }, ..Policy::default() }
}

fn mirror() -> Policy {
    Policy { direction: Direction::ToRemote, ..Policy::default() }
}

fn blind(path: &str) -> Policy {
    let remote = vec![TreePath::new(path).expect("a path")];
    Policy { blind: PerSide { local: Vec::new(), remote }, ..Policy::default() }
}

fn approved() -> Policy {
    Policy { guard: Guard { approved: true, ..Guard::default() }, ..Policy::default() }
}
