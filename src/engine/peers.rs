//! The peer book: every node heard of, where it may be dialed, when next, and what it did. Knows no sessions.
//! Invariant: a banned or refused node is never due.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::base::limits::{PEERS_MAX, SOURCE_ADDRESSES_MAX};
use crate::base::{ContentId, Instant, NodeId, Rng};
use crate::manifest::Address;

use super::violation::Violation;

/// Everything known of other nodes.
#[derive(Debug, Default)]
pub(super) struct PeerBook {
    peers: BTreeMap<NodeId, Peer>,
}

/// One node.
#[derive(Debug, Default)]
pub(super) struct Peer {
    addresses: Vec<Address>,
    contents: BTreeSet<ContentId>,
    standing: Standing,
    failures: u32,
    last_failure: Option<String>,
    /// What it was worth.
    pub(super) totals: PeerTotals,
}

/// What a peer gave and took, over all its links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerTotals {
    /// What it says of itself.
    pub agent: String,
    /// Payload received from it, bytes.
    pub received_len: u64,
    /// Payload sent to it, bytes.
    pub sent_len: u64,
    /// Chunks from it that were verified.
    pub verified_chunks: u64,
    /// Chunks from it that failed verification.
    pub corrupt_chunks: u64,
}

#[derive(Debug, Default)]
enum Standing {
    /// It may be dialed from then on.
    Waiting(Instant),
    Dialing,
    Linked,
    /// It has no address: it dials us or stays away.
    #[default]
    Passive,
    /// No use trying: it refuses, proves another key, or lacks the content.
    Refused(String),
    Banned(Violation),
}

impl PeerBook {
    /// Notes a source. The same node again adds addresses and makes it due.
    pub(super) fn add_source(
        &mut self,
        now: Instant,
        content: ContentId,
        node: NodeId,
        addresses: Vec<Address>,
    ) {
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(&node) {
            return;
        }
        let peer = self.peers.entry(node).or_default();
        for address in addresses {
            if !peer.addresses.contains(&address) && peer.addresses.len() < SOURCE_ADDRESSES_MAX {
                peer.addresses.push(address);
            }
        }
        peer.contents.insert(content);
        if matches!(peer.standing, Standing::Passive) && !peer.addresses.is_empty() {
            peer.standing = Standing::Waiting(now);
        }
    }

    /// The earliest time at which somebody is due.
    pub(super) fn next_dial_at(&self) -> Option<Instant> {
        self.peers
            .values()
            .filter_map(|peer| match peer.standing {
                Standing::Waiting(at) => Some(at),
                _ => None,
            })
            .min()
    }

