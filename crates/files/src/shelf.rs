//! A folder of many contents, each in its own folder named by its id, so that two of them may hold equal
//! names. Invariant: nothing is created or removed outside of it, nor through a symbolic link.

use std::path::{Path, PathBuf};

use super::StoreError;
use super::dir::{Dir, Standing};
use super::file::File;
use super::journal::open_locked;
use swarm_core::base::ContentId;

/// A folder of contents that is held open.
#[derive(Debug)]
pub struct Shelf {
    dir: Dir,
    path: PathBuf,
    _lock: File,
}

impl Shelf {
    /// Opens the folder at an absolute path, creates it if missing, and locks it: another process could remove contents that this
    /// one has promised to keep.
    ///
    /// # Errors
    /// If it cannot be created or written, or another process holds it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let dir = Dir::create(path)?;
        let lock = open_locked(&dir, Path::new(LOCK))?;
        Ok(Self { dir, path: path.to_owned(), _lock: lock })
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of a content.
    pub fn place(&self, content: ContentId) -> PathBuf {
        self.path.join(content.to_string())
    }

    /// Creates the folder of a content, durably. An existing entry must be a folder.
    pub fn make_place(&self, content: ContentId) -> Result<(), StoreError> {
        self.dir.make_directory(Path::new(&content.to_string()))?;
        self.dir.sync_directory(Path::new(""))
    }

    /// Discards a content: renames its folder at once; [`Shelf::clear`] removes it.
    pub fn discard(&self, content: ContentId) -> Result<(), StoreError> {
        let (from, to) = (content.to_string(), format!("{content}{DISCARDED}"));
        if self.dir.stat(Path::new(&from))? == Standing::Nothing {
            return Ok(());
        }
        self.dir.remove_tree(Path::new(&to))?;
        self.dir.rename(Path::new(&from), Path::new(&to), false)?;
        self.dir.sync_directory(Path::new(""))
    }

    /// Removes discarded contents, also those of a process that ended before it could.
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

/// Suffix of the folder of a discarded content, after the id.
const DISCARDED: &str = ".evicted";
const LOCK: &str = ".swarm-store.lock";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_discarded_content_is_removed_whole_and_nothing_else_is() {
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
        // The next process removes the rest.
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
