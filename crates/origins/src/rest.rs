//! When a server is left alone. Invariant: a server that asks for a pause gets it, up to a limit, and one that does not answer is asked after longer
//! and longer pauses, whoever asks: a request within a pause fails at once, with the reason of the pause. Pure.

use std::time::Instant;

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

    /// A request failed, and was tried often enough. Requests that fail together count once: they fail of the same cause.
    pub(crate) fn on_failure(&mut self, now: Instant, error: &OriginError) {
        let is_resting = self.check(now).is_err();
        let pause = match error {
            OriginError::Busy { after: Some(after), .. } => (*after).min(REST_ASKED_MAX),
            OriginError::Unreachable(_) | OriginError::Silent(_) if is_resting => return,
            OriginError::Unreachable(_) | OriginError::Silent(_) => {
                let doublings = self.unanswered.min(16);
                self.unanswered = self.unanswered.saturating_add(1);
                REST_MIN.saturating_mul(1 << doublings).min(REST_MAX)
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
            | OriginError::TooLong(_) => return self.on_answer(),
        };
        self.until = Some((now + pause, error.clone()));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::moment;

    #[test]
    fn a_server_that_does_not_answer_is_asked_later_and_later() {
        let (mut rest, start) = (Rest::default(), moment());
        let silent = OriginError::Silent(Duration::from_secs(20));
        let (mut now, mut pauses) = (start, Vec::new());
        for _ in 0..10 {
            rest.on_failure(now, &silent);
            // Another one that was on its way says the same.
            rest.on_failure(now, &silent);
            assert_eq!(rest.check(now), Err(silent.clone()));
            let pause = (0..1000).map(|half| REST_MIN * half).find(|pause| rest.check(now + *pause).is_ok());
            let pause = pause.expect("every pause ends");
            pauses.push(pause);
            now += pause;
        }
        assert_eq!(&pauses[..3], [REST_MIN, REST_MIN * 2, REST_MIN * 4]);
        assert_eq!(pauses.last(), Some(&REST_MAX));
        rest.on_answer();
        rest.on_failure(now, &silent);
        assert_eq!(rest.check(now + REST_MIN), Ok(()), "it begins anew");
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
