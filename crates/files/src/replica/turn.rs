//! Who changes a folder: one process at a time, whichever pairs the folder is in. Invariant: what stands beside the tree belongs to who has
//! the turn, and to nobody if nobody has it.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use swarm_core::base::Shown;
use swarm_sync::ReplicaError;

use super::fault::words;
use super::incoming::INCOMING;
use super::root::Root;

/// The right to change a folder, until it is dropped. The system takes it away from a process that ends.
#[derive(Debug)]
pub struct FolderTurn {
    /// Nothing on file systems that have no locks.
    _folder: Option<OwnedFd>,
}

/// Takes the turn, or waits for it.
pub(super) fn take(root: &Root, waiting: &dyn Fn()) -> Result<FolderTurn, ReplicaError> {
    let folder = Path::new(INCOMING);
    if root.dir.make_directory(folder).is_err() {
        // A disk that is full or read-only: each operation tells so by itself.
        return Ok(FolderTurn { _folder: None });
    }
    if let Some(turn) = try_take(root)? {
        return Ok(turn);
    }
    waiting();
    loop {
        root.check_stop()?;
        std::thread::sleep(PAUSE);
        if let Some(turn) = try_take(root)? {
            return Ok(turn);
        }
    }
}

/// Takes the turn, unless another process has it.
pub(super) fn try_take(root: &Root) -> Result<Option<FolderTurn>, ReplicaError> {
    let folder = match root.dir.open_folder(Path::new(INCOMING)) {
        Ok(folder) => folder,
        // Nothing stands beside the tree then.
        Err(Errno::NOENT) => return Ok(Some(FolderTurn { _folder: None })),
        Err(errno) => return Err(failed(root, &words(errno))),
    };
    match rustix::io::retry_on_intr(|| rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) => Ok(Some(FolderTurn { _folder: Some(folder) })),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(_) => Ok(Some(FolderTurn { _folder: None })),
    }
}

fn failed(root: &Root, why: &str) -> ReplicaError {
    ReplicaError::Io {
        path: Shown(&root.dir.path().join(INCOMING)).to_string(),
        op: "use",
        why: why.to_owned(),
    }
}

const PAUSE: Duration = Duration::from_millis(50);
