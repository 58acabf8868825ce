//! Whiteouts of a library, in its index, and what they and the sync target hide. The whiteouts are in memory: they are asked for at each entry
//! of a walk.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use swarm_index::{IndexError, LibraryBook};
use swarm_mounts::Whiteouts;
use swarm_sync::{Entry, ReplicaError, TreePath};

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

    fn book(&self) -> MutexGuard<'_, LibraryBook> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, paths: &[TreePath], is_there: bool) -> Result<(), ReplicaError> {
        self.book().set_whiteouts(paths, is_there).map_err(gone)?;
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

    fn within(&self, place: Option<&TreePath>) -> Result<Vec<TreePath>, ReplicaError> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = place else { return Ok(all.iter().cloned().collect()) };
        // In path order, what is below a path follows it at once.
        let from_place = all.range(place.clone()..);
        Ok(from_place.take_while(|path| path.is_at_or_below(place)).cloned().collect())
    }

    fn remember(&self, hidden: &[(TreePath, Entry)]) -> Result<(), ReplicaError> {
        self.book().put_hidden(hidden).map_err(gone)
    }

    fn forget(&self, paths: &[TreePath]) -> Result<(), ReplicaError> {
        self.book().forget_hidden(paths).map_err(gone)
    }

    fn hidden(&self, place: Option<&TreePath>) -> Result<Vec<(TreePath, Entry)>, ReplicaError> {
        self.book().hidden(place).map_err(gone)
    }

    fn is_remembered(&self, path: &TreePath) -> Result<bool, ReplicaError> {
        self.book().is_hidden_known(path).map_err(gone)
    }
}

/// What cannot be remembered is not to be hidden.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn gone(error: IndexError) -> ReplicaError {
    ReplicaError::Gone(error.to_string())
}
