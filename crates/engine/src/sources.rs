//! Sources: nodes that are named by the product or by peers, and dials that came to nothing. Which of them are dialed is decided in
//! `dialing`.

use swarm_core::base::{ContentId, NodeId};
use swarm_core::manifest::{Address, Source};

use super::dialing::{Dialing, Sights};
use super::hearsay::Heard;
use super::input::{DialFailure, Purpose};
use super::io::Event;
use super::part::Part;
use super::peers::Tie;
use super::turn::Turn;
use super::{Engine, Life};

impl Engine {
    /// Dialing, and what it looks at.
    pub(super) fn dialing(&mut self) -> (&mut Dialing, &mut Turn, Sights<'_>) {
        let sights = Sights {
            contents: &mut self.contents.by_id,
            sessions: &self.sessions.by_link,
            transfer: &self.transfer,
            is_stopping: self.life != Life::Running,
        };
        (&mut self.dialing, &mut self.turn, sights)
    }

    pub(super) fn dial_due(&mut self) {
        let (dialing, turn, mut sights) = self.dialing();
        dialing.dial_due(turn, &mut sights);
    }

    pub(super) fn dial_hearsay(&mut self, content: ContentId) {
        let (dialing, turn, mut sights) = self.dialing();
        dialing.dial_hearsay(turn, &mut sights, content);
    }

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
            Purpose::Fetch | Purpose::Offered => Tie::Fetch,
            Purpose::Push => Tie::Push,
            Purpose::Meet if self.life != Life::Running => return,
            Purpose::Meet => return self.dialing.meet(&mut self.turn, node, addresses),
        };
        let (dialing, turn, mut sights) = self.dialing();
        let rank = dialing.rank(turn, &mut sights, content, node);
        self.dialing.peers.add_source(self.turn.now, content, node, addresses, (tie, rank));
        if purpose == Purpose::Offered {
            self.dialing.peers.forgive(self.turn.now, node);
        }
        if tie == Tie::Push {
            let linked = self.sessions.by_link.iter().find(|(_, session)| session.node == node);
            if let Some(link) = linked.map(|(link, _)| *link) {
                self.open(link, content);
                self.introduce(link, content);
            }
        }
        self.dial_due();
    }

    pub(super) fn on_dial_failed(&mut self, node: NodeId, failure: DialFailure) {
        if !self.dialing.peers.end_meeting(node) && !self.dialing.peers.end_trial(node) {
            match &failure {
                DialFailure::Unreachable(reason) => {
                    self.dialing.peers.on_failed(self.turn.now, node, reason, &mut self.turn.rng)
                }
                DialFailure::Refused(refusal) => {
                    self.dialing.peers.on_refused(self.turn.now, node, refusal, &mut self.turn.rng)
                }
            }
            self.turn.emit(Event::PeerUnreachable { node, failure });
        }
        self.dial_due();
        let contents: Vec<ContentId> = self.contents.by_id.keys().copied().collect();
        contents.into_iter().for_each(|content| self.dial_hearsay(content));
        self.contents.give_up_without_hope(&mut self.turn, &mut self.transfer, &self.dialing);
    }
}

impl Part<'_> {
    /// A peer tells of others.
    pub(super) fn on_peers(&mut self, sources: Vec<Source>) {
        let (link, content) = (self.link, self.content);
        let Some(session) = self.engine.sessions.by_link.get(&link) else { return };
        let (informer, Some(place)) = (session.node, session.address.clone()) else { return };
        if session.participation(content).is_none()
            || !self.engine.pex.on_told(self.engine.turn.now, link, content)
        {
            return;
        }
        for Source { node, mut addresses } in sources {
            addresses.retain(|address| address.may_be_told_to(&place));
            if node != self.engine.node
                && !addresses.is_empty()
                && !self.engine.dialing.peers.is_in_hand(node)
            {
                self.engine.dialing.hearsay.add(content, node, Heard { addresses, informer });
            }
        }
        self.engine.dial_hearsay(content);
    }
}
