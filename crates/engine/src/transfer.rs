//! Fetching chunks: which peer is asked for what, and what comes of it. Owns the pipelines of all links and the downloads: the chunk
//! states of each content and who has what. Invariants: a chunk is active exactly while a request that may still bring it is open;
//! contents that are fetched have open chunks. Which run goes to which peer is decided in `reassignment` and the picker. Absent: who
//! takes part, what is said of it, durability, uploads.

use std::collections::{BTreeMap, BTreeSet};

use crate::limits::REQUESTS_OPEN_MAX;
use swarm_core::base::{ContentId, Instant, NodeId};
use swarm_core::manifest::{ChunkIndex, Run};
use swarm_core::wire::{Handle, Message, RejectReason, RequestId};

use super::chunks::Chunks;
use super::download::Downloads;
use super::io::{LinkId, Output, RunRequest};
use super::pipeline::Pipeline;
use super::ranks::Ranks;
use super::reassignment::{REASSIGN_INTERVAL, Reassignment};
use super::timers::Timer;
use super::turn::Turn;

#[derive(Debug, Default)]
pub(super) struct Transfer {
    pub(super) pipelines: BTreeMap<LinkId, Pipeline>,
    pub(super) downloads: Downloads,
    /// Contents of which something is still to be asked for.
    pub(super) fetching: BTreeSet<ContentId>,
}

/// What the end of a stream comes to.
#[derive(Debug)]
pub(super) struct StreamEnd {
    /// The peer breaks off every stream.
    pub(super) is_useless: bool,
    /// The peer that the rest of the request is reassigned to.
    pub(super) successor: Option<LinkId>,
}

/// What a peer's rejection comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rejection {
    Noted,
    /// It claimed a chunk of this content, did not take it back, and does not have it.
    Lie(ContentId),
    /// It rejects again and again.
    Useless,
}

impl Transfer {
    pub(super) fn on_link_up(&mut self, now: Instant, link: LinkId, node: NodeId) {
        self.pipelines.insert(link, Pipeline::new(now, node));
    }

    /// What the peer had counts no more, and what it was asked for is queued again.
    pub(super) fn on_link_down(&mut self, link: LinkId) -> Option<Pipeline> {
        let pipeline = self.pipelines.remove(&link)?;
        self.downloads.on_link_down(link);
        for (request, open) in &pipeline.requests {
            self.downloads.release(link, *request, open);
        }
        Some(pipeline)
    }

    /// This node takes part in a content. What peers said of it before, should it have failed, still holds.
    pub(super) fn join(&mut self, content: ContentId, handle: Handle) {
        self.fetching.remove(&content);
        self.downloads.join(content, handle);
    }

    /// The store of a content is open.
    pub(super) fn open(&mut self, content: ContentId, chunks: Chunks) {
        if self.downloads.open(content, chunks) {
            self.fetching.insert(content);
        }
    }

    /// Everything wanted of a content is durable.
    pub(super) fn finish(&mut self, content: ContentId) {
        self.fetching.remove(&content);
    }

    /// The fetch of a content failed: its chunks are neither asked for nor served any more.
    pub(super) fn fail(&mut self, content: ContentId) {
        self.fetching.remove(&content);
        self.downloads.fail(content);
    }

    /// This node left a content.
    pub(super) fn forget(&mut self, content: ContentId) {
        self.fetching.remove(&content);
        self.downloads.forget(content);
    }

    pub(super) fn pipeline(&self, link: LinkId) -> Option<&Pipeline> {
        self.pipelines.get(&link)
    }

    /// Whether any peer has something to send.
    pub(super) fn is_moving(&self) -> bool {
        self.pipelines.values().any(|pipeline| pipeline.outstanding_len > 0)
    }

    /// What comes from these peers together now, bytes a second.
    pub(super) fn rate_of(&self, now: Instant, links: impl Iterator<Item = LinkId>) -> u64 {
        let pipelines = links.filter_map(|link| self.pipelines.get(&link));
        let busy = pipelines.filter(|pipeline| pipeline.outstanding_len > 0);
        busy.filter_map(|pipeline| pipeline.rate(now)).map(|rate| rate.0).sum()
    }

    pub(super) fn on_measured(&mut self, link: LinkId, rtt: std::time::Duration) {
        if let Some(pipeline) = self.pipelines.get_mut(&link) {
            pipeline.rtt = rtt;
        }
    }

    /// This node stood still: no peer stalled in that time.
    pub(super) fn on_woke(&mut self, now: Instant) {
        self.pipelines.values_mut().for_each(|pipeline| pipeline.last_received_at = now);
    }

