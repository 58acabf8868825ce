//! Whom this node dials: as many neighbours as a content is well served by, who was named first before the rest in random
//! order, whoever something is offered to always. Policy is [`Room`] and the rank in the peer book.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::limits::{NEIGHBOURS_DIALED_MAX, NEIGHBOURS_WIDE_MAX};
use crate::base::{ContentId, Instant, NodeId};
use crate::manifest::Address;

use super::Engine;
use super::content::Phase;
use super::input::{DialFailure, Purpose};
use super::io::{Event, Output};
use super::peers::{Rank, Tie};
use super::session::Session;
use super::timers::Timer;

/// How wide a content casts its net.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    /// Neighbours beyond which nobody is dialed to fetch.
    limit: usize,
    /// What came, bytes a second, when that was raised last.
    rate: u64,
    /// Sources named so far, up to [`FIRST_SOURCES`].
    named: u32,
    /// Neighbours beyond the usual number that a node which fell behind has looked for, and since when it has the last.
    pub(super) extra: usize,
    pub(super) extra_at: Instant,
    /// When a source was dialed for the first time, the last that was.
    pub(super) tried_at: Instant,
}

impl Default for Reach {
    fn default() -> Self {
        Self {
            limit: NEIGHBOURS_DIALED_MAX,
            rate: 0,
            named: 0,
            extra: 0,
            extra_at: Instant::ZERO,
            tried_at: Instant::ZERO,
        }
    }
}

/// Dials a content may still want.
#[derive(Clone, Copy, Debug)]
struct Room {
    is_wanting: bool,
    fetch: usize,
}

impl Engine {
    pub(super) fn on_source(
        &mut self,
        content: ContentId,
        node: NodeId,
        addresses: Vec<Address>,
        purpose: Purpose,
    ) {
        if node == self.node {
            return;
        }
        let tie = match purpose {
            Purpose::Fetch => Tie::Fetch,
            Purpose::Offer => Tie::Offer,
            Purpose::Meet => return self.meet(node, addresses),
        };
        let rank = self.rank(content, node);
        self.peers.add_source(self.turn.now, content, node, addresses, (tie, rank));
        if tie == Tie::Offer {
            let linked = self.sessions.iter().find(|(_, session)| session.node == node);
            if let Some(link) = linked.map(|(link, _)| *link) {
                self.open(link, content);
                self.introduce(link, content);
            }
        }
        self.dial_due();
    }

    /// The first few in the order in which they were named, for somebody chose them; the rest by chance, so that not
    /// everybody dials the same.
    fn rank(&mut self, content: ContentId, node: NodeId) -> Rank {
        let is_known = self.peers.is_source(node, content);
        if let Some(state) = self.contents.get_mut(&content)
            && !is_known
            && state.reach.named < FIRST_SOURCES
        {
            state.reach.named += 1;
            return Rank::Named(state.reach.named);
        }
        Rank::Chance(self.turn.rng.next_u64())
    }

    fn meet(&mut self, node: NodeId, addresses: Vec<Address>) {
        let addresses = if self.is_stopping { None } else { self.peers.begin_meeting(node, addresses) };
        if let Some(addresses) = addresses {
            self.turn.order(Output::Dial { node, addresses });
        }
    }

    /// Dials whoever is due and is of use to a content that has room for it.
    pub(super) fn dial_due(&mut self) {
        if self.is_stopping || !self.peers.has_waiting() {
            return self.turn.timers.cancel(Timer::Dial);
        }
        let mut rooms = self.rooms();
        let is_wanted = |rooms: &BTreeMap<ContentId, Room>, content: &ContentId, tie: Tie| {
            rooms.get(content).is_some_and(|room| match tie {
                Tie::Fetch => room.fetch > 0,
                Tie::Offer => true,
            })
        };
        while let Some((node, addresses)) =
            self.peers.pop_due(self.turn.now, |content, tie| is_wanted(&rooms, content, tie))
        {
            let is_first = self.peers.on_tried(node);
            for content in self.peers.contents(node) {
                if let Some(room) = rooms.get_mut(content) {
                    room.fetch = room.fetch.saturating_sub(1);
                }
                if let Some(state) = self.contents.get_mut(content).filter(|_| is_first) {
                    state.reach.tried_at = self.turn.now;
                }
            }
            self.turn.order(Output::Dial { node, addresses });
        }
        match self.peers.next_dial_at(|content, tie| is_wanted(&rooms, content, tie)) {
            // Whoever is due and was not taken waits for one of the dials under way to end.
            Some(at) if at > self.turn.now => self.turn.timers.set(Timer::Dial, at),
            _ => self.turn.timers.cancel(Timer::Dial),
        }
        for (content, room) in rooms {
            if room.is_wanting && room.fetch == 0 {
                self.turn.timers.set_if_unset(Timer::Widen(content), self.turn.now + WIDEN_INTERVAL);
            }
        }
    }

