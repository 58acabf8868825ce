//! One JSON object a line on stdout, of `swarm sync` and the commands about a pair. The fields are documented in
//! docs/reference/json.md and stable: new ones may come, none changes.

use serde::Serialize;

use swarm_pair::{ConflictView, PairInfo, SideSummary, Summary, VersionView};
use swarm_sync::{
    Conflict, ConflictKind, FoundKind, Hold, Kind, Op, OpKind, PerSide, Plan, Side, SideVersion, Timestamp,
    shown_ops,
};

use super::plan;

/// The events of `swarm sync`, `swarm resolve` and `swarm undo`. `local` is the folder that was named first.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub(in crate::cli) enum SyncJson {
    /// How far looking at a side is, about every second and at its end. Files that did not change are not read.
    Scan { side: &'static str, entries: u64, read_files: u64, read_bytes: u64 },
    /// What is to be done. `held` says that nothing will be, until somebody approves it.
    Plan { local: CountsJson, remote: CountsJson, conflicts: u64, held: Option<HeldJson> },
    /// An operation that would be done (--dry-run, --plan-out). `type` is `created`, `modified`, `moved` or `deleted`.
    Operation {
        side: &'static str,
        #[serde(rename = "type")]
        kind: &'static str,
        path: String,
        from: Option<String>,
        bytes: Option<u64>,
    },
    /// How far carrying it out is, about every second.
    Progress {
        operations: u64,
        total_operations: u64,
        bytes: u64,
        total_bytes: u64,
        bytes_per_sec: u64,
        operations_per_sec: u64,
        slow_because: Option<String>,
    },
    /// An operation was not done; the others are. Run the same command again when its cause is over.
    Refused { side: &'static str, path: String, message: String },
    /// A path was left out: it cannot be read, or is nothing that is synced; or a deleted folder stays because of what it holds.
    LeftOut { side: &'static str, path: String, message: String },
    /// Somebody has to decide this.
    Conflict(ConflictJson),
    /// Another process syncs this pair; this one waits for it.
    Waiting { pid: Option<u32> },
    /// Changes of a side cannot be watched: it is looked at again from time to time.
    NotWatched { side: &'static str, message: String },
    /// Something that you should know, and that keeps nothing from being done.
    Warning { message: String },
    /// Every change was carried over; --watch waits for the next one.
    Idle {},
    /// The run ended; an `error` follows if something is left to be decided or to be mended.
    Done {
        run: String,
        local: CountsJson,
        remote: CountsJson,
        bytes: u64,
        conflicts: u64,
        refused: u64,
        left_out: u64,
        seconds: f64,
    },
}

/// Numbers of files and links of one side, of new `folders`, and of bytes that are copied to it. A moved folder counts as one.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in crate::cli) struct CountsJson {
    created: u64,
    modified: u64,
    moved: u64,
    deleted: u64,
    folders: u64,
    bytes: u64,
}

/// What a held run would take from a side that has `total` paths.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in crate::cli) struct HeldJson {
    side: &'static str,
    deleted: u64,
    replaced: u64,
    total: u64,
}

/// A conflict. `kind` is `simultaneous_edit`, `deletion`, `structure` or `name`, `status` is `open` or `decided`. A version that is null was deleted.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in crate::cli) struct ConflictJson {
    conflict_id: String,
    file_path: String,
    kind: &'static str,
    detail: Option<String>,
    local_version: Option<ConflictVersion>,
    remote_version: Option<ConflictVersion>,
    first_seen_at: Option<String>,
    status: &'static str,
}

/// What a side has. `type` is `file`, `folder` or `link`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in crate::cli) struct ConflictVersion {
    path: String,
    #[serde(rename = "type")]
    kind: &'static str,
    hash: Option<String>,
    bytes: Option<u64>,
    modified_at: String,
}

/// A pair, its folders, and what its last run left open.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in crate::cli) struct PairJson {
    pair: String,
    local: String,
    remote: String,
    last_run: Option<String>,
    open_conflicts: u64,
}

/// A kept version of the path, or of one below it. `type` is `file`, `folder` or `link`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in crate::cli) struct VersionJson {
    version: String,
    side: &'static str,
    path: String,
    #[serde(rename = "type")]
    kind: &'static str,
    bytes: u64,
    modified_at: String,
}

impl SyncJson {
    /// Prints it, if stdout takes it.
    pub(in crate::cli) fn print(&self) {
        super::super::report_text(&super::super::json_line(self));
    }

