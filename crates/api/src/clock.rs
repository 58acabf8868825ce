//! The clocks of this crate.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment, to measure from.
#[expect(clippy::disallowed_methods, reason = "the one place of this crate that reads elapsed time")]
pub(crate) fn moment() -> Instant {
    Instant::now()
}

/// The time of day.
#[expect(clippy::disallowed_methods, reason = "the one place of this crate that reads the time of day")]
pub(crate) fn time() -> SystemTime {
    SystemTime::now()
}

/// Time since 1970.
pub(crate) fn since_epoch() -> Duration {
    time().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX)
}
