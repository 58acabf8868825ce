//! Messages: what each means to this node. Everything a peer names is minted or refused here.

use bytes::Bytes;

use crate::limits::HANDLES_PER_LINK_MAX;
use swarm_core::base::limits::MANIFEST_PAGE_LEN;
use swarm_core::base::{Bitfield, ContentId};
use swarm_core::manifest::Manifest;
use swarm_core::wire::{
    ChunkRuns, DeclineReason, FEATURE_PEX, Handle, Hello, Message, PROTOCOL_MAJOR, RejectReason, RequestId,
};

use super::Engine;
use super::content::{PageOutcome, Phase};
use super::io::{Event, FetchFailure, LinkId, Output};
use super::peers::{Rank, Tie};
use super::refusal::{Refusal, RefusalCause};
use super::session::Remote;
use super::timers::Timer;
use super::uploads::Wanted;
use super::violation::Violation;

impl Engine {
    pub(super) fn on_message(&mut self, link: LinkId, message: Message) {
        let Some(session) = self.sessions.get(&link) else { return };
        let is_greeted = session.agent.is_some();
        let result = match message {
            Message::Hello(hello) if !is_greeted => self.on_hello(link, hello),
            Message::Hello(_) => Err(Violation::OutOfOrder("a second Hello")),
            _ if !is_greeted => Err(Violation::OutOfOrder("something before Hello")),
            Message::Open { handle, content, knows_manifest, is_offer } => {
                self.on_open(link, handle, content, (knows_manifest, is_offer))
            }
            Message::Decline { content, reason } => {
                self.on_decline(link, content, reason);
                Ok(())
            }
            Message::ManifestRequest { handle, page } => self.on_manifest_request(link, handle, page),
            Message::ManifestPage { handle, page, body_len, data } => {
                self.on_manifest_page(link, handle, page, body_len, &data)
            }
            Message::Have { handle, chunks } => self.on_have(link, handle, &chunks),
            Message::Lost { handle, chunks } => self.on_lost(link, handle, &chunks),
            Message::Request { request, handle, chunk, offset, len } => {
                self.on_request(link, request, handle, (chunk, offset, len))
            }
            Message::Cancel { request } => {
                self.on_cancel(link, request);
                Ok(())
            }
            Message::Reject { request, reason } => {
                self.on_reject(link, request, reason);
                Ok(())
            }
            Message::Choke { choked } => {
                self.on_choke(link, choked);
                Ok(())
            }
            Message::Durable { handle } => self.on_peer_durable(link, handle),
            Message::BadChunk { handle, chunk } => self.on_bad_chunk(link, handle, chunk),
            Message::BadPeer { handle, node } => self.on_bad_peer(link, handle, node),
            Message::Peers { handle, sources } => self.on_peers(link, handle, sources),
        };
        if let Err(violation) = result {
            self.punish(link, violation);
        }
    }

    fn on_hello(&mut self, link: LinkId, hello: Hello) -> Result<(), Violation> {
        if hello.major != PROTOCOL_MAJOR {
            return Err(Violation::Version(hello.major));
        }
        let Some(session) = self.sessions.get_mut(&link) else { return Ok(()) };
        session.agent = Some(hello.agent.clone());
        session.speaks_pex = hello.has_feature(FEATURE_PEX);
        let node = session.node;
        if let Some(totals) = self.peers.totals(node) {
            totals.agent.clone_from(&hello.agent);
        }
        self.emit(Event::PeerJoined { node, agent: hello.agent });
        let wanted: Vec<ContentId> = self
            .contents
            .iter()
            .filter(|(content, state)| state.wants_peers() || self.peers.is_offered(node, **content))
            .map(|(content, _)| *content)
            .collect();
        for content in wanted {
            self.open(link, content);
        }
        Ok(())
    }

