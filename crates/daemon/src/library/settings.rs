//! What the files of the daemon say about one library, as its worker goes by it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use swarm_core::base::NodeId;
use swarm_daemon_files::{Limits, OriginUrl};
use swarm_library::{Guid, Policy};
use swarm_mounts::{MountKind, MountSpec};
use swarm_sync::{Retention, Strategy, TreePath};

/// What is said about a library. A change takes effect at the next pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LibrarySettings {
    pub(crate) name: String,
    pub(crate) guid: Guid,
    pub(crate) mounts: Vec<MountSpec>,
    /// The folder that becomes the sync target when files arrive and there is none.
    pub(crate) default_target: PathBuf,
    /// `None` for the strictest that trusted peers tell.
    pub(crate) policy: Option<Policy>,
    pub(crate) strategy: Strategy,
    pub(crate) includes: Vec<String>,
    pub(crate) excludes: Vec<String>,
    /// Of all authors that count, this one's versions alone are taken, beside those of this node.
    pub(crate) version_of: Option<NodeId>,
    /// Commits and contents come from these peers alone; `None` for all.
    pub(crate) from: Option<BTreeSet<NodeId>>,
    /// The same of origins.
    pub(crate) from_origins: Option<BTreeSet<OriginUrl>>,
    /// This node carries and serves it, and has no view of it.
    pub(crate) is_mirror: bool,
    /// Where the files of a mirror are.
    pub(crate) mirror_folder: PathBuf,
    /// Bytes that stay free on its disk.
    pub(crate) mirror_min_free: u64,
    /// Names and contents are sealed. A library of others is sealed too if they say so.
    pub(crate) is_sealed: bool,
    /// It is a library of others: whether it is sealed has to be heard before anything is signed.
    pub(crate) is_followed: bool,
    pub(crate) is_paused: bool,
    pub(crate) priority: i8,
    /// Rates of its contents.
    pub(crate) limits: Limits,
    /// Days after which all its files are read again; zero if they are not.
    pub(crate) scrub_days: u32,
    pub(crate) retention: Retention,
}

impl LibrarySettings {
    /// The libpath of a file as a path; `None` for the root.
    pub(crate) fn libpath(text: &str) -> Option<TreePath> {
        TreePath::new(text.trim_matches('/')).ok()
    }

    /// Whether a folder takes what others change.
    pub(crate) fn has_target(&self) -> bool {
        self.mounts.iter().any(|mount| mount.kind == MountKind::SyncTarget)
    }
}
