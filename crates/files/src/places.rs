//! Where contents stand on the disks of this node, under whatever names. Invariant: what is opened lies below a folder that the caller
//! named, through no symbolic link. Absent here: whether the bytes are still those of the content; who reads them verifies them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustix::fs::Dev;
use swarm_sync::ContentHash;

use super::dir::{Access, Dir};
use super::file::File;
use super::{StoreError, locked};

/// Knows where contents stand.
pub trait Places: Send + Sync {
    /// Where a content stands now, best first. Asked again whenever a file has to be opened, from threads that read.
    fn places(&self, hash: &ContentHash, len: u64) -> Vec<StandsAt>;

    /// Which of these contents stand anywhere, in their order. Asked once for all contents of a store.
    fn stand(&self, contents: &[(ContentHash, u64)]) -> Vec<bool> {
        contents.iter().map(|(hash, len)| !self.places(hash, *len).is_empty()).collect()
    }
}

/// Where one copy of a content stands.
#[derive(Clone, Debug)]
pub struct StandsAt {
    /// The folder that holds it: one value for all files below it.
    pub folder: Arc<ServedFolder>,
    /// Below that folder.
    pub relative: PathBuf,
}

/// A folder whose files are served; opened when it is needed, and anew when its disk has come back.
#[derive(Debug)]
pub struct ServedFolder {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    dir: Option<Arc<Dir>>,
    /// Its file system when it was opened first: an unmounted disk leaves its mount point.
    device: Option<Dev>,
}

impl ServedFolder {
    /// Links in the path of the folder are followed.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), state: Mutex::default() }
    }

    /// The path of an entry, for messages.
    pub(super) fn full(&self, relative: &Path) -> PathBuf {
        self.path.join(relative)
    }

    /// Opens a file below it. [`StoreError::PlaceAway`] if the folder is not there now, or another one in its place.
    pub(super) fn open(&self, relative: &Path) -> Result<File, StoreError> {
        let dir = self.dir()?;
        let opened = dir.open_file(relative, Access::Read);
        match opened {
            Err(error) if error.is_out_of_descriptors() => Err(error),
            Err(error) if error.is_missing() || error.trouble().is_some() => {
                if self.is_away(&dir) {
                    return Err(StoreError::PlaceAway { path: self.full(relative) });
                }
                Err(error)
            }
            opened => opened,
        }
    }

    fn dir(&self) -> Result<Arc<Dir>, StoreError> {
        let mut state = locked(&self.state);
        if let Some(dir) = &state.dir {
            return Ok(Arc::clone(dir));
        }
        let dir = Dir::open(&self.path).map_err(|error| {
            let is_ours = error.is_out_of_descriptors();
            if is_ours { error } else { StoreError::PlaceAway { path: self.path.clone() } }
        })?;
        let dir = Arc::new(dir);
        state.device = state.device.or_else(|| device_of(&dir));
        state.dir = Some(Arc::clone(&dir));
        Ok(dir)
    }

    /// Whether an entry that is not found may be found later. Then the folder is opened anew.
    fn is_away(&self, dir: &Dir) -> bool {
        let mut state = locked(&self.state);
        let is_away = !dir.is_at_its_place() || device_of(dir) != state.device;
        if is_away {
            state.dir = None;
        }
        is_away
    }
}

fn device_of(dir: &Dir) -> Option<Dev> {
    rustix::fs::fstat(dir).ok().map(|stat| stat.st_dev)
}
