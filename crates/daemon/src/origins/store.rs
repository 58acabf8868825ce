//! A content as an origin has it: a chunk is asked for when somebody reads it. Invariant: a chunk is given out only if its hash in the manifest
//! proves it; a file of which a wrong chunk came is not asked for again; no lock is held while it is waited for the origin. Nothing is written.
//! Blocking.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use swarm_core::manifest::{ChunkHasher, ChunkIndex, ChunkSpan, Manifest};
use swarm_files::{Store, StoreError, Verdict};
use swarm_library::LibraryKey;
use swarm_node::Throttle;
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
    /// Limits of whole files that come; chunks are limited where they arrive.
    pub(super) down: [Throttle; 2],
    /// Files were lost: what the origin lists is to be offered anew.
    pub(super) has_lost: Arc<AtomicBool>,
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

#[derive(Clone)]
enum HeldState {
    /// Chunks are asked for, of this version.
    InParts(Version),
    /// It comes whole: who needs a chunk tries again.
    Coming,
    /// It came whole.
    Whole(Arc<Spooled>),
    /// Nothing of it is asked for any more, until it is offered anew.
    Lost,
}

/// A file that comes whole. Unless it is told what becomes of it, it is asked for anew.
struct Coming<'a> {
    held: &'a Held,
    next: HeldState,
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        *self.held.locked() = self.next.clone();
    }
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

    fn state(&self) -> HeldState {
        self.locked().clone()
    }

    fn note_tag(&self, named: Option<String>) {
        if let (HeldState::InParts(version), Some(_)) = (&mut *self.locked(), &named) {
            version.tag = named;
        }
    }

    /// Takes the file up to fetch it whole; `None` if somebody does, or did.
    fn begin(&self) -> Option<Coming<'_>> {
        let mut state = self.locked();
        let HeldState::InParts(_) = &*state else { return None };
        let next = std::mem::replace(&mut *state, HeldState::Coming);
        Some(Coming { held: self, next })
    }

    fn locked(&self) -> MutexGuard<'_, HeldState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
            self.shared.note_wrong(self.library, &held.listed);
            return Err(self.lose(held, chunk));
        }
        let bytes = Arc::new(bytes);
        kept().put(chunk.get(), Arc::clone(&bytes));
        Ok(bytes)
    }

    fn fetched(&self, held: &Held, span: &ChunkSpan, chunk: ChunkIndex) -> Result<Vec<u8>, StoreError> {
        let version = match held.state() {
            HeldState::InParts(version) => version,
            HeldState::Whole(spooled) => return part_of(&spooled, span),
            HeldState::Coming => return Err(StoreError::PlaceAway { path: self.path(held) }),
            HeldState::Lost => return Err(self.lost(held, chunk)),
        };
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
        let Some(mut coming) = held.begin() else {
            return match held.state() {
                HeldState::Whole(spooled) => part_of(&spooled, span),
                HeldState::Lost => Err(self.lost(held, chunk)),
                HeldState::InParts(_) | HeldState::Coming => {
                    Err(StoreError::PlaceAway { path: self.path(held) })
                }
            };
        };
        let (shared, guid, runtime) = (&*self.shared, self.guid.as_str(), &self.runtime);
        let whole = Whole { shared, guid, file: &held.listed, down: &self.down, runtime };
        match Spooled::fetch(&self.spool, &held.hash, &whole) {
            Ok(spooled) => {
                let spooled = Arc::new(spooled);
                coming.next = HeldState::Whole(Arc::clone(&spooled));
                drop(coming);
                part_of(&spooled, span)
            }
            Err(WholeError::Store(error)) => Err(error),
            Err(WholeError::Over) => Err(self.lost(held, chunk)),
            Err(WholeError::Wrong(_)) => {
                drop(coming);
                self.shared.note_wrong(self.library, &held.listed);
                Err(self.lose(held, chunk))
            }
            Err(WholeError::Origin(error)) => {
                drop(coming);
                Err(self.failed(held, chunk, &error))
            }
        }
    }

    /// What an answer means for the file: another version, or that it is tried again later.
    fn failed(&self, held: &Held, chunk: ChunkIndex, error: &OriginError) -> StoreError {
        tracing::debug!(origin = self.shared.settings.url.as_str(), path = held.listed.path, %error, "a chunk did not come");
        if matches!(error, OriginError::Changed | OriginError::Missing(_)) {
            self.shared.look.notify_one();
            return self.lose(held, chunk);
        }
        StoreError::PlaceAway { path: self.path(held) }
    }

    /// Nothing of a file is asked for any more.
    fn lose(&self, held: &Held, chunk: ChunkIndex) -> StoreError {
        *held.locked() = HeldState::Lost;
        self.has_lost.store(true, Ordering::Relaxed);
        self.lost(held, chunk)
    }

    fn lost(&self, held: &Held, chunk: ChunkIndex) -> StoreError {
        StoreError::Changed { path: self.path(held), chunk: self.manifest.geometry().number_in_file(chunk) }
    }

    /// For messages.
    fn path(&self, held: &Held) -> PathBuf {
        Path::new(self.shared.settings.url.as_str()).join(held.listed.path.trim_start_matches('/'))
    }
}

fn part_of(spooled: &Spooled, span: &ChunkSpan) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![0; span.len as usize];
    spooled.read(span.file_offset, &mut bytes)?;
    Ok(bytes)
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
