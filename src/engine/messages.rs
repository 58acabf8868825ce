//! Messages: what each means to this node. Everything a peer names is minted or refused here.

use crate::base::limits::{HANDLES_PER_LINK_MAX, MANIFEST_PAGE_LEN};
use crate::base::{Bitfield, ContentId};
use crate::wire::{
    ChunkRuns, DeclineReason, FEATURE_PEX, Handle, Hello, Message, PROTOCOL_MAJOR, RejectReason, RequestId,
};

use super::Engine;
use super::content::{Content, Phase};
use super::io::{CloseReason, Event, FetchFailure, LinkId};
use super::manifest_fetch::{Deadline, PageOutcome};
use super::participation::{Participation, Said};
use super::peers::{Rank, Tie};
use super::pex::Pex;
use super::refusal::{Refusal, RefusalCause};
use super::serving::reject;
use super::session::{Greeting, Remote, Session};
use super::timers::Timer;
use super::transfer::Rejection;
use super::uploads::Wanted;
use super::violation::Violation;

impl Engine {
    pub(super) fn on_message(&mut self, link: LinkId, message: Message) {
        let Some(session) = self.sessions.get(&link) else { return };
        let is_greeted = session.is_greeted();
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
                self.on_manifest_page(link, handle, (page, body_len), &data)
            }
            Message::Have { handle, chunks } => self.on_have(link, handle, &chunks),
            Message::Lost { handle, chunks } => self.on_lost(link, handle, &chunks),
            Message::Request { request, handle, chunk, offset, len } => {
                self.on_request(link, request, handle, (chunk, offset, len))
            }
            Message::Cancel { request } => {
                self.serving.on_cancel(&mut self.turn, link, request);
                Ok(())
            }
            Message::Reject { request, reason } => {
                self.on_reject(link, request, reason);
                Ok(())
            }
            Message::Choke { choked } => {
                self.transfer.on_choke(&mut self.turn, link, choked);
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
        session.greeting = Some(Greeting { speaks_pex: hello.has_feature(FEATURE_PEX) });
        let node = session.node;
        if let Some(totals) = self.dialing.peers.totals(node) {
            totals.agent.clone_from(&hello.agent);
        }
        self.turn.emit(Event::PeerJoined { node, agent: hello.agent });
        let wanted: Vec<ContentId> = self
            .contents
            .iter()
            .filter(|(content, state)| state.wants_peers() || self.dialing.peers.is_offered(node, **content))
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
        let (handle, knows_manifest) = (state.handle, self.transfer.chunks(content).is_some());
        if !self.may_have(link, content) {
            return;
        }
        let Some(session) = self.sessions.get_mut(&link).filter(|session| session.is_greeted()) else {
            return;
        };
        let is_new = !session.participation(content).is_some_and(Participation::is_opened_here);
        if is_new && session.opens_said >= HANDLES_PER_LINK_MAX {
            // The peer would take one more for a violation; a new link begins anew.
            return;
        }
        session.opens_said += usize::from(is_new);
        // It may have said so while this node took no part.
        let there = session.opens.said(content);
        let remote = session
            .remotes
            .entry(content)
            .or_insert_with(|| Remote { participation: Participation::after(there), ..Remote::default() });
        if remote.participation.say(Said::open(knows_manifest)) {
            let is_offer = self.dialing.peers.is_offered(session.node, content);
            self.turn.send(link, Message::Open { handle, content, knows_manifest, is_offer });
        }
    }

