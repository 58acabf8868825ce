//! Links coming and going: duplicates, bans, patience. Which nodes this one dials is decided in `dialing`.

use swarm_core::base::{Bitfield, ContentId, NodeId};
use swarm_core::manifest::Address;
use swarm_core::trust::Role;
use swarm_core::wire::{Hello, Message};

use super::chunks::Chunks;
use super::content::Phase;
use super::input::Patience;
use super::io::{CloseReason, Event, FetchFailure, LinkId, Output};
use super::pipeline::Pipeline;
use super::session::Session;
use super::sessions::LinkVerdict;
use super::snapshot::Survey;
use super::timers::Timer;
use super::violation::Violation;
use super::{Engine, Life};

impl Engine {
    pub(super) fn on_link_up(
        &mut self,
        link: LinkId,
        (node, role): (NodeId, Role),
        dialed: bool,
        address: Option<Address>,
    ) {
        if dialed {
            self.dialing.peers.end_meeting(node);
        }
        let is_complete = |link: LinkId, content: ContentId| {
            let state = self.contents.by_id.get(&content);
            state.is_some_and(|state| matches!(state.phase, Phase::Complete))
                && self.transfer.downloads.has(link, content).is_some_and(Bitfield::is_full)
        };
        let is_kept = |node| self.dialing.peers.has_pushes(node);
        let verdict = match self.life {
            Life::Stopping | Life::Stopped => LinkVerdict::Refused(CloseReason::Done),
            Life::Running if self.dialing.peers.is_banned(node) => LinkVerdict::Refused(CloseReason::Banned),
            Life::Running => self.sessions.admit((self.node, node), dialed, is_complete, is_kept),
        };
        match verdict {
            LinkVerdict::Free => {}
            LinkVerdict::Replaces(other, reason) => self.close(other, reason),
            LinkVerdict::Refused(reason) => return self.turn.order(Output::Close { link, reason }),
        }
        self.dialing.peers.on_linked(node);
        self.serving.look_at_slots(&mut self.turn);
        self.sessions.by_link.insert(link, Session::new(self.turn.now, (node, role), dialed, address));
        self.turn.send(link, Message::Hello(Hello::ours()));
        self.transfer.on_link_up(self.turn.now, link, node);
        self.serving.on_link_up(&mut self.turn, link);
        // A dial has ended: a node that waited for that may be dialed.
        self.dial_due();
    }

    pub(super) fn on_link_down(&mut self, link: LinkId, reason: &str) {
        let Some((session, _)) = self.drop_session(link) else { return };
        if !self.sessions.by_link.values().any(|other| other.node == session.node) {
            let stood = self.turn.now.since(session.up_at);
            self.dialing.peers.on_unlinked(
                self.turn.now,
                session.node,
                (stood, Some(reason)),
                &mut self.turn.rng,
            );
        }
        if session.is_greeted() {
            self.turn.emit(Event::PeerLeft { node: session.node, reason: reason.to_owned() });
        }
        self.dial_due();
        for content in session.remotes.keys() {
            self.dial_hearsay(*content);
        }
        self.transfer.fill_all(&mut self.turn);
        self.contents.give_up_without_hope(&mut self.turn, &mut self.transfer, &self.dialing);
    }

    /// Ends a link from this side.
    pub(super) fn close(&mut self, link: LinkId, reason: CloseReason) {
        let Some((session, pipeline)) = self.drop_session(link) else { return };
        let is_last = !self.sessions.by_link.values().any(|other| other.node == session.node);
        if is_last && !matches!(reason, CloseReason::Duplicate) {
            let reason = match &reason {
                _ if pipeline.is_stalled() => Some("it stalled".to_owned()),
                CloseReason::Done => None,
                CloseReason::Duplicate
                | CloseReason::TooManyLinks
                | CloseReason::Violation(_)
                | CloseReason::Banned
                | CloseReason::AccessChanged
                | CloseReason::OfNoUse(_) => Some(reason.to_string()),
            };
            let stood = self.turn.now.since(session.up_at);
            let end = (stood, reason.as_deref());
            self.dialing.peers.on_unlinked(self.turn.now, session.node, end, &mut self.turn.rng);
        }
        self.turn.order(Output::Close { link, reason });
        // Its place is free for another.
        self.dial_due();
    }

    /// A peer did wrong: bans it, and tells why.
    pub(super) fn punish(&mut self, link: LinkId, violation: Violation) {
        let Some(session) = self.sessions.by_link.get(&link) else { return };
        let node = session.node;
        self.dialing.peers.ban(node, violation.clone());
        self.dialing.hearsay.forget_informer(node);
        self.close(link, CloseReason::Violation(violation.clone()));
        self.turn.emit(Event::PeerBanned { node, violation });
        self.transfer.fill_all(&mut self.turn);
        self.contents.give_up_without_hope(&mut self.turn, &mut self.transfer, &self.dialing);
    }

    fn drop_session(&mut self, link: LinkId) -> Option<(Session, Pipeline)> {
        let session = self.sessions.by_link.remove(&link)?;
        self.serving.uploads.on_link_down(link);
        self.turn.timers.cancel(Timer::Stall(link));
        for content in session.remotes.keys() {
            self.serving.on_part_ended(&mut self.turn, &self.transfer.downloads, link, *content);
        }
        let pipeline = self.transfer.on_link_down(link)?;
        self.contents.on_link_down(&mut self.turn, link, &self.sessions.by_link);
        self.pex.on_link_down(link, session.node);
        // What went to it was in the way of others.
        self.serving.serve(&mut self.turn, &self.transfer.downloads);
        Some((session, pipeline))
    }

    pub(super) fn on_patience_timer(&mut self, content: ContentId) {
        let Some(state) = self.contents.by_id.get(&content).filter(|state| state.wants_peers()) else {
            return;
        };
        let Some(Patience { idle: patience, .. }) = state.patience else { return };
        let is_checking = self.transfer.downloads.chunks(content).is_some_and(Chunks::has_checking);
        // The disk, or opening the store, is this node's own affair: no reason to give up on peers.
        let is_busy = is_checking || matches!(state.phase, Phase::Opening(_));
        let deadline = match self.dialing.idle_since(self.turn.now, content, state) {
            Some(since) if !is_busy => since + patience,
            _ => self.turn.now + patience,
        };
        if deadline > self.turn.now {
            self.turn.timers.set(Timer::Patience(content), deadline);
        } else {
            let bottleneck = Survey::of(self).bottleneck(content);
            let failure = FetchFailure::NoSource(bottleneck);
            self.contents.fail(&mut self.turn, &mut self.transfer, content, failure);
        }
    }
}
