//! What comes out of the engine. The node, the simulator and the browser match these without a wildcard.

#![expect(missing_docs, reason = "a field that its name and type explain has no comment")]

use swarm_core::base::{Category, ContentId, NodeId};
use swarm_core::manifest::{Address, ChunkIndex, Manifest, Run};
use swarm_core::wire::{CloseCode, DeclineReason, Message, RequestId};

use super::input::DialFailure;
use super::refusal::Refusal;
use super::violation::Violation;

/// One transport connection, as the driver numbers them; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// How far a trouble with reading reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// A chunk: a bad sector, say.
    Chunk,
    /// Its file.
    File,
    /// Everything: the disk is away, or nothing can be opened just now.
    Content,
}

/// How an upload ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadEnd {
    /// All bytes were handed over.
    Sent,
    /// The peer or this node stopped it.
    Stopped,
    /// The peer took nothing of it for too long.
    Stalled,
    /// This chunk is not what it was.
    Lost(ChunkIndex),
    /// This chunk cannot be read just now, which says nothing of its bytes.
    Unreadable {
        chunk: ChunkIndex,
        /// What else cannot be read for the same reason.
        extent: Extent,
        /// What the system said, for people.
        reason: String,
    },
}

/// A run that one side of a link requested and the other sends. Both sides know it by the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunRequest {
    /// The link to the other side.
    pub link: LinkId,
    /// Its name on that link; the requesting side chose it.
    pub request: RequestId,
    /// The content of the bytes.
    pub content: ContentId,
    pub run: Run,
}

/// One order, in the sequence in which they are to be performed.
#[derive(Clone, Debug)]
pub enum Output {
    /// Make a link; answer with `LinkUp` or `DialFailed`.
    Dial {
        /// Whose key must be proven.
        node: NodeId,
        /// Places to try.
        addresses: Vec<Address>,
    },
    /// End a link after what was sent before. No input of it is wanted any more.
    Close { link: LinkId, reason: CloseReason },
    /// Send a message.
    Send { link: LinkId, message: Message },
    /// A chunk stream for this request will come: read it, check and write whole chunks, keep parts, answer with
    /// `StreamEnded` at last.
    Receive(RunRequest),
    /// Read no more of this request; keep what came.
    Abandon { link: LinkId, request: RequestId },
    /// Send bytes on a chunk stream; answer with `UploadEnded`.
    Upload(RunRequest),
    /// Reset that chunk stream, unless the peer has it: also one that was reported as sent.
    StopUpload { link: LinkId, request: RequestId },
    /// Check a chunk that was put together from slices; answer with `ChunkChecked`.
    VerifyKept { content: ContentId, chunk: ChunkIndex },
    /// Read a chunk that could not be read; answer with `Reread`.
    Reread { content: ContentId, chunk: ChunkIndex },
    /// Make what is verified durable; answer with `Flushed`.
    Flush { content: ContentId },
    /// All wanted chunks are durable: put everything in its place; answer with `Finished`.
    Finish { content: ContentId },
    /// Something for the product to show or act on.
    Event(Event),
}

/// Why this node ends a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Nothing more to do.
    Done,
    /// Another link to the same node is kept.
    Duplicate,
    /// More links than the limit.
    TooManyLinks,
    /// The peer broke the protocol.
    Violation(Violation),
    /// The peer is banned.
    Banned,
    /// Something goes on there that the peer has no right to any more.
    AccessChanged,
    /// The peer holds things up, which may be no fault of its own: it may come again.
    OfNoUse(&'static str),
}

impl CloseReason {
    /// The QUIC application error code.
    pub fn code(&self) -> u32 {
        let code = match self {
            Self::Done => CloseCode::Done,
            Self::Duplicate => CloseCode::Duplicate,
            Self::TooManyLinks => CloseCode::TooManyLinks,
            Self::Banned => CloseCode::Banned,
            Self::OfNoUse(_) => CloseCode::OfNoUse,
            Self::AccessChanged => CloseCode::AccessChanged,
            Self::Violation(violation) => return violation.close_code(),
        };
        code.code()
    }
}

