//! What is wrong with a file, told in one line: file, line, key, what was expected. Invariant: a message has no line break and
//! no password.

use std::fmt;
use std::path::PathBuf;

use swarm_core::base::Shown;

use crate::FileName;
use crate::limits::MESSAGE_LEN_MAX;
use crate::read::shortened_to;

/// Where something stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// In which file.
    pub file: FileName,
    /// From 1; `None` if it is about the file as a whole.
    pub line: Option<u32>,
    /// As in `[0].trusted`; empty for the document itself.
    pub key: String,
}

/// A file that cannot be used as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct FileError {
    /// Where.
    pub place: Place,
    /// What is wrong, and what is expected.
    pub message: String,
}

/// Something in a file that has no effect, or another one than somebody may believe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where.
    pub place: Place,
    /// What to know.
    pub message: String,
}

/// A folder that no daemon can start with.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or a file in it cannot be made, read or given its mode.
    #[error("cannot {what} {}: {source}", Shown(path))]
    Io {
        /// A verb.
        what: &'static str,
        /// Of which file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Some files are not valid: all of them, each with one mistake.
    #[error("{}", lines(.0))]
    Files(Vec<FileError>),
}

/// An edit that was not made. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The file on disk is not valid: a rewrite could lose what somebody is writing.
    #[error("{0}; correct that first, then try again")]
    Invalid(FileError),
    /// The file would not be valid with it.
    #[error("not written, because then {0}")]
    Refused(FileError),
    /// There is no such entry.
    #[error("{file} has no {what}")]
    Missing {
        /// Which file.
        file: FileName,
        /// As in `user "anna"`.
        what: String,
    },
    /// There is such an entry.
    #[error("{file} has {what} already")]
    Exists {
        /// Which file.
        file: FileName,
        /// As in `user "anna"`.
        what: String,
    },
    /// Other programs write the file all the time.
    #[error("{0} was changed by another program during each attempt: try again")]
    Busy(FileName),
    /// The file could not be read or written.
    #[error("cannot {what} {}: {source}", Shown(path))]
    Io {
        /// A verb.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl FileError {
    pub(crate) fn new(place: Place, message: &str) -> Self {
        Self { place, message: shortened_to(message, MESSAGE_LEN_MAX) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(line) = self.line {
            write!(f, " line {line}")?;
        }
        if self.key.is_empty() { Ok(()) } else { write!(f, ": {}", Shown(&self.key)) }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, Shown(&self.message))
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, Shown(&self.message))
    }
}

fn lines(errors: &[FileError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
