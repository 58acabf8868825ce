//! Peer exchange: who tells whom of whom, and whom this node dials on the word of others. A peer hears of some at random of
//! those that take part with this node, never twice of one link, at most every [`PEX_INTERVAL`]; a node that has enough
//! neighbours dials nobody on hearsay.

use std::time::Duration;

use crate::base::limits::{NEIGHBOURS_TARGET, PEX_ADDRESSES_MAX, PEX_INTERVAL, PEX_SOURCES_MAX};
use crate::base::{Bitfield, ContentId};
use crate::manifest::{Address, Source};
use crate::wire::{Handle, Message};

use super::Engine;
use super::hearsay::Heard;
use super::io::{Event, LinkId, Output};
use super::session::Session;
use super::timers::Timer;
use super::violation::Violation;

impl Engine {
    /// A peer has opened a content: it is told of others, and others of it, when a few more have come.
    pub(super) fn on_participant(&mut self, content: ContentId) {
        let at = self.now + GATHERING_TIME;
        if self.timers.at(Timer::Exchange(content)).is_none_or(|set| set > at) {
            self.timers.set(Timer::Exchange(content), at);
        }
    }

    /// Tells everybody who may hear something now, and sees when the next may.
    pub(super) fn exchange(&mut self, content: ContentId) {
        let Some(state) = self.contents.get(&content) else { return };
        let handle = state.handle;
        let links: Vec<LinkId> =
            self.sessions.iter().filter(|(_, s)| s.takes_part(content)).map(|(l, _)| *l).collect();
        let mut next_at = None;
        for (index, &link) in links.iter().enumerate() {
            let Some(session) = self.sessions.get(&link).filter(|session| session.can_hear(content)) else {
                continue;
            };
            let told_at = session.remotes.get(&content).and_then(|remote| remote.told_at);
            let may_at = told_at.map_or(self.now, |at| at + PEX_INTERVAL);
            let start = index + 1 + self.rng.below(links.len() as u64) as usize;
            let others = (0..links.len()).map(|step| links[(start + step) % links.len()]);
            let sources: Vec<Source> = others
                .filter_map(|other| self.introduction(content, link, other))
                .take(PEX_SOURCES_MAX)
                .collect();
            if sources.is_empty() {
                continue;
            }
            let is_full = sources.len() == PEX_SOURCES_MAX;
            let again_at = if may_at <= self.now {
                self.tell_peers(link, (content, handle), sources);
                is_full.then(|| self.now + PEX_INTERVAL)
            } else {
                Some(may_at)
            };
            next_at = next_at.into_iter().chain(again_at).min();
        }
        if let Some(at) = next_at {
            self.timers.set(Timer::Exchange(content), at);
        }
    }

    /// What a peer is told of another: nothing if it was told before, if neither has anything for the other, or if the other
    /// cannot be reached from there.
    fn introduction(&self, content: ContentId, to: LinkId, other: LinkId) -> Option<Source> {
        let (listener, session) = (self.sessions.get(&to)?, self.sessions.get(&other)?);
        let remote = listener.remotes.get(&content)?;
        let is_new = to != other && listener.node != session.node && !remote.told.contains(&session.node);
        if !is_new || self.peers.is_banned(session.node) {
            return None;
        }
        let place = listener.address.as_ref()?;
        let known = session.dialed.then(|| self.peers.addresses(session.node)).into_iter().flatten();
        let mut addresses: Vec<Address> = Vec::new();
        for address in session.address.iter().chain(known).filter(|address| address.may_be_told_to(place)) {
            if addresses.len() < PEX_ADDRESSES_MAX && !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        (!addresses.is_empty()).then_some(Source { node: session.node, addresses })
    }

    fn tell_peers(&mut self, link: LinkId, (content, handle): (ContentId, Handle), sources: Vec<Source>) {
        let Some(remote) = self.sessions.get_mut(&link).and_then(|s| s.remotes.get_mut(&content)) else {
            return;
        };
        remote.told_at = Some(self.now);
        if remote.told.len() >= TOLD_MAX {
            remote.told.clear();
        }
        remote.told.extend(sources.iter().map(|source| source.node));
        self.send(link, Message::Peers { handle, sources });
    }

    /// What comes too often is passed over: two messages may come closer together than they were sent.
    pub(super) fn on_peers(
        &mut self,
        link: LinkId,
        handle: Handle,
        sources: Vec<Source>,
    ) -> Result<(), Violation> {
        let is_spoken = self.sessions.get(&link).is_some_and(|session| session.speaks_pex);
        if !is_spoken {
            return Err(Violation::OutOfOrder("peers without having named the feature"));
        }
        let Some(content) = self.opened(link, handle)? else { return Ok(()) };
        let now = self.now;
        let Some(session) = self.sessions.get_mut(&link) else { return Ok(()) };
        let (informer, place) = (session.node, session.address.clone());
        let Some(remote) = session.remotes.get_mut(&content) else { return Ok(()) };
        let is_too_often = remote.heard_at.is_some_and(|at| now.since(at) < PEX_INTERVAL / 2);
        let (false, Some(place)) = (is_too_often, place) else { return Ok(()) };
        remote.heard_at = Some(now);
        for Source { node, mut addresses } in sources {
            addresses.retain(|address| address.may_be_told_to(&place));
            if node != self.node && !addresses.is_empty() && !self.peers.is_in_hand(node) {
                self.hearsay.add(content, node, Heard { addresses, informer });
            }
        }
        self.dial_hearsay(content);
        Ok(())
    }

    /// Dials half of what is lacking: those that are told of this node dial it meanwhile. If all took all they want at once,
    /// some would end with twice as many neighbours as others.
    pub(super) fn dial_hearsay(&mut self, content: ContentId) {
        let wants = self.contents.get(&content).is_some_and(super::content::Content::wants_peers);
        if !wants || self.is_stopping || self.timers.at(Timer::Neighbours(content)).is_some() {
            return;
        }
        let lacking = (NEIGHBOURS_TARGET as usize).saturating_sub(self.neighbours(content));
        let mut wanted = lacking.div_ceil(2);
        while wanted > 0
            && let Some((node, heard)) = self.hearsay.take(self.now, content, &mut self.rng)
        {
            if !self.peers.begin_trial(node, content, &heard.addresses) {
                continue;
            }
            wanted -= 1;
            self.hearsay.on_dialed(self.now, heard.informer);
            self.emit(Event::PeerFound { node, by: heard.informer });
            self.outputs.push_back(Output::Dial { node, addresses: heard.addresses });
        }
        if self.hearsay.has(content) {
            self.timers.set(Timer::Neighbours(content), self.now + LOOK_INTERVAL);
        }
    }
}

impl Session {
    /// The peer takes part in the content.
    fn takes_part(&self, content: ContentId) -> bool {
        self.remotes.get(&content).is_some_and(|remote| remote.peer_opened.is_some() && !remote.has_declined)
    }

    /// The peer wants to hear of others: it knows what the content is, and lacks something of it.
    fn can_hear(&self, content: ContentId) -> bool {
        self.speaks_pex
            && self.remotes.get(&content).is_some_and(|remote| {
                let is_complete = remote.has.as_ref().is_some_and(Bitfield::is_full);
                remote.peer_opened == Some(true) && !is_complete
            })
    }
}

/// Newcomers that arrive together are told of each other at once.
const GATHERING_TIME: Duration = Duration::from_millis(100);
/// How often a node that lacks neighbours looks again.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Peers that one peer was told of; then the oldest news may be told again.
const TOLD_MAX: usize = 1024;
