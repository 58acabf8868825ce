//! Ways out that are words of the command line, by the closed cause of an error. They follow the library's message, which ends
//! with the fact or with a way that every product has.

use crate::coordinator::{BookError, CoordinatorError};
use crate::credentials::CredentialsError;
use crate::engine::RefusalCause;
use crate::manifest::ManifestError;
use crate::storage::{IndexError, StoreError};

/// For a folder that `swarm fetch` cannot fill.
pub(super) fn target(error: &StoreError) -> Option<&'static str> {
    match error {
        StoreError::TargetExists { .. } => Some(", or pass --overwrite"),
        StoreError::Unwanted { .. } => Some(": widen --include to fetch it"),
        StoreError::Disk { .. }
        | StoreError::NoInodes { .. }
        | StoreError::Changed { .. }
        | StoreError::NotVerified { .. }
        | StoreError::Range { .. }
        | StoreError::FolderInTheWay { .. }
        | StoreError::NotAFolder { .. }
        | StoreError::DanglingLink { .. }
        | StoreError::Integrity { .. }
        | StoreError::Sealed { .. }
        | StoreError::Cut { .. }
        | StoreError::Unsafe { .. }
        | StoreError::Displaced { .. }
        | StoreError::NotAFile { .. }
        | StoreError::Busy { .. }
        | StoreError::Unfinished { .. }
        | StoreError::SyncFailed { .. }
        | StoreError::ReadOnlyStore
        | StoreError::NotServed
        | StoreError::NotOneFile { .. } => None,
    }
}

/// For a node that refuses this one, or lacks the content.
pub(super) fn refusal(cause: RefusalCause) -> Option<&'static str> {
    match cause {
        RefusalCause::NotHere => Some(": ask for a newer ticket, or name another --peer"),
        RefusalCause::NotAuthorised => Some(": ask its operator to let this node's id read it"),
        RefusalCause::TurnedAway => {
            Some("; it goes by node ids (`swarm id` prints one) or by certificates, shown with --cert")
        }
        RefusalCause::DeniedHere => Some("; this node goes by its own --allow and --ca"),
        RefusalCause::Myself | RefusalCause::NoAddress | RefusalCause::WrongKey => None,
    }
}

/// For files that say who belongs.
pub(super) fn credentials(error: &CredentialsError) -> Option<&'static str> {
    match error {
        CredentialsError::NoAuthority | CredentialsError::ForeignList(_) => Some(" (--ca)"),
        CredentialsError::NotAnAuthority(_) => Some(", the ca.pem of `swarm cert ca`"),
        CredentialsError::Development(_) => Some(" by `swarm cert ca`, or add --dev"),
        CredentialsError::WrongNode { .. } => Some(": name the right --cert or --key"),
        CredentialsError::Io { .. }
        | CredentialsError::TooLong(_)
        | CredentialsError::NotPem { .. }
        | CredentialsError::Unusable { .. }
        | CredentialsError::Readable(_)
        | CredentialsError::Members { .. }
        | CredentialsError::Exists(_)
        | CredentialsError::NotIssued { .. } => None,
    }
}

/// For a coordinator that does not start.
pub(super) fn coordinator(error: &CoordinatorError) -> Option<&'static str> {
    match error {
        CoordinatorError::Book(BookError::InUse(_)) => Some(" (--state)"),
        CoordinatorError::Book(BookError::Folder { .. } | BookError::Database { .. })
        | CoordinatorError::Identity(_) => None,
    }
}

/// For files that make no content.
pub(super) fn index(error: &IndexError) -> Option<&'static str> {
    match error {
        IndexError::Manifest(ManifestError::TooManyChunks) => Some(" (`swarm manifest create --chunk-len`)"),
        IndexError::Manifest(_)
        | IndexError::Disk { .. }
        | IndexError::Symlink { .. }
        | IndexError::Special { .. }
        | IndexError::NoName { .. }
        | IndexError::SameName { .. }
        | IndexError::NotUtf8 { .. }
        | IndexError::Name { .. }
        | IndexError::Changed { .. }
        | IndexError::ChunkLen(_)
        | IndexError::Store(_) => None,
    }
}
