//! Hashes bytes on disk in bounded pieces, as they are stored or as they are sent. Does not read holes of sparse files. Knows no stores and no paths.

use std::cell::RefCell;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::sync::atomic::{AtomicU64, Ordering};

use super::file::File;
use crate::limits::{HASH_READ_LEN, PROGRESS_STEP_LEN, RACY_NANOS};
use swarm_core::manifest::{ChunkHasher, ChunkIndex, ChunkSpan, Hash, Manifest};

/// Progress of a long hashing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashProgress {
    /// Bytes hashed.
    pub hashed_len: u64,
    /// Bytes to hash in all.
    pub total_len: u64,
}

/// Metadata that changes with every write to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) len: u64,
    pub(super) mtime_nanos: i128,
    pub(super) ctime_nanos: i128,
    pub(super) inode: u64,
    pub(super) device: u64,
}

impl Stamp {
    /// The stamp of a file that only this process writes to.
    pub(super) const OURS: Self = Self { len: 0, mtime_nanos: 0, ctime_nanos: 0, inode: 0, device: 0 };

    /// The stamp of an open file.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        Ok(Self::of_metadata(&file.metadata()?))
    }

    pub(super) fn of_metadata(metadata: &Metadata) -> Self {
        let nanos = |secs: i64, nanos: i64| i128::from(secs) * 1_000_000_000 + i128::from(nanos);
        Self {
            len: metadata.len(),
            mtime_nanos: nanos(metadata.mtime(), metadata.mtime_nsec()),
            ctime_nanos: nanos(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
            device: metadata.dev(),
        }
    }

    /// Whether the file changed so shortly before `now_nanos` (since 1970) that a further change might not show.
    pub(super) fn is_racy(&self, now_nanos: i128) -> bool {
        self.mtime_nanos.max(self.ctime_nanos) + RACY_NANOS > now_nanos
    }
}

/// Nanoseconds since 1970; zero before.
pub(super) fn nanos_of(now: std::time::SystemTime) -> i128 {
    now.duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| i128::try_from(since.as_nanos()).unwrap_or(i128::MAX))
}

/// A part of a chunk that is copied while the chunk is hashed.
pub(super) struct Copied<'a> {
    /// Bytes before the part in the chunk.
    pub(super) offset: u32,
    /// The destination of the copy.
    pub(super) buf: &'a mut [u8],
}

/// Hashes a chunk of a file, and copies a part of exactly the hashed bytes. If the file ends inside the chunk, the error is
/// [`io::ErrorKind::UnexpectedEof`].
pub(super) fn hash_chunk(file: &File, span: &ChunkSpan, copied: Option<Copied<'_>>) -> io::Result<Hash> {
    let mut hasher = ChunkHasher::new(span);
    let mut copied = copied;
    each_piece(file, span.file_offset, span.len.into(), |at, bytes| {
        hasher.update(bytes);
        if let Some(copied) = &mut copied {
            copied.take((at - span.file_offset) as usize, bytes);
        }
    })?;
    Ok(hasher.finalize())
}

/// Hashes a chunk as it is sent: sealed, if the content is sealed and was opened here.
pub(super) fn hash_as_sent(
    manifest: &Manifest,
    chunk: ChunkIndex,
    file: &File,
    copied: Option<Copied<'_>>,
) -> io::Result<Hash> {
    let span = manifest.geometry().span(chunk);
    let Some(opening) = manifest.opening() else { return hash_chunk(file, &span, copied) };
    let (mut hasher, mut copied, mut sealed) = (ChunkHasher::new(&span), copied, Vec::new());
    each_piece(file, span.file_offset, span.len.into(), |at, bytes| {
        let offset = (at - span.file_offset) as u32;
        sealed.clear();
        sealed.extend_from_slice(bytes);
        opening.seal_part(manifest, chunk, offset, &mut sealed);
        hasher.update(&sealed);
        if let Some(copied) = &mut copied {
            copied.take(offset as usize, &sealed);
        }
    })?;
    Ok(hasher.finalize())
}

