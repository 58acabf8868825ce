//! The peer book: every node heard of, where it may be dialed, when next, and what it did. Knows no sessions.
//! Invariant: a banned or refused node is never due.

mod network;
mod peer;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::limits::PEERS_MAX;
use swarm_core::base::limits::SOURCE_ADDRESSES_MAX;
use swarm_core::base::{ContentId, Instant, NodeId, Rng};
use swarm_core::manifest::Address;

use super::refusal::Refusal;
use network::Network;
use peer::{BACKOFF_MAX, Peer, Standing};

pub use peer::{PeerStanding, PeerTotals};
pub(super) use peer::{Rank, Tie};

use super::reputation::Reputation;
use super::violation::Violation;

/// Everything known of other nodes.
#[derive(Debug, Default)]
pub(super) struct PeerBook {
    peers: BTreeMap<NodeId, Peer>,
}

impl PeerBook {
    /// Notes a source. The same node again adds addresses and makes it due.
    pub(super) fn add_source(
        &mut self,
        now: Instant,
        content: ContentId,
        node: NodeId,
        addresses: Vec<Address>,
        (tie, rank): (Tie, Rank),
    ) {
        let Some(peer) = self.entry(node) else { return };
        peer.rank = peer.rank.min(rank);
        // It was named by a source that should know.
        peer.is_on_trial &= addresses.is_empty();
        for address in addresses {
            if !peer.addresses.contains(&address) && peer.addresses.len() < SOURCE_ADDRESSES_MAX {
                peer.addresses.push(address);
            }
        }
        let is_new = !peer.contents.contains_key(&content);
        let known = peer.contents.entry(content).or_insert(tie);
        *known = tie.max(*known);
        let may_wait = match &peer.standing {
            Standing::Passive => true,
            // It lacks something else.
            Standing::Refused(_) => tie == Tie::Push || is_new,
            Standing::Waiting(_) | Standing::Dialing | Standing::Linked | Standing::Banned(_) => false,
        };
        if may_wait && !peer.addresses.is_empty() {
            peer.standing = Standing::Waiting(now);
        }
    }

    /// The entry of a node; the peer that is worth the least makes room for a new one. `None` if all are linked or banned.
    fn entry(&mut self, node: NodeId) -> Option<&mut Peer> {
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(&node) {
            let others = self.peers.iter().filter(|(_, peer)| peer.may_be_forgotten());
            let (worst, _) = others.max_by_key(|(_, peer)| peer.worthlessness())?;
            let worst = *worst;
            self.peers.remove(&worst);
        }
        Some(self.peers.entry(node).or_default())
    }

    /// Whether a node was named as a source of this content.
    pub(super) fn is_source(&self, node: NodeId, content: ContentId) -> bool {
        self.peers.get(&node).is_some_and(|peer| peer.contents.contains_key(&content))
    }

    /// What a node was named for.
    pub(super) fn contents(&self, node: NodeId) -> impl Iterator<Item = &ContentId> {
        self.peers.get(&node).into_iter().flat_map(|peer| peer.contents.keys())
    }

    /// Dials under way for a content.
    pub(super) fn dialing(&self, content: ContentId) -> usize {
        let is_dialing =
            |peer: &&Peer| matches!(peer.standing, Standing::Dialing) && peer.contents.contains_key(&content);
        self.peers.values().filter(is_dialing).count()
    }

    /// Whether any node may be dialed some day.
    pub(super) fn has_waiting(&self) -> bool {
        self.peers.values().any(|peer| matches!(peer.standing, Standing::Waiting(_)))
    }

    /// This content is pushed to no node any more.
    pub(super) fn end_pushes(&mut self, content: ContentId) {
        for peer in self.peers.values_mut() {
            if peer.contents.get(&content) == Some(&Tie::Push) {
                peer.contents.remove(&content);
            }
        }
    }

    /// Whether this node pushes the content to that one.
    pub(super) fn is_pushed(&self, node: NodeId, content: ContentId) -> bool {
        self.peers.get(&node).is_some_and(|peer| peer.contents.get(&content) == Some(&Tie::Push))
    }

    /// Whether this node pushes anything to that one.
    pub(super) fn has_pushes(&self, node: NodeId) -> bool {
        self.peers.get(&node).is_some_and(Peer::has_pushes)
    }

