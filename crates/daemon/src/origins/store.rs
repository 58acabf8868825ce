//! A content as an origin has it: a chunk is asked for when somebody reads it. Invariant: a chunk is given out only if its hash in the manifest
//! proves it; a file of which a wrong chunk came is not asked for again. Nothing is written. Blocking.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use swarm_core::manifest::{ChunkHasher, ChunkIndex, ChunkSpan, Manifest};
use swarm_files::{Store, StoreError, Verdict};
use swarm_library::LibraryKey;
use swarm_origins::{ListedFile, OriginError, Version};
use swarm_sync::ContentHash;
use tokio::runtime::Handle;

use super::shared::Shared;
use super::spool::Spooled;
use super::whole::{Whole, WholeError};
use crate::limits::ORIGIN_CHUNKS_KEPT_LEN_MAX;

/// A content at an origin.
pub(super) struct OriginStore {
    pub(super) manifest: Manifest,
    pub(super) library: LibraryKey,
    pub(super) guid: String,
    /// What the origin lists, by the number of the file in the manifest.
    pub(super) files: BTreeMap<usize, Held>,
    pub(super) shared: Arc<Shared>,
    pub(super) runtime: Handle,
    pub(super) spool: PathBuf,
    pub(super) kept: Mutex<Kept>,
}

/// A file at the origin.
pub(super) struct Held {
    hash: ContentHash,
    listed: ListedFile,
    state: Mutex<HeldState>,
}

enum HeldState {
    /// Chunks are asked for, of this version.
    InParts(Version),
    /// It came whole.
    Whole(Spooled),
    /// Nothing of it is asked for any more.
    Lost,
}

/// Chunks that were read last: a chunk is sent in several blocks.
#[derive(Default)]
pub(super) struct Kept {
    chunks: VecDeque<(u32, Arc<Vec<u8>>)>,
    len: usize,
}

impl Held {
    pub(super) fn new(hash: ContentHash, listed: ListedFile) -> Self {
        let version = Version { len: listed.length, tag: None };
        Self { hash, listed, state: Mutex::new(HeldState::InParts(version)) }
    }

    fn version(&self) -> Option<Version> {
        match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            HeldState::InParts(version) => Some(version.clone()),
            HeldState::Whole(_) | HeldState::Lost => None,
        }
    }

    fn note_tag(&self, named: Option<String>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let (HeldState::InParts(version), Some(_)) = (&mut *state, &named) {
            version.tag = named;
        }
    }

    fn lose(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = HeldState::Lost;
    }
}

impl Kept {
    fn get(&self, chunk: u32) -> Option<Arc<Vec<u8>>> {
        self.chunks.iter().find(|(known, _)| *known == chunk).map(|(_, bytes)| Arc::clone(bytes))
    }

    fn put(&mut self, chunk: u32, bytes: Arc<Vec<u8>>) {
        self.len += bytes.len();
        self.chunks.push_back((chunk, bytes));
        while self.len > ORIGIN_CHUNKS_KEPT_LEN_MAX && self.chunks.len() > 1 {
            let gone = self.chunks.pop_front();
            self.len -= gone.map_or(0, |(_, bytes)| bytes.len());
        }
    }
}