    pub(super) fn on_choke(&mut self, turn: &mut Turn, link: LinkId, is_choked: bool) {
        if let Some(pipeline) = self.pipelines.get_mut(&link) {
            pipeline.is_choked = is_choked;
            self.fill(turn, link);
        }
    }

    /// Gives every peer its turn, those first that would be done with one more chunk first. Peers that stalled come last, after
    /// those that stalled less often: otherwise one that never sends would be asked for the same chunk again and again.
    pub(super) fn fill_all(&mut self, turn: &mut Turn) {
        let time_for_one = |pipeline: &Pipeline| pipeline.time_for(turn.now, 1 << 20).unwrap_or_default();
        let mut links: Vec<_> =
            self.pipelines.iter().map(|(link, p)| (p.stalls, time_for_one(p), *link)).collect();
        links.sort_unstable();
        for (_, _, link) in links {
            self.fill(turn, link);
        }
    }

    /// Asks a peer for as much as its pipeline has room for.
    pub(super) fn fill(&mut self, turn: &mut Turn, link: LinkId) {
        while self.ask_next(turn, link, false) {}
    }

    /// Gives a peer what was reassigned to it. It may not leave that to other peers, or the request would circulate.
    pub(super) fn fill_successor(&mut self, turn: &mut Turn, successor: LinkId) {
        self.ask_next(turn, successor, true);
        self.fill(turn, successor);
    }

    fn ask_next(&mut self, turn: &mut Turn, link: LinkId, is_successor: bool) -> bool {
        let choice = Reassignment::of(self, turn.now).next_run(link, is_successor);
        if choice.must_look_again {
            turn.timers.set_if_unset(Timer::Reassign, turn.now + REASSIGN_INTERVAL);
        }
        if let Some(at) = choice.goes_on_at
            && turn.timers.at(Timer::Share).is_none_or(|known| known > at)
        {
            turn.timers.set(Timer::Share, at);
        }
        if let Some((content, run)) = choice.run {
            self.ask(turn, link, content, run);
        }
        choice.run.is_some()
    }

    fn ask(&mut self, turn: &mut Turn, link: LinkId, content: ContentId, run: Run) {
        let share = self.downloads.shares.of(content);
        let (Some(pipeline), Some(download)) =
            (self.pipelines.get_mut(&link), self.downloads.get_mut(content))
        else {
            return;
        };
        let Some(chunks) = &mut download.chunks else { return };
        let request = pipeline.on_asked(turn.now, (content, share), run);
        chunks.on_asked(run, link, request);
        turn.timers.set_if_unset(Timer::Stall(link), turn.now + pipeline.stall_timeout());
        turn.order(Output::Receive(RunRequest { link, request, content, run }));
        let (chunk, offset, len) = (run.first().get(), run.offset(), run.len());
        turn.send(link, Message::Request { request, handle: download.handle, chunk, offset, len });
        self.downloads.shares.on_asked(turn.now, content, u64::from(len));
    }

    /// Every peer that nothing is left for is reassigned a request of a slower one, where that is worth it.
    pub(super) fn reassign_all(&mut self, turn: &mut Turn) {
        self.fill_all(turn);
        let links: Vec<LinkId> = self.pipelines.keys().copied().collect();
        for link in links {
            if let Some((slow, request)) = Reassignment::of(self, turn.now).for_idle(link) {
                self.reassign(turn, slow, request, link);
            }
        }
    }

    /// Takes a request from a peer for a faster one, which has the first turn when the stream has ended.
    fn reassign(&mut self, turn: &mut Turn, link: LinkId, request: RequestId, successor: LinkId) {
        let open = self.pipelines.get_mut(&link).and_then(|pipeline| pipeline.requests.get_mut(&request));
        if let Some(open) = open {
            open.successor = Some(successor);
            let (content, first) = (open.content, open.next);
            if let Some(chunks) = self.downloads.chunks_mut(content) {
                chunks.on_moved(first);
            }
        }
        self.cancel(turn, link, request);
    }

    /// Takes a request back. What came is kept; the rest is queued when the stream has ended.
    pub(super) fn cancel(&mut self, turn: &mut Turn, link: LinkId, request: RequestId) {
        if self.pipelines.get_mut(&link).is_some_and(|pipeline| pipeline.on_abandoned(request)) {
            turn.send(link, Message::Cancel { request });
            turn.order(Output::Abandon { link, request });
        }
    }

