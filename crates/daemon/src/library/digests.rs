//! Digests of contents on their way from the threads that hash to the index.

use std::sync::{Mutex, PoisonError};

use swarm_files::{Digest, Digests, digest_of_source};
use swarm_index::{IndexError, LibraryBook};
use swarm_sync::{ContentHash, ContentSource, FileContent, ReplicaError, TreePath};

/// Gathers digests until they are written. A file costs some hundred bytes here.
#[derive(Debug, Default)]
pub(crate) struct DigestQueue(Mutex<Vec<(ContentHash, swarm_index::Digest)>>);

impl Digests for DigestQueue {
    fn note(&self, content: &FileContent, digest: Digest) {
        let digest = for_index(digest);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((content.hash, digest));
    }
}

/// Digests of a content that was not hashed with them before.
///
/// # Errors
/// [`ReplicaError::Changed`] if it has other bytes.
pub(crate) fn digest_of(
    source: &mut dyn ContentSource,
    path: &TreePath,
    content: &FileContent,
) -> Result<swarm_index::Digest, ReplicaError> {
    digest_of_source(source, path, content).map(for_index)
}

fn for_index(digest: Digest) -> swarm_index::Digest {
    let Digest { sha256, chunk_hashes } = digest;
    swarm_index::Digest { sha256: Some(sha256), chunk_hashes }
}

impl DigestQueue {
    /// Writes what was gathered. After an error it is still here.
    pub(crate) fn store(&self, book: &mut LibraryBook) -> Result<(), IndexError> {
        let mut gathered = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if gathered.is_empty() {
            return Ok(());
        }
        // In the order of their table: each of its pages is written once.
        gathered.sort_unstable_by_key(|(hash, _)| *hash);
        book.put_digests(&gathered).inspect_err(|_| {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&gathered);
        })
    }
}
