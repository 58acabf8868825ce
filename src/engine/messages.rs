//! Messages: greetings, and who takes part in what. What is said of a content that both sides opened is in `part`.

use crate::base::ContentId;
use crate::base::limits::HANDLES_PER_LINK_MAX;
use crate::wire::{
    DeclineReason, FEATURE_PEX, Handle, Hello, Message, PROTOCOL_MAJOR, RejectReason, RequestId,
};

use super::Engine;
use super::content::Content;
use super::io::{CloseReason, Event, LinkId};
use super::manifest_fetch::Deadline;
use super::participation::{Participation, Said};
use super::peers::{Rank, Tie};
use super::pex::Pex;
use super::refusal::{Refusal, RefusalCause};
use super::session::{Greeting, Remote};
use super::timers::Timer;
use super::transfer::Rejection;
use super::violation::Violation;

impl Engine {
    pub(super) fn on_message(&mut self, link: LinkId, message: Message) {
        let Some(session) = self.sessions.get(&link) else { return };
        let (is_greeted, speaks_pex) = (session.is_greeted(), session.speaks_pex());
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
            Message::Peers { .. } if !speaks_pex => {
                Err(Violation::OutOfOrder("peers without having named the feature"))
            }
            Message::ManifestRequest { handle, .. }
            | Message::ManifestPage { handle, .. }
            | Message::Have { handle, .. }
            | Message::Lost { handle, .. }
            | Message::Request { handle, .. }
            | Message::Durable { handle }
            | Message::BadChunk { handle, .. }
            | Message::BadPeer { handle, .. }
            | Message::Peers { handle, .. } => self.on_part(link, handle, message),
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

    /// Asks for each manifest that is missing and not on its way.
    pub(super) fn ask_for_manifests(&mut self) {
        for (content, state) in &mut self.contents {
            state.ask_for_manifest(&mut self.turn, *content, &self.sessions);
        }
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
}
