//! What has been verified of files that others may change. Invariant: bytes are given out only if they were hashed just now,
//! or if their chunk was hashed and the file's stamp has not moved since. (A writer through a shared memory map moves the
//! stamp late; only bytes that are hashed as they are copied would be proof against it.)

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

/// Locks that keep the users of one chunk apart, without a lock for every chunk.
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

/// Which chunks hold what the manifest says, as of which state of their file.
#[derive(Debug)]
pub(super) struct Guard {
    seen: Mutex<Seen>,
    locks: ChunkLocks,
}

#[derive(Debug)]
struct Seen {
    good: Bitfield,
    stamps: BTreeMap<usize, Stamp>,
}

/// What a guarded read came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guarded {
    /// The buffer holds verified bytes.
    Good,
    /// The chunk is not what the manifest says.
    Changed,
}

/// How the state of a file is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stamped {
    /// By its stamp: others may write to it. A stamp younger than the racy window is not relied on at this instant
    /// (nanoseconds since 1970).
    AsOf(i128),
    /// It is ours alone, nobody else writes to it.
    Ours,
}

impl Guard {
    pub(super) fn new(chunk_count: u32) -> Self {
        let seen = Seen { good: Bitfield::new(chunk_count), stamps: BTreeMap::new() };
        Self { seen: Mutex::new(seen), locks: ChunkLocks::new() }
    }

    /// Notes a chunk that was verified while its file had this stamp.
    pub(super) fn mark(&self, manifest: &Manifest, chunk: ChunkIndex, stamp: Stamp) {
        locked(&self.seen).mark(manifest, chunk, stamp);
    }

    /// Carries what is known of a file over to its new state (it was renamed by us).
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
        // Another reader may have hashed it while this one waited.
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
        // The very bytes that were hashed are in the buffer, so this read is right whatever the stamps say.
        if stamped.stamp(file)? == before && stamped.is_reliable(&before) {
            self.mark(manifest, chunk, before);
        }
        Ok(Guarded::Good)
    }

    /// Reads without hashing; false if the chunk is not known to be good, or its file changed meanwhile.
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
