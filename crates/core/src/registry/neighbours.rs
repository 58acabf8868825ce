//! The nodes of one content and how they are handed out. Invariant: a listed node stands in `open` if it has fewer neighbours than
//! the target, else in `full`, each under its current key. Policy is [`key`] and the order of the two indexes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::base::limits::NEIGHBOURS_TARGET;
use crate::base::{Instant, NodeId, Rng};

use super::{Announce, Ask};

/// The nodes of one content.
#[derive(Debug, Default)]
pub(super) struct Neighbourhood {
    entries: BTreeMap<NodeId, Entry>,
    open: BTreeSet<(u64, NodeId)>,
    full: BTreeSet<(u32, u64, NodeId)>,
}

#[derive(Debug)]
struct Entry {
    announce: Announce,
    expires_at: Instant,
    /// Those it is linked to by its own word, and those it may be linked to by now.
    degree: u32,
    /// Whom it was told of, or who was told of it, and when; without those it is linked to.
    told: BTreeMap<NodeId, Instant>,
    key: u64,
}

impl Neighbourhood {
    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// When a node is forgotten; `None` if it is not known.
    pub(super) fn expires_at(&self, node: NodeId) -> Option<Instant> {
        self.entries.get(&node).map(|entry| entry.expires_at)
    }

    /// What a node announced.
    pub(super) fn announce(&self, node: NodeId) -> Option<&Announce> {
        self.entries.get(&node).map(|entry| &entry.announce)
    }

    /// What all nodes announced.
    pub(super) fn announces(&self) -> impl Iterator<Item = &Announce> {
        self.entries.values().map(|entry| &entry.announce)
    }

    /// Adds a node, or takes its new word for the old one.
    pub(super) fn put(&mut self, now: Instant, announce: Announce, expires_at: Instant, rng: &mut Rng) {
        let node = announce.node;
        self.unindex(node);
        let mut told = self.entries.remove(&node).map(|entry| entry.told).unwrap_or_default();
        told.retain(|other, at| now.since(*at) < DIALING_TIME && !announce.links.contains(other));
        let (degree, key) = ((announce.links.len() + told.len()) as u32, key(&announce, rng));
        self.entries.insert(node, Entry { announce, expires_at, degree, told, key });
        self.index(node);
    }

    /// Lets others be told of a node, or no more.
    pub(super) fn list(&mut self, node: NodeId, is_listed: bool) {
        self.unindex(node);
        if let Some(entry) = self.entries.get_mut(&node) {
            entry.announce.is_listed = is_listed;
        }
        self.index(node);
    }

    /// Forgets a node. Returns when it would have expired.
    pub(super) fn remove(&mut self, node: NodeId) -> Option<Instant> {
        self.unindex(node);
        self.entries.remove(&node).map(|entry| entry.expires_at)
    }

    /// Chooses nodes for one that asks, and counts each pair.
    pub(super) fn hand_out(&mut self, now: Instant, ask: &Ask, rng: &mut Rng) -> Vec<Announce> {
        // Who has not announced itself is not remembered, and could ask for all of them.
        let Some(degree) = self.entries.get(&ask.node).map(|entry| entry.degree) else { return Vec::new() };
        let most = ask.wanted.min(NEIGHBOURS_TARGET);
        let wanted = most.saturating_sub(degree).min(most.div_ceil(2)) as usize;
        let candidates = self.candidates(ask, wanted);
        let chosen = self.near_and_far(ask.node, candidates, wanted);
        for &node in &chosen {
            self.pair(now, ask.node, node, rng);
        }
        chosen.iter().filter_map(|node| self.announce(*node).cloned()).collect()
    }

    /// In the order of the indexes. Of those that have enough neighbours already only so many that a newcomer gets half of
    /// what it wants: the rest comes from later newcomers, or all would have more and more.
    fn candidates(&self, ask: &Ask, wanted: usize) -> Vec<NodeId> {
        let own = self.entries.get(&ask.node);
        let is_new = |node: &NodeId| {
            let is_known = |own: &Entry| own.told.contains_key(node) || own.announce.links.contains(node);
            *node != ask.node && !own.is_some_and(is_known)
        };
        let is_zoned = own.is_some_and(|own| own.announce.zone.is_some());
        let most = if is_zoned { wanted * ZONED_CANDIDATES } else { wanted };
        let open = self.open.iter().map(|(_, node)| *node).take(SCANNED_MAX);
        let mut found: Vec<NodeId> = open.filter(is_new).take(most).collect();
        let room = wanted.saturating_sub(found.len()).div_ceil(2);
        let not_crowded = self.full.iter().take_while(|(degree, ..)| *degree < CROWDED).take(SCANNED_MAX);
        found.extend(not_crowded.map(|(.., node)| *node).filter(is_new).take(room));
        found
    }

