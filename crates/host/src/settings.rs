//! What a node is told to do, each setting once and checked. The command line and the configuration make these values, the
//! node takes them. Invariant: a setting is a field of [`Live`], which a running node takes as a whole, or of [`Fixed`], where
//! any difference needs a restart; there is no third place. Absent: how a setting is written, and what it is without a word.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::contents::Spec;
use super::policy::Collecting;
use super::schedule::{Rates, Window};
use swarm_core::manifest::Address;
use swarm_credentials::TrustFiles;
use swarm_discovery::Finders;
use swarm_engine::limits::LINKS_MAX;
use swarm_link::Origins;
use swarm_node::Limits;

/// What holds for the life of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fixed {
    /// UDP address to listen on; all addresses and the port of last time if `None`.
    pub listen: Option<SocketAddr>,
    /// Addresses in tickets instead of this machine's own.
    pub advertise: Vec<Address>,
    /// Folder for keys, remembered hashes and the list of what was added at run time.
    pub state_dir: Option<PathBuf>,
    /// Path of the control socket.
    pub control: Option<PathBuf>,
    /// How other nodes are found.
    pub finders: Finders,
    /// Limits on peers.
    pub peers: PeerLimits,
    /// How log lines look.
    pub log: LogFormat,
    /// TCP address of the metrics page.
    pub metrics_listen: Option<SocketAddr>,
    /// Whose pages may link to this node, if it serves pages.
    pub web: Option<Origins>,
    /// Whether others may use this node as a coordinator.
    pub is_coordinator: bool,
    /// How contents are collected that others offer, if they are.
    pub collecting: Option<Collecting>,
    /// This node's certificate, PEM.
    pub cert: Option<PathBuf>,
}

/// What a running node takes anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// Limits of all peers together.
    pub rates: Rates,
    /// Times of day with limits of their own.
    pub schedule: Vec<Window>,
    /// The lists of who belongs.
    pub trust: TrustFiles,
    /// What to serve.
    pub contents: Vec<Spec>,
}

/// Limits on peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerLimits {
    /// Payload of each peer.
    pub rates: Rates,
    /// Peers linked at once; as many as the engine takes if `None`.
    pub count_max: Option<PeersMax>,
}

/// How many peers may be linked at once: from 1 to [`LINKS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeersMax(usize);

/// A number of peers that no node takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not from 1 to {LINKS_MAX}: take a number that is")]
pub struct PeersMaxError(u64);

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl PeersMax {
    /// The number.
    pub fn get(self) -> usize {
        self.0
    }
}

impl TryFrom<u64> for PeersMax {
    type Error = PeersMaxError;

    fn try_from(count: u64) -> Result<Self, PeersMaxError> {
        let within = usize::try_from(count).ok().filter(|count| (1..=LINKS_MAX).contains(count));
        within.map(Self).ok_or(PeersMaxError(count))
    }
}

impl PeerLimits {
    /// All limits of a node that has so much memory for chunks and for what QUIC holds, bytes.
    pub fn limits(&self, all_together: Rates, buffers_len: u64, windows_len: u64) -> Limits {
        Limits {
            buffers_len,
            windows_len,
            up: all_together.up,
            down: all_together.down,
            up_per_peer: self.rates.up,
            down_per_peer: self.rates.down,
            links_max: self.count_max.map(PeersMax::get),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_takes_from_one_peer_to_the_most_there_may_be() {
        let most = LINKS_MAX as u64;
        for (count, is_taken) in [(0, false), (1, true), (most, true), (most + 1, false), (u64::MAX, false)] {
            assert_eq!(PeersMax::try_from(count).is_ok(), is_taken, "{count}");
        }
    }
}
