//! Peer exchange: which peer is told of which. Owns what each was told and when. Invariant: a peer hears of some of those that take
//! part with this node, never twice of one link, at most every [`PEX_INTERVAL`]. Absent: which nodes this one dials (`neighbours`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::limits::PEX_INTERVAL;
use swarm_core::base::limits::{PEX_ADDRESSES_MAX, PEX_SOURCES_MAX};
use swarm_core::base::{Bitfield, ContentId, Instant, NodeId};
use swarm_core::manifest::{Address, Source};
use swarm_core::wire::Message;

use super::io::LinkId;
use super::participation::Participation;
use super::peers::PeerBook;
use super::session::Session;
use super::timers::Timer;
use super::transfer::Transfer;
use super::turn::Turn;

#[derive(Debug, Default)]
pub(super) struct Pex {
    talks: BTreeMap<(ContentId, LinkId), Talk>,
}

/// What was said of peers on one link, of one content.
#[derive(Debug, Default)]
struct Talk {
    /// When the peer was told of others, and of which.
    told_at: Option<Instant>,
    told: BTreeSet<NodeId>,
    /// How often others were told of it.
    told_of: u32,
    /// When it told of others.
    heard_at: Option<Instant>,
}

/// What an exchange looks at.
#[derive(Clone, Copy)]
pub(super) struct Crowd<'a> {
    pub(super) sessions: &'a BTreeMap<LinkId, Session>,
    pub(super) transfer: &'a Transfer,
    pub(super) peers: &'a PeerBook,
}

impl Pex {
    /// A peer has opened a content: it is told of others, and others of it, when a few more have come.
    pub(super) fn on_participant(turn: &mut Turn, content: ContentId) {
        let at = turn.now + GATHERING_TIME;
        if turn.timers.at(Timer::Exchange(content)).is_none_or(|set| set > at) {
            turn.timers.set(Timer::Exchange(content), at);
        }
    }

    /// Tells all peers that may hear something now, and sees when the next may.
    pub(super) fn exchange(&mut self, turn: &mut Turn, crowd: Crowd<'_>, content: ContentId) {
        let takes_part = |(_, session): &(&LinkId, &Session)| session.takes_part(content);
        let links: Vec<LinkId> = crowd.sessions.iter().filter(takes_part).map(|(link, _)| *link).collect();
        let (mut next_at, mut listeners) =
            (None, (PAIRS_AT_ONCE / links.len().max(1)).max(LISTENERS_AT_ONCE));
        for &link in links.iter().filter(|link| crowd.can_hear(**link, content)) {
            let told_at = self.talks.get(&(content, link)).and_then(|talk| talk.told_at);
            let mut may_at = told_at.map_or(turn.now, |at| at + PEX_INTERVAL);
            if listeners == 0 {
                may_at = may_at.max(turn.now + GATHERING_TIME);
            }
            if may_at <= turn.now {
                listeners -= 1;
                let sources = self.news_for(turn, crowd, (link, content), &links);
                if sources.is_empty() {
                    continue;
                }
                self.tell(turn, crowd, (link, content), sources);
                may_at = turn.now + PEX_INTERVAL;
            }
            next_at = next_at.into_iter().chain([may_at]).min();
        }
        if let Some(at) = next_at {
            turn.timers.set(Timer::Exchange(content), at);
        }
    }

    /// Some at random, those first that few were told of.
    fn news_for(
        &self,
        turn: &mut Turn,
        crowd: Crowd<'_>,
        (link, content): (LinkId, ContentId),
        links: &[LinkId],
    ) -> Vec<Source> {
        let told_of = |other: LinkId| self.talks.get(&(content, other)).map_or(0, |talk| talk.told_of);
        let mut others: Vec<(u32, u64, LinkId)> =
            links.iter().map(|other| (told_of(*other) / TOLD_OF_STEP, turn.rng.next_u64(), *other)).collect();
        others.sort_unstable();
        let was_told =
            |node: NodeId| self.talks.get(&(content, link)).is_some_and(|talk| talk.told.contains(&node));
        let news = others.into_iter().filter_map(|(.., other)| crowd.introduction(link, other, was_told));
        news.take(PEX_SOURCES_MAX).collect()
    }

    fn tell(
        &mut self,
        turn: &mut Turn,
        crowd: Crowd<'_>,
        (link, content): (LinkId, ContentId),
        sources: Vec<Source>,
    ) {
        let Some(handle) = crowd.transfer.downloads.handle(content) else { return };
        let talk = self.talks.entry((content, link)).or_default();
        talk.told_at = Some(turn.now);
        if talk.told.len() >= TOLD_MAX {
            talk.told.clear();
        }
        talk.told.extend(sources.iter().map(|source| source.node));
        for (other, session) in crowd.sessions {
            if sources.iter().any(|source| source.node == session.node)
                && session.participation(content).is_some()
            {
                self.talks.entry((content, *other)).or_default().told_of += 1;
            }
        }
        turn.send(link, Message::Peers { handle, sources });
    }

    /// A peer tells of others. False if it did so a moment ago: two messages may come closer together than they were sent.
    pub(super) fn on_told(&mut self, now: Instant, link: LinkId, content: ContentId) -> bool {
        let talk = self.talks.entry((content, link)).or_default();
        let is_too_often = talk.heard_at.is_some_and(|at| now.since(at) < PEX_INTERVAL / 2);
        if !is_too_often {
            talk.heard_at = Some(now);
        }
        !is_too_often
    }

    /// A peer is gone. Should it come back, that is news again.
    pub(super) fn on_link_down(&mut self, link: LinkId, node: NodeId) {
        self.talks.retain(|(_, of), _| *of != link);
        for talk in self.talks.values_mut() {
            talk.told.remove(&node);
        }
    }

