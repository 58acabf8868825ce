//! A lone seed on the wire: Have for what super-seeding reveals to a peer, Lost for what the peer saw while it was alone, and few
//! unchoke slots while there is one seed. What is revealed to which peer is decided in `super_seeding`, how many slots in `capacity`.
//! Invariant: a peer without a slot has nothing revealed to it but what is being sent.

use std::collections::BTreeMap;
use std::time::Duration;

use swarm_core::base::{Bitfield, ContentId, Instant};
use swarm_core::manifest::{Geometry, Run};
use swarm_core::wire::{ChunkRuns, Message};

use super::capacity::Slots;
use super::download::Downloads;
use super::io::LinkId;
use super::serving::{Serving, send_haves};
use super::session::Session;
use super::super_seeding::SuperSeeding;
use super::timers::Timer;
use super::turn::Turn;
use super::uploads::SLOTS_MAX;

impl Serving {
    /// Both sides know the manifest now, and this node has the only full copy. A peer that is alone sees everything.
    pub(super) fn reveal_to_newcomer(
        &mut self,
        turn: &mut Turn,
        downloads: &Downloads,
        link: LinkId,
        content: ContentId,
    ) {
        let Some((seeding, geometry)) = seeding(&mut self.seedings, downloads, content) else { return };
        if !self.uploads.is_unchoked(link) {
            // It could take nothing of what is revealed.
            return;
        }
        seeding.on_link(geometry, link);
        match seeding.links().as_slice() {
            [_] => self.show_all(turn, downloads, link, content),
            [a, b] => {
                for peer in [*a, *b] {
                    self.show_less(turn, downloads, peer, content);
                    self.reveal(turn, downloads, peer, content);
                }
            }
            _ => self.reveal(turn, downloads, link, content),
        }
        turn.timers.set_if_unset(Timer::Reveals(content), turn.now + LOOK_INTERVAL);
    }

    fn show_all(&mut self, turn: &mut Turn, downloads: &Downloads, link: LinkId, content: ContentId) {
        if let Some(seeding) = self.seedings.get_mut(&content) {
            seeding.show_all(link, true);
        }
        let haves = downloads.chunks(content).map(|chunks| ChunkRuns::of(chunks.have()));
        send_haves(turn, downloads, link, content, haves.unwrap_or_default());
    }

    /// Takes back the sight of everything but what the peer asked for.
    fn show_less(&mut self, turn: &mut Turn, downloads: &Downloads, link: LinkId, content: ContentId) {
        let Some(seeding) = self.seedings.get_mut(&content).filter(|seeding| seeding.sees_all(link)) else {
            return;
        };
        let Some(handle) = downloads.handle(content) else { return };
        seeding.show_all(link, false);
        let pending = seeding.pending(link);
        let hidden: Bitfield = (0..pending.len()).map(|chunk| !pending.contains(chunk)).collect();
        for chunks in ChunkRuns::of(&hidden) {
            turn.send(link, Message::Lost { handle, chunks });
        }
    }

    fn reveal(&mut self, turn: &mut Turn, downloads: &Downloads, link: LinkId, content: ContentId) {
        let Some(has) = downloads.has(link, content) else { return };
        let Some((seeding, geometry)) = seeding(&mut self.seedings, downloads, content) else { return };
        let mut fresh = Bitfield::new(geometry.chunk_count());
        for chunk in seeding.top_up(geometry, link, has) {
            fresh.insert(chunk);
        }
        let is_idle = fresh.is_empty() && seeding.has_nothing_for(link) && !seeding.sees_all(link);
        if fresh.is_empty() && seeding.is_drained(link) {
            self.uploads.excuse(link);
        }
        send_haves(turn, downloads, link, content, ChunkRuns::of(&fresh));
        if is_idle {
            self.show_all(turn, downloads, link, content);
        }
        self.end_if_spread(turn, downloads, content);
    }

    pub(super) fn on_reveal_taken(
        &mut self,
        turn: &mut Turn,
        downloads: &Downloads,
        link: LinkId,
        content: ContentId,
        run: Run,
    ) {
        let Some((seeding, geometry)) = seeding(&mut self.seedings, downloads, content) else { return };
        geometry.pieces(run).for_each(|piece| seeding.on_asked(geometry, link, piece.chunk.get()));
        self.reveal(turn, downloads, link, content);
    }

    /// A run was sent whole.
    pub(super) fn on_run_out(
        &mut self,
        turn: &mut Turn,
        downloads: &Downloads,
        link: LinkId,
        content: ContentId,
        run: Run,
    ) {
        let Some(chunks) = downloads.chunks(content) else { return };
        let sent: Vec<u32> = chunks.geometry().pieces(run).map(|piece| piece.chunk.get()).collect();
        self.on_chunks_out(turn, downloads, (link, content), &sent, SuperSeeding::on_sent);
    }

    /// A peer says that it has these chunks.
    pub(super) fn on_chunks_announced(
        &mut self,
        turn: &mut Turn,
        downloads: &Downloads,
        link: LinkId,
        content: ContentId,
        fresh: &[u32],
    ) {
        self.on_chunks_out(turn, downloads, (link, content), fresh, SuperSeeding::on_announced);
    }

    fn on_chunks_out(
        &mut self,
        turn: &mut Turn,
        downloads: &Downloads,
        (link, content): (LinkId, ContentId),
        out: &[u32],
        note: fn(&mut SuperSeeding, Instant, &Geometry, LinkId, u32) -> bool,
    ) {
        let Some((seeding, geometry)) = seeding(&mut self.seedings, downloads, content) else { return };
        let mut is_news = false;
        for &chunk in out {
            is_news |= note(seeding, turn.now, geometry, link, chunk);
        }
        if is_news {
            for link in seeding.links() {
                self.reveal(turn, downloads, link, content);
            }
            self.end_if_spread(turn, downloads, content);
        }
    }

