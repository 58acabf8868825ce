//! Tracks which chunks of files that other processes may change are verified. Invariant: bytes are given out only if they were hashed
//! just now, or if their chunk was hashed and the file's stamp has not changed since. (A writer through a shared memory map changes
//! the stamp late; only hashing the very bytes that are copied would be proof against it.)

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, MutexGuard};

use super::file::File;
use super::hashing::{Copied, Stamp, hash_as_sent};
use super::locked;
use crate::limits::CHUNK_LOCKS;
use swarm_core::base::Bitfield;
use swarm_core::manifest::{ChunkIndex, FileIndex, Manifest};

/// Locks that keep the users of one chunk apart. Chunks share them, because a lock for each would cost much memory.
#[derive(Debug)]
pub(super) struct ChunkLocks([Mutex<()>; CHUNK_LOCKS]);

impl ChunkLocks {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(())))
    }

    pub(super) fn lock(&self, chunk: ChunkIndex) -> MutexGuard<'_, ()> {
        locked(&self.0[chunk.get() as usize % CHUNK_LOCKS])
    }
}

/// The verified chunks of each file, and the stamp of the file at that time.
#[derive(Debug)]
pub(super) struct Stamps {
    seen: Mutex<Seen>,
    locks: ChunkLocks,
}

#[derive(Debug)]
struct Seen {
    good: Bitfield,
    stamps: BTreeMap<usize, Stamp>,
}

/// The result of a guarded read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guarded {
    /// The buffer holds verified bytes.
    Good,
    /// The chunk differs from the manifest.
    Changed,
}

/// How changes of a file are detected.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stamped {
    /// By its stamp, because other processes may write to it. A stamp younger than the racy window is not relied on; the value is the
    /// present, nanoseconds since 1970.
    AsOf(i128),
    /// Not at all: only this process writes to the file.
    Ours,
}

impl Stamps {
    pub(super) fn new(chunk_count: u32) -> Self {
        let seen = Seen { good: Bitfield::new(chunk_count), stamps: BTreeMap::new() };
        Self { seen: Mutex::new(seen), locks: ChunkLocks::new() }
    }

    /// Notes that a chunk was verified while its file had this stamp.
    pub(super) fn mark(&self, manifest: &Manifest, chunk: ChunkIndex, stamp: Stamp) {
        locked(&self.seen).mark(manifest, chunk, stamp);
    }

    /// Keeps the verified chunks of a file after this process renamed it, which changes the stamp.
    pub(super) fn restamp(&self, file: FileIndex, stamp: Stamp) {
        locked(&self.seen).stamps.insert(file.get(), stamp);
    }

    /// Reads a part of a chunk, verified.
    pub(super) fn read(
        &self,
        manifest: &Manifest,
        chunk: ChunkIndex,
        file: &File,
        stamped: Stamped,
        mut wanted: Copied<'_>,
    ) -> io::Result<Guarded> {
        if self.read_known(manifest, chunk, file, stamped, &mut wanted)? {
            return Ok(Guarded::Good);
        }
        let _turn = self.locks.lock(chunk);
        // Another reader may have verified the chunk while this one waited for the lock.
        if self.read_known(manifest, chunk, file, stamped, &mut wanted)? {
            return Ok(Guarded::Good);
        }
        let before = stamped.stamp(file)?;
        let hash = match hash_as_sent(manifest, chunk, file, Some(wanted)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Guarded::Changed),
            hash => hash?,
        };
        if hash != manifest.chunk_hash(chunk) {
            return Ok(Guarded::Changed);
        }
        // The buffer holds the very bytes that were hashed, so this read is right whatever the stamps are.
        let span = manifest.geometry().span(chunk);
        let is_remembered = !span.is_whole_file || span.len > HASHED_AGAIN_LEN_MAX;
        if is_remembered && stamped.stamp(file)? == before && stamped.is_reliable(&before) {
            self.mark(manifest, chunk, before);
        }
        Ok(Guarded::Good)
    }

    /// Reads without hashing; false if the chunk is not verified, or its file changed meanwhile.
    fn read_known(
        &self,
        manifest: &Manifest,
        chunk: ChunkIndex,
        file: &File,
        stamped: Stamped,
        wanted: &mut Copied<'_>,
    ) -> io::Result<bool> {
        let span = manifest.geometry().span(chunk);
        let Some(stamp) = locked(&self.seen).stamp_of(chunk, span.file) else { return Ok(false) };
        match file.read_exact_at(wanted.buf, span.file_offset + u64::from(wanted.offset)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            read => read?,
        }
        if let Some(opening) = manifest.opening() {
            opening.seal_part(manifest, chunk, wanted.offset, wanted.buf);
        }
        Ok(stamped.stamp(file)? == stamp)
    }
}

/// A file up to this length is hashed at each read: its stamp takes more room than its hash takes time.
const HASHED_AGAIN_LEN_MAX: u32 = 64 << 10;

impl Seen {
    fn mark(&mut self, manifest: &Manifest, chunk: ChunkIndex, stamp: Stamp) {
        let file = manifest.geometry().span(chunk).file;
        let old = self.stamps.insert(file.get(), stamp);
        if old.is_some_and(|old| old != stamp) {
            for other in manifest.geometry().file_chunk_range(file) {
                self.good.remove(other);
            }
        }
        self.good.insert(chunk.get());
    }

    fn stamp_of(&self, chunk: ChunkIndex, file: FileIndex) -> Option<Stamp> {
        if self.good.contains(chunk.get()) { self.stamps.get(&file.get()).copied() } else { None }
    }
}

impl Stamped {
    pub(super) fn stamp(self, file: &File) -> io::Result<Stamp> {
        match self {
            Self::AsOf(_) => Stamp::of(file),
            Self::Ours => Ok(Stamp::OURS),
        }
    }

    fn is_reliable(self, stamp: &Stamp) -> bool {
        match self {
            Self::AsOf(now_nanos) => !stamp.is_racy(now_nanos),
            Self::Ours => true,
        }
    }
}
