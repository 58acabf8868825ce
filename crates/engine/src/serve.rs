//! Serving: uploads, choking, telling peers what there is.

use std::time::Duration;

use swarm_core::base::{Bitfield, ContentId};
use swarm_core::manifest::ChunkIndex;
use swarm_core::wire::{ChunkRuns, Message, RejectReason, RequestId};

use super::Engine;
use super::content::{Content, Phase};
use super::io::{CloseReason, Event, LinkId, Order, Output, UploadEnd};
use super::session::Session;
use super::timers::Timer;
use super::uploads::Need;

impl Engine {
    /// Starts uploads as long as slots are free.
    pub(super) fn serve(&mut self) {
        while let Some((link, wanted)) = self.uploads.pop(self.now, |link, wanted| {
            let chunks = self.contents.get(&wanted.content).and_then(|state| state.chunks());
            let has = self.sessions.get(&link).and_then(|session| session.has(wanted.content));
            // Whoever lacks more has something else to fetch meanwhile, and would take this one for slow.
            let lacks_little = |has: &Bitfield| has.len() - has.count() <= LACKING_LITTLE;
            has.is_some_and(lacks_little)
                && chunks
                    .is_some_and(|chunks| chunks.picker.is_rarer_than(RARE_BELOW, wanted.run.first().get()))
        }) {
            let (request, content, run) = (wanted.request, wanted.content, wanted.run);
            self.outputs.push_back(Output::Upload { link, request, content, run });
        }
        if self.uploads.has_waiting() {
            // What waits for another peer may go when that takes too long.
            self.timers.set_if_unset(Timer::Rotate, self.now + ROTATE_INTERVAL);
        }
    }

    pub(super) fn on_upload_ended(
        &mut self,
        link: LinkId,
        request: RequestId,
        sent_len: u64,
        end: UploadEnd,
    ) {
        let Some(ended) = self.uploads.on_ended(link, request) else { return };
        self.meter.on_sent(self.now, sent_len, self.uploads.has_waiting());
        if let Some(state) = self.contents.get_mut(&ended.content) {
            state.totals.sent_len += sent_len;
        }
        if let Some(session) = self.sessions.get_mut(&link) {
            // Of a content that was left there is nothing to note.
            if let Some(remote) = session.remotes.get_mut(&ended.content) {
                remote.sent_len += sent_len;
            }
            let node = session.node;
            if let Some(totals) = self.peers.totals(node) {
                totals.sent_len += sent_len;
            }
        }
        if end == UploadEnd::Sent {
            self.on_run_out(link, ended.content, ended.run);
        } else {
            self.on_run_broken_off(link, ended.content, ended.run);
        }
        match end {
            UploadEnd::Sent | UploadEnd::Stopped => {}
            UploadEnd::Stalled => self.close(link, CloseReason::OfNoUse("does not read what it asked for")),
            UploadEnd::Lost(chunk) => {
                self.withdraw(ended.content, chunk);
                self.reject(link, request, RejectReason::Unreadable);
            }
            UploadEnd::Unreadable { chunk, extent, reason } => {
                self.set_aside(ended.content, chunk, extent, reason);
                self.reject(link, request, RejectReason::Unreadable);
            }
        }
        self.serve();
    }

    /// A chunk cannot be served any more: tells everybody, and rejects who waits for it.
    pub(super) fn withdraw(&mut self, content: ContentId, chunk: ChunkIndex) {
        let Some(chunks) = self.contents.get_mut(&content).and_then(|state| state.chunks_mut()) else {
            return;
        };
        if !chunks.on_lost(chunk) {
            return;
        }
        let mut lost = Bitfield::new(chunks.geometry().chunk_count());
        lost.insert(chunk.get());
        self.take_back(content, &lost, RejectReason::NotHeld);
        self.emit(Event::ChunkLost { content, chunk });
    }

