//! One operation on one side. It says what it expects to stand where it acts: the replica looks again immediately before, and refuses if
//! something else stands there.

use serde::{Deserialize, Serialize};

use crate::{ConflictId, Entry, KeptId, Kind, Side, TreePath};

/// An operation on one side of a pair. Operations are performed in the order in which a plan has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Op {
    /// Where it acts. Of a move: where the entry goes.
    pub path: TreePath,
    /// What it does.
    pub kind: OpKind,
    /// What has to stand at `path` before; of a move, at its `from`. What stood at `path` becomes a kept version.
    pub expected: Option<Box<Entry>>,
}

/// A plan for a million new files has a million of these.
const _: () = assert!(size_of::<Op>() <= 104);

impl Op {
    /// The executable bit of the file that stands at the path afterwards; `None` if none does.
    pub(crate) fn executable(&self) -> Option<bool> {
        match &self.kind {
            OpKind::Put { content, .. } => content.file().map(|content| content.executable),
            OpKind::SetExecutable { executable } => Some(*executable),
            OpKind::Move { .. } => self.expected.as_ref()?.file().map(|content| content.executable),
            OpKind::MakeFolder | OpKind::Remove => None,
        }
    }
}

/// What an operation does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpKind {
    /// Makes a folder where nothing stands.
    MakeFolder,
    /// Moves a file, link or whole folder to a path at which nothing stands by then. `expected` is what stands at `from`.
    Move {
        /// Where it stands when the operation is performed: operations before this one may have moved a folder above it.
        from: TreePath,
    },
    /// Puts a file or link there, in place of what is expected.
    Put {
        /// What will stand there; never a folder.
        content: Kind,
        /// The file's time of change, nanoseconds since 1970.
        modified_ns: i64,
        /// Where the bytes come from.
        source: Source,
    },
    /// Sets or clears the executable bit of a file with these bytes.
    SetExecutable {
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// Removes a file, a link, or a folder that is empty by then.
    Remove,
}

/// Where the bytes of a file come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The other side, where the entry stood when it was observed.
    Other {
        /// The path on the other side before any operation.
        path: TreePath,
    },
    /// What a conflict was settled with: a merged text, or a file that the user named.
    Settled {
        /// The conflict.
        conflict: ConflictId,
    },
    /// A kept version.
    Kept {
        /// The version.
        kept: Box<KeptId>,
        /// The side that keeps it.
        side: Side,
    },
}
