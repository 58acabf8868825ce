//! The state of things, for people and for `--json`. Reads everything, changes nothing.

#![expect(missing_docs, reason = "a field that its name and type explain has no comment")]

use std::collections::BTreeMap;
use std::time::Duration;

use swarm_core::base::{Bitfield, ContentId, NodeId, Rate};
use swarm_core::manifest::Address;
use swarm_core::presence::Presence;

use super::Engine;
use super::chunks::Chunks;
use super::content::{Content, ContentTotals, Phase};
use super::io::{Bottleneck, LinkId};
use super::participation::Participation;
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
    /// Payload received since it was joined, by the peer that sent it.
    pub received: BTreeMap<NodeId, u64>,
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
    pub is_stalled: bool,
    /// Chunks it has, of all contents.
    pub have_count: u32,
}

/// Reads one engine.
pub struct Survey<'a> {
    pub(super) engine: &'a Engine,
}

impl<'a> Survey<'a> {
    pub(super) fn of(engine: &'a Engine) -> Self {
        Self { engine }
    }

    /// Everything at this instant.
    pub fn snapshot(&self) -> Snapshot {
        let contents =
            self.engine.contents.by_id.keys().filter_map(|content| self.content(*content)).collect();
        // Looked up, not searched for: a node may know thousands of peers and be asked every second.
        let sessions: BTreeMap<NodeId, LinkId> =
            self.engine.sessions.by_link.iter().rev().map(|(link, session)| (session.node, *link)).collect();
        let peers = self.engine.dialing.peers.iter().map(|(node, totals, standing)| PeerSnapshot {
            node,
            totals: totals.clone(),
            accusers: self.engine.dialing.peers.accusers(node),
            standing,
            link: sessions.get(&node).and_then(|link| self.link(*link)),
        });
        Snapshot { contents, peers: peers.collect() }
    }

    /// What this node takes part in, by id; contents that failed are left out.
    pub fn presences(&self) -> Vec<Presence> {
        let live = self.engine.contents.by_id.iter().filter(|(_, state)| state.is_live());
        let presence = |(content, state): (&ContentId, &Content)| {
            let chunks = self.engine.transfer.downloads.chunks(*content);
            let manifest = chunks.map(Chunks::manifest).or(state.opening());
            let takes_part = |session: &&Session| session.takes_part(*content);
            Presence {
                content: *content,
                have_count: chunks.map_or(0, |chunks| chunks.have().count()),
                chunk_count: manifest.map_or(0, |manifest| manifest.geometry().chunk_count()),
                is_wanting: state.wants_peers() && !chunks.is_some_and(Chunks::is_verified),
                links: self
                    .engine
                    .sessions
                    .by_link
                    .values()
                    .filter(takes_part)
                    .map(|session| session.node)
                    .collect(),
            }
        };
        live.map(presence).collect()
    }

    /// The highest rate at which payload went out to all peers together over ten seconds of the last five minutes in which
    /// a request always waited; zero if there were none: the uplink was never full.
    pub fn upload_capacity(&self) -> Rate {
        self.engine.serving.capacity(&self.engine.turn)
    }

