//! Checks existing links again: when the admission rules change, and as certificates end. Invariant: each access table handed to the
//! engine has a higher epoch than the one before.

use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::fact::Fact;
use swarm_core::base::limits::ADMISSION_CHECK_INTERVAL;
use swarm_core::trust::AccessTable;
use swarm_link::Admission;

pub(super) struct Readmission {
    admission: watch::Receiver<Admission>,
    rounds: Interval,
    /// Of the table that was handed out last.
    epoch: u64,
}

impl Readmission {
    pub(super) fn new(admission: watch::Receiver<Admission>) -> Self {
        let mut rounds = interval(ADMISSION_CHECK_INTERVAL);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { admission, rounds, epoch: 0 }
    }

    /// What linked nodes may have from now on, for the engine.
    pub(super) fn access(&mut self) -> AccessTable {
        self.epoch += 1;
        self.admission.borrow().rules.access().at_epoch(self.epoch)
    }

    /// Waits until links are to be looked at. To be cancelled by dropping the future.
    pub(super) async fn next(&mut self) -> Fact {
        let is_open = self.admission.borrow().rules.is_open();
        tokio::select! {
            Ok(()) = self.admission.changed() => Fact::Recheck { is_changed: true },
            _ = self.rounds.tick(), if !is_open => Fact::Recheck { is_changed: false },
            else => std::future::pending().await,
        }
    }
}
