//! A replica: one side of a pair, as a run uses it. A folder on a disk is one, and so is the simulator's; a library and remote
//! stores come later.
//!
//! What every replica promises: `perform` looks at what stands there immediately before it changes anything, and refuses if that is not
//! what the operation expects; what it displaces becomes a kept version; nothing appears under its name before all of its bytes are there;
//! what was performed before a `settle` survives a power cut after it. Contents may be staged while operations are performed.

use std::any::Any;

use swarm_core::base::Category;

use crate::limits::{NAME_LEN_MAX, PATH_LEN_MAX};
use crate::{Entry, FileContent, KeptId, NameRules, Op, PathFault, RunId, Stamp, TreePath};

/// One side of a pair. Blocking.
pub trait Replica: Sync {
    /// Which names it can hold.
    fn names(&self) -> NameRules;

    /// Whether it keeps executable bits. Where it does not, what it says of them counts for nothing.
    fn keeps_executable(&self) -> bool {
        true
    }

    /// Puts in order what an interrupted run left: unfinished copies go, entries under a temporary name return to their place.
    fn recover(&self) -> Result<(), ReplicaError>;

    /// What stands at `place` and below it, or below the root, in path order. The root itself is not among it.
    fn walk(&self, place: Option<&TreePath>) -> Result<Walk, ReplicaError>;

    /// Reads and hashes files that a walk found. Each result stands for the file at the same index.
    fn hash(&self, files: Vec<Found>) -> Vec<Result<(TreePath, Entry), Blind>>;

    /// The bytes of a file that was observed. Opened when it is read first; reading fails if another file stands there by then.
    fn source(&self, path: &TreePath, expected: &Entry) -> Box<dyn ContentSource>;

    /// The bytes of a kept version.
    fn kept_source(&self, kept: &KeptId) -> Box<dyn ContentSource>;

    /// Copies contents to this side, beside the tree, and proves each by its hash. `carried` is told of bytes as they come.
    fn stage(&self, jobs: Vec<StageJob>, carried: &(dyn Fn(u64) + Sync))
    -> Vec<Result<Staged, ReplicaError>>;

    /// Makes durable what was staged before. It may be called while other contents are staged.
    fn settle_staged(&self) -> Result<(), ReplicaError>;

    /// Makes all that stands on this side durable: what was staged and performed before, and what users wrote. It may be called while other contents
    /// are staged.
    fn settle(&self) -> Result<(), ReplicaError>;

    /// Performs operations in their order; a refused one does not keep the others from being tried. Each has what was staged for it,
    /// if it puts a file. Stops early only at an error that [`ReplicaError::ends_run`]; the rest has that error too.
    fn perform(&self, run: RunId, ops: Vec<(Op, Option<Staged>)>) -> Vec<Result<Done, ReplicaError>>;
}

/// What a walk gives.
pub type Walk = Box<dyn Iterator<Item = Result<Seen, ReplicaError>> + Send>;

/// One step of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// An entry.
    Entry(Found),
    /// A place that nothing can be said of: nothing is planned there or below.
    Blind(Blind),
    /// An entry that is no part of the tree, because its path is none: shown to the user, and left alone.
    Unnamed {
        /// Its path, escaped.
        shown: String,
        /// What is wrong with it.
        why: UnnamedWhy,
    },
}

/// Why the path of an entry is none in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnnamedWhy {
    /// The name is no text.
    #[error("its name is not UTF-8: rename it")]
    NotUtf8,
    /// The name is longer than all systems allow.
    #[error("its name is longer than {NAME_LEN_MAX} bytes: give it a shorter one")]
    LongName,
    /// The path below the root is longer than all systems allow.
    #[error("its path is longer than {PATH_LEN_MAX} bytes: give it, or the folders above it, shorter names")]
    LongPath,
}

/// A disk has no other faulty names than too long ones.
impl From<PathFault> for UnnamedWhy {
    fn from(fault: PathFault) -> Self {
        match fault {
            PathFault::NameTooLong => Self::LongName,
            PathFault::TooLong | PathFault::Empty | PathFault::Component | PathFault::Nul => Self::LongPath,
        }
    }
}

/// An entry as a walk finds it: nothing was read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it stands.
    pub path: TreePath,
    /// What it is.
    pub kind: FoundKind,
    /// Nanoseconds since 1970.
    pub modified_ns: i64,
    /// As the disk tells it.
    pub stamp: Stamp,
}

/// What a walk tells of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundKind {
    /// A folder.
    Folder,
    /// A regular file.
    File {
        /// In bytes.
        len: u64,
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A symbolic link.
    Symlink {
        /// What it says.
        target: Box<str>,
    },
}

