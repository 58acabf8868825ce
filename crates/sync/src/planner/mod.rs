//! The planner: three trees and a policy in, the operations of each side out. What is new on one side and meets nothing is `fresh`: it is
//! made on the other side. All else is decided in five steps:
//!
//! 1. `moves`: which entries of a side are entries of the base under another name.
//! 2. `nodes`: every entry becomes a node, which has a place (a folder's node and a name) in each tree. A folder that moves takes
//!    along what stands in it, because its children's places do not change.
//! 3. `merge`: each node by itself, by this table. What does not fit becomes a dispute, which `disputes` settles or holds.
//!
//! | one side | other side | outcome |
//! |---|---|---|
//! | same change | same change | agreed |
//! | changed (made, modified, moved, deleted) | unchanged | the same on the other side |
//! | modified | modified otherwise | conflict `SimultaneousEdit` |
//! | modified | moved | both: the new content at the new place |
//! | executable bit | bytes | both |
//! | deleted | modified or moved | conflict `Deletion` |
//! | moved | moved elsewhere | conflict `Structure` |
//!
//! 4. `structure`: what only the tree as a whole shows: a living entry in a deleted folder (the folder lives), two entries at one
//!    place, folders in each other (conflict `Structure`), names that a side cannot hold (conflict `Name`).
//! 5. `sequence`: the operations that turn each side's tree into its target, each one possible when its turn comes.
//!
//! Invariants: a conflict holds its entries and what stands below them as they are, on each side; everything else ends up the same
//! on both. Nothing is planned on a side that is not observed there. Absent here: disks, clocks, chance.

mod fresh;

mod moves;
mod nodes;

mod disputes;
mod merge;
mod names;
mod outcomes;
mod rulings;
pub(crate) use names::key as name_key;
mod structure;

mod guard;
mod rebase;
mod sequence;

use std::collections::BTreeSet;

use merge::Merge;

use crate::{Difference, Direction, Op, PerSide, Plan, Policy, Side, TreePath};

/// Plans what makes both sides the same. `differences` holds, in path order, every path at which the three trees are not all the
/// same; a path that is not among them is unchanged on both sides, or exists nowhere.
pub fn plan(differences: &[Difference], policy: &Policy) -> Plan {
    let blind: BTreeSet<&TreePath> = Side::BOTH.into_iter().flat_map(|side| policy.blind.of(side)).collect();
    let is_seen =
        |path: &TreePath| !blind.contains(path) && !path.ancestors().any(|above| blind.contains(&above));
    let differences: Vec<&Difference> =
        differences.iter().filter(|one| blind.is_empty() || is_seen(&one.path)).collect();
    let (differences, fresh) = fresh::part(differences, policy);
    let (differences, equal) = without_equal(differences);
    let merge = Merge::run(&differences, policy);
    let ops = PerSide::each(|side| match (policy.direction, side) {
        (Direction::ToRemote, Side::Local) => Vec::new(),
        (Direction::ToRemote, Side::Remote) | (Direction::Both, _) => sequence::ops(&merge, &fresh, side),
    });
    let held = guard::hold(&ops, policy);
    let mut agreed = agreed(&differences, &merge, &ops);
    agreed.extend(equal);
    agreed.sort();
    let rebased = rebase::rebased(&merge);
    let (conflicts, merges) = merge.into_conflicts();
    Plan { ops, agreed, rebased, conflicts, merges, held }
}

/// Two folders that are synced for the first time are often the same already, in a million paths: what both have is agreed, and takes no
/// part in the merge unless something else stands in the same folder, whose name may depend on it.
fn without_equal(differences: Vec<&Difference>) -> (Vec<&Difference>, Vec<TreePath>) {
    let is_first = differences.iter().all(|one| one.base.is_none());
    if !is_first {
        return (differences, Vec::new());
    }
    let open = differences.iter().filter(|one| !one.agrees());
    let folders: BTreeSet<Option<TreePath>> = open.map(|one| one.path.parent()).collect();
    let (open, equal): (Vec<_>, Vec<_>) =
        differences.into_iter().partition(|one| !one.agrees() || folders.contains(&one.path.parent()));
    (open, equal.into_iter().map(|one| one.path.clone()).collect())
}

/// Paths at which both sides have the same, and nothing is to be done or decided.
fn agreed(differences: &[&Difference], merge: &Merge<'_>, ops: &PerSide<Vec<Op>>) -> Vec<TreePath> {
    let waiting = rebase::waiting(merge);
    let is_held = |path: &TreePath| merge.forest.all_at(path).iter().any(|node| waiting.contains(node));
    let is_open = |one: &&&Difference| one.agrees() && !is_held(&one.path);
    let open: BTreeSet<&TreePath> = differences.iter().filter(is_open).map(|one| &one.path).collect();
    let ops = Side::BOTH.into_iter().flat_map(|side| ops.of(side));
    let acted_on: BTreeSet<&TreePath> = ops.map(|op| &op.path).filter(|path| open.contains(path)).collect();
    open.difference(&acted_on).map(|path| (*path).clone()).collect()
}

#[cfg(test)]
mod tests;
