//! Arguments: `swarm cert` and `swarm id`.

use std::path::PathBuf;

use clap::Subcommand;
use clap::builder::FalseyValueParser;

use swarm_core::base::NodeId;

#[derive(Debug, Subcommand)]
pub(crate) enum CertCommand {
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
pub(crate) struct IdArgs {
    /// Print a JSON object
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
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
