//! Messages: greetings, and who takes part in what. What is said of a content that both sides opened is in `part`.

use swarm_core::base::ContentId;
use swarm_core::wire::{DeclineReason, FEATURE_PEX, Hello, Message, PROTOCOL_MAJOR, RejectReason, RequestId};

use super::Engine;
use super::content::Content;
use super::io::{CloseReason, Event, LinkId};
use super::participation::{Participation, Said};
use super::peers::{Rank, Tie};
use super::pex::Pex;
use super::refusal::{Refusal, RefusalCause};
use super::session::Greeting;
use super::sessions::{Opening, Stance};
use super::transfer::Rejection;
use super::violation::Violation;

impl Engine {
    pub(super) fn on_message(&mut self, link: LinkId, message: Message) {
        let Some(session) = self.sessions.by_link.get(&link) else { return };
        let (is_greeted, speaks_pex) = (session.is_greeted(), session.speaks_pex());
        let result = match message {
            Message::Hello(hello) if !is_greeted => self.on_hello(link, hello),
            Message::Hello(_) => Err(Violation::OutOfOrder("a second Hello")),
            _ if !is_greeted => Err(Violation::OutOfOrder("something before Hello")),
            Message::Open { handle, content, knows_manifest, is_offer } => {
                let said = Said::open(knows_manifest);
                self.on_open(link, Opening { handle, content, said, is_offer })
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
        let Some(session) = self.sessions.by_link.get_mut(&link) else { return Ok(()) };
        session.greeting = Some(Greeting { speaks_pex: hello.has_feature(FEATURE_PEX) });
        let node = session.node;
        if let Some(totals) = self.dialing.peers.totals(node) {
            totals.agent.clone_from(&hello.agent);
        }
        self.turn.emit(Event::PeerJoined { node, agent: hello.agent });
        let wanted: Vec<ContentId> = self
            .contents
            .by_id
            .iter()
            .filter(|(content, state)| state.wants_peers() || self.dialing.peers.is_pushed(node, **content))
            .map(|(content, _)| *content)
            .collect();
        for content in wanted {
            self.open(link, content);
        }
        Ok(())
    }

    /// Says Open where that is news to the peer.
    pub(super) fn open(&mut self, link: LinkId, content: ContentId) {
        let Some(handle) = self.transfer.downloads.handle(content) else { return };
        let knows_manifest = self.transfer.downloads.chunks(content).is_some();
        let is_pushed = |node| self.dialing.peers.is_pushed(node, content);
        self.sessions.open(&mut self.turn, link, (content, handle), knows_manifest, is_pushed);
    }

    fn on_open(&mut self, link: LinkId, open: Opening) -> Result<(), Violation> {
        let content = open.content;
        let state = self.contents.by_id.get(&content);
        let stance = Stance {
            takes_part: state.is_some_and(Content::is_live),
            is_joined: state.is_some(),
            takes_offers: self.takes_offers,
        };
        let Some(was_known) = self.sessions.on_open(&mut self.turn, link, open, stance)? else {
            return Ok(());
        };
        if let Some(session) = self.sessions.by_link.get(&link) {
            let tie = (Tie::Fetch, Rank::Last);
            self.dialing.peers.add_source(self.turn.now, content, session.node, Vec::new(), tie);
        }
        self.open(link, content);
        if open.said == Said::OpenWithManifest && !was_known {
            self.introduce(link, content);
            self.contents.ask_for_manifests(&mut self.turn, &self.sessions.by_link);
        }
        if !was_known {
            Pex::on_participant(&mut self.turn, content);
        }
        Ok(())
    }

    /// Both know the manifest: from now on the peer hears of our chunks, and we can read of theirs.
    pub(super) fn introduce(&mut self, link: LinkId, content: ContentId) {
        let session = self.sessions.by_link.get(&link);
        let participation = session.and_then(|session| session.participation(content));
        if !participation.is_some_and(Participation::is_introduced)
            || self.transfer.downloads.chunks(content).is_none()
        {
            return;
        }
        self.transfer.downloads.introduce(link, content);
        self.serving.introduce(&mut self.turn, &self.transfer.downloads, link, content);
        if let Some(state) =
            self.contents.by_id.get(&content).filter(|state| state.is_kept(&self.transfer, content))
        {
            self.sessions.say_durable(&mut self.turn, link, (content, state.handle));
        }
    }

    fn on_decline(&mut self, link: LinkId, content: ContentId, reason: DeclineReason) {
        let Some(session) = self.sessions.by_link.get_mut(&link) else { return };
        let node = session.node;
        session.opens.on_decline(content);
        if !session.remotes.get_mut(&content).is_some_and(|remote| remote.participation.on_decline()) {
            return;
        }
        // It answers nothing of that content any more.
        self.transfer.cancel_at(&mut self.turn, link, content);
        self.serving.on_part_ended(&mut self.turn, &self.transfer.downloads, link, content);
        self.turn.emit(Event::PeerDeclined { node, content, reason });
        if self.sessions.has_use(link) || self.dialing.peers.has_pushes(node) {
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
        self.contents.give_up_without_hope(&mut self.turn, &mut self.transfer, &self.dialing);
    }

    fn on_reject(&mut self, link: LinkId, request: RequestId, reason: RejectReason) {
        match self.transfer.on_reject(&mut self.turn, link, request, reason) {
            Rejection::Noted => {}
            Rejection::Lie(content) => {
                let Some(session) = self.sessions.by_link.get(&link) else { return };
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
