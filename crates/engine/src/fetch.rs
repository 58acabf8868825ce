//! Fetching: what is asked of whom, what came of it, when it is durable, when it is over.

use std::time::Duration;

use crate::limits::{PROGRESS_REPORT_LEN, REQUESTS_OPEN_MAX};
use swarm_core::base::{Bitfield, ContentId, NodeId, Rate};
use swarm_core::manifest::{ChunkIndex, Run};
use swarm_core::wire::{Message, RejectReason, RequestId};

use super::Engine;
use super::chunks::{Blame, Chunks};
use super::content::{Content, ContentTotals, FlushState, ManifestFetch, Phase};
use super::dialing::Reach;
use super::io::{ChunkVerdict, CloseReason, Event, FetchFailure, Join, LinkId, Output};
use super::offers::Offers;
use super::session::{OpenRequest, Remote, Session};
use super::timers::Timer;
use super::violation::Violation;

impl Engine {
    pub(super) fn on_join(&mut self, join: Join) {
        let phase = match join.manifest {
            Some(manifest) => Phase::Opening(manifest),
            None => Phase::Manifest(ManifestFetch::default()),
        };
        let content = Content {
            handle: self.mint_handle(),
            order: join.order,
            patience: join.patience,
            search_until: self.now + join.patience.map_or(Duration::ZERO, |patience| patience.search),
            phase,
            last_progress_at: self.now,
            unannounced: None,
            offers: None,
            reach: Reach::default(),
            flush: FlushState::default(),
            unreadable: Vec::new(),
            totals: ContentTotals::default(),
        };
        let is_unknown = matches!(content.phase, Phase::Manifest(_));
        self.contents.insert(join.content, content);
        if let Some(patience) = join.patience {
            self.timers.set(Timer::Patience(join.content), self.now + patience.idle);
            self.timers.set(Timer::Search(join.content), self.now + patience.search);
        }
        if is_unknown {
            // Somebody who is linked already may know it.
            let links: Vec<LinkId> = self.sessions.keys().copied().collect();
            links.into_iter().for_each(|link| self.open(link, join.content));
            self.ask_for_manifests();
        }
        self.dial_due();
    }

    pub(super) fn on_store_opened(&mut self, content: ContentId, durable: &Bitfield, wanted: &Bitfield) {
        let salt_seed = self.rng.next_u64();
        let Some(state) = self.contents.get_mut(&content) else { return };
        let Phase::Opening(manifest) = &state.phase else { return };
        let chunks = Chunks::new(manifest.clone(), durable, wanted, state.order, salt_seed);
        state.unannounced = Some(Bitfield::new(chunks.geometry().chunk_count()));
        if chunks.have().is_full() {
            state.offers = Some(Offers::new(chunks.geometry(), &mut self.rng));
        }
        state.phase = Phase::Fetching(Box::new(chunks));
        state.last_progress_at = self.now;
        // Whoever asked for it before it was here is answered now; nobody else needs to know.
        let is_concerned = |session: &Session| {
            session.remotes.contains_key(&content)
                || session.offered.contains_key(&content)
                || self.peers.is_offered(session.node, content)
        };
        let wants = !state.chunks().is_some_and(Chunks::is_durable);
        let links: Vec<LinkId> = self
            .sessions
            .iter()
            .filter(|(_, session)| wants || is_concerned(session))
            .map(|(link, _)| *link)
            .collect();
        for link in links {
            self.open(link, content);
            self.introduce(link, content);
        }
        self.finish_if_durable(content);
        self.dial_due();
        self.give_up_without_hope();
    }

    /// Lets every peer have its turn, whoever would be done with one more chunk first.
    pub(super) fn fill_all(&mut self) {
        let time_for_one = |session: &Session| session.time_for(self.now, 1 << 20).unwrap_or_default();
        // Whoever fell silent comes last, after those who did so less often, or it would be asked for the same chunk again
        // and again.
        let mut links: Vec<_> =
            self.sessions.iter().map(|(link, s)| (s.silences, time_for_one(s), *link)).collect();
        links.sort_unstable();
        for (_, _, link) in links {
            self.fill(link);
        }
    }

    /// Asks a peer for as much as its pipeline has room for.
    pub(super) fn fill(&mut self, link: LinkId) {
        while let Some((content, run)) = self.next_run(link, false) {
            self.ask(link, content, run);
        }
    }