    pub(super) fn plan(summary: &Summary) -> Self {
        let PerSide { local, remote } = PerSide::each(|side| counts(summary.sides.of(side)));
        Self::Plan { local, remote, conflicts: summary.conflicts, held: summary.held.as_ref().map(held) }
    }

    /// Every operation of a plan.
    pub(in crate::cli) fn operations(plan: &Plan) -> impl Iterator<Item = Self> {
        let of = |side: Side| shown_ops(plan.ops.of(side)).map(move |op| Self::operation(side, &op));
        Side::BOTH.into_iter().flat_map(of)
    }

    fn operation(side: Side, op: &Op) -> Self {
        let from = match &op.kind {
            OpKind::Move { from } => Some(from.as_str().to_owned()),
            _ => None,
        };
        let bytes = match &op.kind {
            OpKind::Put { content: Kind::File(content), .. } => Some(content.len),
            _ => None,
        };
        let (side, kind, path) = (name(side), plan::kind(op).0, op.path.as_str().to_owned());
        Self::Operation { side, kind, path, from, bytes }
    }
}

/// A side in JSON.
pub(super) fn name(side: Side) -> &'static str {
    match side {
        Side::Local => "local",
        Side::Remote => "remote",
    }
}

pub(super) fn counts(summary: &SideSummary) -> CountsJson {
    let SideSummary { created, changed, moved, deleted, folders, copied_len } = *summary;
    CountsJson { created, modified: changed, moved, deleted, folders, bytes: copied_len }
}

fn held(hold: &Hold) -> HeldJson {
    let Hold { side, deleted, replaced, total } = *hold;
    HeldJson { side: name(side), deleted, replaced, total }
}

impl ConflictJson {
    /// A conflict that was decided just now.
    pub(in crate::cli) fn decided(view: &ConflictView) -> Self {
        Self { status: "decided", ..Self::from(view) }
    }
}

impl From<&ConflictView> for ConflictJson {
    fn from(view: &ConflictView) -> Self {
        Self {
            first_seen_at: Some(timestamp_of_ms(view.first_seen_ms)),
            status: if view.choice.is_some() { "decided" } else { "open" },
            ..Self::from(&view.conflict)
        }
    }
}

fn timestamp_of_ms(ms: u64) -> String {
    Timestamp(i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1_000_000)).to_string()
}

impl From<&Conflict> for ConflictJson {
    fn from(conflict: &Conflict) -> Self {
        Self {
            conflict_id: conflict.id.to_string(),
            file_path: conflict.path.as_str().to_owned(),
            kind: match conflict.kind {
                ConflictKind::SimultaneousEdit => "simultaneous_edit",
                ConflictKind::Deletion => "deletion",
                ConflictKind::Structure => "structure",
                ConflictKind::Name => "name",
            },
            detail: (!conflict.detail.is_empty()).then(|| conflict.detail.clone()),
            local_version: conflict.versions.local.as_ref().map(ConflictVersion::from),
            remote_version: conflict.versions.remote.as_ref().map(ConflictVersion::from),
            first_seen_at: None,
            status: "open",
        }
    }
}

impl From<&SideVersion> for ConflictVersion {
    fn from(version: &SideVersion) -> Self {
        let file = version.kind.file();
        Self {
            path: version.path.as_str().to_owned(),
            kind: match version.kind {
                Kind::File(_) => "file",
                Kind::Folder => "folder",
                Kind::Symlink { .. } => "link",
            },
            hash: file.map(|content| content.hash.to_string()),
            bytes: file.map(|content| content.len),
            modified_at: Timestamp(version.modified_ns).to_string(),
        }
    }
}

impl From<&PairInfo> for PairJson {
    fn from(pair: &PairInfo) -> Self {
        Self {
            pair: pair.id.clone(),
            local: pair.roots.local.to_string_lossy().into_owned(),
            remote: pair.roots.remote.to_string_lossy().into_owned(),
            last_run: pair.last_run.map(|run| run.to_string()),
            open_conflicts: pair.conflicts,
        }
    }
}

impl From<&VersionView> for VersionJson {
    fn from(version: &VersionView) -> Self {
        Self {
            version: version.id.run.to_string(),
            side: name(version.side),
            path: version.id.path.as_str().to_owned(),
            kind: match version.kind {
                FoundKind::File { .. } => "file",
                FoundKind::Folder => "folder",
                FoundKind::Symlink { .. } => "link",
            },
            bytes: version.len,
            modified_at: Timestamp(version.modified_ns).to_string(),
        }
    }
}
