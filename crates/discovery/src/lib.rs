//! Ways to find who has a content. Each finder is one task that reads what this node takes part in and reports nodes with
//! their addresses; it decides nothing: whether somebody is dialed is the engine's affair.
//!
//! Invariant: what finders report is bounded by a queue; whoever is found proves its key when it is dialed, so a lie costs a
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

/// By which way a node was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// A coordinator named it.
    Coordinator,
    /// It is on this network segment.
    Lan,
    /// The Mainline DHT has its address.
    Dht,
    /// A coordinator says that it dials this node now: dialed at the same time, both NATs let the other in.
    Meeting,
}

/// Which finders are on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finders {
    /// Asked about every content, beside those that a content's ticket names.
    pub coordinators: Vec<Source>,
    /// Where this node stands, in words of the operators' own: coordinators then name near nodes first.
    pub zone: Option<Zone>,
    /// Nodes on the same network find each other.
    pub lan: bool,
    /// The Mainline DHT is told of every content, and asked.
    pub dht: bool,
    /// Nodes by which the DHT is entered; none means the public one's. Named ones may be a private DHT: addresses are taken
    /// from it which mean nothing in public.
    pub dht_bootstrap: Vec<Address>,
    /// The gateway is asked for a port that leads here.
    pub map_port: bool,
}

/// A node that may have a content, or wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it takes part in.
    pub content: ContentId,
    /// Who, and where.
    pub source: Source,
    /// How it was found.
    pub way: Way,
}

/// A finder that cannot work; the others go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Which.
    pub way: Way,
    /// What is wrong, for people: whole, with who it is about.
    pub reason: String,
}

/// What this node takes part in, as finders tell of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Participation {
    /// The contents.
    pub presences: Arc<[Presence]>,
    /// Coordinators to announce each of them to, and to ask for other nodes.
    pub coordinators: BTreeMap<ContentId, Vec<Source>>,
    /// Upload capacity as measured or limited, bytes per second; zero if it is not known.
    pub up: Rate,
}

/// What every finder works with.
#[derive(Clone)]
pub struct Surroundings {
    /// This node's place in the network.
    pub endpoint: Endpoint,
    /// Where others reach this node, if its own addresses are not it.
    pub advertise: Arc<[Address]>,
    /// Replaced whole when it changes, at most once a second.
    pub participation: watch::Receiver<Participation>,
    /// Where finders report to.
    pub found: mpsc::Sender<Found>,
    /// Where they say what people should know; when it is full, nobody hears it.
    pub troubles: mpsc::Sender<Trouble>,
    /// What finders know of time.
    pub clock: Clock,
}

impl Finders {
    /// Whether somebody looks for peers of whom no ticket says anything.
    pub fn has_any(&self) -> bool {
        self.lan || self.dht || !self.coordinators.is_empty()
    }
}

/// Runs all finders that are on, until nobody says any more what the node takes part in; what was announced and can be taken
/// back then is.
pub async fn run(finders: Finders, surroundings: Surroundings) {
    let Finders { coordinators: _, zone, lan, dht, dht_bootstrap, map_port } = finders;
    let on_lan = async {
        if lan {
            lan::run(lan::Network::default(), surroundings.clone()).await;
        }
    };
    let by_dht = async {
        if dht {
            if map_port {
                // What is announced stays for a quarter of an hour: better the mapped port at once.
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
    /// Its name in logs and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Coordinator => "coordinator",
            Self::Lan => "lan",
            Self::Dht => "dht",
            Self::Meeting => "meeting",
        }
    }
}
