//! Neighbours by hearsay: which of the nodes that peers told of this node dials, and how many neighbours it wants. A node that has
//! enough dials none of them.

use std::time::Duration;

use swarm_core::base::limits::NEIGHBOURS_TARGET;
use swarm_core::base::{Bitfield, ContentId, Instant, Rate};

use super::content::Content;
use super::dialing::{Dialing, Sights};
use super::io::{Event, Output};
use super::timers::Timer;
use super::turn::Turn;

impl Dialing {
    /// Something changed: a node that has half of its neighbours waits a moment, for those that it is told of by others than
    /// peers, and those that dial it.
    pub(super) fn dial_hearsay(&mut self, turn: &mut Turn, sights: &mut Sights<'_>, content: ContentId) {
        if self.neighbours(sights, content) * 2 < NEIGHBOURS_TARGET as usize
            && turn.timers.at(Timer::Neighbours(content)).is_none()
        {
            self.look_for_neighbours(turn, sights, content);
        } else if self.hearsay.has(content) {
            turn.timers.set_if_unset(Timer::Neighbours(content), turn.now + LOOK_INTERVAL);
        }
    }

    /// Dials half of what is lacking: those that are told of this node dial it meanwhile. If all took all they want at once,
    /// some would end with twice as many neighbours as others.
    pub(super) fn look_for_neighbours(
        &mut self,
        turn: &mut Turn,
        sights: &mut Sights<'_>,
        content: ContentId,
    ) {
        let wants = sights.contents.get(&content).is_some_and(Content::wants_peers);
        if !wants || sights.is_stopping {
            return;
        }
        let lacking = self
            .neighbours_wanted(turn.now, sights, content)
            .saturating_sub(self.neighbours(sights, content));
        let mut wanted = lacking.div_ceil(2);
        while wanted > 0
            && let Some((node, heard)) = self.hearsay.take(turn.now, content, &mut turn.rng)
        {
            if !self.peers.begin_trial(node, content, &heard.addresses) {
                continue;
            }
            wanted -= 1;
            self.hearsay.on_dialed(turn.now, heard.informer);
            turn.emit(Event::PeerFound { node, by: heard.informer });
            turn.order(Output::Dial { node, addresses: heard.addresses });
        }
        if self.hearsay.has(content) {
            turn.timers.set(Timer::Neighbours(content), turn.now + LOOK_INTERVAL);
        }
    }

    /// As many as every node has; more for a node whose neighbours happen to have little to give, and which falls behind them.
    fn neighbours_wanted(&self, now: Instant, sights: &mut Sights<'_>, content: ContentId) -> usize {
        let is_behind = sights.is_behind(now, content);
        let has_all = self.neighbours(sights, content) >= NEIGHBOURS_TARGET as usize;
        let Some(state) = sights.contents.get_mut(&content) else { return 0 };
        let reach = &mut state.reach;
        if is_behind && has_all && reach.extra < EXTRA_MAX && now >= reach.extra_at + EXTRA_INTERVAL {
            reach.extra += 1;
            reach.extra_at = now;
        }
        NEIGHBOURS_TARGET as usize + reach.extra
    }
}

impl Sights<'_> {
    /// The others that fetch have more than this node gets in a while.
    fn is_behind(&self, now: Instant, content: ContentId) -> bool {
        let Some(chunks) = self.transfer.downloads.chunks(content) else { return false };
        let rate = self.transfer.rate_of(now, self.sessions.keys().copied());
        let others = self.transfer.downloads.holders(content).map(|(_, has)| has);
        let mut have_counts: Vec<u32> = others.filter(|has| !has.is_full()).map(Bitfield::count).collect();
        have_counts.sort_unstable();
        // The median: a lone seed shows next to nothing, and newcomers have little.
        let usual_count = have_counts.get(have_counts.len() / 2).copied().unwrap_or(0);
        let behind_count = u64::from(usual_count.saturating_sub(chunks.have().count()));
        let behind_len = behind_count * u64::from(chunks.geometry().chunk_len_max());
        have_counts.len() >= FETCHING_MIN && rate > 0 && Rate(rate).time_for(behind_len) > BEHIND_TIME
    }
}

/// How often a node that lacks neighbours looks again.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A node whose ten neighbours had half of the mean uplink (one of 200 whose uplinks are spread ten-fold) got 7.8 MB/s where
/// the others got 9.5, and was done 7 % after them all.
const BEHIND_TIME: Duration = Duration::from_secs(3);
const EXTRA_MAX: usize = NEIGHBOURS_TARGET as usize / 2;
/// Time for one more to show what it brings.
const EXTRA_INTERVAL: Duration = Duration::from_secs(4);
/// Fewer say nothing of how fast the rest is.
const FETCHING_MIN: usize = 4;
