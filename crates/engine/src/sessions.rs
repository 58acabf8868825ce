//! All links as the protocol sees them, and what is granted on each. Owns the sessions and the access table. Invariant: where this node
//! takes part in a content with a peer, the table grants it to that peer. Absent: chunks, requests, dials.

use std::collections::BTreeMap;

use crate::limits::{HANDLES_PER_LINK_MAX, LINKS_MAX};
use swarm_core::base::{ContentId, NodeId};
use swarm_core::trust::{AccessTable, Role};
use swarm_core::wire::{ChunkRuns, DeclineReason, Handle, Message};

use super::io::{CloseReason, Event, LinkId};
use super::participation::{Participation, Said};
use super::session::{Remote, Session};
use super::turn::Turn;
use super::violation::Violation;

#[derive(Debug, Default)]
pub(super) struct Sessions {
    pub(super) by_link: BTreeMap<LinkId, Session>,
    access: AccessTable,
}

/// What a peer says as it opens a content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    pub(super) handle: Handle,
    pub(super) content: ContentId,
    pub(super) said: Said,
    /// It asks this node to take and keep the content.
    pub(super) is_offer: bool,
}

/// What this node makes of a content that a peer opens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stance {
    /// It takes part.
    pub(super) takes_part: bool,
    /// It took part once, though the fetch may have failed.
    pub(super) is_joined: bool,
    /// The product answers offers of what is new here.
    pub(super) takes_offers: bool,
}

/// Whether a new link may stand.
#[derive(Debug)]
pub(super) enum LinkVerdict {
    Free,
    /// Another one ends for it.
    Replaces(LinkId, CloseReason),
    /// It is to end itself.
    Refused(CloseReason),
}

impl Sessions {
    /// Another table holds from now on, unless it is older. Returns the links on which something goes on that is no longer granted:
    /// they are to end, and a peer that comes back is told so where it asks for that content again.
    pub(super) fn set_access(&mut self, table: AccessTable) -> Option<Vec<LinkId>> {
        if !table.is_newer_than(&self.access) {
            return None;
        }
        self.access = table;
        let is_overdrawn = |session: &Session| {
            let mut open = session.remotes.iter().filter(|(_, remote)| !remote.participation.has_declined());
            open.any(|(content, _)| !self.access.grants(session.node, *content))
        };
        Some(self.links_where(is_overdrawn))
    }

    /// Whether the peer may have a content.
    pub(super) fn may_have(&self, link: LinkId, content: ContentId) -> bool {
        self.by_link.get(&link).is_some_and(|session| self.access.grants(session.node, content))
    }

    /// Says Open, once without and once with the manifest. A content that the peer may not have, or one more than it takes, is not
    /// opened; a new link begins anew.
    pub(super) fn open(
        &mut self,
        turn: &mut Turn,
        link: LinkId,
        (content, handle): (ContentId, Handle),
        knows_manifest: bool,
        is_pushed: impl Fn(NodeId) -> bool,
    ) {
        if !self.may_have(link, content) {
            return;
        }
        let Some(session) = self.by_link.get_mut(&link).filter(|session| session.is_greeted()) else {
            return;
        };
        let is_new = !session.participation(content).is_some_and(Participation::is_opened_here);
        if is_new && session.opens_said >= HANDLES_PER_LINK_MAX {
            // The peer would take one more for a violation.
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
            let is_offer = is_pushed(session.node);
            turn.send(link, Message::Open { handle, content, knows_manifest, is_offer });
        }
    }

    /// The peer opens a content. `None` if that was declined here; else whether it told before that it knows the manifest.
    pub(super) fn on_open(
        &mut self,
        turn: &mut Turn,
        link: LinkId,
        open: Opening,
        stance: Stance,
    ) -> Result<Option<bool>, Violation> {
        let Opening { handle, content, said, is_offer } = open;
        let Some(session) = self.by_link.get_mut(&link) else { return Ok(None) };
        let node = session.node;
        let before = session.opens.on_open(handle, content, said, is_offer)?;
        let may_offer = session.role == Role::Full;
        let is_denied = !self.access.grants(node, content) || (is_offer && !stance.takes_part && !may_offer);
        if is_denied {
            turn.emit(Event::PeerDenied { node, content });
            turn.send(link, Message::Decline { content, reason: DeclineReason::NotAuthorised });
            return Ok(None);
        }
        if !stance.takes_part {
            // The product hears of what it may join, each content once a link and no more than the peer may open.
            let is_news = is_offer && said == Said::OpenWithManifest && before != said && !stance.is_joined;
            let is_told = is_news && session.opens.count_told();
            if is_told {
                turn.emit(Event::Offered { node, content });
            }
            if !(is_told && stance.takes_offers) {
                turn.send(link, Message::Decline { content, reason: DeclineReason::NotHere });
            }
            return Ok(None);
        }
        let remote = session.remotes.entry(content).or_default();
        // A peer that had left and is back says again what is durable.
        remote.is_durable &= !remote.participation.has_declined();
        Ok(Some(remote.participation.on_open(said)))
    }

