//! A fetch from its join to its end: opening, what a check means for both sides, durability, success and failure. Which peer is asked
//! for what is the transfer's.

use swarm_core::base::{Bitfield, ContentId, NodeId};
use swarm_core::manifest::ChunkIndex;
use swarm_core::wire::{Handle, Message, RejectReason, RequestId};

use super::Engine;
use super::chunks::{Blame, Chunks};
use super::content::{Content, Phase};
use super::download::Checked;
use super::input::{ChunkVerdict, Join, Kept};
use super::io::{CloseReason, Event, LinkId, UploadEnd};
use super::participation::Participation;
use super::serving::reject;
use super::session::Session;
use super::timers::Timer;
use super::violation::Violation;

impl Engine {
    pub(super) fn on_join(&mut self, join: Join) {
        self.next_handle += 1;
        let (content, patience, handle) = (join.content, join.patience, Handle(self.next_handle));
        let is_unknown = join.manifest.is_none();
        self.transfer.join(content, handle);
        self.serving.forget(content);
        self.contents.by_id.insert(content, Content::new(self.turn.now, handle, join));
        if let Some(patience) = patience {
            self.turn.timers.set(Timer::Patience(content), self.turn.now + patience.idle);
            self.turn.timers.set(Timer::Search(content), self.turn.now + patience.search);
        }
        if is_unknown {
            // A peer that is linked already may know it.
            let links: Vec<LinkId> = self.sessions.by_link.keys().copied().collect();
            links.into_iter().for_each(|link| self.open(link, content));
            self.contents.ask_for_manifests(&mut self.turn, &self.sessions.by_link);
        }
        self.dial_due();
    }

    pub(super) fn on_store_opened(
        &mut self,
        content: ContentId,
        (durable, wanted): (&Bitfield, &Bitfield),
        kept: Kept,
    ) {
        let salt_seed = self.turn.rng.next_u64();
        let Some(state) = self.contents.by_id.get_mut(&content) else { return };
        let Phase::Opening(manifest) = &state.phase else { return };
        let mut chunks = Chunks::new(manifest.clone(), durable, wanted, state.order, salt_seed);
        chunks.begin(kept);
        let wants = !chunks.is_durable();
        state.phase = Phase::Fetching;
        state.last_progress_at = self.turn.now;
        self.transfer.open(content, chunks);
        self.serving.open(&mut self.turn, &self.transfer.downloads, content);
        // Peers that asked for it before it was here are answered now; the rest need not know.
        let is_concerned = |session: &Session| {
            session.participation(content).is_some()
                || session.opens.contains(content)
                || self.dialing.peers.is_pushed(session.node, content)
        };
        let concerned = self.sessions.by_link.iter().filter(|(_, session)| wants || is_concerned(session));
        let links: Vec<LinkId> = concerned.map(|(link, _)| *link).collect();
        for link in links {
            self.open(link, content);
            self.introduce(link, content);
        }
        if let Some(state) = self.contents.by_id.get_mut(&content) {
            state.finish_if_durable(&mut self.turn, content, &mut self.transfer);
        }
        self.dial_due();
        self.contents.give_up_without_hope(&mut self.turn, &mut self.transfer, &self.dialing);
    }

    pub(super) fn on_received(&mut self, link: LinkId, request: RequestId, len: u32) {
        let Some(content) = self.transfer.on_received(&mut self.turn, link, request, len) else { return };
        let node = self.sessions.by_link.get(&link).map(|session| session.node);
        if let Some(totals) = node.and_then(|node| self.dialing.peers.totals(node)) {
            totals.received_len += u64::from(len);
        }
        if let Some(state) = self.contents.by_id.get_mut(&content) {
            state.last_progress_at = self.turn.now;
        }
    }

    pub(super) fn on_stream_ended(&mut self, link: LinkId, request: RequestId) {
        let Some(end) = self.transfer.on_stream_ended(link, request) else { return };
        if end.is_useless {
            // It takes requests and breaks every stream off: a request right away would go on for ever.
            self.close(link, CloseReason::OfNoUse("breaks off every stream"));
        }
        if let Some(successor) = end.successor {
            self.transfer.fill_successor(&mut self.turn, successor);
        }
        self.transfer.fill_all(&mut self.turn);
    }

