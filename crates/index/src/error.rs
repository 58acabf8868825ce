//! Why an index could not be opened, read or written. Every message is one line with the file and the way out.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use rusqlite::types::FromSqlError;
use swarm_core::base::{Category, Shown};

/// The failure of an index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// A newer version of this program wrote the file.
    #[error(
        "`{}` was written by a newer swarm (its format is {found}, this one knows {known}): update swarm, or move the file away: then both sides are merged and nothing is deleted",
        Shown(path)
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version of its format.
        found: i64,
        /// The newest version that is known here.
        known: i64,
    },
    /// The file is a database of another program.
    #[error(
        "`{}` is the database of another program: move the file away: then both sides are merged and nothing is deleted",
        Shown(path)
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file does not hold what was written to it.
    #[error(
        "`{}` is damaged ({what}): move the file away: then both sides are merged and nothing is deleted",
        Shown(path)
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Another process works on the pair.
    #[error("{} works on this pair: wait for it, or end it", holder(*pid))]
    HeldBy {
        /// The lock.
        path: PathBuf,
        /// The process; `None` if it has not said so yet.
        pid: Option<u32>,
    },
    /// Another process has been writing to the file for longer than this one waits.
    #[error("another process is writing to `{}`: try again when it is done", Shown(path))]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// No space is left for the file.
    #[error("no space is left for `{}`: free some, and run it again", Shown(path))]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// A moved folder has entries whose new paths nothing can hold.
    #[error(
        "`{}` cannot hold a path that a move made: it is longer than {} bytes",
        Shown(path),
        swarm_sync::limits::PATH_LEN_MAX
    )]
    PathTooLong {
        /// The file of the index.
        path: PathBuf,
    },
    /// The system refused an operation on the file.
    #[error("cannot {op} `{}`: {why}", Shown(path))]
    Disk {
        /// The file.
        path: PathBuf,
        /// The operation, as a verb.
        op: &'static str,
        /// The words of the system.
        why: String,
    },
}

impl IndexError {
    /// The category of the cause: it decides the exit code.
    pub fn category(&self) -> Category {
        match self {
            Self::Newer { .. } | Self::Foreign { .. } => Category::Usage,
            Self::Damaged { .. } => Category::Integrity,
            Self::HeldBy { .. } | Self::Busy { .. } => Category::Held,
            Self::Full { .. } | Self::PathTooLong { .. } | Self::Disk { .. } => Category::Disk,
        }
    }

    pub(crate) fn disk(path: &Path, op: &'static str, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::StorageFull {
            return Self::Full { path: path.into() };
        }
        Self::Disk { path: path.into(), op, why: error.to_string() }
    }
}

/// A failure before it is known which file it belongs to.
#[derive(Debug)]
pub(crate) enum Fault {
    Sqlite(rusqlite::Error),
    Damaged(&'static str),
    Newer(i64),
    Foreign,
    PathTooLong,
}

impl Fault {
    /// The same failure, with the file.
    pub(crate) fn at(self, path: &Path) -> IndexError {
        let path = path.to_owned();
        match self {
            Self::Sqlite(error) => of_sqlite(path, &error),
            Self::Damaged(what) => IndexError::Damaged { path, what: what.into() },
            Self::Newer(found) => IndexError::Newer { path, found, known: crate::schema::VERSION },
            Self::Foreign => IndexError::Foreign { path },
            Self::PathTooLong => IndexError::PathTooLong { path },
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// A column of another type than was written.
impl From<FromSqlError> for Fault {
    fn from(_: FromSqlError) -> Self {
        Self::Damaged("a value has another type than was written")
    }
}

/// Every statement is fixed and every value is ours, so whatever is not the system's fault is the file's.
fn of_sqlite(path: PathBuf, error: &rusqlite::Error) -> IndexError {
    let why = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
            IndexError::Busy { path }
        }
        Some(ErrorCode::DiskFull) => IndexError::Full { path },
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::OutOfMemory
            | ErrorCode::NoLargeFileSupport,
        ) => IndexError::Disk { path, op: "use", why },
        _ => IndexError::Damaged { path, what: why },
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
}