    pub(super) fn forget(&mut self, content: ContentId) {
        self.talks.retain(|(of, _), _| *of != content);
    }
}

impl Crowd<'_> {
    /// The peer wants to hear of others: it knows what the content is, and lacks something of it.
    fn can_hear(self, link: LinkId, content: ContentId) -> bool {
        let is_complete = self.transfer.downloads.has(link, content).is_some_and(Bitfield::is_full);
        self.sessions.get(&link).is_some_and(|session| {
            let participation = session.participation(content);
            session.speaks_pex() && participation.is_some_and(Participation::is_known_there) && !is_complete
        })
    }

    /// What a peer is told of another: nothing if it was told before, or if the other cannot be reached from there.
    fn introduction(self, to: LinkId, other: LinkId, was_told: impl Fn(NodeId) -> bool) -> Option<Source> {
        let (listener, session) = (self.sessions.get(&to)?, self.sessions.get(&other)?);
        let is_new = to != other && listener.node != session.node && !was_told(session.node);
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
}

/// Newcomers that arrive together are told of each other at once. With 100 ms the first part of a crowd of 200 was told of
/// itself alone, and the last of one seed's leeches took 1.76 times the bound instead of 1.10.
const GATHERING_TIME: Duration = Duration::from_millis(300);
/// A peer that was told of so many times less often comes first: by chance alone some have few neighbours.
const TOLD_OF_STEP: u32 = 8;
/// Of many links, so many pairs are looked at at once, and one side of no fewer than that.
const PAIRS_AT_ONCE: usize = 64 << 10;
const LISTENERS_AT_ONCE: usize = 16;
/// Peers that one peer was told of; then the oldest news may be told again.
const TOLD_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Output;
    use crate::participation::Said;
    use crate::session::Greeting;
    use swarm_core::trust::Role;
    use swarm_core::wire::Handle;

    const CONTENT: ContentId = ContentId::from_bytes([7; 32]);

    /// So many peers that take part, know the manifest and hear of others.
    fn crowd(count: u64) -> (BTreeMap<LinkId, Session>, Transfer, PeerBook) {
        let mut transfer = Transfer::default();
        transfer.join(CONTENT, Handle(1));
        let session = |link: u64| {
            let address = Some(format!("192.0.2.{link}:1000").parse().expect("an address"));
            let node = NodeId::from_bytes([link as u8; 32]);
            let mut session = Session::new(Instant::ZERO, (node, Role::Full), false, address);
            session.greeting = Some(Greeting { speaks_pex: true });
            let remote = session.remotes.entry(CONTENT).or_default();
            remote.participation.on_open(Said::OpenWithManifest);
            (LinkId(link), session)
        };
        ((1..=count).map(session).collect(), transfer, PeerBook::default())
    }

    /// Which peers are told of how many.
    fn told(turn: &mut Turn) -> Vec<(u64, usize)> {
        let listener = |output| match output {
            Output::Send { link, message: Message::Peers { sources, .. } } => (link.0, sources.len()),
            other => panic!("{other:?}"),
        };
        std::iter::from_fn(|| turn.poll()).map(listener).collect()
    }

    #[test]
    fn each_is_told_of_all_others_once_and_of_newcomers_after_an_interval() {
        let (mut sessions, transfer, peers) = crowd(4);
        let newcomer = sessions.remove(&LinkId(4)).expect("the fourth");
        let (mut pex, mut turn) = (Pex::default(), Turn::new(1));
        let mut exchange = |turn: &mut Turn, sessions: &BTreeMap<LinkId, Session>| {
            pex.exchange(turn, Crowd { sessions, transfer: &transfer, peers: &peers }, CONTENT);
            told(turn)
        };
        assert_eq!(exchange(&mut turn, &sessions), [(1, 2), (2, 2), (3, 2)]);
        sessions.insert(LinkId(4), newcomer);
        assert_eq!(exchange(&mut turn, &sessions), [(4, 3)], "the others heard something a moment ago");
        turn.now = turn.now + PEX_INTERVAL;
        assert_eq!(exchange(&mut turn, &sessions), [(1, 1), (2, 1), (3, 1)]);
        turn.now = turn.now + PEX_INTERVAL;
        assert_eq!(exchange(&mut turn, &sessions), []);
    }

    #[test]
    fn a_node_that_comes_back_is_news_again() {
        let (sessions, transfer, peers) = crowd(2);
        let (mut pex, mut turn) = (Pex::default(), Turn::new(1));
        let crowd = Crowd { sessions: &sessions, transfer: &transfer, peers: &peers };
        pex.exchange(&mut turn, crowd, CONTENT);
        assert_eq!(told(&mut turn), [(1, 1), (2, 1)]);
        pex.on_link_down(LinkId(2), NodeId::from_bytes([2; 32]));
        turn.now = turn.now + PEX_INTERVAL;
        pex.exchange(&mut turn, crowd, CONTENT);
        assert_eq!(told(&mut turn), [(1, 1), (2, 1)]);
    }

    #[test]
    fn a_peer_that_tells_again_at_once_is_passed_over() {
        let mut pex = Pex::default();
        assert!(pex.on_told(Instant::ZERO, LinkId(1), CONTENT));
        assert!(!pex.on_told(Instant::ZERO, LinkId(1), CONTENT));
        assert!(pex.on_told(Instant::ZERO, LinkId(2), CONTENT));
        assert!(pex.on_told(Instant::ZERO + PEX_INTERVAL, LinkId(1), CONTENT));
    }
}
