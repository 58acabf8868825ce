//! Small files of a fetch, one behind the other in one file: to make a file for each, to rename it and to remove its name again takes longer
//! than to write its bytes twice. Invariant: what is told as here was hashed in this process. A small file is one chunk, which its hash
//! proves, so nothing is recorded: whoever opens the pack again hashes what stands in it.

use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rayon::prelude::*;
use rustix::io::Errno;

use super::dir::{Access, Dir};
use super::file::File;
use super::hashing::{Copied, hash_chunk};
use super::holder::holder_of;
use super::nicety::Nicety;
use super::replica::{FetchedSource, packed_source};
use super::{StoreError, Verdict, check_range, locked};
use crate::limits::PACKED_FILE_LEN_MAX;
use swarm_core::base::Bitfield;
use swarm_core::manifest::{ChunkHasher, ChunkIndex, ChunkSpan, FileIndex, Geometry, Manifest};
use swarm_sync::ContentHash;

/// The pack of a fetch.
pub(super) struct PackedFiles {
    manifest: Manifest,
    path: PathBuf,
    file: Arc<File>,
    /// Where each small file of the manifest begins, wanted or not: another fetch of the content finds them there.
    offsets: Vec<(FileIndex, u64)>,
    wanted: Bitfield,
    state: Mutex<State>,
}

struct State {
    /// Chunks that have the bytes of their hash.
    verified: Bitfield,
    /// Those of them that may not be on the disk yet.
    pending: Vec<ChunkIndex>,
}

impl PackedFiles {
    /// Opens the pack in the folder of a fetch, or makes it. Returns also which of the wanted chunks are here.
    pub(super) fn open(
        dir: &Dir,
        manifest: &Manifest,
        wanted: Bitfield,
    ) -> Result<(Self, Bitfield), StoreError> {
        let path = dir.full(Path::new(NAME));
        let file = dir.open_file(Path::new(NAME), Access::Create)?;
        match file.lock() {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(StoreError::Busy { path, holder: holder_of(&file) }),
            Err(errno) => dir.niceties().note(Nicety::Lock, || path.clone(), errno),
        }
        dir.sync_directory(Path::new(""))?;
        let len = file.metadata().map_err(StoreError::disk(&path, "stat"))?.len();
        let packed = Self {
            offsets: offsets_of(manifest),
            manifest: manifest.clone(),
            path,
            file: Arc::new(file),
            state: Mutex::new(State {
                verified: Bitfield::new(manifest.geometry().chunk_count()),
                pending: Vec::new(),
            }),
            wanted,
        };
        if len > 0 {
            let found = packed.look()?;
            // It may have been written in a moment before a crash: the first sync covers it again.
            locked(&packed.state).verified = found;
        }
        let durable = locked(&packed.state).verified.clone();
        if durable.count() > 0 {
            packed.sync()?;
        }
        Ok((packed, durable))
    }

    /// Whether a file of this length is packed.
    pub(super) fn suits(manifest: &Manifest, file: FileIndex) -> bool {
        let is_one_chunk = manifest.geometry().file_chunk_range(file).len() == 1;
        is_one_chunk && !manifest.is_sealed() && manifest.file(file).len <= PACKED_FILE_LEN_MAX
    }

    /// Whether a chunk has its bytes.
    pub(super) fn has(&self, chunk: ChunkIndex) -> bool {
        locked(&self.state).verified.contains(chunk.get())
    }

    pub(super) fn read(&self, chunk: ChunkIndex, offset: u32, buf: &mut [u8]) -> Result<(), StoreError> {
        check_range(&self.manifest, chunk, offset, buf.len())?;
        if !self.has(chunk) {
            return Err(StoreError::NotVerified { path: self.path.clone(), chunk: chunk.get() });
        }
        let hash = self.hash(chunk, Some(Copied { offset, buf }));
        if hash.map_err(StoreError::disk(&self.path, "read"))? == self.manifest.chunk_hash(chunk) {
            return Ok(());
        }
        Err(StoreError::Changed { path: self.path.clone(), chunk: chunk.get() })
    }

    pub(super) fn write_chunk(&self, chunk: ChunkIndex, data: &[u8]) -> Result<Verdict, StoreError> {
        let span = self.manifest.geometry().span(chunk);
        if data.len() != span.len as usize {
            return Err(StoreError::Range { chunk: chunk.get(), offset: 0, len: data.len() });
        }
        if self.has(chunk) {
            return Ok(Verdict::Verified);
        }
        self.check_wanted(chunk)?;
        if ChunkHasher::hash(&span, data) != self.manifest.chunk_hash(chunk) {
            return Ok(Verdict::Corrupt);
        }
        self.write(&span, 0, data)?;
        self.mark(chunk);
        Ok(Verdict::Verified)
    }

    pub(super) fn keep_slice(&self, chunk: ChunkIndex, offset: u32, data: &[u8]) -> Result<(), StoreError> {
        check_range(&self.manifest, chunk, offset, data.len())?;
        if self.has(chunk) {
            return Ok(());
        }
        self.check_wanted(chunk)?;
        self.write(&self.manifest.geometry().span(chunk), offset, data)
    }

