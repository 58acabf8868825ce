//! Messages about a content that both sides opened: chunks named and taken back, requests, manifest pages, complaints. Everything that
//! a peer names is minted or refused here.

use swarm_core::base::limits::MANIFEST_PAGE_LEN;
use swarm_core::base::{Bitfield, ContentId};
use swarm_core::wire::{ChunkRuns, Handle, Message, RejectReason, RequestId};

use super::Engine;
use super::content::Phase;
use super::io::{CloseReason, Event, FetchFailure, LinkId, RunRequest};
use super::manifest_fetch::PageOutcome;
use super::serving::reject;
use super::timers::Timer;
use super::violation::Violation;

/// One content on one link: the peer opened it, this node takes part, and the access table grants it to the peer.
pub(super) struct Part<'a> {
    pub(super) engine: &'a mut Engine,
    pub(super) link: LinkId,
    pub(super) content: ContentId,
}

impl Engine {
    /// Handles a message about a content that the peer names by its handle. If this node takes no part in it or the peer may not have
    /// it, that is no fault: either may have changed while the message was on its way.
    pub(super) fn on_part(
        &mut self,
        link: LinkId,
        handle: Handle,
        message: Message,
    ) -> Result<(), Violation> {
        let Some(session) = self.sessions.by_link.get(&link) else { return Ok(()) };
        let content = session.opens.content(handle)?;
        if self.contents.by_id.contains_key(&content) && self.sessions.may_have(link, content) {
            return Part { engine: self, link, content }.on_message(message);
        }
        if let Message::Request { request, .. } = message {
            reject(&mut self.turn, link, request, RejectReason::NotHeld);
        }
        Ok(())
    }
}