    fn content(&self, content: ContentId) -> Option<ContentSnapshot> {
        let state = self.engine.contents.by_id.get(&content)?;
        let chunks = self.engine.transfer.downloads.chunks(content);
        let tally = chunks.map(Chunks::tally).unwrap_or_default();
        let manifest = chunks.map(Chunks::manifest).or(state.opening());
        let is_joined = self.engine.sessions.by_link.values().any(|session| session.is_greeted());
        let phase = match &state.phase {
            Phase::Manifest(_) if !is_joined => FetchPhase::Connecting,
            Phase::Manifest(_) => FetchPhase::Manifest,
            Phase::Opening(_) => FetchPhase::Opening,
            Phase::Fetching if chunks.is_some_and(Chunks::is_verified) => FetchPhase::Finishing,
            Phase::Fetching if !is_joined => FetchPhase::Connecting,
            Phase::Fetching => FetchPhase::Fetching,
            Phase::Finishing => FetchPhase::Finishing,
            Phase::Complete => FetchPhase::Complete,
            Phase::Failed => FetchPhase::Failed,
        };
        let lacks = |(link, session): &(&LinkId, &Session)| {
            session.takes_part(content)
                && !self.engine.transfer.downloads.has(**link, content).is_some_and(Bitfield::is_full)
        };
        Some(ContentSnapshot {
            content,
            name: manifest.map(swarm_core::manifest::Manifest::name),
            phase,
            wanted_len: tally.wanted_len,
            verified_len: tally.verified_len,
            durable_len: tally.durable_len,
            totals: self.engine.transfer.downloads.totals(content),
            bottleneck: self.bottleneck(content),
            lacking_peers: self.engine.sessions.by_link.iter().filter(lacks).count(),
            received: self.received(content),
        })
    }

    fn link(&self, link: LinkId) -> Option<LinkSnapshot> {
        let (session, pipeline) =
            (self.engine.sessions.by_link.get(&link)?, self.engine.transfer.pipeline(link)?);
        let has =
            session.remotes.keys().filter_map(|content| self.engine.transfer.downloads.has(link, *content));
        let is_idle = pipeline.outstanding_len == 0;
        Some(LinkSnapshot {
            address: session.address.clone(),
            rtt: pipeline.rtt,
            rate: pipeline.rate(self.engine.turn.now).filter(|_| !is_idle).unwrap_or_default(),
            outstanding_len: pipeline.outstanding_len,
            is_choked: pipeline.is_choked,
            is_stalled: pipeline.is_stalled(),
            have_count: has.map(Bitfield::count).sum(),
        })
    }

    /// What holds a fetch up.
    pub(super) fn bottleneck(&self, content: ContentId) -> Bottleneck {
        let Some(state) = self.engine.contents.by_id.get(&content) else { return Bottleneck::None };
        let joined = || self.engine.sessions.by_link.iter().filter(|(_, session)| session.is_greeted());
        if state.wants_peers() && joined().next().is_none() {
            return Bottleneck::NoPeer(self.engine.dialing.peers.last_failure(content));
        }
        let has_declined =
            |session: &Session| session.participation(content).is_some_and(Participation::has_declined);
        match (&state.phase, self.engine.transfer.downloads.chunks(content)) {
            (Phase::Manifest(_), _) if joined().all(|(_, session)| has_declined(session)) => {
                Bottleneck::AllDeclined
            }
            (Phase::Manifest(_), _) => Bottleneck::NoManifest,
            (Phase::Fetching, Some(chunks)) => {
                let has_something = |link: &&LinkId| {
                    self.engine
                        .transfer
                        .downloads
                        .has(**link, content)
                        .is_some_and(|has| has.has_beyond(chunks.have()))
                };
                let is_choked =
                    |link: &LinkId| self.engine.transfer.pipeline(*link).is_none_or(|p| p.is_choked);
                let mut useful = joined().map(|(link, _)| link).filter(has_something).peekable();
                if chunks.tally().checking_len >= DISK_BOUND_LEN {
                    Bottleneck::Disk
                } else if self.engine.transfer.is_moving() {
                    Bottleneck::None
                } else if useful.peek().is_some() && useful.all(is_choked) {
                    Bottleneck::AllChoked
                } else if let Some(chunk) = chunks.picker.first_unavailable() {
                    chunks.geometry().chunk(chunk).map_or(Bottleneck::None, Bottleneck::NoPeerHas)
                } else {
                    Bottleneck::None
                }
            }
            (Phase::Opening(_) | Phase::Fetching | Phase::Finishing | Phase::Complete | Phase::Failed, _) => {
                Bottleneck::None
            }
        }
    }
}

/// That much waiting to be checked and written means that the disk is behind.
const DISK_BOUND_LEN: u64 = 32 << 20;
