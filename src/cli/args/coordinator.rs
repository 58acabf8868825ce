//! Arguments: `swarm coordinator` and `swarm aggregate`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::FalseyValueParser;

use super::TrustArgs;
use super::limits::peers_max;
use swarm_core::base::{ByteLen, ContentId, NodeId, Rate, Zone};
use swarm_core::manifest::Address;
use swarm_host::{AnyOr, PeersMax};

#[derive(Debug, clap::Args)]
pub(crate) struct CoordinatorArgs {
    /// UDP address to listen on [default: all addresses, on the last port if it is free]
    #[arg(long, value_name = "ADDR", env = "SWARM_LISTEN")]
    pub(crate) listen: Option<SocketAddr>,
    /// host:port at which others reach this node, if it is not an address of this machine; may be given more than once
    #[arg(long, value_name = "ADDR", env = "SWARM_ADVERTISE", value_delimiter = ',')]
    pub(crate) advertise: Vec<Address>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// Folder for what the coordinator remembers over a restart [default: coordinator in the state folder]
    #[arg(long, value_name = "DIR", env = "SWARM_STATE")]
    pub(crate) state: Option<PathBuf>,
    /// Print one JSON object a line on stdout instead of the node's address
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AggregateArgs {
    /// Folder for the contents, each in a folder of its own; made if it is missing
    #[arg(long, value_name = "DIR", env = "SWARM_STORE")]
    pub(crate) store: PathBuf,
    /// UDP address to listen on [default: all addresses, on the last port if it is free]
    #[arg(long, value_name = "ADDR", env = "SWARM_LISTEN")]
    pub(crate) listen: Option<SocketAddr>,
    /// host:port at which others reach this node, if it is not an address of this machine; may be given more than once
    #[arg(long, value_name = "ADDR", env = "SWARM_ADVERTISE", value_delimiter = ',')]
    pub(crate) advertise: Vec<Address>,
    /// Most bytes of content that the store may hold, as in 2TB; for a new content, those that were wanted longest ago are
    /// evicted [default: nothing is evicted]
    #[arg(long, value_name = "BYTES", env = "SWARM_QUOTA")]
    pub(crate) quota: Option<ByteLen>,
    /// A node that may offer contents, or any; may be given more than once
    #[arg(long, value_name = "NODEID|any", env = "SWARM_ACCEPT", value_delimiter = ',')]
    pub(crate) accept: Vec<AnyOr<NodeId>>,
    /// A content that may be offered and is then never evicted, or any [default: any]; may be given more than once
    #[arg(long, value_name = "ID|any", env = "SWARM_CONTENT", value_delimiter = ',')]
    pub(crate) content: Vec<AnyOr<ContentId>>,
    /// Upload no faster than this, all peers together: 20MB/s, 100mbit
    #[arg(long, value_name = "RATE", env = "SWARM_LIMIT_UP")]
    pub(crate) limit_up: Option<Rate>,
    /// Download no faster than this, all peers together
    #[arg(long, value_name = "RATE", env = "SWARM_LIMIT_DOWN")]
    pub(crate) limit_down: Option<Rate>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// Most peers connected at once
    #[arg(long, value_name = "N", env = "SWARM_MAX_PEERS", value_parser = peers_max())]
    pub(crate) max_peers: Option<PeersMax>,
    /// TCP address of the pages /metrics and /healthz
    #[arg(long, value_name = "ADDR", env = "SWARM_METRICS_LISTEN")]
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// Name of this node's site or provider, chosen by you: it names peers of the same zone first
    #[arg(long, value_name = "NAME", env = "SWARM_ZONE")]
    pub(crate) zone: Option<Zone>,
    /// Print one JSON object a line on stdout instead of the node's address
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
}