    /// Since when nothing came although there was somebody to ask: the last source that was dialed has its time, too. `None`
    /// while others wait to be dialed.
    pub(super) fn idle_since(&self, content: ContentId) -> Option<Instant> {
        let state = self.contents.get(&content)?;
        let latest = state.last_progress_at + UNTRIED_MAX;
        if self.turn.now < latest && self.peers.has_untried(content) {
            return None;
        }
        Some(state.last_progress_at.max(state.reach.tried_at.min(latest)))
    }

    fn rooms(&self) -> BTreeMap<ContentId, Room> {
        let live = self.contents.iter().filter(|(_, state)| !matches!(state.phase, Phase::Failed));
        let room = |(content, state): (&ContentId, &super::content::Content)| {
            let is_wanting = state.wants_peers();
            let limit = if is_wanting { state.reach.limit } else { 0 };
            let fetch = limit.saturating_sub(if is_wanting { self.neighbours(*content) } else { 0 });
            (*content, Room { is_wanting, fetch })
        };
        live.map(room).collect()
    }

    /// Links that are of use to a content, or may be, and dials under way to some.
    pub(super) fn neighbours(&self, content: ContentId) -> usize {
        let is_of_use = |session: &&Session| {
            let participation = session.participation(content);
            !session.is_greeted() || participation.is_some_and(|participation| !participation.has_declined())
        };
        self.sessions.values().filter(is_of_use).count() + self.peers.dialing(content)
    }

    /// There are more sources than are dialed: as long as more of them bring more, the net is cast wider. A sink of many
    /// slow peers needs them all, and a line that is full is not filled by more.
    pub(super) fn on_widen_timer(&mut self, content: ContentId) {
        let is_wanted = |other: &ContentId, _: Tie| *other == content;
        let has_more = self.peers.next_dial_at(is_wanted).is_some_and(|at| at <= self.turn.now);
        let links = self.sessions.iter().filter(|(_, session)| session.participation(content).is_some());
        let rate = self.transfer.rate_of(self.turn.now, links.map(|(link, _)| *link));
        let Some(state) = self.contents.get_mut(&content).filter(|state| state.wants_peers() && has_more)
        else {
            return;
        };
        if rate == 0 || rate > state.reach.rate + state.reach.rate / 8 {
            state.reach.rate = rate;
            state.reach.limit = (state.reach.limit * 2).min(NEIGHBOURS_WIDE_MAX);
        }
        self.dial_due();
    }

    pub(super) fn on_dial_failed(&mut self, node: NodeId, failure: DialFailure) {
        if !self.peers.end_meeting(node) && !self.peers.end_trial(node) {
            match &failure {
                DialFailure::Unreachable(reason) => {
                    self.peers.on_failed(self.turn.now, node, reason, &mut self.turn.rng)
                }
                DialFailure::Refused(refusal) => {
                    self.peers.on_refused(self.turn.now, node, refusal, &mut self.turn.rng)
                }
            }
            self.turn.emit(Event::PeerUnreachable { node, failure });
        }
        self.dial_due();
        let contents: Vec<ContentId> = self.contents.keys().copied().collect();
        contents.into_iter().for_each(|content| self.dial_hearsay(content));
        self.give_up_without_hope();
    }
}

/// Sources that are dialed in the order in which they were named.
const FIRST_SOURCES: u32 = 16;
/// Time for new neighbours to show what they bring. A sink of 200 slow peers is linked to all of them after four times that.
const WIDEN_INTERVAL: Duration = Duration::from_secs(1);
/// Patience waits for sources that were never dialed, since each may be the one that lives. A finder that is lied to without end
/// names new ones for ever: no longer than this since something came.
const UNTRIED_MAX: Duration = Duration::from_secs(10 * 60);
