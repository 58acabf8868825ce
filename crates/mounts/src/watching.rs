//! Watchers of mounts. Each mount is watched by itself, and what is told of it is translated to the library.

use std::path::PathBuf;

use swarm_files::{FolderWatcher, Hint, Hints, WatchError};
use swarm_sync::TreePath;

use crate::Overlay;
use crate::layer::{Layer, outward};

/// A folder to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountRoot {
    /// Absolute.
    pub dir: PathBuf,
    /// Where it is shown; `None` for the root of the library.
    pub libpath: Option<TreePath>,
}

impl Overlay {
    /// The folders of all mounts, in the order in which they were named.
    pub fn mount_roots(&self) -> Vec<MountRoot> {
        let root = |layer: &Layer| MountRoot { dir: layer.dir.clone(), libpath: layer.libpath.clone() };
        (0..self.numbers.len()).filter_map(|index| self.layer(index)).map(root).collect()
    }

    /// Watches a mount, by its place among those that were named; `None` if there are not so many. What the mount does not show is not
    /// watched.
    pub fn watch(&self, index: usize) -> Option<Result<(FolderWatcher, Hints), WatchError>> {
        let layer = self.layer(index)?;
        Some(FolderWatcher::start(&layer.dir, layer.ignore.clone()))
    }

    /// A hint of a mount as one of the library.
    pub fn hint_of(&self, index: usize, hint: Hint) -> Hint {
        let libpath = self.layer(index).and_then(|layer| layer.libpath.as_ref());
        match (hint, libpath) {
            (Hint::Place(place), libpath) => outward(libpath, &place).map_or(Hint::Everything, Hint::Place),
            (Hint::Everything, Some(libpath)) => Hint::Place(libpath.clone()),
            (hint @ (Hint::Everything | Hint::CannotWatch(_)), _) => hint,
        }
    }

    /// The mount that the caller named at this place.
    fn layer(&self, index: usize) -> Option<&Layer> {
        match self.numbers.get(index)? {
            Some(number) => self.read_only.get(*number),
            None => self.target.as_ref().map(|target| &target.layer),
        }
    }
}
