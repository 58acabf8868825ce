//! Locks on `.part` files, so that no other fetch takes a file for a leftover that a living one still writes to: two fetches of
//! overlapping folders have no journal in common. A lock lasts as long as its file is open, and dies with the process.

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

/// The locked files of one fetch. Beyond so many a lock lasts only as long as others have the file open.
#[derive(Debug, Default)]
pub(super) struct PartLocks(Mutex<BTreeMap<usize, Arc<File>>>);

impl PartLocks {
    /// Locks a file; an error if a living fetch has it. Where files cannot be locked (some network file systems) it goes on.
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

    /// The file has its final name, or is gone.
    pub(super) fn release(&self, index: FileIndex) {
        locked(&self.0).remove(&index.get());
    }

    /// Gives descriptors back where the system has none left; false if there were none. Identities are still checked.
    pub(super) fn release_all(&self) -> bool {
        !std::mem::take(&mut *locked(&self.0)).is_empty()
    }
}
