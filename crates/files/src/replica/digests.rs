//! Digests that a caller wants of each content that is read whole, beside its BLAKE3. Invariant: they come from the very bytes that were
//! hashed, in one pass over them. Where nobody wants them, nothing here runs.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroU64;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use blake3::hazmat::HasherExt as _;
use sha2::{Digest as _, Sha256};
use swarm_core::manifest::{Hash, combine_chunk_values, content_chunk_len_log2, regroup_chunk_values};
use swarm_sync::{ContentHash, ContentSource, FileContent, ReplicaError, TreePath};

use super::again::changed;
use super::chunk_values::{CHUNK_LEN_LOG2, ChunkValues};
use super::delta::source::{PART_LEN, Part};
use crate::locked;

/// What a replica tells of the contents that it reads whole.
pub trait Digests: Send + Sync {
    /// A file had this content between two equal looks at it. Called from hashing threads, again for each file and each time.
    fn note(&self, content: &FileContent, digest: Digest);
}

/// What proves a content beside its BLAKE3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Of all bytes.
    pub sha256: Hash,
    /// 32 bytes for each chunk of [`content_chunk_len_log2`]; empty if the content has at most one chunk.
    pub chunk_hashes: Vec<u8>,
}

/// Hashes a content from its start to its end in one thread.
pub(super) struct Pass {
    len: u64,
    /// Zero if there is at most one chunk.
    log2: u8,
    at: u64,
    values: Vec<Hash>,
    chunk: blake3::Hasher,
    sha256: Sha256,
}

impl Pass {
    /// Of a file of this length.
    pub(super) fn new(len: u64) -> Self {
        let log2 = content_chunk_len_log2(len);
        let (chunk, sha256) = (blake3::Hasher::new(), Sha256::new());
        Self { len, log2, at: 0, values: Vec::new(), chunk, sha256 }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.is_at_a_start() {
                self.chunk = blake3::Hasher::new();
                self.chunk.set_input_offset(self.at);
            }
            let (part, next) = rest.split_at(self.chunk_rest().min(rest.len()));
            self.chunk.update(part);
            self.at += part.len() as u64;
            rest = next;
            if self.is_at_a_start() {
                self.values.push(self.chunk.finalize_non_root());
            }
        }
    }

    /// `None` if the bytes were not as many as were said.
    pub(super) fn finish(mut self) -> Option<(ContentHash, Digest)> {
        if self.at != self.len {
            return None;
        }
        let hash = if self.log2 == 0 {
            self.chunk.finalize().into()
        } else {
            if !self.is_at_a_start() {
                self.values.push(self.chunk.finalize_non_root());
            }
            combine_chunk_values(self.len, self.log2, &self.values)?
        };
        let (sha256, chunk_hashes) = (self.sha256.finalize().into(), self.values.concat());
        Some((ContentHash(hash), Digest { sha256, chunk_hashes }))
    }

    fn chunk_rest(&self) -> usize {
        if self.log2 == 0 {
            return usize::MAX;
        }
        let chunk_len = 1 << self.log2;
        usize::try_from(chunk_len - self.at % chunk_len).unwrap_or(usize::MAX)
    }

    /// Whether the next byte begins a chunk, of several.
    fn is_at_a_start(&self) -> bool {
        self.log2 > 0 && self.at.is_multiple_of(1 << self.log2)
    }
}

/// Reads a content whole, in one pass that proves it, too.
///
/// # Errors
/// [`ReplicaError::Changed`] if it has other bytes.
pub fn digest_of_source(
    source: &mut dyn ContentSource,
    path: &TreePath,
    content: &FileContent,
) -> Result<Digest, ReplicaError> {
    let (mut pass, mut buf, mut offset) = (Pass::new(content.len), vec![0; PART_LEN], 0);
    while offset < content.len {
        let left = usize::try_from(content.len - offset).map_or(buf.len(), |left| left.min(buf.len()));
        match source.read_at(offset, &mut buf[..left])? {
            0 => break,
            len => {
                pass.update(&buf[..len]);
                offset += len as u64;
            }
        }
    }
    let proven = pass.finish().filter(|(hash, _)| *hash == content.hash);
    proven.map(|(_, digest)| digest).ok_or_else(|| changed(path))
}

