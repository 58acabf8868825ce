//! Versions that are still in a read-only mount, hidden by a whiteout or shadowed. No copy is kept of them: their names only tell where they
//! are, so that what hid them can be undone. Undoing copies the version to the sync target.

use swarm_sync::{ContentSource, KeptId, ReplicaError, RunId, TreePath};

use crate::Overlay;
use crate::carrying::NoSource;
use crate::standing::Lower;

/// The name of what a run hid at a path.
pub(crate) fn name(run: RunId, path: &TreePath) -> KeptId {
    KeptId { run, path: path.clone(), number: HIDDEN }
}

/// Whether it names a version in a read-only mount.
pub(crate) fn is_hidden(kept: &KeptId) -> bool {
    kept.number == HIDDEN
}

impl Overlay {
    /// The bytes of what a read-only mount has at a path, whether or not the library shows it.
    pub(crate) fn hidden_source(&self, path: &TreePath) -> Box<dyn ContentSource> {
        match self.bare_lower(path) {
            Ok(Some(Lower::Mount { number, inside, .. })) => {
                self.read_only[number].replica.source_as(&inside, path, None)
            }
            Ok(Some(Lower::Shape) | None) => Box::new(NoSource(ReplicaError::Changed { path: path.clone() })),
            Err(error) => Box::new(NoSource(error)),
        }
    }
}

/// No folder keeps so many versions of one path by one run.
const HIDDEN: u32 = u32::MAX;
