//! One library: its worker, what it looks at and what it signs.

mod arrivals;
mod ask;
mod asked;
mod digests;
mod error;
mod files;
mod granting;
mod keys;
mod memory;
mod mirroring;
mod places;
mod policies;
mod restoring;
mod scrubbing;
mod sealing;
mod session;
mod settings;
mod target_lock;
mod undoing;
mod verifying;
mod view_side;
mod watching;
mod whiteouts;
mod worker;

pub use ask::{Answer, CommitView, EntryView, PathView, ProposalView, VersionLine};
pub use asked::{DeedsView, KeptView, TextsView};
pub use error::LibraryError;
pub use files::{EntriesPage, LibraryFiles, OpenFile, OpenFiles, ReadError};
pub use undoing::{AuthorView, TakenBackPath, TakenBackView};
pub use verifying::VerifyView;

pub(crate) use ask::Question;
pub(crate) use asked::Deciding;
pub(crate) use places::LibraryPlaces;
pub(crate) use policies::ToldPolicy;
pub(crate) use session::{INDEX, ignore_rules};
pub(crate) use settings::LibrarySettings;
pub(crate) use verifying::verify;
pub(crate) use view_side::content_files;
pub(crate) use worker::{FetchedFolder, Input, LibraryHandle, LibraryState, Output, Start, start};
