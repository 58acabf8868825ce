//! Limits of a daemon.

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
/// Files of contents that are joined at once, beyond which those are left that nobody fetches: a file takes some 400 bytes.
pub(crate) const FILES_JOINED_MAX: usize = 64 << 10;
/// Contents that are joined at once, to fetch or to serve.
pub(crate) const JOINED_MAX: usize = 64;
