//! Whiteouts of a library, in its index. All are in memory: they are asked for at each entry of a walk.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError, RwLock};

use swarm_index::{IndexError, LibraryBook};
use swarm_mounts::Whiteouts;
use swarm_sync::{ReplicaError, TreePath};

/// Whiteouts that survive a restart.
pub(crate) struct StoredWhiteouts {
    book: Mutex<LibraryBook>,
    all: RwLock<BTreeSet<TreePath>>,
}

impl StoredWhiteouts {
    pub(crate) fn open(book: LibraryBook) -> Result<Self, IndexError> {
        let all = book.whiteouts()?.into_iter().collect();
        Ok(Self { book: Mutex::new(book), all: RwLock::new(all) })
    }

    fn change(&self, paths: &[TreePath], is_there: bool) -> Result<(), ReplicaError> {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.set_whiteouts(paths, is_there).map_err(|error| ReplicaError::Gone(error.to_string()))?;
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        for path in paths {
            if is_there {
                all.insert(path.clone());
            } else {
                all.remove(path);
            }
        }
        Ok(())
    }
}

impl Whiteouts for StoredWhiteouts {
    fn contains(&self, path: &TreePath) -> bool {
        self.all.read().unwrap_or_else(PoisonError::into_inner).contains(path)
    }

    fn insert(&self, paths: &[TreePath]) -> Result<(), ReplicaError> {
        self.change(paths, true)
    }

    fn remove(&self, paths: &[TreePath]) -> Result<(), ReplicaError> {
        self.change(paths, false)
    }

    fn all(&self) -> Result<Vec<TreePath>, ReplicaError> {
        Ok(self.all.read().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect())
    }
}
