//! Which links stand, from whom something is taken, and how much of what others tell is remembered. Invariant: a stranger takes no place of a
//! peer, and nothing of a library comes from it; what one link costs is bounded. Absent here: what a peer is told (`access`).

use swarm_core::base::NodeId;
use swarm_library::wire::Standing;
use swarm_library::{Frontier, LibraryKey};

use super::{Exchange, Linked};
use crate::limits::{
    LINKS_MAX, POSITIONS_MAX, STANDINGS_MAX, STRANGER_POSITIONS_MAX, STRANGER_STANDINGS_MAX, STRANGERS_MAX,
};

impl Exchange {
    /// Whether a node may have a link. A stranger takes the place of the one that came first, so that they take nobody else's; where all places
    /// are taken, a peer takes a stranger's.
    pub(super) fn has_room_for(&mut self, node: &NodeId) -> bool {
        if self.links.values().any(|linked| linked.node == *node) {
            return true;
        }
        let is_stranger = !self.start.access.peers.contains_key(node);
        let strangers: Vec<u64> =
            self.links.iter().filter(|(_, linked)| self.is_stranger(linked)).map(|(link, _)| *link).collect();
        let is_full = self.links.len() >= LINKS_MAX || (is_stranger && strangers.len() >= STRANGERS_MAX);
        match strangers.first() {
            Some(first) if is_full => {
                self.on_down(*first, "this node has as many links of strangers as it may")
            }
            _ => {}
        }
        self.links.len() < LINKS_MAX
    }

    /// Whether the other end is neither a peer of this node nor a user that proved it.
    fn is_stranger(&self, linked: &Linked) -> bool {
        linked.user.is_none() && !self.start.access.peers.contains_key(&linked.node)
    }

    /// Whether commits, and bytes of files, are taken from the peer of a link: from strangers nothing is, though their signatures hold. A peer of
    /// this node relays what others signed, whatever it may have here.
    pub(super) fn may_give(&self, link: u64, library: &LibraryKey) -> bool {
        let Some(linked) = self.links.get(&link) else { return false };
        let is_greeted = linked.hello.is_some() && !linked.verifying.is_going();
        let is_peer = is_greeted && self.start.access.peers.contains_key(&linked.node);
        (is_peer || self.role_of(link, library).is_some())
            && self.libraries.contains_key(library)
            && self.start.access.may_come_from(library, &linked.node)
    }

    /// Tells the reader of a link what it may take.
    pub(super) fn look_whom_to_take_from(&self, link: u64) {
        let taken = self.libraries.keys().filter(|library| self.may_give(link, library)).copied().collect();
        if let Some(linked) = self.links.get(&link) {
            linked.taken.send_replace(taken);
        }
    }

    /// As much of what a peer has as is remembered of it: authors of libraries that this node does not have come last. `None` if it named too many
    /// libraries.
    pub(super) fn fitting(&mut self, link: u64, mut standing: Standing) -> Option<Standing> {
        let is_here = self.libraries.contains_key(&standing.library);
        let linked = self.links.get(&link)?;
        let is_stranger = self.is_stranger(linked);
        let (standings_max, positions_max) = if is_stranger {
            (STRANGER_STANDINGS_MAX, STRANGER_POSITIONS_MAX)
        } else {
            (STANDINGS_MAX, POSITIONS_MAX)
        };
        if linked.standing.len() >= standings_max && !linked.standing.contains_key(&standing.library) {
            return None;
        }
        if is_here && !is_stranger {
            return Some(standing);
        }
        let counted = |library: &LibraryKey| is_stranger || !self.libraries.contains_key(library);
        let others =
            linked.standing.iter().filter(|(library, _)| **library != standing.library && counted(library));
        let known: usize = others.map(|(_, known)| known.frontier.positions().len()).sum();
        if known + standing.frontier.positions().len() > positions_max {
            standing.frontier = Frontier::default();
            self.links.get_mut(&link)?.is_cut = true;
        }
        Some(standing)
    }
}
