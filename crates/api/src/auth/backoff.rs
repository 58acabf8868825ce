//! How long somebody waits after wrong passwords. Invariant: the wait depends on a name and on an address, each by itself, so that neither many
//! names from one place nor many places for one name are tried fast; what is remembered is bounded, and a flood of names forgets the oldest alone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::limits::{BACKOFF_MAX, BACKOFFS_MAX, FREE_FAILURES};

/// What failed, and when.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: BTreeMap<String, Failures>,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last_at: Instant,
}

impl Backoff {
    /// How long until a try is heard, for a name or an address.
    pub(crate) fn wait(&self, who: &str, now: Instant) -> Option<Duration> {
        let failures = self.failures.get(who)?;
        let until = failures.last_at + wait_after(failures.count)?;
        until.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }

    /// A wrong password.
    pub(crate) fn failed(&mut self, who: &str, now: Instant) {
        self.failures.retain(|_, known| now.duration_since(known.last_at) < BACKOFF_MAX);
        if self.failures.len() >= BACKOFFS_MAX && !self.failures.contains_key(who) {
            let oldest = self.failures.iter().min_by_key(|(_, known)| known.last_at);
            if let Some(oldest) = oldest.map(|(who, _)| who.clone()) {
                self.failures.remove(&oldest);
            }
        }
        let known = self.failures.entry(who.to_owned()).or_insert(Failures { count: 0, last_at: now });
        (known.count, known.last_at) = (known.count.saturating_add(1), now);
    }

    /// A right one.
    pub(crate) fn succeeded(&mut self, who: &str) {
        self.failures.remove(who);
    }
}

/// One second after the first failure that costs, twice as long after each further one.
fn wait_after(count: u32) -> Option<Duration> {
    let further = count.checked_sub(FREE_FAILURES)?;
    Some(Duration::from_secs(1 << further.min(20)).min(BACKOFF_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_few_failures_are_free_and_further_ones_cost_twice_as_long_each() {
        let (mut backoff, now) = (Backoff::default(), clock::moment());
        let mut waits = Vec::new();
        for _ in 0..FREE_FAILURES + 3 {
            backoff.failed("anna", now);
            waits.push(backoff.wait("anna", now).map_or(0, |wait| wait.as_secs()));
        }
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8]);
        assert_eq!(backoff.wait("ben", now), None);
        assert_eq!(backoff.wait("anna", now + Duration::from_secs(9)), None);
        backoff.succeeded("anna");
        backoff.failed("anna", now);
        assert_eq!(backoff.wait("anna", now), None);
        (0..100).for_each(|_| backoff.failed("anna", now));
        assert_eq!(backoff.wait("anna", now), Some(BACKOFF_MAX));
    }

    #[test]
    fn a_flood_of_names_is_bounded_and_forgets_the_oldest() {
        let (mut backoff, now) = (Backoff::default(), clock::moment());
        (0..20).for_each(|_| backoff.failed("first", now));
        for number in 0..BACKOFFS_MAX {
            backoff.failed(&number.to_string(), now + Duration::from_secs(1));
        }
        assert_eq!(backoff.failures.len(), BACKOFFS_MAX);
        assert_eq!(backoff.wait("first", now), None);
    }
}
