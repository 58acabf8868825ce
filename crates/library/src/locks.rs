//! The locks of one library that hold. Invariant: one lock of each path and holder, bounded in all and for each holder. A lock ends by the
//! clock of this node: at its end as the holder wrote it, or earlier if the holder's clock is ahead.

use std::collections::BTreeMap;

use swarm_core::base::NodeId;
use swarm_sync::TreePath;

use crate::SignedLock;
use crate::limits::{LOCK_TIME_MAX_MS, LOCKS_MAX, LOCKS_PER_HOLDER_MAX};

/// All locks of one library.
#[derive(Clone, Debug, Default)]
pub struct Locks(BTreeMap<(TreePath, NodeId), Known>);

/// What became of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockTaken {
    /// It holds, and is to be passed on.
    Holds,
    /// It ends the holder's lock, and is to be passed on.
    Ends,
    /// It is no later than what was known.
    Known,
    /// Its time is over.
    Expired,
    /// There are too many.
    TooMany,
}

#[derive(Clone, Debug)]
struct Known {
    lock: SignedLock,
    /// Until when it holds, by the clock of this node. The end of a lock is remembered as long as a lock may hold, so that the lock it ended
    /// does not come back from a peer.
    until_ms: u64,
}

impl Known {
    /// A lock of a holder whose clock is ahead is remembered until it ended by that clock too: a peer that still has it would bring it back.
    fn is_over(&self, now_ms: u64) -> bool {
        let body = self.lock.lock();
        now_ms >= self.until_ms.max(body.made_at_ms.saturating_add(body.holds_ms))
    }
}

impl Locks {
    /// Takes a lock of a holder whose locks count.
    pub fn take(&mut self, lock: SignedLock, now_ms: u64) -> LockTaken {
        self.forget(now_ms);
        let body = lock.lock();
        let key = (body.path.clone(), body.holder);
        let is_end = body.holds_ms == 0;
        let until_ms = until(&lock, now_ms);
        if until_ms <= now_ms {
            return LockTaken::Expired;
        }
        match self.0.get(&key) {
            Some(known) if !is_after(&lock, &known.lock) => return LockTaken::Known,
            None if self.is_full_for(&key.1) => return LockTaken::TooMany,
            Some(_) | None => {}
        }
        self.0.insert(key, Known { lock, until_ms });
        if is_end { LockTaken::Ends } else { LockTaken::Holds }
    }

    /// The locks that hold at `now_ms`, by path.
    pub fn holding(&self, now_ms: u64) -> impl Iterator<Item = &SignedLock> {
        let holds = move |known: &&Known| known.until_ms > now_ms && known.lock.lock().holds_ms > 0;
        self.0.values().filter(holds).map(|known| &known.lock)
    }

    /// The locks of others than `of` that somebody has to see who is about to change a path: of it, of a folder above it, or of what stands below.
    pub fn of<'a>(
        &'a self,
        path: &'a TreePath,
        of: &'a NodeId,
        now_ms: u64,
    ) -> impl Iterator<Item = &'a SignedLock> {
        self.holding(now_ms).filter(move |signed| {
            let lock = signed.lock();
            let meets = path.is_at_or_below(&lock.path) || lock.path.is_below(path);
            meets && lock.holder != *of
        })
    }

    /// All that is to be told to a peer that links: locks, and ends of locks.
    pub fn all(&self) -> impl Iterator<Item = &SignedLock> {
        self.0.values().map(|known| &known.lock)
    }

    /// Drops locks whose time is over.
    pub fn forget(&mut self, now_ms: u64) {
        self.0.retain(|_, known| !known.is_over(now_ms));
    }

    fn is_full_for(&self, holder: &NodeId) -> bool {
        let of_holder = self.0.keys().filter(|(_, one)| one == holder).count();
        self.0.len() >= LOCKS_MAX || of_holder >= LOCKS_PER_HOLDER_MAX
    }
}

fn until(lock: &SignedLock, now_ms: u64) -> u64 {
    let body = lock.lock();
    let len_ms = if body.holds_ms == 0 { LOCK_TIME_MAX_MS } else { body.holds_ms };
    body.made_at_ms.min(now_ms).saturating_add(len_ms)
}

