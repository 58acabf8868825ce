//! The replica itself: which of its parts does what.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};
use swarm_sync::{Blind, Entry, Found, NameRules, ReplicaError, TreePath, Walk};

use super::root::Root;
use super::{hashing, names, walk};

/// Says whether the user excluded a path; told whether a folder stands there. An excluded folder is not entered.
pub type Ignore = Arc<dyn Fn(&TreePath, bool) -> bool + Send + Sync>;

/// How a folder is used.
#[derive(Clone)]
pub struct FolderOptions {
    /// Set to true by another thread, it ends what runs: effects and long reads return [`ReplicaError::Stopped`].
    pub stop: Arc<AtomicBool>,
    /// What the user excluded.
    pub ignore: Option<Ignore>,
}

/// Tells whether a root is the one of last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootIdentity {
    /// The device; its number may be another one after a restart.
    pub device: u64,
    /// The number of the folder on its file system.
    pub inode: u64,
    /// The file system as it names itself; zero where it does not.
    pub file_system: u64,
}

/// A folder as a replica.
pub struct FolderReplica {
    root: Arc<Root>,
}

impl FolderReplica {
    /// Opens a folder. It is held open: its path must lead to it for as long as it is used.
    ///
    /// # Errors
    /// [`ReplicaError::Gone`] if it is missing or no folder.
    pub fn open(root: &Path, options: FolderOptions) -> Result<Self, ReplicaError> {
        Ok(Self { root: Root::open(root, options)? })
    }

    /// A replica in a folder that a test opened.
    #[cfg(test)]
    pub(crate) fn over(dir: crate::dir::Dir, options: FolderOptions) -> Result<Self, ReplicaError> {
        Ok(Self { root: Root::over(dir, options)? })
    }

    /// Which names the folder's file system can hold.
    pub fn names(&self) -> NameRules {
        names::rules(&self.root)
    }

    /// What stands at `place` and below it, or below the root, in path order.
    pub fn walk(&mut self, place: Option<&TreePath>) -> Result<Walk, ReplicaError> {
        walk::walk(&self.root, place)
    }

    /// Reads and hashes files that a walk found. Each result stands for the file at the same index.
    pub fn hash(&mut self, files: Vec<Found>) -> Vec<Result<(TreePath, Entry), Blind>> {
        hashing::hash_all(&self.root, files)
    }

    /// Which folder it is, for a comparison with last time.
    pub fn identity(&self) -> RootIdentity {
        self.root.identity()
    }
}
