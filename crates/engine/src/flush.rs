//! When verified chunks become durable. Invariant: of one content one flush runs at a time, and what is verified meanwhile is
//! flushed after it. Performs nothing; knows no chunks.

use std::time::Duration;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flush {
    /// Verified since the last flush began, bytes.
    pending_len: u64,
    is_running: bool,
}

impl Flush {
    pub(super) fn on_verified(&mut self, len: u64) {
        self.pending_len += len;
    }

    /// Enough has come to flush it before its time.
    pub(super) fn is_long(&self) -> bool {
        self.pending_len >= FLUSH_LEN
    }

    /// Begins a flush; false if one runs, or there is nothing to flush.
    pub(super) fn begin(&mut self) -> bool {
        let begins = !self.is_running && self.has_pending();
        if begins {
            *self = Self { pending_len: 0, is_running: true };
        }
        begins
    }

    pub(super) fn on_flushed(&mut self) {
        self.is_running = false;
    }

    pub(super) fn has_pending(&self) -> bool {
        self.pending_len > 0
    }

    pub(super) fn is_running(&self) -> bool {
        self.is_running
    }
}

/// What a crash may cost: this much time, or this many bytes.
pub(super) const FLUSH_INTERVAL: Duration = Duration::from_secs(2);
const FLUSH_LEN: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_flush_runs_at_a_time_and_what_comes_meanwhile_is_left_for_the_next() {
        let mut flush = Flush::default();
        assert!(!flush.begin(), "there is nothing to flush");
        flush.on_verified(1);
        assert!(flush.begin() && flush.is_running() && !flush.has_pending());
        flush.on_verified(FLUSH_LEN);
        assert!(flush.is_long() && !flush.begin());
        flush.on_flushed();
        assert!(flush.has_pending() && flush.begin());
    }
}
