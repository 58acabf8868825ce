//! How a command fails: a message of one line, and an exit code from the documented list.

use std::fmt::Display;
use std::process::ExitCode;

use crate::coordinator::{BookError, CoordinatorError};
use crate::credentials::CredentialsError;
use crate::engine::{Bottleneck, FetchFailure};
use crate::service::client::ClientError;
use crate::service::{ConfigError, ControlError, ServiceError};
use crate::storage::{ErrorKind, IndexError, StoreError};
use crate::transport::{BindError, IdentityError};

/// The exit codes, as documented in `swarm --help` and docs/reference/exit-codes.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Done = 0,
    Other = 1,
    Usage = 2,
    NoSource = 3,
    TargetDiffers = 4,
    Integrity = 5,
    Disk = 6,
    NotAuthorised = 7,
    NoNode = 8,
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ends without success.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    pub(super) error: anyhow::Error,
    /// It was shown already, or goes to a reader of JSON.
    pub(super) is_shown: bool,
}

impl Failure {
    /// A failure with a message.
    pub(super) fn new(exit: Exit, message: impl Display) -> Self {
        Self { exit, error: anyhow::anyhow!("{message}"), is_shown: false }
    }

    /// Refuses a path of the command line at which there is nothing.
    pub(super) fn unless_there(path: &std::path::Path) -> Result<(), Self> {
        match path.symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Self::new(
                Exit::Usage,
                format_args!("there is nothing at `{}`: check the path", path.display()),
            )),
            _ => Ok(()),
        }
    }

    /// A file that cannot be read or written.
    pub(super) fn file(op: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let exit = match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::IsADirectory => Exit::Usage,
            _ => Exit::Disk,
        };
        Self::new(exit, format_args!("cannot {op} `{}`: {error}", path.display()))
    }
}

impl From<CoordinatorError> for Failure {
    fn from(error: CoordinatorError) -> Self {
        match error {
            CoordinatorError::Identity(error) => error.into(),
            CoordinatorError::Book(error) => {
                let exit = match error {
                    BookError::Folder { .. } | BookError::Database { .. } => Exit::Disk,
                    BookError::InUse(_) => Exit::Other,
                };
                Self::new(exit, error)
            }
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match (&error, error.kind()) {
            (
                StoreError::TargetExists { .. }
                | StoreError::Unsafe { .. }
                | StoreError::Displaced { .. }
                | StoreError::NotAFile { .. },
                _,
            ) => Exit::TargetDiffers,
            (
                _,
                ErrorKind::Full
                | ErrorKind::ReadOnly
                | ErrorKind::Permission
                | ErrorKind::Missing
                | ErrorKind::Disk,
            ) => Exit::Disk,
            (_, ErrorKind::Changed) => Exit::Integrity,
            (_, ErrorKind::InTheWay) => Exit::Usage,
            (_, ErrorKind::Busy | ErrorKind::Misuse) => Exit::Other,
        };
        Self { exit, error: error.into(), is_shown: false }
    }
}

impl From<IndexError> for Failure {
    fn from(error: IndexError) -> Self {
        let error = match error {
            IndexError::Store(error) => return error.into(),
            other => other,
        };
        let exit = match &error {
            IndexError::Disk { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Exit::Usage,
            IndexError::Disk { .. } => Exit::Disk,
            IndexError::Changed { .. } => Exit::Integrity,
            IndexError::Store(_)
            | IndexError::Symlink { .. }
            | IndexError::Special { .. }
            | IndexError::NoName { .. }
            | IndexError::SameName { .. }
            | IndexError::NotUtf8 { .. }
            | IndexError::Name { .. }
            | IndexError::ChunkLen(_)
            | IndexError::Manifest(_) => Exit::Usage,
        };
        Self { exit, error: error.into(), is_shown: false }
    }
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Self {
        let exit = if matches!(error, IdentityError::Io { .. }) { Exit::Disk } else { Exit::Other };
        Self { exit, error: error.into(), is_shown: false }
    }
}

impl From<CredentialsError> for Failure {
    fn from(error: CredentialsError) -> Self {
        let exit = match &error {
            CredentialsError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Exit::Usage
            }
            CredentialsError::Io { .. } => Exit::Disk,
            CredentialsError::Exists(_) => Exit::TargetDiffers,
            CredentialsError::TooLong(_)
            | CredentialsError::NotPem { .. }
            | CredentialsError::Unusable { .. }
            | CredentialsError::ForeignList(_)
            | CredentialsError::Development(_)
            | CredentialsError::Readable(_)
            | CredentialsError::Members { .. }
            | CredentialsError::WrongNode { .. }
            | CredentialsError::NotIssued { .. }
            | CredentialsError::Usage(_) => Exit::Usage,
        };
        Self { exit, error: error.into(), is_shown: false }
    }
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        Self { exit: Exit::Other, error: error.into(), is_shown: false }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self { exit: Exit::Usage, error: error.into(), is_shown: false }
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        let exit = match error {
            ControlError::InUse(_) => Exit::Other,
            ControlError::InTheWay(_) => Exit::TargetDiffers,
            ControlError::TooLong(_) => Exit::Usage,
            ControlError::Io { .. } => Exit::Disk,
        };
        Self { exit, error: error.into(), is_shown: false }
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        let exit = match error {
            ServiceError::Saved(_) => Exit::Disk,
            ServiceError::Metrics { .. } => Exit::Other,
            ServiceError::Store(error) => return error.into(),
            ServiceError::Coordinator(error) => return error.into(),
            ServiceError::Trust(error) => return error.into(),
        };
        Self { exit, error: error.into(), is_shown: false }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match error {
            ClientError::NoNode(_) => Exit::NoNode,
            ClientError::NotAllowed(_) => Exit::NotAuthorised,
            ClientError::Broken { .. } | ClientError::Malformed { .. } => Exit::Other,
        };
        Self { exit, error: error.into(), is_shown: false }
    }
}

/// A fetch that the engine gave up.
pub(super) fn of_fetch(
    failure: &FetchFailure,
    store_error: Option<StoreError>,
    describe: impl FnOnce(&Bottleneck) -> String,
) -> Failure {
    match (failure, store_error) {
        (_, Some(error)) => error.into(),
        (FetchFailure::Store, None) => {
            Failure::new(Exit::Disk, "the store failed; run the same command again")
        }
        (FetchFailure::Refused(reason), None) if reason.contains("does not have this content") => {
            Failure::new(
                Exit::NoSource,
                format_args!("{reason}: ask for a newer ticket, or name another --peer"),
            )
        }
        (FetchFailure::Refused(reason), None) => Failure::new(Exit::NotAuthorised, reason),
        (FetchFailure::Manifest(reason), None) => Failure::new(Exit::Usage, reason),
        (FetchFailure::NoSource(bottleneck), None) => {
            let why = match describe(bottleneck) {
                why if why.is_empty() => why,
                why => format!(": {why}"),
            };
            let message = format!("no source made progress{why}; run the same command again to go on");
            Failure::new(Exit::NoSource, message)
        }
    }
}
