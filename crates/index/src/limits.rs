//! Limits of an index.

use std::time::Duration;

/// Kept texts in total, in bytes. Beyond it the ones that were kept longest ago are dropped: a merge that wants one of them becomes a
/// question to the user.
pub const TEXTS_LEN_MAX: u64 = 256 << 20;

/// Page cache of the connection that writes, in KiB. A bulk load in path order needs little of it, changes at random places much.
pub(crate) const WRITER_CACHE_KIB: i64 = 32 << 10;
/// The same where one process has many indices.
pub(crate) const SMALL_WRITER_CACHE_KIB: i64 = 12 << 10;
/// Page cache of a connection to the memory of a library, in KiB. A daemon has several for each library.
pub(crate) const BOOK_CACHE_KIB: i64 = 4 << 10;
/// Page cache of a connection that reads in order, in KiB: no page is wanted twice.
pub(crate) const READER_CACHE_KIB: i64 = 2 << 10;
/// Rows that one search of the view looks at: some tenths of a second.
pub(crate) const SEARCHED_AT_ONCE: usize = 1 << 18;
/// Rows that a cursor reads at once. Between two such pages the cursor holds no snapshot, so the log can be emptied meanwhile.
pub(crate) const PAGE_ROWS: usize = 2048;
/// Pages of the log after which it is written back: 16 MiB, so that a bulk load syncs the main file seldom.
pub(crate) const LOG_PAGES: i64 = 4096;
/// What is left of the log's file after a big transaction, in bytes.
pub(crate) const LOG_LEN_KEPT: i64 = 64 << 20;
/// How long to wait for another process that writes: its longest transaction is the first agreement of a big pair.
pub(crate) const WRITER_WAIT: Duration = Duration::from_secs(60);
/// Prepared statements that are kept: all that there are.
pub(crate) const STATEMENTS: usize = 64;
