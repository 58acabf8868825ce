//! The memory of a pair of folders: one SQLite file, with what was seen on both sides, what both agreed on last, and what runs did.
//!
//! Invariants: a call that changes something is durable when it returns, and was done wholly or not at all; whatever is read from the
//! file is checked before it is used, so a damaged file gives an error and never a panic. Memory does not grow with the trees, only
//! with what differs between them.
//! Absent here: clocks (times are arguments), plans, and the folders themselves. The file may be deleted: then both sides are merged.

mod sqlite_index;

mod differences;
mod trees;

mod records;
mod texts;

mod library;

mod reader;
mod row;
mod schema;

mod lock;

mod error;

pub mod limits;

pub use error::IndexError;
pub use library::{
    Acceptance, Digest, HeldRecord, KnownCommit, KnownProposal, LeftToDo, LibraryBook, Page, ProposalEnd,
    Stored, Taken, ViewEntry, ViewFigures,
};
pub use lock::IndexLock;
pub use reader::IndexReader;
pub use records::RunRecord;
pub use sqlite_index::{Counts, SqliteIndex};

#[cfg(test)]
mod tests;
