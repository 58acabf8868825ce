//! How a daemon stands, as data: for the command, the page and scripts.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

use crate::sentence::Told;

/// How everything stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// This node.
    pub node: String,
    /// Where it listens: `NODEID@host:port` for others.
    pub address: String,
    /// Since when it runs, as in `3h 12m`.
    pub uptime: String,
    /// The same in seconds.
    pub uptime_seconds: u64,
    /// How far each peer is with each library, in percent: by peer, then by name of the library.
    #[serde(rename = "peerSync")]
    pub peer_sync: BTreeMap<String, BTreeMap<String, String>>,
    /// What is wrong.
    pub errors: Vec<StatusError>,
    /// Where the pages /metrics and /health are served, if they are.
    #[serde(default)]
    pub metrics: Option<String>,
    /// Libraries of this node.
    pub libraries: Vec<LibraryStatus>,
    /// Peers of this node.
    pub peers: Vec<PeerStatus>,
    /// Bytes a second that come and go, over the last seconds.
    pub rate_down: u64,
    /// The same for what goes.
    pub rate_up: u64,
    /// Bytes of all libraries together that go to others in a second at most, by `limits` of config.json and its schedule as it is now: nothing for no
    /// limit, zero for a pause.
    #[serde(default)]
    pub limit_up: Option<u64>,
    /// The same from others.
    #[serde(default)]
    pub limit_down: Option<u64>,
    /// What is wrong in the files of the daemon's folder, a line each.
    pub file_errors: Vec<String>,
    /// What is odd in them.
    pub file_warnings: Vec<String>,
}

/// Something that is wrong with a library or a file of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatusError {
    /// Of which library.
    pub guid: String,
    /// Which file; empty for the whole library.
    pub file: String,
    /// What it is: `hash-mismatch`, `refused`, `not-synced`, `fetch`, `stopped`, `equivocation`, `replaced`, `carried`, and of origins also `conflict`.
    pub issue: String,
    /// For people.
    pub detail: String,
    /// What `detail` says, without its words; nothing if it has no code.
    #[serde(default)]
    pub told: Option<Told>,
}

/// One library.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LibraryStatus {
    /// What this node calls it.
    pub name: String,
    /// What all nodes call it.
    pub guid: String,
    /// `up to date`, `syncing`, `scanning`, `paused`, `stopped`, `held`, `conflict` if nothing but decisions is left, or `waiting`
    /// for the votes of others on changes of this node.
    pub state: String,
    /// Of the bytes, in percent with one decimal.
    pub percent: String,
    /// Files of the view.
    pub files: u64,
    /// Of these, on this disk.
    pub files_here: u64,
    /// Bytes of the view.
    pub bytes: u64,
    /// Of these, on this disk.
    pub bytes_here: u64,
    /// Entries on this disk that are to be deleted.
    pub deletions_to_do: u64,
    /// Conflicts that wait for a decision.
    pub conflicts: u64,
    /// Conflicts of versions of others, that they decide; this disk has what the library has for now.
    #[serde(default)]
    pub conflicts_elsewhere: u64,
    /// Proposals that wait for votes.
    pub proposals: u64,
    /// Commits of authors that do not count here, by author: nothing of them is in the view.
    #[serde(default)]
    pub untrusted_commits: BTreeMap<String, u64>,
    /// Changes of this node that wait for votes: its disk has them, and the others have not.
    #[serde(default)]
    pub waiting: u64,
    /// Deletions on this disk that wait for a yes here: `swarm approve --here`.
    pub held_here: Option<u64>,
    /// What it does.
    pub activity: String,
    /// What `activity` says, without its words; nothing if it has no code.
    #[serde(default)]
    pub activity_told: Option<Told>,
    /// Its folders.
    pub mounts: Vec<MountStatus>,
    /// Commits that are known of it.
    pub commits: u64,
    /// Seconds until all is here at the present rate; nothing if that cannot be said.
    pub eta_seconds: Option<u64>,
    /// Where peers have another policy: the peer, and what differs.
    pub policy_differences: Vec<String>,
    /// What it goes by; nothing while it stands still.
    #[serde(default)]
    pub policy: Option<PolicyStatus>,
    /// Locks that hold: path, holder, seconds left, reason.
    pub locks: Vec<LockStatus>,
    /// Bytes a second that go to others at most; nothing for no limit but that of all libraries.
    #[serde(default)]
    pub limit_up: Option<u64>,
    /// The same from others.
    #[serde(default)]
    pub limit_down: Option<u64>,
    /// Days after which all files on this disk are read again; zero if they are not.
    #[serde(default)]
    pub scrub_days: u32,
}

