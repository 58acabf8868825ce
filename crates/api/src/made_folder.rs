//! A folder that is made for something that may be refused. Invariant: what was there before stays, and so does what somebody put there since. All of it
//! blocks.

use std::io;
use std::path::{Path, PathBuf};

/// A folder, with those of the ones above it that were made for it.
#[derive(Debug)]
pub(crate) struct MadeFolder(Vec<PathBuf>);

impl MadeFolder {
    /// Makes a folder that may be there.
    pub(crate) fn make(path: &Path) -> io::Result<Self> {
        let missing: Vec<PathBuf> =
            path.ancestors().take_while(|above| !above.exists()).map(Path::to_owned).collect();
        let mut made = Self(Vec::new());
        for folder in missing.into_iter().rev() {
            match std::fs::create_dir(&folder) {
                Ok(()) => made.0.push(folder),
                // Somebody else made it at this moment, or it is a way up.
                Err(_) if folder.is_dir() => {}
                Err(error) => {
                    made.undo();
                    return Err(error);
                }
            }
        }
        if path.is_dir() { Ok(made) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    /// It is not needed: those that were made go again, as far as they are empty.
    pub(crate) fn undo(self) {
        for folder in self.0.iter().rev() {
            // What is not empty stays, and is no error.
            if std::fs::remove_dir(folder).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_goes_again_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("old")).expect("a place");
        let made = |name: &str| MadeFolder::make(&at(name)).expect("a place");
        made("old").undo();
        assert!(at("old").is_dir());
        made("old/new/below").undo();
        assert!(at("old").is_dir() && !at("old/new").exists());
        let used = made("used/below");
        std::fs::write(at("used/file"), "of somebody").expect("a place");
        used.undo();
        assert!(at("used/file").is_file() && !at("used/below").exists());
    }

    #[test]
    fn what_cannot_be_made_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("file"), "").expect("a place");
        assert!(MadeFolder::make(&folder.path().join("file")).is_err());
        let long = "x".repeat(300);
        assert!(MadeFolder::make(&folder.path().join("new").join(long)).is_err());
        assert!(!folder.path().join("new").exists());
    }
}
