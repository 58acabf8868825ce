//! What tests set in a daemon that runs as a process, by its environment. Invariant: a product that is built without the feature `test-controls` reads
//! none of it, and goes by the clock of its machine and the limits of this crate.

#[cfg(feature = "test-controls")]
use std::sync::OnceLock;

/// How far the clock of the process is set ahead, milliseconds: nobody waits two weeks for a proposal to expire. Of use for tests alone, as records
/// of a clock that is ahead win over those of others.
#[cfg(feature = "test-controls")]
pub(crate) fn clock_ahead_ms() -> u64 {
    static AHEAD_MS: OnceLock<u64> = OnceLock::new();
    let read = || std::env::var("SWARM_TEST_CLOCK_AHEAD").ok()?.parse::<u64>().ok()?.checked_mul(1000);
    *AHEAD_MS.get_or_init(|| read().unwrap_or(0))
}

/// Bytes of the commits of one author that are carried: nobody signs a hundred megabytes for a test.
#[cfg(feature = "test-controls")]
pub(crate) fn carried_len() -> Option<u64> {
    std::env::var("SWARM_TEST_CARRIED_LEN").ok()?.parse().ok()
}

/// New paths of one plan: nobody makes half a million files for a test.
#[cfg(feature = "test-controls")]
pub(crate) fn part_paths() -> Option<usize> {
    std::env::var("SWARM_TEST_PART_PATHS").ok()?.parse().ok()
}

#[cfg(not(feature = "test-controls"))]
pub(crate) fn part_paths() -> Option<usize> {
    None
}

#[cfg(not(feature = "test-controls"))]
pub(crate) fn clock_ahead_ms() -> u64 {
    0
}

#[cfg(not(feature = "test-controls"))]
pub(crate) fn carried_len() -> Option<u64> {
    None
}
