//! Accusations: word of nodes that gave more than one wrong chunk, to all peers and from them. What others say bans no node, or liars
//! would have honest nodes banned: a node that is accused by more peers than it gave chunks here is dialed after all others.

use swarm_core::base::NodeId;

use super::io::Event;
use super::part::Part;

impl Part<'_> {
    pub(super) fn on_bad_peer(&mut self, node: NodeId) {
        let (link, content) = (self.link, self.content);
        let own = self.engine.node;
        let Some(session) = self.engine.sessions.by_link.get_mut(&link) else { return };
        session.accusations += 1;
        let is_heard = session.accusations <= ACCUSATIONS_PER_LINK_MAX;
        let by = session.node;
        if is_heard && node != own && node != by && self.engine.dialing.peers.on_accused(node, by) {
            self.engine.turn.emit(Event::PeerAccused { node, by, content });
        }
    }
}

/// Further ones are not heard.
const ACCUSATIONS_PER_LINK_MAX: u32 = 32;
