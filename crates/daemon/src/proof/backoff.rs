//! How long somebody waits after wrong passwords. Invariant: a name and a place, each place, and each name have waits of their own, so that neither many
//! names from one place nor many places for one name are tried fast. Nobody locks a user out: a place that proved a name waits for what it does wrong
//! itself under that name, and the wait of a name alone is short. A right password ends the wait of its name at its place, and none else: who has one
//! account gains no further guesses at others. What is remembered is bounded, and a flood of one kind forgets what failed least of that kind.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::limits::{
    BACKOFF_MAX, BACKOFFS_MAX, FREE_FAILURES, NAME_BACKOFF_MAX, NAMES_PROVEN_MAX, PLACE_PROVEN_AGE,
    PLACES_PROVEN_MAX,
};

/// The waits there are.
#[derive(Debug)]
pub(super) struct Waits {
    pairs: Backoff,
    places: Backoff,
    names: Backoff,
    /// The places where a name was proven, and when last.
    proven: BTreeMap<String, BTreeMap<String, Instant>>,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            pairs: Backoff::of(BACKOFF_MAX),
            places: Backoff::of(BACKOFF_MAX),
            names: Backoff::of(NAME_BACKOFF_MAX),
            proven: BTreeMap::new(),
        }
    }
}

impl Waits {
    /// How long until a try is heard, for a name at a place.
    pub(super) fn wait(&self, name: &str, place: &str, now: Instant) -> Option<Duration> {
        let of_pair = self.pairs.wait(&pair(name, place), now);
        if self.is_proven(name, place, now) {
            return of_pair;
        }
        let others = [self.places.wait(place, now), self.names.wait(name, now)];
        others.into_iter().flatten().chain(of_pair).max()
    }

    /// A wrong password.
    pub(super) fn failed(&mut self, name: &str, place: &str, now: Instant) {
        self.pairs.failed(&pair(name, place), now);
        if !self.is_proven(name, place, now) {
            self.places.failed(place, now);
            self.names.failed(name, now);
        }
    }

    /// A right one.
    pub(super) fn succeeded(&mut self, name: &str, place: &str, now: Instant) {
        self.pairs.failures.remove(&pair(name, place));
        if !self.proven.contains_key(name) && self.proven.len() >= NAMES_PROVEN_MAX {
            return;
        }
        let places = self.proven.entry(name.to_owned()).or_default();
        places.insert(place.to_owned(), now);
        if places.len() > PLACES_PROVEN_MAX {
            let oldest = places.iter().min_by_key(|(_, at)| **at).map(|(place, _)| place.clone());
            oldest.map(|oldest| places.remove(&oldest));
        }
    }

    fn is_proven(&self, name: &str, place: &str, now: Instant) -> bool {
        let at = self.proven.get(name).and_then(|places| places.get(place));
        at.is_some_and(|at| now.duration_since(*at) < PLACE_PROVEN_AGE)
    }
}

/// The length keeps apart what a name may hold.
fn pair(name: &str, place: &str) -> String {
    format!("{} {place} {name}", place.len())
}

/// Waits of one kind: what failed, and when.
#[derive(Debug)]
struct Backoff {
    failures: BTreeMap<String, Failures>,
    /// No wait is longer, and what failed so long ago is forgotten.
    longest: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last_at: Instant,
}

impl Backoff {
    fn of(longest: Duration) -> Self {
        Self { failures: BTreeMap::new(), longest }
    }

    fn wait(&self, who: &str, now: Instant) -> Option<Duration> {
        let failures = self.failures.get(who)?;
        let until = failures.last_at + self.wait_after(failures.count)?;
        until.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }

    fn failed(&mut self, who: &str, now: Instant) {
        // As long as the longest wait of all: a name that is tried once a minute goes on to wait.
        self.failures.retain(|_, known| now.duration_since(known.last_at) < BACKOFF_MAX);
        if self.failures.len() >= BACKOFFS_MAX && !self.failures.contains_key(who) {
            // Who makes up thousands of names does not make a name that is being guessed at free again.
            let least = self.failures.iter().min_by_key(|(_, known)| (known.count, known.last_at));
            if let Some(least) = least.map(|(who, _)| who.clone()) {
                self.failures.remove(&least);
            }
        }
        let known = self.failures.entry(who.to_owned()).or_insert(Failures { count: 0, last_at: now });
        (known.count, known.last_at) = (known.count.saturating_add(1), now);
    }

