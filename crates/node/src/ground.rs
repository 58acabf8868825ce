//! What every part of a running node stands on: its tasks, their end, its clock.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::clock::Clock;
use super::throttle::Throttle;
use swarm_core::base::Rate;

/// One a node. Clones are the same.
#[derive(Clone)]
pub(super) struct Ground {
    /// All its tasks: none is detached.
    pub(super) tasks: TaskTracker,
    /// Cancelled when the node ends.
    pub(super) ending: CancellationToken,
    pub(super) clock: Clock,
    /// The limit of all that comes.
    pub(super) down: Throttle,
}

impl Ground {
    pub(super) fn new(down: Option<Rate>) -> Self {
        let (tasks, ending) = (TaskTracker::new(), CancellationToken::new());
        Self { tasks, ending, clock: Clock::start(), down: Throttle::new(down) }
    }
}
