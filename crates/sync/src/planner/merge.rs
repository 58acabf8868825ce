//! What becomes of each node. Invariant: the fate of a node is the same on both sides, or the node is held: then each side keeps what
//! it has. Every decision of a policy or of a user goes through `disputes`.

use std::collections::{BTreeMap, BTreeSet};

use super::disputes::Dispute;
use super::nodes::{Forest, Node, NodeId, Place, Standing, path_by};
use super::rulings::Ruling;
use super::{moves, structure};
use crate::{
    Conflict, ConflictId, ConflictKind, Difference, Direction, FileContent, Kind, MergeTask, Policy, Side,
    TreePath,
};

/// What becomes of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stands on both sides.
    Live(Want),
    /// It stands on no side.
    Dead,
    /// Each side keeps what it has.
    Held,
}

/// What is to stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Want {
    pub(super) place: Place,
    pub(super) kind: Kind,
    pub(super) modified_ns: i64,
    /// `None` for the bytes of the sides.
    pub(super) settled: Option<ConflictId>,
}

/// The nodes and what was decided about them so far.
pub(super) struct Merge<'a> {
    pub(super) forest: Forest,
    pub(super) policy: &'a Policy,
    pub(super) fates: Vec<Fate>,
    /// Nodes at or below a conflict: their fate does not change anymore.
    pub(super) is_disputed: Vec<bool>,
    /// The conflict that holds a node.
    pub(super) held_by: Vec<Option<ConflictId>>,
    /// How often a node lost or won a dispute about the structure.
    pub(super) rulings: Vec<u8>,
    /// What a user chose about a node, or about a folder above it on either side.
    pub(super) chosen: Vec<Option<Ruling>>,
    /// Nodes that were decided together with a folder above them.
    pub(super) is_taken: BTreeSet<NodeId>,
    /// The names in folders in which there are conflict copies.
    pub(super) taken: BTreeMap<NodeId, BTreeSet<String>>,
    pub(super) conflicts: BTreeMap<ConflictId, (Conflict, Vec<NodeId>)>,
    pub(super) merges: BTreeMap<ConflictId, MergeTask>,
}

/// What a node is to be, if its changes fit.
enum Merged {
    Fate(Fate),
    Dispute(Dispute),
}

impl<'a> Merge<'a> {
    pub(super) fn run(differences: &[&Difference], policy: &'a Policy) -> Self {
        let forest = Forest::new(differences, &moves::find(differences), &policy.standing);
        let count = forest.nodes.len();
        let mut merge = Self {
            forest,
            policy,
            fates: vec![Fate::Held; count],
            is_disputed: vec![false; count],
            held_by: vec![None; count],
            rulings: vec![0; count],
            chosen: vec![None; count],
            is_taken: BTreeSet::new(),
            taken: BTreeMap::new(),
            conflicts: BTreeMap::new(),
            merges: BTreeMap::new(),
        };
        merge.merge_each();
        structure::settle(&mut merge);
        merge
    }

    pub(super) fn into_conflicts(self) -> (Vec<Conflict>, Vec<MergeTask>) {
        let mut held: BTreeMap<ConflictId, Vec<TreePath>> = BTreeMap::new();
        for node in self.forest.ids() {
            let Some(by) = self.held_by[node] else { continue };
            let paths = Side::BOTH.into_iter().filter_map(|side| self.target_path(node, side));
            held.entry(by).or_default().extend(paths);
        }
        let with_holds = |(id, (conflict, _)): (&ConflictId, &(Conflict, Vec<NodeId>))| {
            let mut paths = held.remove(id).unwrap_or_default();
            paths.sort_unstable();
            Conflict { holds: holds(conflict, &paths), ..conflict.clone() }
        };
        let mut conflicts: Vec<Conflict> = self.conflicts.iter().map(with_holds).collect();
        conflicts.sort_by(|a, b| (&a.path, a.id).cmp(&(&b.path, b.id)));
        let mut merges: Vec<MergeTask> = self.merges.into_values().collect();
        merges.sort_by(|a, b| (&a.path, a.conflict).cmp(&(&b.path, b.conflict)));
        (conflicts, merges)
    }

    /// Where a node is to stand on a side.
    pub(super) fn target(&self, node: NodeId, side: Side) -> Option<&Place> {
        match &self.fates[node] {
            Fate::Live(want) => Some(&want.place),
            Fate::Dead => None,
            Fate::Held => self.forest.now(node, side).map(|standing| &standing.place),
        }
    }

    /// The path at which a node is to stand on a side.
    pub(super) fn target_path(&self, node: NodeId, side: Side) -> Option<TreePath> {
        path_by(node, |above| self.target(above, side))
    }

    /// Lets a node stand on both sides as it stands on this one, at a place.
    pub(super) fn live_at(&mut self, node: NodeId, side: Side, place: Place) {
        if let Some(standing) = self.forest.now(node, side) {
            let want = Want { place, ..Want::of(standing) };
            self.fates[node] = Fate::Live(want);
        }
    }

    fn merge_each(&mut self) {
        // New nodes come up while this runs: copies of conflicts. They are decided already.
        for node in self.forest.ids() {
            if !self.is_taken.contains(&node) {
                self.merge_one(node);
            }
        }
    }

