//! The plan: what each side has to do, what somebody has to decide.

use serde::{Deserialize, Serialize};

use crate::{Conflict, ConflictId, FileContent, Op, PerSide, Side, TreePath};

/// What a run is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The operations of each side, in the order in which they are performed.
    pub ops: PerSide<Vec<Op>>,
    /// Paths at which both sides have the same already, or nothing: the base moves, nothing else.
    pub agreed: Vec<TreePath>,
    /// Entries of the base that no operation tells of. All of them leave their paths before any comes to another one.
    pub rebased: Vec<Rebase>,
    /// What somebody has to decide, in path order.
    pub conflicts: Vec<Conflict>,
    /// Texts that the policy wants merged. The plan is made again with the results as choices.
    pub merges: Vec<MergeTask>,
    /// Why no operation may be performed until somebody says so.
    pub held: Option<Hold>,
}

/// An entry of the base that has another path after the run: it waits for a decision below a folder that moves. Or it has none: it is
/// gone on both sides or elsewhere, while something that waits for a decision stands at its path on one side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebase {
    /// Its path in the base before.
    pub from: TreePath,
    /// Its path in the base afterwards.
    pub to: Option<TreePath>,
}

/// A text that both sides changed, and that the policy wants merged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeTask {
    /// The conflict that a clean merge settles.
    pub conflict: ConflictId,
    /// Where it stands, on both sides.
    pub path: TreePath,
    /// Both versions.
    pub versions: PerSide<FileContent>,
    /// What both agreed on last.
    pub base: FileContent,
}

/// A run would delete or replace more than the guard lets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The side that would lose them.
    pub side: Side,
    /// Number of paths that would be deleted.
    pub deleted: u64,
    /// Number of files that would be replaced.
    pub replaced: u64,
    /// Number of paths that the side has.
    pub total: u64,
}

impl Plan {
    /// Whether nothing is to be done, and nobody is to decide.
    pub fn is_empty(&self) -> bool {
        self.ops.local.is_empty()
            && self.ops.remote.is_empty()
            && self.conflicts.is_empty()
            && self.merges.is_empty()
            && self.held.is_none()
    }
}
