//! All printing. Tickets and JSON go to stdout, everything for people to stderr. Decides nothing.

mod bars;
mod json;
mod lines;
mod text;

pub(super) use bars::{FetchView, HashView};
pub(super) use json::{Done, Json};
pub(super) use lines::SeedView;
pub(super) use text::{bottleneck, chunk_name, count, peer_table};

use super::failure::Failure;

/// One line for people.
pub(super) fn note(line: impl std::fmt::Display) {
    eprintln!("{line}");
}

/// One line on stdout, for scripts.
pub(super) fn result(line: impl std::fmt::Display) {
    use std::io::Write as _;
    // Nobody may be reading: that is their choice.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Why the command failed.
pub(super) fn failure(failure: &Failure) {
    if !failure.is_shown {
        // The messages hold their causes already.
        eprintln!("swarm: {}", failure.error);
    }
}
