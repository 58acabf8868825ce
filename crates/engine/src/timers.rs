//! Deadlines. Invariant: a timer stands at most once; both indexes agree.

use std::collections::{BTreeMap, BTreeSet};

use swarm_core::base::{ContentId, Instant};

use super::io::LinkId;

/// What is to happen at a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Tell peers of newly verified chunks.
    Haves(ContentId),
    /// Make verified chunks durable.
    Flush(ContentId),
    /// See whether the peer still sends.
    Stall(LinkId),
    /// See whether an idle peer can be given a request of a slow one.
    Reassign,
    /// Ask for more of what may not be fetched faster.
    Share,
    /// See whether the manifest still comes.
    Manifest(ContentId),
    /// See whether the fetch still moves.
    Patience(ContentId),
    /// No more sources are to be found: see whether any is left.
    Search(ContentId),
    /// Dial nodes that are due.
    Dial,
    /// See whether more neighbours would bring more.
    Widen(ContentId),
    /// Tell peers of each other.
    Exchange(ContentId),
    /// See whether there are neighbours enough.
    Neighbours(ContentId),
    /// See how many peers fill the uplink.
    Slots,
    /// Give other peers an upload slot.
    Rotate,
    /// Read again what could not be read.
    Reread(ContentId),
    /// See which peers want nothing of what super-seeding revealed to them.
    Reveals(ContentId),
}

/// All deadlines of one engine.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_time: BTreeSet<(Instant, Timer)>,
    by_timer: BTreeMap<Timer, Instant>,
}

impl Timers {
    /// Sets a timer, wherever it stood before.
    pub(super) fn set(&mut self, timer: Timer, at: Instant) {
        self.cancel(timer);
        self.by_timer.insert(timer, at);
        self.by_time.insert((at, timer));
    }

    /// Sets a timer unless it stands.
    pub(super) fn set_if_unset(&mut self, timer: Timer, at: Instant) {
        if !self.by_timer.contains_key(&timer) {
            self.set(timer, at);
        }
    }

    /// When a timer is due, if it stands.
    pub(super) fn at(&self, timer: Timer) -> Option<Instant> {
        self.by_timer.get(&timer).copied()
    }

    /// Takes a timer away.
    pub(super) fn cancel(&mut self, timer: Timer) {
        if let Some(at) = self.by_timer.remove(&timer) {
            self.by_time.remove(&(at, timer));
        }
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<(Instant, Timer)> {
        self.by_time.first().copied()
    }

    /// Takes the earliest timer that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let (at, timer) = self.next()?;
        if at > now {
            return None;
        }
        self.cancel(timer);
        Some(timer)
    }
}
