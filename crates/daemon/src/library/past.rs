//! Bytes that a path had, or may have: kept versions of files, and sides of conflicts. Invariant: the library's worker finds and opens them, and
//! reads none: whoever asked does, so that no library and no other reader waits for a long file. Absent here: whether they are those that were
//! meant, which a reader can tell of a side by its hash.

use std::fmt;

use swarm_files::KeptVersion;
use swarm_sync::{
    Conflict, ContentHash, ContentSource, Entry, FoundKind, Replica as _, ReplicaError, RunId, Side,
    SideVersion, Stamp, TreePath,
};

use super::ask::Answer;
use super::error::LibraryError;
use super::restoring::newest_of;
use super::session::Session;
use super::view_side::ViewSide;

/// Which bytes of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past {
    /// The kept version of this run.
    Version(RunId),
    /// A side of the conflict at the path.
    Side {
        /// Whether it is that of this machine.
        is_local: bool,
    },
}

/// A file that is open.
pub struct PastFile {
    source: Box<dyn ContentSource>,
    len: u64,
    hash: Option<ContentHash>,
}

/// What was found.
#[derive(Debug)]
pub(crate) enum Found {
    Open(PastFile),
    /// Its bytes are on other machines: this many of this content are wanted from now on.
    Elsewhere(ContentHash, u64),
    Refused(Answer),
}

impl PastFile {
    /// Bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What its bytes have to be, where that is known.
    #[must_use]
    pub fn hash(&self) -> Option<ContentHash> {
        self.hash
    }

    /// Reads from `offset` on; zero at the end only. Blocks.
    ///
    /// # Errors
    /// If the disk does not give the bytes, or the file is another one meanwhile.
    pub fn read(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, ReplicaError> {
        self.source.read_at(offset, buf)
    }
}

impl fmt::Debug for PastFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PastFile").field("len", &self.len).field("hash", &self.hash).finish_non_exhaustive()
    }
}

impl Session {
    /// Finds and opens what a path had.
    pub(crate) fn open_past(&mut self, path: &TreePath, past: Past) -> Result<Found, LibraryError> {
        match past {
            Past::Version(run) => self.open_version(path, run),
            Past::Side { is_local } => self.open_side(path, is_local),
        }
    }

    fn open_version(&mut self, path: &TreePath, run: RunId) -> Result<Found, LibraryError> {
        let mut kept = self.overlay.kept(Some(path)).map_err(LibraryError::Mounts)?;
        kept.retain(|version| version.id.run == run);
        let newest = newest_of(kept);
        let Some(version) = newest.get(path).or_else(|| newest.values().next()) else {
            return Ok(refused(format!("no such version of `{path}` is kept")));
        };
        if version.id.path != *path || !matches!(version.kind, FoundKind::File { .. }) {
            return Ok(refused(format!("that version of `{path}` is no file: name a file, or restore it")));
        }
        let KeptVersion { id, .. } = version;
        match opened(self.overlay.kept_source(id)) {
            Ok(source) => Ok(Found::Open(PastFile { source, len: version.len(), hash: None })),
            Err(_) => Ok(refused(format!(
                "that version of `{path}` is gone: `swarm versions` lists those that are kept"
            ))),
        }
    }

    fn open_side(&mut self, path: &TreePath, is_local: bool) -> Result<Found, LibraryError> {
        let conflicts = self.index.conflicts()?;
        let side = if is_local { Side::Local } else { Side::Remote };
        let version = conflicts.into_iter().find(|(conflict, _)| conflict.path == *path);
        let version = version.and_then(|(Conflict { versions, .. }, _)| versions.of(side).clone());
        let content = version.as_ref().and_then(|version| version.kind.file().copied());
        let (Some(version), Some(content)) = (version, content) else {
            return Ok(refused(format!("`{path}` is no conflict whose side there is a file")));
        };
        match opened(self.side_source(side, &version)) {
            Ok(source) => Ok(Found::Open(PastFile { source, len: content.len, hash: Some(content.hash) })),
            Err(_) if is_local => Ok(refused(format!("`{path}` has just changed: look again"))),
            Err(_) => Ok(Found::Elsewhere(content.hash, content.len)),
        }
    }

    fn side_source(&mut self, side: Side, version: &SideVersion) -> Box<dyn ContentSource> {
        let stamp = Stamp::default();
        let entry = Entry { kind: version.kind.clone(), modified_ns: version.modified_ns, stamp };
        match side {
            Side::Local => {
                let known = self.index.entry(Side::Local, &version.path).ok().flatten();
                self.overlay.source(&version.path, &known.unwrap_or(entry))
            }
            Side::Remote => {
                let view = ViewSide::new(
                    &self.overlay,
                    (&self.arrivals, &self.digests),
                    &self.signer,
                    &mut self.book,
                );
                view.source(&version.path, &entry)
            }
        }
    }
}

/// Sources open what they read at the first read: what is removed later stays readable.
fn opened(mut source: Box<dyn ContentSource>) -> Result<Box<dyn ContentSource>, ReplicaError> {
    source.read_at(0, &mut [0])?;
    Ok(source)
}

fn refused(message: String) -> Found {
    Found::Refused(Answer::refused(message))
}
