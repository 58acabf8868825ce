//! Fills a fresh file with a new version so that the disk writes little more than what changed: as a clone of what is there already, with
//! the blocks written that differ.
//!
//! Invariant: the hash is of the bytes that were read once from the new version, and the target holds those bytes when the call returns
//! `Ok`, whatever happens to the old version meanwhile: blocks are compared with the clone, which is nobody else's. Absent here: syncing,
//! the name under which the file appears, and whether the new version changed while it was read.
//!
//! File systems share whole blocks at block boundaries. Bytes that moved by anything else (a byte inserted at the front) are written again
//! from there on, though a plan for a network (`swarm_sync::delta`) would name little. Where no clone can be made all is written.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use rustix::fs::{Advice, fadvise, ioctl_ficlone};
use swarm_sync::ContentHash;

/// What became of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FillReport {
    /// Of the bytes that the target holds.
    pub(crate) hash: ContentHash,
    /// Of the target, in bytes.
    pub(crate) len: u64,
    /// What was written, in bytes, in blocks of [`BLOCK_LEN`].
    pub(crate) written_len: u64,
    /// What the rest is.
    pub(crate) base: Base,
}

/// What the target began as. Bytes that were not written are its.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// The new version itself: both are on one file system, and nothing is written.
    New,
    /// The old version.
    Old,
    /// A hole: zeros are not written.
    Hole,
}

/// Fills `target`, an empty file, with the bytes of `new`. `old` is the version that the target's file system has. `target` has to be
/// open for reading too.
pub(crate) fn fill_from_old(new: &File, old: &File, target: &File) -> io::Result<FillReport> {
    if ioctl_ficlone(target, new).is_ok() {
        // The new version may change from here on; the clone does not.
        return fill(target, target, Base::New);
    }
    if is_mostly_the_same(new, old)? && ioctl_ficlone(target, old).is_ok() {
        return fill(new, target, Base::Old);
    }
    fill(new, target, Base::Hole)
}

/// Whether it pays to read the old version too: [`SAMPLES_MAX`] blocks at most, evenly spread, are compared at the same offsets.
fn is_mostly_the_same(new: &File, old: &File) -> io::Result<bool> {
    let len = new.metadata()?.len().min(old.metadata()?.len());
    if len < DELTA_LEN_MIN {
        return Ok(false);
    }
    let samples = SAMPLES_MAX.min(len / DELTA_LEN_MIN * 8);
    let mut equal = 0;
    let mut blocks = [[0; BLOCK_LEN]; 2];
    for sample in 0..samples {
        let at = len / samples * sample / BLOCK_LEN as u64 * BLOCK_LEN as u64;
        let [of_new, of_old] = &mut blocks;
        let lens = [read_up_to(new, of_new, at)?, read_up_to(old, of_old, at)?];
        equal += u64::from(lens == [BLOCK_LEN; 2] && of_new == of_old);
    }
    Ok(equal * SAMES_MIN_ONE_IN >= samples)
}

/// Reads and compares here, and hashes on another thread: hashing takes as long as the rest.
fn fill(new: &File, target: &File, base: Base) -> io::Result<FillReport> {
    let (to_hash, blocks) = sync_channel(PARTS_IN_FLIGHT);
    let (give_back, hashed) = sync_channel(PARTS_IN_FLIGHT + 1);
    let (totals, hash) = thread::scope(|scope| {
        let hasher = thread::Builder::new().name("hash".into());
        let hasher = hasher.spawn_scoped(scope, move || hash_parts(&blocks, &give_back))?;
        let mut filling = Filling { new, target, base, to_hash, hashed, taken: 0 };
        let totals = filling.run()?;
        drop(filling);
        Ok::<_, io::Error>((totals, hasher.join().expect("hashing does not panic")))
    })?;
    target.set_len(totals.len)?;
    Ok(FillReport { hash, len: totals.len, written_len: totals.written_len, base })
}

fn hash_parts(parts: &Receiver<Arc<Vec<u8>>>, give_back: &SyncSender<Arc<Vec<u8>>>) -> ContentHash {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&part);
        // Nobody waits for buffers after the last part.
        let _ = give_back.send(part);
    }
    ContentHash(hasher.finalize().into())
}

