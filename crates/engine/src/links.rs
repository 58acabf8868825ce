//! Links coming and going: duplicates, bans, patience. Whom this node dials is decided in `dialing`.

use crate::limits::LINKS_MAX;
use swarm_core::base::{Bitfield, ContentId, NodeId};
use swarm_core::manifest::Address;
use swarm_core::trust::Role;
use swarm_core::wire::{Hello, Message};

use super::Engine;
use super::content::Phase;
use super::io::{Bottleneck, CloseReason, Event, FetchFailure, LinkId, Output, Patience};
use super::session::{Remote, Session};
use super::timers::Timer;
use super::violation::Violation;

impl Engine {
    pub(super) fn on_link_up(
        &mut self,
        link: LinkId,
        (node, role): (NodeId, Role),
        dialed: bool,
        address: Option<Address>,
    ) {
        if dialed {
            self.peers.end_meeting(node);
        }
        let refusal = if self.is_stopping {
            Some(CloseReason::Done)
        } else if self.peers.is_banned(node) {
            Some(CloseReason::Banned)
        } else if self.sessions.len() >= LINKS_MAX && !self.make_room() {
            Some(CloseReason::TooManyLinks)
        } else {
            self.duplicate(link, node, dialed)
        };
        if let Some(reason) = refusal {
            self.outputs.push_back(Output::Close { link, reason });
            return;
        }
        self.peers.on_linked(node);
        self.look_at_slots();
        self.sessions.insert(link, Session::new(self.now, (node, role), dialed, address));
        self.send(link, Message::Hello(Hello::ours()));
        if self.uploads.on_link_up(self.now, link) {
            self.send(link, Message::Choke { choked: false });
        } else {
            self.timers.set_if_unset(Timer::Rotate, self.now + super::serve::ROTATE_INTERVAL);
        }
        // A dial has ended: whoever waited for that may be dialed.
        self.dial_due();
    }

    /// This node holds as many links as it may: one that is of no use to either side goes.
    fn make_room(&mut self) -> bool {
        let spare =
            self.sessions.iter().find(|(_, session)| self.is_done_with(session)).map(|(link, _)| *link);
        if let Some(link) = spare {
            self.close(link, CloseReason::Done);
        }
        spare.is_some()
    }

    /// Whether both sides have all of what both take part in, and nothing is offered here that may be taken up yet.
    fn is_done_with(&self, session: &Session) -> bool {
        let is_complete = |(content, remote): (&ContentId, &Remote)| {
            let is_here =
                self.contents.get(content).is_some_and(|state| matches!(state.phase, Phase::Complete(_)));
            is_here && remote.has.as_ref().is_some_and(Bitfield::is_full)
        };
        session.agent.is_some()
            && session.remotes.iter().filter(|(_, remote)| !remote.has_declined).all(is_complete)
            && session.offered.keys().all(|content| session.remotes.contains_key(content))
            && !self.peers.has_offers(session.node)
    }

    /// Of two links to one node, both ends keep the one that the smaller key dialed; of two in the same direction, the newer.
    fn duplicate(&mut self, _link: LinkId, node: NodeId, dialed: bool) -> Option<CloseReason> {
        let (&old, session) = self.sessions.iter().find(|(_, session)| session.node == node)?;
        let is_kept = session.dialed == dialed || dialed == (self.node < node);
        if !is_kept {
            return Some(CloseReason::Duplicate);
        }
        self.close(old, CloseReason::Duplicate);
        None
    }

    pub(super) fn on_link_down(&mut self, link: LinkId, reason: &str) {
        let Some(session) = self.drop_session(link) else { return };
        if !self.sessions.values().any(|other| other.node == session.node) {
            let stood = self.now.since(session.up_at);
            self.peers.on_unlinked(self.now, session.node, (stood, Some(reason)), &mut self.rng);
        }
        if session.agent.is_some() {
            self.emit(Event::PeerLeft { node: session.node, reason: reason.to_owned() });
        }
        self.dial_due();
        for content in session.remotes.keys() {
            self.dial_hearsay(*content);
        }
        self.fill_all();
        self.give_up_without_hope();
    }

