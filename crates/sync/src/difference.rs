//! Where three trees are not the same.

use serde::{Deserialize, Serialize};

use crate::{Entry, FileId, Kind, PerSide, Side, TreePath};

/// What both sides agreed on at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseEntry {
    /// What stood there.
    pub kind: Kind,
    /// The later of both sides' times of change, nanoseconds since 1970.
    pub modified_ns: i64,
    /// The number of the file on each side: it tells a moved file from a new one.
    pub ids: PerSide<Option<FileId>>,
}

/// A path at which not all three trees have the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The path.
    pub path: TreePath,
    /// What stands there now.
    pub now: PerSide<Option<Entry>>,
    /// What both agreed on last.
    pub base: Option<Box<BaseEntry>>,
}

/// A first run of a million new files has a million of these, and few have a base.
const _: () = assert!(size_of::<Difference>() <= 200);

impl Difference {
    /// Whether a side has what the base has.
    pub fn is_unchanged(&self, side: Side) -> bool {
        let now = self.now.of(side).as_ref().map(|entry| &entry.kind);
        now == self.base.as_ref().map(|base| &base.kind)
    }

    /// Whether both sides have the same.
    pub fn agrees(&self) -> bool {
        let kind = |entry: &Option<Entry>| entry.as_ref().map(|entry| entry.kind.clone());
        kind(&self.now.local) == kind(&self.now.remote)
    }
}

impl BaseEntry {
    /// The base of two entries that agree.
    pub fn of(local: &Entry, remote: &Entry) -> Self {
        Self {
            kind: local.kind.clone(),
            modified_ns: local.modified_ns.max(remote.modified_ns),
            ids: PerSide { local: local.stamp.id, remote: remote.stamp.id },
        }
    }
}
