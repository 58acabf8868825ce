//! What this node's uplink carries: the rate at which payload went out while more was asked for than could be sent, and how
//! many peers at once fill it. Knows no links.

use std::collections::VecDeque;
use std::time::Duration;

use swarm_core::base::{Instant, Rate};

use super::uploads::SLOTS_MAX;

/// Payload sent, in windows of ten seconds.
#[derive(Debug, Default)]
pub(super) struct UploadMeter {
    began_at: Option<Instant>,
    window_len: u64,
    /// At some instant of this window no request waited: it says nothing of the uplink.
    was_idle: bool,
    full: VecDeque<(Instant, Rate)>,
    /// Ever since.
    pub(super) sent_len: u64,
}

impl UploadMeter {
    /// An upload has ended, and others wait or do not.
    pub(super) fn on_sent(&mut self, now: Instant, len: u64, is_waiting: bool) {
        self.sent_len += len;
        let began_at = *self.began_at.get_or_insert(now);
        self.window_len += len;
        self.was_idle |= !is_waiting;
        let elapsed = now.since(began_at);
        if elapsed >= WINDOW {
            if !self.was_idle && elapsed < 2 * WINDOW {
                self.full.push_back((now, Rate::over(self.window_len, elapsed)));
            }
            (self.began_at, self.window_len, self.was_idle) = (Some(now), 0, !is_waiting);
        }
        while self.full.front().is_some_and(|(at, _)| now.since(*at) > MEMORY) {
            self.full.pop_front();
        }
    }

    /// The highest rate of the last minutes; zero if the uplink was never full.
    pub(super) fn capacity(&self, now: Instant) -> Rate {
        let recent = self.full.iter().filter(|(at, _)| now.since(*at) <= MEMORY);
        recent.map(|(_, rate)| *rate).max().unwrap_or_default()
    }
}

/// How many peers a lone seed serves at once: as few as fill its uplink. A chunk that is sent among many others comes late to
/// the one that is to pass it on (200 leeches of one seed: 1.25 times the bound with 64 at once).
#[derive(Debug)]
pub(super) struct Slots {
    count: usize,
    /// How many there were before more were tried, and the rate with them.
    tried_from: usize,
    rate_before: Option<u64>,
    looked: (Instant, u64),
    is_settled: bool,
}

impl Slots {
    /// Few, to begin with.
    pub(super) fn new(now: Instant, sent_len: u64) -> Self {
        Self {
            count: LONE_SLOTS,
            tried_from: LONE_SLOTS,
            rate_before: None,
            looked: (now, sent_len),
            is_settled: false,
        }
    }

    /// Some are choked though they want something: more are tried as long as that brings a quarter more.
    pub(super) fn look(&mut self, now: Instant, sent_len: u64) -> usize {
        let rate = Rate::over(sent_len - self.looked.1, now.since(self.looked.0)).0;
        self.looked = (now, sent_len);
        if self.is_settled {
            return self.count;
        }
        match self.rate_before {
            Some(before) if rate < before + before / 4 => {
                self.count = self.tried_from;
                self.is_settled = true;
            }
            Some(_) | None => {
                self.rate_before = Some(rate);
                self.tried_from = self.count;
                self.count = (self.count * 2).min(SLOTS_MAX);
            }
        }
        self.count
    }

    /// As things are.
    pub(super) fn count(&self) -> usize {
        self.count
    }
}

const WINDOW: Duration = Duration::from_secs(10);
const MEMORY: Duration = Duration::from_mins(5);
/// As many as a node has neighbours.
const LONE_SLOTS: usize = swarm_core::base::limits::NEIGHBOURS_TARGET as usize + 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::from_nanos(secs * 1_000_000_000)
    }

    #[test]
    fn capacity_is_what_went_out_while_somebody_waited() {
        let mut meter = UploadMeter::default();
        (0..=20).for_each(|second| meter.on_sent(at(second), 1_000_000, false));
        assert_eq!(meter.capacity(at(20)), Rate(0));
        (21..=60).for_each(|second| meter.on_sent(at(second), 2_000_000, true));
        let rate = meter.capacity(at(60)).0;
        assert!((1_900_000..=2_200_000).contains(&rate), "{rate}");
        assert_eq!(meter.capacity(at(60) + MEMORY * 2), Rate(0));
    }

    #[test]
    fn a_window_counts_only_if_somebody_waited_from_its_beginning_to_its_end() {
        // Sends of a megabyte a second from 0 to 40 s; no peer waits at the given second.
        let capacity = |idle_at: Option<u64>| {
            let mut meter = UploadMeter::default();
            (0..=40).for_each(|second| meter.on_sent(at(second), 1_000_000, Some(second) != idle_at));
            (meter.full.len(), meter.sent_len)
        };
        assert_eq!(capacity(None), (4, 41_000_000));
        assert_eq!(capacity(Some(15)), (3, 41_000_000), "in the middle of one");
        assert_eq!(capacity(Some(20)), (2, 41_000_000), "where one ends and the next begins");
        // A pause makes a window too long to say anything.
        let mut meter = UploadMeter::default();
        meter.on_sent(at(0), 1_000_000, true);
        meter.on_sent(at(20), 1_000_000, true);
        assert_eq!(meter.capacity(at(20)), Rate(0));
        meter.on_sent(at(39), 1_900_000, true);
        assert_eq!(meter.capacity(at(39)), Rate(100_000));
        assert_eq!(meter.capacity(at(39) + MEMORY), Rate(100_000));
        meter.on_sent(at(39) + MEMORY + Duration::from_secs(1), 1, false);
        assert!(meter.full.is_empty(), "it is forgotten");
    }

    #[test]
    fn slots_grow_while_that_brings_more_and_no_further() {
        // Each slot brings so much, up to what the uplink carries.
        for (per_slot, uplink, settled) in
            [(1_000_000, 10_000_000, 12), (100_000, 100_000_000, 64), (100_000, 2_000_000, 24)]
        {
            let (mut slots, mut sent_len) = (Slots::new(at(0), 0), 0);
            for second in 1..10 {
                sent_len += (slots.count() as u64 * per_slot).min(uplink);
                slots.look(at(second), sent_len);
            }
            assert_eq!(slots.count(), settled, "{per_slot} of {uplink}");
        }
    }
}
