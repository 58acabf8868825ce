//! Congestion control of links across a network: CUBIC that ignores losses which no congestion caused. Plain CUBIC cuts its window
//! at each loss; on a path of 40 ms that loses one datagram in 200 (radio, a bad cable) it then uses a tenth of 50 Mbit/s.
//!
//! A cut leaves as much as the path holds without a queue, and at most [`KEPT_PERCENT_MAX`]: where the queue is short, CUBIC's cut
//! of 30 % leaves a long fat path idle for ten seconds and more. (H-TCP's adaptive back-off, Leith and Shorten 2004; 85 % as in RFC 8511.)
//!
//! A loss is ignored if no queue stands on the path, so that nothing was sent too fast, and if at most [`FORGIVEN_SHARE`] of the
//! sent bytes is lost. A full queue is thus handled as by CUBIC. Behind a policer, which drops without a queue, the loss stays at
//! that share, which BBR (versions 2 and 3) ignores as well. quinn's BBR was tried and not kept: it fills such a path too, but
//! among eight peers that feed each other it took 1.5 times as long as CUBIC.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::congestion::{Controller, ControllerFactory, ControllerMetrics, CubicConfig};
use quinn_proto::RttEstimator;

/// Makes the controllers of links.
pub(super) struct ForgivingCubic;

impl ControllerFactory for ForgivingCubic {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Forgiving::new(now, current_mtu))
    }
}

struct Forgiving {
    cubic: Box<dyn Controller>,
    credit: Credit,
    queue: Queue,
    /// The window that the last cut left, bytes; CUBIC's own window may be smaller until it has grown again.
    floor_len: u64,
    /// Losses of packets sent before this instant belong to the last cut: one congestion event cuts once.
    cut_at: Option<Instant>,
}

impl Forgiving {
    fn new(now: Instant, current_mtu: u16) -> Self {
        let cubic = Arc::new(CubicConfig::default()).build(now, current_mtu);
        Self { cubic, credit: Credit::default(), queue: Queue::default(), floor_len: 0, cut_at: None }
    }

    /// Grows the window by an eighth a round trip, from some time after a cut and while no queue stands.
    fn grow(&mut self, now: Instant, acked_len: u64) {
        let is_settled = self.cut_at.is_some_and(|cut_at| {
            now.saturating_duration_since(cut_at) > self.queue.usual_time() * SETTLE_ROUND_TRIPS
        });
        if is_settled && !self.queue.stands() {
            self.floor_len = self.window() + acked_len / GROWTH_SHARE;
        }
    }
}

impl Controller for Forgiving {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.cubic.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.credit.on_acked(bytes, self.window());
        self.queue.on_round_trip(now, now.saturating_duration_since(sent));
        self.cubic.on_ack(now, sent, bytes, app_limited, rtt);
        if !app_limited {
            self.grow(now, bytes);
        }
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest_acked: Option<u64>) {
        self.cubic.on_end_acks(now, in_flight, app_limited, largest_acked);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent: bool, lost_bytes: u64) {
        // An event without lost bytes is an ECN mark of a router, which always means congestion.
        let is_loss = lost_bytes > 0 && !is_persistent;
        if is_loss && !self.queue.stands() && self.credit.spend(lost_bytes) {
            return;
        }
        if is_persistent {
            self.floor_len = 0;
        } else if self.cut_at.is_none_or(|cut_at| sent > cut_at) {
            self.cut_at = Some(now);
            self.floor_len = self.window() * self.queue.kept_percent() / 100;
        }
        self.cubic.on_congestion_event(now, sent, is_persistent, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.cubic.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        self.cubic.window().max(self.floor_len)
    }

    fn metrics(&self) -> ControllerMetrics {
        let mut metrics = self.cubic.metrics();
        metrics.congestion_window = self.window();
        metrics
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self {
            cubic: self.cubic.clone_box(),
            credit: self.credit,
            queue: self.queue,
            floor_len: self.floor_len,
            cut_at: self.cut_at,
        })
    }

    fn initial_window(&self) -> u64 {
        self.cubic.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// Bytes that may still be lost without counting as congestion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Credit {
    /// Hundredths of a byte, so that even the smallest acknowledgement counts.
    centi_len: u64,
}

impl Default for Credit {
    /// A new link has some credit: its first datagrams may be lost by chance as well.
    fn default() -> Self {
        Self { centi_len: CREDIT_LEN_MIN * 100 }
    }
}

impl Credit {
    /// Adds a share of the acknowledged bytes. The credit is capped at the share of two windows, or at a few datagrams.
    fn on_acked(&mut self, len: u64, window_len: u64) {
        let most = (2 * window_len * FORGIVEN_SHARE).max(CREDIT_LEN_MIN * 100);
        self.centi_len = (self.centi_len + len * FORGIVEN_SHARE).min(most);
    }

