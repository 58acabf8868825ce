//! The clocks that show more than time that passes: how long the process stood still, and the time of day. With `link/clock`, which
//! reads the monotonic one, the only file that reads clocks.

use std::future::Future;
use std::time::{Duration, SystemTime};

use swarm_core::base::Instant;
pub use swarm_link::Clock;

/// Engine time that stands still while the process does: while its machine sleeps, or it was stopped by a signal.
///
/// Without that, everything that was due meanwhile would be due at once when the process goes on, before a single packet that
/// waits is read: a fetch would give up sources that are there. Invariant: its owner looks at it every [`BEAT`], so that
/// a long time between two looks is known for what it is.
pub(super) struct AwakeClock {
    clock: Clock,
    looked_at: Reading,
    now: Instant,
    /// The loop has waited for its product since the last look.
    was_held_up: bool,
}

/// What the system's clocks show.
#[derive(Clone, Copy, Debug)]
struct Reading {
    /// Runs on while the process is stopped, and stands still while the machine sleeps, on Linux and macOS at least.
    awake: tokio::time::Instant,
    /// Runs on while the machine sleeps, too. Its origin is the system's.
    ever: Duration,
}

impl AwakeClock {
    /// Begins at zero, and is this clock as long as the process runs.
    pub(super) fn start(clock: Clock) -> Self {
        Self { clock, looked_at: Reading::now(), now: Instant::ZERO, was_held_up: false }
    }

    /// The loop waits for its product: until the next look nothing is heard of peers, but the process runs and keeps its links.
    pub(super) fn on_held_up(&mut self) {
        self.was_held_up = true;
    }

    /// Looks at the system's clocks. If engine time stood still since the last look: for how long the process did, which is zero if
    /// it was only held up.
    pub(super) fn look(&mut self) -> Option<Duration> {
        self.look_at(Reading::now())
    }

    /// The time of the last look.
    pub(super) fn now(&self) -> Instant {
        self.now
    }

    /// When to look again: at that instant, and after a beat at the latest.
    pub(super) fn next_look(&self, wakeup: Option<Instant>) -> tokio::time::Instant {
        let beat = self.looked_at.awake + BEAT;
        wakeup.map_or(beat, |at| self.clock.deadline(at).min(beat))
    }

    fn look_at(&mut self, reading: Reading) -> Option<Duration> {
        let awake = reading.awake.saturating_duration_since(self.looked_at.awake);
        let passed = awake.max(reading.ever.saturating_sub(self.looked_at.ever));
        self.looked_at = reading;
        let was_held_up = std::mem::take(&mut self.was_held_up);
        let has_gap = passed >= GAP_MIN;
        if has_gap {
            self.clock = self.clock.without(awake);
        }
        self.now = self.now.max(self.clock.at(reading.awake));
        has_gap.then_some(if was_held_up { Duration::ZERO } else { passed })
    }
}

impl Reading {
    fn now() -> Self {
        Self { awake: Clock::system(), ever: ever() }
    }
}

/// Time since the machine was started, with the time for which it slept.
fn ever() -> Duration {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let clock = rustix::time::ClockId::Monotonic;
    Duration::try_from(rustix::time::clock_gettime(clock)).unwrap_or_default()
}

/// Like tokio's `timeout`, but of time for which the process ran: while it stands still, at most a beat passes. `None` if the
/// limit was reached.
pub(super) async fn timeout<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let alarm = async {
        let mut left = limit;
        while !left.is_zero() {
            let nap = left.min(BEAT);
            tokio::time::sleep(nap).await;
            left -= nap;
        }
    };
    tokio::select! {
        biased;
        output = future => Some(output),
        () = alarm => None,
    }
}

/// Minutes after midnight, local time.
pub fn local_minute() -> u16 {
    let now = jiff::Zoned::now();
    // 0 to 23 and 0 to 59.
    u16::from(now.hour().unsigned_abs()) * 60 + u16::from(now.minute().unsigned_abs())
}

/// The time of day: for file times only.
#[expect(clippy::disallowed_methods, reason = "this is where the time of day is read")]
pub fn wall_clock() -> SystemTime {
    SystemTime::now()
}

const BEAT: Duration = Duration::from_secs(1);
/// A loop that is only busy is late by milliseconds, on a machine that swaps by a second at times. Taking that for sleep costs
/// little: patience begins anew.
const GAP_MIN: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_for_which_the_process_stood_still_is_left_out_and_told() {
        let mut clock = AwakeClock::start(Clock::start());
        let start = clock.looked_at;
        let mut look = |awake: u64, ever: u64| {
            let (awake, ever) = (Duration::from_millis(awake), Duration::from_millis(ever));
            let gap = clock.look_at(Reading { awake: start.awake + awake, ever: start.ever + ever });
            (gap.map(|gap| gap.as_millis()), (clock.now() - Instant::ZERO).as_millis())
        };
        assert_eq!(look(0, 0), (None, 0));
        assert_eq!(look(900, 900), (None, 900));
        assert_eq!(look(2_400, 2_400), (None, 2_400), "a loop that was busy");
        assert_eq!(look(72_400, 72_400), (Some(70_000), 2_400), "a process that was stopped");
        assert_eq!(look(72_500, 72_500), (None, 2_500));
        assert_eq!(look(72_500, 3_672_500), (Some(3_600_000), 2_500), "a machine that slept");
        assert_eq!(look(73_000, 3_673_000), (None, 3_000));
    }

    #[test]
    fn a_loop_that_waited_for_its_product_did_not_sleep() {
        let mut clock = AwakeClock::start(Clock::start());
        let start = clock.looked_at;
        let mut look = |secs: u64, is_held_up: bool| {
            if is_held_up {
                clock.on_held_up();
            }
            let passed = Duration::from_secs(secs);
            let gap = clock.look_at(Reading { awake: start.awake + passed, ever: start.ever + passed });
            (gap.map(|gap| gap.as_secs()), (clock.now() - Instant::ZERO).as_secs())
        };
        assert_eq!(look(1, true), (None, 1), "for a moment only");
        assert_eq!(look(61, true), (Some(0), 1), "peers were not heard, and links live");
        assert_eq!(look(121, false), (Some(60), 1), "the next gap is a sleep again");
    }

    #[test]
    fn it_is_looked_at_every_beat_and_sooner_if_something_is_due() {
        let clock = AwakeClock::start(Clock::start());
        let waits = |wakeup: Option<Duration>| {
            let at = clock.next_look(wakeup.map(|at| Instant::ZERO + at));
            at.saturating_duration_since(clock.looked_at.awake)
        };
        assert_eq!(waits(None), BEAT);
        assert_eq!(waits(Some(BEAT * 100)), BEAT);
        assert!(waits(Some(BEAT / 4)) <= BEAT / 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_counts_the_time_for_which_the_process_ran() {
        assert_eq!(timeout(Duration::from_secs(30), async { 7 }).await, Some(7));
        let start = Clock::start();
        assert_eq!(timeout(Duration::from_millis(2_500), std::future::pending::<()>()).await, None);
        assert!((2_500..2_600).contains(&(start.now() - Instant::ZERO).as_millis()));
        let slept = async {
            // Long past the limit in one go, as after a sleep: that is one beat.
            tokio::time::sleep(Duration::from_millis(500)).await;
            tokio::time::advance(Duration::from_secs(70)).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        };
        assert_eq!(timeout(Duration::from_secs(3), slept).await, Some(()));
    }
}
