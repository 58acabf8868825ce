//! Files: indexes them, serves them in place, and fetches into them. Blocking code: callers put it on blocking threads.
//!
//! Invariants: no unverified byte is read out of a [`Store`]; no byte is written outside the folder or through a symbolic
//! link; the journal claims a chunk only after its bytes were synced. Absent here: the network, the choice of the next chunk
//! (engine), and async.

pub mod limits;

mod error;

mod tap;

mod file;
mod held;
mod holder;
mod identity;
mod nicety;

mod dir;
mod direct;
mod hashing;
mod open_files;
mod packed;
mod part_locks;
mod roots;
mod stamps;

mod cache;
mod index;
mod portable;
mod walk;

mod complete;
mod scan;
mod sealing;
mod seed;
mod shelf;

mod claims;
mod journal;
mod last_look;
mod resume;
mod target;
mod target_files;
mod trial;
mod unfinished;

mod beside;
mod blobs;
mod fetching;
mod filling;
mod gathered;
mod places;

mod replica;
mod stream;

#[doc(hidden)]
pub mod fuzzing;

#[cfg(test)]
mod tests;

use swarm_core::manifest::{ChunkIndex, Manifest};

pub use beside::OnTwoThreads;
pub use blobs::BlobFolder;
pub use cache::IndexCache;
pub use complete::{Opening, Target};
pub use dir::{check_folder, free_len};
pub use direct::DIRECT_ALIGN;
pub use error::{ErrorKind, StoreError, Trouble};
pub use filling::{Filled, Filling, Told, VersionFile};
pub use gathered::{Gathered, GatheredStore};
pub use hashing::HashProgress;
pub use index::{Index, IndexError, IndexOptions, index, index_without};
pub use journal::find_manifest;
pub use last_look::LastLook;
pub use nicety::{Nicety, StoreWarning};
pub use places::{Places, ServedFolder, StandsAt};
pub use portable::{UnusableNames, WindowsNames};
pub use replica::{
    Digest, Digests, FetchedSource, FolderOptions, FolderReplica, FolderTurn, FolderWatcher, Hint, Hints,
    Ignore, KeptVersion, Landing, NewFile, PartFound, PartialFile, PutError, Replaces, RootIdentity,
    WatchError, WatcherGone, digest_of_source, fetched_source, is_ours,
};
pub use roots::Roots;
pub use scan::{FileReport, FileState, Scan, scan, scan_remembering};
pub use sealing::seal;
pub use seed::SeedStore;
pub use shelf::Shelf;
pub use stream::StreamStore;
pub use target::{Opened, TargetOptions, TargetStore};
pub use trial::{LeftOut, LeftOutWhy};
pub use walk::{Skipped, SkippedWhy};

/// Reads and writes the chunks of one content. Blocking; callable from many threads at once.
pub trait Store: Send + Sync {
    /// The manifest of the content.
    fn manifest(&self) -> &Manifest;

    /// Fills `buf` with the bytes of one chunk from `offset` on; `buf` must not reach past the chunk. Never returns `Ok` with
    /// unverified bytes: a chunk that is not verified, or has changed since, is an error. If the error has a
    /// [`StoreError::trouble`], it may be transient: the chunk is not lost.
    fn read(&self, chunk: ChunkIndex, offset: u32, buf: &mut [u8]) -> Result<(), StoreError>;

    /// Hashes a whole chunk and writes it to its place. A corrupt chunk is not written.
    fn write_chunk(&self, chunk: ChunkIndex, data: &[u8]) -> Result<Verdict, StoreError>;

    /// Writes unverified bytes of an incomplete chunk to their place. Does not touch a verified chunk.
    fn keep_slice(&self, chunk: ChunkIndex, offset: u32, data: &[u8]) -> Result<(), StoreError>;

    /// Reads a chunk that was kept in slices and hashes it.
    fn verify_kept(&self, chunk: ChunkIndex) -> Result<Verdict, StoreError>;

    /// Makes all verified chunks durable: data first, then the record of it. Returns the chunks that became durable
    /// since the last successful call. Complete files appear under their final names.
    fn flush(&self) -> Result<Vec<ChunkIndex>, StoreError>;

    /// Ends a fetch; every wanted chunk must be verified. Creates empty files and folders, sets executable
    /// bits, syncs folders, removes the journal.
    fn finish(&self) -> Result<(), StoreError>;

    /// Operations that the target refused since the last call, and that the fetch did without.
    fn take_warnings(&self) -> Vec<StoreWarning> {
        Vec::new()
    }
}

/// The result of hashing a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The bytes match the chunk's hash and are kept.
    Verified,
    /// The bytes do not match the chunk's hash.
    Corrupt,
}

/// The range check at the entrance of every store.
fn check_range(manifest: &Manifest, chunk: ChunkIndex, offset: u32, len: usize) -> Result<(), StoreError> {
    let end = u64::from(offset) + len as u64;
    if end <= u64::from(manifest.geometry().chunk_len(chunk)) {
        return Ok(());
    }
    Err(StoreError::Range { chunk: chunk.get(), offset, len })
}

/// Locks even if a thread panicked while it held the lock: every critical section of this crate leaves its data consistent.
fn locked<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
