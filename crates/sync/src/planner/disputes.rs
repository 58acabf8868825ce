//! Disputes: changes that do not fit. What no ruling settles is a conflict, and holds its nodes and all below them. Absent here: which
//! ruling a dispute gets (`rulings`), and what comes of it (`outcomes`).

use std::collections::BTreeSet;

use super::merge::{Fate, Merge};
use super::nodes::{NodeId, Place, path_by};
use super::rulings::{Ruling, merge_task};
use crate::{Conflict, ConflictId, ConflictKind, PerSide, Side, SideVersion, TreePath};

/// Changes that do not fit.
#[derive(Clone, Debug)]
pub(super) struct Dispute {
    pub(super) kind: ConflictKind,
    /// The node that is the version of each side; the same twice where one entry is disputed.
    pub(super) nodes: PerSide<NodeId>,
    /// All others that it holds.
    pub(super) others: Vec<NodeId>,
    pub(super) detail: String,
}

impl Dispute {
    /// About one node.
    pub(super) fn of(kind: ConflictKind, node: NodeId) -> Self {
        Self { kind, nodes: PerSide { local: node, remote: node }, others: Vec::new(), detail: String::new() }
    }

    pub(super) fn all_nodes(&self) -> Vec<NodeId> {
        let mut nodes = vec![self.nodes.local, self.nodes.remote];
        nodes.extend(&self.others);
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    pub(super) fn is_about_one(&self) -> bool {
        self.nodes.local == self.nodes.remote
    }
}

impl Merge<'_> {
    /// Settles a dispute, or holds its nodes.
    pub(super) fn on_dispute(&mut self, dispute: Dispute) {
        let conflict = self.conflict(&dispute);
        let ruling = self.ruling(&conflict, &dispute);
        if matches!(ruling, Ruling::Merge) {
            self.merges.extend(merge_task(&conflict).map(|task| (task.conflict, task)));
        }
        let ruling = self.limited(&conflict, &dispute, ruling);
        let below = self.pass_down(&conflict, &dispute, ruling);
        if !self.settle(&dispute, &conflict, ruling) {
            self.hold(&dispute, conflict);
            return;
        }
        for node in below {
            if self.held_by[node].is_some() {
                self.release(node);
                self.merge_one(node);
            }
        }
    }

    /// Holds the nodes of a dispute and everything below them.
    fn hold(&mut self, dispute: &Dispute, conflict: Conflict) {
        let nodes = dispute.all_nodes();
        for &node in &nodes {
            self.freeze(node, Some(conflict.id));
        }
        self.conflicts.insert(conflict.id, (conflict, nodes));
    }

    /// Holds a node and everything below it. What was disputed in it alone is part of the dispute from now on.
    pub(super) fn freeze(&mut self, node: NodeId, by: Option<ConflictId>) {
        let subtree = self.forest.subtree(node);
        if subtree.iter().any(|below| self.is_disputed[*below]) {
            self.drop_conflicts_in(&subtree, by);
        }
        for &below in &subtree {
            self.fates[below] = Fate::Held;
            self.is_disputed[below] = true;
            self.held_by[below] = by;
            self.is_taken.insert(below);
        }
    }

    /// Drops the conflicts about nodes of this subtree alone. What they held, inside or elsewhere, is held by the new one.
    fn drop_conflicts_in(&mut self, subtree: &[NodeId], by: Option<ConflictId>) {
        let is_inside = |nodes: &[NodeId]| nodes.iter().all(|node| subtree.binary_search(node).is_ok());
        let inside = self.conflicts.iter().filter(|(id, (_, nodes))| Some(**id) != by && is_inside(nodes));
        let gone: BTreeSet<ConflictId> = inside.map(|(id, _)| *id).collect();
        for id in &gone {
            self.conflicts.remove(id);
            self.merges.remove(id);
        }
        let is_gone = |held_by: &&mut Option<ConflictId>| held_by.is_some_and(|id| gone.contains(&id));
        self.held_by.iter_mut().filter(is_gone).for_each(|held_by| *held_by = by);
    }

    /// Takes back the conflicts about a node that is decided in another way now, and merges anew what they held.
    pub(super) fn release(&mut self, node: NodeId) {
        if !self.is_disputed[node] {
            return;
        }
        let about = |(_, (_, nodes)): &(&ConflictId, &(Conflict, Vec<NodeId>))| nodes.contains(&node);
        let gone: Vec<ConflictId> = self.conflicts.iter().filter(about).map(|(id, _)| *id).collect();
        self.is_disputed[node] = false;
        self.held_by[node] = None;
        for id in gone {
            self.conflicts.remove(&id);
            self.merges.remove(&id);
            let held: Vec<NodeId> =
                self.forest.ids().filter(|held| *held != node && self.held_by[*held] == Some(id)).collect();
            for &held in &held {
                self.is_disputed[held] = false;
                self.held_by[held] = None;
            }
            held.into_iter().for_each(|held| self.merge_one(held));
        }
    }

    /// What a plan says of a dispute.
    fn conflict(&self, dispute: &Dispute) -> Conflict {
        let version = |side: Side| {
            let node = *dispute.nodes.of(side);
            let standing = self.forest.now(node, side)?;
            Some(SideVersion::of(&self.path_after(node, side), &standing.entry))
        };
        let versions = PerSide::each(version);
        let paths = [&versions.local, &versions.remote].map(|one| one.as_ref().map(|one| one.path.clone()));
        let detail = match (&dispute.kind, &paths, dispute.is_about_one()) {
            (ConflictKind::Structure, [Some(local), Some(remote)], true) => {
                format!("moved to {local} and to {remote}")
            }
            _ => dispute.detail.clone(),
        };
        let [local, remote] = paths;
        let path = local.or(remote).unwrap_or_else(|| self.path_after(dispute.nodes.local, Side::Local));
        let base = self.forest.nodes[dispute.nodes.local].base.as_ref();
        let base =
            base.or(self.forest.nodes[dispute.nodes.remote].base.as_ref()).map(|base| base.kind.clone());
        Conflict {
            id: ConflictId::of(&path, &versions),
            path,
            kind: dispute.kind,
            versions,
            base,
            detail,
            holds: Vec::new(),
        }
    }

    /// Where a node stands on a side once what is not disputed is done: so the id of a conflict stays the same meanwhile.
    fn path_after(&self, node: NodeId, side: Side) -> TreePath {
        // Folders in each other have no path but the present one.
        let found = path_by(node, |above| self.place_after(above, side, above != node));
        let now = || {
            let sides = [side, side.other()];
            sides
                .into_iter()
                .find_map(|side| self.forest.now(node, side))
                .map(|standing| standing.path.clone())
        };
        found.or_else(now).expect("a node of a dispute stands on a side")
    }

    /// The folders above a disputed entry go where they are moved to; the entry itself stays in its folder.
    fn place_after(&self, node: NodeId, side: Side, is_above: bool) -> Option<&Place> {
        let node = &self.forest.nodes[node];
        let at = |side| node.now.of(side).as_ref();
        let (Some(this), Some(other)) = (at(side), at(side.other())) else {
            return at(side).or(at(side.other())).map(|standing| &standing.place);
        };
        let base = node.base.as_ref().map(|base| &base.place);
        Some(if is_above && base == Some(&this.place) { &other.place } else { &this.place })
    }
}
