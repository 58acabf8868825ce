//! What goes into the engine and what comes out of it. The node, the simulator and the browser match these without a wildcard.

use std::time::Duration;

use crate::base::{Bitfield, Category, ContentId, NodeId};
use crate::manifest::{Address, ChunkIndex, Manifest, Run};
use crate::trust::{AccessTable, Role};
use crate::wire::{DeclineReason, Message, RequestId};

use super::refusal::Refusal;
use super::violation::Violation;

/// One transport connection, as the driver numbers them; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// One fact. Handled whole before the next.
#[derive(Clone, Debug)]
pub enum Input {
    /// Nothing but time went by.
    Wakeup,
    /// This node stood still, asleep or stopped. The time of [`Engine::handle`](super::Engine::handle) did not count that.
    Woke {
        /// For how long.
        slept: Duration,
    },
    /// Take part in a content.
    Join(Box<Join>),
    /// The store of a content is open (after [`Event::ManifestComplete`] or with `Join`).
    StoreOpened {
        /// Which content.
        content: ContentId,
        /// Chunks that are there, verified and durable.
        durable: Bitfield,
        /// Chunks that are to be fetched or are there.
        wanted: Bitfield,
    },
    /// A node that is to be dialed for this content.
    AddSource {
        /// Which content.
        content: ContentId,
        /// Who.
        node: NodeId,
        /// Where.
        addresses: Vec<Address>,
        /// What for.
        purpose: Purpose,
    },
    /// A link stands, both ends proven.
    LinkUp {
        /// Its number.
        link: LinkId,
        /// Who is at the other end.
        node: NodeId,
        /// What it may do.
        role: Role,
        /// This node dialed.
        dialed: bool,
        /// Where the peer is, as seen from here. Every node dials and listens on one socket, so whoever dialed in can be
        /// dialed there.
        address: Option<Address>,
    },
    /// A link is gone, and so are all its streams; every slice of it was reported before.
    LinkDown {
        /// Its number.
        link: LinkId,
        /// For people.
        reason: String,
    },
    /// A link is gone because the peer lets this node have none, as in `LinkDown`.
    TurnedAway {
        /// Its number.
        link: LinkId,
        /// What the peer said.
        reason: String,
    },
    /// What linked nodes may have from now on, unless a later table came before; who may link was seen to already.
    Access(AccessTable),
    /// A dial came to nothing.
    DialFailed {
        /// Who was dialed.
        node: NodeId,
        /// Why.
        failure: DialFailure,
    },
    /// A message came on a control stream.
    Message {
        /// From where.
        link: LinkId,
        /// What.
        message: Message,
    },
    /// Bytes came on a link that are no message or no chunk stream.
    Malformed {
        /// From where.
        link: LinkId,
        /// What was wrong.
        violation: Violation,
    },
    /// The transport measured a round trip.
    Measured {
        /// Where.
        link: LinkId,
        /// Smoothed round-trip time.
        rtt: Duration,
    },
    /// Payload came for a request.
    Received {
        /// From where.
        link: LinkId,
        /// For which request.
        request: RequestId,
        /// Bytes since the last report.
        len: u32,
    },
    /// A whole chunk is in memory; its check is under way.
    ChunkArrived {
        /// From where.
        link: LinkId,
        /// For which request.
        request: RequestId,
        /// Which chunk.
        chunk: ChunkIndex,
    },
    /// A part of a chunk is on disk, unverified.
    SliceKept {
        /// From where.
        link: LinkId,
        /// For which request.
        request: RequestId,
        /// Which chunk.
        chunk: ChunkIndex,
        /// Bytes before the part in that chunk.
        offset: u32,
        /// Bytes of the part.
        len: u32,
    },
    /// The last word on a request that [`Output::Receive`] announced; comes exactly once, unless the link goes down.
    StreamEnded {
        /// From where.
        link: LinkId,
        /// For which request.
        request: RequestId,
    },
    /// A chunk was checked, and written if it is good.
    ChunkChecked {
        /// Of which content.
        content: ContentId,
        /// Which chunk.
        chunk: ChunkIndex,
        /// Who sent it whole; `None` if it was put together from slices.
        from: Option<NodeId>,
        /// The result.
        verdict: ChunkVerdict,
    },
    /// The disk failed; nothing more can be written for this content.
    StoreFailed {
        /// Of which content.
        content: ContentId,
    },
    /// These chunks are fsynced and journalled. Answers [`Output::Flush`].
    Flushed {
        /// Of which content.
        content: ContentId,
        /// Which chunks became durable.
        chunks: Vec<ChunkIndex>,
    },
    /// Everything stands complete at its place. Answers [`Output::Finish`].
    Finished {
        /// Which content.
        content: ContentId,
    },
    /// An upload is over. Answers [`Output::Upload`] exactly once, unless the link goes down.
    UploadEnded {
        /// To where.
        link: LinkId,
        /// For which request.
        request: RequestId,
        /// Payload bytes handed to the transport.
        sent_len: u64,
        /// How it ended.
        end: UploadEnd,
    },
    /// Take no part in a content any more. Answered with [`Event::Left`].
    Leave {
        /// Which content.
        content: ContentId,
        /// What peers are told.
        reason: DeclineReason,
    },
    /// Do not take up what a node offered.
    Refuse {
        /// Who offered it.
        node: NodeId,
        /// What.
        content: ContentId,
        /// What it is told.
        reason: DeclineReason,
    },
    /// End everything: flush, say farewell, then [`Event::Stopped`].
    Stop,
}