    /// Says Open, once without and once with the manifest.
    pub(super) fn open(&mut self, link: LinkId, content: ContentId) {
        let Some(state) = self.contents.get(&content) else { return };
        let (handle, knows_manifest) = (state.handle, state.chunks().is_some());
        if !self.may_have(link, content) {
            return;
        }
        let Some(session) = self.sessions.get_mut(&link).filter(|session| session.agent.is_some()) else {
            return;
        };
        let is_new = session.remotes.get(&content).is_none_or(|remote| remote.opened.is_none());
        if is_new && session.opens_said >= HANDLES_PER_LINK_MAX {
            // The peer would take one more for a violation; a new link begins anew.
            return;
        }
        session.opens_said += usize::from(is_new);
        // It may have said so while this node took no part.
        let offered = session.offered.get(&content).copied();
        let remote = session.remotes.entry(content).or_insert_with(|| Remote::opened_by_peer(offered));
        if remote.opened != Some(knows_manifest) {
            remote.opened = Some(knows_manifest);
            let is_offer = self.peers.is_offered(session.node, content);
            self.send(link, Message::Open { handle, content, knows_manifest, is_offer });
        }
    }

    fn on_open(
        &mut self,
        link: LinkId,
        handle: Handle,
        content: ContentId,
        (knows_manifest, is_offer): (bool, bool),
    ) -> Result<(), Violation> {
        let takes_part =
            self.contents.get(&content).is_some_and(|state| !matches!(state.phase, Phase::Failed));
        let is_denied = !self.may_have(link, content) || (is_offer && !takes_part && !self.may_offer(link));
        let Some(session) = self.sessions.get_mut(&link) else { return Ok(()) };
        let is_new = !session.handles.contains_key(&handle);
        if (is_new && session.handles.len() >= HANDLES_PER_LINK_MAX)
            || session.handles.insert(handle, content).is_some_and(|old| old != content)
        {
            return Err(Violation::Handle);
        }
        let before = session.offered.insert(content, knows_manifest);
        session.offered.insert(content, knows_manifest || before == Some(true));
        let is_offered = is_offer && knows_manifest && before != Some(true);
        if is_offer {
            session.offers.insert(content);
        }
        if is_denied {
            self.deny(link, content);
            return Ok(());
        }
        if !takes_part {
            let is_told = is_offered && self.on_offered(link, content);
            if !(is_told && self.takes_offers) {
                self.send(link, Message::Decline { content, reason: DeclineReason::NotHere });
            }
            return Ok(());
        }
        let remote = session.remotes.entry(content).or_default();
        if std::mem::take(&mut remote.has_declined) {
            // It had left and is back: both sides say again what they have.
            (remote.opened, remote.peer_opened, remote.is_durable) = (None, None, false);
        }
        let was_known = remote.peer_opened == Some(true);
        // A manifest once known is not forgotten.
        remote.peer_opened = Some(knows_manifest || was_known);
        let node = session.node;
        self.peers.add_source(self.now, content, node, Vec::new(), (Tie::Fetch, Rank::Last));
        self.open(link, content);
        if knows_manifest && !was_known {
            self.introduce(link, content);
            self.ask_for_manifests();
        }
        if !was_known {
            self.on_participant(content);
        }
        Ok(())
    }

    /// The product hears of what it may join, each content once a link and no more than the peer may open.
    fn on_offered(&mut self, link: LinkId, content: ContentId) -> bool {
        let Some(session) = self.sessions.get_mut(&link) else { return false };
        let is_told = !self.contents.contains_key(&content) && session.offers_told < HANDLES_PER_LINK_MAX;
        if is_told {
            session.offers_told += 1;
            let node = session.node;
            self.emit(Event::Offered { node, content });
        }
        is_told
    }

