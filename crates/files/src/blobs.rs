//! A folder of files named by the BLAKE3 of their bytes, as a mirror holds them. Invariant: a file gets its name once its bytes were proven and
//! are durable; it keeps it until somebody removes it. Absent here: what the files are called by those who made them.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use swarm_core::manifest::content_name;
use swarm_sync::{ContentHash, ContentSource as _};

use super::StoreError;
use super::dir::{Access, Dir, Standing};
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
        let to = place_of(hash);
        let from = match store.whole_at(hash) {
            Some(from) => from.strip_prefix(&self.path).map(Path::to_owned).ok(),
            None => self.unpack(store, hash)?,
        };
        let (Some(from), Some(folder)) = (from, to.parent()) else { return Ok(()) };
        self.dir.make_directory(folder)?;
        self.dir.rename(&from, &to, true)?;
        self.dir.sync_directory(folder)?;
        store.release(hash);
        Ok(())
    }

    /// Makes a file of a small one that was packed with others. `None` if it is not whole there.
    fn unpack(&self, store: &GatheredStore, hash: &ContentHash) -> Result<Option<PathBuf>, StoreError> {
        let Some(len) = store.len_of(hash) else { return Ok(None) };
        let Some(mut source) = store.source(hash, false) else { return Ok(None) };
        let name = Path::new(INCOMING).join(UNPACKED);
        let path = self.path.join(&name);
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        let mut at = 0;
        while at < bytes.len() {
            let read = source.read_at(at as u64, &mut bytes[at..]);
            let read =
                read.map_err(|error| StoreError::disk(&path, "unpack")(std::io::Error::other(error)))?;
            if read == 0 {
                return Ok(None);
            }
            at += read;
        }
        if ContentHash::of(&bytes) != *hash {
            return Ok(None);
        }
        let file = self.dir.open_file(&name, Access::Create)?;
        let written =
            file.set_len(0).and_then(|()| file.write_all_at(&bytes, 0)).and_then(|()| file.sync_data());
        written.map_err(StoreError::disk(&path, "write"))?;
        Ok(Some(name))
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
/// Below it. One file is kept at a time.
const UNPACKED: &str = "unpacked";
