//! The arguments of every command. Each flag has an environment variable of the same name.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::builder::Resettable;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap_complete::Shell;

use super::failure::{Exit, Failure};
use swarm_core::base::limits::{COORDINATORS_MAX, ZONE_LEN_MAX};
use swarm_core::base::{ByteLen, ContentId, NodeId, Rate};
use swarm_core::manifest::{Address, Source, Ticket, TicketError};
use swarm_discovery::Finders;
use swarm_engine::limits::LINKS_MAX;
use swarm_host::AnyOr;
use swarm_link::LinkOptions;
use swarm_link::limits::{DATAGRAM_LEN_MAX_LOCAL, DATAGRAM_LEN_MIN};
use swarm_node::Limits;

/// Moves big files from many peers at once over QUIC: verified, resumable, encrypted.
#[derive(Debug, Parser)]
#[command(name = "swarm", version, max_term_width = 110, after_long_help = EXIT_CODES)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
    #[command(flatten)]
    pub(super) global: Global,
}

/// The arguments of this process; an error where they are wrong, or ask for help.
pub(super) fn read() -> Result<Args, clap::Error> {
    let matches = command().try_get_matches()?;
    Args::from_arg_matches(&matches).map_err(|error| error.format(&mut command()))
}

/// The parser. An environment variable that is set to nothing counts as not set.
pub(super) fn command() -> clap::Command {
    without_empty_variables(Args::command())
}

fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    let command = command.mut_args(|arg| match arg.get_env() {
        Some(name) if is_empty(name) => arg.env(Resettable::Reset),
        _ => arg,
    });
    command.mut_subcommands(without_empty_variables)
}

/// Flags that every command takes.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Global {
    /// Say more: -v what happens, -vv why, -vvv every message
    #[arg(short, long, action = clap::ArgAction::Count, global = true, env = "SWARM_VERBOSE")]
    pub(super) verbose: u8,
    /// Folder for keys and remembered hashes
    #[arg(long, value_name = "DIR", global = true, env = "SWARM_STATE_DIR", help_heading = "Global options")]
    pub(super) state_dir: Option<PathBuf>,
    /// File with this node's key; made if it is missing [default: a free key in the state folder]
    #[arg(long, value_name = "FILE", global = true, env = "SWARM_KEY", help_heading = "Global options")]
    pub(super) key: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serve files in place; prints a ticket by which others fetch them
    Seed(Box<SeedArgs>),
    /// Fetch a content from all its sources at once; run it again to continue where it stopped
    Fetch(Box<FetchArgs>),
    /// Make, show and check manifests
    #[command(subcommand)]
    Manifest(ManifestCommand),
    /// Show it at work: several nodes on this machine feed one fetch, and one of them dies midway
    Demo(DemoArgs),
    /// Run an aggregator, which stores what other nodes offer with `swarm join`, and serves it; also a coordinator
    Aggregate(Box<AggregateArgs>),
    /// Serve files in place and offer them to an aggregator
    Join(Box<JoinArgs>),
    /// Run a coordinator: nodes tell it what they have, and it tells them of each other
    Coordinator(CoordinatorArgs),
    /// Run a service that serves many contents, as its configuration says
    Node(NodeArgs),
    /// Make the running node serve files, or fetch a content and then serve it; prints the ticket
    Add(AddArgs),
    /// Make the running node stop serving a content; its files stay
    Remove(RemoveArgs),
    /// List what the running node serves
    Ls(LsArgs),
    /// Show contents, peers and rates of the running node
    Status(StatusArgs),
    /// Run an authority: issue certificates to nodes, and revoke them
    #[command(subcommand)]
    Cert(CertCommand),
    /// Print the node id of the key in --key
    Id(IdArgs),
    /// Print shell completions
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write manual pages, one for every command
    Man {
        /// Folder to write them into, made if it is missing
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
}

