//! The monotonic clock, as time for engines and finders. The only file that reads it; what knows time is given one of these, or an
//! instant.

use std::time::Duration;

use swarm_core::base::Instant;

/// Turns the system's monotonic clock into engine time. Copies show the same time. Under a paused tokio runtime, in tests, it shows
/// that runtime's time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: tokio::time::Instant,
}

impl Clock {
    /// A clock that starts at zero.
    pub fn start() -> Self {
        Self { origin: Self::system() }
    }

    /// Time since it was started.
    pub fn now(&self) -> Instant {
        self.at(Self::system())
    }

    /// What it shows when the system's clock shows that.
    pub fn at(&self, system: tokio::time::Instant) -> Instant {
        let since = system.saturating_duration_since(self.origin);
        Instant::from_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    /// When the system's clock will show that instant.
    pub fn deadline(&self, at: Instant) -> tokio::time::Instant {
        self.origin + Duration::from_nanos(at.as_nanos())
    }

    /// Sets it back: so much time did not count.
    #[must_use]
    pub fn without(self, span: Duration) -> Self {
        Self { origin: self.origin + span }
    }

    /// What the system's clock shows.
    #[expect(clippy::disallowed_methods, reason = "this is where the monotonic clock is read")]
    pub fn system() -> tokio::time::Instant {
        tokio::time::Instant::now()
    }
}
