//! The operations that turn what a side has into what it is to have. Invariant: each one is possible when all before it are done: the
//! folder of its path stands, the path is free or holds what is expected. Entries are moved rather than copied; a circle of moves goes
//! through a name of its own.

use std::collections::{BTreeMap, BTreeSet};

use super::merge::{Fate, Merge, Want, same_bytes};
use super::nodes::{NodeId, Place, ROOT, path_by};
use super::{fresh, names};
use crate::{DETOUR_PREFIX, Difference, Entry, Kind, NameRules, Op, OpKind, Side, Source, TreePath};

/// The operations of a side: for what was merged, and for what is fresh.
pub(super) fn ops(merge: &Merge<'_>, fresh: &[&Difference], side: Side) -> Vec<Op> {
    let mut sequence = Sequence::new(merge, side);
    let order = sequence.target_order();
    for &node in &order {
        if sequence.place[node].is_some() || sequence.is_folder(node) {
            sequence.bring(node);
        }
    }
    sequence.ops.reserve_exact(fresh::count(fresh, side));
    sequence.ops.extend(fresh::folders(fresh, side));
    for &node in &order {
        sequence.put(node);
    }
    sequence.ops.extend(fresh::contents(fresh, side));
    for &node in &order {
        sequence.set_executable(node);
    }
    for node in sequence.dead() {
        sequence.bring(node);
    }
    sequence.ops
}

/// A side while its operations are planned.
struct Sequence<'a> {
    merge: &'a Merge<'a>,
    side: Side,
    rules: NameRules,
    /// Where each node stands after the operations so far.
    place: Vec<Option<Place>>,
    at: BTreeMap<(NodeId, String), NodeId>,
    is_done: Vec<bool>,
    is_aside: BTreeSet<NodeId>,
    ops: Vec<Op>,
}

/// A node that has to come to its place before another one can.
#[derive(Clone, Copy)]
struct Waiting {
    node: NodeId,
    /// Whether it stands at the place of the other one.
    is_occupant: bool,
}

impl<'a> Sequence<'a> {
    fn new(merge: &'a Merge<'a>, side: Side) -> Self {
        let rules = *merge.policy.names.of(side);
        let place = |node: &super::nodes::Node| node.now.of(side).as_ref().map(|one| one.place.clone());
        let place: Vec<Option<Place>> = merge.forest.nodes.iter().map(place).collect();
        let at = place.iter().enumerate().filter_map(|(node, place)| {
            let place = place.as_ref()?;
            Some(((place.parent, names::key(&place.name, rules)), node))
        });
        let at = at.collect();
        let mut is_done = vec![false; place.len()];
        is_done[ROOT] = true;
        Self { merge, side, rules, place, at, is_done, is_aside: BTreeSet::new(), ops: Vec::new() }
    }

    /// All nodes that are to stand, in the order of their paths.
    fn target_order(&self) -> Vec<NodeId> {
        let mut below: BTreeMap<NodeId, Vec<(&str, NodeId)>> = BTreeMap::new();
        for node in self.merge.forest.ids() {
            if let Some(place) = self.target(node) {
                below.entry(place.parent).or_default().push((&place.name, node));
            }
        }
        below.values_mut().for_each(|children| children.sort_unstable_by(|a, b| b.cmp(a)));
        let mut order = Vec::new();
        let mut open = vec![ROOT];
        while let Some(node) = open.pop() {
            order.push(node);
            open.extend(below.get(&node).into_iter().flatten().map(|(_, child)| *child));
        }
        order.remove(0);
        order
    }

    /// All nodes that are to go, those that stand deepest first.
    fn dead(&self) -> Vec<NodeId> {
        let is_dead = |node: &NodeId| self.place[*node].is_some() && self.target(*node).is_none();
        let mut dead: Vec<(TreePath, NodeId)> = self
            .merge
            .forest
            .ids()
            .filter(is_dead)
            .filter_map(|node| Some((self.path(node)?, node)))
            .collect();
        dead.sort();
        dead.into_iter().rev().map(|(_, node)| node).collect()
    }

