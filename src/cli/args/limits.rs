//! Arguments: what a node may use of the line.

use clap::builder::TypedValueParser;

use swarm_core::base::Rate;
use swarm_host::{PeerLimits, PeersMax, Rates};
use swarm_link::LinkOptions;
use swarm_link::limits::{DATAGRAM_LEN_MAX_LOCAL, DATAGRAM_LEN_MIN};
use swarm_node::Limits;

/// What a node that serves may use of the line.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Upload no faster than this, all peers together: 20MB/s, 100mbit
    #[arg(long, value_name = "RATE", env = "SWARM_LIMIT_UP")]
    pub(crate) limit_up: Option<Rate>,
    /// Upload to one peer no faster than this
    #[arg(long, value_name = "RATE", env = "SWARM_LIMIT_UP_PER_PEER")]
    pub(crate) limit_up_per_peer: Option<Rate>,
    /// Most peers connected at once; further ones are turned away
    #[arg(long, value_name = "N", env = "SWARM_MAX_PEERS", value_parser = peers_max())]
    pub(crate) max_peers: Option<PeersMax>,
    /// Longest UDP payload to send, for paths that drop longer ones [default: 1452, and 6500 within one machine]
    #[arg(long, value_name = "BYTES", env = "SWARM_DATAGRAM_MAX", value_parser = clap::value_parser!(u16).range(i64::from(DATAGRAM_LEN_MIN)..=i64::from(DATAGRAM_LEN_MAX_LOCAL)))]
    pub(crate) datagram_max: Option<u16>,
}

impl LimitArgs {
    /// What a link may use.
    pub(crate) fn link(&self) -> LinkOptions {
        LinkOptions { datagram_len_max: self.datagram_max, ..LinkOptions::default() }
    }

    /// The same, for a node with so much memory for chunks and for what QUIC holds, bytes.
    pub(crate) fn limits(&self, buffers_len: u64, windows_len: u64) -> Limits {
        // What is not of the node is of each link.
        let Self { limit_up, limit_up_per_peer, max_peers, datagram_max: _ } = *self;
        let peers = PeerLimits { rates: Rates { up: limit_up_per_peer, down: None }, count_max: max_peers };
        peers.limits(Rates { up: limit_up, down: None }, buffers_len, windows_len)
    }
}

/// What a node that fetches may use of the line, beside what it uses as one that serves.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct DownLimitArgs {
    /// Download no faster than this, all peers together: 20MB/s, 100mbit
    #[arg(long, value_name = "RATE", env = "SWARM_LIMIT_DOWN")]
    pub(crate) limit_down: Option<Rate>,
    /// Download from one peer no faster than this
    #[arg(long, value_name = "RATE", env = "SWARM_LIMIT_DOWN_PER_PEER")]
    pub(crate) limit_down_per_peer: Option<Rate>,
}

/// Takes what [`PeersMax`] takes.
pub(super) fn peers_max() -> impl TypedValueParser<Value = PeersMax> {
    clap::value_parser!(u64).try_map(PeersMax::try_from)
}