/// Of two with one time the end stands, then the one that holds longer.
fn is_after(lock: &SignedLock, known: &SignedLock) -> bool {
    let key = |signed: &SignedLock| {
        let lock = signed.lock();
        (lock.made_at_ms, lock.holds_ms == 0, lock.holds_ms)
    };
    key(lock) > key(known)
}

#[cfg(test)]
mod tests {
    use swarm_core::manifest::SigningKey;

    use super::*;
    use crate::{Guid, Lock};

    fn key(holder: char) -> SigningKey {
        SigningKey::from_seed(&[holder as u8; 32])
    }

    fn lock(holder: char, path: &str, made_at_ms: u64, holds_ms: u64) -> SignedLock {
        let library = Guid::new("a").expect("a GUID").key();
        let path = TreePath::new(path).expect("a path");
        let holder = key(holder);
        let why = String::new();
        SignedLock::sign(&holder, Lock { library, holder: holder.public(), path, holds_ms, made_at_ms, why })
    }

    /// Paths of the locks that somebody sees before it changes a path.
    fn seen(locks: &Locks, path: &str, by: char, now_ms: u64) -> String {
        let path = TreePath::new(path).expect("a path");
        let by = key(by).public();
        let paths: Vec<&str> =
            locks.of(&path, &by, now_ms).map(|signed| signed.lock().path.as_str()).collect();
        paths.join(" ")
    }

    #[test]
    fn a_lock_is_shown_to_others_until_it_ends() {
        let mut locks = Locks::default();
        assert_eq!(locks.take(lock('a', "films/one", 100, 50), 100), LockTaken::Holds);
        for (path, expected) in [
            ("films/one", "films/one"),
            ("films/one/x", "films/one"),
            ("films", "films/one"),
            ("films/on", ""),
        ] {
            assert_eq!(seen(&locks, path, 'b', 149), expected, "{path}");
        }
        assert_eq!(seen(&locks, "films/one", 'a', 149), "");
        assert_eq!(seen(&locks, "films/one", 'b', 150), "");
        locks.forget(150);
        assert_eq!(locks.all().count(), 0);
    }

    #[test]
    fn an_ended_lock_does_not_come_back() {
        let (begin, end) = (lock('a', "x", 100, 50), lock('a', "x", 110, 0));
        for order in [[&begin, &end, &begin], [&end, &begin, &begin]] {
            let mut locks = Locks::default();
            for lock in order {
                let _ = locks.take(lock.clone(), 120);
            }
            assert_eq!(seen(&locks, "x", 'b', 120), "");
        }
        let mut locks = Locks::default();
        assert_eq!(locks.take(begin.clone(), 120), LockTaken::Holds);
        assert_eq!(locks.take(begin.clone(), 120), LockTaken::Known);
        assert_eq!(locks.take(end, 120), LockTaken::Ends);
        assert_eq!(locks.take(begin, 120), LockTaken::Known);
        assert_eq!(locks.take(lock('a', "x", 130, 5), 131), LockTaken::Holds);
    }

    #[test]
    fn the_clock_of_a_holder_does_not_lengthen_its_lock() {
        let mut locks = Locks::default();
        assert_eq!(locks.take(lock('a', "x", 1_000_000, 50), 100), LockTaken::Holds);
        assert_eq!(seen(&locks, "x", 'b', 149), "x");
        assert_eq!(seen(&locks, "x", 'b', 150), "");
        assert_eq!(locks.take(lock('a', "x", 1_000_000, 50), 160), LockTaken::Known);
        assert_eq!(seen(&locks, "x", 'b', 160), "");
        assert_eq!(locks.take(lock('a', "y", 10, 50), 100), LockTaken::Expired);
    }

    #[test]
    fn one_holder_does_not_take_all() {
        let mut locks = Locks::default();
        let mut holds = |holder| {
            let take = |n: usize| locks.take(lock(holder, &n.to_string(), 100, 50), 100);
            (0..=LOCKS_PER_HOLDER_MAX).map(take).filter(|taken| *taken == LockTaken::Holds).count()
        };
        for holder in ['a', 'b', 'c', 'd'] {
            assert_eq!(holds(holder), LOCKS_PER_HOLDER_MAX);
        }
        assert_eq!(holds('e'), 0);
        assert_eq!(locks.take(lock('e', "x", 200, 50), 200), LockTaken::Holds);
    }
}