    /// A dial beside all others, at the given addresses or else the known ones. `None` if it is linked or banned, or if too
    /// many such dials are under way.
    pub(super) fn begin_meeting(&mut self, node: NodeId, addresses: Vec<Address>) -> Option<Vec<Address>> {
        let meetings: u32 = self.peers.values().map(|peer| peer.meetings).sum();
        if meetings >= MEETINGS_AT_ONCE {
            return None;
        }
        let peer = self.entry(node)?;
        let mut addresses = if addresses.is_empty() { peer.addresses.clone() } else { addresses };
        addresses.truncate(SOURCE_ADDRESSES_MAX);
        let is_of_use = !matches!(peer.standing, Standing::Linked | Standing::Banned(_));
        if !is_of_use || addresses.is_empty() {
            return None;
        }
        peer.meetings += 1;
        Some(addresses)
    }

    /// A dial has ended. True if it was one of those.
    pub(super) fn end_meeting(&mut self, node: NodeId) -> bool {
        let peer = self.peers.get_mut(&node).filter(|peer| peer.meetings > 0);
        peer.map(|peer| peer.meetings -= 1).is_some()
    }

    /// The earliest time at which a node is due that is of use.
    pub(super) fn next_dial_at(&self, is_wanted: impl Fn(&ContentId, Tie) -> bool) -> Option<Instant> {
        self.peers
            .values()
            .filter(|peer| peer.is_wanted(&is_wanted))
            .filter_map(|peer| match peer.standing {
                Standing::Waiting(at) => Some(at),
                _ => None,
            })
            .min()
    }

    /// Begins to dial a node that was heard of. False if that is in hand already, or pointless.
    pub(super) fn begin_trial(&mut self, node: NodeId, content: ContentId, addresses: &[Address]) -> bool {
        let dialing = self.peers.values().filter(|peer| matches!(peer.standing, Standing::Dialing)).count();
        if dialing >= DIALS_AT_ONCE || self.is_in_hand(node) {
            return false;
        }
        let Some(peer) = self.entry(node) else { return false };
        peer.addresses = addresses.to_vec();
        peer.contents.entry(content).or_insert(Tie::Fetch);
        (peer.standing, peer.is_on_trial) = (Standing::Dialing, true);
        true
    }

    /// Whether a node needs no word of others: it is linked, dialed in its turn, or no use.
    pub(super) fn is_in_hand(&self, node: NodeId) -> bool {
        self.peers.get(&node).is_some_and(|peer| !matches!(peer.standing, Standing::Passive))
    }

    /// Places where a node may be dialed, as they were named.
    pub(super) fn addresses(&self, node: NodeId) -> &[Address] {
        self.peers.get(&node).map_or(&[], |peer| peer.addresses.as_slice())
    }

    /// A dial has failed. If it went to a node only heard of, it was the last, and nothing of it is kept.
    pub(super) fn end_trial(&mut self, node: NodeId) -> bool {
        let Some(peer) = self.peers.get_mut(&node).filter(|peer| peer.is_on_trial) else { return false };
        peer.is_on_trial = false;
        if matches!(peer.standing, Standing::Dialing) {
            (peer.standing, peer.addresses) = (Standing::Passive, Vec::new());
            let is_unknown = peer.totals == PeerTotals::default() && peer.past == Reputation::default();
            if is_unknown && peer.accusers.is_empty() && peer.meetings == 0 {
                self.peers.remove(&node);
            }
        }
        true
    }

    /// Takes the first in rank that is due and of use; it counts as being dialed from now on.
    pub(super) fn pop_due(
        &mut self,
        now: Instant,
        is_wanted: impl Fn(&ContentId, Tie) -> bool,
    ) -> Option<(NodeId, Vec<Address>)> {
        let dialing = self.peers.values().filter(|peer| matches!(peer.standing, Standing::Dialing)).count();
        if dialing >= DIALS_AT_ONCE {
            return None;
        }
        let is_due = |peer: &Peer| matches!(peer.standing, Standing::Waiting(at) if at <= now);
        let crowds = self.crowds();
        let due = self.peers.iter_mut().filter(|(_, peer)| is_due(peer) && peer.is_wanted(&is_wanted));
        let (node, peer) = due.min_by_key(|(_, peer)| peer.turn(&crowds))?;
        peer.standing = Standing::Dialing;
        Some((*node, peer.addresses.clone()))
    }

