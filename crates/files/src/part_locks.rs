//! Locks on `.part` files, so that no other fetch takes a file that a running one still writes for a leftover: two fetches of
//! overlapping folders have no common journal. A lock lasts as long as its file is open, and ends with the process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustix::io::Errno;

use super::file::File;
use super::holder::holder_of;
use super::{StoreError, locked};
use crate::limits::PARTS_LOCKED_MAX;
use swarm_core::base::Shown;
use swarm_core::manifest::FileIndex;

/// The locked files of one fetch. Above [`PARTS_LOCKED_MAX`](super::limits::PARTS_LOCKED_MAX) a lock lasts only while the file is open for other uses.
#[derive(Debug, Default)]
pub(super) struct PartLocks(Mutex<BTreeMap<usize, Arc<File>>>);

impl PartLocks {
    /// Locks a file; an error if a running fetch holds it. Where files cannot be locked (some network file systems) the fetch goes on.
    pub(super) fn take(&self, index: FileIndex, path: &Path, file: Arc<File>) -> Result<(), StoreError> {
        match file.lock() {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(StoreError::Busy { path: path.to_owned(), holder: holder_of(&file) });
            }
            Err(errno) => tracing::debug!(path = %Shown(&path), %errno, "a file cannot be locked here"),
        }
        let mut held = locked(&self.0);
        if held.len() < PARTS_LOCKED_MAX {
            held.insert(index.get(), file);
        }
        Ok(())
    }

    /// Whether the file is locked and kept open here.
    pub(super) fn has(&self, index: FileIndex) -> bool {
        locked(&self.0).contains_key(&index.get())
    }

    /// Releases the lock of a file that has its final name, or is gone.
    pub(super) fn release(&self, index: FileIndex) {
        locked(&self.0).remove(&index.get());
    }

    /// Closes all files to free descriptors; false if there were none. The identity check of each file still protects it.
    pub(super) fn release_all(&self) -> bool {
        !std::mem::take(&mut *locked(&self.0)).is_empty()
    }
}
