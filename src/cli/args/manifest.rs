//! Arguments: `swarm manifest`.

use std::path::PathBuf;

use clap::Subcommand;
use clap::builder::FalseyValueParser;

use swarm_core::base::ByteLen;

#[derive(Debug, Subcommand)]
pub(crate) enum ManifestCommand {
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
pub(crate) struct CreateArgs {
    /// Files and folders, as one content
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Where to write it; - is stdout [default: NAME.swarm]
    #[arg(short, long, value_name = "FILE", env = "SWARM_OUT")]
    pub(crate) out: Option<PathBuf>,
    /// Add SHA-256 of every file
    #[arg(long, env = "SWARM_SHA256", value_parser = FalseyValueParser::new())]
    pub(crate) sha256: bool,
    /// Leave out what has a name that no content can hold, with a line for each
    #[arg(long, env = "SWARM_SKIP_UNPORTABLE", value_parser = FalseyValueParser::new())]
    pub(crate) skip_unportable: bool,
    /// Length of a chunk, a power of two from 16KiB to 16MiB [default: 1 to 8 MiB by file length]
    #[arg(long, value_name = "BYTES", env = "SWARM_CHUNK_LEN")]
    pub(crate) chunk_len: Option<ByteLen>,
    /// Seal the content with the key in this file, made if it is missing
    #[arg(long, value_name = "FILE", env = "SWARM_SEAL")]
    pub(crate) seal: Option<PathBuf>,
    /// Sign it with this node's key
    #[arg(long, env = "SWARM_SIGN", value_parser = FalseyValueParser::new())]
    pub(crate) sign: bool,
    /// A note for people, kept in the manifest
    #[arg(long, value_name = "TEXT", default_value = "", env = "SWARM_COMMENT")]
    pub(crate) comment: String,
    /// Print JSON
    #[arg(long, env = "SWARM_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
}
