//! Files whose bytes are others though nobody changed them.

use swarm_sync::{BaseEntry, ContentHash, Entry, FileContent, Kind, Observation, PerSide, Side, TreePath};

use super::LibraryBook;
use crate::IndexError;
use crate::trees::{self, Trees};

impl LibraryBook {
    /// Writes down what a file is now, as if the library had always had that here: what others have is the newer version, and this one is told to
    /// nobody. Returns whether it was so: a file that changed meanwhile, or of which the view has something else, is left alone.
    pub fn note_rot(
        &mut self,
        path: &TreePath,
        expected: &ContentHash,
        found: &ContentHash,
    ) -> Result<bool, IndexError> {
        self.write(|db| {
            let local = trees::entry(db, Side::Local, path)?;
            let remote = trees::entry(db, Side::Remote, path)?;
            let hash_of = |entry: &Option<Entry>| entry.as_ref().and_then(Entry::file).map(|file| file.hash);
            if hash_of(&local) != Some(*expected) || hash_of(&remote) != Some(*expected) {
                return Ok(false);
            }
            let Some((entry, file)) = local.and_then(|entry| entry.file().copied().map(|file| (entry, file)))
            else {
                return Ok(false);
            };
            let kind = Kind::File(FileContent { hash: *found, ..file });
            let base = BaseEntry {
                kind: kind.clone(),
                modified_ns: entry.modified_ns,
                ids: PerSide { local: None, remote: None },
            };
            let seen = Observation { path: path.clone(), entry: Some(Entry { kind, ..entry }) };
            let trees = Trees::new(db)?;
            trees.observe(Side::Local, &seen)?;
            trees.set_base(path, Some(&base))?;
            Ok(true)
        })
    }

    /// Whether a file is known to have other bytes than these, which the view has.
    pub fn is_wrong_at(&self, path: &TreePath, expected: &ContentHash) -> Result<bool, IndexError> {
        self.read(|db| {
            let hash_of = |side: Side| -> Result<Option<ContentHash>, crate::error::Fault> {
                Ok(trees::entry(db, side, path)?.as_ref().and_then(Entry::file).map(|file| file.hash))
            };
            Ok(hash_of(Side::Remote)? == Some(*expected) && hash_of(Side::Local)? != Some(*expected))
        })
    }
}
