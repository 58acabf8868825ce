//! Reads a file from its start to its end in parts, past the page cache where that pays: for a long cold file the system spends more time
//! on finding pages for it than on anything else here, and what it evicts for them was wanted by somebody.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::sync::mpsc::SyncSender;

use rustix::fs::OFlags;
use rustix::io::{Errno, IoSliceMut, ReadWriteFlags, preadv2};

use crate::direct::DIRECT_ALIGN;

/// A file that is read once, from start to end.
pub(in crate::replica) struct Source<'a> {
    cached: &'a File,
    /// The same file, open past the cache; `None` where that does not pay or is refused.
    direct: Option<File>,
}

/// Bytes in memory that is aligned for direct reads.
pub(in crate::replica) struct Part {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl<'a> Source<'a> {
    /// A file that may be in the cache: somebody just wrote it.
    pub(in crate::replica) fn of_file(file: &'a File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        let is_cold = len >= DIRECT_LEN_MIN && is_cold(file, len);
        Ok(Self { cached: file, direct: if is_cold { open_direct(file) } else { None } })
    }

    /// A clone that was just made. The cache has none of it, since it belongs to files, not to the blocks that they share.
    pub(super) fn of_clone(file: &'a File) -> io::Result<Self> {
        let is_long = file.metadata()?.len() >= DIRECT_LEN_MIN;
        Ok(Self { cached: file, direct: if is_long { open_direct(file) } else { None } })
    }

    /// Sends the whole file, or the error that ends it. Every part but the last has [`PART_LEN`] bytes. Stops when nobody listens.
    pub(super) fn send_parts(&self, parts: &SyncSender<io::Result<Part>>) {
        let mut at = 0;
        loop {
            let part = self.read_part(at);
            let len = part.as_ref().map_or(0, |part| part.len);
            let is_last = len < PART_LEN;
            if parts.send(part).is_err() || is_last {
                return;
            }
            at += len as u64;
        }
    }

    /// The bytes from an offset on: [`PART_LEN`], or fewer where the file ends.
    pub(in crate::replica) fn read_part(&self, at: u64) -> io::Result<Part> {
        let mut part = Part::new();
        let buffer = &mut part.memory[part.start..][..PART_LEN];
        let direct = self.direct.as_ref().map_or(Ok(0), |direct| read_direct(direct, buffer, at))?;
        part.len = direct + read_up_to(self.cached, &mut buffer[direct..], at + direct as u64)?;
        Ok(part)
    }
}

impl Part {
    fn new() -> Self {
        let memory = vec![0; PART_LEN + DIRECT_ALIGN];
        let start = memory.as_ptr().align_offset(DIRECT_ALIGN).min(DIRECT_ALIGN);
        Self { memory, start, len: 0 }
    }

    pub(in crate::replica) fn bytes(&self) -> &[u8] {
        &self.memory[self.start..][..self.len]
    }
}

/// Reads until the buffer is full or the file ends: how many bytes it read.
pub(super) fn read_up_to(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Reads as far as direct reads go: up to an unaligned end, or nothing where the file system wants another alignment.
fn read_direct(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    match file.read_at(buffer, at) {
        Ok(count) => Ok(count),
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::INVAL | Errno::INTR)) => Ok(0),
        Err(error) => Err(error),
    }
}

/// Opens the file of a descriptor once more: a flag on the caller's own would change what the caller does.
fn open_direct(file: &File) -> Option<File> {
    let again = format!("/proc/self/fd/{}", file.as_raw_fd());
    File::options().read(true).custom_flags(OFlags::DIRECT.bits().cast_signed()).open(again).ok()
}

/// Whether the cache has less than half of a file, by [`SAMPLES`] pages of it. A system that does not tell counts as warm.
fn is_cold(file: &File, len: u64) -> bool {
    let mut page = [0; 1];
    let missing = (0..SAMPLES).filter(|sample| {
        let read =
            preadv2(file, &mut [IoSliceMut::new(&mut page)], len / SAMPLES * sample, ReadWriteFlags::NOWAIT);
        read == Err(Errno::AGAIN)
    });
    missing.count() as u64 * 2 > SAMPLES
}

/// Read, hashed and compared at once, in bytes.
pub(in crate::replica) const PART_LEN: usize = 4 << 20;
/// A shorter file does no harm to the cache, in bytes.
const DIRECT_LEN_MIN: u64 = 64 << 20;
const SAMPLES: u64 = 32;
