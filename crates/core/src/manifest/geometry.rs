//! Where every chunk lies. Invariant: a [`ChunkIndex`] exists only for a chunk that exists; chunks tile the files in order
//! and never span two files. The content's byte space is its files one after the other.

use std::ops::Range;
use std::sync::Arc;

use crate::base::limits::{
    CHUNK_LEN_LOG2_AUTO_MAX, CHUNK_LEN_LOG2_AUTO_MIN, CHUNKS_MAX, RUN_CHUNKS_MAX, RUN_LEN_TARGET,
};

/// A chunk of one content, minted by that content's [`Geometry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkIndex(u32);

/// A file of one content, by its place in the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileIndex(u32);

/// Where one chunk lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkSpan {
    /// The file that holds it.
    pub file: FileIndex,
    /// Bytes before it in that file.
    pub file_offset: u64,
    /// Bytes before it in the content.
    pub content_offset: u64,
    /// Its length, bytes; never zero.
    pub len: u32,
    /// It is the whole file, so the file's BLAKE3 itself proves it.
    pub is_whole_file: bool,
}

/// A run of bytes that travels on one chunk stream: from an offset in one chunk, perhaps on into the next ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    first: ChunkIndex,
    offset: u32,
    len: u32,
}

/// The part of a run that lies in one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The chunk that holds it.
    pub chunk: ChunkIndex,
    /// Bytes before the piece in that chunk.
    pub offset: u32,
    /// Bytes of the piece; never zero.
    pub len: u32,
    /// Whether the piece is a whole chunk.
    pub is_whole: bool,
}

/// Lengths of files and chunks of one content. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Geometry {
    files: Arc<[FileSpan]>,
    chunk_count: u32,
    content_len: u64,
    chunk_len_max: u32,
}

#[derive(Clone, Copy, Debug)]
struct FileSpan {
    first_chunk: u32,
    content_offset: u64,
    len: u64,
    chunk_len_log2: u8,
}

impl ChunkIndex {
    /// The index as a number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl FileIndex {
    /// The index as a number.
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

impl Run {
    /// The chunk it starts in.
    pub const fn first(&self) -> ChunkIndex {
        self.first
    }

    /// Bytes before it in that chunk.
    pub const fn offset(&self) -> u32 {
        self.offset
    }

    /// Its length, bytes; never zero.
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Always false: a run has bytes. It is here because clippy asks for it beside `len`.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Geometry {
    /// Tiles files of the given `(length, chunk length as a power of two)`. `None` if there are more chunks than
    /// [`CHUNKS_MAX`] or more bytes than fit in 63 bits.
    pub fn new(files: impl IntoIterator<Item = (u64, u8)>) -> Option<Self> {
        let (mut chunk_count, mut content_len) = (0u32, 0u64);
        let mut spans = Vec::new();
        for (len, chunk_len_log2) in files {
            spans.push(FileSpan {
                first_chunk: chunk_count,
                content_offset: content_len,
                len,
                chunk_len_log2,
            });
            let chunks = chunk_count_for(len, chunk_len_log2);
            chunk_count = u32::try_from(chunks.checked_add(chunk_count.into())?).ok()?;
            content_len = content_len.checked_add(len).filter(|&len| i64::try_from(len).is_ok())?;
            if chunk_count > CHUNKS_MAX {
                return None;
            }
        }
        let lens = spans.iter().map(|file: &FileSpan| file.len.min(1 << file.chunk_len_log2) as u32);
        let chunk_len_max = lens.max().unwrap_or(0);
        Some(Self { files: spans.into(), chunk_count, content_len, chunk_len_max })
    }

    /// Mints an index, if there is such a chunk.
    pub fn chunk(&self, index: u32) -> Option<ChunkIndex> {
        (index < self.chunk_count).then_some(ChunkIndex(index))
    }

    /// Mints a file index, if there is such a file.
    pub fn file(&self, index: usize) -> Option<FileIndex> {
        (index < self.files.len()).then_some(FileIndex(index as u32))
    }

    /// Mints a run, if its bytes exist and it is no longer than a run may be.
    pub fn run(&self, first: u32, offset: u32, len: u32) -> Option<Run> {
        let first = self.chunk(first)?;
        let span = self.span(first);
        if len == 0 || offset >= span.len {
            return None;
        }
        let end = span.content_offset + u64::from(offset) + u64::from(len);
        if end > self.content_len {
            return None;
        }
        let last = self.chunk_at(end - 1)?;
        let within_one = last == first;
        let short = len <= RUN_LEN_TARGET && last.0 - first.0 < RUN_CHUNKS_MAX;
        (within_one || short).then_some(Run { first, offset, len })
    }

    /// The parts of a run, chunk by chunk.
    pub fn pieces(&self, run: Run) -> impl Iterator<Item = Piece> + '_ {
        let (mut index, mut offset, mut left) = (run.first.0, run.offset, run.len);
        std::iter::from_fn(move || {
            let chunk = self.chunk(index).filter(|_| left > 0)?;
            let chunk_len = self.span(chunk).len;
            let len = left.min(chunk_len - offset);
            let piece = Piece { chunk, offset, len, is_whole: len == chunk_len };
            (index, offset, left) = (index + 1, 0, left - len);
            Some(piece)
        })
    }

