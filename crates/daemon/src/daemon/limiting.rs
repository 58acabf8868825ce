//! Which limits hold now: those of `config.json`, and what its schedule says at this time of the week. Invariant: a pause is said to each library, as it
//! holds up nothing but bytes of files: commits and votes pass. Absent here: the schedule (`swarm-daemon-files`), and who slows down (`swarm-node`).

use swarm_core::base::Rate;
use swarm_daemon_files::{Config, Limits, LocalMinute};

use super::Desk;
use crate::clock;

/// What holds at this moment; a rate of zero is a pause.
pub(super) fn limits_now(config: &Config) -> Limits {
    if config.schedule.is_empty() {
        return config.limits;
    }
    config.limits.at(LocalMinute::of_ms(clock::now_ms()), &config.schedule)
}

/// What the node goes by: it knows no pause.
pub(super) fn of_node(limits: Limits) -> Limits {
    let rate = |rate: Option<Rate>| rate.filter(|rate| rate.0 > 0);
    Limits { up: rate(limits.up), down: rate(limits.down) }
}

/// What a library goes by, whose own limits these are.
pub(super) fn of_library(own: Limits, all: Limits) -> Limits {
    let paused = |rate: Option<Rate>| rate.filter(|rate| rate.0 == 0);
    Limits { up: paused(all.up).or(own.up), down: paused(all.down).or(own.down) }
}

impl Desk {
    /// Whether the limits of this moment are others than those that hold.
    pub(super) fn are_other_limits_due(&self) -> bool {
        limits_now(self.folder.config()) != self.limits
    }

    /// Takes over the limits of this moment.
    pub(super) async fn apply_limits(&mut self) {
        let limits = limits_now(self.folder.config());
        let before = std::mem::replace(&mut self.limits, limits);
        if before == limits {
            return;
        }
        let shown = |rate: Option<Rate>| match rate {
            Some(Rate(0)) => "paused".to_owned(),
            Some(rate) => rate.to_string(),
            None => "no limit".to_owned(),
        };
        tracing::info!(up = shown(limits.up), down = shown(limits.down), "other limits hold now");
        let Limits { up, down } = of_node(limits);
        self.node.set_limits(up, down).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_of_each_library_and_a_rate_of_the_node() {
        let limits = |up, down| Limits { up, down };
        let (own, pause, slow) = (Rate(5), Rate(0), Rate(9));
        let both = |all: Limits| (of_node(all), of_library(limits(Some(own), None), all));
        assert_eq!(both(limits(Some(slow), None)), (limits(Some(slow), None), limits(Some(own), None)));
        assert_eq!(
            both(limits(Some(pause), Some(slow))),
            (limits(None, Some(slow)), limits(Some(pause), None))
        );
        assert_eq!(both(limits(None, Some(pause))), (limits(None, None), limits(Some(own), Some(pause))));
    }
}
