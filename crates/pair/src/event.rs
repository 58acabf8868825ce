//! What happens in a session, as products show it.

use serde::Serialize;
use swarm_sync::{
    BlindWhy, Hold, Op, OpKind, PerSide, Plan, RunEvent, Side, TreePath, UnnamedWhy, shown_ops,
};

/// One event of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncEvent {
    /// Another process works on the pair; this one waits for it.
    Waiting {
        /// Its process id, if it left one.
        pid: Option<u32>,
    },
    /// A scan goes on.
    Scanning {
        /// The side.
        side: Side,
        /// Entries found so far.
        found: u64,
        /// Entries that the side had at the last scan; zero at the first.
        expected: u64,
        /// Files read so far.
        hashed: u64,
        /// Bytes of the files read so far.
        hashed_len: u64,
    },
    /// A place could not be looked at: nothing is changed there or below.
    Blind {
        /// The side.
        side: Side,
        /// The place.
        path: TreePath,
        /// The reason.
        why: BlindWhy,
    },
    /// An entry whose path is none in a tree: it is left alone.
    Unnamed {
        /// The side.
        side: Side,
        /// Its path, escaped.
        shown: String,
        /// What is wrong with it.
        why: UnnamedWhy,
    },
    /// The plan is made.
    Planned(Summary),
    /// Bytes were copied to a side.
    Carried {
        /// The side.
        side: Side,
        /// Number of bytes since the last such event of this side.
        len: u64,
    },
    /// An operation was performed, or refused while the rest goes on. Its paths are those that people know, without detours.
    Run(RunEvent),
    /// A folder that was deleted on the other side stays, because something that is no part of the tree stands in it.
    Stays {
        /// The side.
        side: Side,
        /// The folder.
        path: TreePath,
        /// An entry in it that is left out of sync; `None` if it holds something new.
        holds: Option<TreePath>,
    },
    /// Folders cannot be watched: they are scanned every so often.
    NotWatched {
        /// The side.
        side: Side,
        /// The reason, with the way out.
        why: String,
    },
    /// Something that the user should know, and that keeps nothing from being done.
    Warning {
        /// The fact, with the way out.
        message: String,
    },
    /// All changes so far are on both sides; the session waits for the next one.
    Idle,
}

/// What a plan does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// To each side.
    pub sides: PerSide<SideSummary>,
    /// Number of conflicts that somebody has to decide.
    pub conflicts: u64,
    /// Why nothing is performed until somebody says so.
    pub held: Option<Hold>,
}

/// What a plan does to one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SideSummary {
    /// New files and links.
    pub created: u64,
    /// Files and links that are replaced, or whose executable bit changes.
    pub changed: u64,
    /// Entries that are moved; a folder counts as one.
    pub moved: u64,
    /// Files, links and folders that are removed.
    pub deleted: u64,
    /// New folders.
    pub folders: u64,
    /// Bytes that are copied to it.
    pub copied_len: u64,
}

impl Summary {
    /// Counts a plan.
    pub fn of(plan: &Plan) -> Self {
        Self {
            sides: PerSide::each(|side| SideSummary::of(plan.ops.of(side))),
            conflicts: plan.conflicts.len() as u64,
            held: plan.held,
        }
    }

    /// Whether nothing is to be done and nobody is to decide.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl SideSummary {
    fn of(ops: &[Op]) -> Self {
        let mut summary = Self::default();
        shown_ops(ops).for_each(|op| summary.count(&op));
        summary
    }

    /// Counts one operation more.
    pub fn count(&mut self, op: &Op) {
        match &op.kind {
            OpKind::MakeFolder => self.folders += 1,
            OpKind::Move { .. } => self.moved += 1,
            OpKind::Put { content, .. } => {
                self.copied_len += content.file().map_or(0, |content| content.len);
                let count = if op.expected.is_some() { &mut self.changed } else { &mut self.created };
                *count += 1;
            }
            OpKind::SetExecutable { .. } => self.changed += 1,
            OpKind::Remove => self.deleted += 1,
        }
    }

    /// Number of operations.
    pub fn count_all(&self) -> u64 {
        self.created + self.changed + self.moved + self.deleted + self.folders
    }
}
