//! `swarm man`: a manual page for every command, from the declaration of the arguments.

use std::path::Path;

use clap::CommandFactory as _;

use super::args::Args;
use super::failure::Failure;

/// Writes `swarm.1`, `swarm-fetch.1` and so on into a folder, which is made if it is missing.
pub(super) fn run(dir: &Path) -> Result<(), Failure> {
    let written = std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Args::command(), dir));
    written.map_err(|error| Failure::file("write manual pages into", dir, &error))
}