    /// Where a chunk lies.
    pub fn span(&self, chunk: ChunkIndex) -> ChunkSpan {
        let file = self.files.partition_point(|file| file.first_chunk <= chunk.0) - 1;
        let span = &self.files[file];
        let file_offset = u64::from(chunk.0 - span.first_chunk) << span.chunk_len_log2;
        let len = (span.len - file_offset).min(1 << span.chunk_len_log2) as u32;
        ChunkSpan {
            file: FileIndex(file as u32),
            file_offset,
            content_offset: span.content_offset + file_offset,
            len,
            is_whole_file: u64::from(len) == span.len,
        }
    }

    /// Length of a chunk, bytes.
    pub fn chunk_len(&self, chunk: ChunkIndex) -> u32 {
        self.span(chunk).len
    }

    /// All chunks, rising.
    pub fn chunks(&self) -> impl Iterator<Item = ChunkIndex> + use<> {
        (0..self.chunk_count).map(ChunkIndex)
    }

    /// The chunks of one file.
    pub fn file_chunks(&self, file: FileIndex) -> impl Iterator<Item = ChunkIndex> + use<> {
        self.file_chunk_range(file).map(ChunkIndex)
    }

    /// The chunk's number in its file, from 0: the number that messages to people name.
    pub fn number_in_file(&self, chunk: ChunkIndex) -> u32 {
        chunk.get() - self.file_chunk_range(self.span(chunk).file).start
    }

    /// The chunks of one file, as numbers.
    pub fn file_chunk_range(&self, file: FileIndex) -> Range<u32> {
        let end = self.files.get(file.get() + 1).map_or(self.chunk_count, |next| next.first_chunk);
        self.files[file.get()].first_chunk..end
    }

    /// Length of a file, bytes.
    pub fn file_len(&self, file: FileIndex) -> u64 {
        self.files[file.get()].len
    }

    /// How many chunks there are.
    pub fn chunk_count(&self) -> u32 {
        self.chunk_count
    }

    /// How many files there are.
    pub fn file_count(&self) -> usize {
        self.files.len()
    }

    /// Bytes of all files.
    pub fn content_len(&self) -> u64 {
        self.content_len
    }

    /// The longest chunk, bytes; zero if there is none.
    pub fn chunk_len_max(&self) -> u32 {
        self.chunk_len_max
    }

    /// The usual length of a chunk, bytes, rounded up; one if there is none.
    pub fn chunk_len_mean(&self) -> u64 {
        self.content_len.div_ceil(u64::from(self.chunk_count.max(1))).max(1)
    }

    /// The chunk that holds the byte at this place of the content, and the place of the byte in it; `None` at the end.
    pub fn position(&self, content_offset: u64) -> Option<(ChunkIndex, u32)> {
        let chunk = self.chunk_at(content_offset)?;
        let within = content_offset - self.span(chunk).content_offset;
        Some((chunk, u32::try_from(within).ok()?))
    }