    /// Gives a peer what was taken from a slower one for it. Whoever may leave it to others would let it go round for ever.
    fn fill_heir(&mut self, heir: LinkId) {
        if let Some((content, run)) = self.next_run(heir, true) {
            self.ask(heir, content, run);
        }
        self.fill(heir);
    }

    fn next_run(&mut self, link: LinkId, is_heir: bool) -> Option<(ContentId, Run)> {
        let session = self.sessions.get(&link)?;
        for (content, remote) in &session.remotes {
            let Some(has) = &remote.has else { continue };
            let Some(Phase::Fetching(chunks)) = self.contents.get(content).map(|state| &state.phase) else {
                continue;
            };
            if !session.has_room(self.now, u64::from(chunks.geometry().chunk_len_max())) {
                continue;
            }
            if !is_heir && self.is_better_left_queued(session, *content, chunks, has) {
                self.timers.set_if_unset(Timer::Relief, self.now + RELIEF_INTERVAL);
                continue;
            }
            let depth_len = session.depth_len(self.now, u64::from(chunks.geometry().chunk_len_max()));
            if let Some(run) = chunks.next_run(has, depth_len / RUNS_IN_PIPELINE) {
                if !is_heir && self.others_are_done_before(link, *content, run) {
                    self.timers.set_if_unset(Timer::Relief, self.now + RELIEF_INTERVAL);
                    continue;
                }
                return Some((*content, run));
            }
            // It is idle: whether a slow peer is too slow for it to wait shows with time alone.
            let is_short =
                chunks.tally().verified_len + chunks.tally().checking_len < chunks.tally().wanted_len;
            if is_short && self.sessions.values().any(|session| session.outstanding_len > 0) {
                self.timers.set_if_unset(Timer::Relief, self.now + RELIEF_INTERVAL);
            }
        }
        None
    }

    /// While there is little to ask for, in a young swarm or at the end, a peer that is busy gets no more than it needs to
    /// stay so: what waits in its queue could not be taken by one that runs idle.
    fn is_better_left_queued(
        &self,
        session: &Session,
        content: ContentId,
        chunks: &Chunks,
        has: &Bitfield,
    ) -> bool {
        // What has come of a chunk shows in steps of a report: with shorter chunks a peer would often run idle unseen (a real
        // crowd with chunks of 256 KiB took 1.40 times the bound instead of 1.25).
        chunks.geometry().chunk_len_max() > PROGRESS_REPORT_LEN
            && session.is_busy_for(self.now, BUSY_MARGIN, content)
            && !chunks.picker.has_more_than(self.sessions.len(), has)
    }

    /// Towards the end a slow peer is given nothing that the others, who have it too, fetch long before it could.
    fn others_are_done_before(&self, link: LinkId, content: ContentId, run: Run) -> bool {
        let Some(chunks) = self.contents.get(&content).and_then(|state| state.chunks()) else { return false };
        let own_time = self.sessions.get(&link).and_then(|s| s.time_for(self.now, u64::from(run.len())));
        let Some(own_time) = own_time.filter(|time| *time > STEAL_MARGIN) else { return false };
        let tally = chunks.tally();
        let left_len = tally.wanted_len - tally.verified_len - tally.checking_len;
        let can_help = |(other, session): &(&LinkId, &Session)| {
            **other != link && session.has(content).is_some_and(|has| has.contains(run.first().get()))
        };
        let helpers = self
            .sessions
            .iter()
            .filter(can_help)
            .filter(|(_, session)| !session.is_snubbed() && !session.is_choked);
        let (mut rate, mut best) = (0, 0);
        for helper in helpers.filter_map(|(_, session)| session.rate(self.now)) {
            (rate, best) = (rate + helper.0, best.max(helper.0));
        }
        // All of them together, but a run is not shared: the fastest peer of all never leaves it to others.
        let their_time = Rate(rate).time_for(left_len).max(Rate(best).time_for(u64::from(run.len())));
        rate > 0 && own_time > their_time * STEAL_FACTOR + STEAL_MARGIN
    }

