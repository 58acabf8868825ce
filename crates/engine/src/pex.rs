//! Peer exchange: who tells whom of whom, and whom this node dials on the word of others. A peer hears of some of
//! those that take part with this node, never twice of one link, at most every [`PEX_INTERVAL`]; a node that has enough
//! neighbours dials nobody on hearsay.

use std::time::Duration;

use crate::limits::PEX_INTERVAL;
use swarm_core::base::limits::{NEIGHBOURS_TARGET, PEX_ADDRESSES_MAX, PEX_SOURCES_MAX};
use swarm_core::base::{Bitfield, ContentId, Rate};
use swarm_core::manifest::{Address, Source};
use swarm_core::wire::{Handle, Message};

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
        let (mut next_at, mut listeners) =
            (None, (PAIRS_AT_ONCE / links.len().max(1)).max(LISTENERS_AT_ONCE));
        for &link in &links {
            let Some(session) = self.sessions.get(&link).filter(|session| session.can_hear(content)) else {
                continue;
            };
            let told_at = session.remotes.get(&content).and_then(|remote| remote.told_at);
            let mut may_at = told_at.map_or(self.now, |at| at + PEX_INTERVAL);
            if listeners == 0 {
                may_at = may_at.max(self.now + GATHERING_TIME);
            }
            if may_at <= self.now {
                listeners -= 1;
                let sources = self.news_for(link, content, &links);
                if sources.is_empty() {
                    continue;
                }
                self.tell_peers(link, (content, handle), sources);
                may_at = self.now + PEX_INTERVAL;
            }
            next_at = next_at.into_iter().chain([may_at]).min();
        }
        if let Some(at) = next_at {
            self.timers.set(Timer::Exchange(content), at);
        }
    }

    /// Some at random, those whom few were told of before the others.
    fn news_for(&mut self, link: LinkId, content: ContentId, links: &[LinkId]) -> Vec<Source> {
        let mut others: Vec<(u32, u64, LinkId)> = links
            .iter()
            .map(|other| (self.told_of(*other, content) / TOLD_OF_STEP, self.rng.next_u64(), *other))
            .collect();
        others.sort_unstable();
        let news = others.into_iter().filter_map(|(.., other)| self.introduction(content, link, other));
        news.take(PEX_SOURCES_MAX).collect()
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

    /// How often others were told of a peer.
    fn told_of(&self, link: LinkId, content: ContentId) -> u32 {
        self.sessions.get(&link).and_then(|s| s.remotes.get(&content)).map_or(0, |remote| remote.told_of)
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
        for session in self.sessions.values_mut() {
            if sources.iter().any(|source| source.node == session.node)
                && let Some(remote) = session.remotes.get_mut(&content)
            {
                remote.told_of += 1;
            }
        }
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

    /// Something changed: whoever has half of its neighbours waits a moment, for those that it is told of by others than peers,
    /// and those that dial it.
    pub(super) fn dial_hearsay(&mut self, content: ContentId) {
        if self.neighbours(content) * 2 < NEIGHBOURS_TARGET as usize
            && self.timers.at(Timer::Neighbours(content)).is_none()
        {
            self.look_for_neighbours(content);
        } else if self.hearsay.has(content) {
            self.timers.set_if_unset(Timer::Neighbours(content), self.now + LOOK_INTERVAL);
        }
    }

    /// Dials half of what is lacking: those that are told of this node dial it meanwhile. If all took all they want at once,
    /// some would end with twice as many neighbours as others.
    pub(super) fn look_for_neighbours(&mut self, content: ContentId) {
        let wants = self.contents.get(&content).is_some_and(super::content::Content::wants_peers);
        if !wants || self.is_stopping {
            return;
        }
        let lacking = self.neighbours_wanted(content).saturating_sub(self.neighbours(content));
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

impl Engine {
    /// As many as everybody has; more for a node whose neighbours happen to have little to give, and which falls behind them.
    fn neighbours_wanted(&mut self, content: ContentId) -> usize {
        let is_behind = self.is_behind(content);
        let has_all = self.neighbours(content) >= NEIGHBOURS_TARGET as usize;
        let (now, Some(state)) = (self.now, self.contents.get_mut(&content)) else { return 0 };
        let reach = &mut state.reach;
        if is_behind && has_all && reach.extra < EXTRA_MAX && now >= reach.extra_at + EXTRA_INTERVAL {
            reach.extra += 1;
            reach.extra_at = now;
        }
        NEIGHBOURS_TARGET as usize + reach.extra
    }

    /// The others that fetch have more than this node gets in a while.
    fn is_behind(&self, content: ContentId) -> bool {
        let Some(chunks) = self.contents.get(&content).and_then(|state| state.chunks()) else { return false };
        let is_open = |session: &&Session| session.outstanding_len > 0;
        let rates = self.sessions.values().filter(is_open).filter_map(|session| session.rate(self.now));
        let rate: u64 = rates.map(|rate| rate.0).sum();
        let others = self.sessions.values().filter_map(|session| session.has(content));
        let mut have_counts: Vec<u32> = others.filter(|has| !has.is_full()).map(Bitfield::count).collect();
        have_counts.sort_unstable();
        // The median: a lone seed shows next to nothing, and newcomers have little.
        let usual_count = have_counts.get(have_counts.len() / 2).copied().unwrap_or(0);
        let behind_count = u64::from(usual_count.saturating_sub(chunks.have().count()));
        let behind_len = behind_count * u64::from(chunks.geometry().chunk_len_max());
        have_counts.len() >= FETCHING_MIN && rate > 0 && Rate(rate).time_for(behind_len) > BEHIND_TIME
    }
}

impl Session {
    /// The peer takes part in the content.
    pub(super) fn takes_part(&self, content: ContentId) -> bool {
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

/// Newcomers that arrive together are told of each other at once. With 100 ms the first part of a crowd of 200 was told of
/// itself alone, and the last of one seed's leeches took 1.76 times the bound instead of 1.10.
const GATHERING_TIME: Duration = Duration::from_millis(300);
/// Whoever was told of so many times less often comes first: by chance alone some have few neighbours.
const TOLD_OF_STEP: u32 = 8;
/// Of many links, so many pairs are looked at at once, and one side of no fewer than that.
const PAIRS_AT_ONCE: usize = 64 << 10;
const LISTENERS_AT_ONCE: usize = 16;
/// How often a node that lacks neighbours looks again.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A node whose ten neighbours had half of the mean uplink (one of 200 whose uplinks are spread ten-fold) got 7.8 MB/s where
/// the others got 9.5, and was done 7 % after them all.
const BEHIND_TIME: Duration = Duration::from_secs(3);
const EXTRA_MAX: usize = NEIGHBOURS_TARGET as usize / 2;
/// Time for one more to show what it brings.
const EXTRA_INTERVAL: Duration = Duration::from_secs(4);
/// Fewer say nothing of how fast the rest is.
const FETCHING_MIN: usize = 4;
/// Peers that one peer was told of; then the oldest news may be told again.
const TOLD_MAX: usize = 1024;
