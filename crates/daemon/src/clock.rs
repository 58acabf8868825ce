//! The clocks of this crate: the time of day names runs and dates records; elapsed time paces what is looked at again.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the one place of this crate that reads the time of day")]
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX).saturating_add(ahead_ms())
}

/// How far a test sets the clock of a process ahead: nobody waits two weeks for a proposal to expire.
fn ahead_ms() -> u64 {
    static AHEAD_MS: OnceLock<u64> = OnceLock::new();
    let read = || std::env::var(AHEAD).ok()?.parse::<u64>().ok()?.checked_mul(1000);
    *AHEAD_MS.get_or_init(|| read().unwrap_or(0))
}

/// Seconds. Of no use but for tests: records of a clock that is ahead win over those of others.
const AHEAD: &str = "SWARM_TEST_CLOCK_AHEAD";

/// A moment, to measure from.
#[expect(clippy::disallowed_methods, reason = "the one place of this crate that reads elapsed time")]
pub(crate) fn moment() -> Instant {
    Instant::now()
}
