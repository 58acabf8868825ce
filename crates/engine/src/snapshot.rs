//! The state of things, for people and for `--json`. Reads everything, changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use swarm_core::base::{ContentId, NodeId, Rate};
use swarm_core::manifest::Address;
use swarm_core::presence::Presence;

use super::Engine;
use super::chunks::Chunks;
use super::content::{ContentTotals, Phase};
use super::io::Bottleneck;
use super::peers::{PeerStanding, PeerTotals};
use super::session::Session;

/// Everything at one instant.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// By id.
    pub contents: Vec<ContentSnapshot>,
    /// Every node heard of, by id.
    pub peers: Vec<PeerSnapshot>,
}

/// One content.
#[derive(Clone, Debug)]
pub struct ContentSnapshot {
    /// Which.
    pub content: ContentId,
    /// A name for people, once the manifest is known.
    pub name: Option<String>,
    /// How far it is.
    pub phase: FetchPhase,
    /// Bytes of all wanted chunks.
    pub wanted_len: u64,
    /// Bytes of verified chunks.
    pub verified_len: u64,
    /// Bytes of durable chunks.
    pub durable_len: u64,
    /// Payload received and sent.
    pub totals: ContentTotals,
    /// What holds it up.
    pub bottleneck: Bottleneck,
    /// Linked peers that take part in it and lack chunks.
    pub lacking_peers: usize,
}

/// How far a content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchPhase {
    /// No peer takes part yet.
    Connecting,
    /// The manifest is on its way.
    Manifest,
    /// What is there already is being checked.
    Opening,
    /// Chunks are fetched.
    Fetching,
    /// All is here; it is being made durable and put in its place.
    Finishing,
    /// All is there.
    Complete,
    /// It ended without success.
    Failed,
}

/// One node.
#[derive(Clone, Debug)]
pub struct PeerSnapshot {
    /// Who.
    pub node: NodeId,
    /// Over all its links.
    pub totals: PeerTotals,
    /// How many of the others say that it gave them wrong chunks.
    pub accusers: usize,
    /// Where it stands.
    pub standing: PeerStanding,
    /// The link, if one stands.
    pub link: Option<LinkSnapshot>,
}

/// One link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSnapshot {
    /// Where the peer is, as seen from here.
    pub address: Option<Address>,
    /// Smoothed round-trip time.
    pub rtt: Duration,
    /// Payload from it now; zero if nothing is asked of it.
    pub rate: Rate,
    /// Bytes asked for and not received.
    pub outstanding_len: u64,
    /// It serves nothing to this node now.
    pub is_choked: bool,
    /// It did not send for too long.
    pub is_snubbed: bool,
    /// Chunks it has, of all contents.
    pub have_count: u32,
}

impl Engine {
    /// Everything at this instant.
    pub fn snapshot(&self) -> Snapshot {
        let contents = self.contents.keys().filter_map(|content| self.content_snapshot(*content)).collect();
        // Looked up, not searched for: a node may know thousands of peers and be asked every second.
        let sessions: BTreeMap<NodeId, &Session> =
            self.sessions.values().rev().map(|session| (session.node, session)).collect();
        let peers = self.peers.iter().map(|(node, totals, standing)| PeerSnapshot {
            node,
            totals: totals.clone(),
            accusers: self.peers.accusers(node),
            standing,
            link: sessions.get(&node).map(|session| self.link_snapshot(session)),
        });
        Snapshot { contents, peers: peers.collect() }
    }

    fn content_snapshot(&self, content: ContentId) -> Option<ContentSnapshot> {
        let state = self.contents.get(&content)?;
        let tally = state.chunks().map(super::chunks::Chunks::tally).unwrap_or_default();
        let is_joined = self.sessions.values().any(|session| session.agent.is_some());
        let phase = match &state.phase {
            Phase::Manifest(_) if !is_joined => FetchPhase::Connecting,
            Phase::Manifest(_) => FetchPhase::Manifest,
            Phase::Opening(_) => FetchPhase::Opening,
            Phase::Fetching(chunks) if chunks.is_verified() => FetchPhase::Finishing,
            Phase::Fetching(_) if !is_joined => FetchPhase::Connecting,
            Phase::Fetching(_) => FetchPhase::Fetching,
            Phase::Finishing(_) => FetchPhase::Finishing,
            Phase::Complete(_) => FetchPhase::Complete,
            Phase::Failed => FetchPhase::Failed,
        };
        Some(ContentSnapshot {
            content,
            name: state.manifest().map(swarm_core::manifest::Manifest::name),
            phase,
            wanted_len: tally.wanted_len,
            verified_len: tally.verified_len,
            durable_len: tally.durable_len,
            totals: state.totals,
            bottleneck: self.bottleneck(content),
            lacking_peers: self.sessions.values().filter(|session| session.lacks(content)).count(),
        })
    }