    fn ask(&mut self, link: LinkId, content: ContentId, run: Run) {
        let Some(state) = self.contents.get_mut(&content) else { return };
        let handle = state.handle;
        let (Some(session), Some(chunks)) = (self.sessions.get_mut(&link), state.chunks_mut()) else {
            return;
        };
        let request = session.on_asked(self.now, content, run);
        chunks.on_asked(run, link, request);
        self.timers.set_if_unset(Timer::Stall(link), self.now + session.stall_timeout());
        self.outputs.push_back(Output::Receive { link, request, content, run });
        let (chunk, offset, len) = (run.first().get(), run.offset(), run.len());
        self.send(link, Message::Request { request, handle, chunk, offset, len });
    }

    /// Every peer that nothing is left for takes something over from a slower one, where that is worth it.
    pub(super) fn relieve_all(&mut self) {
        self.fill_all();
        let links: Vec<LinkId> = self.sessions.keys().copied().collect();
        for link in links {
            if let Some((slow, request)) =
                self.idle_content(link).and_then(|content| self.relief(link, content))
            {
                self.steal(slow, request, link);
            }
        }
    }

    /// A content of which this peer has room for more than there is to ask it for.
    fn idle_content(&self, link: LinkId) -> Option<ContentId> {
        let session = self.sessions.get(&link)?;
        let is_idle = |(content, remote): (&ContentId, &Remote)| {
            let Some(Phase::Fetching(chunks)) = self.contents.get(content).map(|state| &state.phase) else {
                return false;
            };
            let has_room = session.has_room(self.now, u64::from(chunks.geometry().chunk_len_max()));
            has_room && remote.has.as_ref().is_some_and(|has| chunks.next_run(has, 0).is_none())
        };
        session.remotes.iter().find(|each| is_idle(*each)).map(|(content, _)| *content)
    }

    /// Nothing is left to ask this peer for: the request of a slower one that it would finish much sooner, if there is one.
    /// Taking the rest of a request over is this engine's endgame: it fetches nothing twice.
    fn relief(&self, link: LinkId, content: ContentId) -> Option<(LinkId, RequestId)> {
        // Whoever fell silent is no help: two such would rob each other for ever. It has its turn when something is queued.
        let fast = self.sessions.get(&link).filter(|session| !session.is_snubbed())?;
        let has = fast.has(content)?;
        let chunks = self.contents.get(&content)?.chunks()?;
        let rate = fast.rate(self.now);
        let mut worst: Option<(Duration, LinkId, RequestId)> = None;
        for (&other, slow) in self.sessions.iter().filter(|(other, _)| **other != link) {
            let slow_rate = slow.rate(self.now).or(rate);
            for (&request, open) in
                slow.requests.iter().rev().filter(|(_, open)| open.content == content && !open.is_abandoned)
            {
                let mut left = chunks.chunks_from(open.run, open.next);
                if open.missing_len() == 0 || !left.all(|chunk| has.contains(chunk.get())) {
                    continue;
                }
                // What goes from hand to hand stays longer with each, or nobody would have the time to send it.
                let held_time = self.now.since(open.asked_at);
                if held_time < STEAL_MARGIN * (1 << chunks.moves(open.next).min(MOVES_COUNTED_MAX)) {
                    continue;
                }
                // Whoever has been silent for a while is expected to be so for as long again.
                let usual = slow.rtt * 2 + slow.usual_chunk_time();
                let silence = self.now.since(slow.last_received_at).saturating_sub(usual);
                // Where neither has sent anything yet, silence alone counts.
                let time_for =
                    |rate: Option<Rate>, len| rate.map_or(Duration::ZERO, |rate| rate.time_for(len));
                let patience = if slow_rate.is_none() { UNKNOWN_PATIENCE } else { Duration::ZERO };
                let theirs = silence.saturating_sub(patience) + time_for(slow_rate, slow.len_until(request));
                let rest_len = fast.outstanding_len + open.missing_len();
                // A peer that was never asked may be fast: where the other takes very long, it is tried.
                let rate = rate.or(slow_rate.filter(|_| theirs < UNKNOWN_WORTH));
                let ours = fast.rtt + time_for(rate, rest_len);
                let is_worth_it = theirs > ours * STEAL_FACTOR + STEAL_MARGIN;
                if is_worth_it && worst.is_none_or(|(time, ..)| theirs > time) {
                    worst = Some((theirs, other, request));
                }
            }
        }
        worst.map(|(_, other, request)| (other, request))
    }