    /// A peer has lost its unchoke slot, or got one: what was revealed to it goes to other peers, or something is revealed to it.
    pub(super) fn on_slot(&mut self, turn: &mut Turn, downloads: &Downloads, link: LinkId) {
        let contents: Vec<ContentId> = self.seedings.keys().copied().collect();
        let is_unchoked = self.uploads.is_unchoked(link);
        for content in contents {
            if !is_unchoked {
                self.withhold(downloads, link, content);
            } else if downloads.has(link, content).is_some() {
                self.reveal_to_newcomer(turn, downloads, link, content);
            }
        }
    }

    /// Nothing more is sent to a peer than what was begun.
    fn withhold(&mut self, downloads: &Downloads, link: LinkId, content: ContentId) {
        let Some((seeding, geometry)) = seeding(&mut self.seedings, downloads, content) else { return };
        let runs = self.uploads.active_runs(link, content);
        let begun: Vec<u32> =
            runs.flat_map(|run| geometry.pieces(run).map(|piece| piece.chunk.get())).collect();
        seeding.on_choked(link, |chunk| begun.contains(&chunk));
    }

    /// A run was not sent to its end.
    pub(super) fn on_run_broken_off(
        &mut self,
        downloads: &Downloads,
        link: LinkId,
        content: ContentId,
        run: Run,
    ) {
        if let Some((seeding, geometry)) = seeding(&mut self.seedings, downloads, content) {
            geometry.pieces(run).for_each(|piece| seeding.on_broken_off(link, piece.chunk.get()));
        }
    }

    /// A lone seed serves few at once; how many fill its uplink shows in time.
    pub(super) fn look_at_slots(&mut self, turn: &mut Turn) {
        if self.seedings.is_empty() {
            self.slots = None;
            return self.uploads.set_slots(SLOTS_MAX);
        }
        let sent_len = self.meter.sent_len;
        let slots = self.slots.get_or_insert_with(|| Slots::new(turn.now, sent_len));
        self.uploads.set_slots(slots.count());
        turn.timers.set_if_unset(Timer::Slots, turn.now + SLOTS_INTERVAL);
    }

    /// Looks how many slots fill the uplink; where that changed, they change hands at once.
    pub(super) fn on_slots_timer(
        &mut self,
        turn: &mut Turn,
        downloads: &Downloads,
        sessions: &BTreeMap<LinkId, Session>,
    ) {
        let sent_len = self.meter.sent_len;
        if let Some(slots) = self.slots.as_mut().filter(|_| self.uploads.has_choked()) {
            let before = slots.count();
            let after = slots.look(turn.now, sent_len);
            self.uploads.set_slots(after);
            if after != before {
                self.rotate(turn, downloads, sessions);
            }
        }
        if !sessions.is_empty() {
            self.look_at_slots(turn);
        }
    }

    /// A peer takes no part any more: one that is left alone sees everything.
    pub(super) fn on_part_ended(
        &mut self,
        turn: &mut Turn,
        downloads: &Downloads,
        link: LinkId,
        content: ContentId,
    ) {
        let Some(seeding) = self.seedings.get_mut(&content) else { return };
        seeding.on_link_down(link);
        if let [alone] = seeding.links().as_slice()
            && !seeding.sees_all(*alone)
        {
            self.show_all(turn, downloads, *alone, content);
        }
    }

    /// No chunk hangs on one peer.
    fn end_if_spread(&mut self, turn: &mut Turn, downloads: &Downloads, content: ContentId) {
        if self.seedings.get(&content).is_some_and(SuperSeeding::is_over) {
            self.end_seeding(turn, downloads, content);
        }
    }

    /// Every peer may see everything from now on.
    pub(super) fn end_seeding(&mut self, turn: &mut Turn, downloads: &Downloads, content: ContentId) {
        let Some(seeding) = self.seedings.remove(&content) else { return };
        turn.timers.cancel(Timer::Reveals(content));
        let haves = downloads.chunks(content).map(|chunks| ChunkRuns::of(chunks.have())).unwrap_or_default();
        for link in downloads.introduced(content).into_iter().filter(|link| !seeding.sees_all(*link)) {
            self.uploads.on_alive(turn.now, link);
            send_haves(turn, downloads, link, content, haves.clone());
        }
        self.look_at_slots(turn);
    }

    /// A peer that wants nothing of what was revealed to it (other files, another order) sees everything.
    pub(super) fn look_at_reveals(&mut self, turn: &mut Turn, downloads: &Downloads, content: ContentId) {
        let Some(seeding) = self.seedings.get_mut(&content) else { return };
        let quiet = seeding.look(turn.now);
        let has_links = !seeding.links().is_empty();
        for link in quiet {
            self.show_all(turn, downloads, link, content);
        }
        if has_links {
            turn.timers.set(Timer::Reveals(content), turn.now + LOOK_INTERVAL);
        }
    }
}

/// The super-seeding of a content and the places of its chunks.
fn seeding<'a, 'b>(
    seedings: &'a mut BTreeMap<ContentId, SuperSeeding>,
    downloads: &'b Downloads,
    content: ContentId,
) -> Option<(&'a mut SuperSeeding, &'b Geometry)> {
    Some((seedings.get_mut(&content)?, downloads.chunks(content)?.geometry()))
}

/// How often a lone seed looks for peers that want nothing of what was revealed to them.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often a lone seed sees whether more at once would take more.
const SLOTS_INTERVAL: Duration = Duration::from_secs(4);
