//! A content's chunks as a page keeps them: what is verified, what is durable, and the record of it. Invariant: a chunk is verified only
//! after its bytes were hashed here, and durable only after a flush that began later.

use std::collections::{BTreeSet, VecDeque};

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::effect::{Effect, FileToStore};
use crate::limits::CHUNKS_CACHED_MAX;
use swarm_core::base::{Bitfield, ContentId};
use swarm_core::manifest::{ChunkHasher, ChunkIndex, Manifest};

#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) manifest: Manifest,
    pub(crate) is_open: bool,
    verified: Bitfield,
    /// Verified since the last flush began.
    fresh: Vec<ChunkIndex>,
    /// What the flush that is under way makes durable.
    flushing: Vec<ChunkIndex>,
    /// Chunks that were kept in parts and are being read back: what comes of them meanwhile must not reach the disk.
    verifying: BTreeSet<ChunkIndex>,
    /// Verified bytes to serve from, newest last.
    cached: VecDeque<(ChunkIndex, Bytes)>,
}

impl Content {
    pub(crate) fn new(manifest: Manifest) -> Self {
        let verified = Bitfield::new(manifest.geometry().chunk_count());
        let (fresh, flushing, cached) = (Vec::new(), Vec::new(), VecDeque::new());
        Self { manifest, is_open: false, verified, fresh, flushing, verifying: BTreeSet::new(), cached }
    }

    /// The order to open its storage.
    pub(crate) fn to_store(&self) -> Effect {
        let files = self.manifest.files().iter();
        let files = files.map(|file| FileToStore { path: file.path.as_str().to_owned(), len: file.len });
        Effect::Store { content: self.manifest.id(), name: self.manifest.name(), files: files.collect() }
    }

    /// Its storage is open, and gave back what the last flush recorded. Returns the chunks that are there.
    pub(crate) fn open(&mut self, record: &[u8]) -> Bitfield {
        self.is_open = true;
        self.verified = read_record(self.manifest.id(), self.verified.len(), record);
        self.verified.clone()
    }

    /// Its storage is open, and every byte is there as its owner says. Each chunk is still checked when it is served.
    pub(crate) fn open_whole(&mut self) -> Bitfield {
        self.is_open = true;
        self.verified = Bitfield::full(self.verified.len());
        self.verified.clone()
    }

    /// Checks a whole chunk; one that is right is kept to be served from.
    pub(crate) fn check(&mut self, chunk: ChunkIndex, bytes: Bytes) -> bool {
        let span = self.manifest.geometry().span(chunk);
        let is_right = bytes.len() == span.len as usize
            && ChunkHasher::hash(&span, &bytes) == self.manifest.chunk_hash(chunk);
        if is_right {
            if self.cached.len() >= CHUNKS_CACHED_MAX {
                self.cached.pop_front();
            }
            self.cached.push_back((chunk, bytes));
        }
        is_right
    }

    pub(crate) fn is_verified(&self, chunk: ChunkIndex) -> bool {
        self.verified.contains(chunk.get())
    }

    /// A chunk is being read back.
    pub(crate) fn verify(&mut self, chunk: ChunkIndex) {
        self.verifying.insert(chunk);
    }

    /// It was.
    pub(crate) fn has_verified(&mut self, chunk: ChunkIndex) {
        self.verifying.remove(&chunk);
    }

    /// Whether a part of a chunk may be written, unchecked: not over bytes that were checked, or are being checked.
    pub(crate) fn takes_parts(&self, chunk: ChunkIndex) -> bool {
        !self.is_verified(chunk) && !self.verifying.contains(&chunk)
    }

    /// A chunk is written that was checked.
    pub(crate) fn on_verified(&mut self, chunk: ChunkIndex) {
        if self.verified.insert(chunk.get()) {
            self.fresh.push(chunk);
        }
    }

    /// A chunk is not what it was.
    pub(crate) fn on_lost(&mut self, chunk: ChunkIndex) {
        self.verified.remove(chunk.get());
        self.fresh.retain(|fresh| *fresh != chunk);
    }

    /// Verified bytes that are in memory.
    pub(crate) fn cached(&self, chunk: ChunkIndex) -> Option<&Bytes> {
        self.cached.iter().find(|(cached, _)| *cached == chunk).map(|(_, bytes)| bytes)
    }

