//! Maps the paths of a content to places on disk. Decides names only; opening goes through [`Dir`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::dir::{Access, Dir};
use super::file::File;
use super::identity::Identity;
use super::{StoreError, locked};
use swarm_core::manifest::{EntryPath, Manifest};

/// The place of each entry of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots(Shape);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    /// Every entry lies below one folder.
    Folder(PathBuf),
    /// Entries lie below the folder of their first component.
    Tops(BTreeMap<String, PathBuf>),
    /// The only file of the content, under any name.
    OneFile(PathBuf),
}

impl Roots {
    /// Every entry lies below this folder, as after a fetch.
    pub fn folder(path: impl Into<PathBuf>) -> Self {
        Self(Shape::Folder(path.into()))
    }

    /// The roots that a user means by `path`: the folder that the content was fetched into, the folder that is
    /// the content's only top entry, or its only file.
    pub fn find(manifest: &Manifest, path: &Path) -> Result<Self, StoreError> {
        let metadata = std::fs::metadata(path).map_err(StoreError::disk(path, "stat"))?;
        if !metadata.is_dir() {
            return match manifest.files() {
                [_] => Ok(Self(Shape::OneFile(path.to_owned()))),
                _ => Err(StoreError::NotOneFile { path: path.to_owned() }),
            };
        }
        let whole = std::path::absolute(path).map_err(StoreError::disk(path, "find"))?;
        let entries = manifest.files().iter().map(|file| &file.path).chain(manifest.empty_directories());
        let is_top = whole.file_name().and_then(|name| name.to_str()).is_some_and(|name| {
            !path.join(name).exists()
                && entries
                    .into_iter()
                    .all(|entry| entry.components().next() == Some(name) && entry.parent().is_some())
        });
        match whole.parent() {
            Some(parent) if is_top && !manifest.files().is_empty() => Ok(Self::folder(parent)),
            _ => Ok(Self::folder(path)),
        }
    }

    /// Maps each first component of a path to the folder that holds it.
    pub(super) fn tops(tops: BTreeMap<String, PathBuf>) -> Self {
        Self(Shape::Tops(tops))
    }

    /// The path of an entry, for messages.
    pub fn path(&self, entry: &EntryPath) -> PathBuf {
        let (folder, relative) = self.split(entry);
        folder.join(relative)
    }

    fn split(&self, entry: &EntryPath) -> (PathBuf, PathBuf) {
        let relative = PathBuf::from(entry.as_str());
        match &self.0 {
            Shape::Folder(folder) => (folder.clone(), relative),
            Shape::Tops(tops) => {
                let top = entry.components().next().and_then(|top| tops.get(top));
                (top.cloned().unwrap_or_default(), relative)
            }
            Shape::OneFile(path) => {
                let folder = path.parent().unwrap_or(Path::new("")).to_owned();
                (folder, path.file_name().map(PathBuf::from).unwrap_or_default())
            }
        }
    }
}

/// Roots with their folders held open.
#[derive(Debug)]
pub(super) struct OpenRoots {
    roots: Roots,
    /// One for each folder that holds a seeded path: only a few.
    dirs: Mutex<BTreeMap<PathBuf, Arc<Dir>>>,
    /// The file systems of the entries' folders at the start.
    devices: BTreeMap<PathBuf, u64>,
}

impl OpenRoots {
    pub(super) fn new(roots: Roots) -> Self {
        Self { roots, dirs: Mutex::new(BTreeMap::new()), devices: BTreeMap::new() }
    }

    /// Opens roots, and notes their file systems: later that tells a removed file from an unmounted disk.
    pub(super) fn of(roots: Roots, manifest: &Manifest) -> Self {
        let mut devices = BTreeMap::new();
        for file in manifest.files() {
            let path = roots.path(&file.path);
            let folder = path.parent().unwrap_or(Path::new(""));
            if !devices.contains_key(folder)
                && let Some(device) = device_of(folder)
            {
                devices.insert(folder.to_owned(), device);
            }
        }
        Self { devices, ..Self::new(roots) }
    }

    /// Whether the disk, or the whole folder, of a missing entry is gone.
    pub(super) fn is_away(&self, entry: &EntryPath) -> bool {
        let (root, relative) = self.roots.split(entry);
        let whole = relative.components().next().filter(|_| relative.components().count() > 1);
        if device_of(&whole.map_or_else(|| root.clone(), |top| root.join(top))).is_none() {
            return true;
        }
        let path = root.join(relative);
        let folder = path.parent().unwrap_or(Path::new(""));
        // An unmounted disk leaves its mount point, or the folder that held that.
        let there = folder.ancestors().find_map(device_of);
        self.devices.get(folder).is_some_and(|device| there != Some(*device))
    }

    /// Closes all folders, so that they are opened anew.
    pub(super) fn forget(&self) {
        locked(&self.dirs).clear();
    }

    pub(super) fn roots(&self) -> &Roots {
        &self.roots
    }

    /// Opens an entry for reading, through no symbolic link below its root.
    pub(super) fn open(&self, entry: &EntryPath) -> Result<File, StoreError> {
        let (dir, relative) = self.place(entry)?;
        dir.open_file(&relative, Access::Read)
    }

    /// The open folder of an entry, and the path below it.
    pub(super) fn place(&self, entry: &EntryPath) -> Result<(Arc<Dir>, PathBuf), StoreError> {
        let (folder, relative) = self.roots.split(entry);
        let mut dirs = locked(&self.dirs);
        if let Some(dir) = dirs.get(&folder) {
            return Ok((Arc::clone(dir), relative));
        }
        let dir = Arc::new(Dir::open(&folder)?);
        dirs.insert(folder, Arc::clone(&dir));
        Ok((dir, relative))
    }
}

/// The file system of a path; `None` if there is no entry.
fn device_of(path: &Path) -> Option<u64> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    std::fs::metadata(path).ok().map(|metadata| Identity::of_metadata(&metadata).device())
}
