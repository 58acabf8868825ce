//! What a caller says of the mounts of a library.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};
use swarm_files::{Digests, Ignore, RootIdentity};
use swarm_sync::TreePath;

/// A folder that is shown in a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountSpec {
    /// The folder.
    pub dir: PathBuf,
    /// Where it is shown; `None` for the root of the library.
    pub libpath: Option<TreePath>,
    /// How it is used.
    pub kind: MountKind,
    /// Bytes that stay free on its file system when something is copied to it. Means nothing for read-only mounts.
    pub min_free: u64,
}

/// How a folder is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountKind {
    /// It is never written.
    ReadOnly,
    /// What others change goes there. A library has at most one.
    SyncTarget,
}

/// How an overlay works.
#[derive(Clone)]
pub struct OverlayOptions {
    /// The GUID of the library: the marker of its sync target has it.
    pub guid: String,
    /// Set to true by another thread, it ends what runs.
    pub stop: Arc<AtomicBool>,
    /// What the user excluded, by its path in the library.
    pub ignore: Option<Ignore>,
    /// A folder for the values of long files' chunks, outside of all mounts.
    pub chunk_values: Option<PathBuf>,
    /// Is told digests of what is read whole.
    pub digests: Option<Arc<dyn Digests>>,
    /// What the folders were when they were used last. One that is not among them is new.
    pub known: Vec<MountIdentity>,
}

impl OverlayOptions {
    /// For a library that nothing else is known of.
    pub fn new(guid: impl Into<String>) -> Self {
        Self {
            guid: guid.into(),
            stop: Arc::new(AtomicBool::new(false)),
            ignore: None,
            chunk_values: None,
            digests: None,
            known: Vec::new(),
        }
    }
}

/// Which folder stood at the path of a mount, to be remembered by the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountIdentity {
    /// The path of the mount.
    pub dir: PathBuf,
    /// The folder.
    pub identity: RootIdentity,
}
