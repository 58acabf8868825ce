//! One JSON object a line on stdout. The fields are documented in docs/reference/json.md and stable: new ones may come, none changes.

use serde::Serialize;

use super::{bars, text};
use swarm_coordinator::Totals;
use swarm_core::base::{ContentId, NodeId};
use swarm_core::manifest::Manifest;
use swarm_discovery::Trouble;
use swarm_engine::{ContentSnapshot, PeerSnapshot};
use swarm_node::{NodeSnapshot, WireTotals};

/// The events.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub(in crate::cli) enum Json {
    /// A list of `--allow`, `--revoked` or `--readers` changed and cannot be read; the one before stays in force.
    Trust { message: String },
    /// A certificate that an authority issued (`swarm cert ls`); it expires at `until_unix_secs`, seconds since 1970. `role` is `full` or
    /// `mirror`, `state` is `good`, `expired` or `revoked`.
    Certificate { node: String, role: &'static str, state: &'static str, until_unix_secs: u64 },
    /// The id of a key (`swarm id`).
    Id { node: String },
    /// The content is known, and what of it is there. A seed can be reached from now on.
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
    /// How far the command is, about every second.
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
    /// How far the last look at everything is (--verify-at-end), about every second and at its end.
    Verifying { read_bytes: u64, bytes: u64 },
    /// Something happened with a peer; the table below has each `state`.
    Peer { node: String, state: &'static str, detail: Option<String> },
    /// A way of finding peers does not work; the others continue.
    Trouble { way: &'static str, message: String },
    /// The target cannot do something that the fetch did without.
    Warning { message: String },
    /// The target cannot hold this entry; the fetch ends with code 9.
    LeftOut { path: String, message: String },
    /// A coordinator or aggregator listens; others pass one of `places` to `--coordinator`.
    Coordinating { node: String, places: Vec<String> },
    /// Totals of a coordinator, about every second. It names to others only the announcements that are `listed`.
    Coordinator { contents: usize, announcements: usize, listed: usize, nodes: usize },
    /// The node is reached elsewhere than earlier tickets say; a new ticket, if it is known by now.
    Moved { message: String, ticket: Option<String> },
    /// A chunk was withdrawn because the data under it changed. `chunk` is its number in its file, as in all messages.
    ChunkLost { chunk: u32, path: String },
    /// Data cannot be read just now; it is read again until it can be.
    ReadTrouble { chunk: u32, path: String, message: String },
    /// It can be read again, and is served again.
    ReadAgain { chunk: u32, path: String },
    /// The command succeeded.
    Done(Done),
    /// The command failed; `code` is its exit code.
    Error { code: u8, message: String },
}

/// The figures at the end. `bytes = present_bytes + fetched_bytes`, and the peers' `bytes` add up to
/// `fetched_bytes + duplicate_bytes + corrupt_bytes`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
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

impl Json {
    /// Prints it, if stdout takes it.
    pub(in crate::cli) fn print(&self) {
        super::report_text(&super::json_line(self));
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
