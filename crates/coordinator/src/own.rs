//! The node that a coordinator runs in, as one of those that it tells others of. It needs no link to itself and no probe; what
//! it says of its addresses is believed.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::sync::mpsc;

use super::Coordinator;
use super::desk::{Call, ClientId};
use crate::limits::COORDINATOR_QUEUE_FRAMES;
use swarm_core::base::limits::{
    ANNOUNCE_INTERVAL, ANNOUNCE_LINKS_MAX, NEIGHBOURS_TARGET, SOURCE_ADDRESSES_MAX,
};
use swarm_core::base::{ContentId, Instant, NodeId, Rate};
use swarm_core::manifest::{SigningKey, Source};
use swarm_core::wire::{AnnounceBody, Coordination, SignedAnnounce};
use swarm_link::Endpoint;

/// What a node says to the coordinator that it runs itself, and what it hears.
pub struct OwnNode {
    calls: mpsc::Sender<Call>,
    heard: mpsc::Receiver<Coordination>,
    /// As if it were linked from this machine.
    observed: SocketAddr,
    key: SigningKey,
    said: BTreeMap<ContentId, Said>,
}

/// One content that the own node takes part in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnPresence {
    /// Which.
    pub content: ContentId,
    /// Verified chunks.
    pub have_count: u32,
    /// Chunks of the content; zero while the manifest is not known.
    pub chunk_count: u32,
    /// Something is still to be fetched: others are to be named.
    pub is_wanting: bool,
    /// Peers that are linked for it.
    pub links: Vec<NodeId>,
}

/// What is the same for every content.
#[derive(Clone, Debug)]
pub struct OwnPlace {
    /// Who, and where others reach it.
    pub source: Source,
    /// Where it stands, in the operators' own words.
    pub zone: Option<String>,
    /// What it may upload; zero if it is not known.
    pub up: Rate,
}

#[derive(Clone, Copy)]
struct Said {
    at: Instant,
    have_count: u32,
}

impl Coordinator {
    /// Enters the node of this endpoint, which the coordinator runs in.
    pub async fn own_node(&self, endpoint: &Endpoint) -> OwnNode {
        let (queue, heard) = mpsc::channel(COORDINATOR_QUEUE_FRAMES);
        let (bound, node) = (endpoint.bound_address(), endpoint.node_id());
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, endpoint.port()));
        let observed = if bound.ip().is_loopback() { bound } else { here };
        // The desk may have ended.
        let _ = self.calls.send(Call::Joined { client: OWN, node, observed, queue }).await;
        let (calls, key) = (self.calls.clone(), endpoint.signing_key());
        OwnNode { calls, heard, observed, key, said: BTreeMap::new() }
    }
}

impl OwnNode {
    /// Tells what the node takes part in now. To be called about every second; only news are passed on.
    pub async fn announce(&mut self, now: Instant, place: &OwnPlace, presences: &[OwnPresence]) {
        let is_gone = |content: &ContentId| !presences.iter().any(|presence| presence.content == *content);
        let gone: Vec<ContentId> = self.said.keys().copied().filter(is_gone).collect();
        for content in gone {
            self.said.remove(&content);
            self.call(Call::Withdrew { client: OWN, content }).await;
        }
        for presence in presences {
            if self.said.get(&presence.content).is_some_and(|said| !said.is_due(now, presence)) {
                continue;
            }
            self.said.insert(presence.content, Said { at: now, have_count: presence.have_count });
            let announce = SignedAnnounce::sign(&self.key, place.body(presence));
            let wanted = if presence.is_wanting { NEIGHBOURS_TARGET } else { 0 };
            let links = presence.links.iter().copied().take(ANNOUNCE_LINKS_MAX).collect();
            self.call(Call::Announced { client: OWN, observed: self.observed, announce, wanted, links })
                .await;
        }
    }

    /// Nodes that the coordinator names for a content. To be cancelled by dropping the future.
    pub async fn next(&mut self) -> (ContentId, Vec<Source>) {
        loop {
            let (content, neighbours) = match self.heard.recv().await {
                Some(Coordination::Neighbours { content, neighbours }) => (content, neighbours),
                Some(Coordination::Meet { content, neighbour }) => (content, vec![neighbour]),
                Some(Coordination::Refused { content, reason }) => {
                    tracing::warn!(
                        content = content.short(),
                        reason,
                        "this coordinator does not name its own node"
                    );
                    continue;
                }
                Some(
                    Coordination::Hello(_)
                    | Coordination::Welcome(_)
                    | Coordination::Announce { .. }
                    | Coordination::Withdraw { .. },
                ) => continue,
                None => std::future::pending().await,
            };
            let source = |neighbour: swarm_core::wire::Neighbour| Source {
                node: neighbour.announce.body().node,
                addresses: neighbour.addresses,
            };
            return (content, neighbours.into_iter().map(source).collect());
        }
    }

    async fn call(&self, call: Call) {
        // The desk may have ended.
        let _ = self.calls.send(call).await;
    }
}

impl OwnPlace {
    fn body(&self, presence: &OwnPresence) -> AnnounceBody {
        AnnounceBody {
            content: presence.content,
            node: self.source.node,
            addresses: self.source.addresses.iter().take(SOURCE_ADDRESSES_MAX).cloned().collect(),
            have_count: presence.have_count,
            chunk_count: presence.chunk_count,
            up: self.up,
            zone: self.zone.clone(),
        }
    }
}

impl Said {
    fn is_due(self, now: Instant, presence: &OwnPresence) -> bool {
        let is_news = presence.have_count != self.have_count;
        let age = now.since(self.at);
        age >= ANNOUNCE_INTERVAL
            || (is_news && !presence.is_wanting)
            || (presence.is_wanting && age >= NEWS_INTERVAL)
    }
}

/// The own node's number among those that are linked; links are counted from 1.
const OWN: ClientId = ClientId(0);
/// How often a fetch that moves is told anew, and looks for others.
const NEWS_INTERVAL: Duration = Duration::from_secs(10);
