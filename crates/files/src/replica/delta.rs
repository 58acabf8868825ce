//! Fills a fresh file with a new version so that the disk writes little more than what changed: as a clone of what is there already, with
//! the blocks written that differ.
//!
//! Invariant: the hash is of the bytes that were read once from the new version, and the target holds those bytes when the call returns
//! `Ok`, whatever happens to the old version meanwhile: blocks are compared with the clone, which is nobody else's. Absent here: syncing,
//! the name under which the file appears, and whether the new version changed while it was read.
//!
//! File systems share whole blocks at block boundaries. Bytes that moved by anything else (a byte inserted at the front) are written again
//! from there on, though a plan for a network (`swarm_sync::delta`) would name little. Where no clone can be made all is written.

pub(super) mod source;
mod valued;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use rustix::fs::ioctl_ficlone;
use swarm_sync::ContentHash;

use source::{Part, Source};

pub(super) use valued::{Filled, Versions, fill_by_values};

/// What became of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FillReport {
    /// Of the bytes that the target holds.
    pub(super) hash: ContentHash,
    /// Of the target, in bytes.
    pub(super) len: u64,
    /// What was written, in bytes, in blocks of [`BLOCK_LEN`].
    pub(super) written_len: u64,
    /// What the rest is.
    pub(super) base: Base,
}

/// What the target began as. Bytes that were not written are its.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// The new version itself: both are on one file system, and nothing is written.
    New,
    /// The old version.
    Old,
    /// A hole: zeros are not written.
    Hole,
}

/// Fills `target`, an empty file, with the bytes of `new`. `old` is the version that the target's file system has. `target` has to be
/// open for reading too. `told` hears of each part that was read, and may end it by an error.
pub(super) fn fill_from_old(
    new: &File,
    old: &File,
    target: &File,
    told: &dyn Fn(u64) -> io::Result<()>,
) -> io::Result<FillReport> {
    if ioctl_ficlone(target, new).is_ok() {
        // The new version may change from here on; the clone does not.
        return fill(&Source::of_clone(target)?, target, Base::New, told);
    }
    // Sampling brings blocks into the cache: ask first what it has.
    let source = Source::of_file(new)?;
    if is_mostly_the_same(new, old)? && ioctl_ficlone(target, old).is_ok() {
        return fill(&source, target, Base::Old, told);
    }
    fill(&source, target, Base::Hole, told)
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
        let lens = [source::read_up_to(new, of_new, at)?, source::read_up_to(old, of_old, at)?];
        equal += u64::from(lens == [BLOCK_LEN; 2] && of_new == of_old);
    }
    Ok(equal * SAMES_MIN_ONE_IN >= samples)
}

/// Two threads read and one hashes, so that both disks and both cores have work; comparing and writing is done here.
fn fill(
    new: &Source<'_>,
    target: &File,
    base: Base,
    told: &dyn Fn(u64) -> io::Result<()>,
) -> io::Result<FillReport> {
    let held = Source::of_clone(target)?;
    let (to_compare, of_new) = sync_channel(PARTS_IN_FLIGHT);
    let (to_hash, hashing) = sync_channel(PARTS_IN_FLIGHT);
    let (from_held, of_held) = sync_channel(PARTS_IN_FLIGHT);
    let (totals, hash) = thread::scope(|scope| {
        let start = |name: &str| thread::Builder::new().name(name.into());
        let hasher = start("hash").spawn_scoped(scope, move || hash_parts(&hashing))?;
        start("read new").spawn_scoped(scope, move || new.send_parts(&to_compare))?;
        if base == Base::Old {
            start("read old").spawn_scoped(scope, move || held.send_parts(&from_held))?;
        }
        let totals = Filling { target, base, of_new, of_held, to_hash, told }.run()?;
        Ok::<_, io::Error>((totals, hasher.join().expect("hashing does not panic")))
    })?;
    target.set_len(totals.len)?;
    Ok(FillReport { hash, len: totals.len, written_len: totals.written_len, base })
}

fn hash_parts(parts: &Receiver<Arc<Part>>) -> ContentHash {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part.bytes());
    }
    ContentHash(hasher.finalize().into())
}

/// A pass over the new version. Dropping it ends the threads that feed it.
struct Filling<'a> {
    target: &'a File,
    base: Base,
    of_new: Receiver<io::Result<Part>>,
    of_held: Receiver<io::Result<Part>>,
    to_hash: SyncSender<Arc<Part>>,
    told: &'a dyn Fn(u64) -> io::Result<()>,
}

#[derive(Clone, Copy, Default)]
struct Totals {
    len: u64,
    written_len: u64,
}

impl Filling<'_> {
    fn run(self) -> io::Result<Totals> {
        let mut totals = Totals::default();
        while let Ok(part) = self.of_new.recv() {
            let part = Arc::new(part?);
            if self.to_hash.send(Arc::clone(&part)).is_err() {
                return Err(io::Error::other("the thread that hashes is gone"));
            }
            totals.written_len += self.write_differences(part.bytes(), totals.len)?;
            totals.len += part.bytes().len() as u64;
            (self.told)(part.bytes().len() as u64)?;
        }
        Ok(totals)
    }

    /// How many bytes it wrote.
    fn write_differences(&self, part: &[u8], at: u64) -> io::Result<u64> {
        let held = match self.base {
            Base::New => return Ok(0),
            Base::Old => self.of_held.recv().ok().transpose()?,
            Base::Hole => None,
        };
        let mut written = 0;
        for range in differences(part, held.as_ref().map_or(&[], Part::bytes)) {
            self.target.write_all_at(&part[range.clone()], at + range.start as u64)?;
            written += range.len() as u64;
        }
        Ok(written)
    }
}

/// The ranges of whole blocks in which bytes differ from those that are held. Beyond the end of a file stand the zeros that extending it
/// brings.
fn differences(new: &[u8], held: &[u8]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    if new == held {
        return ranges;
    }
    let is_held = |block: &[u8], at: usize| {
        let held = held.get(at..held.len().min(at + block.len())).unwrap_or_default();
        block.starts_with(held) && block[held.len()..].iter().all(|&byte| byte == 0)
    };
    for (index, block) in new.chunks(BLOCK_LEN).enumerate() {
        let start = index * BLOCK_LEN;
        match ranges.last_mut() {
            _ if is_held(block, start) => {}
            Some(last) if last.end == start => last.end = start + block.len(),
            Some(_) | None => ranges.push(start..start + block.len()),
        }
    }
    ranges
}

/// What file systems share and write at least, in bytes.
const BLOCK_LEN: usize = 4 << 10;
/// Parts that wait in front of each thread.
const PARTS_IN_FLIGHT: usize = 2;
/// A shorter file is written whole, in bytes: there is little to save.
pub(super) const DELTA_LEN_MIN: u64 = 1 << 20;
/// Blocks that are compared before the old version is read.
const SAMPLES_MAX: u64 = 64;
/// Reading the old version costs about as much as writing a quarter of it.
const SAMES_MIN_ONE_IN: u64 = 4;

#[cfg(test)]
mod tests;
