//! Places for what goes on at once, of which each one who asks has a share. Invariant: there are never more taken than there are, and nobody has more than
//! the share, so that one account leaves places to others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The places.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    share: usize,
    /// How many each one has.
    taken: Mutex<BTreeMap<String, usize>>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    places: Places,
    whose: String,
}

impl Places {
    /// So many, and so many of each one who asks.
    pub(crate) fn of(most: usize, share: usize) -> Self {
        Self(Arc::new(Inner { most, share, taken: Mutex::default() }))
    }

    /// A place, if one is free.
    pub(crate) fn take(&self, whose: &str) -> Option<Seat> {
        let mut taken = self.lock();
        let own = taken.get(whose).copied().unwrap_or(0);
        if own >= self.0.share || taken.values().sum::<usize>() >= self.0.most {
            return None;
        }
        taken.insert(whose.to_owned(), own + 1);
        Some(Seat { places: self.clone(), whose: whose.to_owned() })
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.lock().values().sum()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        let left = taken.get(&self.whose).map_or(0, |own| own.saturating_sub(1));
        if left == 0 {
            taken.remove(&self.whose);
        } else {
            taken.insert(self.whose.clone(), left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_one_has_a_share_and_all_have_no_more_than_there_are() {
        let places = Places::of(5, 2);
        let take = |whose: &str| places.take(whose);
        let of_anna = [take("anna"), take("anna")];
        assert!(of_anna.iter().all(Option::is_some) && take("anna").is_none());
        let others = [take("ben"), take("cleo"), take("dora")];
        assert_eq!((others.iter().flatten().count(), take("emil").is_none(), places.taken()), (3, true, 5));
        drop(of_anna);
        assert!(take("ben").is_some() && take("emil").is_some());
        drop(others);
        assert!(places.lock().is_empty());
    }
}
