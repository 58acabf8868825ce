//! Ways out that are words of the command line, by the closed cause of an error. They follow the library's message, which ends
//! with the fact or with a way that every product has.

use swarm_coordinator::{BookError, CoordinatorError};
use swarm_core::manifest::ManifestError;
use swarm_credentials::CredentialsError;
use swarm_engine::RefusalCause;
use swarm_files::{IndexError, SkippedWhy, StoreError};
use swarm_host::client::ClientError;

/// For a folder that `swarm fetch` cannot fill.
pub(super) fn target(error: &StoreError) -> Option<&'static str> {
    match error {
        StoreError::TargetExists { .. } => Some(", or pass --overwrite"),
        StoreError::Unwanted { .. } => Some(": widen --include to fetch it"),
        StoreError::Disk { .. }
        | StoreError::Away { .. }
        | StoreError::PlaceAway { .. }
        | StoreError::Replaced { .. }
        | StoreError::Damaged { .. }
        | StoreError::Stopped { .. }
        | StoreError::FileLimit { .. }
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
        | CredentialsError::Exposed { .. }
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
        IndexError::Unusable(_) => Some(" with --skip-unportable"),
        IndexError::Manifest(_)
        | IndexError::Disk { .. }
        | IndexError::Symlink { .. }
        | IndexError::Special { .. }
        | IndexError::NoLength { .. }
        | IndexError::NoName { .. }
        | IndexError::SameName { .. }
        | IndexError::Changed { .. }
        | IndexError::ChunkLen(_)
        | IndexError::Store(_) => None,
    }
}

/// For an entry that is left out.
pub(super) fn skipped(why: &SkippedWhy) -> Option<&'static str> {
    match why {
        SkippedWhy::Unfinished => Some(" (fetch with --keep-seeding)"),
        SkippedWhy::Symlink
        | SkippedWhy::Special
        | SkippedWhy::NoLength
        | SkippedWhy::LeftOut
        | SkippedWhy::NotUtf8
        | SkippedWhy::Name(_)
        | SkippedWhy::SameName(_) => None,
    }
}

/// For a node that does not answer.
pub(super) fn client(error: &ClientError) -> Option<&'static str> {
    match error {
        ClientError::NoNode(_) => Some(": start one with swarm node, or name its socket by --control"),
        ClientError::NotAllowed(_) | ClientError::Broken { .. } | ClientError::Malformed { .. } => None,
    }
}
