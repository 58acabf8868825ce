//! What is remembered of a pair from one run to the next: both sides as they were seen, and the base. It holds observations and never
//! outstanding work, so it may be deleted: then nothing is known of deletions, and both sides are merged.

use serde::{Deserialize, Serialize};

use crate::{
    Choice, Conflict, ConflictId, ContentHash, Difference, Entry, Observation, Op, PerSide, Rebase, RunId,
    Side, TreePath,
};

/// The memory of a pair.
pub trait Index: Send {
    /// Why it could not be read or written.
    type Error: std::error::Error + Send;

    /// What is known of a side at `place` and below it, in path order; of all of it without a place.
    fn known(&self, side: Side, place: Option<&TreePath>) -> Result<Known<'_, Self::Error>, Self::Error>;

    /// Changes what is known, all of it or nothing.
    fn apply(&mut self, steps: Vec<IndexStep>) -> Result<(), Self::Error>;

    /// Every path at which the three trees are not the same, in path order.
    ///
    /// Two things are agreed on here and not returned. If the base is empty, it becomes what both sides have the same: a million equal
    /// files of a first run are no million differences. And where all three have the same kind, the base gets the numbers and times of
    /// files as they are now: they change when a disk is mounted anew, and a move is recognized by them.
    fn differences(&mut self) -> Result<Vec<Difference>, Self::Error>;

    /// Whether the base is not empty. If it is, what both sides have the same has to be durable before the differences are asked for:
    /// they agree on it.
    fn has_base(&self) -> Result<bool, Self::Error>;

    /// Number of paths that each side has.
    fn totals(&self) -> Result<PerSide<u64>, Self::Error>;

    /// What was decided about conflicts.
    fn choices(&self) -> Result<Vec<(ConflictId, Choice)>, Self::Error>;

    /// The bytes of a short content that was kept for merging or as a decision; `None` if it was not kept.
    fn text(&self, hash: &ContentHash) -> Result<Option<Vec<u8>>, Self::Error>;

    /// What a run did, in the order in which it was done.
    fn deeds(&self, run: RunId) -> Result<Vec<Deed>, Self::Error>;
}

/// What is known of a side, path by path.
pub type Known<'a, E> = Box<dyn Iterator<Item = Result<(TreePath, Entry), E>> + 'a>;

/// One change of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexStep {
    /// This was seen on a side.
    Observe(Side, Observation),
    /// An entry of a side, with all below it, stands elsewhere now.
    Moved {
        /// The side.
        side: Side,
        /// Where it stood.
        from: TreePath,
        /// Where it stands. Whatever was known at this path and below it is forgotten.
        to: TreePath,
    },
    /// The base becomes what both sides have at this path. Does nothing if they do not have the same: the base is only ever what
    /// both had.
    Agree(TreePath),
    /// Entries of the base have another path now, all at once.
    Rebase(Vec<Rebase>),
    /// Keeps a short content for merging or as a decision.
    KeepText(ContentHash, Vec<u8>),
    /// A run is about to do this, or has done it: replaces the deed of this run with the same number.
    Deed(RunId, Box<Deed>),
    /// These, and no others, are the open conflicts now. Decisions about others are dropped.
    Conflicts(Vec<Conflict>),
    /// Somebody decided a conflict; `None` takes the decision back.
    Choose(ConflictId, Option<Choice>),
}

/// One operation of a run, for undoing it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// Its number in the run.
    pub number: u64,
    /// The side it was performed on.
    pub side: Side,
    /// The operation.
    pub op: Op,
    /// How it went.
    pub end: DeedEnd,
}

/// How an operation went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeedEnd {
    /// It was about to be performed. It stays so if the run was killed: whether it was performed is then seen from the tree.
    Intended,
    /// It was performed.
    Done {
        /// What stood at its path then.
        now: Option<Entry>,
        /// The version that it displaced.
        kept: Option<KeptId>,
    },
    /// It was refused.
    Refused,
}

/// Names a kept version on its side: the run that displaced it, and its path; a number if that run displaced two at the path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeptId {
    /// The run that displaced it.
    pub run: RunId,
    /// Where it stood.
    pub path: TreePath,
    /// Zero for the first that the run displaced at this path.
    pub number: u32,
}