/// How many trusted peers, the author among them, must agree to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// To a deletion.
    pub delete: u32,
    /// To a move.
    #[serde(rename = "move")]
    pub moves: u32,
    /// Changes in one commit from which on it is a bulk change; nothing if there are none.
    pub bulk: Option<u32>,
    /// To a bulk change.
    pub bulk_approvals: u32,
    /// Days after which a proposal expires.
    pub expiry_days: u32,
    /// Whether one no is enough to refuse.
    pub refuse_by_one: bool,
    /// It is the strictest that the trusted peers told, since the files of this node have none.
    pub is_taken_over: bool,
}

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MountStatus {
    /// The folder.
    pub dir: String,
    /// Where it stands in the library.
    pub libpath: String,
    /// Whether changes of others are written to it.
    pub sync: bool,
}

/// An advisory lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LockStatus {
    /// What is edited.
    pub path: String,
    /// Who edits.
    pub holder: String,
    /// Seconds for which it holds.
    pub seconds_left: u64,
    /// For people.
    pub why: String,
}

/// One peer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerStatus {
    /// As peers.json has it, or where it was seen.
    pub address: String,
    /// Its key, once it is known.
    pub node: Option<String>,
    /// For people.
    pub name: String,
    /// `trusted`, `untrusted`, `mirror` or `unknown`.
    pub trust: String,
    /// Whether a link stands.
    pub connected: bool,
    /// Why not.
    pub trouble: Option<String>,
    /// What `trouble` says, without its words; nothing if it has no code.
    #[serde(default)]
    pub trouble_told: Option<Told>,
    /// The user of this node that it proved to be.
    pub user: Option<String>,
    /// Who told of it, if it is not of this node's own list.
    pub told_by: Vec<String>,
    /// Bytes that came from it since this daemon started, over all links.
    #[serde(default)]
    pub received: u64,
    /// Bytes that went to it.
    #[serde(default)]
    pub sent: u64,
    /// Microseconds to it and back on the link that stands.
    #[serde(default)]
    pub round_trip_us: Option<u64>,
    /// When the last link to it ended, milliseconds since 1970; nothing while one stands, and of peers that are not of this node's own list.
    #[serde(default)]
    pub last_seen_ms: Option<u64>,
    /// Its program and version, as it tells them on the link that stands.
    #[serde(default)]
    pub agent: Option<String>,
    /// The version of the protocol of libraries that it speaks there.
    #[serde(default)]
    pub protocol: Option<String>,
    /// Libraries that both have, or that the peer offers.
    pub libraries: Vec<PeerLibraryStatus>,
}

/// How far a peer is with a library.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerLibraryStatus {
    /// What it is called.
    pub name: String,
    /// Its GUID.
    pub guid: String,
    /// Whether this node has it, too.
    pub is_shared: bool,
    /// Whether it and this node know the same commits.
    pub is_level: bool,
    /// In percent with one decimal; empty if it is not known.
    pub percent: String,
    /// What the peer does.
    pub activity: String,
    /// Deletions that it has to do.
    pub deletions_to_do: u64,
}

/// States of a library: no other is told.
pub const STATES: [&str; 8] =
    ["up to date", "syncing", "scanning", "paused", "stopped", "held", "conflict", "waiting"];

/// What may be wrong: no other [`StatusError::issue`] is told.
pub const ISSUES: [&str; 9] = [
    "hash-mismatch",
    "refused",
    "not-synced",
    "fetch",
    "stopped",
    "equivocation",
    "replaced",
    "carried",
    "conflict",
];

/// How a peer is taken: no other [`PeerStatus::trust`] is told.
pub const TRUSTS: [&str; 4] = ["trusted", "untrusted", "mirror", "unknown"];
