//! What this node takes part in, in a few numbers: for those who tell others of it. Reads everything, changes nothing.

use crate::base::{ContentId, NodeId};

use super::Engine;
use super::content::Phase;

/// One content that this node takes part in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// Which.
    pub content: ContentId,
    /// Verified chunks.
    pub have_count: u32,
    /// Chunks of the content; zero while the manifest or what is there is not known.
    pub chunk_count: u32,
    /// Something is still to be fetched.
    pub is_wanting: bool,
    /// Peers that take part in it on a link with this node.
    pub links: Vec<NodeId>,
}

impl Engine {
    /// Every content that this node takes part in, by id.
    pub fn presences(&self) -> Vec<Presence> {
        let taken = self.contents.iter().filter(|(_, state)| !matches!(state.phase, Phase::Failed));
        let presence = |content: ContentId, state: &super::content::Content| {
            let counts = state.chunks().map(|chunks| (chunks.have().count(), chunks.have().len()));
            let (have_count, chunk_count) = counts.unwrap_or_default();
            let takes_part = |session: &super::session::Session| {
                session
                    .remotes
                    .get(&content)
                    .is_some_and(|remote| remote.peer_opened.is_some() && !remote.has_declined)
            };
            let linked = self.sessions.values().filter(|session| takes_part(session));
            let links = linked.map(|session| session.node).collect();
            Presence { content, have_count, chunk_count, is_wanting: state.wants_peers(), links }
        };
        taken.map(|(content, state)| presence(*content, state)).collect()
    }
}
