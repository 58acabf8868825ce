//! Copies contents beside the tree, on all cores, and proves each by its hash. Nothing is synced here: many copies share one sync. A fetched
//! file that was proven before is moved there instead, if it may be.
//!
//! A content comes by the cheapest of these ways: as a clone of the version that stands there, with the chunks written that differ by their
//! known values; as a clone that shares the blocks of its source, where both are on one file system that can; by comparing both versions;
//! otherwise by reading and writing. `copy_file_range` saves nothing over the latter: the bytes have to be read for their hash anyway.

use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use rayon::prelude::*;
use rustix::fs::{Timespec, Timestamps};
use swarm_sync::{ContentHash, ReplicaError, StageJob, Staged};

use super::again::{changed, relative};
use super::apply::mode;
use super::chunk_values::VALUED_LEN_MIN;
use super::delta::{DELTA_LEN_MIN, Filled, Versions, fill_by_values, fill_from_old};
use super::fault::{fault, io_fault};
use super::fetched::FetchedSource;
use super::incoming::{Copied, Incoming, place};
use super::look::{Look, look_open};
use super::root::Root;
use super::source::FolderSource;
use crate::dir::Access;
use crate::file::File;

/// Copies all, each or an error.
pub(super) fn stage_all(
    root: &Root,
    incoming: &Incoming,
    jobs: Vec<StageJob>,
    carried: &(dyn Fn(u64) + Sync),
) -> Vec<Result<Staged, ReplicaError>> {
    let count = AtomicUsize::new(0);
    let is_long = jobs.len() >= 2 * WRITTEN_BACK_EACH;
    let copy_all = |ahead: Option<&SyncSender<()>>| {
        let stage = |buf: &mut Vec<u8>, job| {
            let staged = stage_one(root, incoming, job, buf, carried);
            if count.fetch_add(1, Ordering::Relaxed) % WRITTEN_BACK_EACH == WRITTEN_BACK_EACH - 1 {
                // If the last one still runs, the next one covers these copies too.
                let _ = ahead.map(|ahead| ahead.try_send(()));
            }
            staged
        };
        jobs.into_par_iter().map_init(Vec::new, stage).collect()
    };
    if !is_long {
        return copy_all(None);
    }
    std::thread::scope(|scope| {
        let (ahead, asked) = sync_channel(1);
        let started = std::thread::Builder::new().name("write back".into()).spawn_scoped(scope, move || {
            // The sync that counts comes when all is copied: this one only lets the disk begin.
            asked.iter().for_each(|()| drop(root.dir.sync_file_system()));
        });
        copy_all(started.is_ok().then_some(&ahead))
    })
}

fn stage_one(
    root: &Root,
    incoming: &Incoming,
    mut job: StageJob,
    buf: &mut Vec<u8>,
    carried: &(dyn Fn(u64) + Sync),
) -> Result<Staged, ReplicaError> {
    root.check_stop()?;
    if let Some(staged) = take(root, incoming, &mut job)? {
        carried(job.content.len);
        return Ok(staged);
    }
    let (number, file) = incoming.create(root, &job.path)?;
    let copied = fill(root, &mut job, &file, buf, carried).and_then(|()| dress(&job, &file));
    match copied {
        Ok(look) => Ok(incoming.insert(number, Copied { content: job.content, look })),
        Err(error) => {
            incoming.discard(root, number);
            Err(error)
        }
    }
}

/// Moves a fetched file, which was proven, where it is on the same file system. `None` for every other source.
fn take(root: &Root, incoming: &Incoming, job: &mut StageJob) -> Result<Option<Staged>, ReplicaError> {
    let StageJob { path, source, .. } = job;
    let Some(source) = source.as_any().downcast_mut::<FetchedSource>() else { return Ok(None) };
    source.goes_to(path);
    let Some(origin) = source.taken_from() else { return Ok(None) };
    let Some(number) = incoming.take(root, path, origin)? else { return Ok(None) };
    match dress_taken(root, job, number) {
        Ok(look) => {
            tracing::debug!(path = %job.path, job.content.len, "took a fetched file");
            Ok(Some(incoming.insert_taken(number, Copied { content: job.content, look })))
        }
        Err(error) => {
            incoming.discard(root, number);
            Err(error)
        }
    }
}

