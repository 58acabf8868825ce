//! Digests of contents on their way from the threads that hash to the index.

use std::sync::{Mutex, PoisonError};

use swarm_files::{Digest, Digests};
use swarm_index::{IndexError, LibraryBook};
use swarm_sync::{ContentHash, FileContent};

/// Gathers digests until they are written. One file costs some hundred bytes here, for a moment.
#[derive(Debug, Default)]
pub(crate) struct DigestQueue(Mutex<Vec<(ContentHash, swarm_index::Digest)>>);

impl Digests for DigestQueue {
    fn note(&self, content: &FileContent, digest: Digest) {
        let Digest { sha256, chunk_hashes } = digest;
        let digest = swarm_index::Digest { sha256: Some(sha256), chunk_hashes };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((content.hash, digest));
    }
}

impl DigestQueue {
    /// Writes what was gathered.
    pub(crate) fn store(&self, book: &mut LibraryBook) -> Result<(), IndexError> {
        let gathered = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if gathered.is_empty() { Ok(()) } else { book.put_digests(&gathered) }
    }
}
