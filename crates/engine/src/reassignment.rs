//! Which peer is asked for which run, and when a request moves from a slow peer to a fast one. This is the endgame too: the rest of a
//! request is moved, nothing is fetched twice. Invariant: reads the transfer and changes nothing, so the same state gives the same
//! answer. The order of chunks is the picker's.

use std::time::Duration;

use crate::limits::PROGRESS_REPORT_LEN;
use swarm_core::base::{Bitfield, ContentId, Instant, Rate};
use swarm_core::manifest::Run;
use swarm_core::wire::RequestId;

use super::chunks::Chunks;
use super::io::LinkId;
use super::pipeline::{OpenRequest, Pipeline};
use super::ranks::Rank;
use super::transfer::Transfer;

pub(super) struct Reassignment<'a> {
    transfer: &'a Transfer,
    now: Instant,
}

/// What a peer is asked for next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) run: Option<(ContentId, Run)>,
    /// The answer may change by time alone: look again after [`REASSIGN_INTERVAL`].
    pub(super) must_look_again: bool,
    /// More may be asked for then, because no faster is allowed.
    pub(super) goes_on_at: Option<Instant>,
}

impl<'a> Reassignment<'a> {
    pub(super) fn of(transfer: &'a Transfer, now: Instant) -> Self {
        Self { transfer, now }
    }

    /// The next run for a peer whose pipeline has room. A successor takes what was reassigned to it and leaves it to no other peer.
    pub(super) fn next_run(&self, link: LinkId, is_successor: bool) -> Choice {
        let mut choice = Choice::default();
        let Some(pipeline) = self.transfer.pipeline(link) else { return choice };
        let shares = &self.transfer.downloads.shares;
        for (content, chunks, has) in self.fetched_from(link) {
            let chunk_len_max = u64::from(chunks.geometry().chunk_len_max());
            if !pipeline.has_room(self.now, shares.of(content), chunk_len_max) {
                continue;
            }
            // What was taken from another peer was counted there.
            let waits_until = shares.waits_until(self.now, content).filter(|_| !is_successor);
            if let Some(at) = waits_until {
                choice.goes_on_at = Some(choice.goes_on_at.map_or(at, |earliest| earliest.min(at)));
                continue;
            }
            if !is_successor && self.is_better_left_queued(pipeline, content, chunks, has) {
                choice.must_look_again = true;
                continue;
            }
            let depth_len = pipeline.depth_len(self.now, chunk_len_max);
            let run_len = (depth_len / RUNS_IN_PIPELINE).min(shares.run_len_max(content));
            if let Some(run) = chunks.next_run(has, run_len) {
                if !is_successor && self.others_are_done_before(link, content, run) {
                    choice.must_look_again = true;
                    continue;
                }
                choice.run = Some((content, run));
                return choice;
            }
            // The peer is idle: whether a slow one is too slow to wait for shows with time alone.
            let tally = chunks.tally();
            let is_short = tally.verified_len + tally.checking_len < tally.wanted_len;
            choice.must_look_again |= is_short && self.transfer.is_moving();
        }
        choice
    }

    /// The request that an idle peer should be given: of a slower peer, and done much sooner here.
    pub(super) fn for_idle(&self, link: LinkId) -> Option<(LinkId, RequestId)> {
        self.idle_contents(link).into_iter().find_map(|content| self.slowest(link, content))
    }

    /// Contents that are fetched and of which a peer may have something: those with chunks of a higher rank first, then by id.
    fn fetched_from(&self, link: LinkId) -> impl Iterator<Item = (ContentId, &'a Chunks, &'a Bitfield)> {
        let transfer = self.transfer;
        let of_content = move |content: &ContentId| {
            Some((*content, transfer.downloads.chunks(*content)?, transfer.downloads.has(link, *content)?))
        };
        let of_rank = move |rank: Rank| {
            let of_it = transfer.fetching.iter().filter_map(of_content);
            of_it.filter(move |(_, chunks, _)| chunks.picker.first_rank() == rank)
        };
        [Rank::High, Rank::Normal, Rank::Low].into_iter().flat_map(of_rank)
    }

    /// While there is little to ask for, in a young swarm or at the end, a busy peer gets no more than it needs to stay busy: an idle
    /// peer could not be given what waits in another's queue.
    fn is_better_left_queued(
        &self,
        pipeline: &Pipeline,
        content: ContentId,
        chunks: &Chunks,
        has: &Bitfield,
    ) -> bool {
        // What has come of a chunk shows in steps of a report: with shorter chunks a peer would often run idle unseen (a real
        // crowd with chunks of 256 KiB took 1.40 times the bound instead of 1.25).
        chunks.geometry().chunk_len_max() > PROGRESS_REPORT_LEN
            && pipeline.is_busy_for(self.now, BUSY_MARGIN, content)
            && !chunks.picker.has_more_than(self.transfer.pipelines.len(), has)
    }

    /// Towards the end a slow peer is given nothing that the other peers, which have it too, fetch long before it could.
    fn others_are_done_before(&self, link: LinkId, content: ContentId, run: Run) -> bool {
        let Some(chunks) = self.transfer.downloads.chunks(content) else { return false };
        let pipeline = self.transfer.pipeline(link);
        let own_time = pipeline.and_then(|p| p.time_for(self.now, u64::from(run.len())));
        let Some(own_time) = own_time.filter(|time| *time > REASSIGN_MARGIN) else { return false };
        let tally = chunks.tally();
        let left_len = tally.wanted_len - tally.verified_len - tally.checking_len;
        let holders = self.transfer.downloads.holders(content);
        let helpers = holders.filter(|(other, has)| *other != link && has.contains(run.first().get()));
        let (mut rate, mut best) = (0, 0);
        for (other, _) in helpers {
            let helper = self.transfer.pipeline(other).filter(|p| !p.is_stalled() && !p.is_choked);
            if let Some(helper) = helper.and_then(|pipeline| pipeline.rate(self.now)) {
                (rate, best) = (rate + helper.0, best.max(helper.0));
            }
        }
        // All of them together, but a run is not shared: the fastest peer of all never leaves it to others.
        let their_time = Rate(rate).time_for(left_len).max(Rate(best).time_for(u64::from(run.len())));
        rate > 0 && own_time > their_time * REASSIGN_FACTOR + REASSIGN_MARGIN
    }