    /// False if the credit does not suffice.
    fn spend(&mut self, len: u64) -> bool {
        let left = self.centi_len.checked_sub(len * 100);
        self.centi_len = left.unwrap_or(self.centi_len);
        left.is_some()
    }
}

/// Detects queues on the path from round-trip times. A queue stands if even the shortest of the last round trips is long: single
/// round trips are long wherever processes wait for their turn.
///
/// Of all acknowledgements at one instant only the shortest round trip counts, and the minimum of the path is taken over medians:
/// on a busy machine whole batches had round trips shorter than light allows (18 ms on a path of at least 40; probably a thread
/// waited between reading the clock and reading the socket). Such a minimum would hold for [`PATH_TIME`]: a queue would seem to
/// stand all the while, and no loss would be ignored. A first round trip that was too short had this effect.
#[derive(Clone, Copy, Debug, Default)]
struct Queue {
    batch: Option<(Instant, Duration)>,
    last: Last,
    recent: Shortest,
    of_path: Shortest,
}

impl Queue {
    fn on_round_trip(&mut self, now: Instant, sample: Duration) {
        match &mut self.batch {
            Some((at, shortest)) if *at == now => *shortest = sample.min(*shortest),
            batch => {
                if let Some((at, shortest)) = batch.replace((now, sample)) {
                    self.on_batch(at, shortest);
                }
            }
        }
    }

    fn on_batch(&mut self, now: Instant, sample: Duration) {
        self.last.push(sample);
        let Some(median) = self.last.median() else { return };
        self.recent.on_sample(now, sample, median);
        self.of_path.on_sample(now, median, PATH_TIME);
    }

    /// The median of the last round trips.
    fn usual_time(&self) -> Duration {
        self.last.median().unwrap_or_default()
    }

    /// The share of the bytes in flight that is not in a queue; zero while that is unknown.
    fn kept_percent(&self) -> u64 {
        let Some(now) = self.last.median().filter(|now| !now.is_zero()) else { return 0 };
        let percent = self.of_path.get().as_micros() * 100 / now.as_micros().max(1);
        u64::try_from(percent).unwrap_or(0).min(KEPT_PERCENT_MAX)
    }

    /// Without measurements a queue is assumed, so that CUBIC decides.
    fn stands(&self) -> bool {
        let least = self.of_path.get();
        self.of_path.since.is_none() || self.recent.get().saturating_sub(least) > (least / 8).max(JITTER)
    }
}

/// The last few round trips.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    samples: [Duration; LAST_COUNT],
    count: usize,
}

impl Last {
    fn push(&mut self, sample: Duration) {
        self.samples[self.count % LAST_COUNT] = sample;
        self.count += 1;
    }

    /// `None` while too few are known.
    fn median(&self) -> Option<Duration> {
        let mut sorted = self.samples;
        sorted.sort_unstable();
        (self.count >= LAST_COUNT).then_some(sorted[LAST_COUNT / 2])
    }
}

/// The shortest time of the last one to two spans: two buckets, so that no list has to be kept.
#[derive(Clone, Copy, Debug, Default)]
struct Shortest {
    since: Option<Instant>,
    now: Duration,
    before: Duration,
}

impl Shortest {
    fn on_sample(&mut self, now: Instant, sample: Duration, span: Duration) {
        match self.since {
            None => (self.since, self.now, self.before) = (Some(now), sample, sample),
            Some(since) if now.saturating_duration_since(since) > span => {
                (self.since, self.now, self.before) = (Some(now), sample, self.now);
            }
            Some(_) => self.now = self.now.min(sample),
        }
    }

    fn get(&self) -> Duration {
        self.now.min(self.before)
    }
}