    /// One second after the first failure that costs, twice as long after each further one.
    fn wait_after(&self, count: u32) -> Option<Duration> {
        let further = count.checked_sub(FREE_FAILURES)?;
        Some(Duration::from_secs(1 << further.min(20)).min(self.longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_few_failures_are_free_and_further_ones_cost_twice_as_long_each() {
        let (mut waits, now) = (Waits::default(), clock::moment());
        let mut seen = Vec::new();
        let wait =
            |waits: &Waits, name: &str, at| waits.wait(name, "here", at).map_or(0, |wait| wait.as_secs());
        for _ in 0..FREE_FAILURES + 3 {
            waits.failed("anna", "here", now);
            seen.push(wait(&waits, "anna", now));
        }
        assert_eq!(seen, [0, 0, 0, 0, 1, 2, 4, 8]);
        // Under another name, too.
        assert_eq!(wait(&waits, "ben", now), 8);
        assert_eq!(wait(&waits, "anna", now + Duration::from_secs(9)), 0);
        (0..100).for_each(|_| waits.failed("anna", "here", now));
        assert_eq!(wait(&waits, "anna", now), BACKOFF_MAX.as_secs());
    }

    #[test]
    fn nobody_elsewhere_locks_a_user_out() {
        let (mut waits, now) = (Waits::default(), clock::moment());
        waits.succeeded("anna", "home", now);
        for place in 0..100 {
            (0..100).for_each(|_| waits.failed("anna", &format!("place {place}"), now));
        }
        assert_eq!(waits.wait("anna", "home", now), None);
        // At a new place a short wait, whatever was guessed.
        assert_eq!(waits.wait("anna", "hotel", now), Some(NAME_BACKOFF_MAX));
        // What is wrong there counts there.
        (0..FREE_FAILURES).for_each(|_| waits.failed("anna", "home", now));
        assert_eq!(waits.wait("anna", "home", now), Some(Duration::from_secs(1)));
        assert_eq!(waits.wait("ben", "home", now), None);
    }

    #[test]
    fn a_right_password_of_one_user_buys_no_guesses_at_others() {
        let (mut waits, now) = (Waits::default(), clock::moment());
        let mut guesses = 0;
        for number in 0..1000 {
            waits.succeeded("mallory", "here", now);
            if waits.wait(&format!("user {number}"), "here", now).is_none() {
                waits.failed(&format!("user {number}"), "here", now);
                guesses += 1;
            }
        }
        assert_eq!(guesses, FREE_FAILURES);
        assert_eq!(waits.wait("mallory", "here", now), None);
    }

    #[test]
    fn a_flood_is_bounded_and_forgets_what_failed_least_of_its_kind() {
        let (mut waits, now) = (Waits::default(), clock::moment());
        (0..20).for_each(|_| waits.failed("first", "here", now));
        for number in 0..BACKOFFS_MAX {
            waits.failed(&format!("name {number}"), "there", now + Duration::from_millis(number as u64));
        }
        let lens = [&waits.names, &waits.pairs, &waits.places].map(|kind| kind.failures.len());
        assert_eq!(lens, [BACKOFFS_MAX, BACKOFFS_MAX, 2]);
        assert!(
            waits.wait("first", "elsewhere", now).is_some() && waits.wait("second", "here", now).is_some()
        );
        assert!(!waits.names.failures.contains_key("name 0"));
        for number in 0..NAMES_PROVEN_MAX + 10 {
            let name = format!("name {number}");
            waits.succeeded(&name, "here", now);
        }
        for number in 0..PLACES_PROVEN_MAX as u64 + 10 {
            waits.succeeded("name 0", &format!("place {number}"), now + Duration::from_secs(number));
        }
        assert_eq!((waits.proven.len(), waits.proven["name 0"].len()), (NAMES_PROVEN_MAX, PLACES_PROVEN_MAX));
    }
}
