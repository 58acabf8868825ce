//! Limits of stores: descriptors, buffers, journal, caches.

/// Files a store holds open at once: a content may have a hundred thousand, a process gets 1024 descriptors.
pub const OPEN_FILES_MAX: usize = 128;
/// Files of these that a store holds open a second time, for writing past the page cache.
pub const OPEN_DIRECT_FILES_MAX: usize = 16;
/// `.part` files that a store keeps open for their locks alone.
pub const PARTS_LOCKED_MAX: usize = 32;
/// Bytes a hashing thread reads at once: long enough for BLAKE3 to be fast, short enough to stay in the cache.
pub const HASH_READ_LEN: usize = 512 << 10;
/// Bytes hashed between two progress reports.
pub const PROGRESS_STEP_LEN: u64 = 16 << 20;
/// Dirty files synced one by one; beyond it one sync of the file system is quicker.
pub const SYNC_FILES_MAX: usize = 64;
/// Runs of chunks in one journal record (64 KiB of them).
pub const JOURNAL_RECORD_RUNS_MAX: usize = 8192;
/// Most space set aside for the journal's records, bytes.
pub const JOURNAL_RESERVE_LEN_MAX: u64 = 4 << 20;
/// Chunks re-hashed on resume to see whether the journal tells the truth.
pub const RESUME_SAMPLES_MAX: usize = 16;
/// Locks that keep a chunk's writers apart.
pub const CHUNK_LOCKS: usize = 64;
/// Longest index cache file that is read, bytes.
pub const CACHE_FILE_LEN_MAX: u64 = 256 << 20;
/// Index cache files kept; the oldest go first.
pub const CACHE_FILES_MAX: usize = 8192;
/// A file changed within this many nanoseconds may change again without its times showing it (FAT counts in 2 s).
pub const RACY_NANOS: i128 = 2_000_000_000;

const _: () = assert!(HASH_READ_LEN <= 2 << 20);