    fn target(&self, node: NodeId) -> Option<&'a Place> {
        self.merge.target(node, self.side)
    }

    fn entry(&self, node: NodeId) -> Option<&'a Entry> {
        self.merge.forest.now(node, self.side).map(|standing| &standing.entry)
    }

    fn expected(&self, node: NodeId) -> Option<Box<Entry>> {
        self.entry(node).cloned().map(Box::new)
    }

    fn want(&self, node: NodeId) -> Option<&'a Want> {
        match &self.merge.fates[node] {
            Fate::Live(want) => Some(want),
            Fate::Dead | Fate::Held => None,
        }
    }

    fn is_folder(&self, node: NodeId) -> bool {
        self.want(node).is_some_and(|want| want.kind == Kind::Folder)
    }

    /// Brings a node to its place, or removes it, and before it all that is in its way. Without recursion: a chain of renamed files can
    /// be as long as a folder.
    fn bring(&mut self, node: NodeId) {
        let mut waiting = vec![Waiting { node, is_occupant: false }];
        let mut since = BTreeMap::from([(node, 0)]);
        while let Some(&Waiting { node, .. }) = waiting.last() {
            let obstacle = if self.is_done[node] { None } else { self.obstacle(node) };
            let Some(next) = obstacle else {
                self.finish(node);
                waiting.pop();
                since.remove(&node);
                continue;
            };
            match since.get(&next.node).copied() {
                None => {
                    since.insert(next.node, waiting.len());
                    waiting.push(next);
                }
                Some(start) => {
                    self.break_circle(&waiting[start + 1..], next);
                    for one in waiting.drain(start + 1..) {
                        since.remove(&one.node);
                    }
                }
            }
        }
    }

    /// Nodes wait for each other: one that stands at another one's place goes aside. There is one, since folders wait for folders above
    /// them alone.
    fn break_circle(&mut self, circle: &[Waiting], last: Waiting) {
        let mut back = std::iter::once(&last).chain(circle.iter().rev());
        let aside = back.find(|one| one.is_occupant).expect("a circle goes through a name");
        if self.is_aside.insert(aside.node) {
            self.step_aside(aside.node);
        } else {
            // Two entries at one place, which no tree has: better one stays where it is than that this goes on for ever.
            self.is_done[aside.node] = true;
        }
    }

    /// What has to come to its place before this node can.
    fn obstacle(&self, node: NodeId) -> Option<Waiting> {
        let first = |node: NodeId| Waiting { node, is_occupant: false };
        let Some(target) = self.target(node) else {
            return self.children(node).find(|child| !self.is_done[*child]).map(first);
        };
        if !self.is_done[target.parent] {
            return Some(first(target.parent));
        }
        // One that has come to its place does not go away again: waiting for it would not end.
        let is_waited_for = |occupant: &NodeId| *occupant != node && !self.is_done[*occupant];
        let occupant = self.at.get(&self.key(target)).copied().filter(is_waited_for);
        occupant.map(|node| Waiting { node, is_occupant: true })
    }

    fn key(&self, place: &Place) -> (NodeId, String) {
        (place.parent, names::key(&place.name, self.rules))
    }

    fn children(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let range = (node, String::new())..(node + 1, String::new());
        self.at.range(range).map(|(_, child)| *child)
    }

    /// The node has come to its place, or goes.
    fn finish(&mut self, node: NodeId) {
        if std::mem::replace(&mut self.is_done[node], true) {
            return;
        }
        match (self.place[node].is_some(), self.target(node)) {
            (true, Some(target)) => self.relocate(node, target.clone()),
            (true, None) => self.remove(node),
            (false, Some(target)) => self.make(node, target.clone()),
            (false, None) => {}
        }
    }

    fn relocate(&mut self, node: NodeId, target: Place) {
        if self.place[node].as_ref() == Some(&target) {
            return;
        }
        let from = self.path(node);
        self.set_place(node, Some(target));
        if let (Some(from), Some(path)) = (from, self.path(node)) {
            self.ops.push(Op { path, kind: OpKind::Move { from }, expected: self.expected(node) });
        }
    }

    fn remove(&mut self, node: NodeId) {
        if let Some(path) = self.path(node) {
            self.ops.push(Op { path, kind: OpKind::Remove, expected: self.expected(node) });
        }
        self.set_place(node, None);
    }

    fn make(&mut self, node: NodeId, target: Place) {
        self.set_place(node, Some(target));
        if let Some(path) = self.path(node) {
            self.ops.push(Op { path, kind: OpKind::MakeFolder, expected: None });
        }
    }

    /// Moves a node to a name that nothing else has, in the folder where it stands.
    fn step_aside(&mut self, node: NodeId) {
        let (Some(place), Some(path)) = (self.place[node].clone(), self.path(node)) else { return };
        // Another name for another entry: one that could not return from a detour keeps its name, and would be in the way.
        let times = self.entry(node).map_or([0, 0], |entry| [entry.modified_ns, entry.stamp.changed_ns]);
        let mut id = blake3::hash(format!("{path} {times:?}").as_bytes());
        let mut aside = detour(place.parent, &id);
        while self.at.contains_key(&self.key(&aside)) {
            id = blake3::hash(id.as_bytes());
            aside = detour(place.parent, &id);
        }
        self.relocate(node, aside);
    }

    fn set_place(&mut self, node: NodeId, place: Option<Place>) {
        if let Some(old) = self.place[node].take() {
            let key = self.key(&old);
            self.at.remove(&key);
        }
        if let Some(new) = &place {
            let key = self.key(new);
            self.at.insert(key, node);
        }
        self.place[node] = place;
    }

    fn path(&self, node: NodeId) -> Option<TreePath> {
        path_by(node, |above| self.place[above].as_ref())
    }

    /// Puts what a file or link is to hold.
    fn put(&mut self, node: NodeId) {
        let Some(want) = self.want(node) else { return };
        let has_bytes = self.entry(node).is_some_and(|entry| same_bytes(&entry.kind, &want.kind));
        if want.kind == Kind::Folder || has_bytes {
            return;
        }
        let expected = match self.place[node] {
            Some(_) => self.expected(node),
            None => self.make_way(node, &want.place),
        };
        let source = match want.settled {
            Some(conflict) => Source::Settled { conflict },
            None => match self.merge.forest.now(node, self.side.other()) {
                Some(other) => Source::Other { path: other.path.clone() },
                None => return,
            },
        };
        if let Some(path) = self.path(node) {
            let (content, modified_ns) = (want.kind.clone(), want.modified_ns);
            self.ops.push(Op { path, kind: OpKind::Put { content, modified_ns, source }, expected });
        }
    }

    /// Frees the place of a new file: a file that goes is replaced, a folder that goes is removed.
    fn make_way(&mut self, node: NodeId, target: &Place) -> Option<Box<Entry>> {
        let occupant = self.at.get(&self.key(target)).copied();
        let mut expected = None;
        if let Some(occupant) = occupant {
            let is_same_name = self.place[occupant].as_ref().is_some_and(|place| place.name == target.name);
            if is_same_name && self.entry(occupant).is_some_and(|entry| !entry.is_folder()) {
                expected = self.expected(occupant);
                self.set_place(occupant, None);
            } else {
                self.bring(occupant);
            }
        }
        self.set_place(node, Some(target.clone()));
        expected
    }

    fn set_executable(&mut self, node: NodeId) {
        let (Some(want), Some(entry)) = (self.want(node), self.entry(node)) else { return };
        let (Some(content), Some(path)) = (want.kind.file(), self.path(node)) else { return };
        if want.kind != entry.kind && same_bytes(&want.kind, &entry.kind) {
            let kind = OpKind::SetExecutable { executable: content.executable };
            self.ops.push(Op { path, kind, expected: Some(Box::new(entry.clone())) });
        }
    }
}

/// A name for the time of a run, in a folder.
fn detour(parent: NodeId, id: &blake3::Hash) -> Place {
    Place { parent, name: format!("{DETOUR_PREFIX}{}", &id.to_hex()[..8]).into() }
}
