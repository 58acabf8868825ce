//! Checks links that stand again: when the rules of who may link change, and as certificates end.

use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::fact::Fact;
use swarm_core::base::limits::ADMISSION_CHECK_INTERVAL;
use swarm_core::trust::AccessTable;
use swarm_link::Gate;

pub(super) struct Door {
    gate: watch::Receiver<Gate>,
    rounds: Interval,
    /// Of the table that was handed out last.
    epoch: u64,
}

impl Door {
    pub(super) fn new(gate: watch::Receiver<Gate>) -> Self {
        let mut rounds = interval(ADMISSION_CHECK_INTERVAL);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { gate, rounds, epoch: 0 }
    }

    /// What linked nodes may have from now on, for the engine.
    pub(super) fn access(&mut self) -> AccessTable {
        self.epoch += 1;
        self.gate.borrow().authoriser.access().at_epoch(self.epoch)
    }

    /// Waits until links are to be looked at. To be cancelled by dropping the future.
    pub(super) async fn next(&mut self) -> Fact {
        let is_open = self.gate.borrow().authoriser.is_open();
        tokio::select! {
            Ok(()) = self.gate.changed() => Fact::Recheck { is_changed: true },
            _ = self.rounds.tick(), if !is_open => Fact::Recheck { is_changed: false },
            else => std::future::pending().await,
        }
    }
}