    /// Takes a request over for a faster peer, who gets the first turn when the stream has ended.
    fn steal(&mut self, link: LinkId, request: RequestId, heir: LinkId) {
        if let Some(open) =
            self.sessions.get_mut(&link).and_then(|session| session.requests.get_mut(&request))
        {
            open.heir = Some(heir);
            let (content, first) = (open.content, open.next);
            if let Some(chunks) = self.contents.get_mut(&content).and_then(|state| state.chunks_mut()) {
                chunks.on_moved(first);
            }
        }
        self.cancel(link, request);
    }

    /// Takes a request away from a peer. What came is kept; the rest is queued when the stream has ended.
    pub(super) fn cancel(&mut self, link: LinkId, request: RequestId) {
        let is_open = self.sessions.get_mut(&link).is_some_and(|session| session.on_abandoned(request));
        if is_open {
            self.send(link, Message::Cancel { request });
            self.outputs.push_back(Output::Abandon { link, request });
        }
    }

    pub(super) fn on_received(&mut self, link: LinkId, request: RequestId, len: u32) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        if !session.on_received(self.now, request, len) {
            return;
        }
        let (node, content) = (session.node, session.requests.get(&request).map(|open| open.content));
        if let Some(totals) = self.peers.totals(node) {
            totals.received_len += u64::from(len);
        }
        if let Some(state) = content.and_then(|content| self.contents.get_mut(&content)) {
            state.last_progress_at = self.now;
        }
        self.fill(link);
    }

    pub(super) fn on_chunk_arrived(&mut self, link: LinkId, request: RequestId, chunk: ChunkIndex) {
        let now = self.now;
        let Some(session) = self.sessions.get_mut(&link) else { return };
        session.on_chunk(now);
        let Some(open) = session.requests.get_mut(&request) else { return };
        open.next = chunk.get() + 1;
        let content = open.content;
        let Some(chunks) = self.contents.get_mut(&content).and_then(|state| state.chunks_mut()) else {
            return;
        };
        chunks.on_released(chunk, link, request);
        if chunks.on_arrived(chunk) {
            open.used_len += chunks.geometry().chunk_len(chunk);
        }
        self.cancel_others(content, chunk);
        self.fill(link);
    }

    /// A chunk is here: whoever else was asked for it alone need not send it.
    fn cancel_others(&mut self, content: ContentId, chunk: ChunkIndex) {
        let Some(chunks) = self.contents.get(&content).and_then(|state| state.chunks()) else { return };
        let is_alone = |(link, request): &(LinkId, RequestId)| {
            let open = self.sessions.get(link).and_then(|session| session.requests.get(request));
            open.is_some_and(|open| chunks.chunks_from(open.run, open.next).count() == 1)
        };
        let needless: Vec<_> = chunks.askers(chunk).into_iter().filter(is_alone).collect();
        for (link, request) in needless {
            self.cancel(link, request);
        }
    }

    pub(super) fn on_slice_kept(
        &mut self,
        link: LinkId,
        request: RequestId,
        chunk: ChunkIndex,
        offset: u32,
        len: u32,
    ) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        let node = session.node;
        let Some(open) = session.requests.get_mut(&request) else { return };
        let content = open.content;
        let Some(chunks) = self.contents.get_mut(&content).and_then(|state| state.chunks_mut()) else {
            return;
        };
        open.used_len += chunks.on_kept(chunk, offset, len, node);
        if chunks.is_put_together(chunk) {
            chunks.on_arrived(chunk);
            self.outputs.push_back(Output::VerifyKept { content, chunk });
        }
    }

    pub(super) fn on_stream_ended(&mut self, link: LinkId, request: RequestId) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        let Some(open) = session.on_ended(request) else { return };
        let is_broken = !open.is_abandoned && open.missing_len() > 0;
        session.broken_streams += u32::from(is_broken);
        let is_useless = session.broken_streams >= BROKEN_STREAMS_MAX;
        self.release(link, request, &open);
        if is_useless {
            // It takes requests and breaks every stream off: asking at once again would go on for ever.
            self.close(link, CloseReason::OfNoUse("breaks off every stream"));
        }
        if let Some(heir) = open.heir {
            self.fill_heir(heir);
        }
        self.fill_all();
    }

    /// A request is over: what it did not bring is queued again.
    pub(super) fn release(&mut self, link: LinkId, request: RequestId, open: &OpenRequest) {
        let Some(state) = self.contents.get_mut(&open.content) else { return };
        state.totals.duplicate_len += u64::from(open.received_len.saturating_sub(open.used_len));
        let Some(chunks) = state.chunks_mut() else { return };
        let rest: Vec<ChunkIndex> = chunks.chunks_from(open.run, 0).collect();
        for chunk in rest {
            chunks.on_released(chunk, link, request);
        }
    }

    pub(super) fn on_reject(&mut self, link: LinkId, request: RequestId, reason: RejectReason) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        let Some(open) = session.requests.get(&request) else { return };
        let (content, run, next) = (open.content, open.run, open.next);
        session.rejections += 1;
        if session.rejections >= REJECTIONS_MAX {
            // It says that it has something and serves, and rejects it, again and again: asking would go on for ever.
            return self.close(link, CloseReason::OfNoUse("rejects what it offers"));
        }
        match reason {
            RejectReason::NotHeld | RejectReason::Unreadable => {
                self.disbelieve(link, content, (run, next), reason == RejectReason::NotHeld);
            }
            // Asking again at once would only be rejected again: it says when it serves.
            RejectReason::Choked | RejectReason::TooMany => session.is_choked = true,
        }
        if self.sessions.get_mut(&link).is_some_and(|session| session.on_abandoned(request)) {
            self.outputs.push_back(Output::Abandon { link, request });
        }
    }

    /// The peer lacks what it said it had: it is not asked for the first missing chunk of that run again.
    fn disbelieve(&mut self, link: LinkId, content: ContentId, (run, next): (Run, u32), was_said: bool) {
        let Some(chunks) = self.contents.get_mut(&content).and_then(|state| state.chunks_mut()) else {
            return;
        };
        let Some(chunk) = chunks.chunks_from(run, next).next() else { return };
        let is_all_there =
            |has: &Bitfield| chunks.chunks_from(run, next).all(|chunk| has.contains(chunk.get()));
        if !self.sessions.get(&link).and_then(|s| s.has(content)).is_some_and(is_all_there) {
            // It took some of the run back, and rejects all of it for that.
            return;
        }
        let node = self.sessions.get(&link).map(|session| session.node);
        let Some(remote) = self.sessions.get_mut(&link).and_then(|s| s.remotes.get_mut(&content)) else {
            return;
        };
        let Some(has) = remote.has.as_mut() else { return };
        let geometry = chunks.geometry().clone();
        if std::mem::take(&mut remote.is_counted_everywhere) {
            chunks.picker.subtract_everywhere();
            chunks.picker.add(&geometry, &has.iter().collect::<Vec<_>>());
        }
        if has.remove(chunk.get()) {
            chunks.picker.subtract(&geometry, &[chunk.get()]);
            // What it lost or left it says first.
            if was_said
                && !remote.has_declined
                && let Some(totals) = node.and_then(|node| self.peers.totals(node))
            {
                totals.lies += 1;
            }
        }
    }

    pub(super) fn on_choke(&mut self, link: LinkId, choked: bool) {
        if let Some(session) = self.sessions.get_mut(&link) {
            session.is_choked = choked;
            self.fill(link);
        }
    }

    pub(super) fn on_chunk_checked(
        &mut self,
        content: ContentId,
        chunk: ChunkIndex,
        from: Option<NodeId>,
        verdict: ChunkVerdict,
    ) {
        let Some(state) = self.contents.get_mut(&content) else { return };
        let Some(chunks) = state.chunks_mut() else { return };
        let len = u64::from(chunks.geometry().chunk_len(chunk));
        // Of a link that was closed meanwhile: what came on it was written off as not needed, or not counted at all.
        let is_late = !chunks.is_checking(chunk);
        match verdict {
            ChunkVerdict::Verified if chunks.on_verified(chunk) => {
                state.totals.fetched_len += len;
                state.last_progress_at = self.now;
                state.flush.pending_len += len;
                if let Some(unannounced) = &mut state.unannounced {
                    unannounced.insert(chunk.get());
                }
                if let Some(totals) = from.and_then(|node| self.peers.totals(node)) {
                    totals.verified_chunks += 1;
                    totals.verified_len += len;
                    totals.received_len += if is_late { len } else { 0 };
                }
                self.on_verified(content, chunk, from);
            }
            ChunkVerdict::Verified => {}
            ChunkVerdict::Corrupt => {
                let blame = chunks.on_corrupt(chunk, from);
                state.totals.corrupt_len += if is_late { 0 } else { len };
                self.on_corrupt(content, chunk, blame);
            }
        }
    }

    fn on_verified(&mut self, content: ContentId, chunk: ChunkIndex, from: Option<NodeId>) {
        if let Some(node) = from {
            self.peers.on_useful(node);
            self.on_proven(node);
        }
        self.cancel_others(content, chunk);
        self.timers.set_if_unset(Timer::Haves(content), self.now + HAVE_DELAY);
        self.timers.set_if_unset(Timer::Flush(content), self.now + FLUSH_INTERVAL);
        let Some(state) = self.contents.get(&content) else { return };
        let is_all_here = state.chunks().is_some_and(Chunks::is_verified);
        let has_window = matches!(state.order, super::Order::Sequential { window_len: Some(_) });
        if state.flush.pending_len >= FLUSH_LEN || is_all_here || has_window {
            self.flush(content);
        }
    }

    /// A chunk of this peer was right: from now on it is asked for more than one at a time.
    fn on_proven(&mut self, node: NodeId) {
        let is_new = |(_, session): &(&LinkId, &mut Session)| session.node == node && !session.is_proven;
        let Some((&link, session)) = self.sessions.iter_mut().find(is_new) else { return };
        session.is_proven = true;
        self.fill(link);
    }

    fn on_corrupt(&mut self, content: ContentId, chunk: ChunkIndex, blame: Blame) {
        let Blame::Certain(node) = blame else {
            self.fill_all();
            return;
        };
        if let Some(totals) = self.peers.totals(node) {
            totals.corrupt_chunks += 1;
        }
        self.accuse_if_repeated(content, node);
        let violation = Violation::Corrupt(chunk.get());
        let Some((&link, session)) = self.sessions.iter().find(|(_, session)| session.node == node) else {
            if !self.peers.is_banned(node) {
                self.peers.ban(node, violation.clone());
                self.emit(Event::PeerBanned { node, violation });
            }
            self.fill_all();
            self.give_up_without_hope();
            return;
        };
        // On a link that is newer than the chunk, the peer may not know the handle yet.
        let is_open = session.remotes.get(&content).is_some_and(|remote| remote.opened.is_some());
        if let Some(handle) = self.contents.get(&content).map(|state| state.handle).filter(|_| is_open) {
            self.send(link, Message::BadChunk { handle, chunk: chunk.get() });
        }
        self.punish(link, violation);
    }

    /// Makes what is verified durable, unless that is under way.
    pub(super) fn flush(&mut self, content: ContentId) {
        let Some(state) = self.contents.get_mut(&content) else { return };
        if state.flush.is_running || state.flush.pending_len == 0 {
            return;
        }
        state.flush = FlushState { pending_len: 0, is_running: true };
        self.timers.cancel(Timer::Flush(content));
        self.outputs.push_back(Output::Flush { content });
    }

    pub(super) fn on_flushed(&mut self, content: ContentId, flushed: &[ChunkIndex]) {
        let Some(state) = self.contents.get_mut(&content) else { return };
        state.flush.is_running = false;
        let has_more = state.flush.pending_len > 0;
        let Some(chunks) = state.chunks_mut() else { return };
        for chunk in flushed {
            chunks.on_durable(*chunk);
        }
        let (is_all_here, has_window) =
            (chunks.is_verified(), matches!(state.order, super::Order::Sequential { window_len: Some(_) }));
        if has_more && (is_all_here || has_window || state.flush.pending_len >= FLUSH_LEN || self.is_stopping)
        {
            self.flush(content);
        } else if has_more {
            self.timers.set_if_unset(Timer::Flush(content), self.now + FLUSH_INTERVAL);
        }
        self.finish_if_durable(content);
        if has_window {
            self.fill_all();
        }
    }

    fn finish_if_durable(&mut self, content: ContentId) {
        let Some(state) = self.contents.get_mut(&content) else { return };
        if !matches!(&state.phase, Phase::Fetching(chunks) if chunks.is_durable()) {
            return;
        }
        if let Phase::Fetching(chunks) = std::mem::replace(&mut state.phase, Phase::Failed) {
            state.phase = Phase::Finishing(chunks);
        }
        self.outputs.push_back(Output::Finish { content });
    }

    pub(super) fn on_finished(&mut self, content: ContentId) {
        self.announce(content);
        let Some(state) = self.contents.get_mut(&content) else { return };
        match std::mem::replace(&mut state.phase, Phase::Failed) {
            Phase::Finishing(chunks) => state.phase = Phase::Complete(chunks),
            other => state.phase = other,
        }
        for link in self.introduced(content) {
            self.say_durable(link, content);
        }
        self.emit(Event::Completed { content });
    }

    /// Ends a fetch without success. What is verified is flushed.
    pub(super) fn fail(&mut self, content: ContentId, failure: FetchFailure) {
        let Some(state) = self.contents.get(&content) else { return };
        if matches!(state.phase, Phase::Failed | Phase::Complete(_)) {
            return;
        }
        self.stop_fetching(content);
        // A store that failed once is flushed once more: it may still record what it holds.
        self.flush(content);
        if let Some(state) = self.contents.get_mut(&content) {
            state.phase = Phase::Failed;
        }
        self.emit(Event::Failed { content, failure });
    }

    /// Nothing came from a peer for too long: all but one of its requests go to others, then the last one too.
    pub(super) fn on_stall_timer(&mut self, link: LinkId) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        if session.outstanding_len == 0 {
            return;
        }
        let deadline = session.last_received_at + session.stall_timeout();
        if deadline > self.now {
            self.timers.set(Timer::Stall(link), deadline);
            return;
        }
        let spared = usize::from(!session.is_snubbed());
        session.silences = session.silences.saturating_add(1);
        session.last_received_at = self.now;
        if let Some(totals) = self.peers.totals(session.node) {
            totals.stalls += 1;
        }
        let open =
            session.requests.iter().filter(|(_, open)| !open.is_abandoned).map(|(request, _)| *request);
        let given_up: Vec<RequestId> = open.skip(spared).collect();
        self.timers.set(Timer::Stall(link), self.now + session.stall_timeout());
        for request in given_up {
            self.cancel(link, request);
        }
        self.fill_all();
    }
}