/// How others are found.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Finding peers")]
pub(super) struct FindArgs {
    /// Announce to this coordinator and ask it for peers, as NODEID@HOST:PORT; may be given more than once
    #[arg(long, value_name = "NODE", env = "SWARM_COORDINATOR", value_delimiter = ',')]
    pub(super) coordinator: Vec<Source>,
    /// Name of this node's site or provider, chosen by you: coordinators name peers of the same zone first
    #[arg(long, value_name = "NAME", env = "SWARM_ZONE", value_parser = zone)]
    pub(super) zone: Option<String>,
    /// Neither announce on the local network nor listen there for peers
    #[arg(long, env = "SWARM_NO_LAN", value_parser = FalseyValueParser::new())]
    pub(super) no_lan: bool,
    /// Announce to BitTorrent's Mainline DHT and look there for peers; the DHT learns this node's address
    #[arg(long, env = "SWARM_DHT", value_parser = FalseyValueParser::new())]
    pub(super) dht: bool,
    /// Enter a DHT of your own through this node, instead of the public DHT; may be given more than once
    #[arg(
        long,
        value_name = "HOST:PORT",
        requires = "dht",
        env = "SWARM_DHT_BOOTSTRAP",
        value_delimiter = ','
    )]
    pub(super) dht_bootstrap: Vec<Address>,
    /// Ask the router to forward a port to this node (PCP, NAT-PMP, UPnP)
    #[arg(long, env = "SWARM_MAP_PORT", value_parser = FalseyValueParser::new())]
    pub(super) map_port: bool,
}

impl FindArgs {
    /// Refuses what no ticket could name.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.coordinator.len() > COORDINATORS_MAX {
            let message = format!("more than {COORDINATORS_MAX} coordinators: name fewer by --coordinator");
            return Err(Failure::new(Exit::Usage, message));
        }
        Ok(())
    }

    /// The finders that are on.
    pub(super) fn finders(&self) -> Finders {
        Finders {
            coordinators: self.coordinator.clone(),
            zone: self.zone.clone(),
            lan: !self.no_lan,
            dht: self.dht,
            dht_bootstrap: self.dht_bootstrap.clone(),
            map_port: self.map_port,
        }
    }
}

/// Who may link, and who this node is to others that ask.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Trust")]
pub(super) struct TrustArgs {
    /// List of the nodes that may connect: one NODEID a line, followed by `mirror` if the node may offer nothing new; read
    /// again when it changes [default: all nodes]
    #[arg(long, value_name = "FILE", env = "SWARM_ALLOW")]
    pub(super) allow: Option<PathBuf>,
    /// Certificate of an authority (swarm cert): only nodes with a certificate of this authority may connect
    #[arg(long, value_name = "FILE", env = "SWARM_CA")]
    pub(super) ca: Option<PathBuf>,
    /// The authority's list of revoked certificates (revoked.pem in its folder); read again when it changes
    #[arg(long, value_name = "FILE", requires = "ca", env = "SWARM_REVOKED")]
    pub(super) revoked: Option<PathBuf>,
    /// This node's certificate, issued for the key in --key; shown to nodes that ask for one
    #[arg(long, value_name = "FILE", env = "SWARM_CERT")]
    pub(super) cert: Option<PathBuf>,
    /// Accept the authority for development, whose key is public
    #[arg(long, requires = "ca", env = "SWARM_DEV", value_parser = FalseyValueParser::new())]
    pub(super) dev: bool,
}

/// What a node that serves may use of the line.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitArgs {
    /// Upload no faster than this, all peers together: 20MB/s, 100mbit
    #[arg(long, value_name = "RATE", env = "SWARM_LIMIT_UP")]
    pub(super) limit_up: Option<Rate>,
    /// Upload to one peer no faster than this
    #[arg(long, value_name = "RATE", env = "SWARM_LIMIT_UP_PER_PEER")]
    pub(super) limit_up_per_peer: Option<Rate>,
    /// Most peers connected at once; further ones are turned away
    #[arg(long, value_name = "N", env = "SWARM_MAX_PEERS", value_parser = clap::value_parser!(u64).range(1..=LINKS_MAX as u64))]
    pub(super) max_peers: Option<u64>,
    /// Longest UDP payload to send, for paths that drop longer ones [default: 1452, and 6500 within one machine]
    #[arg(long, value_name = "BYTES", env = "SWARM_DATAGRAM_MAX", value_parser = clap::value_parser!(u16).range(i64::from(DATAGRAM_LEN_MIN)..=i64::from(DATAGRAM_LEN_MAX_LOCAL)))]
    pub(super) datagram_max: Option<u16>,
}

