//! Links coming and going: duplicates, bans, patience. Which nodes this one dials is decided in `dialing`.

use crate::limits::LINKS_MAX;
use swarm_core::base::{Bitfield, ContentId, NodeId};
use swarm_core::manifest::Address;
use swarm_core::trust::Role;
use swarm_core::wire::{Hello, Message};

use super::Engine;
use super::chunks::Chunks;
use super::content::{Content, Phase};
use super::input::Patience;
use super::io::{Bottleneck, CloseReason, Event, FetchFailure, LinkId, Output};
use super::pipeline::Pipeline;
use super::session::Session;
use super::snapshot::Survey;
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
            self.dialing.peers.end_meeting(node);
        }
        let refusal = if self.is_stopping {
            Some(CloseReason::Done)
        } else if self.dialing.peers.is_banned(node) {
            Some(CloseReason::Banned)
        } else if self.sessions.by_link.len() >= LINKS_MAX && !self.make_room() {
            Some(CloseReason::TooManyLinks)
        } else {
            self.duplicate(node, dialed)
        };
        if let Some(reason) = refusal {
            self.turn.order(Output::Close { link, reason });
            return;
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

    /// This node holds as many links as it may: one that is of no use to either side goes.
    fn make_room(&mut self) -> bool {
        let is_complete = |link: LinkId, content: ContentId| {
            let is_here =
                self.contents.get(&content).is_some_and(|state| matches!(state.phase, Phase::Complete));
            is_here && self.transfer.downloads.has(link, content).is_some_and(Bitfield::is_full)
        };
        let spare = self.sessions.find_done(is_complete, |node| self.dialing.peers.has_pushes(node));
        if let Some(link) = spare {
            self.close(link, CloseReason::Done);
        }
        spare.is_some()
    }

    /// Of two links to one node, both ends keep the one that the smaller key dialed; of two in the same direction, the newer.
    fn duplicate(&mut self, node: NodeId, dialed: bool) -> Option<CloseReason> {
        let (old, session) = self.sessions.find_node(node)?;
        let is_kept = session.dialed == dialed || dialed == (self.node < node);
        if !is_kept {
            return Some(CloseReason::Duplicate);
        }
        self.close(old, CloseReason::Duplicate);
        None
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
        self.give_up_without_hope();
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
        self.give_up_without_hope();
    }

    fn drop_session(&mut self, link: LinkId) -> Option<(Session, Pipeline)> {
        let session = self.sessions.by_link.remove(&link)?;
        self.serving.uploads.on_link_down(link);
        self.turn.timers.cancel(Timer::Stall(link));
        for content in session.remotes.keys() {
            self.serving.on_part_ended(&mut self.turn, &self.transfer.downloads, link, *content);
        }
        let pipeline = self.transfer.on_link_down(link)?;
        for fetch in self.contents.values_mut().filter_map(Content::manifest_fetch) {
            fetch.on_link_down(link);
        }
        self.ask_for_manifests();
        self.pex.on_link_down(link, session.node);
        // What went to it was in the way of others.
        self.serving.serve(&mut self.turn, &self.transfer.downloads);
        Some((session, pipeline))
    }

    pub(super) fn on_patience_timer(&mut self, content: ContentId) {
        let Some(state) = self.contents.get(&content).filter(|state| state.wants_peers()) else { return };
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
            if let Some(state) = self.contents.get_mut(&content) {
                state.fail(&mut self.turn, content, &mut self.transfer, FetchFailure::NoSource(bottleneck));
            }
        }
    }

    /// Ends fetches for which no source is left.
    pub(super) fn give_up_without_hope(&mut self) {
        let is_hopeless = |(content, state): (&ContentId, &super::content::Content)| {
            let is_over = state.patience.is_some()
                && state.wants_peers()
                && self.turn.now >= state.search_until
                && self.dialing.peers.is_given_up(*content)
                && !self.dialing.hearsay.has(*content);
            (is_over
                && !self.transfer.downloads.chunks(*content).is_some_and(Chunks::has_checking)
                && !matches!(state.phase, Phase::Opening(_)))
            .then_some(*content)
        };
        let hopeless: Vec<ContentId> = self.contents.iter().filter_map(is_hopeless).collect();
        for content in hopeless {
            let failure = match self.dialing.peers.refusal(content) {
                Some(refusal) => FetchFailure::Refused(refusal),
                None => FetchFailure::NoSource(Bottleneck::NoPeer(self.dialing.peers.last_failure(content))),
            };
            if let Some(state) = self.contents.get_mut(&content) {
                state.fail(&mut self.turn, content, &mut self.transfer, failure);
            }
        }
    }
}
