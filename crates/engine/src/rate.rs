//! How fast a peer sends, how long its chunks take, and how deep its pipeline of requests should be.

use std::time::Duration;

use swarm_core::base::{Instant, Rate};

/// An exponentially decaying rate with the start-up bias taken out, so that it is right after the first bytes already.
#[derive(Clone, Debug, Default)]
pub(super) struct RateMeter {
    weighted_len: f64,
    weighted_time: f64,
    updated_at: Option<Instant>,
}

impl RateMeter {
    /// Time starts to count, with nothing received yet (a request went out).
    pub(super) fn resume(&mut self, now: Instant) {
        self.updated_at.get_or_insert(now);
    }

    /// Time counts no more (nothing is outstanding).
    pub(super) fn pause(&mut self) {
        self.updated_at = None;
    }

    /// Counts bytes.
    pub(super) fn on_received(&mut self, now: Instant, len: u64) {
        self.advance(now);
        self.weighted_len += len as f64;
    }

    /// The rate now; `None` before the first byte: a peer that has not begun is not slow.
    pub(super) fn rate(&self, now: Instant) -> Option<Rate> {
        let mut meter = self.clone();
        meter.advance(now);
        (meter.weighted_time > MEASURED_TIME_MIN)
            .then(|| Rate((meter.weighted_len / meter.weighted_time) as u64))
    }

    fn advance(&mut self, now: Instant) {
        let Some(updated_at) = self.updated_at.replace(now) else { return };
        let elapsed = now.since(updated_at).as_secs_f64();
        let decay = (-elapsed / WINDOW.as_secs_f64()).exp();
        self.weighted_len *= decay;
        self.weighted_time = self.weighted_time * decay + elapsed;
    }
}

/// Mean and deviation of a time, as TCP keeps them (RFC 6298).
#[derive(Clone, Debug, Default)]
pub(super) struct TimeEstimate {
    mean: Option<Duration>,
    deviation: Duration,
}

impl TimeEstimate {
    /// Takes a sample.
    pub(super) fn on_sample(&mut self, sample: Duration) {
        match self.mean {
            None => (self.mean, self.deviation) = (Some(sample), sample / 2),
            Some(mean) => {
                self.deviation = self.deviation * 3 / 4 + mean.abs_diff(sample) / 4;
                self.mean = Some(mean * 7 / 8 + sample / 8);
            }
        }
    }

    /// The mean; zero before the first sample.
    pub(super) fn mean(&self) -> Duration {
        self.mean.unwrap_or_default()
    }

    /// After so long without a byte something is wrong.
    pub(super) fn timeout(&self) -> Duration {
        let Some(mean) = self.mean else { return FIRST_TIMEOUT };
        (mean + self.deviation * 4).clamp(TIMEOUT_MIN, TIMEOUT_MAX)
    }

    /// The same where that was so already, so many times since the last sample.
    pub(super) fn timeout_after(&self, stalls: u32) -> Duration {
        (self.timeout() * (1 << stalls.min(DOUBLINGS_MAX))).min(TIMEOUT_MAX)
    }
}

/// Bytes to keep asked for at a peer: what it sends in a second and two round trips, between two chunks and the cap. Too
/// shallow hurts far more than too deep; the rate grows with the depth, so this starts like slow start.
pub(super) fn pipeline_len(rate: Option<Rate>, rtt: Duration, chunk_len: u64) -> u64 {
    let least = (2 * chunk_len).max(PIPELINE_LEN_MIN);
    let horizon = PIPELINE_TIME + 2 * rtt;
    rate.map_or(least, |rate| rate.len_in(horizon)).clamp(least, PIPELINE_LEN_MAX.max(least))
}

const WINDOW: Duration = Duration::from_secs(2);
/// Seconds; below it a rate is noise.
const MEASURED_TIME_MIN: f64 = 0.002;
const FIRST_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT_MIN: Duration = Duration::from_secs(2);
const TIMEOUT_MAX: Duration = Duration::from_secs(60);
const DOUBLINGS_MAX: u32 = 5;
const PIPELINE_TIME: Duration = Duration::from_secs(1);
/// Where chunks are short. A deep queue at a slow peer holds up what others wait to be passed on.
const PIPELINE_LEN_MIN: u64 = 512 << 10;
const PIPELINE_LEN_MAX: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_steady_rate_is_seen_from_the_first_bytes_on() {
        let mut meter = RateMeter::default();
        meter.resume(at(0));
        assert_eq!(meter.rate(at(0)), None);
        for step in 1..=100 {
            meter.on_received(at(step * 10), 10_000);
            let rate = meter.rate(at(step * 10)).expect("measured").0;
            assert!((900_000..=1_100_000).contains(&rate), "{rate} after {step} steps");
        }
    }

    #[test]
    fn a_pause_does_not_lower_the_rate() {
        let mut meter = RateMeter::default();
        meter.resume(at(0));
        meter.on_received(at(1000), 1_000_000);
        meter.pause();
        meter.resume(at(60_000));
        assert!(meter.rate(at(60_000)).expect("measured").0 > 900_000);
    }

    #[test]
    fn a_pipeline_holds_a_second_and_two_round_trips() {
        let mib = 1 << 20;
        assert_eq!(pipeline_len(None, Duration::ZERO, 4 * mib), 8 * mib);
        assert_eq!(pipeline_len(Some(Rate(10_000_000)), Duration::from_millis(500), mib), 20_000_000);
        assert_eq!(pipeline_len(Some(Rate(u64::MAX / 4)), Duration::ZERO, mib), PIPELINE_LEN_MAX);
        assert_eq!(pipeline_len(Some(Rate(0)), Duration::ZERO, mib), 2 * mib);
    }

    #[test]
    fn mean_and_deviation_are_those_of_rfc_6298() {
        let ms = Duration::from_millis;
        let mut time = TimeEstimate::default();
        assert_eq!(time.mean(), Duration::ZERO);
        time.on_sample(ms(8000));
        assert_eq!((time.mean(), time.deviation), (ms(8000), ms(4000)));
        // 4000 * 3/4 + 1600/4; 8000 * 7/8 + 9600/8.
        time.on_sample(ms(9600));
        assert_eq!((time.mean(), time.deviation), (ms(8200), ms(3400)));
        assert_eq!(time.timeout(), ms(8200 + 4 * 3400));
    }

    #[test]
    fn the_timeout_follows_mean_and_deviation_within_its_limits() {
        let mut time = TimeEstimate::default();
        assert_eq!(time.timeout(), FIRST_TIMEOUT);
        time.on_sample(Duration::from_millis(1));
        assert_eq!(time.timeout(), TIMEOUT_MIN);
        assert_eq!(time.timeout_after(2), TIMEOUT_MIN * 4);
        assert_eq!(time.timeout_after(u32::MAX), TIMEOUT_MAX);
        time.on_sample(Duration::from_secs(1000));
        assert_eq!(time.timeout(), TIMEOUT_MAX);
    }
}
