//! What the events of a node mean to a job. The one place where the engine's events are told apart: a new one is given its meaning here,
//! and the compiler then shows each product that has to word it. Decides nothing, prints nothing.

use swarm_core::base::{Bitfield, ContentId, NodeId};
use swarm_core::manifest::{ChunkIndex, Manifest, Ticket};
use swarm_core::wire::DeclineReason;
use swarm_credentials::CredentialsError;
use swarm_discovery::{Trouble, Way};
use swarm_engine::{DialFailure, Event, FetchFailure, Refusal, Violation};
use swarm_files::{HashProgress, LeftOut, StoreError, StoreWarning};
use swarm_node::{NodeEvent, NodeSnapshot};

/// What a job says of itself.
#[derive(Debug)]
pub enum JobEvent {
    /// The content is sealed, and this node has no key for it: it is fetched as it is.
    Sealed,
    /// The manifest is known, as this node can read it; where the data goes is opened now.
    Opening(Box<Manifest>),
    /// These patterns of the selection match nothing; others do.
    Unmatched(Vec<String>),
    /// How far what is there was hashed.
    Hashing(HashProgress),
    /// How far the last look at everything is.
    LastLook(HashProgress),
    /// Data can come.
    Ready(Box<Ready>),
    /// A seed serves.
    Serving {
        /// The chunks that are there.
        good: Bitfield,
        /// Their bytes.
        present_len: u64,
    },
    /// There is less room than the rest needs.
    LittleRoom {
        /// Bytes that are free.
        free_len: u64,
        /// Bytes that are to come.
        needed_len: u64,
    },
    /// The target cannot hold an entry.
    LeftOut(LeftOut),
    /// How things are, several times a second: phase, figures, peers, and why it is slow.
    Progress(Box<NodeSnapshot>),
    /// Something about a peer.
    Peer(NodeId, PeerNews),
    /// Something about a chunk that is served from here.
    Chunk(ChunkIndex, ChunkNews),
    /// A way of finding peers does not work.
    Trouble(Trouble),
    /// The target did without something.
    Warning(StoreWarning),
    /// Files that say who belongs cannot be read; what held before goes on to hold.
    Trust(CredentialsError),
    /// All is there; it goes on as a seed, which this ticket names.
    Seeding(Box<Ticket>),
    /// The node is reached elsewhere than earlier tickets say.
    Moved(Box<Ticket>),
}

/// A fetch whose store is open.
#[derive(Clone, Debug)]
pub struct Ready {
    /// This node.
    pub node: NodeId,
    /// This node, as another one's source.
    pub ticket: Ticket,
    /// Bytes of the chunks that are wanted.
    pub wanted_len: u64,
    /// Bytes of the chunks that were there.
    pub present_len: u64,
    /// How many sources were named.
    pub sources: usize,
    /// An earlier fetch is gone on with.
    pub is_resumed: bool,
    /// What is there was hashed because nothing said what of it is good.
    pub is_doubted: bool,
}

/// What is told of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerNews {
    /// A finder names it.
    Found(Way),
    /// A peer told of it, and it is dialed.
    ToldBy(NodeId),
    /// It takes part.
    Joined {
        /// What it says of itself.
        agent: String,
    },
    /// It is gone.
    Left {
        /// Why.
        reason: String,
    },
    /// It does not answer.
    Unreachable {
        /// Why.
        reason: String,
    },
    /// It refuses this node, or this node refuses it.
    Refused(Refusal),
    /// It does not take part in the content.
    Declined(DeclineReason),
    /// It asked for what it may not have.
    Denied,
    /// It misbehaved; nothing is exchanged with it any more.
    Banned(Violation),
    /// It says that a chunk from here was corrupt.
    Blames(ChunkIndex),
    /// Another peer says that it gave wrong chunks.
    Accused {
        /// The other peer.
        by: NodeId,
    },
    /// It has everything.
    Completed,
    /// It has everything on its disk.
    Durable,
}

/// What is told of a chunk that is served from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChunkNews {
    /// It is not served any more, for the data under it changed.
    Withdrawn,
    /// It cannot be read just now; it is read again until it can be.
    Unreadable {
        /// What the system says.
        reason: String,
    },
    /// It can be read again, and is served again.
    Readable,
}

/// Something to be told.
#[derive(Debug)]
pub(crate) enum News {
    Peer { node: NodeId, content: Option<ContentId>, news: PeerNews },
    Chunk { content: ContentId, chunk: ChunkIndex, news: ChunkNews },
    Trouble(Trouble),
    Warning { content: ContentId, warning: StoreWarning },
}