/// Makes a taken file what a copy would be. Its length tells whether it is the file that was fetched.
fn dress_taken(root: &Root, job: &StageJob, number: u64) -> Result<Look, ReplicaError> {
    let failed = |errno| fault(&job.path, "open the fetched file of", errno);
    let (file, look) = root.dir.open_to_read(&place(number)).map_err(failed)?;
    if look.len != job.content.len {
        return Err(changed(&job.path));
    }
    if look.is_executable() && !job.content.executable {
        // It was staged before, as another file.
        let _ = file.set_mode(mode(look.mode, false));
    }
    dress(job, &file)
}

/// Brings the bytes, and compares their hash with what it has to be.
fn fill(
    root: &Root,
    job: &mut StageJob,
    to: &File,
    buf: &mut Vec<u8>,
    carried: &(dyn Fn(u64) + Sync),
) -> Result<(), ReplicaError> {
    if job.content.len >= VALUED_LEN_MIN && fill_by_known_values(root, job, to, carried)? {
        return Ok(());
    }
    if job.content.len >= DELTA_LEN_MIN
        && let Some(hash) = fill_by_difference(root, job, to, carried)?
    {
        return if hash == job.content.hash { Ok(()) } else { Err(mismatch(job)) };
    }
    let is_cloned = job.content.len >= CLONED_LEN_MIN && clone(job, to)?;
    let hash =
        if is_cloned { hash_clone(root, job, to, buf, carried)? } else { copy(root, job, to, buf, carried)? };
    if hash == job.content.hash { Ok(()) } else { Err(mismatch(job)) }
}

/// Clones the version that stands there, and writes the chunks that have other values. False where that is not possible.
fn fill_by_known_values(
    root: &Root,
    job: &mut StageJob,
    to: &File,
    carried: &(dyn Fn(u64) + Sync),
) -> Result<bool, ReplicaError> {
    let Some(known) = root.chunk_values() else { return Ok(false) };
    let Some(standing) = job.standing.clone() else { return Ok(false) };
    let Some(old_content) = standing.file().filter(|old| old.len >= VALUED_LEN_MIN) else { return Ok(false) };
    let Some(source) = job.source.as_any().downcast_mut::<FolderSource>() else { return Ok(false) };
    let Ok((old, _)) = root.dir.open_to_read(relative(&job.path)) else { return Ok(false) };
    let (Some(of_new), Some(of_old)) =
        (known.get(&job.content.hash, job.content.len), known.get(&old_content.hash, old_content.len))
    else {
        return Ok(false);
    };
    let is_old = || {
        look_open(&old).is_ok_and(|look| {
            (look.len, look.modified_ns, look.stamp())
                == (old_content.len, standing.modified_ns, standing.stamp)
        })
    };
    let told = |len: u64| {
        carried(len);
        root.check_stop().map_err(|_| ErrorKind::Interrupted.into())
    };
    let versions =
        Versions { new: (source.file()?.0.system(), &of_new, job.content.len), old: (old.system(), &of_old) };
    match fill_by_values(&versions, to.system(), &is_old, &told) {
        Ok(Filled::Whole { written_len }) => {
            tracing::debug!(path = %job.path, written_len, job.content.len, "filled by chunk values");
            Ok(true)
        }
        Ok(Filled::NotAtAll) => Ok(false),
        Ok(Filled::Mismatch) => Err(mismatch(job)),
        Err(error) => {
            root.check_stop()?;
            Err(io_fault(&job.path, "copy", &error))
        }
    }
}

/// Begins with a clone of the version that stands there, and writes what differs; `None` where none stands there, or the source is no file.
fn fill_by_difference(
    root: &Root,
    job: &mut StageJob,
    to: &File,
    carried: &(dyn Fn(u64) + Sync),
) -> Result<Option<ContentHash>, ReplicaError> {
    let Some(source) = job.source.as_any().downcast_mut::<FolderSource>() else { return Ok(None) };
    let Ok(old) = root.dir.open_file(relative(&job.path), Access::Read) else { return Ok(None) };
    let told = |len: u64| {
        carried(len);
        root.check_stop().map_err(|_| ErrorKind::Interrupted.into())
    };
    match fill_from_old(source.file()?.0.system(), old.system(), to.system(), &told) {
        Ok(filled) => {
            tracing::debug!(path = %job.path, filled.written_len, filled.len, base = ?filled.base, "filled by difference");
            Ok(Some(filled.hash))
        }
        Err(error) => {
            root.check_stop()?;
            Err(io_fault(&job.path, "copy", &error))
        }
    }
}

