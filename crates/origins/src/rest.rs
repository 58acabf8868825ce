//! When a server is left alone. Invariant: a server that asks for a pause gets it, up to a limit, and one that does not answer is asked after longer
//! and longer pauses, whoever asks: a request within a pause fails at once, with the reason of the pause. Pure.

use std::time::{Duration, Instant};

use crate::error::OriginError;
use crate::limits::{REST_ASKED_MAX, REST_MAX, REST_MIN};

/// The pause of one server.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    /// Requests in a row that nobody answered.
    unanswered: u32,
    until: Option<(Instant, OriginError)>,
}

impl Rest {
    /// Whether the server may be asked.
    ///
    /// # Errors
    /// Why it is left alone.
    pub(crate) fn check(&self, now: Instant) -> Result<(), OriginError> {
        let Some((until, error)) = self.until.as_ref().filter(|(until, _)| *until > now) else {
            return Ok(());
        };
        Err(match error {
            OriginError::Busy { status, .. } => {
                OriginError::Busy { status: *status, after: Some(until.duration_since(now)) }
            }
            error => error.clone(),
        })
    }

    /// The server answered something.
    pub(crate) fn on_answer(&mut self) {
        *self = Self::default();
    }

    /// A request failed, and was tried often enough.
    pub(crate) fn on_failure(&mut self, now: Instant, error: &OriginError) {
        let pause = match error {
            OriginError::Busy { after: Some(after), .. } => (*after).min(REST_ASKED_MAX),
            OriginError::Unreachable(_) | OriginError::Silent(_) => {
                self.unanswered = self.unanswered.saturating_add(1);
                REST_MIN.saturating_mul(1 << self.unanswered.saturating_sub(1).min(16)).min(REST_MAX)
            }
            OriginError::Busy { after: None, .. }
            | OriginError::Slow { .. }
            | OriginError::Address(_)
            | OriginError::Tls(_)
            | OriginError::CertificateChanged { .. }
            | OriginError::Denied(_)
            | OriginError::Missing(_)
            | OriginError::Redirects(_)
            | OriginError::Odd(_)
            | OriginError::Changed
            | OriginError::NoRange
            | OriginError::Sealed
            | OriginError::TooLong(_) => Duration::ZERO,
        };
        self.until = (pause > Duration::ZERO).then(|| (now + pause, error.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::moment;

    #[test]
    fn a_server_that_does_not_answer_is_asked_later_and_later() {
        let (mut rest, start) = (Rest::default(), moment());
        let silent = OriginError::Silent(Duration::from_secs(20));
        let mut pauses = Vec::new();
        for _ in 0..10 {
            rest.on_failure(start, &silent);
            let pause =
                (0..1000).map(|half| REST_MIN * half).find(|pause| rest.check(start + *pause).is_ok());
            pauses.push(pause.expect("every pause ends"));
        }
        assert_eq!(&pauses[..3], [REST_MIN, REST_MIN * 2, REST_MIN * 4]);
        assert_eq!(pauses.last(), Some(&REST_MAX));
        assert_eq!(rest.check(start), Err(silent));
        rest.on_answer();
        assert_eq!(rest.check(start), Ok(()));
    }

    #[test]
    fn a_pause_that_a_server_asks_for_is_kept_up_to_a_limit() {
        let (mut rest, start) = (Rest::default(), moment());
        let busy = |after| OriginError::Busy { status: 503, after };
        let secs = Duration::from_secs;
        rest.on_failure(start, &busy(Some(secs(100))));
        assert_eq!(rest.check(start + secs(40)), Err(busy(Some(secs(60)))));
        assert_eq!(rest.check(start + secs(100)), Ok(()));
        rest.on_failure(start, &busy(Some(secs(u64::MAX))));
        assert_eq!(rest.check(start + REST_ASKED_MAX), Ok(()));
        // An error of one file says nothing of the others.
        rest.on_failure(start, &busy(None));
        assert_eq!(rest.check(start), Ok(()));
    }
}