/// The digest of a long file whose values are known.
pub(super) fn digest_of_values(len: u64, values: &ChunkValues, sha256: Hash) -> Option<Digest> {
    let values = regroup_chunk_values(len, CHUNK_LEN_LOG2, content_chunk_len_log2(len), values.all())?;
    Some(Digest { sha256, chunk_hashes: values.concat() })
}

/// Parts of a long file on their way from the threads that read them, in any order, to the one that needs them in their order. Invariant: at
/// most [`AHEAD_PARTS_MAX`] of them wait, and the next one never has to.
pub(super) struct InOrder {
    state: Mutex<Waiting>,
    moved: Condvar,
}

#[derive(Default)]
struct Waiting {
    parts: BTreeMap<u64, Part>,
    next: u64,
    is_closed: bool,
}

/// The promise of a part, or of all. If it is broken, all that wait are let go: what is not there does not come any more.
pub(super) struct Promise<'a> {
    parts: &'a InOrder,
    is_kept: bool,
}

impl InOrder {
    pub(super) fn new() -> Self {
        Self { state: Mutex::default(), moved: Condvar::new() }
    }

    pub(super) fn promise(&self) -> Promise<'_> {
        Promise { parts: self, is_kept: false }
    }

    fn put(&self, at: u64, part: Part) {
        let number = at / PART_LEN as u64;
        let mut state = locked(&self.state);
        while number >= state.next + AHEAD_PARTS_MAX && !state.is_closed {
            state = self.wait(state);
        }
        state.parts.insert(number, part);
        self.moved.notify_all();
    }

    /// SHA-256 of all parts, when the last one has come; `None` if they are not so many bytes.
    pub(super) fn sha256(&self, len: u64) -> Option<Hash> {
        let (mut hasher, mut left) = (Sha256::new(), NonZeroU64::new(len));
        while let Some(rest) = left {
            let part = self.take()?;
            hasher.update(part.bytes());
            left = NonZeroU64::new(rest.get().checked_sub(part.bytes().len() as u64)?);
        }
        Some(hasher.finalize().into())
    }

    fn take(&self) -> Option<Part> {
        let mut state = locked(&self.state);
        loop {
            let next = state.next;
            if let Some(part) = state.parts.remove(&next) {
                state.next += 1;
                self.moved.notify_all();
                return Some(part);
            }
            if state.is_closed {
                return None;
            }
            state = self.wait(state);
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, Waiting>) -> MutexGuard<'a, Waiting> {
        self.moved.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Promise<'_> {
    /// Hands over the part at an offset. Waits while it is too far ahead.
    pub(super) fn put(mut self, at: u64, part: Part) {
        self.parts.put(at, part);
        self.is_kept = true;
    }
}

impl Drop for Promise<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            locked(&self.parts.state).is_closed = true;
            self.parts.moved.notify_all();
        }
    }
}

/// Runs `read`, which hands over the parts of a file of this length, beside a thread that computes the SHA-256 of them.
pub(super) fn with_sha256<T, E>(
    len: u64,
    read: impl FnOnce(&InOrder) -> Result<T, E>,
    no_thread: impl FnOnce(io::Error) -> E,
) -> Result<(T, Option<Hash>), E> {
    let parts = InOrder::new();
    std::thread::scope(|scope| {
        let all = parts.promise();
        let started = std::thread::Builder::new().name("sha-256".into());
        let hashing = started.spawn_scoped(scope, || parts.sha256(len)).map_err(no_thread)?;
        let done = read(&parts);
        drop(all);
        let sha256 = hashing.join().ok().flatten();
        done.map(|done| (done, sha256))
    })
}

/// SHA-256 takes one core, so it is behind the others: 32 MiB of parts are memory that no reader waits for.
const AHEAD_PARTS_MAX: u64 = 8;
