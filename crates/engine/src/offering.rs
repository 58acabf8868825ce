//! A lone seed's offers on the wire: Have for what a peer is offered, Lost for what it saw while it was alone.

use std::time::Duration;

use swarm_core::base::{Bitfield, ContentId, Instant};
use swarm_core::manifest::{Geometry, Run};
use swarm_core::wire::{ChunkRuns, Message};

use super::Engine;
use super::capacity::Slots;
use super::io::LinkId;
use super::offers::Offers;
use super::timers::Timer;
use super::uploads::SLOTS_MAX;

impl Engine {
    /// Both know the manifest now, and this node has the only full copy. A peer that is alone sees everything.
    pub(super) fn offer_to_newcomer(&mut self, link: LinkId, content: ContentId) {
        let Some(state) = self.contents.get_mut(&content).filter(|state| state.offers.is_some()) else {
            return;
        };
        let Some(geometry) = state.chunks().map(|chunks| chunks.geometry().clone()) else { return };
        let Some(offers) = &mut state.offers else { return };
        if !self.uploads.is_unchoked(link) {
            // It could take nothing of what it is offered.
            return;
        }
        offers.on_link(&geometry, link);
        match offers.links().as_slice() {
            [_] => self.show_all(link, content),
            [a, b] => {
                for peer in [*a, *b] {
                    self.show_less(peer, content);
                    self.offer(peer, content);
                }
            }
            _ => self.offer(link, content),
        }
        self.timers.set_if_unset(Timer::Offers(content), self.now + LOOK_INTERVAL);
    }

    fn show_all(&mut self, link: LinkId, content: ContentId) {
        let Some(state) = self.contents.get_mut(&content) else { return };
        if let Some(offers) = &mut state.offers {
            offers.show_all(link, true);
        }
        let haves = state.chunks().map(|chunks| ChunkRuns::of(chunks.have())).unwrap_or_default();
        self.send_haves(link, content, haves);
    }

    /// Takes back the sight of everything but what the peer asked for.
    fn show_less(&mut self, link: LinkId, content: ContentId) {
        let Some(state) = self.contents.get_mut(&content) else { return };
        let (handle, Some(offers)) = (state.handle, &mut state.offers) else { return };
        if !offers.sees_all(link) {
            return;
        }
        offers.show_all(link, false);
        let pending = offers.pending(link);
        let hidden: Bitfield = (0..pending.len()).map(|chunk| !pending.contains(chunk)).collect();
        for chunks in ChunkRuns::of(&hidden) {
            self.send(link, Message::Lost { handle, chunks });
        }
    }

    fn offer(&mut self, link: LinkId, content: ContentId) {
        let Some(state) = self.contents.get_mut(&content) else { return };
        let Some(has) = self.sessions.get(&link).and_then(|session| session.has(content)) else { return };
        let Some(geometry) = state.chunks().map(|chunks| chunks.geometry().clone()) else { return };
        let Some(offers) = &mut state.offers else { return };
        let mut fresh = Bitfield::new(geometry.chunk_count());
        for chunk in offers.top_up(&geometry, link, has) {
            fresh.insert(chunk);
        }
        let is_idle = fresh.is_empty() && offers.has_nothing_for(link) && !offers.sees_all(link);
        if fresh.is_empty() && offers.is_drained(link) {
            self.uploads.excuse(link);
        }
        let haves = ChunkRuns::of(&fresh);
        self.send_haves(link, content, haves);
        if is_idle {
            self.show_all(link, content);
        }
        self.end_offers_if_over(content);
    }

    pub(super) fn on_offer_taken(&mut self, link: LinkId, content: ContentId, run: Run) {
        let Some(state) = self.contents.get_mut(&content).filter(|state| state.offers.is_some()) else {
            return;
        };
        let Some(geometry) = state.chunks().map(|chunks| chunks.geometry().clone()) else { return };
        if let Some(offers) = &mut state.offers {
            geometry.pieces(run).for_each(|piece| offers.on_asked(&geometry, link, piece.chunk.get()));
        }
        self.offer(link, content);
    }

    /// A run was sent whole.
    pub(super) fn on_run_out(&mut self, link: LinkId, content: ContentId, run: Run) {
        let Some(state) = self.contents.get(&content).filter(|state| state.offers.is_some()) else { return };
        let Some(chunks) = state.chunks() else { return };
        let sent: Vec<u32> = chunks.geometry().pieces(run).map(|piece| piece.chunk.get()).collect();
        self.on_chunks_out(link, content, &sent, Offers::on_sent);
    }

    /// A peer says that it has these chunks.
    pub(super) fn on_chunks_announced(&mut self, link: LinkId, content: ContentId, fresh: &[u32]) {
        self.on_chunks_out(link, content, fresh, Offers::on_announced);
    }

    fn on_chunks_out(
        &mut self,
        link: LinkId,
        content: ContentId,
        out: &[u32],
        note: fn(&mut Offers, Instant, &Geometry, LinkId, u32) -> bool,
    ) {
        let now = self.now;
        let Some(state) = self.contents.get_mut(&content).filter(|state| state.offers.is_some()) else {
            return;
        };
        let Some(geometry) = state.chunks().map(|chunks| chunks.geometry().clone()) else { return };
        let Some(offers) = &mut state.offers else { return };
        let mut is_news = false;
        for &chunk in out {
            is_news |= note(offers, now, &geometry, link, chunk);
        }
        if is_news {
            for link in offers.links() {
                self.offer(link, content);
            }
            self.end_offers_if_over(content);
        }
    }