    /// Near ones first, but for two far ones: groups that know only each other would be locked out.
    fn near_and_far(&self, asker: NodeId, candidates: Vec<NodeId>, wanted: usize) -> Vec<NodeId> {
        let zone = |node: NodeId| self.announce(node).and_then(|announce| announce.zone.as_ref());
        let own = zone(asker);
        let is_far = |node: &NodeId| own.is_some() && zone(*node) != own;
        let (far, mut near): (Vec<NodeId>, Vec<NodeId>) = candidates.into_iter().partition(is_far);
        let known = self.entries.get(&asker).into_iter();
        let known = known.flat_map(|own| own.announce.links.iter().chain(own.told.keys()));
        let far_missing = FAR_MIN.saturating_sub(known.filter(|node| is_far(node)).count());
        let far_count = far.len().min(far_missing.max(wanted.saturating_sub(near.len())).min(wanted));
        near.truncate(wanted.saturating_sub(far_count));
        near.extend(far.into_iter().take(far_count));
        near
    }

    fn pair(&mut self, now: Instant, a: NodeId, b: NodeId, rng: &mut Rng) {
        for (node, other) in [(a, b), (b, a)] {
            self.unindex(node);
            if let Some(entry) = self.entries.get_mut(&node) {
                entry.degree += u32::from(entry.told.insert(other, now).is_none());
                entry.key = key(&entry.announce, rng);
            }
            self.index(node);
        }
    }

    fn index(&mut self, node: NodeId) {
        let Some(entry) = self.entries.get(&node).filter(|entry| entry.announce.is_listed) else { return };
        if entry.degree < NEIGHBOURS_TARGET {
            self.open.insert((entry.key, node));
        } else {
            self.full.insert((entry.degree, entry.key, node));
        }
    }

    fn unindex(&mut self, node: NodeId) {
        let Some(entry) = self.entries.get(&node) else { return };
        self.open.remove(&(entry.key, node));
        self.full.remove(&(entry.degree, entry.key, node));
    }
}

/// Drawn anew after each choice. The smallest of exponential draws over weights is a weighted choice (Efraimidis and
/// Spirakis, "Weighted random sampling with a reservoir", 2006). The square root keeps the fast from taking all.
/// Whoever has everything comes first while it has few neighbours: the rest lives on what it gives out.
fn key(announce: &Announce, rng: &mut Rng) -> u64 {
    let is_complete = announce.chunk_count > 0 && announce.have_count == announce.chunk_count;
    if is_complete {
        return 0;
    }
    let weight = (announce.up.0.max(UP_UNKNOWN) as f64).sqrt();
    let draw = -(1.0 - rng.unit()).ln() / weight;
    (draw * KEY_SCALE) as u64
}

/// Neighbours beyond which nobody is named any more.
const CROWDED: u32 = NEIGHBOURS_TARGET * 3 / 2;
const FAR_MIN: usize = 2;
/// A pair that was told of each other is linked by then, or never.
const DIALING_TIME: Duration = Duration::from_secs(10);
/// Entries looked at for one question, in each index.
const SCANNED_MAX: usize = 512;
/// So many times what is wanted is looked at to find near ones.
const ZONED_CANDIDATES: usize = 8;
/// Bytes a second of a node that does not know its capacity.
const UP_UNKNOWN: u64 = 125_000;
const KEY_SCALE: f64 = 1e15;

#[cfg(test)]
impl Neighbourhood {
    /// How many nodes the indexes hold, each in its right one.
    pub(super) fn indexed(&self) -> usize {
        let is_open = |node: &NodeId| self.entries[node].degree < NEIGHBOURS_TARGET;
        assert!(self.open.iter().all(|(key, node)| is_open(node) && self.entries[node].key == *key));
        assert!(
            self.full.iter().all(|(degree, _, node)| !is_open(node) && self.entries[node].degree == *degree)
        );
        self.open.len() + self.full.len()
    }
}
