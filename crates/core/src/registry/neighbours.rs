//! The nodes of one content, and how neighbours are chosen among them. Invariant: a listed node stands in `open` if it has fewer
//! neighbours than the target, else in `full`, each under its current key. Policy is [`key`] and the order of the two indexes.

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
    /// Links that the node announced, and pairs in `told` that may be linked by now.
    degree: u32,
    /// Nodes that were paired with this one in an answer, and when; without those that are linked.
    told: BTreeMap<NodeId, Instant>,
    key: u64,
}

impl Neighbourhood {
    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// When a node expires; `None` if it is unknown.
    pub(super) fn expires_at(&self, node: NodeId) -> Option<Instant> {
        self.entries.get(&node).map(|entry| entry.expires_at)
    }

    /// The announcement of a node.
    pub(super) fn announce(&self, node: NodeId) -> Option<&Announce> {
        self.entries.get(&node).map(|entry| &entry.announce)
    }

    /// The announcements of all nodes.
    pub(super) fn announces(&self) -> impl Iterator<Item = &Announce> {
        self.entries.values().map(|entry| &entry.announce)
    }

    /// Adds a node, or replaces its announcement.
    pub(super) fn put(&mut self, now: Instant, announce: Announce, expires_at: Instant, rng: &mut Rng) {
        let node = announce.node;
        self.unindex(node);
        let mut told = self.entries.remove(&node).map(|entry| entry.told).unwrap_or_default();
        told.retain(|other, at| now.since(*at) < DIALING_TIME && !announce.links.contains(other));
        let (degree, key) = ((announce.links.len() + told.len()) as u32, key(&announce, rng));
        self.entries.insert(node, Entry { announce, expires_at, degree, told, key });
        self.index(node);
    }

    /// Sets whether others are told of a node.
    pub(super) fn list(&mut self, node: NodeId, is_listed: bool) {
        self.unindex(node);
        if let Some(entry) = self.entries.get_mut(&node) {
            entry.announce.is_listed = is_listed;
        }
        self.index(node);
    }

    /// Removes a node. Returns when it would have expired.
    pub(super) fn remove(&mut self, node: NodeId) -> Option<Instant> {
        self.unindex(node);
        self.entries.remove(&node).map(|entry| entry.expires_at)
    }

    /// Chooses neighbours for a node that asks, and counts each pair.
    pub(super) fn hand_out(&mut self, now: Instant, ask: &Ask, rng: &mut Rng) -> Vec<Announce> {
        // A node that has not announced itself has no record here: it could ask for every node, one answer after the other.
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

    /// In the order of the indexes. Nodes that have enough neighbours fill only half of what a newcomer wants: later newcomers
    /// fill the rest, or the degrees of the old nodes would grow without end.
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

    /// Near nodes first, except for two far ones: without these, zones would form groups that are not connected.
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
/// Spirakis, "Weighted random sampling with a reservoir", 2006). The square root keeps the fast nodes from taking all places.
/// A seed comes first while it has few neighbours, because every chunk starts from a seed.
fn key(announce: &Announce, rng: &mut Rng) -> u64 {
    let is_complete = announce.chunk_count > 0 && announce.have_count == announce.chunk_count;
    if is_complete {
        return 0;
    }
    let weight = (announce.up.0.max(UP_UNKNOWN) as f64).sqrt();
    let draw = -(1.0 - rng.unit()).ln() / weight;
    (draw * KEY_SCALE) as u64
}

/// A node with more neighbours than this is no longer named to others.
const CROWDED: u32 = NEIGHBOURS_TARGET * 3 / 2;
/// Neighbours from other zones: without them the zones would be separate graphs.
const FAR_MIN: usize = 2;
/// Two nodes that were told of each other are linked after this time, or never will be.
const DIALING_TIME: Duration = Duration::from_secs(10);
/// Entries inspected for one answer, in each index: bounds the work that one request causes.
const SCANNED_MAX: usize = 512;
/// Candidates, as a multiple of the wanted number, among which near nodes are looked for.
const ZONED_CANDIDATES: usize = 8;
/// Assumed upload capacity, bytes a second, of a node that does not know its own.
const UP_UNKNOWN: u64 = 125_000;
/// Makes whole numbers of the draws, which are floating-point and so have no total order.
const KEY_SCALE: f64 = 1e15;

#[cfg(test)]
impl Neighbourhood {
    /// How many nodes the indexes hold; panics if one stands in the wrong index.
    pub(super) fn indexed(&self) -> usize {
        let is_open = |node: &NodeId| self.entries[node].degree < NEIGHBOURS_TARGET;
        assert!(self.open.iter().all(|(key, node)| is_open(node) && self.entries[node].key == *key));
        assert!(
            self.full.iter().all(|(degree, _, node)| !is_open(node) && self.entries[node].degree == *degree)
        );
        self.open.len() + self.full.len()
    }
}
