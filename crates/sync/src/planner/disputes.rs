//! Disputes: changes that do not fit, and how a choice or a strategy settles them. What nobody settles is a conflict, and holds its
//! nodes and all below them.

use std::collections::BTreeSet;

use super::merge::{Fate, Merge, merged_place};
use super::names;
use super::nodes::{NodeId, Place, path_by};
use crate::limits::MERGE_LEN_MAX;
use crate::{
    Choice, Conflict, ConflictId, ConflictKind, Direction, FileContent, Kind, MergeTask, PerSide, Side,
    SideVersion, Strategy, TreePath,
};

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

/// How a dispute ends.
#[derive(Clone, Copy)]
enum Ruling {
    Hold,
    /// This side has its way.
    Side(Side),
    Both,
    Settled(FileContent),
    /// Somebody merges the text; the dispute is held until then.
    Merge,
}

impl Dispute {
    /// About one node.
    pub(super) fn of(kind: ConflictKind, node: NodeId) -> Self {
        Self { kind, nodes: PerSide { local: node, remote: node }, others: Vec::new(), detail: String::new() }
    }

    fn all_nodes(&self) -> Vec<NodeId> {
        let mut nodes = vec![self.nodes.local, self.nodes.remote];
        nodes.extend(&self.others);
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    fn is_about_one(&self) -> bool {
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
        let ruling = self.limited(&dispute, ruling);
        if !self.settle(&dispute, &conflict, ruling) {
            self.hold(&dispute, conflict);
        }
    }

    /// Rulings of different paths may contradict each other, so that the same entries are disputed again and again. Then the local side
    /// has its way: its entries have no two places. If that does not help, somebody decides.
    fn limited(&mut self, dispute: &Dispute, ruling: Ruling) -> Ruling {
        let nodes = dispute.all_nodes();
        let count = nodes.iter().map(|node| self.rulings[*node]).max().unwrap_or(0);
        if matches!(dispute.kind, ConflictKind::Structure | ConflictKind::Name) {
            nodes.into_iter().for_each(|node| self.rulings[node] = self.rulings[node].saturating_add(1));
        }
        match (ruling, dispute.kind) {
            (Ruling::Hold | Ruling::Merge, _) => ruling,
            _ if count < RULINGS_MAX => ruling,
            (_, ConflictKind::Structure) if count < LOCAL_RULINGS_MAX => Ruling::Side(Side::Local),
            _ => Ruling::Hold,
        }
    }

    /// Whether a ruling could be carried out.
    fn settle(&mut self, dispute: &Dispute, conflict: &Conflict, ruling: Ruling) -> bool {
        match ruling {
            Ruling::Hold | Ruling::Merge => false,
            Ruling::Side(side) => self.give_way(dispute, side),
            Ruling::Both => self.keep_both(dispute, conflict),
            Ruling::Settled(content) => self.put_settled(dispute, conflict, content),
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
    fn release(&mut self, node: NodeId) {
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

    fn ruling(&self, conflict: &Conflict, dispute: &Dispute) -> Ruling {
        match self.policy.choices.get(&conflict.id) {
            Some(Choice::KeepLocal) => return Ruling::Side(Side::Local),
            Some(Choice::KeepRemote) => return Ruling::Side(Side::Remote),
            Some(Choice::KeepBoth) => return Ruling::Both,
            Some(Choice::Settled { len, hash, executable }) => {
                return Ruling::Settled(FileContent { len: *len, hash: *hash, executable: *executable });
            }
            None => {}
        }
        let strategy = self.strategy(conflict, dispute);
        match (conflict.kind, strategy) {
            // A strategy must not delete what a side merely cannot hold.
            (ConflictKind::Name, Strategy::KeepBoth) => Ruling::Both,
            (ConflictKind::Name, _) | (_, Strategy::Manual) => Ruling::Hold,
            (_, Strategy::KeepLocal) => Ruling::Side(Side::Local),
            (_, Strategy::KeepRemote) => Ruling::Side(Side::Remote),
            (_, Strategy::KeepBoth) => Ruling::Both,
            (_, Strategy::Newer) => newer(conflict, dispute),
            (_, Strategy::AutoMerge) => merge_task(conflict).map_or(Ruling::Hold, |_| Ruling::Merge),
        }
    }

    /// Patterns are matched to the paths of a run: those that stand now, before anything is moved.
    fn strategy(&self, conflict: &Conflict, dispute: &Dispute) -> Strategy {
        let now = Side::BOTH.into_iter().filter_map(|side| self.forest.now(*dispute.nodes.of(side), side));
        let mut paths = std::iter::once(&conflict.path).chain(now.map(|standing| &standing.path));
        let strategy = paths.find_map(|path| self.policy.strategies.get(path));
        strategy.copied().unwrap_or(self.policy.strategy)
    }

    /// One side has its way.
    fn give_way(&mut self, dispute: &Dispute, side: Side) -> bool {
        match dispute.kind {
            ConflictKind::SimultaneousEdit => self.take_content(dispute.nodes.local, side),
            ConflictKind::Deletion => self.take_all(dispute.nodes.local, side),
            ConflictKind::Structure => self.take_places(dispute, side),
            ConflictKind::Name => {
                let node = dispute.nodes.local;
                // The version that cannot be held by the other side cannot have its way there.
                if self.forest.now(node, side).is_some() {
                    return false;
                }
                self.take_all(node, side);
            }
        }
        true
    }

    fn take_content(&mut self, node: NodeId, side: Side) {
        if let Some(place) = self.place_of_both(node) {
            self.live_at(node, side, place);
        }
    }

    fn place_of_both(&self, node: NodeId) -> Option<Place> {
        if let Fate::Live(want) = &self.fates[node] {
            return Some(want.place.clone());
        }
        let one = &self.forest.nodes[node];
        match (&one.now.local, &one.now.remote) {
            (Some(local), Some(remote)) => {
                merged_place(one, local, remote).or_else(|| Some(local.place.clone()))
            }
            (Some(standing), None) | (None, Some(standing)) => Some(standing.place.clone()),
            (None, None) => None,
        }
    }

    /// The node and everything below it that is not on both sides becomes what it is on this side. What both have, and the other side
    /// moved into a folder that goes now, stays where this side has it.
    fn take_all(&mut self, node: NodeId, side: Side) {
        let subtree = self.forest.subtree(node);
        let is_apart = |below: &&NodeId| **below == node || !self.forest.is_on_both(**below);
        let apart: Vec<NodeId> = subtree.iter().filter(is_apart).copied().collect();
        for below in apart {
            self.release(below);
            self.is_taken.insert(below);
            match self.forest.now(below, side).map(|standing| standing.place.clone()) {
                Some(place) => self.live_at(below, side, place),
                None => self.fates[below] = Fate::Dead,
            }
        }
        for &below in subtree.iter().filter(|below| **below != node) {
            let parent = self.target(below, side).map(|place| place.parent);
            let is_homeless = parent.is_some_and(|parent| self.fates[parent] == Fate::Dead);
            let place = self.forest.now(below, side).map(|standing| standing.place.clone());
            if let Some(place) = place.filter(|_| is_homeless && self.forest.is_on_both(below)) {
                self.is_taken.insert(below);
                self.place_at(below, place);
            }
        }
    }

    fn take_places(&mut self, dispute: &Dispute, side: Side) {
        dispute.all_nodes().into_iter().for_each(|node| self.take_place(node, side));
    }

    fn take_place(&mut self, node: NodeId, side: Side) {
        self.release(node);
        match self.forest.now(node, side).map(|standing| standing.place.clone()) {
            Some(place) if self.forest.is_on_both(node) => self.place_at(node, place),
            Some(place) => self.live_at(node, side, place),
            None => self.take_all(node, side),
        }
    }

    /// Gives a node a place; its content is merged if it is not yet.
    fn place_at(&mut self, node: NodeId, place: Place) {
        match &mut self.fates[node] {
            Fate::Live(want) => want.place = place,
            Fate::Dead | Fate::Held => self.merge_content(node, place),
        }
    }

    fn keep_both(&mut self, dispute: &Dispute, conflict: &Conflict) -> bool {
        match (dispute.kind, dispute.is_about_one()) {
            (ConflictKind::SimultaneousEdit, _) => self.copy_remote(dispute.nodes.local),
            (ConflictKind::Deletion, _) => {
                let side = if conflict.versions.local.is_some() { Side::Local } else { Side::Remote };
                self.take_all(dispute.nodes.local, side);
                true
            }
            (ConflictKind::Structure, true) => self.stand_twice(dispute.nodes.local),
            // Folders in each other have no two versions, only two orders.
            (ConflictKind::Structure, false) if !dispute.others.is_empty() => {
                self.take_places(dispute, Side::Local);
                true
            }
            (ConflictKind::Structure, false) => self.rename_remote(dispute),
            (ConflictKind::Name, _) => self.rename_anew(dispute.nodes.local),
        }
    }

    /// Both versions of a file stand, the remote one under a name of its own.
    fn copy_remote(&mut self, node: NodeId) -> bool {
        let Some(place) = self.place_of_both(node) else { return false };
        let copy_place = names::copy_place(self, &place, false);
        let copy = self.split_remote(node);
        self.live_at(node, Side::Local, place);
        self.live_at(copy, Side::Remote, copy_place);
        true
    }

    /// An entry that was moved to two places: a file stands at both. A folder is not doubled, it goes where the local side moved it.
    fn stand_twice(&mut self, node: NodeId) -> bool {
        let place = |side| self.forest.now(node, side).map(|standing| standing.place.clone());
        let (Some(local), Some(remote)) = (place(Side::Local), place(Side::Remote)) else { return false };
        if self.forest.now(node, Side::Local).is_some_and(|standing| standing.entry.is_folder()) {
            self.place_at(node, local);
            return true;
        }
        let copy = self.split_remote(node);
        self.live_at(node, Side::Local, local);
        self.live_at(copy, Side::Remote, remote);
        true
    }

    fn split_remote(&mut self, node: NodeId) -> NodeId {
        let copy = self.forest.split(node, Side::Remote);
        self.fates.push(Fate::Held);
        self.is_disputed.push(false);
        self.held_by.push(None);
        self.rulings.push(0);
        self.is_taken.extend([node, copy]);
        copy
    }

    /// Two entries at one place: the remote one gets a name of its own.
    fn rename_remote(&mut self, dispute: &Dispute) -> bool {
        let PerSide { local, remote } = dispute.nodes;
        let Some(place) = self.target(local, Side::Local).cloned() else { return false };
        let is_folder = self.forest.now(remote, Side::Remote).is_some_and(|one| one.entry.is_folder());
        let copy_place = names::copy_place(self, &place, is_folder);
        for (node, side, place) in [(local, Side::Local, place), (remote, Side::Remote, copy_place)] {
            self.release(node);
            match &mut self.fates[node] {
                Fate::Live(want) => want.place = place,
                Fate::Dead | Fate::Held => self.live_at(node, side, place),
            }
        }
        true
    }

    /// A name beside which another one cannot stand is replaced on both sides. A mirror leaves the local side alone, so the next pass would
    /// find the old name again: there it stays a conflict.
    fn rename_anew(&mut self, node: NodeId) -> bool {
        if self.policy.direction == Direction::ToRemote {
            return false;
        }
        let place = Side::BOTH.into_iter().find_map(|side| self.target(node, side).cloned());
        let Some(place) = place else { return false };
        let is_folder = Side::BOTH.into_iter().filter_map(|side| self.forest.now(node, side));
        let is_folder = is_folder.map(|standing| standing.entry.is_folder()).next().unwrap_or(false);
        let copy_place = names::copy_place(self, &place, is_folder);
        self.place_at(node, copy_place);
        true
    }

    /// A content that neither side had.
    fn put_settled(&mut self, dispute: &Dispute, conflict: &Conflict, content: FileContent) -> bool {
        let node = dispute.nodes.local;
        let versions = [&conflict.versions.local, &conflict.versions.remote];
        if versions.into_iter().flatten().any(|version| version.kind == Kind::Folder) {
            return false;
        }
        let given = match dispute.kind {
            ConflictKind::SimultaneousEdit => {
                self.take_content(node, Side::Local);
                true
            }
            ConflictKind::Deletion => self.keep_both(dispute, conflict),
            ConflictKind::Structure => {
                self.take_places(dispute, Side::Local);
                true
            }
            ConflictKind::Name => false,
        };
        if let (true, Fate::Live(want)) = (given, &mut self.fates[node]) {
            want.kind = Kind::File(content);
            want.settled = Some(conflict.id);
            want.modified_ns = versions.into_iter().flatten().map(|one| one.modified_ns).max().unwrap_or(0);
        }
        given
    }
}

/// So many decisions about one entry are carried out as they are.
const RULINGS_MAX: u8 = 2;
/// So many more go to the local side. Two entries at their local places never meet, so a few are enough.
const LOCAL_RULINGS_MAX: u8 = 16;

/// The side whose version was modified later.
fn newer(conflict: &Conflict, dispute: &Dispute) -> Ruling {
    match (&conflict.versions.local, &conflict.versions.remote) {
        (Some(_), None) => Ruling::Side(Side::Local),
        (None, Some(_)) => Ruling::Side(Side::Remote),
        (Some(local), Some(remote)) if local.modified_ns != remote.modified_ns => {
            Ruling::Side(if local.modified_ns > remote.modified_ns { Side::Local } else { Side::Remote })
        }
        // One entry at two places: no version would lose.
        (Some(_), Some(_)) if conflict.kind == ConflictKind::Structure && is_order(dispute) => {
            Ruling::Side(Side::Local)
        }
        (Some(_), Some(_)) | (None, None) => Ruling::Hold,
    }
}

/// Whether a dispute is about places alone.
fn is_order(dispute: &Dispute) -> bool {
    dispute.is_about_one() || !dispute.others.is_empty()
}

/// What has to be merged to settle a conflict.
fn merge_task(conflict: &Conflict) -> Option<MergeTask> {
    let file = |kind: &Kind| kind.file().filter(|content| content.len <= MERGE_LEN_MAX).copied();
    let version = |version: &Option<SideVersion>| version.as_ref().and_then(|version| file(&version.kind));
    (conflict.kind == ConflictKind::SimultaneousEdit).then_some(())?;
    Some(MergeTask {
        conflict: conflict.id,
        path: conflict.path.clone(),
        versions: PerSide {
            local: version(&conflict.versions.local)?,
            remote: version(&conflict.versions.remote)?,
        },
        base: file(conflict.base.as_ref()?)?,
    })
}