    pub(super) fn verify_kept(&self, chunk: ChunkIndex) -> Result<Verdict, StoreError> {
        if self.has(chunk) {
            return Ok(Verdict::Verified);
        }
        match self.hash(chunk, None) {
            Ok(hash) if hash == self.manifest.chunk_hash(chunk) => {
                self.mark(chunk);
                Ok(Verdict::Verified)
            }
            Ok(_) => Ok(Verdict::Corrupt),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Verdict::Corrupt),
            Err(error) => Err(StoreError::disk(&self.path, "read")(error)),
        }
    }

    /// Makes all durable. Returns the chunks that became so.
    pub(super) fn flush(&self) -> Result<Vec<ChunkIndex>, StoreError> {
        let batch = std::mem::take(&mut locked(&self.state).pending);
        if batch.is_empty() {
            return Ok(batch);
        }
        if let Err(error) = self.sync() {
            // The system may have dropped what it could not write: it is fetched again.
            let mut state = locked(&self.state);
            batch.iter().for_each(|chunk| {
                state.verified.remove(chunk.get());
            });
            return Err(error);
        }
        Ok(batch)
    }

    /// Whether every wanted chunk is here.
    pub(super) fn check_complete(&self) -> Result<(), StoreError> {
        let state = locked(&self.state);
        let missing = self.wanted.iter().filter(|chunk| !state.verified.contains(*chunk)).count();
        if missing == 0 {
            return Ok(());
        }
        Err(StoreError::Unfinished { path: self.path.clone(), missing: missing as u32 })
    }

    /// The bytes of a file, for a replica.
    pub(super) fn source(&self, file: FileIndex, hash: &ContentHash) -> Option<FetchedSource> {
        let at = self.offset(file)?;
        Some(packed_source(Arc::clone(&self.file), at, self.manifest.file(file).len, hash))
    }

    /// Hashes all that is wanted, on all cores.
    fn look(&self) -> Result<Bitfield, StoreError> {
        let geometry = self.manifest.geometry();
        let wanted: Vec<ChunkIndex> = self.wanted.iter().filter_map(|chunk| geometry.chunk(chunk)).collect();
        let is_here = |chunk: &ChunkIndex| match self.hash(*chunk, None) {
            Ok(hash) => Some(Ok(*chunk)).filter(|_| hash == self.manifest.chunk_hash(*chunk)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => Some(Err(StoreError::disk(&self.path, "read")(error))),
        };
        let here = wanted.par_iter().filter_map(is_here).collect::<Result<Vec<ChunkIndex>, StoreError>>()?;
        let mut found = Bitfield::new(geometry.chunk_count());
        here.iter().for_each(|chunk| {
            found.insert(chunk.get());
        });
        Ok(found)
    }

    fn mark(&self, chunk: ChunkIndex) {
        let mut state = locked(&self.state);
        if state.verified.insert(chunk.get()) {
            state.pending.push(chunk);
        }
    }

    fn check_wanted(&self, chunk: ChunkIndex) -> Result<(), StoreError> {
        if self.wanted.contains(chunk.get()) {
            return Ok(());
        }
        Err(StoreError::Unwanted { path: self.path.clone(), chunk: chunk.get() })
    }

    fn write(&self, span: &ChunkSpan, offset: u32, data: &[u8]) -> Result<(), StoreError> {
        let at = self.offset(span.file).ok_or_else(|| self.not_packed(span))?;
        let written = self.file.write_all_at(data, at + u64::from(offset));
        written.map_err(StoreError::disk(&self.path, "write"))
    }

    fn not_packed(&self, span: &ChunkSpan) -> StoreError {
        StoreError::Unwanted { path: self.path.clone(), chunk: span.file.get() as u32 }
    }

    fn hash(&self, chunk: ChunkIndex, copied: Option<Copied<'_>>) -> io::Result<swarm_core::manifest::Hash> {
        let span = self.manifest.geometry().span(chunk);
        let at = self.offset(span.file).ok_or(io::ErrorKind::UnexpectedEof)?;
        hash_chunk(&self.file, &ChunkSpan { file_offset: at, ..span }, copied)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(StoreError::disk(&self.path, "sync"))
    }

    fn offset(&self, file: FileIndex) -> Option<u64> {
        let at = self.offsets.binary_search_by_key(&file, |(file, _)| *file).ok()?;
        Some(self.offsets[at].1)
    }
}

fn offsets_of(manifest: &Manifest) -> Vec<(FileIndex, u64)> {
    let files = files_of(manifest.geometry()).filter(|file| PackedFiles::suits(manifest, *file));
    let place = |next: &mut u64, file: FileIndex| {
        let at = *next;
        *next += manifest.file(file).len;
        Some((file, at))
    };
    files.scan(0, place).collect()
}

fn files_of(geometry: &Geometry) -> impl Iterator<Item = FileIndex> + '_ {
    (0..geometry.file_count()).filter_map(|index| geometry.file(index))
}

/// No content has this name: theirs are 64 digits.
const NAME: &str = "packed";