    /// The order to write bytes of a chunk.
    pub(crate) fn write(&self, chunk: ChunkIndex, offset: u32, bytes: Bytes) -> Effect {
        let span = self.manifest.geometry().span(chunk);
        let file = span.file.get() as u32;
        Effect::Write {
            content: self.manifest.id(),
            file,
            offset: span.file_offset + u64::from(offset),
            bytes,
        }
    }

    /// The order to make durable what is verified by now.
    pub(crate) fn flush(&mut self) -> Effect {
        self.flushing.append(&mut self.fresh);
        Effect::Flush { content: self.manifest.id(), record: record(self.manifest.id(), &self.verified) }
    }

    /// What the flush made durable.
    pub(crate) fn flushed(&mut self) -> Vec<ChunkIndex> {
        std::mem::take(&mut self.flushing)
    }
}

/// A record: its version, the content, and a bit for each chunk that is there; then the first 4 bytes of the BLAKE3 of all that.
fn record(content: ContentId, chunks: &Bitfield) -> Bytes {
    let mut bits = vec![0u8; chunks.len().div_ceil(8) as usize];
    for chunk in chunks.iter() {
        bits[chunk as usize / 8] |= 1 << (chunk % 8);
    }
    let mut record = BytesMut::with_capacity(1 + 32 + bits.len() + 4);
    record.put_u8(RECORD_VERSION);
    record.put_slice(content.as_bytes());
    record.put_slice(&bits);
    let sum = blake3::hash(&record);
    record.put_slice(&sum.as_bytes()[..4]);
    record.freeze()
}

/// The chunks that a record says are there; none if it is of another content or damaged.
fn read_record(content: ContentId, chunk_count: u32, record: &[u8]) -> Bitfield {
    let mut chunks = Bitfield::new(chunk_count);
    let Some((head, sum)) = record.split_last_chunk::<4>() else { return chunks };
    let is_whole = blake3::hash(head).as_bytes().starts_with(sum);
    let bits = head.strip_prefix(&[RECORD_VERSION]).and_then(|rest| rest.strip_prefix(content.as_bytes()));
    let Some(bits) = bits.filter(|bits| is_whole && bits.len() == chunk_count.div_ceil(8) as usize) else {
        return chunks;
    };
    for chunk in 0..chunk_count {
        if bits[chunk as usize / 8] >> (chunk % 8) & 1 == 1 {
            chunks.insert(chunk);
        }
    }
    chunks
}

const RECORD_VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_that_is_read_back_takes_no_parts_meanwhile() {
        let file = swarm_core::manifest::File {
            path: swarm_core::manifest::EntryPath::new("film").expect("a name"),
            len: 3,
            executable: false,
            blake3: *blake3::hash(b"abc").as_bytes(),
            sha256: None,
            chunk_len_log2: 0,
            chunk_hashes: Bytes::new(),
        };
        let mut content = Content::new(Manifest::new(vec![file], Vec::new()).expect("it adds up"));
        let chunk = content.manifest.geometry().chunk(0).expect("it has one");
        assert!(content.takes_parts(chunk));
        content.verify(chunk);
        assert!(!content.takes_parts(chunk));
        content.has_verified(chunk);
        assert!(content.takes_parts(chunk) && !content.check(chunk, Bytes::from_static(b"abd")));
        assert!(content.check(chunk, Bytes::from_static(b"abc")));
        content.on_verified(chunk);
        assert!(!content.takes_parts(chunk));
    }

    #[test]
    fn a_record_gives_back_its_chunks_and_nothing_if_it_is_damaged_or_of_another_content() {
        let (one, other) = (ContentId::from_bytes([1; 32]), ContentId::from_bytes([2; 32]));
        let mut chunks = Bitfield::new(19);
        for chunk in [0, 7, 8, 18] {
            chunks.insert(chunk);
        }
        let record = record(one, &chunks);
        assert_eq!(read_record(one, 19, &record), chunks);
        assert!(read_record(other, 19, &record).is_empty());
        assert!(read_record(one, 30, &record).is_empty());
        assert!(read_record(one, 19, &[]).is_empty());
        for at in 0..record.len() {
            let mut damaged = record.to_vec();
            damaged[at] ^= 4;
            assert!(read_record(one, 19, &damaged).is_empty(), "byte {at}");
        }
    }
}
