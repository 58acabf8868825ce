//! When to look at what hints name: once they rest, or when they do not rest for long. Pure: time is an argument.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use swarm_sync::TreePath;

/// Places at which something may have changed, until it is time to look.
#[derive(Debug, Default)]
pub struct Settling {
    /// When the first and the last hint came.
    times: Option<(Instant, Instant)>,
    places: BTreeSet<TreePath>,
    is_everything: bool,
}

/// Where to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// At the whole tree.
    Everything,
    /// At these places and below; none of them is below another.
    Places(Vec<TreePath>),
}

impl Settling {
    /// A hint came.
    pub fn note(&mut self, now: Instant, scope: Scope) {
        let first = self.times.map_or(now, |(first, _)| first);
        self.times = Some((first, now));
        match scope {
            Scope::Everything => self.is_everything = true,
            Scope::Places(places) => self.places.extend(places),
        }
        if self.is_everything || self.places.len() > PLACES_MAX {
            self.is_everything = true;
            self.places.clear();
        }
    }

    /// When it is time to look; `None` if nothing is known to have changed.
    pub fn due(&self) -> Option<Instant> {
        self.times.map(|(first, last)| (last + QUIET).min(first + RESTLESS_MAX))
    }

    /// Where to look, if it is time.
    pub fn take(&mut self, now: Instant) -> Option<Scope> {
        if self.due()? > now {
            return None;
        }
        let Self { places, is_everything, .. } = std::mem::take(self);
        Some(if is_everything { Scope::Everything } else { Scope::Places(topmost(places)) })
    }
}

/// A folder stands directly before what is below it.
fn topmost(places: BTreeSet<TreePath>) -> Vec<TreePath> {
    let mut top: Vec<TreePath> = Vec::new();
    for place in places {
        if top.last().is_none_or(|above| !place.is_below(above)) {
            top.push(place);
        }
    }
    top
}

/// An editor that saves, or a program that unpacks, is quiet for so long when it is done.
const QUIET: Duration = Duration::from_millis(50);
/// A file that is written without a pause is looked at this often nevertheless.
const RESTLESS_MAX: Duration = Duration::from_secs(2);
/// More places than this are not scanned one by one.
const PLACES_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn places(names: &[&str]) -> Scope {
        Scope::Places(names.iter().map(|name| TreePath::new(*name).unwrap()).collect())
    }

    /// Hints at these milliseconds; the time at which it is looked, in milliseconds.
    fn check(hints_ms: &[u64], due_ms: u64) {
        #[expect(
            clippy::disallowed_methods,
            reason = "the origin of a time line; nothing depends on its value"
        )]
        let start = Instant::now();
        let mut settling = Settling::default();
        assert_eq!((settling.due(), settling.take(start)), (None, None));
        for at in hints_ms {
            settling.note(start + Duration::from_millis(*at), places(&["a"]));
        }
        let due = start + Duration::from_millis(due_ms);
        assert_eq!(settling.due(), Some(due));
        assert_eq!(settling.take(start + Duration::from_millis(due_ms - 1)), None);
        assert_eq!(settling.take(due), Some(places(&["a"])));
        assert_eq!(settling.due(), None, "it was taken");
    }

    #[test]
    fn it_is_looked_after_a_rest_or_after_two_seconds() {
        check(&[0], 50);
        check(&[0, 40, 80], 130);
        let restless: Vec<u64> = (0..100).map(|step| step * 30).collect();
        check(&restless, 2000);
    }

    #[test]
    fn places_below_others_and_too_many_places_are_joined() {
        #[expect(
            clippy::disallowed_methods,
            reason = "the origin of a time line; nothing depends on its value"
        )]
        let now = Instant::now();
        let taken = |scopes: Vec<Scope>| {
            let mut settling = Settling::default();
            scopes.into_iter().for_each(|scope| settling.note(now, scope));
            settling.take(now + QUIET)
        };
        let hints = vec![places(&["a/b", "a!"]), places(&["a", "a/b/c", "d/e"])];
        assert_eq!(taken(hints), Some(places(&["a", "a!", "d/e"])));
        assert_eq!(taken(vec![places(&["a"]), Scope::Everything, places(&["b"])]), Some(Scope::Everything));
        let many: Vec<String> = (0..1001).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(taken(vec![places(&many)]), Some(Scope::Everything));
    }
}
