//! Writes that bypass the page cache (`O_DIRECT`). The cache gains nothing for a long file that is synced every few seconds: each
//! byte would be copied once more, into pages that the system must find first, and useful cached data would be evicted.
//!
//! Only aligned pieces of long files are written directly, and only until the disk proves slow at it: a spinning disk does better
//! with the order that the system gives to cached writes, and is not tried again. Refused writes go through the cache. This module
//! makes nothing durable.

use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::file::File;
use super::locked;

/// Decides from past speed whether direct writes are still worthwhile.
#[derive(Debug, Default)]
pub(super) struct DirectWrites {
    meter: Mutex<Meter>,
    is_refused: AtomicBool,
}

/// Compares written bytes with the time in which at least one write was under way: writes that wait for each other do not look slow.
#[derive(Debug, Default)]
struct Meter {
    active_count: u32,
    /// The time until here has been counted.
    counted_to: Option<Instant>,
    /// Both sums are halved now and then, so that recent writes count most.
    written_len: u64,
    busy: Duration,
}

impl DirectWrites {
    /// Whether a file of this length should be written directly.
    pub(super) fn suit(&self, file_len: u64) -> bool {
        cfg!(target_os = "linux")
            && file_len >= FILE_LEN_MIN
            && !self.is_refused.load(Ordering::Relaxed)
            && !self.is_slow()
    }

    /// Stops direct writes: the file system refuses them, which costs only speed.
    pub(super) fn refuse(&self) {
        self.is_refused.store(true, Ordering::Relaxed);
    }

    /// Writes the aligned front of `data`. Returns its length, or why the file system refuses, which is no error: no byte
    /// counts as written then.
    pub(super) fn write(&self, file: &File, data: &[u8], offset: u64) -> io::Result<Result<usize, Errno>> {
        let is_aligned =
            data.as_ptr().align_offset(DIRECT_ALIGN) == 0 && offset.is_multiple_of(DIRECT_ALIGN as u64);
        let len = if is_aligned { data.len() / DIRECT_ALIGN * DIRECT_ALIGN } else { 0 };
        if len == 0 {
            return Ok(Ok(0));
        }
        locked(&self.meter).on_start(now());
        let written = file.write_all_at(&data[..len], offset);
        locked(&self.meter).on_end(now(), if written.is_ok() { len as u64 } else { 0 });
        let Err(error) = written else { return Ok(Ok(len)) };
        match Errno::from_io_error(&error) {
            // A cached write would fail by these as well.
            None | Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => Err(error),
            // The file system wants another alignment, or has no direct writes; bytes written so far are written again.
            Some(reason) => {
                self.refuse();
                Ok(Err(reason))
            }
        }
    }

    fn is_slow(&self) -> bool {
        locked(&self.meter).is_slow()
    }
}

impl Meter {
    fn on_start(&mut self, now: Instant) {
        if self.active_count == 0 {
            self.counted_to = Some(now);
        }
        self.active_count += 1;
    }

    fn on_end(&mut self, now: Instant, len: u64) {
        let counted_to = self.counted_to.replace(now).unwrap_or(now);
        self.busy += now.saturating_duration_since(counted_to);
        self.active_count = self.active_count.saturating_sub(1);
        self.written_len += len;
        if self.written_len > 4 * SAMPLE_LEN {
            (self.written_len, self.busy) = (self.written_len / 2, self.busy / 2);
        }
    }

    fn is_slow(&self) -> bool {
        self.written_len >= SAMPLE_LEN
            && u128::from(self.written_len) * 1_000_000_000 < self.busy.as_nanos() * u128::from(RATE_MIN)
    }
}

#[expect(clippy::disallowed_methods, reason = "how fast a disk is can be seen only where it is written to")]
fn now() -> Instant {
    Instant::now()
}

/// Alignment of memory, offsets and lengths, bytes: a page, and no known disk needs more.
pub const DIRECT_ALIGN: usize = 4096;
/// Shorter files have short chunks, which direct writes handle slowly one by one, and their pages are soon used again.
const FILE_LEN_MIN: u64 = 64 << 20;
/// Bytes a second below which a disk is taken for a spinning one, which profits from the system's ordering of cached writes. Chosen
/// between the known rates of both kinds; no spinning disk was at hand to measure.
const RATE_MIN: u64 = 150_000_000;
/// Bytes to write before the rate is judged.
const SAMPLE_LEN: u64 = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the disk counts as slow after writes of 1 MiB, this many, this many at once, of this duration.
    fn is_slow_after(writes: u32, at_once: u32, each: Duration) -> bool {
        let (mut meter, start) = (Meter::default(), now());
        for batch in 0..writes / at_once {
            let begin = start + each * batch;
            (0..at_once).for_each(|_| meter.on_start(begin));
            (0..at_once).for_each(|_| meter.on_end(begin + each, 1 << 20));
        }
        meter.is_slow()
    }

    #[test]
    fn a_slow_disk_is_found_out_and_a_quick_one_is_not() {
        assert!(!is_slow_after(200, 1, Duration::from_millis(1)));
        assert!(is_slow_after(200, 1, Duration::from_millis(20)));
        assert!(!is_slow_after(200, 20, Duration::from_millis(20)), "they only waited for each other");
        assert!(!is_slow_after(20, 1, Duration::from_millis(20)), "too few to tell");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn only_long_files_are_written_directly_until_that_is_refused() {
        let writes = DirectWrites::default();
        assert!(writes.suit(FILE_LEN_MIN) && !writes.suit(FILE_LEN_MIN - 1));
        writes.refuse();
        assert!(!writes.suit(FILE_LEN_MIN));
    }

    #[test]
    fn unaligned_pieces_are_left_to_cached_writes() {
        let writes = DirectWrites::default();
        let file = File::untapped(tempfile::tempfile().unwrap());
        let bytes = vec![7; 4 * DIRECT_ALIGN];
        let first = bytes.as_ptr().align_offset(DIRECT_ALIGN);
        let aligned = &bytes[first..];
        let check = |data: &[u8], offset: u64, written: usize| {
            assert_eq!(writes.write(&file, data, offset).unwrap(), Ok(written));
        };
        check(&aligned[..2 * DIRECT_ALIGN], 0, 2 * DIRECT_ALIGN);
        check(&aligned[..2 * DIRECT_ALIGN + 5], 0, 2 * DIRECT_ALIGN);
        check(&aligned[..DIRECT_ALIGN - 1], 0, 0);
        check(&aligned[1..2 * DIRECT_ALIGN], 0, 0);
        check(&aligned[..2 * DIRECT_ALIGN], 1, 0);
    }

    #[test]
    fn a_refusal_is_no_error_and_a_full_disk_is_one() {
        let bytes = vec![7; 2 * DIRECT_ALIGN];
        let aligned = &bytes[bytes.as_ptr().align_offset(DIRECT_ALIGN)..][..DIRECT_ALIGN];
        let shut = tempfile::NamedTempFile::new().unwrap();
        let writes = DirectWrites::default();
        let readable = File::untapped(std::fs::File::open(shut.path()).unwrap());
        assert_eq!(writes.write(&readable, aligned, 0).unwrap(), Err(Errno::BADF));
        assert!(!writes.suit(FILE_LEN_MIN), "it is not tried again");
        if let Ok(full) = std::fs::File::options().write(true).open("/dev/full") {
            let refused = DirectWrites::default().write(&File::untapped(full), aligned, 0).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
        }
    }
}