impl Part<'_> {
    fn on_message(&mut self, message: Message) -> Result<(), Violation> {
        match message {
            Message::ManifestRequest { page, .. } => self.on_manifest_request(page),
            Message::ManifestPage { page, body_len, data, .. } => {
                self.on_manifest_page((page, body_len), &data)
            }
            Message::Have { chunks, .. } => self.on_have(&chunks),
            Message::Lost { chunks, .. } => self.on_lost(&chunks),
            Message::Request { request, chunk, offset, len, .. } => {
                self.on_request(request, (chunk, offset, len))
            }
            Message::Durable { .. } => {
                self.on_peer_durable();
                Ok(())
            }
            Message::BadChunk { chunk, .. } => self.on_bad_chunk(chunk),
            Message::BadPeer { node, .. } => {
                self.on_bad_peer(node);
                Ok(())
            }
            Message::Peers { sources, .. } => {
                self.on_peers(sources);
                Ok(())
            }
            Message::Hello(_)
            | Message::Open { .. }
            | Message::Decline { .. }
            | Message::Cancel { .. }
            | Message::Reject { .. }
            | Message::Choke { .. } => Ok(()),
        }
    }

    fn on_manifest_request(&mut self, page: u32) -> Result<(), Violation> {
        let (link, content) = (self.link, self.content);
        let Some(state) = self.engine.contents.by_id.get(&content) else { return Ok(()) };
        let chunks = self.engine.transfer.downloads.chunks(content);
        let Some(manifest) = chunks.map(super::chunks::Chunks::manifest).or(state.opening()) else {
            return Err(Violation::OutOfOrder("a manifest was asked for that this node never offered"));
        };
        let body = manifest.body();
        let start = page as usize * MANIFEST_PAGE_LEN;
        if start >= body.len() {
            return Err(Violation::Range("a manifest page"));
        }
        let pages_max =
            (body.len().div_ceil(MANIFEST_PAGE_LEN) as u32).saturating_mul(MANIFESTS_PER_LINK_MAX);
        let remote =
            self.engine.sessions.by_link.get_mut(&link).and_then(|session| session.remotes.get_mut(&content));
        if remote.is_some_and(|remote| {
            remote.pages_sent += 1;
            remote.pages_sent > pages_max
        }) {
            // A few bytes of a request get a page of 64 KiB, for as long as that is allowed.
            return Err(Violation::OutOfOrder("the manifest was asked for too often"));
        }
        let data = body.slice(start..body.len().min(start + MANIFEST_PAGE_LEN));
        let (handle, body_len) = (state.handle, body.len() as u64);
        self.engine.turn.send(link, Message::ManifestPage { handle, page, body_len, data });
        Ok(())
    }

    fn on_manifest_page(&mut self, page: (u32, u64), data: &[u8]) -> Result<(), Violation> {
        let (link, content) = (self.link, self.content);
        let now = self.engine.turn.now;
        let Some(state) = self.engine.contents.by_id.get_mut(&content) else { return Ok(()) };
        let handle = state.handle;
        let Some(fetch) = state.manifest_fetch() else { return Ok(()) };
        let outcome = fetch.on_page(now, content, link, page, data)?;
        if !matches!(outcome, PageOutcome::Late) {
            state.last_progress_at = now;
        }
        match outcome {
            PageOutcome::More(pages) => {
                pages.for_each(|page| self.engine.turn.send(link, Message::ManifestRequest { handle, page }));
            }
            PageOutcome::Complete(manifest) => {
                state.phase = Phase::Opening(manifest.clone());
                self.engine.turn.timers.cancel(Timer::Manifest(content));
                self.engine.turn.emit(Event::ManifestComplete { manifest });
            }
            PageOutcome::Unusable(why) => {
                self.engine.turn.timers.cancel(Timer::Manifest(content));
                let failure = FetchFailure::Manifest(why);
                state.fail(&mut self.engine.turn, content, &mut self.engine.transfer, failure);
            }
            PageOutcome::Late => {}
        }
        Ok(())
    }

    /// How many chunks of a content a peer may name, if both sides know the manifest and it does not name too many too often.
    fn on_named(&mut self, runs: &ChunkRuns) -> Option<u32> {
        let (link, content) = (self.link, self.content);
        let chunk_count = self.engine.transfer.downloads.has(link, content)?.len();
        let remote = self.engine.sessions.by_link.get_mut(&link)?.remotes.get_mut(&content)?;
        if !remote.named.add(self.engine.turn.now, runs.count(), chunk_count) {
            // No fault perhaps: a lone seed may have peers that come and go.
            self.engine.close(link, CloseReason::OfNoUse(NAMES_TOO_MUCH));
            return None;
        }
        Some(chunk_count)
    }

    fn on_have(&mut self, runs: &ChunkRuns) -> Result<(), Violation> {
        let (link, content) = (self.link, self.content);
        let Some(chunk_count) = self.engine.transfer.downloads.has(link, content).map(Bitfield::len) else {
            return Ok(());
        };
        let named = runs.chunks(chunk_count).ok_or(Violation::Range("a chunk"))?;
        if self.on_named(runs).is_none() {
            return Ok(());
        }
        let fresh = self.engine.transfer.downloads.on_have(link, content, named);
        let has_all = self.engine.transfer.downloads.has(link, content).is_some_and(Bitfield::is_full)
            && !fresh.is_empty();
        let Some(session) = self.engine.sessions.by_link.get_mut(&link) else { return Ok(()) };
        if !fresh.is_empty() {
            session.last_gain_at = self.engine.turn.now;
            self.engine.serving.uploads.on_alive(self.engine.turn.now, link);
        }
        let node = session.node;
        let Some(remote) = session.remotes.get_mut(&content) else { return Ok(()) };
        let has_taken = has_all && remote.sent_len > 0 && !remote.has_completed;
        remote.has_completed |= has_taken;
        if self.engine.transfer.downloads.chunks(content).is_none() {
            return Ok(());
        }
        if has_taken {
            self.engine.turn.emit(Event::PeerCompleted { node, content });
        }
        self.engine.serving.on_chunks_announced(
            &mut self.engine.turn,
            &self.engine.transfer.downloads,
            link,
            content,
            &fresh,
        );
        self.engine.transfer.fill(&mut self.engine.turn, link);
        // What went to one peer at a time may go to all, now that another has it.
        self.engine.serving.serve(&mut self.engine.turn, &self.engine.transfer.downloads);
        Ok(())
    }

    fn on_lost(&mut self, runs: &ChunkRuns) -> Result<(), Violation> {
        let (link, content) = (self.link, self.content);
        let Some(chunk_count) = self.engine.transfer.downloads.has(link, content).map(Bitfield::len) else {
            return Ok(());
        };
        let named = runs.chunks(chunk_count).ok_or(Violation::Range("a chunk"))?;
        if self.on_named(runs).is_some() {
            self.engine.transfer.downloads.on_lost(link, content, named);
        }
        Ok(())
    }

    fn on_request(
        &mut self,
        request: RequestId,
        (chunk, offset, len): (u32, u32, u32),
    ) -> Result<(), Violation> {
        let (link, content, engine) = (self.link, self.content, &mut *self.engine);
        let Some(chunks) = engine.transfer.downloads.chunks(content) else {
            reject(&mut engine.turn, link, request, RejectReason::NotHeld);
            return Ok(());
        };
        let run = chunks.geometry().run(chunk, offset, len).ok_or(Violation::Range("a byte range"))?;
        engine.serving.on_request(
            &mut engine.turn,
            &engine.transfer.downloads,
            RunRequest { link, request, content, run },
        );
        Ok(())
    }

    fn on_peer_durable(&mut self) {
        let (link, content) = (self.link, self.content);
        let Some(session) = self.engine.sessions.by_link.get_mut(&link) else { return };
        let node = session.node;
        let remote = session.remotes.get_mut(&content);
        if remote.is_some_and(|remote| !std::mem::replace(&mut remote.is_durable, true)) {
            self.engine.turn.emit(Event::PeerDurable { node, content });
        }
    }

    fn on_bad_chunk(&mut self, chunk: u32) -> Result<(), Violation> {
        let (link, content) = (self.link, self.content);
        let Some(chunks) = self.engine.transfer.downloads.chunks(content) else { return Ok(()) };
        let chunk = chunks.geometry().chunk(chunk).ok_or(Violation::Range("a chunk"))?;
        let Some(session) = self.engine.sessions.by_link.get_mut(&link) else { return Ok(()) };
        session.blames += 1;
        let (node, is_news) = (session.node, session.blames <= BLAMES_TOLD_MAX);
        if is_news {
            self.engine.turn.emit(Event::BlamedByPeer { node, content, chunk });
        }
        Ok(())
    }
}

/// How often a peer may ask for the whole manifest on one link: it needs it once, and again if it left the content meanwhile.
const MANIFESTS_PER_LINK_MAX: u32 = 16;
const NAMES_TOO_MUCH: &str = "says and takes back what it has too often";
/// A peer's complaints that are passed on; more say nothing new.
const BLAMES_TOLD_MAX: u32 = 8;