/// Makes the new file share the blocks of its source. False where the file systems cannot.
#[cfg(target_os = "linux")]
fn clone(job: &mut StageJob, to: &File) -> Result<bool, ReplicaError> {
    let Some(source) = job.source.as_any().downcast_mut::<FolderSource>() else { return Ok(false) };
    let (from, look) = source.file()?;
    let is_one_file_system = to.metadata().is_ok_and(|there| {
        use std::os::unix::fs::MetadataExt as _;
        there.dev() == look.id.device
    });
    Ok(is_one_file_system && rustix::fs::ioctl_ficlone(to, from).is_ok())
}

#[cfg(not(target_os = "linux"))]
fn clone(_: &mut StageJob, _: &File) -> Result<bool, ReplicaError> {
    Ok(false)
}

/// Hashes what was cloned: the source may have changed since, the clone does not.
fn hash_clone(
    root: &Root,
    job: &StageJob,
    clone: &File,
    buf: &mut Vec<u8>,
    carried: &(dyn Fn(u64) + Sync),
) -> Result<ContentHash, ReplicaError> {
    pieces(root, job.content.len, buf, carried, &mut |offset, piece| {
        let read = clone.read_at(piece, offset).map_err(|error| io_fault(&job.path, "read", &error))?;
        if read == 0 { Err(ReplicaError::Changed { path: job.path.clone() }) } else { Ok(read) }
    })
}

fn copy(
    root: &Root,
    job: &mut StageJob,
    to: &File,
    buf: &mut Vec<u8>,
    carried: &(dyn Fn(u64) + Sync),
) -> Result<ContentHash, ReplicaError> {
    let StageJob { path, content, source, .. } = job;
    pieces(root, content.len, buf, carried, &mut |offset, piece| {
        let read = source.read_at(offset, piece)?;
        if read == 0 {
            return Err(ReplicaError::Changed { path: path.clone() });
        }
        to.write_all_at(&piece[..read], offset).map_err(|error| io_fault(path, "write a copy of", &error))?;
        Ok(read)
    })
}

/// Fills a part of a piece, from an offset on, and says how much.
type Next<'a> = dyn FnMut(u64, &mut [u8]) -> Result<usize, ReplicaError> + 'a;

/// Hashes so many bytes, piece by piece.
fn pieces(
    root: &Root,
    len: u64,
    buf: &mut Vec<u8>,
    carried: &(dyn Fn(u64) + Sync),
    next: &mut Next<'_>,
) -> Result<ContentHash, ReplicaError> {
    let piece_len = usize::try_from(len).map_or(PIECE_LEN, |len| PIECE_LEN.min(len));
    if buf.len() < piece_len {
        buf.resize(piece_len, 0);
    }
    let mut hasher = blake3::Hasher::new();
    let mut offset = 0;
    while offset < len {
        root.check_stop()?;
        let left = usize::try_from(len - offset).map_or(piece_len, |left| piece_len.min(left));
        let got = next(offset, &mut buf[..left])?;
        hasher.update(&buf[..got]);
        offset += got as u64;
        carried(got as u64);
    }
    Ok(ContentHash(hasher.finalize().into()))
}

fn mismatch(job: &mut StageJob) -> ReplicaError {
    match job.source.as_any().downcast_mut::<FolderSource>() {
        Some(source) => source.mismatch(),
        None => ReplicaError::Integrity { path: job.path.clone() },
    }
}

/// Gives the file its executable bit and its time of change.
fn dress(job: &StageJob, file: &File) -> Result<Look, ReplicaError> {
    let failed = |op| move |errno| fault(&job.path, op, errno);
    if job.content.executable {
        let look = look_open(file).map_err(failed("look at a copy of"))?;
        // A file system without the bit shows so at the next scan.
        let _ = file.set_mode(look.mode | (look.mode & READABLE) >> 2);
    }
    rustix::fs::futimens(file, &modified_at(job.modified_ns)).map_err(failed("set the time of"))?;
    look_open(file).map_err(failed("look at a copy of"))
}

fn modified_at(ns: i64) -> Timestamps {
    let last_modification =
        Timespec { tv_sec: ns.div_euclid(1_000_000_000), tv_nsec: ns.rem_euclid(1_000_000_000) };
    Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT }, last_modification }
}

/// Whoever may read it may then execute it.
const READABLE: u32 = 0o444;
/// Below this length, reading and writing is as fast as asking for a clone.
const CLONED_LEN_MIN: u64 = 1 << 20;
/// As in hashing.
const PIECE_LEN: usize = 1 << 20;
/// Copies after which the disk may begin to write them, in groups of at least twice as many: shorter ones are synced soon enough.
const WRITTEN_BACK_EACH: usize = 4096;