/// Why a node is dialed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It may have the content: it is dialed while something of that is to be fetched.
    Fetch,
    /// This node offers it the content: it is kept linked as long as the content is joined, and dialed again for ever.
    Offer,
    /// It dials this node at the same moment, so that both get through their NATs: it is dialed once, at once, whatever is to
    /// be fetched. That it fails is no news.
    Meet,
}

/// What `Join` needs to know.
#[derive(Clone, Debug)]
pub struct Join {
    /// Which content.
    pub content: ContentId,
    /// Its manifest, if it is known.
    pub manifest: Option<Manifest>,
    /// In which order chunks are fetched.
    pub order: Order,
    /// When to give up; `None` waits for ever.
    pub patience: Option<Patience>,
}

/// How long a fetch waits before it ends without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// So long without any progress.
    pub idle: Duration,
    /// So long after the join others may yet be found: until then that all known sources refuse is no reason to give up.
    pub search: Duration,
}

/// In which order chunks are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// What the fewest peers have comes first.
    RarestFirst,
    /// From the front, for those who read while it comes. With a window: no further than so many bytes past the first chunk
    /// that is not durable.
    Sequential {
        /// Bytes.
        window_len: Option<u64>,
    },
}

/// Why a dial came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialFailure {
    /// Nobody answered; worth another try later.
    Unreachable(String),
    /// Another node is there, or one refuses the other: no use trying again.
    Refused(Refusal),
}

/// Whether a chunk is what the manifest says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkVerdict {
    /// It is, and it is written.
    Verified,
    /// It is not.
    Corrupt,
}