impl OriginStore {
    fn chunk(&self, chunk: ChunkIndex) -> Result<Arc<Vec<u8>>, StoreError> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = kept().get(chunk.get()) {
            return Ok(bytes);
        }
        let span = self.manifest.geometry().span(chunk);
        let held =
            self.files.iter().find(|(number, _)| self.manifest.geometry().file(**number) == Some(span.file));
        let (_, held) = held.ok_or(StoreError::NotServed)?;
        let bytes = self.fetched(held, &span, chunk)?;
        if ChunkHasher::hash(&span, &bytes) != self.manifest.chunk_hash(chunk) {
            held.lose();
            self.shared.note_wrong(self.library, &held.listed);
            return Err(self.lost(held, chunk));
        }
        let bytes = Arc::new(bytes);
        kept().put(chunk.get(), Arc::clone(&bytes));
        Ok(bytes)
    }

    fn fetched(&self, held: &Held, span: &ChunkSpan, chunk: ChunkIndex) -> Result<Vec<u8>, StoreError> {
        let Some(version) = held.version() else { return self.of_whole(held, span, chunk) };
        let range = span.file_offset..span.file_offset + u64::from(span.len);
        let asked = self.shared.origin.range(&self.guid, &held.listed.path, range, &version);
        let Some(answer) = self.shared.wait(&self.runtime, asked) else { return Err(self.lost(held, chunk)) };
        match answer {
            Ok((bytes, tag)) => {
                held.note_tag(tag);
                Ok(bytes)
            }
            Err(OriginError::NoRange) => self.of_whole(held, span, chunk),
            Err(error) => Err(self.failed(held, chunk, &error)),
        }
    }

    /// From the whole file, which is fetched for the first chunk of it.
    fn of_whole(&self, held: &Held, span: &ChunkSpan, chunk: ChunkIndex) -> Result<Vec<u8>, StoreError> {
        // Others that need the file wait for it.
        let mut state = held.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, HeldState::InParts(_)) {
            let (shared, guid, runtime) = (&self.shared, self.guid.as_str(), &self.runtime);
            let whole = Whole { shared, guid, file: &held.listed, runtime };
            match Spooled::fetch(&self.spool, &held.hash, &whole) {
                Ok(spooled) => *state = HeldState::Whole(spooled),
                Err(WholeError::Store(error)) => return Err(error),
                Err(WholeError::Over) => *state = HeldState::Lost,
                Err(WholeError::Wrong(_)) => {
                    *state = HeldState::Lost;
                    self.shared.note_wrong(self.library, &held.listed);
                }
                Err(WholeError::Origin(error)) => {
                    drop(state);
                    return Err(self.failed(held, chunk, &error));
                }
            }
        }
        let HeldState::Whole(spooled) = &*state else { return Err(self.lost(held, chunk)) };
        let mut bytes = vec![0; span.len as usize];
        spooled.read(span.file_offset, &mut bytes)?;
        Ok(bytes)
    }

    /// What an answer means for the file: another version, or that it is tried again later.
    fn failed(&self, held: &Held, chunk: ChunkIndex, error: &OriginError) -> StoreError {
        tracing::debug!(origin = self.shared.settings.url.as_str(), path = held.listed.path, %error, "a chunk did not come");
        if matches!(error, OriginError::Changed | OriginError::Missing(_)) {
            held.lose();
            self.shared.look.notify_one();
            return self.lost(held, chunk);
        }
        StoreError::PlaceAway { path: self.path(held) }
    }

    fn lost(&self, held: &Held, chunk: ChunkIndex) -> StoreError {
        StoreError::Changed { path: self.path(held), chunk: self.manifest.geometry().number_in_file(chunk) }
    }

    /// For messages.
    fn path(&self, held: &Held) -> PathBuf {
        Path::new(self.shared.settings.url.as_str()).join(held.listed.path.trim_start_matches('/'))
    }
}

impl Store for OriginStore {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn read(&self, chunk: ChunkIndex, offset: u32, buf: &mut [u8]) -> Result<(), StoreError> {
        let bytes = self.chunk(chunk)?;
        let part = bytes.get(offset as usize..offset as usize + buf.len());
        let part = part.ok_or(StoreError::Range { chunk: chunk.get(), offset, len: buf.len() })?;
        buf.copy_from_slice(part);
        Ok(())
    }

    fn write_chunk(&self, _chunk: ChunkIndex, _data: &[u8]) -> Result<Verdict, StoreError> {
        Err(StoreError::ReadOnlyStore)
    }

    fn keep_slice(&self, _chunk: ChunkIndex, _offset: u32, _data: &[u8]) -> Result<(), StoreError> {
        Err(StoreError::ReadOnlyStore)
    }

    fn verify_kept(&self, _chunk: ChunkIndex) -> Result<Verdict, StoreError> {
        Err(StoreError::ReadOnlyStore)
    }

    fn flush(&self) -> Result<Vec<ChunkIndex>, StoreError> {
        Ok(Vec::new())
    }

    fn finish(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
