//! Outcomes: what a ruling makes of the nodes of a dispute.

use std::collections::BTreeSet;

use super::disputes::Dispute;
use super::merge::{Fate, Merge, merged_place};
use super::names;
use super::nodes::{NodeId, Place};
use super::rulings::Ruling;
use crate::{Conflict, ConflictKind, Direction, FileContent, Kind, PerSide, Side};

impl Merge<'_> {
    /// Whether a ruling could be carried out.
    pub(super) fn settle(&mut self, dispute: &Dispute, conflict: &Conflict, ruling: Ruling) -> bool {
        match ruling {
            Ruling::Hold | Ruling::Merge => false,
            Ruling::Side(side) => self.give_way(dispute, side),
            Ruling::Both => self.keep_both(dispute, conflict),
            Ruling::Settled(content) => self.put_settled(dispute, conflict, content),
        }
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
        let (apart, shared) = self.parted_below(node);
        for below in std::iter::once(node).chain(apart) {
            self.release(below);
            self.is_taken.insert(below);
            match self.forest.now(below, side).map(|standing| standing.place.clone()) {
                Some(place) => self.live_at(below, side, place),
                None => self.fates[below] = Fate::Dead,
            }
        }
        for below in shared {
            let parent = self.target(below, side).map(|place| place.parent);
            let is_homeless = parent.is_some_and(|parent| self.fates[parent] == Fate::Dead);
            let place = self.forest.now(below, side).map(|standing| standing.place.clone());
            if let Some(place) = place.filter(|_| is_homeless) {
                self.is_taken.insert(below);
                self.place_at(below, place);
            }
        }
    }

    /// What stands below a node: what is on one side alone, and what is on both. What is below one of these stands elsewhere on the other
    /// side, and goes where it goes.
    fn parted_below(&self, node: NodeId) -> (Vec<NodeId>, Vec<NodeId>) {
        let (mut apart, mut shared) = (BTreeSet::new(), BTreeSet::new());
        let mut open = vec![node];
        while let Some(next) = open.pop() {
            for &child in Side::BOTH.iter().flat_map(|side| self.forest.children(next, *side)) {
                if self.forest.is_on_both(child) {
                    shared.insert(child);
                } else if apart.insert(child) {
                    open.push(child);
                }
            }
        }
        (apart.into_iter().collect(), shared.into_iter().collect())
    }

    fn take_places(&mut self, dispute: &Dispute, side: Side) {
        dispute.all_nodes().into_iter().for_each(|node| self.take_place(node, side));
    }

    fn take_place(&mut self, node: NodeId, side: Side) {
        self.release(node);
        match self.forest.now(node, side).map(|standing| standing.place.clone()) {
            Some(place) if self.forest.is_on_both(node) => self.place_at(node, place),
            Some(_) | None => self.take_all(node, side),
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

    /// An entry that was moved to two places stands at both, and so does all that both sides have below it.
    fn stand_twice(&mut self, node: NodeId) -> bool {
        if !self.forest.is_on_both(node) {
            return false;
        }
        let local = self.forest.below(node, Side::Local);
        let mut open = vec![node];
        while let Some(next) = open.pop() {
            let copy = self.stand_alone(next, Side::Remote);
            for child in self.forest.children(copy, Side::Remote).to_vec() {
                if local.contains(&child) || !self.forest.is_on_both(child) {
                    open.push(child);
                }
            }
        }
        for next in std::iter::once(node).chain(local) {
            if !self.forest.is_on_both(next) {
                self.stand_alone(next, Side::Local);
            }
        }
        true
    }

    /// What stands on a side lives as it is there; what the other side has becomes another node, and what that moved out of a folder goes
    /// where it is moved to.
    fn stand_alone(&mut self, node: NodeId, side: Side) -> NodeId {
        self.release(node);
        let node = if self.forest.is_on_both(node) { self.split_remote(node) } else { node };
        self.is_taken.insert(node);
        if let Some(place) = self.forest.now(node, side).map(|standing| standing.place.clone()) {
            self.live_at(node, side, place);
        }
        node
    }

    fn split_remote(&mut self, node: NodeId) -> NodeId {
        let copy = self.forest.split(node, Side::Remote);
        self.fates.push(Fate::Held);
        self.is_disputed.push(false);
        self.held_by.push(None);
        self.rulings.push(0);
        self.chosen.push(self.chosen[node]);
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
            if !self.forest.is_on_both(node) {
                self.take_all(node, side);
            }
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
