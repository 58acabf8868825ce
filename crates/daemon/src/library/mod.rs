//! One library: its worker, what it looks at and what it signs.

mod arrivals;
mod ask;
mod digests;
mod error;
mod granting;
mod hashing;
mod keys;
mod memory;
mod mirroring;
mod places;
mod sealing;
mod session;
mod settings;
mod view_side;
mod watching;
mod whiteouts;
mod worker;

pub use ask::{Answer, CommitView, EntryView, PathView, ProposalView, VersionLine};
pub use error::LibraryError;

pub(crate) use ask::Question;
pub(crate) use settings::{LibrarySettings, Retention};
pub(crate) use view_side::content_files;
pub(crate) use worker::{Input, LibraryHandle, LibraryState, Output, Start, start};
