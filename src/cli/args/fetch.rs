//! Arguments: `swarm fetch`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::FalseyValueParser;

use super::{DownLimitArgs, FindArgs, LimitArgs, TrustArgs};
use swarm_core::base::{ByteLen, NodeId};
use swarm_core::manifest::{Source, Ticket, TicketError};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct FetchArgs {
    /// A ticket, a file or http(s) URL with a manifest or a ticket, or - for either on stdin
    #[arg(value_name = "MANIFEST|TICKET|URL|-")]
    pub(crate) what: String,
    /// Folder to fetch into, made if it is missing; - writes the only file to stdout, in order
    #[arg(short, long, value_name = "DIR", default_value = ".", env = "SWARM_OUT")]
    pub(crate) out: PathBuf,
    /// Another source, as NODEID@HOST:PORT or a ticket; may be given more than once
    #[arg(long, value_name = "PEER", env = "SWARM_PEER", value_delimiter = ',')]
    pub(crate) peer: Vec<Peer>,
    #[command(flatten)]
    pub(crate) find: FindArgs,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// List of the nodes to which this fetch may serve the content: one NODEID a line; read again when it changes [default: all nodes that may connect]
    #[arg(long, value_name = "FILE", env = "SWARM_READERS")]
    pub(crate) readers: Option<PathBuf>,
    /// File with the key of a sealed content, where the ticket holds none for this node
    #[arg(long, value_name = "FILE", env = "SWARM_CONTENT_KEY")]
    pub(crate) content_key: Option<PathBuf>,
    /// Take only what this publisher signed: a NODEID
    #[arg(long, value_name = "NODEID", env = "SWARM_PUBLISHER")]
    pub(crate) publisher: Option<NodeId>,
    /// Fetch only this file, what is below this folder (`season1/`), or what matches this pattern (`*.mkv`); may be given more than once
    #[arg(long, value_name = "GLOB", env = "SWARM_INCLUDE")]
    pub(crate) include: Vec<String>,
    /// Fetch in order, for a program that reads the file while it comes
    #[arg(long, env = "SWARM_SEQUENTIAL", value_parser = FalseyValueParser::new())]
    pub(crate) sequential: bool,
    #[command(flatten)]
    pub(crate) limit: LimitArgs,
    #[command(flatten)]
    pub(crate) down_limit: DownLimitArgs,
    /// Memory for data on its way to the disk; more may be faster on long fast lines
    #[arg(long, value_name = "BYTES", default_value = "64MiB", env = "SWARM_MEMORY")]
    pub(crate) memory: ByteLen,
    /// Go on serving when the fetch is complete
    #[arg(long, env = "SWARM_KEEP_SEEDING", value_parser = FalseyValueParser::new())]
    pub(crate) keep_seeding: bool,
    /// Replace existing files that differ, when the new ones are complete
    #[arg(long, env = "SWARM_OVERWRITE", value_parser = FalseyValueParser::new())]
    pub(crate) overwrite: bool,
    /// Read everything from the disk again before any file gets its own name; what is wrong there ends it with code 5
    #[arg(long, env = "SWARM_VERIFY_AT_END", value_parser = FalseyValueParser::new())]
    pub(crate) verify_at_end: bool,
    /// Give up after this many seconds without progress; 0 waits for ever
    #[arg(long, value_name = "SECONDS", default_value_t = 60, env = "SWARM_TIMEOUT")]
    pub(crate) timeout: u64,
    /// UDP address to listen on, for peers that dial this node [default: all addresses, any port]
    #[arg(long, value_name = "ADDR", env = "SWARM_LISTEN")]
    pub(crate) listen: Option<SocketAddr>,
    /// Print one JSON object a line on stdout
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
}

/// A peer named on the command line.
#[derive(Clone, Debug)]
pub(crate) enum Peer {
    Source(Source),
    Ticket(Ticket),
}

impl std::str::FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match Ticket::in_text(text) {
            Ok(ticket) => Ok(Self::Ticket(ticket)),
            Err(TicketError::Prefix) => {
                let source = text.trim().parse().map(Self::Source);
                source.map_err(|_| "not a peer: write NODEID@HOST:PORT, or a ticket".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    }
}