/// A pass over the new version.
struct Filling<'a> {
    new: &'a File,
    target: &'a File,
    base: Base,
    to_hash: SyncSender<Arc<Vec<u8>>>,
    hashed: Receiver<Arc<Vec<u8>>>,
    /// Buffers made so far.
    taken: usize,
}

#[derive(Clone, Copy, Default)]
struct Totals {
    len: u64,
    written_len: u64,
}

impl Filling<'_> {
    fn run(&mut self) -> io::Result<Totals> {
        let mut totals = Totals::default();
        let mut held = vec![0; PART_LEN];
        loop {
            self.read_ahead(totals.len);
            let mut part = self.buffer();
            part.resize(PART_LEN, 0);
            let len = read_up_to(self.new, &mut part, totals.len)?;
            part.truncate(len);
            let part = Arc::new(part);
            if self.to_hash.send(Arc::clone(&part)).is_err() {
                return Err(io::Error::other("the thread that hashes is gone"));
            }
            totals.written_len += self.write_differences(&part, &mut held, totals.len)?;
            totals.len += len as u64;
            if len < PART_LEN {
                return Ok(totals);
            }
        }
    }

    /// Lets the disks work on both files while one of them is waited for: the kernel's own readahead keeps a disk half idle here.
    fn read_ahead(&self, at: u64) {
        let window =
            if at == 0 { 0..READ_AHEAD_LEN } else { READ_AHEAD_LEN - PART_LEN as u64..READ_AHEAD_LEN };
        let len = NonZeroU64::new(window.end - window.start);
        for file in [Some(self.new), (self.base == Base::Old).then_some(self.target)].into_iter().flatten() {
            // A file system that takes no advice reads as well without.
            let _ = fadvise(file, at + window.start, len, Advice::WillNeed);
        }
    }

    /// Memory of a part that is hashed, once as many as may wait are on their way.
    fn buffer(&mut self) -> Vec<u8> {
        if self.taken > PARTS_IN_FLIGHT {
            return self.hashed.recv().ok().and_then(Arc::into_inner).unwrap_or_default();
        }
        self.taken += 1;
        Vec::new()
    }

    /// How many bytes it wrote.
    fn write_differences(&self, part: &[u8], held: &mut [u8], at: u64) -> io::Result<u64> {
        let held = &mut held[..part.len()];
        match self.base {
            Base::New => return Ok(0),
            Base::Old => {
                // Beyond the end of a file stand the zeros that extending it brings.
                let read = read_up_to(self.target, held, at)?;
                held[read..].fill(0);
            }
            Base::Hole => {}
        }
        let mut written = 0;
        for range in differences(part, held) {
            self.target.write_all_at(&part[range.clone()], at + range.start as u64)?;
            written += range.len() as u64;
        }
        Ok(written)
    }
}

/// The ranges of whole blocks in which two runs of equal length differ.
fn differences(new: &[u8], held: &[u8]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    if new == held {
        return ranges;
    }
    for (index, (new, held)) in new.chunks(BLOCK_LEN).zip(held.chunks(BLOCK_LEN)).enumerate() {
        let start = index * BLOCK_LEN;
        if new == held {
            continue;
        }
        match ranges.last_mut() {
            Some(last) if last.end == start => last.end = start + new.len(),
            Some(_) | None => ranges.push(start..start + new.len()),
        }
    }
    ranges
}

/// Reads until the buffer is full or the file ends: how many bytes it read.
fn read_up_to(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
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

/// What file systems share and write at least, in bytes.
const BLOCK_LEN: usize = 4 << 10;
/// Read, hashed and compared at once, in bytes.
const PART_LEN: usize = 1 << 20;
/// Asked of the disk before it is read, of each file, in bytes.
const READ_AHEAD_LEN: u64 = 16 << 20;
/// Parts that are read and not yet hashed.
const PARTS_IN_FLIGHT: usize = 4;
/// A shorter file is written whole, in bytes: there is little to save.
const DELTA_LEN_MIN: u64 = 1 << 20;
/// Blocks that are compared before the old version is read.
const SAMPLES_MAX: u64 = 64;
/// Reading the old version costs about as much as writing a quarter of it.
const SAMES_MIN_ONE_IN: u64 = 4;

#[cfg(test)]
mod tests;
