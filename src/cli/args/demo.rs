//! Arguments: `swarm demo`.

use std::path::PathBuf;

use swarm_core::base::ByteLen;

#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Instead, three daemons that keep a library together, and their page: prints its link
    #[arg(long, conflicts_with_all = ["file", "seeds", "len"])]
    pub(crate) team: bool,
    /// A file to move [default: random bytes are made]
    #[arg(long, value_name = "PATH", env = "SWARM_FILE")]
    pub(crate) file: Option<PathBuf>,
    /// How many seeds, each with only a part of the chunks
    #[arg(long, default_value_t = 4, env = "SWARM_SEEDS", value_parser = clap::value_parser!(u32).range(2..=16))]
    pub(crate) seeds: u32,
    /// Length of the random file
    #[arg(long, default_value = "1GiB", env = "SWARM_LEN", conflicts_with = "file")]
    pub(crate) len: ByteLen,
    /// Folder to work in; what the demo makes there is removed at the end [default: the system's temporary folder]
    #[arg(long, value_name = "DIR", env = "SWARM_DEMO_DIR")]
    pub(crate) dir: Option<PathBuf>,
}
