//! Files whose bytes rotted on this disk: they are told until good bytes stand there. Invariant: what rotted is no change of this node, and is
//! kept as a version when good bytes come. Absent here: the reading (`verifying`, `scrubbing`).

use super::Worker;
use super::due::Due;
use crate::library::error::LibraryError;
use crate::library::verifying::Rotten;

impl Worker {
    /// The trees tell what stands on the disk from now on: the next pass puts good bytes there, and keeps the bad ones as a version.
    pub(super) fn take_rotten(&mut self, rotten: Vec<Rotten>, due: &mut Due) -> Result<(), LibraryError> {
        for Rotten { path, expected, found } in rotten {
            tracing::warn!(library = %self.session.settings.name, %path, "the bytes of a file are wrong, and nobody changed it");
            due.pass |= self.session.book.note_rot(&path, &expected, &found)?;
            self.known.rotten.insert(path, expected);
        }
        Ok(())
    }

    /// Forgets files that are as they should be again, or that somebody changed.
    pub(super) fn forget_repaired(&mut self) -> Result<(), LibraryError> {
        let mut repaired = Vec::new();
        for (path, expected) in &self.known.rotten {
            if !self.session.book.is_wrong_at(path, expected)? {
                repaired.push(path.clone());
            }
        }
        for path in repaired {
            self.known.rotten.remove(&path);
        }
        Ok(())
    }
}
