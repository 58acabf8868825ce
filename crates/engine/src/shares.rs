//! Shares: contents that are fetched no faster together than a rate, and that hold no other contents up. Each has its own part of a pipeline and
//! of the uploads of a link: what waits for a slow share is not in the way of the rest. Invariant: over any time a share is asked for no more
//! than its rate allows, but for one run. Absent: what is sent, which the node slows down byte by byte.

use std::collections::BTreeMap;
use std::time::Duration;

use swarm_core::base::{ContentId, Instant, Rate};

/// Names a share. Contents that were put in none are in the default one, which has no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShareId(pub u64);

#[derive(Debug, Default)]
pub(super) struct Shares {
    of: BTreeMap<ContentId, ShareId>,
    paces: BTreeMap<ShareId, Pace>,
}

/// A token bucket, as the time at which what was asked for is paid (GCRA).
#[derive(Clone, Copy, Debug)]
struct Pace {
    rate: Rate,
    paid_at: Instant,
}

impl Shares {
    pub(super) fn put(&mut self, content: ContentId, share: ShareId) {
        self.of.insert(content, share);
    }

    /// Fetches the contents of a share no faster than this; `None` is no limit, zero a pause. What was asked for before counts.
    pub(super) fn limit(&mut self, now: Instant, share: ShareId, rate: Option<Rate>) {
        match (rate, self.paces.get_mut(&share)) {
            (Some(rate @ Rate(0)), _) => drop(self.paces.insert(share, Pace { rate, paid_at: now + PAUSE })),
            (None, _) => drop(self.paces.remove(&share)),
            (Some(rate), Some(pace)) => {
                let owed_len = pace.rate.len_in(pace.paid_at.since(now));
                *pace = Pace { rate, paid_at: now + rate.time_for(owed_len) };
            }
            (Some(rate), None) => drop(self.paces.insert(share, Pace { rate, paid_at: now })),
        }
    }

    pub(super) fn forget(&mut self, content: ContentId) {
        self.of.remove(&content);
    }

    pub(super) fn of(&self, content: ContentId) -> ShareId {
        self.of.get(&content).copied().unwrap_or_default()
    }

    /// When more of a content may be asked for, if that is not now.
    pub(super) fn waits_until(&self, now: Instant, content: ContentId) -> Option<Instant> {
        self.pace(content).map(|pace| pace.paid_at).filter(|at| *at > now)
    }

    /// The longest run of a content to ask for at once, so that the flow is even.
    pub(super) fn run_len_max(&self, content: ContentId) -> u64 {
        self.pace(content).map_or(u64::MAX, |pace| pace.rate.len_in(RUN_TIME))
    }

    pub(super) fn on_asked(&mut self, now: Instant, content: ContentId, len: u64) {
        if let Some(pace) = self.paces.get_mut(&self.of(content)) {
            // A share that had nothing to ask for does not save that up, but for what a late wake-up takes.
            let earliest = Instant::from_nanos(now.as_nanos().saturating_sub(SAVED_TIME.as_nanos() as u64));
            pace.paid_at = pace.paid_at.max(earliest) + pace.rate.time_for(len);
        }
    }

    /// So much of what was asked for does not come.
    pub(super) fn on_not_come(&mut self, content: ContentId, len: u64) {
        if let Some(pace) = self.paces.get_mut(&self.of(content)) {
            let paid_nanos = pace.rate.time_for(len).as_nanos() as u64;
            pace.paid_at = Instant::from_nanos(pace.paid_at.as_nanos().saturating_sub(paid_nanos));
        }
    }

    fn pace(&self, content: ContentId) -> Option<&Pace> {
        self.paces.get(&self.of(content))
    }
}

/// A run takes no longer than this at the rate of its share, unless it is one chunk.
const RUN_TIME: Duration = Duration::from_millis(500);
/// Until another limit is told: what was asked for and does not come takes an hour of it each.
const PAUSE: Duration = Duration::from_secs(50 * 365 * 24 * 3600);
const SAVED_TIME: Duration = Duration::from_millis(50);
