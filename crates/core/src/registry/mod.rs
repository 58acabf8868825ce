//! The nodes of each content, and which of them a node is told of: the memory of a coordinator, and of the simulator's.
//! Invariant: every listed entry stands in one index of its content, and all in the expiries; nothing outlives its time to
//! live. Knows no addresses, sockets, files or clock; the caller checks an announcement before it passes it on.

mod neighbours;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::base::limits::{REGISTRY_CONTENTS_MAX, REGISTRY_ENTRIES_MAX, REGISTRY_NODES_MAX};
use crate::base::{ContentId, Instant, NodeId, Rate, Rng, Zone};

use neighbours::Neighbourhood;

/// The claims of a node about itself and one content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce {
    /// The content that the node has or wants.
    pub content: ContentId,
    /// The node that signed the announcement.
    pub node: NodeId,
    /// Whether others may be told of it. An unlisted node may still ask.
    pub is_listed: bool,
    /// Number of verified chunks.
    pub have_count: u32,
    /// Number of chunks of the content; zero while the node lacks the manifest.
    pub chunk_count: u32,
    /// Upload capacity; zero if the node does not know it.
    pub up: Rate,
    /// A label that operators choose; nodes of one zone are near each other.
    pub zone: Option<Zone>,
    /// Linked peers that take part in the content.
    pub links: Vec<NodeId>,
}

/// A request for neighbours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The content to find nodes for.
    pub content: ContentId,
    /// The node that asks: it is never named to itself.
    pub node: NodeId,
    /// Number of neighbours that the node wants to have in all.
    pub wanted: u32,
}

/// The registry is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the coordinator has no room for more {0}: ask another one")]
pub struct Full(&'static str);

/// All announcements that have not expired.
#[derive(Debug)]
pub struct Registry {
    time_to_live: Duration,
    contents: BTreeMap<ContentId, Neighbourhood>,
    expiries: BTreeSet<(Instant, ContentId, NodeId)>,
    rng: Rng,
}

impl Registry {
    /// An empty registry whose entries expire after `time_to_live`. All its random choices follow from `seed`.
    pub fn new(time_to_live: Duration, seed: u64) -> Self {
        Self { time_to_live, contents: BTreeMap::new(), expiries: BTreeSet::new(), rng: Rng::seeded(seed) }
    }

    /// Stores an announcement, and replaces an earlier one of the same node.
    ///
    /// # Errors
    /// If there are too many contents, or too many nodes of this one. Earlier entries are kept.
    pub fn announce(&mut self, now: Instant, announce: Announce) -> Result<(), Full> {
        let (content, node) = (announce.content, announce.node);
        if !self.contents.contains_key(&content) && self.contents.len() >= REGISTRY_CONTENTS_MAX {
            return Err(Full("contents"));
        }
        let nodes = self.contents.get(&content).map_or(0, Neighbourhood::len);
        let before = self.contents.get(&content).and_then(|hood| hood.expires_at(node));
        if before.is_none() && nodes >= REGISTRY_NODES_MAX {
            return Err(Full("nodes of this content"));
        }
        if before.is_none() && self.expiries.len() >= REGISTRY_ENTRIES_MAX {
            return Err(Full("announcements"));
        }
        if let Some(at) = before {
            self.expiries.remove(&(at, content, node));
        }
        self.announce_until(now, now + self.time_to_live, announce);
        Ok(())
    }

    /// Stores an entry that was known before a restart, with the rest of its time to live.
    ///
    /// # Errors
    /// If the registry is full.
    pub fn restore(&mut self, now: Instant, expires_at: Instant, announce: Announce) -> Result<(), Full> {
        if self.expiries.len() >= REGISTRY_ENTRIES_MAX {
            return Err(Full("announcements"));
        }
        if expires_at > now && expires_at <= now + self.time_to_live {
            self.announce_until(now, expires_at, announce);
        }
        Ok(())
    }

    fn announce_until(&mut self, now: Instant, expires_at: Instant, announce: Announce) {
        let (content, node) = (announce.content, announce.node);
        self.expiries.insert((expires_at, content, node));
        self.contents.entry(content).or_default().put(now, announce, expires_at, &mut self.rng);
    }

    /// Forgets a node that leaves a content.
    pub fn withdraw(&mut self, content: ContentId, node: NodeId) {
        let Some(hood) = self.contents.get_mut(&content) else { return };
        if let Some(at) = hood.remove(node) {
            self.expiries.remove(&(at, content, node));
        }
        if hood.len() == 0 {
            self.contents.remove(&content);
        }
    }

    /// Neighbours for a node that asks: a random choice, weighted by upload capacity. Nodes with few neighbours come first, so
    /// that the degrees of all nodes even out; near nodes come first where zones are known, except for two far ones. Both nodes
    /// of a pair count as neighbours for a while, until their announcements show the link. An answer fills at most half of the
    /// wanted number; the rest are later nodes that are told of this one. If early nodes filled up at once, they would be
    /// linked only to other early nodes (1000 peers, 256 chunks: 1.34 times the bound, against 1.29).
    pub fn ask(&mut self, now: Instant, ask: &Ask) -> Vec<Announce> {
        let Some(hood) = self.contents.get_mut(&ask.content) else { return Vec::new() };
        hood.hand_out(now, ask, &mut self.rng)
    }

    /// Removes the entries that were not announced again in time, and returns them.
    pub fn expire(&mut self, now: Instant) -> Vec<(ContentId, NodeId)> {
        let mut forgotten = Vec::new();
        while let Some(&(at, content, node)) = self.expiries.first()
            && at <= now
        {
            self.withdraw(content, node);
            forgotten.push((content, node));
        }
        forgotten
    }

    /// Sets whether others are told of a node.
    pub fn list(&mut self, content: ContentId, node: NodeId, is_listed: bool) {
        if let Some(hood) = self.contents.get_mut(&content) {
            hood.list(node, is_listed);
        }
    }

    /// When an announcement is forgotten.
    pub fn expires_at(&self, content: ContentId, node: NodeId) -> Option<Instant> {
        self.contents.get(&content)?.expires_at(node)
    }

    /// When the next entry expires.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.expiries.first().map(|(at, ..)| *at)
    }

    /// The announcement of one node for a content.
    pub fn entry(&self, content: ContentId, node: NodeId) -> Option<&Announce> {
        self.contents.get(&content)?.announce(node)
    }

    /// All announcements, by content and node.
    pub fn entries(&self) -> impl Iterator<Item = &Announce> {
        self.contents.values().flat_map(Neighbourhood::announces)
    }

    /// Contents with at least one node.
    pub fn contents(&self) -> impl Iterator<Item = ContentId> {
        self.contents.keys().copied()
    }
}

#[cfg(test)]
mod tests;
