//! Arguments of the commands around libraries.

use std::path::PathBuf;

use clap::Args;

/// The daemon that a command talks to, or whose files it edits.
#[derive(Clone, Debug, Args)]
pub(in super::super) struct DaemonDir {
    /// Folder of the daemon: its JSON files [default: daemon in the state folder]
    #[arg(long, value_name = "DIR", env = "SWARM_DAEMON_DIR")]
    pub(in super::super) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in super::super) struct DaemonArgs {
    #[command(flatten)]
    pub(in super::super) folder: DaemonDir,
    /// Log lines as JSON
    #[arg(long)]
    pub(in super::super) json: bool,
    /// Print the JSON schema of a file, as in `libraries`, and end
    #[arg(long, value_name = "FILE")]
    pub(in super::super) print_schema: Option<String>,
}