    /// Takes back what a peer was asked for of a content.
    pub(super) fn cancel_at(&mut self, turn: &mut Turn, link: LinkId, content: ContentId) {
        let requests = self.pipelines.get(&link).map(|pipeline| pipeline.waited_for(content));
        for request in requests.unwrap_or_default() {
            self.cancel(turn, link, request);
        }
    }

    /// Takes back every request of a content.
    pub(super) fn cancel_all(&mut self, turn: &mut Turn, content: ContentId) {
        let links: Vec<LinkId> = self.pipelines.keys().copied().collect();
        for link in links {
            self.cancel_at(turn, link, content);
        }
    }

    /// Chunks of a content are fetched in this order from now on; what a peer was asked for and is to be held back is taken back.
    pub(super) fn rank(&mut self, turn: &mut Turn, content: ContentId, ranks: Ranks) {
        self.downloads.rank(content, ranks);
        let Some(chunks) = self.downloads.chunks(content) else { return };
        let mut held = Vec::new();
        for (link, pipeline) in &self.pipelines {
            for (request, open) in pipeline.requests.iter().filter(|(_, open)| open.content == content) {
                if chunks.chunks_from(open.run, open.next).any(|chunk| chunks.picker.is_held(chunk)) {
                    held.push((*link, *request));
                }
            }
        }
        for (link, request) in held {
            self.cancel(turn, link, request);
        }
        self.fill_all(turn);
    }

    /// Payload came. Returns its content, if it was asked for.
    pub(super) fn on_received(
        &mut self,
        turn: &mut Turn,
        link: LinkId,
        request: RequestId,
        len: u32,
    ) -> Option<ContentId> {
        let pipeline = self.pipelines.get_mut(&link)?;
        if !pipeline.on_received(turn.now, request, len) {
            return None;
        }
        let (node, open) = (pipeline.node, pipeline.requests.get(&request));
        let content = open.map(|open| open.content);
        if let Some(content) = content {
            self.downloads.count_received(content, node, len);
        }
        self.fill(turn, link);
        content
    }

    pub(super) fn on_chunk_arrived(
        &mut self,
        turn: &mut Turn,
        link: LinkId,
        request: RequestId,
        chunk: ChunkIndex,
    ) {
        let Some(pipeline) = self.pipelines.get_mut(&link) else { return };
        pipeline.on_chunk(turn.now);
        let Some(open) = pipeline.requests.get_mut(&request) else { return };
        open.next = chunk.get() + 1;
        let content = open.content;
        let download = self.downloads.get_mut(content);
        let Some(chunks) = download.and_then(|download| download.chunks.as_mut()) else { return };
        chunks.on_released(chunk, link, request);
        if chunks.on_arrived(chunk) {
            open.used_len += chunks.geometry().chunk_len(chunk);
        }
        self.cancel_others(turn, content, chunk);
        self.fill(turn, link);
    }

    /// A chunk is here: peers that were asked for it alone need not send it.
    fn cancel_others(&mut self, turn: &mut Turn, content: ContentId, chunk: ChunkIndex) {
        let Some(chunks) = self.downloads.chunks(content) else { return };
        let is_alone = |(link, request): &(LinkId, RequestId)| {
            let open = self.pipelines.get(link).and_then(|pipeline| pipeline.requests.get(request));
            open.is_some_and(|open| chunks.chunks_from(open.run, open.next).count() == 1)
        };
        let needless: Vec<_> = chunks.askers(chunk).into_iter().filter(is_alone).collect();
        for (link, request) in needless {
            self.cancel(turn, link, request);
        }
    }

    pub(super) fn on_slice_kept(
        &mut self,
        turn: &mut Turn,
        (link, request): (LinkId, RequestId),
        chunk: ChunkIndex,
        offset: u32,
        len: u32,
    ) {
        let Some(pipeline) = self.pipelines.get_mut(&link) else { return };
        let node = pipeline.node;
        let Some(open) = pipeline.requests.get_mut(&request) else { return };
        let content = open.content;
        let download = self.downloads.get_mut(content);
        let Some(chunks) = download.and_then(|download| download.chunks.as_mut()) else { return };
        open.used_len += chunks.on_kept(chunk, offset, len, node);
        if chunks.is_put_together(chunk) {
            chunks.on_arrived(chunk);
            turn.order(Output::VerifyKept { content, chunk });
        }
    }

