//! Files that a fetch left whole in a folder of its own below `.swarm` get their places in the folder of the user. Invariant: a file is renamed, so its
//! place shows nothing or all of it; what stands at a place is never replaced; nothing is followed out of the folder, and nothing is put into `.swarm`.
//! Absent here: which other name is taken where one stands.

use std::path::{Path, PathBuf};

use swarm_sync::TreePath;

use super::new_file::PutError;
use super::reading::is_ours;
use super::walk::OURS;
use crate::dir::{Dir, Standing};
use crate::error::StoreError;

/// A folder of the user, and where below its `.swarm` a fetch left its files.
pub struct Landing {
    dir: Dir,
    from: PathBuf,
}

impl Landing {
    /// Opens the folder; `from` is below its `.swarm`.
    ///
    /// # Errors
    /// If the folder is not there.
    pub fn open(folder: &Path, from: &Path) -> Result<Self, StoreError> {
        Ok(Self { dir: Dir::open(folder)?, from: Path::new(OURS).join(from) })
    }

    /// Whether the fetch has this file, or empty folder, still: what was put is gone from there.
    ///
    /// # Errors
    /// If the disk does not say so: that is no sign that it was put.
    pub fn has(&self, entry: &Path) -> Result<bool, StoreError> {
        match self.dir.stat(&self.from.join(entry)) {
            Ok(standing) => Ok(matches!(standing, Standing::File { .. } | Standing::Directory)),
            Err(error) if error.is_missing() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the folder of the fetch is there.
    ///
    /// # Errors
    /// If the disk does not say so.
    pub fn is_there(&self) -> Result<bool, StoreError> {
        self.has(Path::new(""))
    }

    /// Puts a file to its place, durably; its folders are made.
    ///
    /// # Errors
    /// [`PutError::Stands`] with the path of what stands there, or of a folder above that is none; then nothing has changed.
    pub fn put(&self, entry: &Path, path: &TreePath) -> Result<(), PutError> {
        let (at, parent) = self.place(path)?;
        self.dir.make_directory(parent)?;
        match self.dir.rename(&self.from.join(entry), at, false) {
            Ok(()) => {}
            Err(error) if matches!(self.dir.stat(at), Ok(Standing::Nothing)) => return Err(error.into()),
            Err(_) => return Err(PutError::Stands(path.clone())),
        }
        self.sync_above(at)
    }

    /// Makes a folder, unless it is there.
    ///
    /// # Errors
    /// As [`Landing::put`].
    pub fn make_folder(&self, path: &TreePath) -> Result<(), PutError> {
        let (at, _) = self.place(path)?;
        match self.dir.stat(at) {
            Ok(Standing::Directory) => return Ok(()),
            Ok(Standing::File { .. } | Standing::Symlink | Standing::Special) => {
                return Err(PutError::Stands(path.clone()));
            }
            Ok(Standing::Nothing) => {}
            Err(error) if error.is_missing() => {}
            Err(error) => return Err(error.into()),
        }
        self.dir.make_directory(at)?;
        self.sync_above(at)
    }

    /// Removes what the fetch left: all that it was to bring has its place.
    ///
    /// # Errors
    /// If the disk refuses it.
    pub fn remove(&self) -> Result<(), StoreError> {
        self.dir.remove_tree(&self.from)
    }

    fn place<'a>(&self, path: &'a TreePath) -> Result<(&'a Path, &'a Path), PutError> {
        if is_ours(path) {
            return Err(PutError::Ours);
        }
        let at = Path::new(path.as_str());
        if let Some(above) = self.dir.not_a_folder_above(at) {
            let is_it = |folder: &TreePath| self.dir.full(Path::new(folder.as_str())) == above;
            return Err(PutError::Stands(path.ancestors().find(is_it).unwrap_or_else(|| path.clone())));
        }
        Ok((at, at.parent().unwrap_or(Path::new(""))))
    }

    fn sync_above(&self, at: &Path) -> Result<(), PutError> {
        let above: Vec<&Path> = at.ancestors().skip(1).collect();
        above.into_iter().rev().try_for_each(|above| self.dir.sync_directory(above)).map_err(PutError::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::new(text).expect("a path")
    }

    /// A folder with a fetched file `film`, and a landing there.
    fn fetched() -> (tempfile::TempDir, Landing) {
        let folder = tempfile::tempdir().expect("a folder");
        let left = folder.path().join(".swarm/tickets/one");
        std::fs::create_dir_all(&left).expect("made");
        std::fs::write(left.join("film"), "new").expect("written");
        let landing = Landing::open(folder.path(), Path::new("tickets/one")).expect("opened");
        (folder, landing)
    }

    #[test]
    fn a_fetched_file_gets_its_place_and_folders_and_is_gone_from_where_it_was() {
        let (folder, landing) = fetched();
        let has_film = || landing.has(Path::new("film")).expect("a disk");
        assert!(has_film() && landing.is_there().expect("a disk"));
        landing.put(Path::new("film"), &path("a/b/film")).expect("put");
        assert_eq!(std::fs::read(folder.path().join("a/b/film")).expect("there"), b"new");
        assert!(!has_film());
        landing.make_folder(&path("a/empty")).expect("made");
        landing.make_folder(&path("a/empty")).expect("it is there");
        landing.remove().expect("removed");
        assert!(!landing.is_there().expect("a disk"));
        assert!(folder.path().join("a/empty").is_dir() && !folder.path().join(".swarm/tickets/one").exists());
    }

    #[test]
    fn what_stands_at_a_place_is_named_and_stays() {
        let (folder, landing) = fetched();
        std::fs::write(folder.path().join("old"), "old").expect("written");
        std::fs::create_dir(folder.path().join("folder")).expect("made");
        std::os::unix::fs::symlink("nowhere", folder.path().join("link")).expect("a link");
        for (place, standing) in
            [("old", "old"), ("old/x/film", "old"), ("folder", "folder"), ("link/film", "link")]
        {
            match landing.put(Path::new("film"), &path(place)) {
                Err(PutError::Stands(found)) => assert_eq!(found, path(standing), "{place}"),
                other => panic!("{place}: {other:?}"),
            }
        }
        assert!(matches!(landing.make_folder(&path("old")), Err(PutError::Stands(_))));
        assert_eq!(std::fs::read(folder.path().join("old")).expect("there"), b"old");
        assert!(landing.has(Path::new("film")).expect("a disk"), "nothing has changed");
    }

    #[test]
    fn nothing_is_put_into_our_own_folder_or_out_of_the_users() {
        let (folder, landing) = fetched();
        let outside = tempfile::tempdir().expect("another");
        std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).expect("a link");
        for place in [".swarm/mount", ".swarm", ".SWARM/mount"] {
            assert!(matches!(landing.put(Path::new("film"), &path(place)), Err(PutError::Ours)), "{place}");
        }
        assert!(landing.put(Path::new("film"), &path("link/film")).is_err());
        assert_eq!(std::fs::read_dir(outside.path()).expect("there").count(), 0);
    }
}