impl LimitArgs {
    /// What a link may use.
    pub(super) fn link(&self) -> LinkOptions {
        LinkOptions { datagram_len_max: self.datagram_max, ..LinkOptions::default() }
    }

    /// The same, for a node with so much memory for chunks and for what QUIC holds, bytes.
    pub(super) fn limits(&self, buffers_len: u64, windows_len: u64) -> Limits {
        Limits {
            buffers_len,
            windows_len,
            up: self.limit_up,
            down: None,
            up_per_peer: self.limit_up_per_peer,
            down_per_peer: None,
            links_max: self.max_peers.map(|max| max as usize),
        }
    }
}

/// What a node that fetches may use of the line, beside what it uses as one that serves.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct DownLimitArgs {
    /// Download no faster than this, all peers together: 20MB/s, 100mbit
    #[arg(long, value_name = "RATE", env = "SWARM_LIMIT_DOWN")]
    pub(super) limit_down: Option<Rate>,
    /// Download from one peer no faster than this
    #[arg(long, value_name = "RATE", env = "SWARM_LIMIT_DOWN_PER_PEER")]
    pub(super) limit_down_per_peer: Option<Rate>,
}

fn authority_name(text: &str) -> Result<String, String> {
    let is_name =
        !text.is_empty() && text.len() <= AUTHORITY_NAME_LEN_MAX && !text.chars().any(char::is_control);
    is_name
        .then(|| text.to_owned())
        .ok_or_else(|| format!("a name has from 1 to {AUTHORITY_NAME_LEN_MAX} bytes"))
}

/// What a common name in a certificate may hold (RFC 5280, appendix A).
const AUTHORITY_NAME_LEN_MAX: usize = 64;

fn zone(text: &str) -> Result<String, String> {
    let is_zone = !text.is_empty() && text.len() <= ZONE_LEN_MAX && !text.chars().any(char::is_control);
    is_zone
        .then(|| text.to_owned())
        .ok_or_else(|| format!("a zone is a name of at most {ZONE_LEN_MAX} bytes"))
}

#[derive(Debug, clap::Args)]
pub(super) struct SeedArgs {
    /// Files and folders to serve, as one content
    #[arg(required = true, value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// UDP address to listen on [default: all addresses, on the last port if it is free]
    #[arg(long, value_name = "ADDR", env = "SWARM_LISTEN")]
    pub(super) listen: Option<SocketAddr>,
    /// host:port at which others reach this node, if it is not an address of this machine; may be given more than once
    #[arg(long, value_name = "ADDR", env = "SWARM_ADVERTISE", value_delimiter = ',')]
    pub(super) advertise: Vec<Address>,
    /// Write the manifest here, with this node as a source
    #[arg(long, value_name = "FILE", env = "SWARM_MANIFEST_OUT")]
    pub(super) manifest_out: Option<PathBuf>,
    /// Serve the chunks of this manifest that PATH holds, instead of making a new manifest
    #[arg(long, value_name = "FILE", env = "SWARM_MANIFEST")]
    pub(super) manifest: Option<PathBuf>,
    /// Leave out what has a name that no content can hold, with a line for each
    #[arg(long, env = "SWARM_SKIP_UNPORTABLE", value_parser = FalseyValueParser::new())]
    pub(super) skip_unportable: bool,
    /// Seal the content with the key in this file, made if it is missing; nodes without the key can serve the content, but
    /// not read it. With --manifest: the key that it was sealed with
    #[arg(long, value_name = "FILE", env = "SWARM_SEAL")]
    pub(super) seal: Option<PathBuf>,
    /// A node that can read the sealed content with this ticket; may be given more than once [default: every node that has
    /// the ticket]
    #[arg(long, value_name = "NODEID", requires = "seal", env = "SWARM_SEAL_FOR", value_delimiter = ',')]
    pub(super) seal_for: Vec<NodeId>,
    /// Sign the content with this node's key (--key): the ticket and the manifest name the publisher
    #[arg(long, env = "SWARM_SIGN", value_parser = FalseyValueParser::new())]
    pub(super) sign: bool,
    #[command(flatten)]
    pub(super) limit: LimitArgs,
    #[command(flatten)]
    pub(super) find: FindArgs,
    #[command(flatten)]
    pub(super) trust: TrustArgs,
    /// List of the nodes that may have this content, one NODEID a line; read again when it changes [default: all nodes that
    /// may connect]
    #[arg(long, value_name = "FILE", env = "SWARM_READERS")]
    pub(super) readers: Option<PathBuf>,
    /// End when one peer has taken the whole content from here
    #[arg(long, conflicts_with = "count", env = "SWARM_ONCE", value_parser = FalseyValueParser::new())]
    pub(super) once: bool,
    /// End when so many peers have taken the whole content from here
    #[arg(long, value_name = "N", env = "SWARM_COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
    /// Print one JSON object a line on stdout instead of the ticket
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(super) json: bool,
}

