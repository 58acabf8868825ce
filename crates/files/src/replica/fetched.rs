//! A file that a fetch left in a folder of its own, under the digits of its hash, or with other small ones in a pack. Invariant: each of its chunks was hashed when it was
//! fetched, and synced before the file got its name; nobody but the fetch writes in that folder. So a replica may take the file without
//! reading it again: it is moved, and its bytes are written once. If it finds no place, it goes back. A crash between both loses it, for the
//! recovery of a replica removes what was staged: then it is fetched anew.

use std::any::Any;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;
use swarm_sync::{ContentHash, ContentSource, ReplicaError, TreePath};

use super::fault::{fault, io_fault};
use crate::StoreError;
use crate::dir::{Access, Dir};
use crate::file::File;

/// The bytes of a fetched file.
pub struct FetchedSource {
    from: From,
    /// Where it will stand; until that is known, its name in the folder.
    path: TreePath,
}

/// What holds them.
enum From {
    /// A file of their own.
    File { origin: Origin, may_take: bool, open: Option<File> },
    /// A part of a file with others.
    Pack { file: Arc<File>, at: u64, len: u64 },
}

/// Where a file is taken from. Many wait for their places at once, so none holds its folder open.
#[derive(Clone)]
pub(super) struct Origin {
    folder: PathBuf,
    name: PathBuf,
}

/// The content that a fetch left in a folder, whole and durable. If it may be taken, a replica on the same file system moves it; everybody
/// else copies it.
///
/// A content that may be taken is not hashed again: name none that was not proven when it was fetched. It can be taken once: whoever needs it
/// at several places copies it to all but the last.
pub fn fetched_source(folder: &Path, hash: &ContentHash, may_take: bool) -> FetchedSource {
    let path = path_of(hash);
    let origin = Origin { folder: folder.to_owned(), name: path.as_str().into() };
    FetchedSource { from: From::File { origin, may_take, open: None }, path }
}

/// The content that stands in a pack of small files. Everybody copies it.
pub(crate) fn packed_source(file: Arc<File>, at: u64, len: u64, hash: &ContentHash) -> FetchedSource {
    FetchedSource { from: From::Pack { file, at, len }, path: path_of(hash) }
}

fn path_of(hash: &ContentHash) -> TreePath {
    TreePath::new(hash.to_string()).expect("64 digits are a good path")
}

impl FetchedSource {
    /// Names the place that errors are about.
    pub(super) fn goes_to(&mut self, path: &TreePath) {
        self.path = path.clone();
    }

    /// The file, if it may be taken.
    pub(super) fn taken_from(&self) -> Option<Origin> {
        match &self.from {
            From::File { origin, may_take: true, .. } => Some(origin.clone()),
            From::File { .. } | From::Pack { .. } => None,
        }
    }

    /// The file that holds the bytes, and the part of it that is left from an offset on.
    fn rest(&mut self, offset: u64) -> Result<(&File, u64, u64), ReplicaError> {
        match &mut self.from {
            From::File { origin, open, .. } => {
                if open.is_none() {
                    let opened = Dir::open(&origin.folder)
                        .and_then(|folder| folder.open_file(&origin.name, Access::Read));
                    *open = Some(opened.map_err(|error| failed(&self.path, "open", &error))?);
                }
                let file = open.as_ref().ok_or_else(|| ReplicaError::Changed { path: self.path.clone() })?;
                Ok((file, offset, u64::MAX))
            }
            From::Pack { file, at, len } => Ok((file, *at + offset, len.saturating_sub(offset))),
        }
    }
}

impl ContentSource for FetchedSource {
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, ReplicaError> {
        let path = self.path.clone();
        let (file, at, rest) = self.rest(offset)?;
        let len = usize::try_from(rest).map_or(buf.len(), |rest| rest.min(buf.len()));
        loop {
            match file.read_at(&mut buf[..len], at) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => return read.map_err(|error| io_fault(&path, "read", &error)),
            }
        }
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

impl Origin {
    /// Moves the file to a free name below another folder.
    pub(super) fn move_to(&self, path: &TreePath, to: &Dir, place: &Path) -> Result<Moved, ReplicaError> {
        let folder = Dir::open(&self.folder).map_err(|error| failed(path, TAKE, &error))?;
        match to.take_from(&folder, &self.name, place) {
            Ok(()) => Ok(Moved::Here),
            Err(Errno::XDEV) => Ok(Moved::TooFar),
            Err(Errno::EXIST) => Ok(Moved::NameTaken),
            Err(errno) => Err(fault(path, TAKE, errno)),
        }
    }

    /// Moves it back, if nothing took its name meanwhile. False if it stays.
    pub(super) fn take_back(&self, from: &Dir, place: &Path) -> bool {
        Dir::open(&self.folder).is_ok_and(|folder| folder.take_from(from, place, &self.name).is_ok())
    }
}

/// What came of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    Here,
    /// It is on another file system.
    TooFar,
    /// Something stands there.
    NameTaken,
}

/// A file that is away, or another kind of entry, is a change; the system's refusals are told.
fn failed(path: &TreePath, op: &'static str, error: &StoreError) -> ReplicaError {
    match error {
        StoreError::Disk { source, .. } => io_fault(path, op, source),
        _ => ReplicaError::Changed { path: path.clone() },
    }
}

const TAKE: &str = "take the fetched file of";