    /// Dials under way, by the network they go to.
    fn crowds(&self) -> BTreeMap<Network, usize> {
        let mut crowds = BTreeMap::new();
        let dialed = self.peers.values().filter(|peer| matches!(peer.standing, Standing::Dialing));
        for network in dialed.filter_map(Peer::network) {
            *crowds.entry(network).or_default() += 1;
        }
        crowds
    }

    /// Notes that a node is dialed in its turn. True if that is its first dial.
    pub(super) fn on_tried(&mut self, node: NodeId) -> bool {
        self.peers.get_mut(&node).is_some_and(|peer| !std::mem::replace(&mut peer.is_tried, true))
    }

    /// Whether a source of this content waits for its first dial.
    pub(super) fn has_untried(&self, content: ContentId) -> bool {
        let is_untried = |peer: &Peer| !peer.is_tried && matches!(peer.standing, Standing::Waiting(_));
        self.peers.values().any(|peer| is_untried(peer) && peer.contents.contains_key(&content))
    }

    /// A link to it stands.
    pub(super) fn on_linked(&mut self, node: NodeId) {
        let Some(peer) = self.entry(node) else { return };
        peer.is_on_trial = false;
        peer.is_tried = true;
        if !matches!(peer.standing, Standing::Banned(_)) {
            peer.standing = Standing::Linked;
        }
    }

    /// It was of use: the next failure is its first.
    pub(super) fn on_useful(&mut self, node: NodeId) {
        if let Some(peer) = self.peers.get_mut(&node) {
            (peer.failures, peer.is_announced) = (0, false);
        }
    }