    pub(super) fn on_chunk_checked(
        &mut self,
        content: ContentId,
        chunk: ChunkIndex,
        from: Option<NodeId>,
        verdict: ChunkVerdict,
    ) {
        match self.transfer.downloads.on_checked(content, chunk, from, verdict) {
            Checked::Fresh { len, is_late } => {
                if let Some(totals) = from.and_then(|node| self.dialing.peers.totals(node)) {
                    totals.verified_chunks += 1;
                    totals.verified_len += len;
                    totals.received_len += if is_late { len } else { 0 };
                }
                if let Some(node) = from {
                    self.dialing.peers.on_useful(node);
                }
                self.transfer.on_verified(&mut self.turn, content, chunk, from);
                self.serving.on_verified(&mut self.turn, content, chunk);
                let is_last = self.transfer.downloads.chunks(content).is_some_and(Chunks::is_verified);
                if let Some(state) = self.contents.by_id.get_mut(&content) {
                    state.on_verified(&mut self.turn, content, len, is_last);
                }
            }
            Checked::Known => {}
            Checked::Corrupt(Blame::Certain(node)) => self.on_corrupt(content, chunk, node),
            Checked::Corrupt(Blame::Shared) => self.transfer.fill_all(&mut self.turn),
        }
    }

    /// A node sent a wrong chunk: it is told so, and banned.
    fn on_corrupt(&mut self, content: ContentId, chunk: ChunkIndex, node: NodeId) {
        if let Some(totals) = self.dialing.peers.totals(node) {
            totals.corrupt_chunks += 1;
        }
        let downloads = &self.transfer.downloads;
        // A second wrong chunk is no accident: all that take part hear of it, once.
        if self.dialing.peers.begin_accusing(node)
            && let Some(handle) = downloads.handle(content)
        {
            let links = downloads.introduced(content);
            self.sessions.say_accusation(&mut self.turn, &links, handle, node);
        }
        let violation = Violation::Corrupt(chunk.get());
        let Some((&link, session)) = self.sessions.by_link.iter().find(|(_, session)| session.node == node)
        else {
            if !self.dialing.peers.is_banned(node) {
                self.dialing.peers.ban(node, violation.clone());
                self.turn.emit(Event::PeerBanned { node, violation });
            }
            self.transfer.fill_all(&mut self.turn);
            self.contents.give_up_without_hope(&mut self.turn, &mut self.transfer, &self.dialing);
            return;
        };
        // On a link that is newer than the chunk, the peer may not know the handle yet.
        let is_open = session.participation(content).is_some_and(Participation::is_opened_here);
        if let Some(handle) = self.transfer.downloads.handle(content).filter(|_| is_open) {
            self.turn.send(link, Message::BadChunk { handle, chunk: chunk.get() });
        }
        self.punish(link, violation);
    }

    pub(super) fn on_finished(&mut self, content: ContentId) {
        self.serving.announce(&mut self.turn, &self.transfer.downloads, content);
        let Some(state) = self.contents.by_id.get_mut(&content) else { return };
        if matches!(state.phase, Phase::Finishing) {
            state.phase = Phase::Complete;
        }
        if state.is_kept(&self.transfer, content) {
            for link in self.transfer.downloads.introduced(content) {
                self.sessions.say_durable(&mut self.turn, link, (content, state.handle));
            }
        }
        self.turn.emit(Event::Completed { content });
    }

    pub(super) fn on_upload_ended(
        &mut self,
        link: LinkId,
        request: RequestId,
        sent_len: u64,
        end: UploadEnd,
    ) {
        let Some(ended) = self.serving.on_upload_ended(&mut self.turn, (link, request), sent_len) else {
            return;
        };
        self.transfer.downloads.count_sent(ended.content, sent_len);
        if let Some(session) = self.sessions.by_link.get_mut(&link) {
            // Of a content that was left there is nothing to note.
            if let Some(remote) = session.remotes.get_mut(&ended.content) {
                remote.sent_len += sent_len;
            }
            if let Some(totals) = self.dialing.peers.totals(session.node) {
                totals.sent_len += sent_len;
            }
        }
        let (turn, downloads) = (&mut self.turn, &mut self.transfer.downloads);
        if end == UploadEnd::Sent {
            self.serving.on_run_out(turn, downloads, link, ended.content, ended.run);
        } else {
            self.serving.on_run_broken_off(downloads, link, ended.content, ended.run);
        }
        match end {
            UploadEnd::Sent | UploadEnd::Stopped => {}
            UploadEnd::Stalled => self.close(link, CloseReason::OfNoUse("does not read what it asked for")),
            UploadEnd::Lost(chunk) => {
                self.serving.withdraw(turn, downloads, ended.content, chunk);
                reject(turn, link, request, RejectReason::Unreadable);
            }
            UploadEnd::Unreadable { chunk, extent, reason } => {
                self.serving.set_aside(turn, downloads, (ended.content, chunk), extent, reason);
                reject(turn, link, request, RejectReason::Unreadable);
            }
        }
        self.serving.serve(&mut self.turn, &self.transfer.downloads);
    }
}