    fn chunk_at(&self, content_offset: u64) -> Option<ChunkIndex> {
        let file = self.files.partition_point(|f| f.content_offset <= content_offset).checked_sub(1)?;
        let span = &self.files[file];
        let within = content_offset - span.content_offset;
        self.chunk(span.first_chunk + (within >> span.chunk_len_log2) as u32)
    }
}

/// Chunk length for a file, as a power of two: about 2048 chunks a file, between 1 and 8 MiB.
pub fn auto_chunk_len_log2(file_len: u64) -> u8 {
    let chunk_len = (file_len / 2048).checked_next_power_of_two().unwrap_or(1 << 63);
    (chunk_len.trailing_zeros() as u8).clamp(CHUNK_LEN_LOG2_AUTO_MIN, CHUNK_LEN_LOG2_AUTO_MAX)
}

/// Number of chunks in a file of `len` bytes.
pub fn chunk_count_for(len: u64, chunk_len_log2: u8) -> u64 {
    len.div_ceil(1 << chunk_len_log2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn geometries() -> impl Strategy<Value = Geometry> {
        let file = (prop_oneof![Just(0u64), 1..100_000u64, 1_000_000..5_000_000u64], 14u8..=22);
        prop::collection::vec(file, 0..20)
            .prop_map(|files| Geometry::new(files).expect("20 small files are within every limit"))
    }

    proptest! {
        #[test]
        fn chunks_tile_the_content_in_order(geometry in geometries()) {
            let mut at = 0;
            for chunk in geometry.chunks() {
                let span = geometry.span(chunk);
                prop_assert_eq!(span.content_offset, at);
                prop_assert!(span.len > 0);
                prop_assert!(span.file_offset + u64::from(span.len) <= geometry.file_len(span.file));
                prop_assert!(geometry.file_chunk_range(span.file).contains(&chunk.get()));
                prop_assert_eq!(span.is_whole_file, geometry.file_chunks(span.file).count() == 1);
                at += u64::from(span.len);
            }
            prop_assert_eq!(at, geometry.content_len());
            prop_assert_eq!(geometry.chunk(geometry.chunk_count()), None);
        }

        #[test]
        fn pieces_of_a_run_are_its_bytes(geometry in geometries(), first in 0u32..40, offset in 0u32..2_000_000, len in 0u32..6_000_000) {
            let Some(run) = geometry.run(first, offset, len) else { return Ok(()) };
            let start = geometry.span(run.first()).content_offset + u64::from(offset);
            let mut at = start;
            for piece in geometry.pieces(run) {
                let span = geometry.span(piece.chunk);
                prop_assert_eq!(span.content_offset + u64::from(piece.offset), at);
                prop_assert!(piece.len > 0 && piece.offset + piece.len <= span.len);
                prop_assert_eq!(piece.is_whole, piece.len == span.len);
                at += u64::from(piece.len);
            }
            prop_assert_eq!(at - start, u64::from(len));
        }
    }

    #[test]
    fn a_run_that_does_not_exist_is_not_minted() {
        let geometry = Geometry::new([(100, 14), (0, 14), (40_000, 14)]).expect("three small files");
        assert_eq!(geometry.chunk_count(), 4);
        assert!(geometry.run(0, 0, 100 + 40_000).is_some());
        for (first, offset, len) in [
            (0, 0, 0),
            (0, 100, 1),
            (0, 0, 40_101),
            (4, 0, 1),
            (3, 0, u32::MAX),
            (u32::MAX, u32::MAX, u32::MAX),
        ] {
            assert!(geometry.run(first, offset, len).is_none(), "{first} {offset} {len}");
        }
    }

    #[test]
    fn chunk_lengths_follow_the_file() {
        for (len, log2) in
            [(0, 20), (1 << 20, 20), (2 << 30, 20), (4 << 30, 21), (10_000_000_000, 23), (u64::MAX, 23)]
        {
            assert_eq!(auto_chunk_len_log2(len), log2, "{len}");
        }
    }

    #[test]
    fn too_many_chunks_or_bytes_are_refused() {
        assert!(Geometry::new([(u64::from(CHUNKS_MAX) << 14, 14)]).is_some());
        assert!(Geometry::new([((u64::from(CHUNKS_MAX) << 14) + 1, 14)]).is_none());
        assert!(Geometry::new([(u64::MAX, 24), (u64::MAX, 24)]).is_none());
    }
}