impl std::fmt::Display for CloseReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Duplicate => f.write_str("another link to this node is kept"),
            Self::TooManyLinks => f.write_str("this node has as many peers as it may: try again later"),
            Self::Banned => f.write_str("banned"),
            Self::AccessChanged => f.write_str("what this peer may have has changed"),
            Self::OfNoUse(why) => f.write_str(why),
            Self::Violation(violation) => violation.fmt(f),
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The manifest came from peers and proved right: open a store and answer with `StoreOpened`.
    ManifestComplete {
        /// The content.
        manifest: Manifest,
    },
    /// A peer takes part.
    PeerJoined {
        node: NodeId,
        /// What it says of itself.
        agent: String,
    },
    /// A peer is gone.
    PeerLeft { node: NodeId, reason: String },
    /// A dial came to nothing.
    PeerUnreachable { node: NodeId, failure: DialFailure },
    /// A peer does not take part in the content.
    PeerDeclined {
        node: NodeId,
        /// What was asked for.
        content: ContentId,
        /// What it says.
        reason: DeclineReason,
    },
    /// A peer offers a content that this node does not take part in. It was declined, unless this node takes offers; a Join
    /// of that content takes it up where it stands.
    Offered {
        node: NodeId,
        /// What it has, or wants.
        content: ContentId,
    },
    /// A node that a peer told of is dialed for the first time.
    PeerFound {
        node: NodeId,
        /// Who told of it.
        by: NodeId,
    },
    /// A peer misbehaved; nothing is exchanged with it any more.
    PeerBanned {
        node: NodeId,
        /// What it did.
        violation: Violation,
    },
    /// A peer says a chunk from here failed its check.
    BlamedByPeer {
        /// Who says so.
        node: NodeId,
        content: ContentId,
        chunk: ChunkIndex,
    },
    /// A peer says that another gave it more than one wrong chunk.
    PeerAccused {
        /// The other.
        node: NodeId,
        /// Who says so.
        by: NodeId,
        content: ContentId,
    },
    /// A peer asked for a content that it may not have.
    PeerDenied {
        node: NodeId,
        /// What it asked for.
        content: ContentId,
    },
    /// A peer has all chunks now and lacked some before.
    PeerCompleted { node: NodeId, content: ContentId },
    /// A peer that this node offers a content to has all of it, synced to its disk.
    PeerDurable { node: NodeId, content: ContentId },
    /// A chunk that was offered cannot be served any more; it was withdrawn.
    ChunkLost { content: ContentId, chunk: ChunkIndex },
    /// Chunks cannot be read just now: they are not offered until they can be.
    ReadTrouble {
        content: ContentId,
        /// The chunk that was to be read.
        chunk: ChunkIndex,
        /// What the system said.
        reason: String,
    },
    /// What could not be read can be read again, and is offered again.
    ReadAgain {
        content: ContentId,
        /// The chunk that was named before.
        chunk: ChunkIndex,
    },
    /// Everything wanted is there, verified and durable, at its place.
    Completed { content: ContentId },
    /// A fetch ended without success; what is verified is kept.
    Failed { content: ContentId, failure: FetchFailure },
    /// This node takes no part in a content any more; its store is not needed.
    Left { content: ContentId },
    /// All links are closed and all that was verified is durable.
    Stopped,
}

/// Why a fetch ended without success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchFailure {
    /// No source is left, or none made progress for as long as the patience lasts.
    NoSource(Bottleneck),
    /// No source is left, and this one refused this node, proved another key, or lacks the content.
    Refused(Refusal),
    /// The manifest that the content's id names cannot be taken.
    Manifest(String),
    /// The store failed; the node knows the error.
    Store,
}

impl FetchFailure {
    /// The category of its cause. Of a store that failed, the node knows the error, which says it better.
    pub fn category(&self) -> Category {
        match self {
            Self::NoSource(_) => Category::NoSource,
            Self::Refused(refusal) => refusal.cause.category(),
            Self::Manifest(_) => Category::Usage,
            Self::Store => Category::Disk,
        }
    }
}

/// What holds a fetch up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bottleneck {
    /// Nothing: it moves as fast as the peers send.
    None,
    /// No peer is linked; the last failure, if any.
    NoPeer(Option<String>),
    /// Every linked peer declined the content.
    AllDeclined,
    /// The manifest has not come.
    NoManifest,
    /// No linked peer has this chunk.
    NoPeerHas(ChunkIndex),
    /// Every peer that has something useful chokes this node.
    AllChoked,
    /// Chunks wait to be checked and written.
    Disk,
}
