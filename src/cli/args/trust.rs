//! Arguments: who may connect, and how this node proves itself.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;

/// Who may link, and who this node is to others that ask.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Trust")]
pub(crate) struct TrustArgs {
    /// List of the nodes that may connect: one NODEID a line, followed by `mirror` if the node may offer nothing new; read
    /// again when it changes [default: all nodes]
    #[arg(long, value_name = "FILE", env = "SWARM_ALLOW")]
    pub(crate) allow: Option<PathBuf>,
    /// Certificate of an authority (swarm cert): only nodes with a certificate of this authority may connect
    #[arg(long, value_name = "FILE", env = "SWARM_CA")]
    pub(crate) ca: Option<PathBuf>,
    /// The authority's list of revoked certificates (revoked.pem in its folder); read again when it changes
    #[arg(long, value_name = "FILE", requires = "ca", env = "SWARM_REVOKED")]
    pub(crate) revoked: Option<PathBuf>,
    /// This node's certificate, issued for the key in --key; shown to nodes that ask for one
    #[arg(long, value_name = "FILE", env = "SWARM_CERT")]
    pub(crate) cert: Option<PathBuf>,
    /// Accept the authority for development, whose key is public
    #[arg(long, requires = "ca", env = "SWARM_DEV", value_parser = FalseyValueParser::new())]
    pub(crate) dev: bool,
}