    /// The last link to it is gone, which stood for that time.
    pub(super) fn on_unlinked(
        &mut self,
        now: Instant,
        node: NodeId,
        (stood, reason): (Duration, Option<&str>),
        rng: &mut Rng,
    ) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        if stood > BACKOFF_MAX {
            peer.failures = 0;
        }
        // One that refused waits already, with its reason.
        if !matches!(peer.standing, Standing::Banned(_) | Standing::Refused(_) | Standing::Waiting(_)) {
            peer.back_off(now, reason, rng);
        }
    }

    /// A dial failed. A node that dialed in meanwhile stays linked.
    pub(super) fn on_failed(&mut self, now: Instant, node: NodeId, reason: &str, rng: &mut Rng) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        if !matches!(peer.standing, Standing::Banned(_) | Standing::Refused(_) | Standing::Linked) {
            peer.back_off(now, Some(reason), rng);
        }
    }

    /// No use trying again, unless something is pushed to it: that goes on. Once more if it said that it has what it refuses.
    pub(super) fn on_refused(&mut self, now: Instant, node: NodeId, refusal: &Refusal, rng: &mut Rng) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        if matches!(peer.standing, Standing::Banned(_)) {
            return;
        }
        if peer.has_pushes() && matches!(peer.standing, Standing::Linked) {
            return;
        }
        let is_announced = std::mem::take(&mut peer.is_announced) && !peer.addresses.is_empty();
        if is_announced || peer.has_pushes() {
            peer.back_off(now, Some(&refusal.words), rng);
        } else {
            peer.last_failure = Some(refusal.words.clone());
            peer.standing = Standing::Refused(refusal.clone());
        }
    }

    /// Failures so far mean nothing any more: a node that waits to be dialed again is due, and its next failure is its first.
    pub(super) fn end_backoff(&mut self, now: Instant) {
        for peer in self.peers.values_mut() {
            peer.failures = 0;
            if let Standing::Waiting(at) = &mut peer.standing {
                *at = now.min(*at);
            }
        }
    }

    /// A node says that it is there and has what it is dialed for: it is due, whatever it refused and however often it was away. What it refuses
    /// next it may have refused before it said so: the two come over links of their own.
    pub(super) fn forgive(&mut self, now: Instant, node: NodeId) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        peer.is_announced = matches!(peer.standing, Standing::Linked | Standing::Dialing);
        let is_held_up = matches!(peer.standing, Standing::Waiting(_) | Standing::Refused(_));
        if is_held_up && !peer.addresses.is_empty() {
            (peer.failures, peer.standing) = (0, Standing::Waiting(now));
        }
    }

    /// Notes what a node was worth at earlier runs.
    pub(super) fn remember(&mut self, node: NodeId, past: Reputation) {
        let Some(peer) = self.entry(node) else { return };
        peer.past = past;
        if past.is_bad() {
            peer.standing = Standing::Banned(Violation::Remembered);
        }
    }

    /// True once, when a node has given more than one wrong chunk.
    pub(super) fn begin_accusing(&mut self, node: NodeId) -> bool {
        let peer = self.peers.get_mut(&node).filter(|peer| peer.reputation().is_bad_again());
        peer.is_some_and(|peer| !std::mem::replace(&mut peer.is_accused_here, true))
    }

    /// One node says that another gave it wrong chunks. True if that is news of one that is known here.
    pub(super) fn on_accused(&mut self, node: NodeId, by: NodeId) -> bool {
        let peer = self.peers.get_mut(&node).filter(|peer| peer.accusers.len() < ACCUSERS_MAX);
        peer.is_some_and(|peer| peer.accusers.insert(by))
    }

    /// How many say so.
    pub(super) fn accusers(&self, node: NodeId) -> usize {
        self.peers.get(&node).map_or(0, |peer| peer.accusers.len())
    }

    /// Nothing is exchanged with it any more.
    pub(super) fn ban(&mut self, node: NodeId, violation: Violation) {
        self.peers.entry(node).or_default().standing = Standing::Banned(violation);
    }

    /// Whether it is banned.
    pub(super) fn is_banned(&self, node: NodeId) -> bool {
        self.peers.get(&node).is_some_and(|peer| matches!(peer.standing, Standing::Banned(_)))
    }

    /// Its totals, if there is room for it in the book.
    pub(super) fn totals(&mut self, node: NodeId) -> Option<&mut PeerTotals> {
        Some(&mut self.peers.get_mut(&node)?.totals)
    }

    /// All nodes and what they were worth.
    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeId, &PeerTotals, PeerStanding)> {
        self.peers.iter().map(|(node, peer)| (*node, &peer.totals, peer.standing()))
    }

    /// Whether sources of this content were known, and none of them is linked, being dialed, or due some day.
    pub(super) fn is_given_up(&self, content: ContentId) -> bool {
        let is_hopeful = |peer: &Peer| match &peer.standing {
            Standing::Waiting(_) | Standing::Dialing => peer.contents.contains_key(&content),
            Standing::Linked => true,
            Standing::Passive | Standing::Refused(_) | Standing::Banned(_) => false,
        };
        self.peers.values().any(|peer| peer.contents.contains_key(&content))
            && !self.peers.values().any(|peer| peer.meetings > 0 || is_hopeful(peer))
    }

    /// Why sources of this content were given up for good, if one was; of several causes the greatest.
    pub(super) fn refusal(&self, content: ContentId) -> Option<Refusal> {
        let concerned = self.peers.values().filter(|peer| peer.contents.contains_key(&content));
        let refusals = concerned.filter_map(|peer| match &peer.standing {
            Standing::Refused(refusal) => Some(refusal),
            Standing::Waiting(_)
            | Standing::Dialing
            | Standing::Linked
            | Standing::Passive
            | Standing::Banned(_) => None,
        });
        refusals.max_by_key(|refusal| refusal.cause).cloned()
    }

    /// The last thing that went wrong with a source of this content.
    pub(super) fn last_failure(&self, content: ContentId) -> Option<String> {
        let concerned = self.peers.values().filter(|peer| peer.contents.contains_key(&content));
        concerned
            .filter_map(|peer| match &peer.standing {
                Standing::Banned(violation) => Some(format!("banned a source: it {violation}")),
                _ => peer.last_failure.clone(),
            })
            .next_back()
    }
}

/// A dead source holds its place for ten seconds: a hundred of them are to hold up no living one. One dial sends some 10 KB until it is
/// given up, so all of them together send about 1 Mbit/s.
const DIALS_AT_ONCE: usize = 128;
/// Dials under way that the other side asked for; each takes up to ten seconds.
const MEETINGS_AT_ONCE: u32 = 32;
/// Further ones make it no worse.
const ACCUSERS_MAX: usize = 8;

#[cfg(test)]
mod tests;
