//! Ways to find who has a content. Each finder is one task that reads what this node takes part in and reports nodes with
//! their addresses; it decides nothing: whether somebody is dialed is the engine's affair.
//!
//! Invariant: what finders report is bounded by a queue; whoever is found proves its key when it is dialed, so a lie costs a
//! dial and no more.

pub(crate) mod dht;
pub(crate) mod lan;
pub(crate) mod port_map;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::base::{ContentId, NodeId, Rate};
use crate::manifest::Source;
use crate::transport::Endpoint;

/// By which way a node was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// A coordinator named it.
    Coordinator,
    /// It is on this network segment.
    Lan,
    /// The Mainline DHT has its address.
    Dht,
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

/// One content that this node takes part in, as it is announced to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// Which.
    pub content: ContentId,
    /// Verified chunks.
    pub have_count: u32,
    /// Chunks of the content; zero while the manifest is not known.
    pub chunk_count: u32,
    /// Something is still to be fetched: others are looked for.
    pub is_wanting: bool,
    /// Peers that are linked for it.
    pub links: Vec<NodeId>,
    /// Upload capacity as measured or limited; zero if it is not known.
    pub up: Rate,
}

/// What every finder works with.
#[derive(Clone)]
pub struct Surroundings {
    /// This node's place in the network.
    pub endpoint: Endpoint,
    /// What this node takes part in; replaced whole when it changes, at most once a second.
    pub presences: watch::Receiver<Arc<[Presence]>>,
    /// Where finders report to.
    pub found: mpsc::Sender<Found>,
}

impl Way {
    /// Its name in logs and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Coordinator => "coordinator",
            Self::Lan => "lan",
            Self::Dht => "dht",
        }
    }
}
