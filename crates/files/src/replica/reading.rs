//! Reads of single places, for whoever shows several folders as one. Nothing here writes below the root. What is ours at the root is
//! never shown.

use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use rustix::io::Errno;
use swarm_sync::limits::LINK_LEN_MAX;
use swarm_sync::{ContentSource, Entry, Found, FoundKind, ReplicaError, Staged, TreePath};

use super::again::{changed, look_again, relative};
use super::fault::fault;
use super::folder::FolderReplica;
use super::listing::list;
use super::root::Root;
use super::source::FolderSource;
use super::walk::OURS;

impl FolderReplica {
    /// The path that it was opened by.
    pub fn root_path(&self) -> &Path {
        self.root.dir.path()
    }

    /// Whether the path of the root still leads to the folder that was opened.
    ///
    /// # Errors
    /// [`ReplicaError::Gone`] if it does not; [`ReplicaError::Stopped`] if it was told to stop.
    pub fn check(&self) -> Result<(), ReplicaError> {
        self.root.check()
    }

    /// What stands at a place, as a walk would tell it, whether or not it is excluded; `None` if nothing does.
    ///
    /// # Errors
    /// [`ReplicaError::Changed`] if what stands there is no file, folder or link.
    pub fn find(&self, path: &TreePath) -> Result<Option<Found>, ReplicaError> {
        if is_ours(path) {
            return Ok(None);
        }
        let look = self.root.dir.look(relative(path)).map_err(|errno| fault(path, "look at", errno))?;
        let Some(look) = look else { return Ok(None) };
        let kind = match look.kind {
            FileType::RegularFile => FoundKind::File { len: look.len, executable: look.is_executable() },
            FileType::Directory => FoundKind::Folder,
            FileType::Symlink => FoundKind::Symlink { target: link_target(&self.root, path)? },
            FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => return Err(changed(path)),
        };
        Ok(Some(Found { path: path.clone(), kind, modified_ns: look.modified_ns, stamp: look.stamp() }))
    }

    /// Looks at a place immediately before something depends on what stands there. A file that the disk tells something new of is read.
    ///
    /// # Errors
    /// [`ReplicaError::Changed`] if it is not what is expected.
    pub fn confirm(&self, path: &TreePath, expected: &Entry) -> Result<(), ReplicaError> {
        look_again(&self.root, path, Some(expected)).map(drop)
    }

    /// The names in a folder, or in the root, excluded ones too. One that is not UTF-8 has replacement characters. None if the folder is
    /// missing.
    pub fn names_in(&self, folder: Option<&TreePath>) -> Result<Vec<String>, ReplicaError> {
        let place = folder.map_or("", TreePath::as_str);
        let listed = match self.root.dir.open_folder(Path::new(place)) {
            Ok(open) => list(&open),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(Vec::new()),
            Err(errno) => Err(errno),
        };
        let mut listing = listed.map_err(|errno| match folder {
            Some(folder) => fault(folder, "list", errno),
            None => ReplicaError::Io {
                path: swarm_core::base::Shown(self.root.dir.path()).to_string(),
                op: "list",
                why: super::fault::words(errno),
            },
        })?;
        if folder.is_none() {
            listing.leave_out(OURS);
        }
        Ok((0..listing.len()).map(|index| listing.name(index).to_string_lossy().into_owned()).collect())
    }

    /// The bytes of a file, with errors that name it by another path. Without an expected entry, whatever stands there is read.
    pub fn source_as(
        &self,
        path: &TreePath,
        shown: &TreePath,
        expected: Option<&Entry>,
    ) -> Box<dyn ContentSource> {
        let place = PathBuf::from(path.as_str());
        Box::new(FolderSource::new(&self.root, place, shown.clone(), expected.cloned()))
    }

    /// Removes a content that was staged and will not be put.
    pub fn discard(&self, staged: Staged) {
        self.incoming.discard(&self.root, staged.0);
    }
}

/// Whether a path is in the folder of this program's own state, also by a name that a file system takes for it where case does not count. `ſ` is the
/// one other letter that folds to one of the name (Unicode's CaseFolding.txt).
pub fn is_ours(path: &TreePath) -> bool {
    let top = path.components().next().unwrap_or_default();
    let folded =
        top.chars().flat_map(char::to_lowercase).map(|letter| if letter == 'ſ' { 's' } else { letter });
    folded.eq(OURS.chars())
}

fn link_target(root: &Root, path: &TreePath) -> Result<Box<str>, ReplicaError> {
    let target = root.dir.read_link(relative(path)).map_err(|errno| fault(path, "read", errno))?;
    let target = target.into_string().ok().filter(|target| target.len() <= LINK_LEN_MAX);
    target.map(Into::into).ok_or_else(|| changed(path))
}
