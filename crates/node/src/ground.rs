//! What every part of a running node stands on: its tasks, their end, its clock.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::clock::Clock;

/// One a node. Clones are the same.
#[derive(Clone)]
pub(super) struct Ground {
    /// All its tasks: none is detached.
    pub(super) tasks: TaskTracker,
    /// Cancelled when the node ends.
    pub(super) ending: CancellationToken,
    pub(super) clock: Clock,
}

impl Ground {
    pub(super) fn new() -> Self {
        Self { tasks: TaskTracker::new(), ending: CancellationToken::new(), clock: Clock::start() }
    }
}