    /// A stream is over: what it did not bring is queued again. `None` if nothing of that name was open.
    pub(super) fn on_stream_ended(&mut self, link: LinkId, request: RequestId) -> Option<StreamEnd> {
        let pipeline = self.pipelines.get_mut(&link)?;
        let open = pipeline.on_ended(request)?;
        let is_broken = !open.is_abandoned && open.missing_len() > 0;
        pipeline.broken_streams += u32::from(is_broken);
        let is_useless = pipeline.broken_streams >= BROKEN_STREAMS_MAX;
        self.downloads.release(link, request, &open);
        Some(StreamEnd { is_useless, successor: open.successor })
    }

    pub(super) fn on_reject(
        &mut self,
        turn: &mut Turn,
        link: LinkId,
        request: RequestId,
        reason: RejectReason,
    ) -> Rejection {
        let Some(pipeline) = self.pipelines.get_mut(&link) else { return Rejection::Noted };
        let Some(open) = pipeline.requests.get(&request) else { return Rejection::Noted };
        let (content, run, next) = (open.content, open.run, open.next);
        pipeline.rejections += 1;
        if pipeline.rejections >= REJECTIONS_MAX {
            return Rejection::Useless;
        }
        let is_disbelieved = match reason {
            RejectReason::NotHeld | RejectReason::Unreadable => self.disbelieve(link, content, (run, next)),
            // A request right away would only be rejected again: the peer says when it serves.
            RejectReason::Choked | RejectReason::TooMany => {
                pipeline.is_choked = true;
                false
            }
        };
        if self.pipelines.get_mut(&link).is_some_and(|pipeline| pipeline.on_abandoned(request)) {
            turn.order(Output::Abandon { link, request });
        }
        if is_disbelieved && reason == RejectReason::NotHeld {
            Rejection::Lie(content)
        } else {
            Rejection::Noted
        }
    }

    /// The peer lacks what it claimed: it is not asked for the first missing chunk of that run again. False if it claims that chunk
    /// no longer, or took some of the run back, for which it rejects all of it.
    fn disbelieve(&mut self, link: LinkId, content: ContentId, (run, next): (Run, u32)) -> bool {
        let (Some(chunks), Some(has)) = (self.downloads.chunks(content), self.downloads.has(link, content))
        else {
            return false;
        };
        let Some(chunk) = chunks.chunks_from(run, next).next() else { return false };
        let is_all_claimed = chunks.chunks_from(run, next).all(|chunk| has.contains(chunk.get()));
        is_all_claimed && !self.downloads.on_lost(link, content, std::iter::once(chunk.get())).is_empty()
    }

    /// A chunk that is fresh was counted: its sender is proven, and other peers need not send it.
    pub(super) fn on_verified(
        &mut self,
        turn: &mut Turn,
        content: ContentId,
        chunk: ChunkIndex,
        from: Option<NodeId>,
    ) {
        let is_new =
            |(_, pipeline): &(&LinkId, &mut Pipeline)| Some(pipeline.node) == from && !pipeline.is_proven;
        if let Some((&link, pipeline)) = self.pipelines.iter_mut().find(is_new) {
            pipeline.is_proven = true;
            self.fill(turn, link);
        }
        self.cancel_others(turn, content, chunk);
    }

    /// Nothing came from a peer for too long: all but one of its requests are taken back, and next time the last one too. Returns
    /// the peer if it stalled.
    pub(super) fn on_stall_timer(&mut self, turn: &mut Turn, link: LinkId) -> Option<NodeId> {
        let pipeline = self.pipelines.get_mut(&link).filter(|pipeline| pipeline.outstanding_len > 0)?;
        let deadline = pipeline.last_received_at + pipeline.stall_timeout();
        if deadline > turn.now {
            turn.timers.set(Timer::Stall(link), deadline);
            return None;
        }
        let spared = usize::from(!pipeline.is_stalled());
        pipeline.stalls = pipeline.stalls.saturating_add(1);
        pipeline.last_received_at = turn.now;
        let node = pipeline.node;
        let open = pipeline.requests.iter().filter(|(_, open)| !open.is_abandoned);
        let given_up: Vec<RequestId> = open.map(|(request, _)| *request).skip(spared).collect();
        turn.timers.set(Timer::Stall(link), turn.now + pipeline.stall_timeout());
        for request in given_up {
            self.cancel(turn, link, request);
        }
        self.fill_all(turn);
        Some(node)
    }
}

/// Streams in a row that a peer may break off before its link is closed, to be tried again later.
const BROKEN_STREAMS_MAX: u32 = 16;
/// Requests in a row that a peer may reject before that. One that chokes this node rejects all that are open.
const REJECTIONS_MAX: u32 = 4 * REQUESTS_OPEN_MAX as u32;

#[cfg(test)]
mod tests;
