//! The clocks of this crate: the time of day names runs and dates records; elapsed time paces what is looked at again.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::test_controls;

/// Milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the one place of this crate that reads the time of day")]
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX).saturating_add(test_controls::clock_ahead_ms())
}

/// A moment, to measure from.
#[expect(clippy::disallowed_methods, reason = "the one place of this crate that reads elapsed time")]
pub(crate) fn moment() -> Instant {
    Instant::now()
}