    /// Contents of which this peer has room for more than there is to ask it for.
    fn idle_contents(&self, link: LinkId) -> Vec<ContentId> {
        let Some(pipeline) = self.transfer.pipeline(link) else { return Vec::new() };
        let is_idle = |(content, chunks, has): &(ContentId, &Chunks, &Bitfield)| {
            let share = self.transfer.downloads.shares.of(*content);
            let has_room = pipeline.has_room(self.now, share, u64::from(chunks.geometry().chunk_len_max()));
            has_room && chunks.next_run(has, 0).is_none()
        };
        self.fetched_from(link).filter(is_idle).map(|(content, ..)| content).collect()
    }

    /// The request of another peer that takes longest, of those that this peer would finish much sooner.
    fn slowest(&self, link: LinkId, content: ContentId) -> Option<(LinkId, RequestId)> {
        // A peer that stalled is given nothing of others: two such would take it from each other for ever. It has its turn when
        // something is queued.
        let fast = self.transfer.pipeline(link).filter(|pipeline| !pipeline.is_stalled())?;
        let has = self.transfer.downloads.has(link, content)?;
        let chunks = self.transfer.downloads.chunks(content)?;
        let mut worst: Option<(Duration, LinkId, RequestId)> = None;
        for (&other, slow) in self.transfer.pipelines.iter().filter(|(other, _)| **other != link) {
            let open = slow.requests.iter().rev();
            for (&request, open) in open.filter(|(_, open)| open.content == content && !open.is_abandoned) {
                let theirs = self.time_at_slow(fast, (slow, request, open), has, chunks);
                if let Some(theirs) = theirs
                    && worst.is_none_or(|(time, ..)| theirs > time)
                {
                    worst = Some((theirs, other, request));
                }
            }
        }
        worst.map(|(_, other, request)| (other, request))
    }

    /// How long a request still takes where it is, if the fast peer may have it and would be done much sooner.
    fn time_at_slow(
        &self,
        fast: &Pipeline,
        (slow, request, open): (&Pipeline, RequestId, &OpenRequest),
        has: &Bitfield,
        chunks: &Chunks,
    ) -> Option<Duration> {
        let mut left = chunks.chunks_from(open.run, open.next);
        if open.missing_len() == 0 || !left.all(|chunk| has.contains(chunk.get())) {
            return None;
        }
        // A chunk that moves stays longer with each peer, or none would have the time to send it.
        let held_time = self.now.since(open.asked_at);
        if held_time < REASSIGN_MARGIN * (1 << chunks.moves(open.next).min(MOVES_COUNTED_MAX)) {
            return None;
        }
        let rate = fast.rate(self.now);
        let slow_rate = slow.rate(self.now).or(rate);
        // A peer that has sent nothing for a while is expected to be silent for as long again.
        let usual = slow.rtt * 2 + slow.usual_chunk_time();
        let silence = self.now.since(slow.last_received_at).saturating_sub(usual);
        // Where neither has sent anything yet, that silence alone counts.
        let time_for = |rate: Option<Rate>, len| rate.map_or(Duration::ZERO, |rate| rate.time_for(len));
        let patience = if slow_rate.is_none() { UNKNOWN_PATIENCE } else { Duration::ZERO };
        let theirs = silence.saturating_sub(patience) + time_for(slow_rate, slow.len_until(request));
        let rest_len = fast.outstanding_len + open.missing_len();
        // A peer that was never asked may be fast: where the other takes very long, it is tried.
        let rate = rate.or(slow_rate.filter(|_| theirs < UNKNOWN_WORTH));
        let ours = fast.rtt + time_for(rate, rest_len);
        (theirs > ours * REASSIGN_FACTOR + REASSIGN_MARGIN).then_some(theirs)
    }
}

/// A request is reassigned if that brings its end nearer by this factor and margin: below 3 times, duplicates grow (`spread`:
/// 0.80 % became 1.21 % at 2).
const REASSIGN_FACTOR: u32 = 3;
const REASSIGN_MARGIN: Duration = Duration::from_millis(200);
/// A chunk that was moved so often stays with each peer for 50 s.
const MOVES_COUNTED_MAX: u32 = 8;
/// Longer than most chunks take in a crowd: what a slow peer needs so long for is given to one whose rate is unknown.
const UNKNOWN_WORTH: Duration = Duration::from_secs(3);
/// While no rate is known, a peer that waits for its turn at a busy one keeps its request so long.
const UNKNOWN_PATIENCE: Duration = Duration::from_millis(500);
/// A run is at most this part of what is asked of its peer: chunks of a run can be passed on only when all of it has come.
const RUNS_IN_PIPELINE: u64 = 4;
/// Time beyond two round trips for which a busy peer has enough to send, while chunks are scarce. What came since the last
/// report is not counted, so it is often asked a little late: better than too early (1.249 times the bound against 1.277).
const BUSY_MARGIN: Duration = Duration::from_millis(50);
/// How often an idle peer looks for a request to be given.
pub(super) const REASSIGN_INTERVAL: Duration = Duration::from_millis(100);
