//! Limits of a daemon.

use std::ops::RangeInclusive;

/// What waits for the worker of a library; links wait when it is full.
pub(crate) const INPUTS_WAITING_MAX: usize = 64;
/// What a worker takes before it makes a pass.
pub(crate) const INPUTS_AT_ONCE: usize = 64;
/// Bytes of packed files that one library holds in memory.
pub(crate) const PACKED_LEN_MAX: usize = 8 << 20;
/// Bytes of a commit's files up to which they are packed with it.
pub(crate) const PACKED_COMMIT_LEN_MAX: u64 = 512 << 10;
/// Links about libraries at once.
pub(crate) const LINKS_MAX: usize = 256;
/// Messages that wait to be written to one link.
pub(crate) const QUEUE_FRAMES: usize = 64;
/// Contents that are fetched at once.
pub(crate) const FETCHES_MAX: usize = 8;
/// Contents that are joined at once, to fetch or to serve.
pub(crate) const JOINED_MAX: usize = 64;
/// Bytes of files that are filled from older versions: a shorter one is a few chunks, the pieces of a longer one would fill the memory.
pub(crate) const FILLED_LEN: RangeInclusive<u64> = 4 << 20..=128 << 30;
/// Older versions that one file is filled from.
pub(crate) const OLD_VERSIONS_MAX: usize = 2;
/// Bytes of an answer about a file: slices of 1 GiB from both ends are 4 MiB.
pub(crate) const RECIPE_ANSWER_LEN_MAX: usize = 8 << 20;
/// Bytes of answers about files that are kept in memory.
pub(crate) const RECIPES_KEPT_LEN_MAX: usize = 16 << 20;
