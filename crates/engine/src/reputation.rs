//! What a node was worth over all runs of this one: a ban and a doubt that outlive a restart, and fade. Knows no links, no
//! contents and no disk.

use std::time::Duration;

use super::peers::PeerTotals;

/// Deeds of a node. Older ones count less, so none of them is a whole number for long.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reputation {
    /// Bytes of its chunks that were verified.
    pub good_len: f64,
    /// Chunks of it that failed verification.
    pub bad_chunks: f64,
    /// How often it took requests and stalled.
    pub stalls: f64,
    /// Chunks that it said it had, and did not take back, and did not have.
    pub lies: f64,
}

impl Reputation {
    /// What it comes to when so much time has gone by: half after a week.
    #[must_use]
    pub fn decayed(self, elapsed: Duration) -> Self {
        let share = (-elapsed.as_secs_f64() / HALF_LIFE.as_secs_f64()).exp2();
        Self {
            good_len: self.good_len * share,
            bad_chunks: self.bad_chunks * share,
            stalls: self.stalls * share,
            lies: self.lies * share,
        }
    }

    /// With what it did at this run.
    #[must_use]
    pub fn with(self, totals: &PeerTotals) -> Self {
        Self {
            good_len: self.good_len + totals.verified_len as f64,
            bad_chunks: self.bad_chunks + totals.corrupt_chunks as f64,
            stalls: self.stalls + totals.stalls as f64,
            lies: self.lies + totals.lies as f64,
        }
    }

    /// It gave a wrong chunk not long ago: nothing is exchanged with it. One such chunk is forgiven after a week, a second one
    /// on top of it after half a week more.
    pub fn is_bad(&self) -> bool {
        self.bad_chunks > BAD_ABOVE
    }

    /// It gave more than one wrong chunk.
    pub(super) fn is_bad_again(&self) -> bool {
        self.bad_chunks > 1.0 + FADED_BELOW
    }

    /// It promises more than it gives: others are dialed first.
    pub fn is_doubtful(&self) -> bool {
        let failures = self.stalls + self.lies;
        self.is_bad() || (failures >= FAILURES_DOUBTED && self.good_len < failures * FAILURE_WORTH_LEN)
    }

    /// Whether there is anything left worth remembering.
    pub fn is_faded(&self) -> bool {
        let failures = self.bad_chunks + self.stalls + self.lies;
        failures < FADED_BELOW && self.good_len < FAILURE_WORTH_LEN * FADED_BELOW
    }
}

const HALF_LIFE: Duration = Duration::from_hours(24 * 7);
/// A little less than one bad chunk after a week, which a clock need not hit exactly.
const BAD_ABOVE: f64 = 0.5;
/// Every peer stalls now and then.
const FAILURES_DOUBTED: f64 = 3.0;
/// So many good bytes make up for one failure.
const FAILURE_WORTH_LEN: f64 = (16u64 << 20) as f64;
const FADED_BELOW: f64 = 0.05;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_chunk_is_forgiven_after_a_week_and_a_second_one_takes_longer() {
        let once = Reputation { bad_chunks: 1.0, ..Reputation::default() };
        let twice = once.decayed(HALF_LIFE).with(&PeerTotals { corrupt_chunks: 1, ..PeerTotals::default() });
        for (reputation, is_bad) in [
            (once, true),
            (once.decayed(HALF_LIFE.mul_f64(0.99)), true),
            (once.decayed(HALF_LIFE), false),
            (twice.decayed(HALF_LIFE), true),
            (twice.decayed(HALF_LIFE.mul_f64(1.6)), false),
        ] {
            assert_eq!(reputation.is_bad(), is_bad, "{reputation:?}");
        }
        assert!(!once.decayed(HALF_LIFE * 4).is_faded() && once.decayed(HALF_LIFE * 5).is_faded());
    }

    #[test]
    fn what_is_left_of_good_bytes_is_forgotten_when_it_makes_up_for_next_to_nothing() {
        let good = |len: u32| Reputation { good_len: f64::from(len), ..Reputation::default() };
        // A twentieth of what makes up for one failure.
        assert!(good((16 << 20) / 20 - 1).is_faded() && !good((16 << 20) / 20 + 1).is_faded());
        assert!(!Reputation { stalls: 0.06, ..Reputation::default() }.is_faded());
        assert!(Reputation { stalls: 0.02, lies: 0.02, ..Reputation::default() }.is_faded());
    }

    #[test]
    fn more_than_one_wrong_chunk_is_bad_again() {
        let bad = |bad_chunks| Reputation { bad_chunks, ..Reputation::default() };
        assert!(!bad(1.0).is_bad_again() && bad(1.5).is_bad_again() && bad(2.0).is_bad_again());
    }

    #[test]
    fn silence_and_lies_are_made_up_for_by_good_bytes() {
        let failed = PeerTotals { stalls: 2, lies: 1, ..PeerTotals::default() };
        let reputation = Reputation::default().with(&failed);
        assert!(reputation.is_doubtful() && !reputation.is_bad());
        let worked = PeerTotals { verified_len: 48 << 20, ..PeerTotals::default() };
        assert!(!reputation.with(&worked).is_doubtful());
        assert!(
            !Reputation::default().with(&PeerTotals { stalls: 2, ..PeerTotals::default() }).is_doubtful()
        );
    }
}
