//! Folders that are held open below another one, by their paths. Invariant: each is the folder that stood at its path when it was put here;
//! what stands there since is another matter.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// A few folders: they are searched one after the other.
#[derive(Debug, Default)]
pub(crate) struct HeldFolders(RwLock<Vec<(PathBuf, Arc<OwnedFd>)>>);

impl HeldFolders {
    /// Holds a folder, in place of the one that was held at this path.
    pub(crate) fn put(&self, path: &Path, folder: OwnedFd) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(held, _)| held != path);
        all.push((path.to_owned(), Arc::new(folder)));
    }

    /// The folder that is held at this path.
    pub(crate) fn get(&self, path: &Path) -> Option<Arc<OwnedFd>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        // Byte by byte: components would be taken apart for each file.
        let held = all.iter().find(|(held, _)| held.as_os_str() == path.as_os_str());
        held.map(|(_, folder)| Arc::clone(folder))
    }
}
