//! Limits of stores: descriptors, buffers, journal, caches.

/// Files that a store holds open at once: a content may have a hundred thousand, a process often gets 1024 descriptors.
pub const OPEN_FILES_MAX: usize = 128;
/// Files that a store also holds open for direct writes.
pub const OPEN_DIRECT_FILES_MAX: usize = 16;
/// Files that a store over gathered places holds open: there is one for each commit of a library.
pub const OPEN_GATHERED_FILES_MAX: usize = 16;
/// A fetch into a folder of its own packs files up to this length into one, bytes.
pub const PACKED_FILE_LEN_MAX: u64 = 64 << 10;
/// `.part` files that a store keeps open only for their locks.
pub const PARTS_LOCKED_MAX: usize = 32;
/// Bytes of one read of a hashing thread: enough for BLAKE3 to be fast, few enough to stay in the processor's cache.
pub const HASH_READ_LEN: usize = 512 << 10;
/// Bytes hashed between two progress reports.
pub const PROGRESS_STEP_LEN: u64 = 16 << 20;
/// Dirty files up to which each is synced by itself; above, one sync of the file system is faster.
pub const SYNC_FILES_MAX: usize = 64;
/// Runs of chunks in one journal record (64 KiB).
pub const JOURNAL_RECORD_RUNS_MAX: usize = 8192;
/// Most space allocated for the journal's records, bytes.
pub const JOURNAL_RESERVE_LEN_MAX: u64 = 4 << 20;
/// Chunks that a resume hashes to test the journal.
pub const RESUME_SAMPLES_MAX: usize = 16;
/// Locks that keep a chunk's writers apart; chunks share them.
pub const CHUNK_LOCKS: usize = 64;
/// Longest index cache file that is read, bytes.
pub const CACHE_FILE_LEN_MAX: u64 = 256 << 20;
/// Index cache files kept; the oldest are removed first.
pub const CACHE_FILES_MAX: usize = 8192;
/// Nanoseconds within which a second change of a file may leave its times unchanged (FAT counts in 2 s).
pub const RACY_NANOS: i128 = 2_000_000_000;

const _: () = assert!(HASH_READ_LEN <= 2 << 20);