    fn on_open(
        &mut self,
        link: LinkId,
        handle: Handle,
        content: ContentId,
        (knows_manifest, is_offer): (bool, bool),
    ) -> Result<(), Violation> {
        let takes_part = self.contents.get(&content).is_some_and(Content::is_live);
        let is_denied = !self.may_have(link, content) || (is_offer && !takes_part && !self.may_offer(link));
        let Some(session) = self.sessions.get_mut(&link) else { return Ok(()) };
        let said = Said::open(knows_manifest);
        let before = session.opens.on_open(handle, content, said, is_offer)?;
        if is_denied {
            self.deny(link, content);
            return Ok(());
        }
        if !takes_part {
            let is_offered = is_offer && knows_manifest && before != Said::OpenWithManifest;
            let is_told = is_offered && self.on_offered(link, content);
            if !(is_told && self.takes_offers) {
                self.turn.send(link, Message::Decline { content, reason: DeclineReason::NotHere });
            }
            return Ok(());
        }
        let remote = session.remotes.entry(content).or_default();
        // A peer that had left and is back says again what is durable.
        remote.is_durable &= !remote.participation.has_declined();
        let was_known = remote.participation.on_open(said);
        let node = session.node;
        self.dialing.peers.add_source(self.turn.now, content, node, Vec::new(), (Tie::Fetch, Rank::Last));
        self.open(link, content);
        if knows_manifest && !was_known {
            self.introduce(link, content);
            self.ask_for_manifests();
        }
        if !was_known {
            Pex::on_participant(&mut self.turn, content);
        }
        Ok(())
    }

    /// The product hears of what it may join, each content once a link and no more than the peer may open.
    fn on_offered(&mut self, link: LinkId, content: ContentId) -> bool {
        let Some(session) = self.sessions.get_mut(&link) else { return false };
        let is_told = !self.contents.contains_key(&content) && session.opens.count_told();
        if is_told {
            let node = session.node;
            self.turn.emit(Event::Offered { node, content });
        }
        is_told
    }

    /// Both know the manifest: from now on the peer hears of our chunks, and we can read of theirs.
    pub(super) fn introduce(&mut self, link: LinkId, content: ContentId) {
        let session = self.sessions.get(&link);
        let participation = session.and_then(|session| session.participation(content));
        if !participation.is_some_and(Participation::is_introduced) || self.transfer.chunks(content).is_none()
        {
            return;
        }
        self.transfer.introduce(link, content);
        self.serving.introduce(&mut self.turn, &self.transfer, link, content);
        self.say_durable(link, content);
    }