/// What a job does about an event.
#[derive(Debug)]
pub(crate) enum Meaning {
    Tell(News),
    /// Open a store.
    Open(Manifest),
    /// All that is wanted is there.
    Complete(ContentId),
    /// The engine gave it up.
    GaveUp(ContentId, FetchFailure),
    /// The engine's `GaveUp` follows if it ends a fetch.
    StoreFailed(ContentId, StoreError),
    /// A peer has what this node takes no part in.
    Offer(NodeId, ContentId),
    Nothing,
}

impl PeerNews {
    /// One or two words for it, which are stable.
    pub fn state(&self) -> &'static str {
        match self {
            Self::Found(_) | Self::ToldBy(_) => "found",
            Self::Joined { .. } => "joined",
            Self::Left { .. } => "left",
            Self::Unreachable { .. } => "unreachable",
            Self::Refused(_) => "refused",
            Self::Declined(_) => "declined",
            Self::Denied => "denied",
            Self::Banned(_) => "banned",
            Self::Blames(_) => "blames us",
            Self::Accused { .. } => "accused",
            Self::Completed => "completed",
            Self::Durable => "durable",
        }
    }
}

/// What an event of a node means.
pub(crate) fn meaning_of(event: NodeEvent) -> Meaning {
    match event {
        NodeEvent::Engine(event) => of_engine(event),
        NodeEvent::StoreError { content, error } => Meaning::StoreFailed(content, error),
        NodeEvent::StoreWarning { content, warning } => Meaning::Tell(News::Warning { content, warning }),
        NodeEvent::FinderTrouble(trouble) => Meaning::Tell(News::Trouble(trouble)),
        NodeEvent::Found(found) => {
            of_peer(found.source.node, Some(found.content), PeerNews::Found(found.way))
        }
    }
}

fn of_engine(event: Event) -> Meaning {
    match event {
        Event::ManifestComplete { manifest } => Meaning::Open(manifest),
        Event::Completed { content } => Meaning::Complete(content),
        Event::Failed { content, failure } => Meaning::GaveUp(content, failure),
        Event::Offered { node, content } => Meaning::Offer(node, content),
        Event::PeerJoined { node, agent } => of_peer(node, None, PeerNews::Joined { agent }),
        Event::PeerLeft { node, reason } => of_peer(node, None, PeerNews::Left { reason }),
        Event::PeerUnreachable { node, failure } => {
            let news = match failure {
                DialFailure::Unreachable(reason) => PeerNews::Unreachable { reason },
                DialFailure::Refused(refusal) => PeerNews::Refused(refusal),
            };
            of_peer(node, None, news)
        }
        Event::PeerDeclined { node, content, reason } => {
            of_peer(node, Some(content), PeerNews::Declined(reason))
        }
        Event::PeerDenied { node, content } => of_peer(node, Some(content), PeerNews::Denied),
        Event::PeerFound { node, by } => of_peer(node, None, PeerNews::ToldBy(by)),
        Event::PeerBanned { node, violation } => of_peer(node, None, PeerNews::Banned(violation)),
        Event::BlamedByPeer { node, content, chunk } => of_peer(node, Some(content), PeerNews::Blames(chunk)),
        Event::PeerAccused { node, by, content } => of_peer(node, Some(content), PeerNews::Accused { by }),
        Event::PeerCompleted { node, content } => of_peer(node, Some(content), PeerNews::Completed),
        Event::PeerDurable { node, content } => of_peer(node, Some(content), PeerNews::Durable),
        Event::ChunkLost { content, chunk } => of_chunk(content, chunk, ChunkNews::Withdrawn),
        Event::ReadTrouble { content, chunk, reason } => {
            of_chunk(content, chunk, ChunkNews::Unreadable { reason })
        }
        Event::ReadAgain { content, chunk } => of_chunk(content, chunk, ChunkNews::Readable),
        Event::Left { .. } | Event::Stopped => Meaning::Nothing,
    }
}

fn of_peer(node: NodeId, content: Option<ContentId>, news: PeerNews) -> Meaning {
    Meaning::Tell(News::Peer { node, content, news })
}

fn of_chunk(content: ContentId, chunk: ChunkIndex, news: ChunkNews) -> Meaning {
    Meaning::Tell(News::Chunk { content, chunk, news })
}
