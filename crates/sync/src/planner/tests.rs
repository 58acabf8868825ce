//! Pictures of plans, and random pairs that have to come together.

mod table;

mod conflicts;
mod decided;
mod moves;

mod limits;
mod names;

mod canopy;

use expect_test::Expect;

use crate::model::{Pair, Tree, describe, read_tree};
use crate::{
    Choice, Deed, DeedEnd, Direction, Guard, KeptId, Kind, NameRules, PerSide, Plan, Policy, RunId, Side,
    Strategy, TreePath, undo,
};

/// Checks what is planned for three trees, and that it can be done and taken back.
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
    let mut pair = pair_of(base, local, remote);
    let plan = crate::plan(&pair.differences(), &labelled(policy, &pair));
    expected.assert_eq(&describe(&plan));
    check_undone(&pair, &plan);
    pair.perform(&plan).expect("each operation is possible");
}

/// Checks that taking a plan back leaves what was there before.
fn check_undone(pair: &Pair, plan: &Plan) {
    let mut trees = pair.trees.clone();
    let mut deeds = Vec::new();
    for side in Side::BOTH {
        for (number, op) in (0..).zip(plan.ops.of(side)) {
            let tree = trees.of_mut(side);
            tree.perform(op, pair.trees.of(side.other())).expect("each operation is possible");
            let now = tree.entries.get(&op.path).cloned();
            let kept = Some(KeptId { run: RunId::at_ms(1), path: op.path.clone(), number: 0 });
            deeds.push(Deed { number, side, op: op.clone(), end: DeedEnd::Done { now, kept } });
        }
    }
    let way_back = undo(&deeds);
    for side in Side::BOTH {
        for op in way_back.ops.of(side) {
            // A file that was put back has another number, and the same bytes: a replica looks at those.
            let mut op = op.clone();
            op.expected.iter_mut().for_each(|entry| entry.stamp.id = None);
            let tree = trees.of_mut(side);
            tree.entries.values_mut().for_each(|entry| entry.stamp.id = None);
            tree.perform(&op, &Tree::default()).expect("each operation leads back");
        }
        let kinds = |tree: &Tree| -> Vec<(TreePath, Kind)> {
            tree.entries.iter().map(|(path, entry)| (path.clone(), entry.kind.clone())).collect()
        };
        assert_eq!(kinds(trees.of(side)), kinds(pair.trees.of(side)), "{}", describe(plan));
    }
}

/// Checks what is planned after this was chosen about every conflict.
fn check_chosen(
    choice: Choice,
    base: &'static str,
    local: &'static str,
    remote: &'static str,
    expected: Expect,
) {
    check_chosen_with(&Policy::default(), choice, base, local, remote, expected);
}

fn check_chosen_with(
    policy: &Policy,
    choice: Choice,
    base: &'static str,
    local: &'static str,
    remote: &'static str,
    expected: Expect,
) {
    let pair = pair_of(base, local, remote);
    let mut policy = labelled(policy, &pair);
    let conflicts = crate::plan(&pair.differences(), &policy).conflicts;
    policy.choices = conflicts.iter().map(|conflict| (conflict.id, choice)).collect();
    check_with(&policy, base, local, remote, expected);
}

fn labelled(policy: &Policy, pair: &Pair) -> Policy {
    let totals = PerSide::each(|side| pair.trees.of(side).entries.len() as u64);
    Policy { totals, copy_label: "L".to_owned(), ..policy.clone() }
}

/// The pair of three trees that begin with their names.
fn pair_of(base: &str, local: &str, remote: &str) -> Pair {
    let text = |text: &str, name: &str| text.strip_prefix(name).expect("the name of the tree").to_owned();
    pair(&text(base, "base:"), &text(local, "local:"), &text(remote, "remote:"))
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