/// A request is taken over if that brings its end nearer by this factor and margin.
const STEAL_FACTOR: u32 = 3;
/// A chunk that was moved so often stays with each peer for 50 s.
const MOVES_COUNTED_MAX: u32 = 8;
/// Longer than most chunks take in a crowd: what a slow peer needs so long for is given to one whose rate nobody knows.
const UNKNOWN_WORTH: Duration = Duration::from_secs(3);
/// Who waits for its turn at a busy peer is not robbed at once when nobody's rate is known.
const UNKNOWN_PATIENCE: Duration = Duration::from_millis(500);
const STEAL_MARGIN: Duration = Duration::from_millis(200);
/// Streams in a row that a peer may break off before its link is closed, to be tried again later.
const BROKEN_STREAMS_MAX: u32 = 16;
/// Requests in a row that a peer may reject before that. One that chokes this node rejects all that are open.
const REJECTIONS_MAX: u32 = 4 * REQUESTS_OPEN_MAX as u32;
/// A run is at most this part of what is asked of its peer: chunks of a run can be passed on only when all of it has come.
const RUNS_IN_PIPELINE: u64 = 4;
/// Time beyond two round trips for which a busy peer has enough to send, while chunks are scarce. What came since the last
/// report is not counted, so it is often asked a little late: better than too early (1.249 times the bound against 1.277).
const BUSY_MARGIN: Duration = Duration::from_millis(50);
/// How often an idle peer looks for something to take over.
const RELIEF_INTERVAL: Duration = Duration::from_millis(100);
/// Haves are batched this long: 10 to 20 ms cost nobody a turn and save most messages.
const HAVE_DELAY: Duration = Duration::from_millis(15);
/// What a crash may cost: this much time, or this many bytes.
const FLUSH_INTERVAL: Duration = Duration::from_secs(2);
const FLUSH_LEN: u64 = 256 << 20;
