//! What goes into the engine. The node, the simulator and the browser build these; they are data, so that a run can be replayed.

#![expect(missing_docs, reason = "a field that its name and type explain has no comment")]

use std::collections::BTreeMap;
use std::time::Duration;

use swarm_core::base::{Bitfield, ContentId, NodeId, RangeSet, Rate};
use swarm_core::manifest::{Address, ChunkIndex, Manifest};
use swarm_core::trust::{AccessTable, Role};
use swarm_core::wire::{DeclineReason, Message, RequestId};

use super::io::{LinkId, UploadEnd};
use super::ranks::Ranks;
use super::refusal::Refusal;
use super::shares::ShareId;
use super::violation::Violation;

/// Parts of chunks: the ranges of bytes of each, by the index of the chunk.
pub type Kept = BTreeMap<u32, RangeSet>;

/// One fact. Handled whole before the next.
#[derive(Clone, Debug)]
pub enum Input {
    /// Nothing but time went by.
    Wakeup,
    /// This node heard nothing of its peers for a while: it was asleep, stopped, or waited for its product. The time of
    /// [`Engine::handle`](super::Engine::handle) did not count that.
    Woke {
        /// For how long the process stood still. Zero if it ran and kept its links alive.
        slept: Duration,
    },
    /// Take part in a content.
    Join(Box<Join>),
    /// The content shares a limit with others, until it is left. It may be put there before or after it is joined.
    Share { content: ContentId, share: ShareId },
    /// Contents of a share are fetched no faster together.
    Limit {
        share: ShareId,
        /// Payload, bytes a second; `None` for no limit.
        down: Option<Rate>,
    },
    /// Which chunks of a content are fetched before others and which are held back, from its join until it is left; before or after its store
    /// is open. What was said before is forgotten.
    Rank { content: ContentId, ranks: Ranks },
    /// The store of a content is open (after [`Event::ManifestComplete`](super::Event::ManifestComplete) or with `Join`).
    StoreOpened {
        content: ContentId,
        /// Chunks that are there, verified and durable.
        durable: Bitfield,
        /// Chunks that are to be fetched or are there.
        wanted: Bitfield,
        /// What the store has, unproven, of wanted chunks: only the rest of them is fetched. A chunk that fails its check then is fetched
        /// whole, and nobody is blamed.
        kept: Kept,
    },
    /// A node that is to be dialed for this content.
    AddSource {
        content: ContentId,
        node: NodeId,
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
        /// Where the peer is, as seen from here. Every node dials and listens on one socket, so a peer that dialed in can be
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
        failure: DialFailure,
    },
    /// A message came on a control stream.
    Message { link: LinkId, message: Message },
    /// Bytes came on a link that are no message or no chunk stream.
    Malformed {
        link: LinkId,
        /// What was wrong.
        violation: Violation,
    },
    /// The transport measured a round trip.
    Measured {
        link: LinkId,
        /// Smoothed round-trip time.
        rtt: Duration,
    },
    /// Payload came for a request.
    Received {
        link: LinkId,
        request: RequestId,
        /// Bytes since the last report.
        len: u32,
    },
    /// A whole chunk is in memory; its check is under way.
    ChunkArrived { link: LinkId, request: RequestId, chunk: ChunkIndex },
    /// A part of a chunk is on disk, unverified.
    SliceKept {
        link: LinkId,
        request: RequestId,
        chunk: ChunkIndex,
        /// Bytes before the part in that chunk.
        offset: u32,
        /// Bytes of the part.
        len: u32,
    },
    /// The last word on a request that [`Output::Receive`](super::Output::Receive) announced; comes exactly once, unless the link goes down.
    StreamEnded { link: LinkId, request: RequestId },
    /// A chunk was checked, and written if it is good.
    ChunkChecked {
        content: ContentId,
        chunk: ChunkIndex,
        /// Who sent it whole; `None` if it was put together from slices.
        from: Option<NodeId>,
        /// The result.
        verdict: ChunkVerdict,
    },
    /// The disk failed; nothing more can be written for this content.
    StoreFailed { content: ContentId },
    /// These chunks are fsynced and journalled. Answers [`Output::Flush`](super::Output::Flush).
    Flushed {
        content: ContentId,
        /// Which chunks became durable.
        chunks: Vec<ChunkIndex>,
    },
    /// A chunk that could not be read was read again. Answers [`Output::Reread`](super::Output::Reread).
    Reread {
        content: ContentId,
        chunk: ChunkIndex,
        /// What came of it.
        found: Reread,
    },
    /// Everything stands complete at its place. Answers [`Output::Finish`](super::Output::Finish).
    Finished { content: ContentId },
    /// An upload is over. Answers [`Output::Upload`](super::Output::Upload) exactly once, unless the link goes down.
    UploadEnded {
        /// To where.
        link: LinkId,
        request: RequestId,
        /// Payload bytes handed to the transport.
        sent_len: u64,
        /// How it ended.
        end: UploadEnd,
    },
    /// Take no part in a content any more. Answered with [`Event::Left`](super::Event::Left).
    Leave {
        content: ContentId,
        /// What peers are told.
        reason: DeclineReason,
    },
    /// Do not take up what a node offered.
    Refuse {
        /// Who offered it.
        node: NodeId,
        content: ContentId,
        /// What it is told.
        reason: DeclineReason,
    },
    /// End everything: flush, say farewell, then [`Event::Stopped`](super::Event::Stopped).
    Stop,
}

/// Why a node is dialed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It may have the content: it is dialed while something of that is to be fetched.
    Fetch,
    /// As [`Self::Fetch`], and the node itself has just said that it serves the content: that it refused before, or was away, means
    /// nothing any more.
    Offered,
    /// This node pushes the content to it: it is kept linked as long as the content is joined, and dialed again for ever.
    Push,
    /// It dials this node at the same moment, so that both get through their NATs: it is dialed once, at once, whatever is to
    /// be fetched. That it fails is no news.
    Meet,
}

/// What `Join` needs to know.
#[derive(Clone, Debug)]
pub struct Join {
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
    /// No answer came; worth another try later.
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

/// What reading a chunk again came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reread {
    /// It was read, and is what it was.
    Readable,
    /// It still cannot be read.
    Trouble,
    /// It is not what it was.
    Changed,
}
