//! Writes one file in order to a stream, as its chunks are verified. Invariant: bytes leave in order, each once, verified.
//! The caller bounds how many chunks are held, by how far ahead it requests them.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;

use sha2::{Digest as _, Sha256};

use super::{Store, StoreError, Verdict, check_range, locked};
use swarm_core::base::RangeSet;
use swarm_core::manifest::{ChunkHasher, ChunkIndex, FileIndex, Manifest};

/// A store that writes one file to a stream.
pub struct StreamStore {
    manifest: Manifest,
    file: FileIndex,
    held: Mutex<Held>,
    out: Mutex<Out>,
}

struct Held {
    /// The next chunk to write.
    next: u32,
    verified: BTreeMap<u32, Vec<u8>>,
    kept: BTreeMap<u32, Kept>,
}

#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    covered: RangeSet,
}

struct Out {
    write: Box<dyn Write + Send>,
    sha256: Option<Sha256>,
    /// Whether a write failed part way: then it is unknown which bytes the reader has.
    broken: bool,
}

impl StreamStore {
    /// Writes `file` to `out`.
    pub fn new(manifest: Manifest, file: FileIndex, out: Box<dyn Write + Send>) -> Self {
        let next = manifest.geometry().file_chunk_range(file).start;
        let sha256 = manifest.file(file).sha256.map(|_| Sha256::new());
        Self {
            manifest,
            file,
            held: Mutex::new(Held { next, verified: BTreeMap::new(), kept: BTreeMap::new() }),
            out: Mutex::new(Out { write: out, sha256, broken: false }),
        }
    }

    fn check_wanted(&self, chunk: ChunkIndex) -> Result<(), StoreError> {
        let file = self.manifest.geometry().span(chunk).file;
        if file == self.file {
            return Ok(());
        }
        let path = PathBuf::from(self.manifest.file(file).path.as_str());
        Err(StoreError::Unwanted { path, chunk: self.manifest.geometry().number_in_file(chunk) })
    }

    /// The next chunk that may be written; one at a time, so that each frees its memory when it is written.
    fn take_next(&self) -> Option<(ChunkIndex, Vec<u8>)> {
        let mut held = locked(&self.held);
        let next = held.next;
        let bytes = held.verified.remove(&next)?;
        held.next += 1;
        self.manifest.geometry().chunk(next).map(|chunk| (chunk, bytes))
    }
}

impl Held {
    fn is_done_with(&self, chunk: ChunkIndex) -> bool {
        chunk.get() < self.next || self.verified.contains_key(&chunk.get())
    }
}

impl Store for StreamStore {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn read(&self, _chunk: ChunkIndex, _offset: u32, _buf: &mut [u8]) -> Result<(), StoreError> {
        Err(StoreError::NotServed)
    }

    fn write_chunk(&self, chunk: ChunkIndex, data: &[u8]) -> Result<Verdict, StoreError> {
        self.check_wanted(chunk)?;
        let span = self.manifest.geometry().span(chunk);
        if data.len() != span.len as usize {
            return Err(StoreError::Range { chunk: chunk.get(), offset: 0, len: data.len() });
        }
        if ChunkHasher::hash(&span, data) != self.manifest.chunk_hash(chunk) {
            return Ok(Verdict::Corrupt);
        }
        let mut data = data.to_vec();
        let opening = self.manifest.opening();
        if opening.is_some_and(|opening| !opening.open(&self.manifest, chunk, &mut data)) {
            let path = PathBuf::from(self.manifest.file(span.file).path.as_str());
            return Err(StoreError::Sealed { path, chunk: self.manifest.geometry().number_in_file(chunk) });
        }
        let mut held = locked(&self.held);
        held.kept.remove(&chunk.get());
        if !held.is_done_with(chunk) {
            held.verified.insert(chunk.get(), data);
        }
        Ok(Verdict::Verified)
    }

    fn keep_slice(&self, chunk: ChunkIndex, offset: u32, data: &[u8]) -> Result<(), StoreError> {
        self.check_wanted(chunk)?;
        check_range(&self.manifest, chunk, offset, data.len())?;
        let mut held = locked(&self.held);
        if held.is_done_with(chunk) {
            return Ok(());
        }
        let kept = held.kept.entry(chunk.get()).or_default();
        let end = offset as usize + data.len();
        if kept.bytes.len() < end {
            kept.bytes.resize(end, 0);
        }
        kept.bytes[offset as usize..end].copy_from_slice(data);
        kept.covered.insert(offset..end as u32);
        Ok(())
    }

    fn verify_kept(&self, chunk: ChunkIndex) -> Result<Verdict, StoreError> {
        self.check_wanted(chunk)?;
        let len = self.manifest.geometry().chunk_len(chunk);
        let whole = {
            let mut held = locked(&self.held);
            if held.is_done_with(chunk) {
                return Ok(Verdict::Verified);
            }
            held.kept.remove(&chunk.get()).filter(|kept| kept.covered.covered_len() == len)
        };
        whole.map_or(Ok(Verdict::Corrupt), |kept| self.write_chunk(chunk, &kept.bytes))
    }

    /// Durable here means written to the stream: its reader has the returned chunks.
    fn flush(&self) -> Result<Vec<ChunkIndex>, StoreError> {
        let mut out = locked(&self.out);
        let mut written = Vec::new();
        while let Some((chunk, bytes)) = self.take_next() {
            out.pass_on(&bytes)?;
            written.push(chunk);
        }
        if !written.is_empty() {
            out.flush()?;
        }
        Ok(written)
    }

    fn finish(&self) -> Result<(), StoreError> {
        self.flush()?;
        let path = PathBuf::from(self.manifest.file(self.file).path.as_str());
        let end = self.manifest.geometry().file_chunk_range(self.file).end;
        let missing = end - locked(&self.held).next;
        if missing > 0 {
            return Err(StoreError::Unfinished { path, missing });
        }
        let found = locked(&self.out).sha256.take().map(|hasher| <[u8; 32]>::from(hasher.finalize()));
        if found.is_some() && found != self.manifest.file(self.file).sha256 {
            return Err(StoreError::Integrity { path });
        }
        Ok(())
    }
}

impl Out {
    fn pass_on(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let path = PathBuf::from(OUT_NAME);
        if self.broken {
            return Err(StoreError::SyncFailed { path });
        }
        let written = self.write.write_all(bytes).map_err(StoreError::disk(&path, "write"));
        self.broken = written.is_err();
        if let Some(hasher) = &mut self.sha256 {
            hasher.update(bytes);
        }
        written
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let flushed = self.write.flush().map_err(StoreError::disk(OUT_NAME.as_ref(), "write"));
        self.broken |= flushed.is_err();
        flushed
    }
}

impl std::fmt::Debug for StreamStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamStore").field("file", &self.file).finish_non_exhaustive()
    }
}

const OUT_NAME: &str = "standard output";
