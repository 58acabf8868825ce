//! Arguments: `swarm seed` and `swarm join`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::FalseyValueParser;

use super::{FindArgs, LimitArgs, TrustArgs, WebArgs};
use swarm_core::base::NodeId;
use swarm_core::manifest::{Address, Source};

#[derive(Debug, clap::Args)]
pub(crate) struct SeedArgs {
    /// Files and folders to serve, as one content
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// UDP address to listen on [default: all addresses, on the last port if it is free]
    #[arg(long, value_name = "ADDR", env = "SWARM_LISTEN")]
    pub(crate) listen: Option<SocketAddr>,
    /// host:port at which others reach this node, if it is not an address of this machine; may be given more than once
    #[arg(long, value_name = "ADDR", env = "SWARM_ADVERTISE", value_delimiter = ',')]
    pub(crate) advertise: Vec<Address>,
    #[command(flatten)]
    pub(crate) web: WebArgs,
    /// Write the manifest here, with this node as a source
    #[arg(long, value_name = "FILE", env = "SWARM_MANIFEST_OUT")]
    pub(crate) manifest_out: Option<PathBuf>,
    /// Serve the chunks of this manifest that PATH holds, instead of making a new manifest
    #[arg(long, value_name = "FILE", env = "SWARM_MANIFEST")]
    pub(crate) manifest: Option<PathBuf>,
    /// Leave out what has a name that no content can hold, with a line for each
    #[arg(long, env = "SWARM_SKIP_UNPORTABLE", value_parser = FalseyValueParser::new())]
    pub(crate) skip_unportable: bool,
    /// Seal the content with the key in this file, made if it is missing; nodes without the key can serve the content, but
    /// not read it. With --manifest: the key that it was sealed with
    #[arg(long, value_name = "FILE", env = "SWARM_SEAL")]
    pub(crate) seal: Option<PathBuf>,
    /// A node that can read the sealed content with this ticket; may be given more than once [default: every node that has
    /// the ticket]
    #[arg(long, value_name = "NODEID", requires = "seal", env = "SWARM_SEAL_FOR", value_delimiter = ',')]
    pub(crate) seal_for: Vec<NodeId>,
    /// Sign the content with this node's key (--key): the ticket and the manifest name the publisher
    #[arg(long, env = "SWARM_SIGN", value_parser = FalseyValueParser::new())]
    pub(crate) sign: bool,
    #[command(flatten)]
    pub(crate) limit: LimitArgs,
    #[command(flatten)]
    pub(crate) find: FindArgs,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// List of the nodes that may have this content, one NODEID a line; read again when it changes [default: all nodes that
    /// may connect]
    #[arg(long, value_name = "FILE", env = "SWARM_READERS")]
    pub(crate) readers: Option<PathBuf>,
    /// End when one peer has taken the whole content from here
    #[arg(long, conflicts_with = "count", env = "SWARM_ONCE", value_parser = FalseyValueParser::new())]
    pub(crate) once: bool,
    /// End when so many peers have taken the whole content from here
    #[arg(long, value_name = "N", env = "SWARM_COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Print one JSON object a line on stdout instead of the ticket
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct JoinArgs {
    /// The aggregator, as NODEID@HOST:PORT; it is also asked for peers, as a coordinator
    #[arg(value_name = "AGGREGATOR")]
    pub(crate) aggregator: Source,
    #[command(flatten)]
    pub(crate) seed: SeedArgs,
    /// End when the aggregator has everything on its disk
    #[arg(long, env = "SWARM_UNTIL_REPLICATED", value_parser = FalseyValueParser::new())]
    pub(crate) until_replicated: bool,
}