    /// Ends a link from this side.
    pub(super) fn close(&mut self, link: LinkId, reason: CloseReason) {
        let Some(session) = self.drop_session(link) else { return };
        let is_last = !self.sessions.values().any(|other| other.node == session.node);
        if is_last && !matches!(reason, CloseReason::Duplicate) {
            let reason = match &reason {
                _ if session.is_snubbed() => Some("it fell silent".to_owned()),
                CloseReason::Done => None,
                CloseReason::Duplicate
                | CloseReason::TooManyLinks
                | CloseReason::Violation(_)
                | CloseReason::Banned
                | CloseReason::AccessChanged
                | CloseReason::OfNoUse(_) => Some(reason.to_string()),
            };
            let stood = self.now.since(session.up_at);
            self.peers.on_unlinked(self.now, session.node, (stood, reason.as_deref()), &mut self.rng);
        }
        self.outputs.push_back(Output::Close { link, reason });
        // Its place is free for another.
        self.dial_due();
    }

    /// A peer did wrong: bans it, and tells why.
    pub(super) fn punish(&mut self, link: LinkId, violation: Violation) {
        let Some(session) = self.sessions.get(&link) else { return };
        let node = session.node;
        self.peers.ban(node, violation.clone());
        self.hearsay.forget_informer(node);
        self.close(link, CloseReason::Violation(violation.clone()));
        self.emit(Event::PeerBanned { node, violation });
        self.fill_all();
        self.give_up_without_hope();
    }

    fn drop_session(&mut self, link: LinkId) -> Option<Session> {
        let session = self.sessions.remove(&link)?;
        self.uploads.on_link_down(link);
        self.timers.cancel(Timer::Stall(link));
        for (content, remote) in &session.remotes {
            self.forget_remote(link, *content, remote);
        }
        for (request, open) in &session.requests {
            self.release(link, *request, open);
        }
        for content in self.contents.values_mut() {
            if let Phase::Manifest(fetch) = &mut content.phase
                && fetch.from == Some(link)
            {
                fetch.from = None;
            }
        }
        self.ask_for_manifests();
        // Should it come back, that is news again.
        for remote in self.sessions.values_mut().flat_map(|other| other.remotes.values_mut()) {
            remote.told.remove(&session.node);
        }
        // What went to it was in the way of others.
        self.serve();
        Some(session)
    }

    pub(super) fn on_patience_timer(&mut self, content: ContentId) {
        let Some(state) = self.contents.get(&content).filter(|state| state.wants_peers()) else { return };
        let Some(Patience { idle: patience, .. }) = state.patience else { return };
        let is_checking = state.chunks().is_some_and(|chunks| chunks.tally().checking_len > 0);
        // The disk, or opening the store, is this node's own affair: no reason to give up on peers.
        let is_busy = is_checking || matches!(state.phase, Phase::Opening(_));
        let deadline = match self.idle_since(content) {
            Some(since) if !is_busy => since + patience,
            _ => self.now + patience,
        };
        if deadline > self.now {
            self.timers.set(Timer::Patience(content), deadline);
        } else {
            let bottleneck = self.bottleneck(content);
            self.fail(content, FetchFailure::NoSource(bottleneck));
        }
    }

    /// Ends fetches that nobody is left for.
    pub(super) fn give_up_without_hope(&mut self) {
        let is_hopeless = |(content, state): (&ContentId, &super::content::Content)| {
            let is_over = state.patience.is_some()
                && state.wants_peers()
                && self.now >= state.search_until
                && self.peers.is_given_up(*content)
                && !self.hearsay.has(*content);
            let is_checking = state.chunks().is_some_and(|chunks| chunks.tally().checking_len > 0);
            (is_over && !is_checking && !matches!(state.phase, Phase::Opening(_))).then_some(*content)
        };
        let hopeless: Vec<ContentId> = self.contents.iter().filter_map(is_hopeless).collect();
        for content in hopeless {
            let failure = match self.peers.refusal(content) {
                Some(refusal) => FetchFailure::Refused(refusal),
                None => FetchFailure::NoSource(Bottleneck::NoPeer(self.peers.last_failure(content))),
            };
            self.fail(content, failure);
        }
    }
}
