//! Two trees and what they agreed on: plans, performs, and remembers.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{Fault, Tree};
use crate::{BaseEntry, Difference, Kind, OpKind, PerSide, Plan, Policy, Side, TreePath};

/// A pair in memory.
#[derive(Clone, Debug, Default)]
pub struct Pair {
    /// Both sides.
    pub trees: PerSide<Tree>,
    /// What both agreed on last.
    pub base: BTreeMap<TreePath, BaseEntry>,
}

impl Pair {
    /// Two trees that agree in everything.
    pub fn of(trees: PerSide<Tree>) -> Self {
        let mut pair = Self { trees, base: BTreeMap::new() };
        let paths: Vec<TreePath> = pair.trees.local.entries.keys().cloned().collect();
        paths.iter().for_each(|path| pair.agree(path));
        pair
    }

    /// Where the three trees are not all the same, in path order.
    pub fn differences(&self) -> Vec<Difference> {
        let paths: BTreeSet<&TreePath> = self.base.keys().chain(self.paths()).collect();
        let one = |path: &TreePath| Difference {
            path: path.clone(),
            now: PerSide::each(|side| self.trees.of(side).entries.get(path).cloned()),
            base: self.base.get(path).cloned().map(Box::new),
        };
        let is_different = |one: &Difference| Side::BOTH.into_iter().any(|side| !one.is_unchanged(side));
        paths.into_iter().map(one).filter(is_different).collect()
    }

    /// Plans with the totals of the trees, and performs the plan whatever the guard says.
    pub fn run(&mut self, policy: &Policy) -> Result<Plan, Fault> {
        let plan = crate::plan(&self.differences(), policy);
        self.perform(&plan)?;
        Ok(plan)
    }

    /// Performs a plan, the remote side first, and moves the base.
    pub fn perform(&mut self, plan: &Plan) -> Result<(), Fault> {
        let before = self.trees.clone();
        for side in [Side::Remote, Side::Local] {
            let tree = self.trees.of_mut(side);
            plan.ops.of(side).iter().try_for_each(|op| tree.perform(op, before.of(side.other())))?;
        }
        self.commit(plan, &before);
        Ok(())
    }

    /// The base moves to what both sides have where the plan says that they agree, and where it acted: at the paths of operations, and
    /// below both ends of a move.
    fn commit(&mut self, plan: &Plan, before: &PerSide<Tree>) {
        let mut done: BTreeSet<TreePath> = plan.agreed.iter().cloned().collect();
        for side in Side::BOTH {
            for op in plan.ops.of(side) {
                done.insert(op.path.clone());
                if let OpKind::Move { from } = &op.kind {
                    done.extend([from, &op.path].into_iter().flat_map(|end| self.below(end, before)));
                }
            }
        }
        let moved: Vec<Option<BaseEntry>> =
            plan.rebased.iter().map(|one| self.base.remove(&one.from)).collect();
        // From below: a folder of the base stays as long as the base of something held stands in it.
        done.iter().rev().for_each(|path| self.agree(path));
        for (one, entry) in plan.rebased.iter().zip(moved) {
            self.base.extend(one.to.clone().zip(entry));
        }
    }

    /// All paths at or below this one, in any tree, now or before.
    fn below(&self, path: &TreePath, before: &PerSide<Tree>) -> Vec<TreePath> {
        let trees = [&self.trees.local, &self.trees.remote, &before.local, &before.remote];
        let paths = trees.into_iter().flat_map(|tree| tree.at_or_below(path).map(|(path, _)| path.clone()));
        let base = self.base.range(path.clone()..).map(|(path, _)| path.clone());
        paths.chain(base.take_while(|other| other.is_at_or_below(path))).collect()
    }

    fn agree(&mut self, path: &TreePath) {
        let now = PerSide::each(|side| self.trees.of(side).entries.get(path));
        match (now.local, now.remote) {
            (None, None) => {
                let from_here = self.base.range(path.clone()..).map(|(path, _)| path);
                let is_empty = from_here.take_while(|other| other.is_at_or_below(path)).count() <= 1;
                if is_empty {
                    self.base.remove(path);
                }
            }
            (Some(local), Some(remote)) if local.agrees(remote) => {
                let ids = PerSide { local: local.stamp.id, remote: remote.stamp.id };
                let modified_ns = local.modified_ns.max(remote.modified_ns);
                self.base.insert(path.clone(), BaseEntry { kind: local.kind.clone(), modified_ns, ids });
            }
            (Some(_), _) | (None, Some(_)) => {}
        }
    }

    /// All files and links that stand somewhere.
    pub fn contents(&self) -> Vec<&Kind> {
        let trees = [&self.trees.local, &self.trees.remote];
        let kinds = trees.into_iter().flat_map(|tree| tree.entries.values()).map(|entry| &entry.kind);
        kinds.filter(|kind| **kind != Kind::Folder).collect()
    }

    /// Paths at which both sides are not the same.
    pub fn unequal(&self) -> Vec<TreePath> {
        let paths: BTreeSet<&TreePath> = self.paths().collect();
        let kind = |side: Side, path: &TreePath| {
            self.trees.of(side).entries.get(path).map(|entry| entry.kind.clone())
        };
        let is_unequal = |path: &&TreePath| kind(Side::Local, path) != kind(Side::Remote, path);
        paths.into_iter().filter(is_unequal).cloned().collect()
    }

    fn paths(&self) -> impl Iterator<Item = &TreePath> {
        self.trees.local.entries.keys().chain(self.trees.remote.entries.keys())
    }
}
