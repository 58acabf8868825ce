//! The clock of this crate: elapsed time tells a slow answer from one that comes, and when a server may be asked again.

use std::time::Instant;

/// A moment, to measure from.
#[expect(clippy::disallowed_methods, reason = "the one place of this crate that reads elapsed time")]
pub(crate) fn moment() -> Instant {
    Instant::now()
}
