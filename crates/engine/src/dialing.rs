//! Dialing: which nodes this one dials, and when. As many neighbours as a content is well served by, those named first before the rest
//! in random order, nodes that something is pushed to always. Owns the peer book and what was heard of others. Invariant: dials under
//! way are bounded, in all, for each content and for each informer. Policy is [`Room`] and the rank in the peer book.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::limits::{NEIGHBOURS_DIALED_MAX, NEIGHBOURS_WIDE_MAX};
use swarm_core::base::{ContentId, Instant, NodeId};
use swarm_core::manifest::Address;

use super::content::Content;
use super::hearsay::Hearsay;
use super::io::{LinkId, Output};
use super::peers::{PeerBook, Rank, Tie};
use super::session::Session;
use super::timers::Timer;
use super::transfer::Transfer;
use super::turn::Turn;

#[derive(Debug, Default)]
pub(super) struct Dialing {
    pub(super) peers: PeerBook,
    pub(super) hearsay: Hearsay,
}

/// What dialing looks at. Of contents it changes their reach alone.
#[derive(Debug)]
pub(super) struct Sights<'a> {
    pub(super) contents: &'a mut BTreeMap<ContentId, Content>,
    pub(super) sessions: &'a BTreeMap<LinkId, Session>,
    pub(super) transfer: &'a Transfer,
    pub(super) is_stopping: bool,
}

/// How wide a content casts its net.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    /// Neighbours beyond which no more are dialed to fetch.
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

impl Dialing {
    /// The first few in the order in which they were named, for a person chose them; the rest by chance, so that not all nodes
    /// dial the same.
    pub(super) fn rank(
        &mut self,
        turn: &mut Turn,
        sights: &mut Sights<'_>,
        content: ContentId,
        node: NodeId,
    ) -> Rank {
        let is_known = self.peers.is_source(node, content);
        if let Some(state) = sights.contents.get_mut(&content)
            && !is_known
            && state.reach.named < FIRST_SOURCES
        {
            state.reach.named += 1;
            return Rank::Named(state.reach.named);
        }
        Rank::Chance(turn.rng.next_u64())
    }

    /// Dials a node that dials this one at the same moment.
    pub(super) fn meet(&mut self, turn: &mut Turn, node: NodeId, addresses: Vec<Address>) {
        if let Some(addresses) = self.peers.begin_meeting(node, addresses) {
            turn.order(Output::Dial { node, addresses });
        }
    }

    /// Dials nodes that are due and of use to a content that has room for it.
    pub(super) fn dial_due(&mut self, turn: &mut Turn, sights: &mut Sights<'_>) {
        if sights.is_stopping || !self.peers.has_waiting() {
            return turn.timers.cancel(Timer::Dial);
        }
        let mut rooms = self.rooms(sights);
        let is_wanted = |rooms: &BTreeMap<ContentId, Room>, content: &ContentId, tie: Tie| {
            rooms.get(content).is_some_and(|room| match tie {
                Tie::Fetch => room.fetch > 0,
                Tie::Push => true,
            })
        };
        while let Some((node, addresses)) =
            self.peers.pop_due(turn.now, |content, tie| is_wanted(&rooms, content, tie))
        {
            let is_first = self.peers.on_tried(node);
            for content in self.peers.contents(node) {
                if let Some(room) = rooms.get_mut(content) {
                    room.fetch = room.fetch.saturating_sub(1);
                }
                if let Some(state) = sights.contents.get_mut(content).filter(|_| is_first) {
                    state.reach.tried_at = turn.now;
                }
            }
            turn.order(Output::Dial { node, addresses });
        }
        match self.peers.next_dial_at(|content, tie| is_wanted(&rooms, content, tie)) {
            // A node that is due and was not taken waits for one of the dials under way to end.
            Some(at) if at > turn.now => turn.timers.set(Timer::Dial, at),
            _ => turn.timers.cancel(Timer::Dial),
        }
        for (content, room) in rooms {
            if room.is_wanting && room.fetch == 0 {
                turn.timers.set_if_unset(Timer::Widen(content), turn.now + WIDEN_INTERVAL);
            }
        }
    }

    /// Since when nothing came although there was a peer to ask: the last source that was dialed has its time, too. `None`
    /// while others wait to be dialed.
    pub(super) fn idle_since(&self, now: Instant, content: ContentId, state: &Content) -> Option<Instant> {
        let latest = state.last_progress_at + UNTRIED_MAX;
        if now < latest && self.peers.has_untried(content) {
            return None;
        }
        Some(state.last_progress_at.max(state.reach.tried_at.min(latest)))
    }

    fn rooms(&self, sights: &Sights<'_>) -> BTreeMap<ContentId, Room> {
        let live = sights.contents.iter().filter(|(_, state)| state.is_live());
        let room = |(content, state): (&ContentId, &Content)| {
            let is_wanting = state.wants_peers();
            let limit = if is_wanting { state.reach.limit } else { 0 };
            let fetch = limit.saturating_sub(if is_wanting { self.neighbours(sights, *content) } else { 0 });
            (*content, Room { is_wanting, fetch })
        };
        live.map(room).collect()
    }

    /// Links that are of use to a content, or may be, and dials under way to some.
    pub(super) fn neighbours(&self, sights: &Sights<'_>, content: ContentId) -> usize {
        let is_of_use = |session: &&Session| {
            let participation = session.participation(content);
            !session.is_greeted() || participation.is_some_and(|participation| !participation.has_declined())
        };
        sights.sessions.values().filter(is_of_use).count() + self.peers.dialing(content)
    }

    /// There are more sources than are dialed: as long as more of them bring more, the net is cast wider. A sink of many
    /// slow peers needs them all, and a line that is full is not filled by more.
    pub(super) fn on_widen_timer(&mut self, turn: &mut Turn, sights: &mut Sights<'_>, content: ContentId) {
        let is_wanted = |other: &ContentId, _: Tie| *other == content;
        let has_more = self.peers.next_dial_at(is_wanted).is_some_and(|at| at <= turn.now);
        let links = sights.sessions.iter().filter(|(_, session)| session.participation(content).is_some());
        let rate = sights.transfer.rate_of(turn.now, links.map(|(link, _)| *link));
        let Some(state) = sights.contents.get_mut(&content).filter(|state| state.wants_peers() && has_more)
        else {
            return;
        };
        if rate == 0 || rate > state.reach.rate + state.reach.rate / 8 {
            state.reach.rate = rate;
            state.reach.limit = (state.reach.limit * 2).min(NEIGHBOURS_WIDE_MAX);
        }
        self.dial_due(turn, sights);
    }
}

/// Sources that are dialed in the order in which they were named.
const FIRST_SOURCES: u32 = 16;
/// Time for new neighbours to show what they bring. A sink of 200 slow peers is linked to all of them after four times that.
const WIDEN_INTERVAL: Duration = Duration::from_secs(1);
/// Patience waits for sources that were never dialed, since each may be the one that lives. A finder that is lied to without end
/// names new ones for ever: no longer than this since something came.
const UNTRIED_MAX: Duration = Duration::from_secs(10 * 60);
