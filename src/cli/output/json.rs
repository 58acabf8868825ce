//! One JSON object a line on stdout. The fields are documented in README and stable: new ones may come, none changes.

use serde::Serialize;

use super::{bars, text};
use crate::base::{ContentId, NodeId};
use crate::coordinator::Totals;
use crate::discovery::Trouble;
use crate::engine::{ContentSnapshot, PeerSnapshot};
use crate::manifest::Manifest;
use crate::node::{NodeSnapshot, WireTotals};

/// The events.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(in crate::cli) enum Json {
    /// A file that says who belongs has changed and is not taken.
    Trust { message: String },
    /// A certificate that an authority issued; until when, in seconds since 1970.
    Certificate { node: String, role: &'static str, state: &'static str, until_unix_secs: u64 },
    /// The id of a key.
    Id { node: String },
    /// The node listens; the content is known (and, for a fetch, what of it is there).
    Ready {
        node: String,
        content: String,
        name: String,
        ticket: Option<String>,
        bytes: u64,
        present_bytes: u64,
        files: usize,
        chunks: u32,
        sources: usize,
    },
    /// How far it is, about every second.
    Progress {
        phase: &'static str,
        bytes: u64,
        verified_bytes: u64,
        durable_bytes: u64,
        sent_bytes: u64,
        bytes_per_sec: u64,
        peers: usize,
        slow_because: Option<String>,
    },
    /// Something happened with a peer.
    Peer { node: String, state: &'static str, detail: Option<String> },
    /// A way of finding peers does not work; the others go on.
    Trouble { way: &'static str, message: String },
    /// A coordinator listens; `places` are what others give to --coordinator.
    Coordinating { node: String, places: Vec<String> },
    /// What a coordinator knows, about every second.
    Coordinator { contents: usize, announcements: usize, listed: usize, nodes: usize },
    /// The node is reached elsewhere than earlier tickets say; a new ticket, if it is known by now.
    Moved { message: String, ticket: Option<String> },
    /// A chunk was withdrawn because the data under it changed.
    ChunkLost { chunk: u32, path: String },
    /// The end, with success.
    Done(Done),
    /// The end, without.
    Error { code: u8, message: String },
}

/// The figures at the end. `bytes = present_bytes + fetched_bytes`, and the peers' `bytes` add up to
/// `fetched_bytes + duplicate_bytes + corrupt_bytes`.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Done {
    pub(in crate::cli) content: String,
    pub(in crate::cli) bytes: u64,
    pub(in crate::cli) present_bytes: u64,
    pub(in crate::cli) fetched_bytes: u64,
    pub(in crate::cli) duplicate_bytes: u64,
    pub(in crate::cli) corrupt_bytes: u64,
    pub(in crate::cli) sent_bytes: u64,
    pub(in crate::cli) wire_bytes: u64,
    pub(in crate::cli) seconds: f64,
    pub(in crate::cli) peers: Vec<PeerLine>,
}

/// One peer's figures.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct PeerLine {
    node: String,
    agent: String,
    bytes: u64,
    sent_bytes: u64,
    wire_bytes: u64,
    chunks: u64,
    corrupt_chunks: u64,
    note: Option<String>,
}

/// What a running node said, as one line.
pub(in crate::cli) fn line_of(said: &impl Serialize) -> String {
    serde_json::to_string(said).expect("these types have no keys or numbers that JSON lacks")
}

impl Json {
    /// Prints it, if JSON is wanted.
    pub(in crate::cli) fn print(&self) {
        super::result(line_of(self));
    }

    /// How far a content is.
    pub(in crate::cli) fn progress(
        snapshot: &NodeSnapshot,
        bytes_per_sec: u64,
        manifest: Option<&Manifest>,
    ) -> Option<Self> {
        let content = snapshot.engine.contents.first()?;
        let why = text::bottleneck(&content.bottleneck, manifest);
        Some(Self::Progress {
            phase: bars::phase(content.phase),
            bytes: content.wanted_len,
            verified_bytes: content.verified_len,
            durable_bytes: content.durable_len,
            sent_bytes: content.totals.sent_len,
            bytes_per_sec,
            peers: snapshot.engine.peers.iter().filter(|peer| peer.link.is_some()).count(),
            slow_because: (!why.is_empty()).then_some(why),
        })
    }

    /// A peer's news.
    pub(in crate::cli) fn trouble(trouble: &Trouble) -> Self {
        Self::Trouble { way: trouble.way.name(), message: trouble.reason.clone() }
    }

    pub(in crate::cli) fn trust(message: &str) -> Self {
        Self::Trust { message: message.to_owned() }
    }

    pub(in crate::cli) fn coordinator(totals: Totals) -> Self {
        Self::Coordinator {
            contents: totals.contents,
            announcements: totals.announcements,
            listed: totals.listed,
            nodes: totals.links,
        }
    }

    pub(in crate::cli) fn peer(node: NodeId, state: &'static str, detail: Option<String>) -> Self {
        Self::Peer { node: node.to_string(), state, detail }
    }
}

impl Done {
    /// The figures of a content, `present_len` of which was there before.
    pub(in crate::cli) fn of(
        content: ContentId,
        snapshot: &NodeSnapshot,
        present_len: u64,
        seconds: f64,
    ) -> Option<Self> {
        let state: &ContentSnapshot =
            snapshot.engine.contents.iter().find(|state| state.content == content)?;
        let wire = |peer: &PeerSnapshot| snapshot.wire.get(&peer.node).copied().unwrap_or_default();
        Some(Self {
            content: content.to_string(),
            bytes: state.wanted_len,
            present_bytes: present_len,
            fetched_bytes: state.totals.fetched_len,
            duplicate_bytes: state.totals.duplicate_len,
            corrupt_bytes: state.totals.corrupt_len,
            sent_bytes: state.totals.sent_len,
            wire_bytes: snapshot.wire.values().map(|wire| wire.received_len).sum(),
            seconds,
            peers: snapshot.engine.peers.iter().map(|peer| PeerLine::of(peer, wire(peer))).collect(),
        })
    }
}

impl PeerLine {
    fn of(peer: &PeerSnapshot, wire: WireTotals) -> Self {
        let note = text::standing(peer);
        Self {
            node: peer.node.to_string(),
            agent: peer.totals.agent.clone(),
            bytes: peer.totals.received_len,
            sent_bytes: peer.totals.sent_len,
            wire_bytes: wire.received_len,
            chunks: peer.totals.verified_chunks,
            corrupt_chunks: peer.totals.corrupt_chunks,
            note: (!note.is_empty()).then_some(note),
        }
    }
}