    /// Both know the manifest: from now on the peer hears of our chunks, and we can read of theirs.
    pub(super) fn introduce(&mut self, link: LinkId, content: ContentId) {
        let Some(chunks) = self.contents.get(&content).and_then(|state| state.chunks()) else { return };
        let Some(remote) = self.sessions.get_mut(&link).and_then(|s| s.remotes.get_mut(&content)) else {
            return;
        };
        if remote.peer_opened != Some(true) || remote.opened != Some(true) {
            return;
        }
        remote.has.get_or_insert_with(|| Bitfield::new(chunks.geometry().chunk_count()));
        self.uploads.on_alive(self.now, link);
        if self.contents.get(&content).is_some_and(|state| state.offers.is_some()) {
            self.offer_to_newcomer(link, content);
        } else {
            let haves = ChunkRuns::of(chunks.have());
            self.send_haves(link, content, haves);
        }
        self.say_durable(link, content);
    }

    pub(super) fn send_haves(&mut self, link: LinkId, content: ContentId, haves: Vec<ChunkRuns>) {
        let Some(state) = self.contents.get(&content) else { return };
        let handle = state.handle;
        for chunks in haves {
            self.send(link, Message::Have { handle, chunks });
        }
    }

    fn on_decline(&mut self, link: LinkId, content: ContentId, reason: DeclineReason) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        let node = session.node;
        session.offered.remove(&content);
        session.offers.remove(&content);
        // Only what was opened can be declined, once.
        let Some(remote) =
            session.remotes.get_mut(&content).filter(|r| r.opened.is_some() && !r.has_declined)
        else {
            return;
        };
        remote.has_declined = true;
        // It answers nothing of that content any more.
        let open = session.requests.iter().filter(|(_, open)| open.content == content);
        let requests: Vec<RequestId> = open.map(|(request, _)| *request).collect();
        for request in requests {
            self.cancel(link, request);
        }
        self.on_offered_link_down(link, content);
        self.emit(Event::PeerDeclined { node, content, reason });
        if self.is_of_use(link) {
            return self.dial_due();
        }
        let refusal = match reason {
            DeclineReason::NotAuthorised => Refusal::new(
                RefusalCause::NotAuthorised,
                format!("node {} does not let node {} have this content", node.short(), self.node),
            ),
            DeclineReason::NotHere | DeclineReason::NotAccepted | DeclineReason::NoRoom => Refusal::new(
                RefusalCause::NotHere,
                format!("node {} does not have this content", node.short()),
            ),
        };
        self.peers.on_refused(self.now, node, &refusal, &mut self.rng);
        self.close(link, super::CloseReason::Done);
        self.give_up_without_hope();
    }

    /// Whether both sides take part in something, or may yet: what this node offers to the peer, or the peer, having dialed
    /// for it, to this node.
    fn is_of_use(&self, link: LinkId) -> bool {
        let Some(session) = self.sessions.get(&link) else { return false };
        let is_offered = !session.dialed && session.offered.values().any(|knows_manifest| *knows_manifest);
        session.remotes.values().any(|remote| !remote.has_declined)
            || is_offered
            || self.peers.has_offers(session.node)
    }

    /// The content that the peer calls by this handle, if this node takes part in it and the peer may.
    pub(super) fn opened(&self, link: LinkId, handle: Handle) -> Result<Option<ContentId>, Violation> {
        let Some(session) = self.sessions.get(&link) else { return Ok(None) };
        let content = *session.handles.get(&handle).ok_or(Violation::Handle)?;
        let is_open = self.contents.contains_key(&content) && self.may_have(link, content);
        Ok(is_open.then_some(content))
    }

    fn on_manifest_request(&mut self, link: LinkId, handle: Handle, page: u32) -> Result<(), Violation> {
        let Some(content) = self.opened(link, handle)? else { return Ok(()) };
        let Some(state) = self.contents.get(&content) else { return Ok(()) };
        let Some(manifest) = state.manifest() else {
            return Err(Violation::OutOfOrder("a manifest was asked for that this node never offered"));
        };
        let body = manifest.body();
        let start = page as usize * MANIFEST_PAGE_LEN;
        if start >= body.len() {
            return Err(Violation::Range("a manifest page"));
        }
        let pages_max =
            (body.len().div_ceil(MANIFEST_PAGE_LEN) as u32).saturating_mul(MANIFESTS_PER_LINK_MAX);
        let remote = self.sessions.get_mut(&link).and_then(|session| session.remotes.get_mut(&content));
        if remote.is_some_and(|remote| {
            remote.pages_sent += 1;
            remote.pages_sent > pages_max
        }) {
            // A few bytes of a request get a page of 64 KiB, for as long as that is allowed.
            return Err(Violation::OutOfOrder("the manifest was asked for too often"));
        }
        let data = body.slice(start..body.len().min(start + MANIFEST_PAGE_LEN));
        let (handle, body_len) = (state.handle, body.len() as u64);
        self.send(link, Message::ManifestPage { handle, page, body_len, data });
        Ok(())
    }

    /// Asks somebody who knows it for each manifest that is missing and not on its way.
    pub(super) fn ask_for_manifests(&mut self) {
        let is_missing =
            |state: &super::content::Content| matches!(&state.phase, Phase::Manifest(f) if f.from.is_none());
        let missing: Vec<ContentId> = self
            .contents
            .iter()
            .filter(|(_, state)| is_missing(state))
            .map(|(content, _)| *content)
            .collect();
        for content in missing {
            let knows = |remote: &Remote| remote.peer_opened == Some(true) && !remote.has_declined;
            let mut links = self.sessions.iter().filter(|(_, s)| s.remotes.get(&content).is_some_and(knows));
            let Some((&link, _)) = links.next() else { continue };
            if let Some(Phase::Manifest(fetch)) =
                self.contents.get_mut(&content).map(|state| &mut state.phase)
            {
                fetch.start(self.now, link);
            }
            self.timers.set(Timer::Manifest(content), self.now + MANIFEST_TIMEOUT);
            self.ask_for_pages(content);
        }
    }

    fn ask_for_pages(&mut self, content: ContentId) {
        let Some(state) = self.contents.get_mut(&content) else { return };
        let Phase::Manifest(fetch) = &mut state.phase else { return };
        let Some(link) = fetch.from else { return };
        let (handle, pages) = (state.handle, fetch.pages_to_ask());
        for page in pages {
            self.send(link, Message::ManifestRequest { handle, page });
        }
    }

    fn on_manifest_page(
        &mut self,
        link: LinkId,
        handle: Handle,
        page: u32,
        body_len: u64,
        data: &[u8],
    ) -> Result<(), Violation> {
        let Some(content) = self.opened(link, handle)? else { return Ok(()) };
        let Some(state) = self.contents.get_mut(&content) else { return Ok(()) };
        // A late page of a peer that was too slow is no fault.
        let Phase::Manifest(fetch) = &mut state.phase else { return Ok(()) };
        if fetch.from != Some(link) {
            return Ok(());
        }
        state.last_progress_at = self.now;
        match fetch.on_page(self.now, page, body_len, data) {
            PageOutcome::Unexpected => Err(Violation::UnexpectedPage),
            PageOutcome::More => {
                self.ask_for_pages(content);
                Ok(())
            }
            PageOutcome::Body(body) => self.on_manifest_body(content, body),
        }
    }

    fn on_manifest_body(&mut self, content: ContentId, body: Bytes) -> Result<(), Violation> {
        let is_right = blake3::hash(&body).as_bytes() == content.as_bytes();
        if !is_right {
            return Err(Violation::Manifest);
        }
        self.timers.cancel(Timer::Manifest(content));
        match Manifest::decode(body) {
            Ok(manifest) => {
                if let Some(state) = self.contents.get_mut(&content) {
                    state.phase = Phase::Opening(manifest.clone());
                }
                self.emit(Event::ManifestComplete { manifest });
            }
            // It is what the ticket names, so no peer is to blame: whoever made it made it wrong.
            Err(error) => self.fail(content, FetchFailure::Manifest(error.to_string())),
        }
        Ok(())
    }

    /// The peer that was asked for the manifest is silent: asks another.
    pub(super) fn on_manifest_timer(&mut self, content: ContentId) {
        let Some(state) = self.contents.get_mut(&content) else { return };
        let Phase::Manifest(fetch) = &mut state.phase else { return };
        let deadline = fetch.last_page_at + MANIFEST_TIMEOUT;
        if deadline > self.now {
            self.timers.set(Timer::Manifest(content), deadline);
        } else if let Some(link) = fetch.from {
            self.close(link, super::CloseReason::OfNoUse("did not send the manifest"));
        }
    }

    fn on_have(&mut self, link: LinkId, handle: Handle, runs: &ChunkRuns) -> Result<(), Violation> {
        let Some(content) = self.opened(link, handle)? else { return Ok(()) };
        let Some(session) = self.sessions.get_mut(&link) else { return Ok(()) };
        let (node, remote) = (session.node, session.remotes.entry(content).or_default());
        let Some(has) = remote.has.as_mut() else { return Ok(()) };
        let was_empty = has.is_empty();
        let named = runs.chunks(has.len()).ok_or(Violation::Range("a chunk"))?;
        if !remote.named.add(self.now, runs.count(), has.len()) {
            // No fault perhaps: a lone seed may have peers that come and go.
            self.close(link, super::CloseReason::OfNoUse(NAMES_TOO_MUCH));
            return Ok(());
        }
        let fresh: Vec<u32> = named.filter(|&index| has.insert(index)).collect();
        if !fresh.is_empty() {
            session.last_gain_at = self.now;
            self.uploads.on_alive(self.now, link);
        }
        let is_everywhere = was_empty && has.is_full();
        let has_taken = has.is_full() && !fresh.is_empty() && remote.sent_len > 0 && !remote.has_completed;
        remote.has_completed |= has_taken;
        remote.is_counted_everywhere |= is_everywhere;
        let Some(chunks) = self.contents.get_mut(&content).and_then(|state| state.chunks_mut()) else {
            return Ok(());
        };
        if is_everywhere {
            chunks.picker.add_everywhere();
        } else {
            let geometry = chunks.geometry().clone();
            chunks.picker.add(&geometry, &fresh);
        }
        if has_taken {
            self.emit(Event::PeerCompleted { node, content });
        }
        self.on_chunks_announced(link, content, &fresh);
        self.fill(link);
        // What went to one peer at a time may go to all, now that another has it.
        self.serve();
        Ok(())
    }

    fn on_lost(&mut self, link: LinkId, handle: Handle, runs: &ChunkRuns) -> Result<(), Violation> {
        let Some(content) = self.opened(link, handle)? else { return Ok(()) };
        let Some(session) = self.sessions.get_mut(&link) else { return Ok(()) };
        let remote = session.remotes.entry(content).or_default();
        let Some(has) = remote.has.as_mut() else { return Ok(()) };
        let named = runs.chunks(has.len()).ok_or(Violation::Range("a chunk"))?;
        if !remote.named.add(self.now, runs.count(), has.len()) {
            // No fault perhaps: a lone seed may have peers that come and go.
            self.close(link, super::CloseReason::OfNoUse(NAMES_TOO_MUCH));
            return Ok(());
        }
        let Some(chunks) = self.contents.get_mut(&content).and_then(|state| state.chunks_mut()) else {
            return Ok(());
        };
        let geometry = chunks.geometry().clone();
        if std::mem::take(&mut remote.is_counted_everywhere) {
            chunks.picker.subtract_everywhere();
            chunks.picker.add(&geometry, &has.iter().collect::<Vec<_>>());
        }
        let gone: Vec<u32> = named.filter(|&index| has.remove(index)).collect();
        chunks.picker.subtract(&geometry, &gone);
        Ok(())
    }

    fn on_request(
        &mut self,
        link: LinkId,
        request: RequestId,
        handle: Handle,
        (chunk, offset, len): (u32, u32, u32),
    ) -> Result<(), Violation> {
        let Some(content) = self.opened(link, handle)? else {
            self.reject(link, request, RejectReason::NotHeld);
            return Ok(());
        };
        let Some(chunks) = self.contents.get(&content).and_then(|state| state.chunks()) else {
            self.reject(link, request, RejectReason::NotHeld);
            return Ok(());
        };
        let run = chunks.geometry().run(chunk, offset, len).ok_or(Violation::Range("a byte range"))?;
        self.on_offer_taken(link, content, run);
        let Some(chunks) = self.contents.get(&content).and_then(|state| state.chunks()) else {
            return Ok(());
        };
        let is_held = chunks.geometry().pieces(run).all(|piece| chunks.have().contains(piece.chunk.get()));
        if !is_held {
            self.reject(link, request, RejectReason::NotHeld);
        } else if !self.uploads.is_unchoked(link) {
            // Its slot was over while it asked; it wants one.
            self.uploads.on_alive(self.now, link);
            self.reject(link, request, RejectReason::Choked);
        } else if !self.uploads.push(link, Wanted { request, content, run }) {
            self.reject(link, request, RejectReason::TooMany);
        } else {
            self.serve();
        }
        Ok(())
    }

    pub(super) fn reject(&mut self, link: LinkId, request: RequestId, reason: RejectReason) {
        self.send(link, Message::Reject { request, reason });
    }

    fn on_cancel(&mut self, link: LinkId, request: RequestId) {
        // What was handed over may still be waiting to go out.
        if self.uploads.on_cancelled(link, request) != Some(false) {
            self.outputs.push_back(Output::StopUpload { link, request });
        }
    }

    fn on_peer_durable(&mut self, link: LinkId, handle: Handle) -> Result<(), Violation> {
        let Some(content) = self.opened(link, handle)? else { return Ok(()) };
        let Some(session) = self.sessions.get_mut(&link) else { return Ok(()) };
        let node = session.node;
        let remote = session.remotes.get_mut(&content);
        if remote.is_some_and(|remote| !std::mem::replace(&mut remote.is_durable, true)) {
            self.emit(Event::PeerDurable { node, content });
        }
        Ok(())
    }

    fn on_bad_chunk(&mut self, link: LinkId, handle: Handle, chunk: u32) -> Result<(), Violation> {
        let Some(content) = self.opened(link, handle)? else { return Ok(()) };
        let Some(chunks) = self.contents.get(&content).and_then(|state| state.chunks()) else {
            return Ok(());
        };
        let chunk = chunks.geometry().chunk(chunk).ok_or(Violation::Range("a chunk"))?;
        let Some(session) = self.sessions.get_mut(&link) else { return Ok(()) };
        session.blames += 1;
        let (node, is_news) = (session.node, session.blames <= BLAMES_TOLD_MAX);
        if is_news {
            self.emit(Event::BlamedByPeer { node, content, chunk });
        }
        Ok(())
    }

    /// What a peer had counts no more.
    pub(super) fn forget_remote(&mut self, link: LinkId, content: ContentId, remote: &Remote) {
        self.on_offered_link_down(link, content);
        let Some(chunks) = self.contents.get_mut(&content).and_then(|state| state.chunks_mut()) else {
            return;
        };
        let Some(has) = &remote.has else { return };
        if remote.is_counted_everywhere {
            chunks.picker.subtract_everywhere();
        } else {
            let geometry = chunks.geometry().clone();
            chunks.picker.subtract(&geometry, &has.iter().collect::<Vec<_>>());
        }
    }
}

/// How often a peer may ask for the whole manifest on one link: it needs it once, and again if it left the content meanwhile.
const MANIFESTS_PER_LINK_MAX: u32 = 16;
const NAMES_TOO_MUCH: &str = "says and takes back what it has too often";
/// A peer's complaints that are passed on; more say nothing new.
const BLAMES_TOLD_MAX: u32 = 8;
const MANIFEST_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(20);