#[derive(Clone, Debug, clap::Args)]
pub(super) struct FetchArgs {
    /// A ticket, a file or http(s) URL with a manifest or a ticket, or - for either on stdin
    #[arg(value_name = "MANIFEST|TICKET|URL|-")]
    pub(super) what: String,
    /// Folder to fetch into, made if it is missing; - writes the only file to stdout, in order
    #[arg(short, long, value_name = "DIR", default_value = ".", env = "SWARM_OUT")]
    pub(super) out: PathBuf,
    /// Another source, as NODEID@HOST:PORT or a ticket; may be given more than once
    #[arg(long, value_name = "PEER", env = "SWARM_PEER", value_delimiter = ',')]
    pub(super) peer: Vec<Peer>,
    #[command(flatten)]
    pub(super) find: FindArgs,
    #[command(flatten)]
    pub(super) trust: TrustArgs,
    /// List of the nodes that may have this content from here, one NODEID a line [default: all nodes that may connect]
    #[arg(long, value_name = "FILE", env = "SWARM_READERS")]
    pub(super) readers: Option<PathBuf>,
    /// File with the key of a sealed content, where the ticket holds none for this node
    #[arg(long, value_name = "FILE", env = "SWARM_CONTENT_KEY")]
    pub(super) content_key: Option<PathBuf>,
    /// Take only what this publisher signed: a NODEID
    #[arg(long, value_name = "NODEID", env = "SWARM_PUBLISHER")]
    pub(super) publisher: Option<NodeId>,
    /// Fetch only this file, what is below this folder (`season1/`), or what matches this pattern (`*.mkv`); may be given more than once
    #[arg(long, value_name = "GLOB", env = "SWARM_INCLUDE")]
    pub(super) include: Vec<String>,
    /// Fetch in order, for a program that reads the file while it comes
    #[arg(long, env = "SWARM_SEQUENTIAL", value_parser = FalseyValueParser::new())]
    pub(super) sequential: bool,
    #[command(flatten)]
    pub(super) limit: LimitArgs,
    #[command(flatten)]
    pub(super) down_limit: DownLimitArgs,
    /// Memory for data on its way to the disk; more may be faster on long fast lines
    #[arg(long, value_name = "BYTES", default_value = "64MiB", env = "SWARM_MEMORY")]
    pub(super) memory: ByteLen,
    /// Go on serving when the fetch is complete
    #[arg(long, env = "SWARM_KEEP_SEEDING", value_parser = FalseyValueParser::new())]
    pub(super) keep_seeding: bool,
    /// Replace existing files that differ, when the new ones are complete
    #[arg(long, env = "SWARM_OVERWRITE", value_parser = FalseyValueParser::new())]
    pub(super) overwrite: bool,
    /// Read everything from the disk again before any file gets its own name; what is wrong there ends it with code 5
    #[arg(long, env = "SWARM_VERIFY_AT_END", value_parser = FalseyValueParser::new())]
    pub(super) verify_at_end: bool,
    /// Give up after this many seconds without progress; 0 waits for ever
    #[arg(long, value_name = "SECONDS", default_value_t = 60, env = "SWARM_TIMEOUT")]
    pub(super) timeout: u64,
    /// UDP address to listen on, for peers that dial this node [default: all addresses, any port]
    #[arg(long, value_name = "ADDR", env = "SWARM_LISTEN")]
    pub(super) listen: Option<SocketAddr>,
    /// Print one JSON object a line on stdout
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct CoordinatorArgs {
    /// UDP address to listen on [default: all addresses, on the last port if it is free]
    #[arg(long, value_name = "ADDR", env = "SWARM_LISTEN")]
    pub(super) listen: Option<SocketAddr>,
    /// host:port at which others reach this node, if it is not an address of this machine; may be given more than once
    #[arg(long, value_name = "ADDR", env = "SWARM_ADVERTISE", value_delimiter = ',')]
    pub(super) advertise: Vec<Address>,
    #[command(flatten)]
    pub(super) trust: TrustArgs,
    /// Folder for what the coordinator remembers over a restart [default: coordinator in the state folder]
    #[arg(long, value_name = "DIR", env = "SWARM_STATE")]
    pub(super) state: Option<PathBuf>,
    /// Print one JSON object a line on stdout instead of the node's address
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct AggregateArgs {
    /// Folder for the contents, each in a folder of its own; made if it is missing
    #[arg(long, value_name = "DIR", env = "SWARM_STORE")]
    pub(super) store: PathBuf,
    /// UDP address to listen on [default: all addresses, on the last port if it is free]
    #[arg(long, value_name = "ADDR", env = "SWARM_LISTEN")]
    pub(super) listen: Option<SocketAddr>,
    /// host:port at which others reach this node, if it is not an address of this machine; may be given more than once
    #[arg(long, value_name = "ADDR", env = "SWARM_ADVERTISE", value_delimiter = ',')]
    pub(super) advertise: Vec<Address>,
    /// Most bytes of content that the store may hold, as in 2TB; for a new content, those that were wanted longest ago are
    /// evicted [default: nothing is evicted]
    #[arg(long, value_name = "BYTES", env = "SWARM_QUOTA")]
    pub(super) quota: Option<ByteLen>,
    /// A node that may offer contents, or any; may be given more than once
    #[arg(long, value_name = "NODEID|any", env = "SWARM_ACCEPT", value_delimiter = ',')]
    pub(super) accept: Vec<AnyOr<NodeId>>,
    /// A content that may be offered and is then never evicted, or any [default: any]; may be given more than once
    #[arg(long, value_name = "ID|any", env = "SWARM_CONTENT", value_delimiter = ',')]
    pub(super) content: Vec<AnyOr<ContentId>>,
    /// Upload no faster than this, all peers together: 20MB/s, 100mbit
    #[arg(long, value_name = "RATE", env = "SWARM_LIMIT_UP")]
    pub(super) limit_up: Option<Rate>,
    /// Download no faster than this, all peers together
    #[arg(long, value_name = "RATE", env = "SWARM_LIMIT_DOWN")]
    pub(super) limit_down: Option<Rate>,
    #[command(flatten)]
    pub(super) trust: TrustArgs,
    /// Most peers connected at once
    #[arg(long, value_name = "N", env = "SWARM_MAX_PEERS", value_parser = clap::value_parser!(u64).range(1..=LINKS_MAX as u64))]
    pub(super) max_peers: Option<u64>,
    /// TCP address of the pages /metrics and /healthz
    #[arg(long, value_name = "ADDR", env = "SWARM_METRICS_LISTEN")]
    pub(super) metrics_listen: Option<SocketAddr>,
    /// Name of this node's site or provider, chosen by you: it names peers of the same zone first
    #[arg(long, value_name = "NAME", env = "SWARM_ZONE", value_parser = zone)]
    pub(super) zone: Option<String>,
    /// Print one JSON object a line on stdout instead of the node's address
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct JoinArgs {
    /// The aggregator, as NODEID@HOST:PORT; it is also asked for peers, as a coordinator
    #[arg(value_name = "AGGREGATOR")]
    pub(super) aggregator: Source,
    #[command(flatten)]
    pub(super) seed: SeedArgs,
    /// End when the aggregator has everything on its disk
    #[arg(long, env = "SWARM_UNTIL_REPLICATED", value_parser = FalseyValueParser::new())]
    pub(super) until_replicated: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum ManifestCommand {
    /// Hash files and folders and write their manifest
    Create(CreateArgs),
    /// Show what a manifest says
    Show {
        /// The manifest
        manifest: PathBuf,
        /// Print JSON
        #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
        json: bool,
    },
    /// Add a signature with this node's key (--key) to a manifest
    Sign {
        /// The manifest
        manifest: PathBuf,
        /// Print JSON
        #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
        json: bool,
    },
    /// Hash a copy and list every bad or missing chunk
    Verify {
        /// The manifest
        manifest: PathBuf,
        /// The folder it was fetched into, or its only file
        dir: PathBuf,
        /// File with the key of a sealed content, if the folder holds it opened
        #[arg(long, value_name = "FILE", env = "SWARM_CONTENT_KEY")]
        content_key: Option<PathBuf>,
        /// Print JSON
        #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct CreateArgs {
    /// Files and folders, as one content
    #[arg(required = true, value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// Where to write it; - is stdout [default: NAME.swarm]
    #[arg(short, long, value_name = "FILE", env = "SWARM_OUT")]
    pub(super) out: Option<PathBuf>,
    /// Add SHA-256 of every file
    #[arg(long, env = "SWARM_SHA256", value_parser = FalseyValueParser::new())]
    pub(super) sha256: bool,
    /// Leave out what has a name that no content can hold, with a line for each
    #[arg(long, env = "SWARM_SKIP_UNPORTABLE", value_parser = FalseyValueParser::new())]
    pub(super) skip_unportable: bool,
    /// Length of a chunk, a power of two from 16KiB to 16MiB [default: 1 to 8 MiB by file length]
    #[arg(long, value_name = "BYTES", env = "SWARM_CHUNK_LEN")]
    pub(super) chunk_len: Option<ByteLen>,
    /// Seal the content with the key in this file, made if it is missing
    #[arg(long, value_name = "FILE", env = "SWARM_SEAL")]
    pub(super) seal: Option<PathBuf>,
    /// Sign it with this node's key
    #[arg(long, env = "SWARM_SIGN", value_parser = FalseyValueParser::new())]
    pub(super) sign: bool,
    /// A note for people, kept in the manifest
    #[arg(long, value_name = "TEXT", default_value = "", env = "SWARM_COMMENT")]
    pub(super) comment: String,
    /// Print JSON
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// A file to move [default: random bytes are made]
    #[arg(long, value_name = "PATH", env = "SWARM_FILE")]
    pub(super) file: Option<PathBuf>,
    /// How many seeds, each with only a part of the chunks
    #[arg(long, default_value_t = 4, env = "SWARM_SEEDS", value_parser = clap::value_parser!(u32).range(2..=16))]
    pub(super) seeds: u32,
    /// Length of the random file
    #[arg(long, default_value = "1GiB", env = "SWARM_LEN", conflicts_with = "file")]
    pub(super) len: ByteLen,
    /// Folder to work in; what the demo makes there is removed at the end [default: the system's temporary folder]
    #[arg(long, value_name = "DIR", env = "SWARM_DEMO_DIR")]
    pub(super) dir: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct NodeArgs {
    /// The configuration, in TOML
    #[arg(long, value_name = "FILE", env = "SWARM_CONFIG", required_unless_present = "print_schema")]
    pub(super) config: Option<PathBuf>,
    /// Neither announce on the local network nor listen there for peers, whatever the configuration says
    #[arg(long, env = "SWARM_NO_LAN", value_parser = FalseyValueParser::new())]
    pub(super) no_lan: bool,
    /// Check the configuration and end
    #[arg(long, requires = "config", env = "SWARM_CHECK", value_parser = FalseyValueParser::new())]
    pub(super) check: bool,
    /// Print the JSON schema of the configuration and end
    #[arg(long, env = "SWARM_PRINT_SCHEMA", value_parser = FalseyValueParser::new())]
    pub(super) print_schema: bool,
}

/// Where the running node is.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ControlArgs {
    /// Control socket of the node [default: control.sock in the state folder]
    #[arg(long, value_name = "PATH", env = "SWARM_CONTROL")]
    pub(super) control: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct AddArgs {
    /// Files and folders to serve, as one content
    #[arg(required_unless_present = "fetch", value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// Leave out what has a name that no content can hold, with a line for each
    #[arg(long, env = "SWARM_SKIP_UNPORTABLE", value_parser = FalseyValueParser::new(), conflicts_with_all = ["manifest", "fetch"])]
    pub(super) skip_unportable: bool,
    /// Serve the chunks of this manifest that PATH holds, instead of making a new manifest
    #[arg(long, value_name = "FILE", env = "SWARM_MANIFEST")]
    pub(super) manifest: Option<PathBuf>,
    /// Fetch this content first: a ticket, a file or http(s) URL with a manifest or a ticket, or - for either on stdin
    #[arg(long, value_name = "MANIFEST|TICKET|URL|-", requires = "out", conflicts_with_all = ["paths", "manifest"])]
    pub(super) fetch: Option<String>,
    /// Folder to fetch into, made if it is missing
    #[arg(short, long, value_name = "DIR", requires = "fetch")]
    pub(super) out: Option<PathBuf>,
    /// Print a JSON object instead of the ticket
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) node: ControlArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct RemoveArgs {
    /// The content, or the first digits of its id as `swarm ls` shows them
    #[arg(value_name = "CONTENT")]
    pub(super) content: String,
    /// Print a JSON object
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) node: ControlArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct LsArgs {
    /// Print one JSON object a content, with its ticket
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) node: ControlArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct StatusArgs {
    /// Show it again every second
    #[arg(short, long, env = "SWARM_WATCH", value_parser = FalseyValueParser::new())]
    pub(super) watch: bool,
    /// Print JSON, one object a line
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) node: ControlArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum CertCommand {
    /// Make an authority in a folder: its key, its certificate and its list of revoked certificates
    Ca {
        /// The folder, made if it is missing
        #[arg(value_name = "DIR")]
        dir: PathBuf,
        /// Its name, for people
        #[arg(long, default_value = "swarm authority", value_parser = authority_name)]
        name: String,
        /// Days until it expires
        #[arg(long, value_name = "N", default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=36500))]
        days: u32,
    },
    /// Make a certificate for a node
    Node {
        /// Id of the node: `swarm id --key FILE` prints it
        #[arg(value_name = "NODEID")]
        node: NodeId,
        /// The authority's folder
        #[arg(long = "ca", value_name = "DIR")]
        dir: PathBuf,
        /// Days until it expires
        #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=36500))]
        days: u32,
        /// Limit the node to fetching and serving: it may offer nothing new
        #[arg(long)]
        mirror: bool,
        /// Where to write it; - is stdout [default: the first digits of the id, and .pem]
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Revoke all certificates of a node, and write the authority's list anew
    Revoke {
        /// Id of the node
        #[arg(value_name = "NODEID")]
        node: NodeId,
        /// The authority's folder
        #[arg(long = "ca", value_name = "DIR")]
        dir: PathBuf,
    },
    /// List the certificates that the authority issued
    Ls {
        /// The authority's folder
        #[arg(long = "ca", value_name = "DIR")]
        dir: PathBuf,
        /// Print one JSON object a certificate
        #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct IdArgs {
    /// Print a JSON object
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(super) json: bool,
}

/// A peer named on the command line.
#[derive(Clone, Debug)]
pub(super) enum Peer {
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

const EXIT_CODES: &str = "Exit codes:
    0  done
    1  something else went wrong
    2  wrong usage, or a manifest or ticket that cannot be read
    3  no source, or none made progress; or a node that collects has no room: try again
    4  the target exists and differs
    5  data is not what the manifest says
    6  the disk is full, or cannot be read or written
    7  not authorised: a node proved another key, refused this node or its content, or is another user's
    8  no node runs at the control socket
    9  complete and verified but for what the target cannot hold, which is named
  141  the reader of stdout went away before it had everything
  130  interrupted";
