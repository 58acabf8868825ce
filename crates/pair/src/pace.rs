//! Keeps copies below a rate: who copied too much sleeps before it copies on. Shared by the threads that copy to one side.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use swarm_core::base::Rate;

use crate::clock;

/// A rate that several threads keep together; no rate without a limit.
#[derive(Debug)]
pub(crate) struct Pace {
    bytes_per_sec: Option<u64>,
    /// When the bytes so far are allowed.
    allowed_at: Mutex<Instant>,
    /// Ends all waiting.
    stop: Arc<AtomicBool>,
}

impl Pace {
    pub(crate) fn new(rate: Option<Rate>, stop: &Arc<AtomicBool>) -> Self {
        let bytes_per_sec = rate.map(|rate| rate.0.max(1));
        Self { bytes_per_sec, allowed_at: Mutex::new(clock::moment()), stop: Arc::clone(stop) }
    }

    /// Sleeps until these bytes are allowed.
    pub(crate) fn spend(&self, len: u64) {
        let Some(bytes_per_sec) = self.bytes_per_sec else { return };
        let now = clock::moment();
        let cost = Duration::from_secs_f64(len as f64 / bytes_per_sec as f64);
        let until = {
            let mut allowed_at = self.allowed_at.lock().unwrap_or_else(PoisonError::into_inner);
            // Time in which nothing was copied is not saved up.
            *allowed_at = (*allowed_at).max(now) + cost;
            *allowed_at
        };
        loop {
            let left = until.saturating_duration_since(clock::moment());
            if left.is_zero() || self.stop.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(left.min(STOP_INTERVAL));
        }
    }
}

/// How long a stop may stay unseen.
const STOP_INTERVAL: Duration = Duration::from_millis(50);
