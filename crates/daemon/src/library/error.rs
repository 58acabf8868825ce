//! Why a library does not work.

use std::io;
use std::path::{Path, PathBuf};

use swarm_core::base::{Category, Shown};
use swarm_index::IndexError;
use swarm_library::CommitError;
use swarm_mounts::OverlayError;
use swarm_sync::{ReplicaError, RunError};

/// The failure of a library. Others go on.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// Its memory cannot be used.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Its folders cannot be used together.
    #[error(transparent)]
    Overlay(#[from] OverlayError),
    /// Its folders cannot be read or written.
    #[error("{0}")]
    Mounts(ReplicaError),
    /// A commit that was stored cannot be read.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A pattern of its selection says nothing.
    #[error("{0}")]
    Pattern(String),
    /// It is sealed, and this node has no key.
    #[error(
        "the library is sealed, and this node has no key of it yet: a member that trusts this node gives it one"
    )]
    NoKey,
    /// Another daemon keeps its sync target.
    #[error(
        "another daemon (`{}`) keeps `{}`: stop that one, or choose another folder here",
        Shown(other),
        Shown(dir)
    )]
    KeptByOther {
        /// The sync target.
        dir: PathBuf,
        /// The folder of the other daemon.
        other: PathBuf,
    },
    /// A file of its state cannot be used.
    #[error("cannot {op} `{}`: {source}", Shown(path))]
    State {
        /// The file.
        path: PathBuf,
        /// What was tried.
        op: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl LibraryError {
    /// The category of the cause.
    pub fn category(&self) -> Category {
        match self {
            Self::Index(error) => error.category(),
            Self::Overlay(error) => error.category(),
            Self::Mounts(error) => error.category(),
            Self::Commit(_) => Category::Integrity,
            Self::Pattern(_) => Category::Usage,
            Self::NoKey => Category::Denied,
            Self::KeptByOther { .. } => Category::Held,
            Self::State { source, .. } => Category::of_io(source.kind()),
        }
    }

    pub(crate) fn state(path: &Path, op: &'static str) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::State { path, op, source }
    }
}

impl From<RunError<IndexError>> for LibraryError {
    fn from(error: RunError<IndexError>) -> Self {
        match error {
            RunError::Replica { error, .. } => Self::Mounts(error),
            RunError::Index(error) => Self::Index(error),
        }
    }
}

/// An error that a mount made is one of a replica.
impl From<ReplicaError> for LibraryError {
    fn from(error: ReplicaError) -> Self {
        Self::Mounts(error)
    }
}
