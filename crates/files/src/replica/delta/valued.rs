//! Fills a fresh file with a new version by the values of both versions' chunks: a clone of the old one, with the chunks written that
//! differ. Nothing else is read.
//!
//! Invariant: each chunk that is written is proven by its value; the rest is what the old version had when its values were taken, and the
//! caller says whether it has it still.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use rustix::fs::ioctl_ficlone;

use super::{differences, source};
use crate::replica::chunk_values::{CHUNK_LEN, ChunkValues, value_of};

/// What became of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::replica) enum Filled {
    /// It holds the new version.
    Whole {
        /// What was written, in bytes.
        written_len: u64,
    },
    /// It is as empty as before: the old version is not what its values say any more, or cannot be cloned, or has little of the new one.
    NotAtAll,
    /// A chunk of the new version is not what its value says.
    Mismatch,
}

/// Two versions of a file: the values of their chunks, and where the bytes are.
pub(in crate::replica) struct Versions<'a> {
    pub(in crate::replica) new: (&'a File, &'a ChunkValues, u64),
    pub(in crate::replica) old: (&'a File, &'a ChunkValues),
}

/// Fills `target`, an empty file that is open for reading too. `is_old` tells whether the old version is still the one that has these values;
/// it is asked after the clone was made. `told` hears of each part that was written, and may end it by an error.
pub(in crate::replica) fn fill_by_values(
    versions: &Versions<'_>,
    target: &File,
    is_old: &dyn Fn() -> bool,
    told: &dyn Fn(u64) -> io::Result<()>,
) -> io::Result<Filled> {
    let Versions { new: (new, of_new, new_len), old: (old, of_old) } = versions;
    let missing = of_new.missing_from(of_old);
    if missing.len() * 2 > of_new.count() || ioctl_ficlone(target, old).is_err() {
        return Ok(Filled::NotAtAll);
    }
    if !is_old() {
        target.set_len(0)?;
        return Ok(Filled::NotAtAll);
    }
    target.set_len(*new_len)?;
    let mut written_len = 0;
    let mut buffers = [vec![0; CHUNK_LEN as usize], vec![0; CHUNK_LEN as usize]];
    for (number, value) in missing {
        let at = number * CHUNK_LEN;
        let [of_new, of_old] = &mut buffers;
        let read = source::read_up_to(new, of_new, at)?;
        let chunk = &of_new[..read.min(usize::try_from(new_len - at).unwrap_or(read))];
        if value_of(at, chunk) != value {
            return Ok(Filled::Mismatch);
        }
        let held = source::read_up_to(target, of_old, at)?;
        for range in differences(chunk, &of_old[..held]) {
            target.write_all_at(&chunk[range.clone()], at + range.start as u64)?;
            written_len += range.len() as u64;
        }
        told(chunk.len() as u64)?;
    }
    Ok(Filled::Whole { written_len })
}
