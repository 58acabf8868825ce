//! Puts together how a node stands. Reads everything, changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::contents::{Contents, Entry, State};
use super::protocol::{
    BannedStatus, ContentStatus, CoordinatorStatus, PeerStatus, ReputationStatus, Status, StoreStatus,
};
use super::rates::RecentRates;
use super::reputations::Reputations;
use super::schedule::Rates;
use swarm_coordinator::Totals;
use swarm_core::base::ContentId;
use swarm_core::manifest::{Source, Ticket};
use swarm_engine::{Bottleneck, ContentSnapshot, PeerSnapshot, PeerStanding};
use swarm_node::NodeSnapshot;

/// What is known of a node at one instant.
pub(super) struct View<'a> {
    pub(super) contents: &'a Contents,
    pub(super) snapshot: &'a NodeSnapshot,
    pub(super) rates: &'a RecentRates,
    pub(super) reputations: &'a Reputations,
    /// This node in tickets.
    pub(super) source: &'a Source,
    pub(super) coordinators: &'a [Source],
    pub(super) store: Option<StoreStatus>,
    pub(super) totals: Option<Totals>,
    pub(super) listen: std::net::SocketAddr,
    pub(super) metrics_listen: Option<std::net::SocketAddr>,
    pub(super) limits: Rates,
    pub(super) uptime: Duration,
}

impl View<'_> {
    pub(super) fn status(&self) -> Status {
        let (contents, peers) = (self.contents(), self.peers());
        let troubles = self.troubles();
        Status {
            node: self.source.node.to_string(),
            agent: swarm_core::wire::Hello::ours().agent,
            listen: self.listen.to_string(),
            metrics_listen: self.metrics_listen.map(|address| address.to_string()),
            addresses: self.source.addresses.iter().map(ToString::to_string).collect(),
            uptime_seconds: self.uptime.as_secs(),
            is_healthy: troubles.is_empty(),
            troubles,
            limit_up: self.limits.up.map(|rate| rate.0),
            limit_down: self.limits.down.map(|rate| rate.0),
            sent_bytes_per_sec: contents.iter().map(|content| content.sent_bytes_per_sec).sum(),
            received_bytes_per_sec: peers.iter().map(|peer| peer.received_bytes_per_sec).sum(),
            wire_sent_bytes: self.snapshot.wire_total.sent_len,
            wire_received_bytes: self.snapshot.wire_total.received_len,
            store: self.store.clone(),
            coordinator: self.totals.map(|totals| CoordinatorStatus {
                contents: totals.contents,
                announcements: totals.announcements,
                listed: totals.listed,
                nodes: totals.links,
            }),
            contents,
            peers,
            banned: self.banned(),
        }
    }

    pub(super) fn contents(&self) -> Vec<ContentStatus> {
        let snapshots: BTreeMap<ContentId, &ContentSnapshot> =
            self.snapshot.engine.contents.iter().map(|content| (content.content, content)).collect();
        let with_snapshot = |entry: &Entry| {
            let snapshot = entry.content.and_then(|content| snapshots.get(&content).copied());
            self.content(entry, snapshot)
        };
        self.contents.iter().map(|(_, entry)| with_snapshot(entry)).collect()
    }

    /// One content, by what this instant's snapshot has of it.
    fn content(&self, entry: &Entry, snapshot: Option<&ContentSnapshot>) -> ContentStatus {
        let totals = snapshot.map(|snapshot| snapshot.totals).unwrap_or_default();
        let moved = entry.content.map(|content| self.rates.content(content)).unwrap_or_default();
        let progress = *entry.progress.borrow();
        let (len, present_len) = match entry.state {
            State::Hashing => (progress.total_len, progress.hashed_len),
            State::Fetching => {
                let verified_len = snapshot.map_or(entry.present_len, |snapshot| snapshot.verified_len);
                (entry.content_len, verified_len)
            }
            State::Waiting | State::Serving | State::Failed { .. } => (entry.content_len, entry.present_len),
        };
        let is_served = matches!(entry.state, State::Serving | State::Fetching);
        let ticket = entry.content.filter(|_| is_served);
        let ticket = ticket.map(|content| Ticket {
            content,
            sources: vec![self.source.clone()],
            coordinators: self.coordinators.to_vec(),
            ..Ticket::new(content)
        });
        ContentStatus {
            content: entry.content.map(|content| content.to_string()),
            name: entry.name.clone(),
            is_configured: entry.is_configured,
            state: entry.state.word(),
            detail: entry.trouble().or_else(|| awaited(entry, snapshot?)),
            category: entry.trouble_category().map(|category| category.name().to_owned()),
            bytes: len,
            present_bytes: present_len,
            sent_bytes: totals.sent_len,
            fetched_bytes: totals.fetched_len,
            corrupt_bytes: totals.corrupt_len,
            sent_bytes_per_sec: moved.sent,
            fetched_bytes_per_sec: moved.received,
            lost_chunks: entry.lost_chunks,
            ticket: ticket.map(|ticket| ticket.to_string()),
        }
    }

    fn peers(&self) -> Vec<PeerStatus> {
        let one = |peer: &PeerSnapshot| {
            let link = peer.link.as_ref()?;
            let moved = self.rates.peer(peer.node);
            Some(PeerStatus {
                node: peer.node.to_string(),
                agent: peer.totals.agent.clone(),
                sent_bytes: peer.totals.sent_len,
                received_bytes: peer.totals.received_len,
                sent_bytes_per_sec: moved.sent,
                received_bytes_per_sec: moved.received,
                rtt_ms: link.rtt.as_secs_f64() * 1e3,
                reputation: self.reputation(peer),
            })
        };
        self.snapshot.engine.peers.iter().filter_map(one).collect()
    }

    fn banned(&self) -> Vec<BannedStatus> {
        let one = |peer: &PeerSnapshot| {
            let PeerStanding::Banned(violation) = &peer.standing else { return None };
            let (node, why) = (peer.node.to_string(), violation.to_string());
            Some(BannedStatus { node, why, reputation: self.reputation(peer) })
        };
        self.snapshot.engine.peers.iter().filter_map(one).collect()
    }

    fn reputation(&self, peer: &PeerSnapshot) -> ReputationStatus {
        let reputation = self.reputations.of(peer, self.uptime);
        ReputationStatus {
            good_bytes: reputation.good_len as u64,
            bad_chunks: reputation.bad_chunks,
            stalls: reputation.stalls,
            lies: reputation.lies,
            accusers: peer.accusers,
            is_doubtful: reputation.is_doubtful(),
        }
    }

    fn troubles(&self) -> Vec<String> {
        self.contents.iter().filter_map(|(_, entry)| entry.trouble()).collect()
    }
}

/// What a fetch waits for that no peer of it gives, in words. It goes on by itself: no trouble of the node.
fn awaited(entry: &Entry, snapshot: &ContentSnapshot) -> Option<String> {
    if entry.state != State::Fetching {
        return None;
    }
    match &snapshot.bottleneck {
        Bottleneck::NoPeer(None) => Some("no peer is linked yet".to_owned()),
        Bottleneck::NoPeer(Some(reason)) => Some(format!("no peer is linked ({reason}); trying again")),
        Bottleneck::AllDeclined => Some("no linked peer has this content; trying again".to_owned()),
        // It is on its way, or the next look shows it otherwise.
        Bottleneck::None
        | Bottleneck::NoManifest
        | Bottleneck::NoPeerHas(_)
        | Bottleneck::AllChoked
        | Bottleneck::Disk => None,
    }
}
