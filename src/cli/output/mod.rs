//! All printing. Tickets and JSON go to stdout, everything for people to stderr. Decides nothing.

mod bars;
mod json;
mod lines;
mod table;
mod text;

pub(super) use bars::{FetchView, HashView};
pub(super) use json::{Done, Json, line_of};
pub(super) use lines::SeedView;
pub(super) use table::{contents_table, status_screen};
pub(super) use text::{bottleneck, chunk_name, chunk_place, count, peer_table, read_again, read_trouble};

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

/// Text on stdout as it is. False if nobody reads any more.
pub(super) fn raw(text: &str) -> bool {
    use std::io::Write as _;
    let mut stdout = std::io::stdout();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_ok()
}

/// A failure, told as JSON if that is wanted; it is then not shown again.
pub(super) fn told(failure: Failure, is_json: bool) -> Failure {
    if is_json {
        Json::Error { code: failure.exit as u8, message: failure.error.to_string() }.print();
    }
    Failure { is_shown: is_json, ..failure }
}

/// Why the command failed.
pub(super) fn failure(failure: &Failure) {
    if !failure.is_shown {
        // The messages hold their causes already.
        eprintln!("swarm: {}", failure.error);
    }
}