    fn on_decline(&mut self, link: LinkId, content: ContentId, reason: DeclineReason) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        let node = session.node;
        session.opens.on_decline(content);
        if !session.remotes.get_mut(&content).is_some_and(|remote| remote.participation.on_decline()) {
            return;
        }
        // It answers nothing of that content any more.
        self.transfer.cancel_at(&mut self.turn, link, content);
        self.serving.on_part_ended(&mut self.turn, &self.transfer, link, content);
        self.turn.emit(Event::PeerDeclined { node, content, reason });
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
        self.dialing.peers.on_refused(self.turn.now, node, &refusal, &mut self.turn.rng);
        self.close(link, CloseReason::Done);
        self.give_up_without_hope();
    }

    /// Whether both sides take part in something, or may yet: what this node offers to the peer, or the peer, having dialed
    /// for it, to this node.
    fn is_of_use(&self, link: LinkId) -> bool {
        let Some(session) = self.sessions.get(&link) else { return false };
        let is_offered = !session.dialed && session.opens.knows_any_manifest();
        session.remotes.values().any(|remote| !remote.participation.has_declined())
            || is_offered
            || self.dialing.peers.has_offers(session.node)
    }

    /// The content that the peer calls by this handle, if this node takes part in it and the peer may.
    pub(super) fn opened(&self, link: LinkId, handle: Handle) -> Result<Option<ContentId>, Violation> {
        let Some(session) = self.sessions.get(&link) else { return Ok(None) };
        let content = session.opens.content(handle)?;
        let is_open = self.contents.contains_key(&content) && self.may_have(link, content);
        Ok(is_open.then_some(content))
    }

    fn on_manifest_request(&mut self, link: LinkId, handle: Handle, page: u32) -> Result<(), Violation> {
        let Some(content) = self.opened(link, handle)? else { return Ok(()) };
        let Some(state) = self.contents.get(&content) else { return Ok(()) };
        let chunks = self.transfer.chunks(content);
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
        self.turn.send(link, Message::ManifestPage { handle, page, body_len, data });
        Ok(())
    }

    /// Asks a peer that knows it for each manifest that is missing and not on its way.
    pub(super) fn ask_for_manifests(&mut self) {
        let (turn, sessions) = (&mut self.turn, &self.sessions);
        for (&content, state) in &mut self.contents {
            let handle = state.handle;
            let Some(fetch) = state.manifest_fetch().filter(|fetch| fetch.is_unasked()) else { continue };
            let knows =
                |session: &Session| session.participation(content).is_some_and(Participation::is_known_there);
            let Some((&link, _)) = sessions.iter().find(|(_, session)| knows(session)) else { continue };
            let (pages, deadline) = fetch.start(turn.now, link);
            turn.timers.set(Timer::Manifest(content), deadline);
            pages.for_each(|page| turn.send(link, Message::ManifestRequest { handle, page }));
        }
    }

    fn on_manifest_page(
        &mut self,
        link: LinkId,
        handle: Handle,
        page: (u32, u64),
        data: &[u8],
    ) -> Result<(), Violation> {
        let Some(content) = self.opened(link, handle)? else { return Ok(()) };
        let now = self.turn.now;
        let Some(state) = self.contents.get_mut(&content) else { return Ok(()) };
        let handle = state.handle;
        let Some(fetch) = state.manifest_fetch() else { return Ok(()) };
        let outcome = fetch.on_page(now, content, link, page, data)?;
        if !matches!(outcome, PageOutcome::Late) {
            state.last_progress_at = now;
        }
        match outcome {
            PageOutcome::More(pages) => {
                pages.for_each(|page| self.turn.send(link, Message::ManifestRequest { handle, page }));
            }
            PageOutcome::Complete(manifest) => {
                state.phase = Phase::Opening(manifest.clone());
                self.turn.timers.cancel(Timer::Manifest(content));
                self.turn.emit(Event::ManifestComplete { manifest });
            }
            PageOutcome::Unusable(why) => {
                self.turn.timers.cancel(Timer::Manifest(content));
                self.fail(content, FetchFailure::Manifest(why));
            }
            PageOutcome::Late => {}
        }
        Ok(())
    }

    /// Leaves a peer that does not send the manifest it was asked for.
    pub(super) fn on_manifest_timer(&mut self, content: ContentId) {
        let fetch = self.contents.get_mut(&content).and_then(Content::manifest_fetch);
        match fetch.map_or(Deadline::None, |fetch| fetch.deadline(self.turn.now)) {
            Deadline::At(at) => self.turn.timers.set(Timer::Manifest(content), at),
            Deadline::Missed(link) => self.close(link, CloseReason::OfNoUse("did not send the manifest")),
            Deadline::None => {}
        }
    }

    /// How many chunks of a content a peer may name, if both sides know the manifest and it does not name too many too often.
    fn on_named(&mut self, link: LinkId, content: ContentId, runs: &ChunkRuns) -> Option<u32> {
        let chunk_count = self.transfer.has(link, content)?.len();
        let remote = self.sessions.get_mut(&link)?.remotes.get_mut(&content)?;
        if !remote.named.add(self.turn.now, runs.count(), chunk_count) {
            // No fault perhaps: a lone seed may have peers that come and go.
            self.close(link, CloseReason::OfNoUse(NAMES_TOO_MUCH));
            return None;
        }
        Some(chunk_count)
    }

    fn on_have(&mut self, link: LinkId, handle: Handle, runs: &ChunkRuns) -> Result<(), Violation> {
        let Some(content) = self.opened(link, handle)? else { return Ok(()) };
        let Some(chunk_count) = self.transfer.has(link, content).map(Bitfield::len) else { return Ok(()) };
        let named = runs.chunks(chunk_count).ok_or(Violation::Range("a chunk"))?;
        if self.on_named(link, content, runs).is_none() {
            return Ok(());
        }
        let fresh = self.transfer.on_have(link, content, named);
        let has_all = self.transfer.has(link, content).is_some_and(Bitfield::is_full) && !fresh.is_empty();
        let Some(session) = self.sessions.get_mut(&link) else { return Ok(()) };
        if !fresh.is_empty() {
            session.last_gain_at = self.turn.now;
            self.serving.uploads.on_alive(self.turn.now, link);
        }
        let node = session.node;
        let Some(remote) = session.remotes.get_mut(&content) else { return Ok(()) };
        let has_taken = has_all && remote.sent_len > 0 && !remote.has_completed;
        remote.has_completed |= has_taken;
        if self.transfer.chunks(content).is_none() {
            return Ok(());
        }
        if has_taken {
            self.turn.emit(Event::PeerCompleted { node, content });
        }
        self.serving.on_chunks_announced(&mut self.turn, &self.transfer, link, content, &fresh);
        self.transfer.fill(&mut self.turn, link);
        // What went to one peer at a time may go to all, now that another has it.
        self.serving.serve(&mut self.turn, &self.transfer);
        Ok(())
    }

    fn on_lost(&mut self, link: LinkId, handle: Handle, runs: &ChunkRuns) -> Result<(), Violation> {
        let Some(content) = self.opened(link, handle)? else { return Ok(()) };
        let Some(chunk_count) = self.transfer.has(link, content).map(Bitfield::len) else { return Ok(()) };
        let named = runs.chunks(chunk_count).ok_or(Violation::Range("a chunk"))?;
        if self.on_named(link, content, runs).is_some() {
            self.transfer.on_lost(link, content, named);
        }
        Ok(())
    }

    fn on_request(
        &mut self,
        link: LinkId,
        request: RequestId,
        handle: Handle,
        (chunk, offset, len): (u32, u32, u32),
    ) -> Result<(), Violation> {
        let content = self.opened(link, handle)?;
        let held = content.and_then(|content| Some((content, self.transfer.chunks(content)?)));
        let Some((content, chunks)) = held else {
            reject(&mut self.turn, link, request, RejectReason::NotHeld);
            return Ok(());
        };
        let run = chunks.geometry().run(chunk, offset, len).ok_or(Violation::Range("a byte range"))?;
        self.serving.on_request(&mut self.turn, &self.transfer, link, Wanted { request, content, run });
        Ok(())
    }

    fn on_reject(&mut self, link: LinkId, request: RequestId, reason: RejectReason) {
        match self.transfer.on_reject(&mut self.turn, link, request, reason) {
            Rejection::Noted => {}
            Rejection::Lie(content) => {
                let Some(session) = self.sessions.get(&link) else { return };
                // What it lost or left it says first.
                let has_declined = session.participation(content).is_some_and(Participation::has_declined);
                if let Some(totals) = self.dialing.peers.totals(session.node).filter(|_| !has_declined) {
                    totals.lies += 1;
                }
            }
            Rejection::Useless => self.close(link, CloseReason::OfNoUse("rejects what it offers")),
        }
    }

    fn on_peer_durable(&mut self, link: LinkId, handle: Handle) -> Result<(), Violation> {
        let Some(content) = self.opened(link, handle)? else { return Ok(()) };
        let Some(session) = self.sessions.get_mut(&link) else { return Ok(()) };
        let node = session.node;
        let remote = session.remotes.get_mut(&content);
        if remote.is_some_and(|remote| !std::mem::replace(&mut remote.is_durable, true)) {
            self.turn.emit(Event::PeerDurable { node, content });
        }
        Ok(())
    }

    fn on_bad_chunk(&mut self, link: LinkId, handle: Handle, chunk: u32) -> Result<(), Violation> {
        let Some(content) = self.opened(link, handle)? else { return Ok(()) };
        let Some(chunks) = self.transfer.chunks(content) else { return Ok(()) };
        let chunk = chunks.geometry().chunk(chunk).ok_or(Violation::Range("a chunk"))?;
        let Some(session) = self.sessions.get_mut(&link) else { return Ok(()) };
        session.blames += 1;
        let (node, is_news) = (session.node, session.blames <= BLAMES_TOLD_MAX);
        if is_news {
            self.turn.emit(Event::BlamedByPeer { node, content, chunk });
        }
        Ok(())
    }
}

/// How often a peer may ask for the whole manifest on one link: it needs it once, and again if it left the content meanwhile.
const MANIFESTS_PER_LINK_MAX: u32 = 16;
const NAMES_TOO_MUCH: &str = "says and takes back what it has too often";
/// A peer's complaints that are passed on; more say nothing new.
const BLAMES_TOLD_MAX: u32 = 8;
