//! Files: indexing them, serving them in place, and fetching into them. Blocking code: callers put it on blocking threads.
//!
//! Invariants: nothing unverified is read out of a [`Store`]; nothing is written outside the folder or through a symbolic
//! link; the journal claims a chunk only after its bytes were synced. Absent here: the network, which chunk comes next
//! (engine), and async.

mod error;

mod tap;

mod file;

mod dir;
mod direct;
mod guard;
mod hashing;
mod open_files;
mod roots;

mod cache;
mod index;
mod walk;

mod complete;
mod scan;
mod sealing;
mod seed;
mod shelf;

mod journal;
mod resume;
mod target;
mod target_files;
mod unfinished;

mod stream;

#[doc(hidden)]
pub mod fuzzing;

#[cfg(test)]
mod tests;

use crate::manifest::{ChunkIndex, Manifest};

pub use cache::IndexCache;
pub use complete::{Opening, Target};
pub use dir::{check_folder, free_len};
pub(crate) use direct::DIRECT_ALIGN;
pub use error::{ErrorKind, StoreError};
pub use hashing::HashProgress;
pub use index::{Index, IndexError, IndexOptions, index, index_without};
pub use journal::find_manifest;
pub use roots::Roots;
pub use scan::{FileReport, FileState, Scan, scan, scan_remembering};
pub use sealing::seal;
pub use seed::SeedStore;
pub use shelf::Shelf;
pub use stream::StreamStore;
pub use target::{Opened, TargetOptions, TargetStore};
pub use walk::{Skipped, SkippedWhy};

/// Where the chunks of one content lie. Blocking; callable from many threads at once.
pub trait Store: Send + Sync {
    /// What the content is.
    fn manifest(&self) -> &Manifest;

    /// Fills `buf` with the bytes of one chunk from `offset` on; `buf` must not reach past the chunk. Never `Ok` with bytes
    /// that were not verified: a chunk that is not verified, or no longer what it was, is an error.
    fn read(&self, chunk: ChunkIndex, offset: u32, buf: &mut [u8]) -> Result<(), StoreError>;

    /// Hashes a whole chunk and writes it at its place. If the hash is wrong nothing is written.
    fn write_chunk(&self, chunk: ChunkIndex, data: &[u8]) -> Result<Verdict, StoreError>;

    /// Keeps unverified bytes of an unfinished chunk at their place. Does nothing to a chunk that is verified.
    fn keep_slice(&self, chunk: ChunkIndex, offset: u32, data: &[u8]) -> Result<(), StoreError>;

    /// Reads back a chunk that was kept in slices and hashes it.
    fn verify_kept(&self, chunk: ChunkIndex) -> Result<Verdict, StoreError>;

    /// Makes everything verified so far durable: data first, then the record of it. Returns the chunks that became durable
    /// since the last call that succeeded. Files that are complete appear under their final names.
    fn flush(&self) -> Result<Vec<ChunkIndex>, StoreError>;

    /// Ends a fetch: everything wanted must be verified. Makes what has no bytes (empty files and folders), sets executable
    /// bits, syncs folders, removes the journal.
    fn finish(&self) -> Result<(), StoreError>;
}

/// What hashing a chunk showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The bytes are the chunk's, and are kept.
    Verified,
    /// The bytes are not the chunk's.
    Corrupt,
}

/// The range check that every store makes at its door.
fn check_range(manifest: &Manifest, chunk: ChunkIndex, offset: u32, len: usize) -> Result<(), StoreError> {
    let end = u64::from(offset) + len as u64;
    if end <= u64::from(manifest.geometry().chunk_len(chunk)) {
        return Ok(());
    }
    Err(StoreError::Range { chunk: chunk.get(), offset, len })
}

/// Takes a lock even if a thread died holding it: every critical section here leaves its data whole.
fn locked<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