/// CUBIC recovers slowly after a cut: on a link of 500 Mbit/s and 50 ms it took 15 s from 44 KB after an early loss to 1.8 MB.
/// After this many round trips (a cycle of BBR), and while no queue stands, the window grows by an eighth in each.
const SETTLE_ROUND_TRIPS: u32 = 8;
const GROWTH_SHARE: u64 = 8;
/// Largest window after a cut, percent of the window before.
const KEPT_PERCENT_MAX: u64 = 85;
/// Number of round trips in a median: up to three of them may be wrong.
const LAST_COUNT: usize = 7;
/// Percent of the sent bytes that may be lost: 2, as BBR's `LossThresh`.
const FORGIVEN_SHARE: u64 = 2;
/// Three datagrams: while the window is small, one lost datagram is no sign of congestion.
const CREDIT_LEN_MIN: u64 = 3 * 1452;
/// Jitter that two busy computers alone cause on an idle path.
const JITTER: Duration = Duration::from_millis(2);
/// Older round trips may be of another path. Within this time CUBIC's cuts empty a queue.
const PATH_TIME: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_loss_in_fifty_is_forgiven_and_no_more() {
        for (one_in, is_always_forgiven) in [(50, true), (200, true), (40, false), (10, false)] {
            let mut credit = Credit::default();
            (0..500).for_each(|_| credit.on_acked(1200, 100_000));
            let mut forgives = || {
                (1..one_in).for_each(|_| credit.on_acked(1200, 100_000));
                credit.on_acked(1200, 100_000);
                credit.spend(1200)
            };
            assert_eq!((0..1000).all(|_| forgives()), is_always_forgiven, "one in {one_in}");
        }
    }

    #[test]
    fn a_burst_of_losses_is_not_forgiven_however_long_nothing_was_lost() {
        let mut credit = Credit::default();
        (0..1_000_000).for_each(|_| credit.on_acked(1200, 100_000));
        assert!(!credit.spend(5000));
        assert!(credit.spend(3600));
        assert!(!credit.spend(1200));
    }

    /// Whether a queue is detected after these round trips, 10 ms from one to the next.
    fn stands_after(millis: &[u64]) -> bool {
        let mut queue = Queue::default();
        for (step, millis) in (0..).zip(millis) {
            queue.on_round_trip(start() + Duration::from_millis(10 * step), Duration::from_millis(*millis));
        }
        queue.stands()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "an instant can be had in no other way; which one does not matter"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_queue_shows_in_round_trips() {
        assert!(stands_after(&[]), "before anything was heard");
        assert!(!stands_after(&[40; 50]));
        assert!(!stands_after(&[[40; 50], [44; 50]].concat()));
        assert!(stands_after(&[[40; 50], [46; 50]].concat()));
        assert!(!stands_after(&[[1; 50], [2; 50]].concat()));
        assert!(stands_after(&[[1; 50], [4; 50]].concat()));
    }

    #[test]
    fn cuts_in_a_row_leave_nothing_of_a_wide_window() {
        let mut controller = Arc::new(ForgivingCubic).build(start(), 1452);
        let (mut now, rtt) = (start(), Duration::from_millis(50));
        let before = controller.window();
        for _ in 0..60 {
            now += rtt;
            controller.on_congestion_event(now, now, false, 1452);
        }
        assert!(controller.window() < before / 2, "{} of {before}", controller.window());
    }

    /// The window before a cut, after it, and `round_trips` of 40 ms plus `queue` later.
    fn windows_around_a_cut(round_trips: u32, queue: Duration) -> [u64; 3] {
        let rtt = Duration::from_millis(40);
        let (mut controller, mut now) = (Forgiving::new(start(), 1452), start());
        for _ in 0..20 {
            now += rtt;
            controller.queue.on_round_trip(now, rtt);
        }
        let before = controller.window();
        // More than the credit.
        controller.on_congestion_event(now, now, false, 10 * 1452);
        let after = controller.window();
        for _ in 0..round_trips {
            now += rtt + queue;
            controller.queue.on_round_trip(now, rtt + queue);
            controller.grow(now, controller.window());
        }
        [before, after, controller.window()]
    }

    #[test]
    fn a_window_that_was_cut_grows_again_by_an_eighth_a_round_trip_while_no_queue_stands() {
        let [before, after, later] = windows_around_a_cut(SETTLE_ROUND_TRIPS, Duration::ZERO);
        assert!(after < before && later == after, "{before}, {after}, {later}");
        let [_, after, later] = windows_around_a_cut(SETTLE_ROUND_TRIPS + 12, Duration::ZERO);
        let expected = after as f64 * 1.125f64.powi(12);
        assert!((0.95..1.05).contains(&(later as f64 / expected)), "{after}, {later} instead of {expected}");
        let [_, after, later] = windows_around_a_cut(100, Duration::from_millis(20));
        assert_eq!(later, after, "a queue stands");
    }

    #[test]
    fn jitter_of_busy_computers_is_no_queue() {
        let jittery = [70, 41, 55, 90, 48, 62].repeat(20);
        assert!(!stands_after(&[vec![40; 50], jittery].concat()));
    }

    #[test]
    fn one_impossibly_short_round_trip_is_ignored() {
        assert!(!stands_after(&[&[40; 50], &[18][..], &[40; 50]].concat()));
        assert!(!stands_after(&[&[18][..], &[40; 50]].concat()), "the first one");
    }

    #[test]
    fn a_path_that_grew_longer_is_known_after_a_while() {
        let grown = |count| [vec![40; 50], vec![60; count]].concat();
        assert!(stands_after(&grown(1000)));
        assert!(!stands_after(&grown(4500)));
    }
}
