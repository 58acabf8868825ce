//! One version of one path, as an author signs it.

use swarm_core::base::NodeId;
use swarm_sync::{ContentHash, Kind, TreePath};

use crate::Vector;

/// One version of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where.
    pub path: TreePath,
    /// What stands there.
    pub state: State,
    /// Which versions it was made from, itself included.
    pub vector: Vector,
    /// The file that it was made from.
    pub parent: Option<ContentHash>,
    /// Where the entry stood before, if it was moved.
    pub moved_from: Option<TreePath>,
}

/// What a version says of its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// An entry stands there.
    Live(Live),
    /// Nothing stands there any more.
    Deleted,
}

/// An entry of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// What it is.
    pub kind: Kind,
    /// Its time of change by the author's disk, nanoseconds since 1970.
    pub modified_ns: i64,
    /// SHA-256 of a file, where the author computed it.
    pub sha256: Option<[u8; 32]>,
}

impl State {
    /// The kind of the entry, if there is one.
    pub fn kind(&self) -> Option<&Kind> {
        match self {
            Self::Live(live) => Some(&live.kind),
            Self::Deleted => None,
        }
    }

    /// Whether a user would call both the same: kind, bytes, executable bit, target of a link.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.kind() == other.kind()
    }

    /// Whether an entry stands there.
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Live(_))
    }
}

impl Record {
    /// Bytes of its file; zero for anything else.
    pub fn content_len(&self) -> u64 {
        self.state.kind().and_then(Kind::file).map_or(0, |file| file.len)
    }
}

/// Names a record: the commit that has it, and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordRef {
    /// Who signed it.
    pub author: NodeId,
    /// The number of the commit.
    pub seq: u64,
    /// Its place in the commit.
    pub index: u32,
}