    pub(super) fn merge_one(&mut self, node: NodeId) {
        let merged = match self.policy.direction {
            Direction::Both => merge(&self.forest.nodes[node], node),
            Direction::ToRemote => Merged::Fate(mirrored(&self.forest.nodes[node])),
        };
        self.on_merged(node, merged);
    }

    fn on_merged(&mut self, node: NodeId, merged: Merged) {
        match merged {
            Merged::Fate(fate) => self.fates[node] = fate,
            Merged::Dispute(dispute) => self.on_dispute(dispute),
        }
    }

    /// Merges the content of a node whose place is decided.
    pub(super) fn merge_content(&mut self, node: NodeId, place: Place) {
        let merged = content(&self.forest.nodes[node], node, place);
        self.on_merged(node, merged);
    }
}

impl Want {
    pub(super) fn of(standing: &Standing) -> Self {
        let Standing { place, entry, .. } = standing;
        Self { place: place.clone(), kind: entry.kind.clone(), modified_ns: entry.modified_ns, settled: None }
    }
}

/// The paths of a conflict that are neither its versions' nor below another one of them.
fn holds(conflict: &Conflict, paths: &[TreePath]) -> Vec<TreePath> {
    let versions = [&conflict.versions.local, &conflict.versions.remote];
    let mut covered: Vec<&TreePath> = versions.into_iter().flatten().map(|version| &version.path).collect();
    covered.push(&conflict.path);
    let known = covered.len();
    for path in paths {
        if !covered.iter().any(|place| path.is_at_or_below(place)) {
            covered.push(path);
        }
    }
    covered.into_iter().skip(known).cloned().collect()
}

/// The remote side becomes what the local one is.
fn mirrored(node: &Node) -> Fate {
    node.now.local.as_ref().map_or(Fate::Dead, |local| Fate::Live(Want::of(local)))
}

fn merge(node: &Node, id: NodeId) -> Merged {
    match (&node.now.local, &node.now.remote) {
        (None, None) => Merged::Fate(Fate::Dead),
        (Some(one), None) | (None, Some(one)) => match &node.base {
            None => Merged::Fate(Fate::Live(Want::of(one))),
            Some(base) if base.place == one.place && base.kind == one.entry.kind => Merged::Fate(Fate::Dead),
            Some(_) => Merged::Dispute(Dispute::of(ConflictKind::Deletion, id)),
        },
        (Some(local), Some(remote)) => match merged_place(node, local, remote) {
            Some(place) => content(node, id, place),
            None => Merged::Dispute(Dispute::of(ConflictKind::Structure, id)),
        },
    }
}

/// Where a node goes that stands on both sides; `None` if both moved it, to two places.
pub(super) fn merged_place(node: &Node, local: &Standing, remote: &Standing) -> Option<Place> {
    let base = node.base.as_ref().map(|base| &base.place);
    merged(base, &local.place, &remote.place).cloned()
}

/// The three-way merge of one value.
fn merged<'a, T: PartialEq>(base: Option<&T>, local: &'a T, remote: &'a T) -> Option<&'a T> {
    if local == remote || base == Some(remote) {
        Some(local)
    } else if base == Some(local) {
        Some(remote)
    } else {
        None
    }
}

fn content(node: &Node, id: NodeId, place: Place) -> Merged {
    let (Some(local), Some(remote)) = (&node.now.local, &node.now.remote) else {
        return Merged::Fate(Fate::Held);
    };
    let base = node.base.as_ref().map(|base| &base.kind);
    let Some(kind) = merged_kind(base, &local.entry.kind, &remote.entry.kind) else {
        return Merged::Dispute(Dispute::of(ConflictKind::SimultaneousEdit, id));
    };
    let from = if same_bytes(&kind, &local.entry.kind) { local } else { remote };
    Merged::Fate(Fate::Live(Want { place, kind, modified_ns: from.entry.modified_ns, settled: None }))
}

/// Bytes and the executable bit are merged each by itself.
fn merged_kind(base: Option<&Kind>, local: &Kind, remote: &Kind) -> Option<Kind> {
    if let Some(kind) = merged(base, local, remote) {
        return Some(kind.clone());
    }
    let (local, remote) = (local.file()?, remote.file()?);
    let base = base.and_then(Kind::file);
    let bytes = |content: &FileContent| (content.len, content.hash);
    let (len, hash) = *merged(base.map(bytes).as_ref(), &bytes(local), &bytes(remote))?;
    let executable = match base.map(|base| base.executable) {
        Some(base) => *merged(Some(&base), &local.executable, &remote.executable)?,
        // Both made the same file; a bit too many does no harm, a bit too few does.
        None => local.executable || remote.executable,
    };
    Some(Kind::File(FileContent { len, hash, executable }))
}

/// Whether two entries differ in nothing but the executable bit.
pub(super) fn same_bytes(one: &Kind, other: &Kind) -> bool {
    match (one.file(), other.file()) {
        (Some(one), Some(other)) => (one.len, one.hash) == (other.len, other.hash),
        _ => one == other,
    }
}