    /// A peer has lost its turn, or got one: what it was offered goes to others, or it is offered something.
    pub(super) fn on_turn(&mut self, link: LinkId) {
        let Some(session) = self.sessions.get(&link) else { return };
        let contents: Vec<ContentId> = session.remotes.keys().copied().collect();
        let is_unchoked = self.uploads.is_unchoked(link);
        for content in contents {
            if is_unchoked {
                self.offer_again(link, content);
            } else {
                self.withhold(link, content);
            }
        }
    }

    /// Nothing more is sent to a peer than what was begun.
    fn withhold(&mut self, link: LinkId, content: ContentId) {
        let Some(state) = self.contents.get_mut(&content).filter(|state| state.offers.is_some()) else {
            return;
        };
        let Some(geometry) = state.chunks().map(|chunks| chunks.geometry().clone()) else { return };
        let Some(offers) = &mut state.offers else { return };
        let runs = self.uploads.active_runs(link, content);
        let begun: Vec<u32> =
            runs.flat_map(|run| geometry.pieces(run).map(|piece| piece.chunk.get())).collect();
        offers.on_choked(link, |chunk| begun.contains(&chunk));
    }

    /// A run was not sent to its end.
    pub(super) fn on_run_broken_off(&mut self, link: LinkId, content: ContentId, run: Run) {
        let Some(state) = self.contents.get_mut(&content).filter(|state| state.offers.is_some()) else {
            return;
        };
        let Some(geometry) = state.chunks().map(|chunks| chunks.geometry().clone()) else { return };
        if let Some(offers) = &mut state.offers {
            geometry.pieces(run).for_each(|piece| offers.on_broken_off(link, piece.chunk.get()));
        }
    }

    fn offer_again(&mut self, link: LinkId, content: ContentId) {
        let is_introduced = self.sessions.get(&link).is_some_and(|session| session.has(content).is_some());
        if is_introduced && self.contents.get(&content).is_some_and(|state| state.offers.is_some()) {
            self.offer_to_newcomer(link, content);
        }
    }

    /// A lone seed serves few at once; how many fill its uplink shows in time.
    pub(super) fn look_at_slots(&mut self) {
        let is_alone = self.contents.values().any(|state| state.offers.is_some());
        if !is_alone {
            self.slots = None;
            return self.uploads.set_slots(SLOTS_MAX);
        }
        let sent_len = self.meter.sent_len;
        let slots = self.slots.get_or_insert_with(|| Slots::new(self.now, sent_len));
        self.uploads.set_slots(slots.count());
        self.timers.set_if_unset(Timer::Slots, self.now + SLOTS_INTERVAL);
    }

    pub(super) fn on_slots_timer(&mut self) {
        let (sent_len, now) = (self.meter.sent_len, self.now);
        if let Some(slots) = self.slots.as_mut().filter(|_| self.uploads.has_choked()) {
            let before = slots.count();
            let after = slots.look(now, sent_len);
            self.uploads.set_slots(after);
            if after != before {
                self.rotate();
            }
        }
        if !self.sessions.is_empty() {
            self.look_at_slots();
        }
    }

    pub(super) fn on_offered_link_down(&mut self, link: LinkId, content: ContentId) {
        let Some(offers) = self.contents.get_mut(&content).and_then(|state| state.offers.as_mut()) else {
            return;
        };
        offers.on_link_down(link);
        if let [alone] = offers.links().as_slice()
            && !offers.sees_all(*alone)
        {
            self.show_all(*alone, content);
        }
    }

    /// No chunk hangs on one peer: everybody may see everything.
    fn end_offers_if_over(&mut self, content: ContentId) {
        let Some(state) = self.contents.get_mut(&content) else { return };
        if state.offers.as_ref().is_some_and(|offers| offers.is_over()) {
            self.end_offers(content);
        }
    }

    /// Everybody may see everything from now on.
    pub(super) fn end_offers(&mut self, content: ContentId) {
        let Some(state) = self.contents.get_mut(&content) else { return };
        let Some(offers) = state.offers.take() else { return };
        self.timers.cancel(Timer::Offers(content));
        let haves = state.chunks().map(|chunks| ChunkRuns::of(chunks.have())).unwrap_or_default();
        for link in self.introduced(content).into_iter().filter(|link| !offers.sees_all(*link)) {
            self.uploads.on_alive(self.now, link);
            self.send_haves(link, content, haves.clone());
        }
        self.look_at_slots();
    }

    /// Whoever wants nothing of what it was offered (other files, another order) sees everything.
    pub(super) fn look_at_offers(&mut self, content: ContentId) {
        let Some(offers) = self.contents.get_mut(&content).and_then(|state| state.offers.as_mut()) else {
            return;
        };
        let quiet = offers.look(self.now);
        let has_links = !offers.links().is_empty();
        for link in quiet {
            self.show_all(link, content);
        }
        if has_links {
            self.timers.set(Timer::Offers(content), self.now + LOOK_INTERVAL);
        }
    }
}

/// How often a lone seed looks for peers that want nothing of what they were offered.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often a lone seed sees whether more at once would take more.
const SLOTS_INTERVAL: Duration = Duration::from_secs(4);