/// A place at which a run is blind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blind {
    /// The place.
    pub path: TreePath,
    /// The reason.
    pub why: BlindWhy,
}

/// Why nothing can be said of a place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlindWhy {
    /// The system does not let this process read it.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// It was written to while it was read. The next run looks again.
    #[error("it changed while it was read")]
    Changing,
    /// A device, socket or pipe.
    #[error("it is not a file, folder or symbolic link")]
    Special,
    /// Another file system is mounted there.
    #[error("another file system is mounted there")]
    Mount,
    /// A link whose target is not UTF-8, or too long.
    #[error("it is a symbolic link whose target is not UTF-8")]
    LinkTarget,
}

/// Bytes to copy.
pub trait ContentSource: Send {
    /// Reads from `offset` on; zero at the end only. Fails with [`ReplicaError::Changed`] if it is not the expected file.
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, ReplicaError>;

    /// What the bytes are read from, for a replica that knows a shorter way than reading: two folders on one machine.
    fn as_any(&mut self) -> &mut dyn Any;
}

/// One content to stage.
pub struct StageJob {
    /// Where it will stand.
    pub path: TreePath,
    /// What stands there now, as it was observed: parts of it may be used again.
    pub standing: Option<Entry>,
    /// What the bytes have to be.
    pub content: FileContent,
    /// The time of change to give the file, nanoseconds since 1970.
    pub modified_ns: i64,
    /// Where the bytes come from.
    pub source: Box<dyn ContentSource>,
}

/// A content that stands beside the tree. Only the replica that gave the number knows what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Staged(pub u64);

/// What an operation left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// What stands at the path of the operation now.
    pub now: Option<Entry>,
    /// The version that was displaced, if there was one.
    pub kept: Option<KeptId>,
}

/// Why a replica did not do something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplicaError {
    /// Another entry stands there than was observed. The next run looks again.
    #[error("`{path}` changed meanwhile")]
    Changed {
        /// The place.
        path: TreePath,
    },
    /// A right is missing.
    #[error("cannot {op} `{path}`: permission denied")]
    Denied {
        /// The place.
        path: TreePath,
        /// The operation, as a verb.
        op: &'static str,
    },
    /// No space is left, or no room for further files.
    #[error("no space is left for `{path}`")]
    Full {
        /// The place.
        path: TreePath,
    },
    /// The file system cannot hold the name.
    #[error("the file system cannot hold the name of `{path}`")]
    Name {
        /// The place.
        path: TreePath,
    },
    /// A folder that is to go holds entries that the plan does not know.
    #[error("`{path}` stays: what it holds is left out of sync, or new")]
    NotEmpty {
        /// The folder.
        path: TreePath,
    },
    /// The bytes are not what they were said to be.
    #[error("`{path}` failed verification: its bytes are not what they were when it was looked at")]
    Integrity {
        /// The place.
        path: TreePath,
    },
    /// Only read-only folders have a place for it. The run goes on: the next one may find a folder that can be written.
    #[error("no folder of this side may be written for `{path}`: name a sync target")]
    NoTarget {
        /// The place.
        path: TreePath,
    },
    /// Any other error of the system.
    #[error("cannot {op} `{path}`: {why}")]
    Io {
        /// The place, escaped.
        path: String,
        /// The operation, as a verb.
        op: &'static str,
        /// The system's words.
        why: String,
    },
    /// The whole replica is away: its root is missing or another one, or its disk is unmounted.
    #[error("{0}")]
    Gone(String),
    /// The whole side cannot be written.
    #[error("the file system is read-only")]
    ReadOnly,
    /// The run was told to stop.
    #[error("the run was stopped")]
    Stopped,
}

impl ReplicaError {
    /// The category of the cause: it decides the exit code.
    pub fn category(&self) -> Category {
        match self {
            Self::Changed { .. } | Self::Name { .. } | Self::NotEmpty { .. } | Self::NoTarget { .. } => {
                Category::Partial
            }
            Self::Integrity { .. } => Category::Integrity,
            Self::Denied { .. } | Self::Full { .. } | Self::Io { .. } | Self::ReadOnly => Category::Disk,
            Self::Gone(_) => Category::Usage,
            Self::Stopped => Category::Interrupted,
        }
    }

    /// Whether nothing more can be done on this side in this run.
    pub fn ends_run(&self) -> bool {
        match self {
            Self::Gone(_) | Self::Stopped | Self::ReadOnly => true,
            Self::Changed { .. }
            | Self::Denied { .. }
            | Self::Full { .. }
            | Self::Name { .. }
            | Self::NotEmpty { .. }
            | Self::Integrity { .. }
            | Self::NoTarget { .. }
            | Self::Io { .. } => false,
        }
    }
}
