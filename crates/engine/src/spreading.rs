//! Who passes on what a lone seed gave it. What goes to a peer that never does (it lies, or its uplink is thin) is lost to the
//! crowd and must be sent again, so it waits until the others have everything. Invariant: no peer is held back unless
//! [`SPREADERS_MIN`] others pass on what they get. Knows no messages, and not what is offered.

use std::collections::BTreeMap;

use swarm_core::base::Instant;
use swarm_core::base::limits::RUN_LEN_TARGET;
use swarm_core::manifest::Geometry;

use super::io::LinkId;
use super::rate::TimeEstimate;

/// What became of the chunks that were given to each peer first.
#[derive(Debug)]
pub(super) struct Spreading {
    /// Chunks that go out together: one, or a mebibyte of short ones.
    unit_count: u32,
    /// Chunks that one peer alone got from here, and when.
    alone: BTreeMap<u32, (LinkId, Instant)>,
    peers: BTreeMap<LinkId, Record>,
    /// From the first taker to a second peer.
    usual_time: TimeEstimate,
    /// Peers that are served and pass on what they get.
    spreader_count: usize,
    /// Chunks that went to others since one went to a peer that is held back.
    given_since: u32,
}

#[derive(Debug, Default)]
struct Record {
    /// Chunks that no other peer has got from it yet.
    alone_count: u32,
    spread_count: u32,
    /// Chunks that had to be given to another, less those that went on since.
    debt_count: u32,
    is_late: bool,
    /// When it was given something the last time.
    given_at: Instant,
}

impl Spreading {
    /// Nothing was given yet.
    pub(super) fn new(geometry: &Geometry) -> Self {
        Self {
            unit_count: (u64::from(RUN_LEN_TARGET) / geometry.chunk_len_mean()).max(1) as u32,
            alone: BTreeMap::new(),
            peers: BTreeMap::new(),
            usual_time: TimeEstimate::default(),
            spreader_count: 0,
            given_since: 0,
        }
    }

    /// A chunk went to a peer, and no other had it.
    pub(super) fn on_given(&mut self, now: Instant, link: LinkId, chunk: u32) {
        if self.holds_back(link, 0) {
            self.given_since = 0;
        } else {
            self.given_since += 1;
        }
        self.alone.insert(chunk, (link, now));
        let record = self.peers.entry(link).or_default();
        record.alone_count += 1;
        record.given_at = now;
    }

    /// Another peer has got a chunk from its first taker.
    pub(super) fn on_spread(&mut self, now: Instant, chunk: u32) {
        let Some((link, given_at)) = self.alone.remove(&chunk) else { return };
        self.usual_time.on_sample(now.since(given_at));
        if let Some(record) = self.peers.get_mut(&link) {
            record.alone_count -= 1;
            record.spread_count += 1;
            record.debt_count = record.debt_count.saturating_sub(1);
        }
    }

    /// A chunk was given to another peer as well. If its first taker had the time to pass it on, that is held against it.
    pub(super) fn on_given_again(&mut self, now: Instant, chunk: u32) {
        let Some((link, given_at)) = self.alone.remove(&chunk) else { return };
        let is_overdue = now.since(given_at) > self.usual_time.timeout();
        if let Some(record) = self.peers.get_mut(&link) {
            record.alone_count -= 1;
            record.debt_count += u32::from(is_overdue);
        }
    }

    /// A peer is gone.
    pub(super) fn on_link_down(&mut self, link: LinkId) {
        self.peers.remove(&link);
        self.alone.retain(|_, (holder, _)| *holder != link);
    }

    /// Sees anew who passes on what it got, of those that are served.
    pub(super) fn look(&mut self, now: Instant, served: impl Iterator<Item = LinkId>) {
        let patience = self.usual_time.timeout();
        let mut overdue: BTreeMap<LinkId, u32> = BTreeMap::new();
        for (link, _) in self.alone.values().filter(|(_, at)| now.since(*at) > patience) {
            *overdue.entry(*link).or_default() += 1;
        }
        for (link, record) in &mut self.peers {
            let overdue_count = overdue.get(link).copied().unwrap_or(0);
            record.is_late = overdue_count + record.debt_count >= OVERDUE_UNITS * self.unit_count;
        }
        let spreads = |link: &LinkId| self.peers.get(link).is_some_and(|r| !r.is_late && r.spread_count > 0);
        self.spreader_count = served.filter(spreads).count();
    }

    /// Whether what the peer would be given is better given to others, while so many chunks are on their way to it.
    pub(super) fn holds_back(&self, link: LinkId, pending_count: u32) -> bool {
        let Some(record) = self.peers.get(&link).filter(|_| self.spreader_count >= SPREADERS_MIN) else {
            return false;
        };
        let had_count = record.alone_count + record.debt_count + pending_count;
        record.is_late || (record.spread_count == 0 && had_count >= UNPROVEN_UNITS * self.unit_count)
    }

    /// Whether a peer that is held back may have a chunk all the same: it may have changed, and no peer is left with nothing.
    pub(super) fn may_try_again<'a>(
        &self,
        link: LinkId,
        mut served: impl Iterator<Item = &'a LinkId>,
    ) -> bool {
        let waits_since = |link: LinkId| self.peers.get(&link).map(|record| (record.given_at, link));
        let is_sooner =
            |other: &LinkId| self.holds_back(*other, 0) && waits_since(*other) < waits_since(link);
        self.given_since >= TRY_AGAIN_UNITS * self.unit_count && !served.any(is_sooner)
    }
}

