//! The replica itself: which of its parts does what.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};
use swarm_sync::{
    Blind, ContentSource, Done, Entry, FileContent, Found, KeptId, NameRules, Op, Replica, ReplicaError,
    RunId, StageJob, Staged, TreePath, Walk,
};

use super::digests::{Digest, Digests};
use super::incoming::Incoming;
use super::root::Root;
use super::source::FolderSource;
use super::turn::{self, FolderTurn};
use super::versions::KeptVersion;
use super::{apply, hashing, names, recover, stage, versions, walk};

/// Says whether the user excluded a path; told whether a folder stands there. An excluded folder is not entered.
pub type Ignore = Arc<dyn Fn(&TreePath, bool) -> bool + Send + Sync>;

/// How a folder is used.
#[derive(Clone)]
pub struct FolderOptions {
    /// Set to true by another thread, it ends what runs: effects and long reads return [`ReplicaError::Stopped`].
    pub stop: Arc<AtomicBool>,
    /// What the user excluded.
    pub ignore: Option<Ignore>,
    /// A folder outside the root for the values of long files' chunks: a new version is compared with them instead of with the old one.
    /// It may be removed at any time.
    pub chunk_values: Option<PathBuf>,
    /// Is told the SHA-256 and the chunk hashes of each content that is read whole, from the same pass over its bytes.
    pub digests: Option<Arc<dyn Digests>>,
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
    pub(super) root: Arc<Root>,
    pub(super) incoming: Incoming,
}

impl FolderReplica {
    /// Opens a folder. It is held open: its path must lead to it for as long as it is used.
    ///
    /// # Errors
    /// [`ReplicaError::Gone`] if it is missing or no folder.
    pub fn open(root: &Path, options: FolderOptions) -> Result<Self, ReplicaError> {
        Ok(Self { root: Root::open(root, options)?, incoming: Incoming::default() })
    }

    /// A replica in a folder that a test opened.
    #[cfg(test)]
    pub(crate) fn over(dir: crate::dir::Dir, options: FolderOptions) -> Result<Self, ReplicaError> {
        Ok(Self { root: Root::over(dir, options)?, incoming: Incoming::default() })
    }

    /// Which folder it is, for a comparison with last time.
    pub fn identity(&self) -> RootIdentity {
        self.root.identity()
    }

    /// The versions that runs displaced at `place` and below, or everywhere; by run, then path.
    pub fn kept(&self, place: Option<&TreePath>) -> Result<Vec<KeptVersion>, ReplicaError> {
        versions::list_kept(&self.root, place)
    }

    /// The right to change the folder, which another process may have by way of another pair; waits for it, and calls `waiting` first. Copies
    /// that a process left there which is dead are removed.
    pub fn take_turn(&self, waiting: &dyn Fn()) -> Result<FolderTurn, ReplicaError> {
        let turn = turn::take(&self.root, waiting)?;
        recover::recover(&self.root, &self.incoming)?;
        Ok(turn)
    }

    /// Reads a file once more for what proves its content. Of a copy that was staged only the BLAKE3 is known.
    ///
    /// # Errors
    /// [`ReplicaError::Changed`] if no file stands there, or it changes while it is read.
    pub fn digest_of(&self, path: &TreePath) -> Result<(FileContent, Digest), ReplicaError> {
        hashing::digest_of(&self.root, path)
    }

    /// Removes kept versions for good. One that is not there is no error.
    pub fn remove_kept(&self, ids: &[KeptId]) -> Result<(), ReplicaError> {
        self.root.check()?;
        versions::remove_kept(&self.root, ids)
    }
}

/// A run that was stopped leaves what it staged. Copies are removed by the next recovery; what was taken goes back.
impl Drop for FolderReplica {
    fn drop(&mut self) {
        self.incoming.return_taken(&self.root);
    }
}

impl Replica for FolderReplica {
    fn names(&self) -> NameRules {
        names::rules(&self.root)
    }

    fn keeps_executable(&self) -> bool {
        !self.root.file_system.is_of_windows
    }

    fn recover(&self) -> Result<(), ReplicaError> {
        // If another process is at work here, what stands beside the tree is its.
        match turn::try_take(&self.root)? {
            Some(_turn) => recover::recover(&self.root, &self.incoming),
            None => Ok(()),
        }
    }

    fn walk(&self, place: Option<&TreePath>) -> Result<Walk, ReplicaError> {
        walk::walk(&self.root, place)
    }

    fn hash(&self, files: Vec<Found>) -> Vec<Result<(TreePath, Entry), Blind>> {
        hashing::hash_all(&self.root, files)
    }

    fn source(&self, path: &TreePath, expected: &Entry) -> Box<dyn ContentSource> {
        let place = PathBuf::from(path.as_str());
        Box::new(FolderSource::new(&self.root, place, path.clone(), Some(expected.clone())))
    }

    fn kept_source(&self, kept: &KeptId) -> Box<dyn ContentSource> {
        Box::new(FolderSource::new(&self.root, versions::place(kept), kept.path.clone(), None))
    }

    fn stage(
        &self,
        jobs: Vec<StageJob>,
        carried: &(dyn Fn(u64) + Sync),
    ) -> Vec<Result<Staged, ReplicaError>> {
        stage::stage_all(&self.root, &self.incoming, jobs, carried)
    }

    fn settle_staged(&self) -> Result<(), ReplicaError> {
        self.root.check()?;
        self.incoming.sync(&self.root)
    }

    fn settle(&self) -> Result<(), ReplicaError> {
        self.incoming.settle(&self.root)
    }

    fn perform(&self, run: RunId, ops: Vec<(Op, Option<Staged>)>) -> Vec<Result<Done, ReplicaError>> {
        apply::perform_all(&self.root, &self.incoming, run, ops)
    }
}
