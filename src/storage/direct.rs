//! Writes that pass the page cache by (`O_DIRECT`). A long file that is synced every few seconds gains nothing from the cache: each
//! byte would be copied once more, into pages that the system must find first, and whatever else was cached would have to go.
//!
//! Only aligned pieces of long files go this way, and only while the disk is quick at it: one that is slow (a spinning one) does
//! better with the order that the system gives to cached writes. Whatever refuses is written the usual way. Nothing here makes
//! anything durable.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Whether direct writes are still worth it, by how they went.
#[derive(Debug, Default)]
pub(super) struct DirectWrites {
    /// Bytes written, and the nanoseconds that took; halved now and then, so that the newest count most.
    written_len: AtomicU64,
    nanos: AtomicU64,
    is_refused: AtomicBool,
}

impl DirectWrites {
    /// Whether a file of this length should be written so.
    pub(super) fn suit(&self, file_len: u64) -> bool {
        cfg!(target_os = "linux")
            && file_len >= FILE_LEN_MIN
            && !self.is_refused.load(Ordering::Relaxed)
            && !self.is_slow()
    }

    /// The file system cannot, or not now: that costs speed and nothing else.
    pub(super) fn refuse(&self) {
        self.is_refused.store(true, Ordering::Relaxed);
    }

    /// Writes as much of the front of `data` as is aligned; returns how much, which is 0 where the file system refuses.
    pub(super) fn write(&self, file: &File, data: &[u8], offset: u64) -> io::Result<usize> {
        let is_aligned =
            data.as_ptr().align_offset(DIRECT_ALIGN) == 0 && offset.is_multiple_of(DIRECT_ALIGN as u64);
        let len = if is_aligned { data.len() / DIRECT_ALIGN * DIRECT_ALIGN } else { 0 };
        if len == 0 {
            return Ok(0);
        }
        let start = now();
        match file.write_all_at(&data[..len], offset) {
            Ok(()) => {
                self.learn(len as u64, start.elapsed());
                Ok(len)
            }
            // This file system wants another alignment, or none of it; what was written is written again.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error()) => {
                self.refuse();
                Ok(0)
            }
            Err(error) => Err(error),
        }
    }

    fn is_slow(&self) -> bool {
        let (len, nanos) = (self.written_len.load(Ordering::Relaxed), self.nanos.load(Ordering::Relaxed));
        len >= SAMPLE_LEN && len.saturating_mul(1_000_000_000) < nanos.saturating_mul(RATE_MIN)
    }

    /// Two threads may lose each other's sample, which does no harm.
    fn learn(&self, len: u64, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let sum = self.written_len.fetch_add(len, Ordering::Relaxed) + len;
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        if sum > 4 * SAMPLE_LEN {
            self.written_len.store(sum / 2, Ordering::Relaxed);
            self.nanos.store(self.nanos.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "how fast a disk is can be seen only where it is written to")]
fn now() -> Instant {
    Instant::now()
}

/// Of memory, offsets and lengths, bytes: a page, and no known disk wants more.
pub(crate) const DIRECT_ALIGN: usize = 4096;
/// Shorter files have short chunks, which are slow one by one, and their pages are soon used again.
const FILE_LEN_MIN: u64 = 64 << 20;
/// Slower than this at one write after the other, bytes per second, is a disk that profits from the system's ordering: spinning
/// ones give about 60 MB/s for chunks of 1 MiB in any order, solid ones 400 and more.
const RATE_MIN: u64 = 150_000_000;
/// Judged only after so many bytes.
const SAMPLE_LEN: u64 = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_disk_is_found_out_and_a_quick_one_is_not() {
        let quick = DirectWrites::default();
        let slow = DirectWrites::default();
        assert!(quick.suit(FILE_LEN_MIN) && !quick.suit(FILE_LEN_MIN - 1));
        for _ in 0..200 {
            quick.learn(1 << 20, Duration::from_millis(1));
            slow.learn(1 << 20, Duration::from_millis(20));
        }
        assert!(quick.suit(FILE_LEN_MIN) && !slow.suit(FILE_LEN_MIN));
    }

    #[test]
    fn what_is_not_aligned_is_left_to_the_usual_way() {
        let writes = DirectWrites::default();
        let file = tempfile::tempfile().unwrap();
        let bytes = vec![7; 4 * DIRECT_ALIGN];
        let first = bytes.as_ptr().align_offset(DIRECT_ALIGN);
        let aligned = &bytes[first..];
        let check = |data: &[u8], offset: u64, written: usize| {
            assert_eq!(writes.write(&file, data, offset).unwrap(), written);
        };
        check(&aligned[..2 * DIRECT_ALIGN], 0, 2 * DIRECT_ALIGN);
        check(&aligned[..2 * DIRECT_ALIGN + 5], 0, 2 * DIRECT_ALIGN);
        check(&aligned[..DIRECT_ALIGN - 1], 0, 0);
        check(&aligned[1..2 * DIRECT_ALIGN], 0, 0);
        check(&aligned[..2 * DIRECT_ALIGN], 1, 0);
    }
}