    /// Whether both sides take part in something on a link, or may yet: what the peer, having dialed for it, offers to this node.
    pub(super) fn has_use(&self, link: LinkId) -> bool {
        self.by_link.get(&link).is_some_and(|session| {
            session.remotes.values().any(|remote| !remote.participation.has_declined())
                || (!session.dialed && session.opens.knows_any_manifest())
        })
    }

    /// Whether a new link to a node may stand. Of two links to one node, both ends keep the one that the smaller key dialed; of two in the
    /// same direction, the newer. A node that holds as many links as it may ends one that is of no use to either side.
    pub(super) fn admit(
        &self,
        (own, node): (NodeId, NodeId),
        dialed: bool,
        is_complete: impl Fn(LinkId, ContentId) -> bool,
        is_kept: impl Fn(NodeId) -> bool,
    ) -> LinkVerdict {
        if let Some((other, session)) = self.find_node(node) {
            let wins = session.dialed == dialed || dialed == (own < node);
            return if wins {
                LinkVerdict::Replaces(other, CloseReason::Duplicate)
            } else {
                LinkVerdict::Refused(CloseReason::Duplicate)
            };
        }
        if self.by_link.len() < LINKS_MAX {
            return LinkVerdict::Free;
        }
        match self.find_done(is_complete, is_kept) {
            Some(spare) => LinkVerdict::Replaces(spare, CloseReason::Done),
            None => LinkVerdict::Refused(CloseReason::TooManyLinks),
        }
    }

    /// A link on which both sides have all of what both take part in, and nothing is opened that may be taken up yet.
    fn find_done(
        &self,
        is_complete: impl Fn(LinkId, ContentId) -> bool,
        is_kept: impl Fn(NodeId) -> bool,
    ) -> Option<LinkId> {
        let is_done = |(link, session): &(&LinkId, &Session)| {
            let mut open = session.remotes.iter().filter(|(_, remote)| !remote.participation.has_declined());
            session.is_greeted()
                && open.all(|(content, _)| is_complete(**link, *content))
                && session.opens.contents().all(|content| session.remotes.contains_key(content))
                && !is_kept(session.node)
        };
        self.by_link.iter().find(is_done).map(|(link, _)| *link)
    }

    /// A link to this node, and which way it was dialed.
    fn find_node(&self, node: NodeId) -> Option<(LinkId, &Session)> {
        self.by_link.iter().find(|(_, session)| session.node == node).map(|(link, session)| (*link, session))
    }

    /// An offer is not taken up.
    pub(super) fn refuse(&self, turn: &mut Turn, node: NodeId, content: ContentId, reason: DeclineReason) {
        let offers = |session: &Session| session.node == node && session.opens.is_offered(content);
        for link in self.links_where(offers) {
            turn.send(link, Message::Decline { content, reason });
        }
    }

    /// Lost takes back what peers believe to be here, Decline says that no more is to come.
    pub(super) fn say_farewell(
        &self,
        turn: &mut Turn,
        (content, handle): (ContentId, Handle),
        lost: &[ChunkRuns],
        reason: DeclineReason,
    ) {
        let is_open =
            |session: &Session| session.participation(content).is_some_and(Participation::is_opened_here);
        for link in self.links_where(is_open) {
            for chunks in lost.iter().cloned() {
                turn.send(link, Message::Lost { handle, chunks });
            }
            turn.send(link, Message::Decline { content, reason });
        }
    }

    /// Tells a peer that offered a content that it may forget its own copy: a Have is said when a chunk is verified, which a power cut
    /// may still undo.
    pub(super) fn say_durable(&self, turn: &mut Turn, link: LinkId, (content, handle): (ContentId, Handle)) {
        if self.by_link.get(&link).is_some_and(|session| session.opens.is_offered(content)) {
            turn.send(link, Message::Durable { handle });
        }
    }

    /// Tells those on these links that a node gave more than one wrong chunk, but not that node itself.
    pub(super) fn say_accusation(&self, turn: &mut Turn, links: &[LinkId], handle: Handle, accused: NodeId) {
        for link in links {
            if self.by_link.get(link).is_some_and(|session| session.node != accused) {
                turn.send(*link, Message::BadPeer { handle, node: accused });
            }
        }
    }

