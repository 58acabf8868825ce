//! Limits of a daemon.

/// What waits for the worker of a library; links wait when it is full.
pub(crate) const INPUTS_WAITING_MAX: usize = 64;
/// What a worker takes before it makes a pass.
pub(crate) const INPUTS_AT_ONCE: usize = 64;
/// Links about libraries at once.
pub(crate) const LINKS_MAX: usize = 256;
/// Messages that wait to be written to one link.
pub(crate) const QUEUE_FRAMES: usize = 64;
/// Contents that are fetched at once.
pub(crate) const FETCHES_MAX: usize = 8;
/// Contents that are joined at once, to fetch or to serve.
pub(crate) const JOINED_MAX: usize = 64;
