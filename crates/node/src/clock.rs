//! The clocks. The only file that reads them.
#![expect(clippy::disallowed_methods, reason = "this is where clocks are read")]

use std::time::SystemTime;

use swarm_core::base::Instant;

/// Turns the system's monotonic clock into engine time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: std::time::Instant,
}

impl Clock {
    /// A clock that starts at zero.
    pub fn start() -> Self {
        Self { origin: std::time::Instant::now() }
    }

    /// Time since it was started.
    pub fn now(&self) -> Instant {
        Instant::from_nanos(u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// When the system's clock will show that instant.
    pub(super) fn deadline(&self, at: Instant) -> tokio::time::Instant {
        (self.origin + std::time::Duration::from_nanos(at.as_nanos())).into()
    }
}

/// Minutes after midnight, local time.
pub fn local_minute() -> u16 {
    let now = jiff::Zoned::now();
    // 0 to 23 and 0 to 59.
    u16::from(now.hour().unsigned_abs()) * 60 + u16::from(now.minute().unsigned_abs())
}

/// The time of day: for file times only.
pub fn wall_clock() -> SystemTime {
    SystemTime::now()
}
