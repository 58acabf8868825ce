//! Arguments: `swarm node`, and the commands that talk to one that runs.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;

use swarm_core::base::NodeId;

#[derive(Debug, clap::Args)]
pub(crate) struct NodeArgs {
    /// The configuration, in TOML
    #[arg(long, value_name = "FILE", env = "SWARM_CONFIG", required_unless_present = "print_schema")]
    pub(crate) config: Option<PathBuf>,
    /// Neither announce on the local network nor listen there for peers, whatever the configuration says
    #[arg(long, env = "SWARM_NO_LAN", value_parser = FalseyValueParser::new())]
    pub(crate) no_lan: bool,
    /// Check the configuration and end
    #[arg(long, requires = "config", env = "SWARM_CHECK", value_parser = FalseyValueParser::new())]
    pub(crate) check: bool,
    /// Print the JSON schema of the configuration and end
    #[arg(long, env = "SWARM_PRINT_SCHEMA", value_parser = FalseyValueParser::new())]
    pub(crate) print_schema: bool,
}

/// Where the running node is.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ControlArgs {
    /// Control socket of the node [default: control.sock in the state folder]
    #[arg(long, value_name = "PATH", env = "SWARM_CONTROL")]
    pub(crate) control: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AddArgs {
    /// Files and folders to serve, as one content
    #[arg(required_unless_present = "fetch", value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Leave out what has a name that no content can hold, with a line for each
    #[arg(long, env = "SWARM_SKIP_UNPORTABLE", value_parser = FalseyValueParser::new(), conflicts_with_all = ["manifest", "fetch"])]
    pub(crate) skip_unportable: bool,
    /// Serve the chunks of this manifest that PATH holds, instead of making a new manifest
    #[arg(long, value_name = "FILE", env = "SWARM_MANIFEST")]
    pub(crate) manifest: Option<PathBuf>,
    /// Fetch this content first: a ticket, a file or http(s) URL with a manifest or a ticket, or - for either on stdin
    #[arg(long, value_name = "MANIFEST|TICKET|URL|-", requires = "out", conflicts_with_all = ["paths", "manifest"])]
    pub(crate) fetch: Option<String>,
    /// Folder to fetch into, made if it is missing
    #[arg(short, long, value_name = "DIR", requires = "fetch")]
    pub(crate) out: Option<PathBuf>,
    /// Fetch only this file, what is below this folder (`season1/`), or what matches this pattern (`*.mkv`); may be given more than once
    #[arg(long, value_name = "GLOB", requires = "fetch")]
    pub(crate) include: Vec<String>,
    /// File with the key of a sealed content: the node stores it opened [default: the node stores it sealed, and cannot read it]
    #[arg(long, value_name = "FILE", requires = "fetch")]
    pub(crate) content_key: Option<PathBuf>,
    /// Take only what this publisher signed: a NODEID
    #[arg(long, value_name = "NODEID", requires = "fetch")]
    pub(crate) publisher: Option<NodeId>,
    /// Print a JSON object instead of the ticket
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) node: ControlArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RemoveArgs {
    /// The content, or the first digits of its id as `swarm ls` shows them
    #[arg(value_name = "CONTENT")]
    pub(crate) content: String,
    /// Print a JSON object
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) node: ControlArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LsArgs {
    /// Print one JSON object a content, with its ticket
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) node: ControlArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    /// Show the daemon of this folder in place of the running node
    #[arg(long, value_name = "DIR", env = "SWARM_DAEMON_DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Show it again every second
    #[arg(short, long, env = "SWARM_WATCH", value_parser = FalseyValueParser::new())]
    pub(crate) watch: bool,
    /// Print JSON, one object a line
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) node: ControlArgs,
}
