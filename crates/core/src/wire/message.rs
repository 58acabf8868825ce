//! The messages, as the engine sees them.

use bytes::Bytes;

use crate::base::limits::HAVE_RUNS_MAX;
use crate::base::{Bitfield, ContentId, NodeId};
use crate::manifest::Source;

/// Another major version is another protocol.
pub const PROTOCOL_MAJOR: u32 = 1;
/// A higher minor version understands all of a lower one.
pub const PROTOCOL_MINOR: u32 = 0;
/// Peers tell each other of others.
pub const FEATURE_PEX: &str = "pex";

/// A number that the sender of a message bound to a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub u32);

/// Names a request on its link; chosen by the requester, rising.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// One message on a control stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// First, both ways.
    Hello(Hello),
    /// The sender takes part in this content and calls it by this handle.
    Open {
        /// The sender's name for it.
        handle: Handle,
        /// What it is.
        content: ContentId,
        /// The sender has the manifest: it can read Haves and serve manifest pages.
        knows_manifest: bool,
        /// "Take it from me and keep it."
        is_offer: bool,
    },
    /// The sender does not take part in this content.
    Decline {
        /// What was opened.
        content: ContentId,
        /// Why.
        reason: DeclineReason,
    },
    /// "Send me this page of the manifest."
    ManifestRequest {
        /// The sender's handle.
        handle: Handle,
        /// From 0.
        page: u32,
    },
    /// A page of the manifest's canonical body.
    ManifestPage {
        /// The sender's handle.
        handle: Handle,
        /// From 0.
        page: u32,
        /// Bytes of the whole body.
        body_len: u64,
        /// The page.
        data: Bytes,
    },
    /// Chunks the sender can serve from now on.
    Have {
        /// The sender's handle.
        handle: Handle,
        /// Which.
        chunks: ChunkRuns,
    },
    /// Chunks the sender can serve no longer.
    Lost {
        /// The sender's handle.
        handle: Handle,
        /// Which.
        chunks: ChunkRuns,
    },
    /// "Send me these bytes on one chunk stream."
    Request {
        /// The requester's name for it.
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
    /// "I do not want that any more."
    Cancel {
        /// Which request.
        request: RequestId,
    },
    /// "You will not get that."
    Reject {
        /// Which request.
        request: RequestId,
        /// Why.
        reason: RejectReason,
    },
    /// Whether requests are served now.
    Choke {
        /// They are not.
        choked: bool,
    },
    /// The sender has all of this content, synced to its disk and at its place. Said to those who offered it.
    Durable {
        /// The sender's handle.
        handle: Handle,
    },
    /// A chunk that came from the receiver failed verification at the sender.
    BadChunk {
        /// The sender's handle.
        handle: Handle,
        /// Which chunk.
        chunk: u32,
    },
    /// Another node gave the sender more than one wrong chunk of a content.
    BadPeer {
        /// The sender's handle.
        handle: Handle,
        /// Who.
        node: NodeId,
    },
    /// Others that take part in a content; only between two that name [`FEATURE_PEX`].
    Peers {
        /// The sender's handle.
        handle: Handle,
        /// At most [`PEX_SOURCES_MAX`](crate::base::limits::PEX_SOURCES_MAX), with at most
        /// [`PEX_ADDRESSES_MAX`](crate::base::limits::PEX_ADDRESSES_MAX) addresses each.
        sources: Vec<Source>,
    },
}

/// Who speaks, and what it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Of the protocol.
    pub major: u32,
    /// Of the protocol.
    pub minor: u32,
    /// Only what both name is used.
    pub features: Vec<String>,
    /// For people: program and version.
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
    /// The disk said no.
    Unreadable,
}

/// Why a node does not take part in a content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeclineReason {
    /// It does not have it, and does not want it from anybody.
    #[default]
    NotHere,
    /// It does not take it from this node.
    NotAccepted,
    /// It has no room for it.
    NoRoom,
    /// The receiver may not have it, or may not offer it.
    NotAuthorised,
}

/// Runs of chunks as gaps and counts in turn, from chunk 0; at most [`HAVE_RUNS_MAX`] numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkRuns(Vec<u32>);

impl Hello {
    /// Whether the sender can that.
    pub fn has_feature(&self, feature: &str) -> bool {
        self.features.iter().any(|named| named == feature)
    }

    /// What this build says of itself.
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
    /// A set of chunks in as few messages' worth of runs as the limit allows. Nothing for the empty set.
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

    /// Takes numbers from the wire, if they are few enough and in pairs, with no empty run.
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
