//! Reads and hashes files, on all cores. Invariant: a hash is that of the bytes that the file had between two equal looks at it; a file
//! that changes meanwhile has none.

use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rayon::prelude::*;
use rustix::io::Errno;
use swarm_sync::{
    Blind, BlindWhy, ContentHash, Entry, FileContent, Found, Kind, ReplicaError, Stamp, TreePath,
};

use super::chunk_values::{CHUNK_LEN, ChunkValues, VALUED_LEN_MIN, value_of};
use super::delta::source::{PART_LEN, Source};
use super::fault::{io_fault, words};
use super::look::{Look, look_open};
use super::root::Root;
use crate::file::File;

/// Reads and hashes files that a walk found. The entry tells what stands there now, not what the walk saw.
pub(super) fn hash_all(root: &Root, files: Vec<Found>) -> Vec<Result<(TreePath, Entry), Blind>> {
    let hash = |buf: &mut Vec<u8>, found: Found| match hash_settled(root, &found.path, buf) {
        Ok(entry) => Ok((found.path, entry)),
        Err(why) => Err(Blind { path: found.path, why }),
    };
    files.into_par_iter().map_init(Vec::new, hash).collect()
}

/// Tries once more if the file changed while it was read: most editors write once.
fn hash_settled(root: &Root, path: &TreePath, buf: &mut Vec<u8>) -> Result<Entry, BlindWhy> {
    match hash_once(root, path, buf) {
        Err(BlindWhy::Changing) => hash_once(root, path, buf),
        done => done,
    }
}

fn hash_once(root: &Root, path: &TreePath, buf: &mut Vec<u8>) -> Result<Entry, BlindWhy> {
    let (file, before) = match root.dir.open_to_read(Path::new(path.as_str())) {
        Ok(opened) => opened,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO | Errno::ISDIR) => {
            return Err(BlindWhy::Changing);
        }
        Err(errno) => return Err(BlindWhy::Unreadable(words(errno))),
    };
    match hash_open(root, path, &file, &before, buf) {
        Ok((entry, _)) => Ok(entry),
        Err(ReplicaError::Changed { .. }) => Err(BlindWhy::Changing),
        Err(ReplicaError::Io { why, .. }) => Err(BlindWhy::Unreadable(why)),
        Err(error) => Err(BlindWhy::Unreadable(error.to_string())),
    }
}

/// The entry of an open file that was looked at when it was opened, and the look after it was read.
///
/// # Errors
/// [`ReplicaError::Changed`] if it changed while it was read.
pub(super) fn hash_open(
    root: &Root,
    path: &TreePath,
    file: &File,
    before: &Look,
    buf: &mut Vec<u8>,
) -> Result<(Entry, Look), ReplicaError> {
    let changed = || ReplicaError::Changed { path: path.clone() };
    let (hash, read_len) = if before.len >= VALUED_LEN_MIN {
        digest_long(root, path, file, before.len)?
    } else {
        digest(root, path, file, before.len, buf)?
    };
    let after = look_open(file).map_err(|errno| io_fault(path, "look at", &errno.into()))?;
    if read_len != before.len || !after.is_unchanged_since(before) {
        return Err(changed());
    }
    let content = FileContent { len: after.len, hash, executable: after.is_executable() };
    let stamp = safe_stamp(root, &after);
    Ok((Entry { kind: Kind::File(content), modified_ns: after.modified_ns, stamp }, after))
}

/// A stamp that a later one equals only if the file did not change since. A file that changed just now gets one that no later look
/// equals, so that it is read again.
pub(super) fn safe_stamp(root: &Root, look: &Look) -> Stamp {
    if root.may_change_unseen(look) { Stamp { changed_ns: i64::MIN, ..look.stamp() } } else { look.stamp() }
}

/// Hashes a file to its end, or up to one piece beyond `len`: a file that grows need not be followed.
fn digest(
    root: &Root,
    path: &TreePath,
    file: &File,
    len: u64,
    buf: &mut Vec<u8>,
) -> Result<(ContentHash, u64), ReplicaError> {
    let mut hasher = blake3::Hasher::new();
    // One byte more than the file has, so that the first read tells the end.
    let piece_len = usize::try_from(len).map_or(PIECE_LEN, |len| PIECE_LEN.min(len + 1));
    if buf.len() < piece_len {
        buf.resize(piece_len, 0);
    }
    let mut offset = 0;
    loop {
        root.check_stop()?;
        let read_len = match file.read_at(&mut buf[..piece_len], offset) {
            Ok(read_len) => read_len,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(io_fault(path, "read", &error)),
        };
        hasher.update(&buf[..read_len]);
        offset += read_len as u64;
        if read_len == 0 || offset > len || (offset == len && read_len < piece_len) {
            return Ok((ContentHash(hasher.finalize().into()), offset));
        }
    }
}

/// Hashes a long file on all cores, and remembers the values of its chunks. If it has another length by now, the next look tells.
fn digest_long(
    root: &Root,
    path: &TreePath,
    file: &File,
    len: u64,
) -> Result<(ContentHash, u64), ReplicaError> {
    let failed = |error| io_fault(path, "read", &error);
    // A page that a program has mapped and written to may be written again without a new time of change until it is on the disk.
    let is_settled = file.sync_data().is_ok();
    let source = Source::of_file(file.system()).map_err(failed)?;
    let values_at = |at: u64| {
        root.check_stop()?;
        let part = source.read_part(at).map_err(failed)?;
        let chunks = part.bytes().chunks(CHUNK_LEN as usize);
        let values = (at..).step_by(CHUNK_LEN as usize).zip(chunks);
        Ok((at, values.map(|(at, chunk)| value_of(at, chunk)).collect::<Vec<_>>()))
    };
    // Each thread takes the next part: the disk sees one reader that goes from start to end.
    let parts = (0..len).step_by(PART_LEN).par_bridge().map(values_at);
    let mut parts = parts.collect::<Result<Vec<_>, _>>()?;
    parts.sort_unstable_by_key(|(at, _)| *at);
    let values = parts.into_iter().flat_map(|(_, values)| values).collect();
    let Some((values, hash)) = ChunkValues::new(len, values) else {
        return Err(ReplicaError::Changed { path: path.clone() });
    };
    if let Some(known) = root.chunk_values().filter(|_| is_settled) {
        known.put(&hash, &values);
    }
    Ok((hash, len))
}

/// Large enough that a call costs nothing beside its bytes, small enough to stay in the cache of a core.
const PIECE_LEN: usize = 1 << 20;
