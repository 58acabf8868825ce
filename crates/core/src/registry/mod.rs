//! Who takes part in which content, and who is told of whom: the memory of a coordinator, and of the simulator's.
//! Invariant: every listed entry stands in one index of its content, and all in the expiries; nothing outlives its time to
//! live. Knows no addresses, no sockets, no files, no clock; what an announcement claims was checked by whoever passes it on.

mod neighbours;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::base::limits::{REGISTRY_CONTENTS_MAX, REGISTRY_ENTRIES_MAX, REGISTRY_NODES_MAX};
use crate::base::{ContentId, Instant, NodeId, Rate, Rng, Zone};

use neighbours::Neighbourhood;

/// What a node says of itself and one content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce {
    /// Of what it has chunks, or wants them.
    pub content: ContentId,
    /// Who.
    pub node: NodeId,
    /// Others may be told of it. If not, it may ask all the same.
    pub is_listed: bool,
    /// Verified chunks.
    pub have_count: u32,
    /// Chunks of the content; zero while its manifest is not known to the node.
    pub chunk_count: u32,
    /// Its upload capacity; zero if it does not know.
    pub up: Rate,
    /// Where it stands, in words of the operators' own; nodes of one zone are near each other.
    pub zone: Option<Zone>,
    /// Peers it is linked to.
    pub links: Vec<NodeId>,
}

/// A node that asks for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// For what.
    pub content: ContentId,
    /// Who asks.
    pub node: NodeId,
    /// How many neighbours it wants to have in all.
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
    /// An empty registry that forgets after that time. The seed is all the chance it will ever have.
    pub fn new(time_to_live: Duration, seed: u64) -> Self {
        Self { time_to_live, contents: BTreeMap::new(), expiries: BTreeSet::new(), rng: Rng::seeded(seed) }
    }

    /// Takes an announcement in place of an earlier one of the same node.
    ///
    /// # Errors
    /// If there are too many contents, or nodes of this one. What is known is kept.
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

    /// Takes back what was known before a restart, with the time that is left to it.
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

    /// Nodes for one that asks: random, with more weight on upload capacity, first those that have few neighbours so that
    /// everybody ends with about as many; near ones where zones are known, but two far ones at least. Both of each pair
    /// count as neighbours for a while, until their announcements say that they are linked. No more than half of what is
    /// wanted at a time: the others come by asking for this node. If early askers took all, they would know none of each
    /// other (1000 peers, 256 chunks: 1.34 times the bound, against 1.29).
    pub fn ask(&mut self, now: Instant, ask: &Ask) -> Vec<Announce> {
        let Some(hood) = self.contents.get_mut(&ask.content) else { return Vec::new() };
        hood.hand_out(now, ask, &mut self.rng)
    }

    /// Forgets what has not been announced again in time. Returns what that was.
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

    /// Lets others be told of a node, or no more.
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

    /// What one node announced of a content.
    pub fn entry(&self, content: ContentId, node: NodeId) -> Option<&Announce> {
        self.contents.get(&content)?.announce(node)
    }

    /// Everything that is known, by content and node.
    pub fn entries(&self) -> impl Iterator<Item = &Announce> {
        self.contents.values().flat_map(Neighbourhood::announces)
    }

    /// Contents that somebody has or wants.
    pub fn contents(&self) -> impl Iterator<Item = ContentId> {
        self.contents.keys().copied()
    }
}

#[cfg(test)]
mod tests;