/// Passes the bytes of a range in order, in pieces of at most [`HASH_READ_LEN`], each with its offset in the file.
pub(super) fn each_piece(
    file: &File,
    offset: u64,
    len: u64,
    mut take: impl FnMut(u64, &[u8]),
) -> io::Result<()> {
    let is_hole = is_hole(file, offset, len)?;
    BUFFER.with_borrow_mut(|buffer| {
        if buffer.is_empty() {
            buffer.resize(HASH_READ_LEN, 0);
        }
        if is_hole {
            let most = len.min(HASH_READ_LEN as u64) as usize;
            buffer[..most].fill(0);
        }
        let mut at = offset;
        while at < offset + len {
            let piece = &mut buffer[..(offset + len - at).min(HASH_READ_LEN as u64) as usize];
            if !is_hole {
                file.read_exact_at(piece, at)?;
            }
            take(at, piece);
            at += piece.len() as u64;
        }
        Ok(())
    })
}

impl Copied<'_> {
    fn take(&mut self, piece_start: usize, piece: &[u8]) {
        let wanted = self.offset as usize..self.offset as usize + self.buf.len();
        let start = wanted.start.max(piece_start);
        let end = wanted.end.min(piece_start + piece.len());
        if start < end {
            self.buf[start - wanted.start..end - wanted.start]
                .copy_from_slice(&piece[start - piece_start..end - piece_start]);
        }
    }
}

/// Whether a range has no data, so that it reads as zeros.
#[cfg(any(target_os = "linux", target_os = "freebsd", target_os = "macos"))]
fn is_hole(file: &File, offset: u64, len: u64) -> io::Result<bool> {
    use rustix::fs::SeekFrom;
    use rustix::io::Errno;
    match rustix::fs::seek(file, SeekFrom::Data(offset)) {
        Ok(data) => Ok(data >= offset + len && file.metadata()?.len() >= offset + len),
        // There is no data from here on: a hole, unless the file ends before.
        Err(Errno::NXIO) => Ok(file.metadata()?.len() >= offset + len),
        Err(_) => Ok(false),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "freebsd", target_os = "macos")))]
fn is_hole(_file: &File, _offset: u64, _len: u64) -> io::Result<bool> {
    Ok(false)
}

/// Counts hashed bytes of many threads and reports every [`PROGRESS_STEP_LEN`].
pub(super) struct Meter<'a> {
    hashed_len: AtomicU64,
    total_len: u64,
    report: &'a (dyn Fn(HashProgress) + Sync),
}

impl<'a> Meter<'a> {
    pub(super) fn new(total_len: u64, report: &'a (dyn Fn(HashProgress) + Sync)) -> Self {
        Self { hashed_len: AtomicU64::new(0), total_len, report }
    }

    /// Adds hashed bytes.
    pub(super) fn add(&self, len: u64) {
        let before = self.hashed_len.fetch_add(len, Ordering::Relaxed);
        let hashed_len = before + len;
        let is_step = before / PROGRESS_STEP_LEN != hashed_len / PROGRESS_STEP_LEN;
        if is_step || (hashed_len == self.total_len && len > 0) {
            (self.report)(HashProgress { hashed_len, total_len: self.total_len });
        }
    }
}

thread_local! {
    /// One for each thread: a fresh buffer for every chunk costs a fifth of the hashing time in page faults.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_core::manifest::Geometry;

    fn check_hash(len: u64, holes: bool) {
        let file = File::untapped(tempfile::tempfile().unwrap());
        file.set_len(len).unwrap();
        let data: Vec<u8> = (0..len).map(|i| if holes { 0 } else { (i * 7) as u8 }).collect();
        if !holes {
            file.write_all_at(&data, 0).unwrap();
        }
        let geometry = Geometry::new([(len, 20)]).unwrap();
        for chunk in geometry.chunks() {
            let span = geometry.span(chunk);
            let bytes = &data[span.file_offset as usize..][..span.len as usize];
            let mut buf = vec![1; span.len as usize / 2];
            let offset = span.len / 4;
            let hash = hash_chunk(&file, &span, Some(Copied { offset, buf: &mut buf })).unwrap();
            assert_eq!(hash, ChunkHasher::hash(&span, bytes));
            assert_eq!(buf, bytes[offset as usize..][..buf.len()]);
        }
        let past = Geometry::new([(len + 1, 24)]).unwrap();
        let span = past.span(past.chunk(0).unwrap());
        let cut = hash_chunk(&file, &span, None).unwrap_err();
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn chunks_on_disk_hash_as_chunks_in_memory() {
        for len in [1, 1000, 524_288, 1_048_576, 2_500_001] {
            check_hash(len, false);
            check_hash(len, true);
        }
    }
}
