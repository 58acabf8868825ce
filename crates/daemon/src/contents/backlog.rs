//! Files that were fetched and stand at no place yet. Invariant: while a library is behind with them and goes on, no further fetch of it begins:
//! what a store holds of each such file is memory, and the disk may be slower than the network. One that does not go on is no reason to wait: what
//! came may be wanted no more. Absent here: how files come to their places (the library's worker).

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use swarm_files::GatheredStore;
use swarm_library::LibraryKey;

use crate::limits::FILES_FETCHED_MAX;

/// The stores of fetches, for as long as somebody needs them, and since when each library has had as many files of them.
#[derive(Default)]
pub(super) struct Backlog {
    stores: Vec<(LibraryKey, Weak<GatheredStore>)>,
    since: BTreeMap<LibraryKey, (usize, Instant)>,
}

impl Backlog {
    /// A store was opened.
    pub(super) fn add(&mut self, library: LibraryKey, store: &Arc<GatheredStore>) {
        self.stores.retain(|(_, store)| store.strong_count() > 0);
        self.stores.push((library, Arc::downgrade(store)));
    }

    /// Whether a library has so many files that further ones would only wait, too.
    pub(super) fn is_full(&mut self, library: LibraryKey, now: Instant) -> bool {
        let of_it = self.stores.iter().filter(|(known, _)| *known == library);
        let waiting = of_it.filter_map(|(_, store)| Some(store.upgrade()?.waiting_count())).sum();
        self.is_full_with(library, waiting, now)
    }

    fn is_full_with(&mut self, library: LibraryKey, waiting: usize, now: Instant) -> bool {
        if waiting < FILES_FETCHED_MAX {
            self.since.remove(&library);
            return false;
        }
        let (count, since) = self.since.entry(library).or_insert((waiting, now));
        if *count != waiting {
            (*count, *since) = (waiting, now);
        }
        now.duration_since(*since) < STANDSTILL
    }
}

/// As many files for so long are not being taken to their places: one pass over many takes less.
const STANDSTILL: Duration = Duration::from_mins(2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_library_waits_while_it_is_behind_and_goes_on() {
        let library = |number| LibraryKey::from_slice(&[number; 32]).expect("32 bytes");
        let (mut backlog, now) = (Backlog::default(), clock::moment());
        let mut is_full = |waiting, after: Duration| backlog.is_full_with(library(1), waiting, now + after);
        assert!(!is_full(FILES_FETCHED_MAX - 1, Duration::ZERO));
        assert!(is_full(FILES_FETCHED_MAX + 1, Duration::ZERO));
        assert!(is_full(FILES_FETCHED_MAX, STANDSTILL), "one was taken");
        assert!(is_full(FILES_FETCHED_MAX, STANDSTILL + STANDSTILL / 2));
        assert!(!is_full(FILES_FETCHED_MAX, 2 * STANDSTILL), "none was taken for long");
        assert!(!is_full(0, 2 * STANDSTILL));
        assert!(is_full(FILES_FETCHED_MAX, 3 * STANDSTILL), "it was behind before, and is again");
        assert!(!backlog.is_full(library(2), now), "another one has nothing to wait for");
    }
}