    /// Tells everybody what was verified since the last time.
    pub(super) fn announce(&mut self, content: ContentId) {
        self.timers.cancel(Timer::Haves(content));
        let Some(unannounced) = self.contents.get_mut(&content).and_then(|state| state.unannounced.as_mut())
        else {
            return;
        };
        if unannounced.is_empty() {
            return;
        }
        let len = unannounced.len();
        let fresh = ChunkRuns::of(&std::mem::replace(unannounced, Bitfield::new(len)));
        for link in self.introduced(content) {
            self.uploads.on_alive(self.now, link);
            self.send_haves(link, content, fresh.clone());
        }
    }

    /// Tells a peer that offered a content that it may forget its own copy: a Have is said when a chunk is verified, which a
    /// power cut may still undo. What went to a reader's stream is on nobody's disk.
    pub(super) fn say_durable(&mut self, link: LinkId, content: ContentId) {
        let Some(state) = self.contents.get(&content) else { return };
        let Phase::Complete(chunks) = &state.phase else { return };
        let is_kept =
            chunks.have().is_full() && !matches!(state.order, Order::Sequential { window_len: Some(_) });
        let has_offered =
            |session: &Session| session.offers.contains(&content) && session.has(content).is_some();
        let handle = state.handle;
        if is_kept && self.sessions.get(&link).is_some_and(has_offered) {
            self.send(link, Message::Durable { handle });
        }
    }

    pub(super) fn rotate(&mut self) {
        let need = |link: LinkId| {
            let Some(session) = self.sessions.get(&link) else { return Need::Nothing };
            let wanted = session.remotes.iter().filter_map(|(content, remote)| {
                let state = self.contents.get(content)?;
                let is_wanted = state.chunks()?.have().has_beyond(remote.has.as_ref()?);
                is_wanted.then_some(state)
            });
            let holds_back =
                |state: &Content| state.offers.as_ref().is_some_and(|offers| offers.holds_back(link));
            let (mut is_interested, mut is_held_back) = (false, true);
            for state in wanted {
                is_interested = true;
                is_held_back &= holds_back(state);
            }
            match self.now.since(session.last_gain_at) {
                _ if !is_interested => Need::Nothing,
                idle if is_held_back && idle < FORSAKEN_AFTER => Need::Little,
                idle if idle < STARVING_AFTER => Need::More,
                _ => Need::Starving,
            }
        };
        let rotation = self.uploads.rotate(self.now, need);
        for (link, requests) in rotation.choked {
            self.send(link, Message::Choke { choked: true });
            for request in requests {
                self.reject(link, request, RejectReason::Choked);
            }
            self.on_turn(link);
        }
        for link in rotation.unchoked {
            self.send(link, Message::Choke { choked: false });
            self.on_turn(link);
        }
        if self.uploads.has_choked() {
            self.timers.set(Timer::Rotate, self.now + ROTATE_INTERVAL);
        }
        self.serve();
    }

    /// Links on which both sides know the manifest.
    pub(super) fn introduced(&self, content: ContentId) -> Vec<LinkId> {
        let is_introduced = |session: &super::session::Session| session.has(content).is_some();
        self.sessions.iter().filter(|(_, session)| is_introduced(session)).map(|(link, _)| *link).collect()
    }
}

/// A chunk that hardly anybody has is sent to one peer at a time where all else is there: whoever has it first passes it on, and
/// sent to ten at once the first would have it as late as the last.
const RARE_BELOW: u32 = 3;
const LACKING_LITTLE: u32 = 2;
/// Whoever gets nothing from anybody for so long is not to wait for a whole slot's time.
const STARVING_AFTER: Duration = Duration::from_secs(10);
/// Whoever passes nothing on is not to wait until it gives up, which a fetch does after a minute.
const FORSAKEN_AFTER: Duration = Duration::from_secs(30);
/// How often it is looked whether slots are to change hands when somebody waits for one.
pub(super) const ROTATE_INTERVAL: Duration = Duration::from_secs(2);
