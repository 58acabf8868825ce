//! Why a pair cannot be worked on. The way out stands in each message.

use std::io;
use std::path::PathBuf;

use swarm_core::base::{Category, Shown};
use swarm_index::IndexError;
use swarm_sync::ReplicaError;

/// Why something was not done with a pair.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// Both roots are one folder.
    #[error("`{}` is both sides: name two folders", Shown(.0))]
    SameFolder(PathBuf),
    /// One root lies in the other.
    #[error(
        "`{}` lies in `{}`: a folder cannot be kept the same as one that holds it",
        Shown(inner),
        Shown(outer)
    )]
    Nested {
        /// The folder above.
        outer: PathBuf,
        /// The folder in it.
        inner: PathBuf,
    },
    /// The pair is known with its sides the other way round.
    #[error(
        "these folders are a pair already, named the other way round: run `swarm sync '{}' '{}'`",
        Shown(local),
        Shown(remote)
    )]
    Swapped {
        /// Its local root.
        local: PathBuf,
        /// Its remote root.
        remote: PathBuf,
    },
    /// A root does not exist.
    #[error("`{}` does not exist: make the folder first, or connect the disk that it is on", Shown(.0))]
    Missing(PathBuf),
    /// A root is something else.
    #[error("`{}` is not a folder", Shown(.0))]
    NotAFolder(PathBuf),
    /// A root that had entries is empty.
    #[error(
        "`{}` is empty, and had {} at the last run: connect its disk; to fill it from the other folder, move `{}` away and run `swarm sync` again; if all was deleted on purpose, --accept-empty deletes it in the other folder too",
        Shown(root),
        entries(*known),
        Shown(index)
    )]
    Emptied {
        /// The root.
        root: PathBuf,
        /// Entries that both sides agreed on last.
        known: u64,
        /// The index of the pair: without it, both sides are merged.
        index: PathBuf,
    },
    /// A root is on another file system than last time.
    #[error(
        "`{}` is another folder or file system than at the last run: connect the right disk; if this is the right one, run `swarm sync` with --accept-root",
        Shown(.0)
    )]
    OtherRoot(PathBuf),
    /// No pair has this path in one of its folders.
    #[error("`{}` is in no folder that is kept the same: `swarm sync --list` lists them", Shown(.0))]
    NoPair(PathBuf),
    /// Nothing of that name.
    #[error("{0}")]
    NotFound(String),
    /// A request that makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A side could not be read or written at all.
    #[error("{}{error}", prefix(root, error))]
    Replica {
        /// The root.
        root: PathBuf,
        /// The reason.
        error: ReplicaError,
    },
    /// The memory of the pair.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A file beside it.
    #[error("cannot {op} `{}`: {source}", Shown(path))]
    State {
        /// The file.
        path: PathBuf,
        /// The operation, as a verb.
        op: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// A file that is not what it should be.
    #[error("`{}` is no {what}: {why}", Shown(path))]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// The root, unless the error names it.
fn prefix(root: &std::path::Path, error: &ReplicaError) -> String {
    let root = Shown(root).to_string();
    if error.to_string().contains(&root) { String::new() } else { format!("{root}: ") }
}

fn entries(count: u64) -> String {
    format!("{count} {}", if count == 1 { "entry" } else { "entries" })
}

impl PairError {
    /// The category of the cause: it decides the exit code.
    pub fn category(&self) -> Category {
        match self {
            Self::SameFolder(_)
            | Self::Nested { .. }
            | Self::Swapped { .. }
            | Self::Missing(_)
            | Self::NotAFolder(_)
            | Self::Emptied { .. }
            | Self::OtherRoot(_)
            | Self::NoPair(_)
            | Self::NotFound(_)
            | Self::Usage(_)
            | Self::BadFile { .. } => Category::Usage,
            Self::Replica { error, .. } => error.category(),
            Self::Index(error) => error.category(),
            Self::State { source, .. } => Category::of_io(source.kind()),
        }
    }

    pub(crate) fn state(path: &std::path::Path, op: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::State { path: path.to_owned(), op, source }
    }
}
