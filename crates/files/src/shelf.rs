//! A folder that holds many contents, each below a folder of its own that is named by its id, so that two may hold the same
//! names. Invariant: nothing is made or removed outside of it, nor through a symbolic link.

use std::path::{Path, PathBuf};

use super::StoreError;
use super::dir::{Dir, Standing};
use super::file::File;
use super::journal::open_locked;
use swarm_core::base::ContentId;

/// A held folder of contents.
#[derive(Debug)]
pub struct Shelf {
    dir: Dir,
    path: PathBuf,
    _lock: File,
}

impl Shelf {
    /// Holds the folder at an absolute path, made if it is missing, for this process alone: another would take away what this
    /// one has promised to keep.
    ///
    /// # Errors
    /// If it cannot be made or written, or another process holds it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let dir = Dir::create(path)?;
        let lock = open_locked(&dir, Path::new(LOCK))?;
        Ok(Self { dir, path: path.to_owned(), _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a content has its place.
    pub fn place(&self, content: ContentId) -> PathBuf {
        self.path.join(content.to_string())
    }

    /// Makes the place of a content, durably. Only a folder may stand there.
    pub fn make_place(&self, content: ContentId) -> Result<(), StoreError> {
        self.dir.make_directory(Path::new(&content.to_string()))?;
        self.dir.sync_directory(Path::new(""))
    }

    /// Takes a content off the shelf: its folder is renamed at once, and goes with [`Shelf::clear`].
    pub fn discard(&self, content: ContentId) -> Result<(), StoreError> {
        let (from, to) = (content.to_string(), format!("{content}{DISCARDED}"));
        if self.dir.stat(Path::new(&from))? == Standing::Nothing {
            return Ok(());
        }
        self.dir.remove_tree(Path::new(&to))?;
        self.dir.rename(Path::new(&from), Path::new(&to), false)?;
        self.dir.sync_directory(Path::new(""))
    }

    /// Removes what was discarded, also by a process that ended before it could.
    pub fn clear(&self) -> Result<(), StoreError> {
        for name in self.dir.names(Path::new(""))? {
            let is_discarded = name.to_str().and_then(|name| name.strip_suffix(DISCARDED));
            if is_discarded.is_some_and(|id| id.parse::<ContentId>().is_ok()) {
                self.dir.remove_tree(Path::new(&name))?;
            }
        }
        Ok(())
    }
}

/// What the folder of a content that goes away is called, after the id.
const DISCARDED: &str = ".evicted";
const LOCK: &str = ".swarm-store.lock";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_discarded_goes_whole_and_nothing_else_does() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(outside.path().join("secret"), b"x").unwrap();
        let shelf = Shelf::open(&folder.path().join("new/store")).unwrap();
        let [gone, kept, linked] = [1, 2, 3].map(|byte| ContentId::from_bytes([byte; 32]));
        for content in [gone, kept] {
            shelf.make_place(content).unwrap();
            std::fs::create_dir_all(shelf.place(content).join("a/b")).unwrap();
            std::fs::write(shelf.place(content).join("a/b/film"), b"film").unwrap();
        }
        symlink(outside.path(), shelf.place(gone).join("a/link")).unwrap();
        symlink(outside.path(), shelf.place(linked)).unwrap();
        assert!(matches!(shelf.make_place(linked), Err(StoreError::Unsafe { .. })));
        std::fs::create_dir(shelf.path().join("mine.evicted")).unwrap();
        for content in [gone, linked, ContentId::from_bytes([4; 32])] {
            shelf.discard(content).unwrap();
            assert!(shelf.place(content).symlink_metadata().is_err());
        }
        // Another process does the rest.
        assert!(matches!(Shelf::open(shelf.path()), Err(StoreError::Busy { .. })));
        let place = shelf.path().to_owned();
        drop(shelf);
        let shelf = Shelf::open(&place).unwrap();
        shelf.clear().unwrap();
        let mut left: Vec<_> =
            std::fs::read_dir(shelf.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [LOCK, kept.to_string().as_str(), "mine.evicted"]);
        assert_eq!(std::fs::read(outside.path().join("secret")).unwrap(), b"x");
        assert_eq!(std::fs::read(shelf.place(kept).join("a/b/film")).unwrap(), b"film");
    }

    #[test]
    fn a_very_deep_tree_goes_too() {
        let folder = tempfile::tempdir().unwrap();
        let (shelf, content) = (Shelf::open(folder.path()).unwrap(), ContentId::from_bytes([1; 32]));
        shelf.make_place(content).unwrap();
        let deep = ["d".repeat(100).as_str(); 128].join("/");
        shelf.dir.make_directory(Path::new(&format!("{content}/{deep}"))).unwrap();
        shelf.discard(content).unwrap();
        shelf.clear().unwrap();
        assert!(std::fs::read_dir(folder.path()).unwrap().all(|entry| entry.unwrap().file_name() == LOCK));
    }
}