    /// What this node takes part in, by id; contents that failed are left out.
    pub fn presences(&self) -> Vec<Presence> {
        let live = self.contents.iter().filter(|(_, state)| !matches!(state.phase, Phase::Failed));
        let presence = |(content, state): (&ContentId, &super::content::Content)| {
            let takes_part = |session: &&Session| session.takes_part(*content);
            Presence {
                content: *content,
                have_count: state.chunks().map_or(0, |chunks| chunks.have().count()),
                chunk_count: state.manifest().map_or(0, |manifest| manifest.geometry().chunk_count()),
                is_wanting: state.wants_peers() && !state.chunks().is_some_and(Chunks::is_verified),
                links: self.sessions.values().filter(takes_part).map(|session| session.node).collect(),
            }
        };
        live.map(presence).collect()
    }

    /// The highest rate at which payload went out to all peers together over ten seconds of the last five minutes in which
    /// somebody always waited; zero if there were none: the uplink was never full.
    pub fn upload_capacity(&self) -> Rate {
        self.meter.capacity(self.now)
    }

    fn link_snapshot(&self, session: &Session) -> LinkSnapshot {
        let has = session.remotes.values().filter_map(|remote| remote.has.as_ref());
        let is_idle = session.outstanding_len == 0;
        LinkSnapshot {
            address: session.address.clone(),
            rtt: session.rtt,
            rate: session.rate(self.now).filter(|_| !is_idle).unwrap_or_default(),
            outstanding_len: session.outstanding_len,
            is_choked: session.is_choked,
            is_snubbed: session.is_snubbed(),
            have_count: has.map(swarm_core::base::Bitfield::count).sum(),
        }
    }

    /// What holds a fetch up.
    pub(super) fn bottleneck(&self, content: ContentId) -> Bottleneck {
        let Some(state) = self.contents.get(&content) else { return Bottleneck::None };
        let joined = || self.sessions.values().filter(|session| session.agent.is_some());
        if state.wants_peers() && joined().next().is_none() {
            return Bottleneck::NoPeer(self.peers.last_failure(content));
        }
        match &state.phase {
            Phase::Manifest(_)
                if joined().all(|s| s.remotes.get(&content).is_some_and(|r| r.has_declined)) =>
            {
                Bottleneck::AllDeclined
            }
            Phase::Manifest(_) => Bottleneck::NoManifest,
            Phase::Fetching(chunks) => {
                let has_something = |session: &&super::session::Session| {
                    session.has(content).is_some_and(|has| has.has_beyond(chunks.have()))
                };
                let is_moving = self.sessions.values().any(|session| session.outstanding_len > 0);
                let mut useful = joined().filter(has_something).peekable();
                if chunks.tally().checking_len >= DISK_BOUND_LEN {
                    Bottleneck::Disk
                } else if is_moving {
                    Bottleneck::None
                } else if useful.peek().is_some() && useful.all(|session| session.is_choked) {
                    Bottleneck::AllChoked
                } else if let Some(chunk) = chunks.picker.first_unavailable() {
                    chunks.geometry().chunk(chunk).map_or(Bottleneck::None, Bottleneck::NoPeerHas)
                } else {
                    Bottleneck::None
                }
            }
            Phase::Opening(_) | Phase::Finishing(_) | Phase::Complete(_) | Phase::Failed => Bottleneck::None,
        }
    }
}

/// That much waiting to be checked and written means that the disk is behind.
const DISK_BOUND_LEN: u64 = 32 << 20;
