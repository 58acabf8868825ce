//! A folder of files named by the BLAKE3 of their bytes, as a mirror holds them. Invariant: a file gets its name once its bytes were proven and
//! are durable; it keeps it until somebody removes it. Absent here: what the files are called by those who made them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use swarm_core::manifest::content_name;
use swarm_sync::ContentHash;

use super::StoreError;
use super::dir::{Dir, Standing};
use super::gathered::GatheredStore;
use super::places::{Places, ServedFolder, StandsAt};

/// Such a folder.
#[derive(Debug)]
pub struct BlobFolder {
    dir: Dir,
    path: PathBuf,
    served: Arc<ServedFolder>,
}

impl BlobFolder {
    /// Opens it; makes it if it is missing.
    ///
    /// # Errors
    /// If it cannot be made or read.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let dir = Dir::create(path)?;
        Ok(Self { dir, path: path.to_owned(), served: Arc::new(ServedFolder::new(path)) })
    }

    /// Where files are fetched before they are kept: on the same file system.
    pub fn incoming(&self) -> PathBuf {
        self.path.join(INCOMING)
    }

    /// Whether a file with this hash is kept.
    pub fn has(&self, hash: &ContentHash) -> bool {
        matches!(self.dir.stat(&place_of(hash)), Ok(Standing::File { .. }))
    }

    /// Keeps a file that became whole in a store that fetches into [`Self::incoming`]. Durable when this returns.
    ///
    /// # Errors
    /// If it cannot be moved. It stands where it was then, or nowhere: the next fetch tells.
    pub fn keep(&self, store: &GatheredStore, hash: &ContentHash) -> Result<(), StoreError> {
        let Some(from) = store.whole_at(hash) else { return Ok(()) };
        let Ok(from) = from.strip_prefix(&self.path) else { return Ok(()) };
        let to = place_of(hash);
        if let Some(folder) = to.parent() {
            self.dir.make_directory(folder)?;
            self.dir.rename(from, &to, true)?;
            self.dir.sync_directory(folder)?;
        }
        store.release(hash);
        Ok(())
    }
}

impl Places for BlobFolder {
    fn places(&self, hash: &ContentHash, _len: u64) -> Vec<StandsAt> {
        if !self.has(hash) {
            return Vec::new();
        }
        vec![StandsAt { folder: Arc::clone(&self.served), relative: place_of(hash) }]
    }
}

/// Two levels, so that no folder holds all.
fn place_of(hash: &ContentHash) -> PathBuf {
    let name = content_name(&hash.0);
    Path::new(&name[..2]).join(&name)
}

const INCOMING: &str = "incoming";
