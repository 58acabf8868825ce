//! Reads and hashes files, on all cores. Invariant: a hash is that of the bytes that the file had between two equal looks at it; a file
//! that changes meanwhile has none.

use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rayon::prelude::*;
use rustix::io::Errno;
use swarm_sync::{
    Blind, BlindWhy, ContentHash, Entry, FileContent, Found, Kind, ReplicaError, Stamp, TreePath,
};

use super::again::changed;
use super::chunk_values::{CHUNK_LEN, ChunkValues, VALUED_LEN_MIN, value_of};
use super::delta::source::{PART_LEN, Source};
use super::digests::{Digest, InOrder, Pass, digest_of_values, with_sha256};
use super::fault::{fault, io_fault, words};
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
    let wants = if root.options.digests.is_some() { Wants::Digest } else { Wants::Hash };
    let (content, digest, after) = read_whole(root, path, file, before, wants, buf)?;
    if let (Some(digests), Some(digest)) = (&root.options.digests, digest) {
        digests.note(&content, digest);
    }
    let stamp = safe_stamp(root, &after);
    Ok((Entry { kind: Kind::File(content), modified_ns: after.modified_ns, stamp }, after))
}

/// Reads a file for its digest, whether somebody listens or not.
pub(super) fn digest_of(root: &Root, path: &TreePath) -> Result<(FileContent, Digest), ReplicaError> {
    let opened = root.dir.open_to_read(Path::new(path.as_str()));
    let (file, before) = opened.map_err(|errno| fault(path, "open", errno))?;
    let (content, digest, _) = read_whole(root, path, &file, &before, Wants::Digest, &mut Vec::new())?;
    digest.map(|digest| (content, digest)).ok_or_else(|| changed(path))
}

/// What is wanted of a file beside its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    Hash,
    Digest,
}

/// What was read of a file: its content, the digest if it is wanted, and the look afterwards.
type ReadWhole = (FileContent, Option<Digest>, Look);

fn read_whole(
    root: &Root,
    path: &TreePath,
    file: &File,
    before: &Look,
    wants: Wants,
    buf: &mut Vec<u8>,
) -> Result<ReadWhole, ReplicaError> {
    let reading = Reading { root, path, file, len: before.len };
    let (hash, digest) = match (before.len >= VALUED_LEN_MIN, wants) {
        (true, Wants::Hash) => (reading.values(None)?.1, None),
        (true, Wants::Digest) => reading.digest_long()?,
        (false, Wants::Hash) => (reading.hash(buf)?, None),
        (false, Wants::Digest) => reading.digest(buf)?,
    };
    let after = look_open(file).map_err(|errno| io_fault(path, "look at", &errno.into()))?;
    if !after.is_unchanged_since(before) {
        return Err(changed(path));
    }
    let content = FileContent { len: after.len, hash, executable: after.is_executable() };
    Ok((content, digest, after))
}

/// A stamp that a later one equals only if the file did not change since. A file that changed just now gets one that no later look
/// equals, so that it is read again.
pub(super) fn safe_stamp(root: &Root, look: &Look) -> Stamp {
    if root.may_change_unseen(look) { Stamp { changed_ns: i64::MIN, ..look.stamp() } } else { look.stamp() }
}

/// One read of a file that had this length when it was opened. If it has another one by now, it changed.
struct Reading<'a> {
    root: &'a Root,
    path: &'a TreePath,
    file: &'a File,
    len: u64,
}

impl Reading<'_> {
    fn hash(&self, buf: &mut Vec<u8>) -> Result<ContentHash, ReplicaError> {
        let mut hasher = blake3::Hasher::new();
        let read_len = self.each_piece(buf, &mut |piece| {
            hasher.update(piece);
        })?;
        if read_len == self.len { Ok(ContentHash(hasher.finalize().into())) } else { Err(changed(self.path)) }
    }

    fn digest(&self, buf: &mut Vec<u8>) -> Result<(ContentHash, Option<Digest>), ReplicaError> {
        let mut pass = Pass::new(self.len);
        self.each_piece(buf, &mut |piece| pass.update(piece))?;
        let (hash, digest) = pass.finish().ok_or_else(|| changed(self.path))?;
        Ok((hash, Some(digest)))
    }

    /// Passes on the bytes up to the end, or up to one piece beyond the length: a file that grows need not be followed.
    fn each_piece(&self, buf: &mut Vec<u8>, take: &mut dyn FnMut(&[u8])) -> Result<u64, ReplicaError> {
        // One byte more than the file has, so that the first read tells the end.
        let piece_len = usize::try_from(self.len).map_or(PIECE_LEN, |len| PIECE_LEN.min(len + 1));
        if buf.len() < piece_len {
            buf.resize(piece_len, 0);
        }
        let mut offset = 0;
        loop {
            self.root.check_stop()?;
            let read_len = match self.file.read_at(&mut buf[..piece_len], offset) {
                Ok(read_len) => read_len,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.failed(&error)),
            };
            take(&buf[..read_len]);
            offset += read_len as u64;
            if read_len == 0 || offset > self.len || (offset == self.len && read_len < piece_len) {
                return Ok(offset);
            }
        }
    }

    /// Reads a long file on all cores, and on one more for its SHA-256.
    fn digest_long(&self) -> Result<(ContentHash, Option<Digest>), ReplicaError> {
        let read = |parts: &InOrder| self.values(Some(parts));
        let ((values, hash), sha256) = with_sha256(self.len, read, |error| self.failed(&error))?;
        let digest = sha256.and_then(|sha256| digest_of_values(self.len, &values, sha256));
        digest.map(|digest| (hash, Some(digest))).ok_or_else(|| changed(self.path))
    }

    /// Hashes a long file on all cores, and remembers the values of its chunks.
    fn values(&self, in_order: Option<&InOrder>) -> Result<(ChunkValues, ContentHash), ReplicaError> {
        // A page that a program has mapped and written to may be written again without a new time of change until it is on the disk.
        let is_settled = self.file.sync_data().is_ok();
        let source = Source::of_file(self.file.system()).map_err(|error| self.failed(&error))?;
        let values_at = |at: u64| {
            let promise = in_order.map(InOrder::promise);
            self.root.check_stop()?;
            let part = source.read_part(at).map_err(|error| self.failed(&error))?;
            let chunks = part.bytes().chunks(CHUNK_LEN as usize);
            let values = (at..).step_by(CHUNK_LEN as usize).zip(chunks);
            let values = values.map(|(at, chunk)| value_of(at, chunk)).collect::<Vec<_>>();
            if let Some(promise) = promise {
                promise.put(at, part);
            }
            Ok((at, values))
        };
        // Each thread takes the next part: the disk sees one reader that goes from start to end.
        let parts = (0..self.len).step_by(PART_LEN).par_bridge().map(values_at);
        let mut parts = parts.collect::<Result<Vec<_>, _>>()?;
        parts.sort_unstable_by_key(|(at, _)| *at);
        let values = parts.into_iter().flat_map(|(_, values)| values).collect();
        let (values, hash) = ChunkValues::new(self.len, values).ok_or_else(|| changed(self.path))?;
        if let Some(known) = self.root.chunk_values().filter(|_| is_settled) {
            known.put(&hash, &values);
        }
        Ok((values, hash))
    }

    fn failed(&self, error: &std::io::Error) -> ReplicaError {
        io_fault(self.path, "read", error)
    }
}

/// Large enough that a call costs nothing beside its bytes, small enough to stay in the cache of a core.
const PIECE_LEN: usize = 1 << 20;