/// How an upload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadEnd {
    /// All bytes were handed over.
    Sent,
    /// The peer or this node stopped it.
    Stopped,
    /// The peer took nothing of it for too long.
    Stalled,
    /// This chunk cannot be read, or is not what it was.
    Lost(ChunkIndex),
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
    Close {
        /// Which.
        link: LinkId,
        /// Why.
        reason: CloseReason,
    },
    /// Send a message.
    Send {
        /// Where to.
        link: LinkId,
        /// What.
        message: Message,
    },
    /// A chunk stream for this request will come: read it, check and write whole chunks, keep parts, answer with
    /// `StreamEnded` at last.
    Receive {
        /// From where.
        link: LinkId,
        /// For which request.
        request: RequestId,
        /// Of which content.
        content: ContentId,
        /// Which bytes.
        run: Run,
    },
    /// Read no more of this request; keep what came.
    Abandon {
        /// From where.
        link: LinkId,
        /// Which request.
        request: RequestId,
    },
    /// Send bytes on a chunk stream; answer with `UploadEnded`.
    Upload {
        /// Where to.
        link: LinkId,
        /// For which request.
        request: RequestId,
        /// Of which content.
        content: ContentId,
        /// Which bytes.
        run: Run,
    },
    /// Reset that chunk stream, unless the peer has it: also one that was reported as sent.
    StopUpload {
        /// Where to.
        link: LinkId,
        /// Which request.
        request: RequestId,
    },
    /// Check a chunk that was put together from slices; answer with `ChunkChecked`.
    VerifyKept {
        /// Of which content.
        content: ContentId,
        /// Which chunk.
        chunk: ChunkIndex,
    },
    /// Make what is verified durable; answer with `Flushed`.
    Flush {
        /// Of which content.
        content: ContentId,
    },
    /// All wanted chunks are durable: put everything in its place; answer with `Finished`.
    Finish {
        /// Which content.
        content: ContentId,
    },
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
        match self {
            Self::Done => 0,
            Self::Duplicate => 1,
            Self::TooManyLinks => 2,
            Self::Banned => 3,
            Self::OfNoUse(_) => 4,
            Self::AccessChanged => 5,
            Self::Violation(violation) => violation.close_code(),
        }
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
        /// Who.
        node: NodeId,
        /// What it says of itself.
        agent: String,
    },
    /// A peer is gone.
    PeerLeft {
        /// Who.
        node: NodeId,
        /// Why.
        reason: String,
    },
    /// A dial came to nothing.
    PeerUnreachable {
        /// Who.
        node: NodeId,
        /// Why.
        failure: DialFailure,
    },
    /// A peer does not take part in the content.
    PeerDeclined {
        /// Who.
        node: NodeId,
        /// What was asked for.
        content: ContentId,
        /// What it says.
        reason: DeclineReason,
    },
    /// A peer offers a content that this node does not take part in. It was declined, unless this node takes offers; a Join
    /// of that content takes it up where it stands.
    Offered {
        /// Who.
        node: NodeId,
        /// What it has, or wants.
        content: ContentId,
    },
    /// A node that a peer told of is dialed for the first time.
    PeerFound {
        /// Who.
        node: NodeId,
        /// Who told of it.
        by: NodeId,
    },
    /// A peer misbehaved; nothing is exchanged with it any more.
    PeerBanned {
        /// Who.
        node: NodeId,
        /// What it did.
        violation: Violation,
    },
    /// A peer says a chunk from here failed its check.
    BlamedByPeer {
        /// Who says so.
        node: NodeId,
        /// Which content.
        content: ContentId,
        /// Which chunk.
        chunk: ChunkIndex,
    },
    /// A peer says that another gave it more than one wrong chunk.
    PeerAccused {
        /// The other.
        node: NodeId,
        /// Who says so.
        by: NodeId,
        /// Of which content.
        content: ContentId,
    },
    /// A peer asked for a content that it may not have.
    PeerDenied {
        /// Who.
        node: NodeId,
        /// What it asked for.
        content: ContentId,
    },
    /// A peer has all chunks now and lacked some before.
    PeerCompleted {
        /// Who.
        node: NodeId,
        /// Which content.
        content: ContentId,
    },
    /// A peer that this node offers a content to has all of it, synced to its disk.
    PeerDurable {
        /// Who.
        node: NodeId,
        /// Which content.
        content: ContentId,
    },
    /// A chunk that was offered cannot be served any more; it was withdrawn.
    ChunkLost {
        /// Which content.
        content: ContentId,
        /// Which chunk.
        chunk: ChunkIndex,
    },
    /// Everything wanted is there, verified and durable, at its place.
    Completed {
        /// Which content.
        content: ContentId,
    },
    /// A fetch ended without success; what is verified is kept.
    Failed {
        /// Which content.
        content: ContentId,
        /// Why.
        failure: FetchFailure,
    },
    /// This node takes no part in a content any more; its store is not needed.
    Left {
        /// Which content.
        content: ContentId,
    },
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
    /// Nobody linked has this chunk.
    NoPeerHas(ChunkIndex),
    /// Everybody who has something useful chokes this node.
    AllChoked,
    /// Chunks wait to be checked and written.
    Disk,
}
