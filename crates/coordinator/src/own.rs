//! The node of the process that a coordinator runs in, as one of those it names to others. It needs no link to itself and no
//! probe; its addresses are believed.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::Coordinator;
use super::desk::{Call, ClientId};
use crate::limits::COORDINATOR_QUEUE_FRAMES;
use swarm_core::base::limits::{ANNOUNCE_INTERVAL, ANNOUNCE_LINKS_MAX, SOURCE_ADDRESSES_MAX};
use swarm_core::base::{ContentId, Instant, Rate, Zone};
use swarm_core::manifest::{Address, SigningKey, Source};
use swarm_core::presence::{Announcer, Presence};
use swarm_core::wire::{AnnounceBody, Coordination, SignedAnnounce};
use swarm_link::Endpoint;

/// Passes the announcements of a node to the coordinator of its own process, and the answers back.
pub struct OwnNode {
    calls: mpsc::Sender<Call>,
    heard: mpsc::Receiver<Coordination>,
    /// A loopback address, as if the node were linked from this machine.
    observed: SocketAddr,
    key: SigningKey,
    announcer: Announcer,
}

/// The part of an announcement that is equal for every content.
#[derive(Clone, Debug)]
pub struct OwnPlace {
    /// The node's key, and the addresses at which others reach it.
    pub source: Source,
    /// A label that operators choose; nodes of one zone are near each other.
    pub zone: Option<Zone>,
    /// Upload capacity; zero if unknown.
    pub up: Rate,
}

impl Coordinator {
    /// Registers the node of this endpoint, which is in the same process.
    pub async fn own_node(&self, endpoint: &Endpoint) -> OwnNode {
        let (queue, heard) = mpsc::channel(COORDINATOR_QUEUE_FRAMES);
        let (bound, node) = (endpoint.bound_address(), endpoint.node_id());
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, endpoint.port()));
        let observed = if bound.ip().is_loopback() { bound } else { here };
        // The desk may have ended.
        let _ = self.calls.send(Call::Joined { client: OWN, node, observed, queue }).await;
        let (calls, key) = (self.calls.clone(), endpoint.signing_key());
        OwnNode { calls, heard, observed, key, announcer: Announcer::new(ANNOUNCE_INTERVAL) }
    }
}

impl OwnNode {
    /// Announces the contents of the node. Call it about every second; only changes are passed on.
    pub async fn announce(&mut self, now: Instant, place: &OwnPlace, presences: &[Presence]) {
        for content in self.announcer.take_gone(&presences.iter().collect::<Vec<_>>()) {
            self.call(Call::Withdrew { client: OWN, content }).await;
        }
        let addresses: Arc<[Address]> =
            place.source.addresses.iter().take(SOURCE_ADDRESSES_MAX).cloned().collect();
        for presence in presences {
            let Some(wanted) = self.announcer.take_due(now, presence, &addresses) else { continue };
            let announce = SignedAnnounce::sign(&self.key, place.body(presence, &addresses));
            let links = presence.links.iter().copied().take(ANNOUNCE_LINKS_MAX).collect();
            self.call(Call::Announced { client: OWN, observed: self.observed, announce, wanted, links })
                .await;
        }
    }

    /// Neighbours that the coordinator names for a content. Dropping the future cancels it without loss.
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
    fn body(&self, presence: &Presence, addresses: &[Address]) -> AnnounceBody {
        AnnounceBody {
            content: presence.content,
            node: self.source.node,
            addresses: addresses.to_vec(),
            have_count: presence.have_count,
            chunk_count: presence.chunk_count,
            up: self.up,
            zone: self.zone.clone(),
        }
    }
}

/// The own node's number; links are counted from 1.
const OWN: ClientId = ClientId(0);
