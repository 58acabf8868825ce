//! The messages, as the engine sees them.

use bytes::Bytes;

use crate::base::limits::HAVE_RUNS_MAX;
use crate::base::{Bitfield, ContentId, NodeId};
use crate::manifest::Source;

/// Nodes with different major versions cannot link.
pub const PROTOCOL_MAJOR: u32 = 1;
/// A build understands all lower minor versions of its major version.
pub const PROTOCOL_MINOR: u32 = 0;
/// The feature by which peers tell each other of other peers.
pub const FEATURE_PEX: &str = "pex";

/// A number that stands for a content on one link; the sender of a message chose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub u32);

/// The requester's number for a request, unique on its link and rising.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// One message on a control stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// The first message of each side.
    Hello(Hello),
    /// The sender takes part in this content and calls it by this handle.
    Open {
        /// The sender's number for the content.
        handle: Handle,
        /// The content that the handle stands for.
        content: ContentId,
        /// The sender has the manifest: it can read Haves and serve manifest pages.
        knows_manifest: bool,
        /// The sender asks the receiver to fetch the content and keep it.
        is_offer: bool,
    },
    /// The sender does not take part in this content.
    Decline {
        /// The content that the receiver opened.
        content: ContentId,
        /// The cause, as far as the sender tells it.
        reason: DeclineReason,
    },
    /// Asks for a page of the manifest.
    ManifestRequest {
        /// The sender's handle.
        handle: Handle,
        /// Number of the page, from 0.
        page: u32,
    },
    /// A page of the manifest's canonical body.
    ManifestPage {
        /// The sender's handle.
        handle: Handle,
        /// Number of the page, from 0.
        page: u32,
        /// Length of the whole body, bytes.
        body_len: u64,
        /// The bytes of the page.
        data: Bytes,
    },
    /// Chunks the sender can serve from now on.
    Have {
        /// The sender's handle.
        handle: Handle,
        /// New chunks, in addition to those of earlier messages.
        chunks: ChunkRuns,
    },
    /// Chunks the sender can serve no longer.
    Lost {
        /// The sender's handle.
        handle: Handle,
        /// Chunks that are gone.
        chunks: ChunkRuns,
    },
    /// Asks for a run of bytes on one chunk stream.
    Request {
        /// The requester's number for it.
        request: RequestId,
        /// The sender's handle.
        handle: Handle,
        /// The chunk that the run starts in.
        chunk: u32,
        /// Bytes before the run in that chunk.
        offset: u32,
        /// Bytes of the run.
        len: u32,
    },
    /// The sender no longer wants an earlier request.
    Cancel {
        /// The number of that request.
        request: RequestId,
    },
    /// The sender will not serve a request.
    Reject {
        /// The number of that request.
        request: RequestId,
        /// The cause, which decides when the requester asks again.
        reason: RejectReason,
    },
    /// Whether the sender serves requests of the receiver now.
    Choke {
        /// True: requests are rejected until the next Choke.
        choked: bool,
    },
    /// The sender has all of this content, synced to its disk under its final names. It goes to peers that offered the content.
    Durable {
        /// The sender's handle.
        handle: Handle,
    },
    /// A chunk that came from the receiver failed verification at the sender.
    BadChunk {
        /// The sender's handle.
        handle: Handle,
        /// Index of the chunk.
        chunk: u32,
    },
    /// Another node gave the sender more than one wrong chunk of a content.
    BadPeer {
        /// The sender's handle.
        handle: Handle,
        /// The accused node.
        node: NodeId,
    },
    /// Other nodes that take part in a content; only between two peers that both name [`FEATURE_PEX`].
    Peers {
        /// The sender's handle.
        handle: Handle,
        /// At most [`PEX_SOURCES_MAX`](crate::base::limits::PEX_SOURCES_MAX), with at most
        /// [`PEX_ADDRESSES_MAX`](crate::base::limits::PEX_ADDRESSES_MAX) addresses each.
        sources: Vec<Source>,
    },
}

/// Version, features and name of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Major version of the protocol.
    pub major: u32,
    /// Minor version of the protocol.
    pub minor: u32,
    /// A feature is used only if both sides name it.
    pub features: Vec<String>,
    /// Program and version, for people.
    pub agent: String,
}

/// Why a request is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectReason {
    /// The requester is choked.
    Choked,
    /// The chunk is not held (any more).
    NotHeld,
    /// More requests wait than the limit.
    TooMany,
    /// The disk could not be read.
    Unreadable,
}

/// Why a node does not take part in a content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeclineReason {
    /// The node does not have the content and does not want it.
    #[default]
    NotHere,
    /// The node does not accept the content from this peer.
    NotAccepted,
    /// The node lacks disk space for it.
    NoRoom,
    /// The receiver may not have the content, or may not offer it.
    NotAuthorised,
}

/// Runs of chunks as gaps and counts in turn, from chunk 0; at most [`HAVE_RUNS_MAX`] numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkRuns(Vec<u32>);

impl Hello {
    /// Whether the sender of this Hello supports a feature.
    pub fn has_feature(&self, feature: &str) -> bool {
        self.features.iter().any(|named| named == feature)
    }

    /// The Hello of this build.
    pub fn ours() -> Self {
        Self {
            major: PROTOCOL_MAJOR,
            minor: PROTOCOL_MINOR,
            features: vec![FEATURE_PEX.to_owned()],
            agent: concat!("swarm/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

impl ChunkRuns {
    /// Divides a set of chunks into as few messages as the limit allows. None for the empty set.
    pub fn of(chunks: &Bitfield) -> Vec<Self> {
        let (mut messages, mut numbers, mut at) = (Vec::new(), Vec::new(), 0);
        for (first, count) in chunks.runs() {
            if numbers.len() + 2 > HAVE_RUNS_MAX {
                messages.push(Self(std::mem::take(&mut numbers)));
                at = 0;
            }
            numbers.extend([first - at, count]);
            at = first + count;
        }
        if !numbers.is_empty() {
            messages.push(Self(numbers));
        }
        messages
    }

    /// Accepts numbers from the wire if they are within the limit, come in pairs, and have no empty run.
    pub(super) fn checked(numbers: Vec<u32>) -> Option<Self> {
        let in_pairs = numbers.len().is_multiple_of(2) && numbers.len() <= HAVE_RUNS_MAX;
        (in_pairs && numbers.iter().skip(1).step_by(2).all(|&count| count > 0)).then_some(Self(numbers))
    }

    /// The numbers as they travel.
    pub(super) fn numbers(&self) -> &[u32] {
        &self.0
    }

    /// How many chunks there are.
    pub fn count(&self) -> u32 {
        self.0.iter().skip(1).step_by(2).fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// The chunks, rising, below `chunk_count`; `None` if one is not. No more work than there are chunks.
    pub fn chunks(&self, chunk_count: u32) -> Option<impl Iterator<Item = u32> + '_> {
        let mut end = 0u32;
        for pair in self.0.chunks_exact(2) {
            end = end.checked_add(pair[0])?.checked_add(pair[1])?;
        }
        if end > chunk_count {
            return None;
        }
        let mut at = 0;
        Some(self.0.chunks_exact(2).flat_map(move |pair| {
            let first = at + pair[0];
            at = first + pair[1];
            first..at
        }))
    }
}
