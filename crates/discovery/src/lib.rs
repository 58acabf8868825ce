//! Finds nodes that have a content. One task runs all finders: each reads the contents of this node and reports nodes with their
//! addresses. A finder decides nothing: the engine decides which nodes are dialed.
//!
//! Invariant: a bounded queue carries the reports; a reported node must prove its key when it is dialed, so that a lie costs one
//! dial and no more.

pub mod limits;

mod coordinator;
mod dht;
mod lan;
mod port_map;

#[doc(hidden)]
pub mod fuzzing;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::limits::PORT_MAP_PATIENCE;
use swarm_core::base::{ContentId, Rate, Zone};
use swarm_core::manifest::{Address, Source};
use swarm_core::presence::Presence;
use swarm_link::{Clock, Endpoint};

/// How a node was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// A coordinator named it.
    Coordinator,
    /// It announced itself on this network segment.
    Lan,
    /// The Mainline DHT has its address.
    Dht,
    /// A coordinator reports that the node dials this one now: if both dial at the same time, both NATs let the packets in.
    Meeting,
}

/// The enabled finders and their settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finders {
    /// Coordinators of every content, in addition to those of a content's ticket.
    pub coordinators: Vec<Source>,
    /// A label for this node's location that operators choose: coordinators name near nodes first.
    pub zone: Option<Zone>,
    /// Multicast DNS on the local network.
    pub lan: bool,
    /// The Mainline DHT, which learns of every content of this node.
    pub dht: bool,
    /// Nodes by which the DHT is entered; without any, the public one's. If some are named, the DHT may be a private one, so that
    /// private addresses are accepted from it.
    pub dht_bootstrap: Vec<Address>,
    /// Asks the gateway to map a port to this node.
    pub map_port: bool,
}

/// A node that has or wants a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The content.
    pub content: ContentId,
    /// The node and its addresses.
    pub source: Source,
    /// The finder that reports it.
    pub way: Way,
}

/// A finder that cannot work; the others go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The finder.
    pub way: Way,
    /// A complete message for people, with its subject.
    pub reason: String,
}

/// The contents of this node, as finders announce them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Participation {
    /// The contents.
    pub presences: Arc<[Presence]>,
    /// Coordinators of each content: they get announcements, and are asked for nodes.
    pub coordinators: BTreeMap<ContentId, Vec<Source>>,
    /// Upload capacity, measured or limited; zero if unknown.
    pub up: Rate,
}

/// The shared inputs and outputs of all finders.
#[derive(Clone)]
pub struct Surroundings {
    /// Dials, listens, and knows this node's addresses.
    pub endpoint: Endpoint,
    /// Addresses to announce in place of the endpoint's own, if not empty.
    pub advertise: Arc<[Address]>,
    /// Replaced whole when it changes, at most once a second. Finders end when its sender is dropped.
    pub participation: watch::Receiver<Participation>,
    /// Takes the nodes that announce themselves on the local network, sorted by their keys, at most [`LAN_LISTED_MAX`](limits::LAN_LISTED_MAX). Who
    /// takes them is announced there itself, also without a content.
    pub lan_seen: Option<watch::Sender<Arc<[Source]>>>,
    /// Receives the reports.
    pub found: mpsc::Sender<Found>,
    /// Receives messages for people; when it is full, they are dropped.
    pub troubles: mpsc::Sender<Trouble>,
    /// What finders know of time.
    pub clock: Clock,
}

impl Finders {
    /// Whether a finder is on that needs no ticket to find peers.
    pub fn has_any(&self) -> bool {
        self.lan || self.dht || !self.coordinators.is_empty()
    }
}

/// Runs all enabled finders until the sender of the participation is dropped; then takes back the announcements that can be
/// taken back.
pub async fn run(finders: Finders, surroundings: Surroundings) {
    let Finders { coordinators: _, zone, lan, dht, dht_bootstrap, map_port } = finders;
    let mut surroundings = surroundings;
    // The finder that fills the list alone holds it: a list that nobody holds is filled by none.
    let lan_seen = surroundings.lan_seen.take();
    let there = Surroundings { lan_seen, ..surroundings.clone() };
    let on_lan = async move {
        if lan {
            lan::run(lan::Network::default(), there).await;
        }
    };
    let by_dht = async {
        if dht {
            if map_port {
                // An announcement in the DHT stays for a quarter of an hour, so it is worth waiting for the mapped port.
                let _ = timeout(PORT_MAP_PATIENCE, surroundings.endpoint.settled_addresses()).await;
            }
            dht::run(dht_bootstrap, surroundings.clone()).await;
        }
    };
    let mapping = async {
        if map_port {
            port_map::run(port_map::Gateways::default(), surroundings.clone()).await;
        }
    };
    tokio::join!(coordinator::run(zone, surroundings.clone()), on_lan, by_dht, mapping);
}

impl Way {
    /// The name in logs and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Coordinator => "coordinator",
            Self::Lan => "lan",
            Self::Dht => "dht",
            Self::Meeting => "meeting",
        }
    }
}