    fn links_where(&self, is_meant: impl Fn(&Session) -> bool) -> Vec<LinkId> {
        self.by_link.iter().filter(|(_, session)| is_meant(session)).map(|(link, _)| *link).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Output;
    use crate::session::Greeting;
    use swarm_core::base::Instant;

    const LINK: LinkId = LinkId(1);
    const CONTENT: ContentId = ContentId::from_bytes([7; 32]);

    fn node() -> NodeId {
        NodeId::from_bytes([2; 32])
    }

    /// One greeted link.
    fn sessions(role: Role) -> Sessions {
        let mut session = Session::new(Instant::ZERO, (node(), role), false, None);
        session.greeting = Some(Greeting { speaks_pex: false });
        Sessions { by_link: BTreeMap::from([(LINK, session)]), access: AccessTable::open() }
    }

    /// What is said and told, one word each.
    fn said(turn: &mut Turn) -> String {
        let word = |output| match output {
            Output::Send { message: Message::Open { knows_manifest: true, .. }, .. } => "open-with-manifest",
            Output::Send { message: Message::Open { .. }, .. } => "open",
            Output::Send { message: Message::Decline { reason, .. }, .. } => match reason {
                DeclineReason::NotAuthorised => "denied",
                _ => "declined",
            },
            Output::Event(Event::Offered { .. }) => "offered",
            Output::Event(Event::PeerDenied { .. }) => "told-of-denial",
            other => panic!("{other:?}"),
        };
        std::iter::from_fn(|| turn.poll()).map(word).collect::<Vec<_>>().join(" ")
    }

    fn offer(sessions: &mut Sessions, turn: &mut Turn, stance: Stance) -> Option<bool> {
        let said = Said::OpenWithManifest;
        let open = Opening { handle: Handle(0), content: CONTENT, said, is_offer: true };
        sessions.on_open(turn, LINK, open, stance).expect("a new handle")
    }

    const STRANGER: Stance = Stance { takes_part: false, is_joined: false, takes_offers: true };

    #[test]
    fn a_content_is_opened_once_without_and_once_with_its_manifest_and_only_if_it_is_granted() {
        let (mut sessions, mut turn) = (sessions(Role::Full), Turn::new(1));
        for knows_manifest in [false, false, true, true] {
            sessions.open(&mut turn, LINK, (CONTENT, Handle(1)), knows_manifest, |_| false);
        }
        assert_eq!(said(&mut turn), "open open-with-manifest");
        let table = AccessTable::open().restrict(CONTENT, []).at_epoch(1);
        assert_eq!(sessions.set_access(table.clone()), Some(vec![LINK]), "it goes on there without a right");
        assert_eq!(sessions.set_access(table), None, "the same epoch says nothing new");
        sessions.by_link.get_mut(&LINK).expect("it stands").remotes.clear();
        sessions.open(&mut turn, LINK, (CONTENT, Handle(1)), true, |_| false);
        assert_eq!(said(&mut turn), "");
    }

    #[test]
    fn an_offer_of_what_is_new_here_is_told_once_and_left_open_if_the_product_answers() {
        let (mut sessions, mut turn) = (sessions(Role::Full), Turn::new(1));
        assert_eq!(offer(&mut sessions, &mut turn, STRANGER), None);
        assert_eq!(said(&mut turn), "offered");
        assert_eq!(offer(&mut sessions, &mut turn, STRANGER), None);
        assert_eq!(said(&mut turn), "declined", "it was told before");
        sessions.refuse(&mut turn, node(), CONTENT, DeclineReason::NoRoom);
        assert_eq!(said(&mut turn), "declined");
    }

    #[test]
    fn an_offer_is_declined_at_once_if_no_product_answers_and_denied_to_a_mirror() {
        let (mut full, mut turn) = (sessions(Role::Full), Turn::new(1));
        offer(&mut full, &mut turn, Stance { takes_offers: false, ..STRANGER });
        assert_eq!(said(&mut turn), "offered declined");
        offer(&mut sessions(Role::Mirror), &mut turn, STRANGER);
        assert_eq!(said(&mut turn), "told-of-denial denied");
    }

    #[test]
    fn a_link_has_a_use_while_either_side_takes_part_or_the_peer_brings_something() {
        let (mut sessions, mut turn) = (sessions(Role::Full), Turn::new(1));
        assert!(!sessions.has_use(LINK));
        offer(&mut sessions, &mut turn, STRANGER);
        assert!(sessions.has_use(LINK), "it dialed this node for what it offers");
        sessions.by_link.get_mut(&LINK).expect("it stands").dialed = true;
        assert!(!sessions.has_use(LINK));
        let part = Stance { takes_part: true, is_joined: true, takes_offers: true };
        assert_eq!(offer(&mut sessions, &mut turn, part), Some(false));
        assert!(sessions.has_use(LINK));
    }
}