    /// Takes one that is due; it counts as being dialed from now on.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(NodeId, Vec<Address>)> {
        let dialing = self.peers.values().filter(|peer| matches!(peer.standing, Standing::Dialing)).count();
        if dialing >= DIALS_AT_ONCE {
            return None;
        }
        let is_due = |peer: &Peer| matches!(peer.standing, Standing::Waiting(at) if at <= now);
        let (node, peer) = self.peers.iter_mut().find(|(_, peer)| is_due(peer))?;
        peer.standing = Standing::Dialing;
        Some((*node, peer.addresses.clone()))
    }

    /// A link to it stands.
    pub(super) fn on_linked(&mut self, node: NodeId) {
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(&node) {
            return;
        }
        let peer = self.peers.entry(node).or_default();
        if !matches!(peer.standing, Standing::Banned(_)) {
            peer.standing = Standing::Linked;
        }
    }

    /// It was of use: the next failure is its first.
    pub(super) fn on_useful(&mut self, node: NodeId) {
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.failures = 0;
        }
    }

    /// The last link to it is gone.
    pub(super) fn on_unlinked(&mut self, now: Instant, node: NodeId, reason: &str, rng: &mut Rng) {
        self.on_failed(now, node, reason, rng);
    }

    /// A dial or a link failed: wait twice as long as last time, with jitter.
    pub(super) fn on_failed(&mut self, now: Instant, node: NodeId, reason: &str, rng: &mut Rng) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        if matches!(peer.standing, Standing::Banned(_) | Standing::Refused(_)) {
            return;
        }
        let wait = BACKOFF_MIN * 2u32.saturating_pow(peer.failures.min(16));
        let jittered = wait.min(BACKOFF_MAX).mul_f64(0.75 + rng.unit() / 2.0);
        peer.failures += 1;
        peer.last_failure = Some(reason.to_owned());
        peer.standing =
            if peer.addresses.is_empty() { Standing::Passive } else { Standing::Waiting(now + jittered) };
    }

    /// No use trying again.
    pub(super) fn on_refused(&mut self, node: NodeId, reason: String) {
        if let Some(peer) = self.peers.get_mut(&node)
            && !matches!(peer.standing, Standing::Banned(_))
        {
            peer.last_failure = Some(reason.clone());
            peer.standing = Standing::Refused(reason);
        }
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
            Standing::Waiting(_) | Standing::Dialing => peer.contents.contains(&content),
            Standing::Linked => true,
            Standing::Passive | Standing::Refused(_) | Standing::Banned(_) => false,
        };
        self.peers.values().any(|peer| peer.contents.contains(&content))
            && !self.peers.values().any(is_hopeful)
    }

    /// Why sources of this content were given up for good, if one was.
    pub(super) fn refusal(&self, content: ContentId) -> Option<String> {
        self.peers.values().filter(|peer| peer.contents.contains(&content)).find_map(|peer| {
            match &peer.standing {
                Standing::Refused(reason) => Some(reason.clone()),
                _ => None,
            }
        })
    }

    /// The last thing that went wrong with a source of this content.
    pub(super) fn last_failure(&self, content: ContentId) -> Option<String> {
        let concerned = self.peers.values().filter(|peer| peer.contents.contains(&content));
        concerned
            .filter_map(|peer| match &peer.standing {
                Standing::Banned(violation) => Some(format!("banned a source: it {violation}")),
                _ => peer.last_failure.clone(),
            })
            .next_back()
    }
}

/// Where a peer stands, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerStanding {
    /// A link to it stands.
    Linked,
    /// It is being dialed, or will be.
    Away(Option<String>),
    /// It refuses, or has nothing to give.
    Refused(String),
    /// It misbehaved.
    Banned(Violation),
}

impl Peer {
    fn standing(&self) -> PeerStanding {
        match &self.standing {
            Standing::Waiting(_) | Standing::Dialing | Standing::Passive => {
                PeerStanding::Away(self.last_failure.clone())
            }
            Standing::Linked => PeerStanding::Linked,
            Standing::Refused(reason) => PeerStanding::Refused(reason.clone()),
            Standing::Banned(violation) => PeerStanding::Banned(violation.clone()),
        }
    }
}

const DIALS_AT_ONCE: usize = 32;
const BACKOFF_MIN: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: ContentId = ContentId::from_bytes([1; 32]);
    const NODE: NodeId = NodeId::from_bytes([2; 32]);

    fn book() -> PeerBook {
        let mut book = PeerBook::default();
        book.add_source(Instant::ZERO, CONTENT, NODE, vec!["127.0.0.1:1".parse().expect("an address")]);
        book
    }

    #[test]
    fn each_failure_doubles_the_wait_up_to_a_minute() {
        let (mut book, mut rng, mut now) = (book(), Rng::seeded(1), Instant::ZERO);
        for failure in 0..12u32 {
            assert!(book.pop_due(now).is_some());
            book.on_failed(now, NODE, "no answer", &mut rng);
            let at = book.next_dial_at().expect("it is tried again");
            let full = (BACKOFF_MIN * 2u32.pow(failure)).min(BACKOFF_MAX);
            assert!(
                (full.mul_f64(0.74)..=full.mul_f64(1.26)).contains(&(at - now)),
                "{:?} after {failure}",
                at - now
            );
            assert!(book.pop_due(now).is_none());
            now = at;
        }
    }

    #[test]
    fn a_banned_node_is_never_due_again() {
        let (mut book, mut rng) = (book(), Rng::seeded(1));
        book.ban(NODE, Violation::Corrupt(1));
        book.on_failed(Instant::ZERO, NODE, "gone", &mut rng);
        book.add_source(Instant::ZERO, CONTENT, NODE, vec!["127.0.0.1:2".parse().expect("an address")]);
        book.on_linked(NODE);
        assert!(book.pop_due(Instant::ZERO + BACKOFF_MAX * 2).is_none());
        assert!(book.is_banned(NODE) && book.is_given_up(CONTENT));
    }
}