/// As many peers take all that an uplink carries, mostly, and see to it that each chunk has a way on.
const SPREADERS_MIN: usize = 3;
/// Chunks, or mebibytes of short ones, that a peer has had for far longer than is usual, before it is held back.
const OVERDUE_UNITS: u32 = 3;
/// As much as a peer gets before any of it went on.
const UNPROVEN_UNITS: u32 = 2;
/// As much for others to each chunk for a peer that is held back: 1.6 in a hundred.
const TRY_AGAIN_UNITS: u32 = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const KEEPER: LinkId = LinkId(9);

    fn at(secs: u64) -> Instant {
        Instant::from_nanos(secs * 1_000_000_000)
    }

    /// So many peers that pass on what they get within a second, and one that keeps ten chunks.
    fn crowd(spreaders: u64) -> Spreading {
        crowd_with(spreaders, 20, 10)
    }

    /// The same with chunks of another length, and one that keeps so many.
    fn crowd_with(spreaders: u64, chunk_len_log2: u8, kept: u32) -> Spreading {
        let geometry = Geometry::new([(1000 << 20, chunk_len_log2)]).expect("one file");
        let mut spreading = Spreading::new(&geometry);
        for link in 0..spreaders {
            let chunk = 100 + link as u32;
            spreading.on_given(at(0), LinkId(link), chunk);
            spreading.on_spread(at(1), chunk);
        }
        (0..kept).for_each(|chunk| spreading.on_given(at(0), KEEPER, chunk));
        look(&mut spreading, at(100));
        spreading
    }

    #[test]
    fn short_chunks_count_by_the_mebibyte() {
        // Four of them are one.
        let is_held_back = |kept| crowd_with(3, 18, kept).peers[&KEEPER].is_late;
        assert!(!is_held_back(4 * OVERDUE_UNITS - 1));
        assert!(is_held_back(4 * OVERDUE_UNITS));
        let mut spreading = crowd_with(3, 18, 0);
        let newcomer = LinkId(4);
        (0..4 * UNPROVEN_UNITS - 1).for_each(|chunk| spreading.on_given(at(100), newcomer, chunk));
        assert!(!spreading.holds_back(newcomer, 0) && spreading.holds_back(newcomer, 1));
    }

    #[test]
    fn of_two_that_are_held_back_the_one_is_tried_again_that_has_waited_longer() {
        let mut spreading = crowd(3);
        let other = LinkId(8);
        (20..30).for_each(|chunk| spreading.on_given(at(50), other, chunk));
        look(&mut spreading, at(200));
        (0..TRY_AGAIN_UNITS).for_each(|chunk| spreading.on_given(at(200), LinkId(0), 200 + chunk));
        let served = [LinkId(0), LinkId(1), other, KEEPER];
        assert!(spreading.may_try_again(KEEPER, served.iter()));
        assert!(!spreading.may_try_again(other, served.iter()));
        assert!(spreading.may_try_again(other, [LinkId(0), other].iter()));
    }

    fn look(spreading: &mut Spreading, now: Instant) {
        spreading.look(now, (0..10).map(LinkId));
    }

    #[test]
    fn who_keeps_what_others_would_pass_on_is_held_back() {
        let spreading = crowd(3);
        assert!(spreading.holds_back(KEEPER, 0));
        assert!((0..3).all(|link| !spreading.holds_back(LinkId(link), 0)));
    }

    #[test]
    fn nobody_is_held_back_where_hardly_anybody_passes_anything_on() {
        assert!(!crowd(2).holds_back(KEEPER, 0));
    }

    #[test]
    fn a_newcomer_gets_two_chunks_before_one_of_them_went_on() {
        let mut spreading = crowd(3);
        let newcomer = LinkId(4);
        spreading.on_given(at(100), newcomer, 50);
        assert!(!spreading.holds_back(newcomer, 0) && spreading.holds_back(newcomer, 1));
        spreading.on_spread(at(101), 50);
        assert!(!spreading.holds_back(newcomer, 5));
    }

    #[test]
    fn what_had_to_be_given_again_is_held_against_its_first_taker_until_it_passes_something_on() {
        let mut spreading = crowd(3);
        (0..10).for_each(|chunk| spreading.on_given_again(at(100), chunk));
        look(&mut spreading, at(101));
        assert!(spreading.holds_back(KEEPER, 0));
        for chunk in 0..10 {
            spreading.on_given(at(200), KEEPER, chunk);
            spreading.on_spread(at(201), chunk);
        }
        look(&mut spreading, at(202));
        assert!(!spreading.holds_back(KEEPER, 0));
    }

    #[test]
    fn whoever_is_held_back_is_tried_again_after_many_chunks_for_others() {
        let mut spreading = crowd(3);
        let may_try = |spreading: &Spreading| spreading.may_try_again(KEEPER, [KEEPER].iter());
        assert!(!may_try(&spreading));
        for chunk in 0..TRY_AGAIN_UNITS {
            spreading.on_given(at(100) + Duration::from_millis(chunk.into()), LinkId(0), 200 + chunk);
        }
        assert!(may_try(&spreading));
        spreading.on_given(at(101), KEEPER, 11);
        assert!(!may_try(&spreading));
    }
}
