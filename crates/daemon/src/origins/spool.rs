//! Whole files of origins that cannot be asked for parts, kept while their contents are fetched. Invariant: a file here has the hash that it is
//! named by; the folder is empty when a daemon starts. Blocking.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use swarm_files::{StoreError, free_len};
use swarm_sync::ContentHash;

use super::whole::{Whole, WholeError};

/// A file that came whole; it goes with this value.
#[derive(Debug)]
pub(super) struct Spooled {
    file: File,
    path: PathBuf,
}

impl Spooled {
    /// Fetches it into the folder.
    pub(super) fn fetch(folder: &Path, hash: &ContentHash, whole: &Whole<'_>) -> Result<Self, WholeError> {
        // Two origins, or two contents, may need the same file at once.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{hash}-{number}"));
        let failed = |source: std::io::Error| StoreError::Disk { path: path.clone(), op: "write", source };
        fs::create_dir_all(folder).map_err(failed)?;
        if free_len(folder).is_some_and(|free| free < whole.file.length) {
            return Err(failed(rustix::io::Errno::NOSPC.into()).into());
        }
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let mut spooled = Self { file: file.map_err(failed)?, path: path.clone() };
        let found = whole.fetch(&mut |bytes| spooled.file.write_all(bytes).map_err(failed))?;
        if found.blake3 != Some(hash.0) {
            return Err(WholeError::Wrong(swarm_core::base::ByteLen(whole.file.length)));
        }
        Ok(spooled)
    }

    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), StoreError> {
        let read = self.file.read_exact_at(buf, offset);
        read.map_err(|source| StoreError::Disk { path: self.path.clone(), op: "read", source })
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Tells files of one process apart.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Removes what an earlier daemon left.
pub(super) fn clear(folder: &Path) {
    // What cannot be removed now is overwritten or removed another time.
    let _ = fs::remove_dir_all(folder);
}
