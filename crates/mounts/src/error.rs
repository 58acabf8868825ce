//! Why mounts cannot be shown as one tree.

use std::path::PathBuf;

use swarm_core::base::{Category, Shown};
use swarm_sync::{ReplicaError, TreePath};

use crate::limits::MOUNTS_MAX;

/// Mounts that cannot be used, or not together.
#[derive(Debug, thiserror::Error)]
pub enum OverlayError {
    /// Two folders would take what others change.
    #[error("`{}` and `{}` are both sync targets: a library has at most one", Shown(one), Shown(other))]
    TwoTargets {
        /// The first.
        one: PathBuf,
        /// The second.
        other: PathBuf,
    },
    /// Two read-only mounts are shown at one place.
    #[error(
        "`{}` and `{}` are both mounted at `/{}`: give one of them another libpath",
        Shown(one),
        Shown(other),
        libpath.as_ref().map(ToString::to_string).unwrap_or_default()
    )]
    SamePlace {
        /// The first.
        one: PathBuf,
        /// The second.
        other: PathBuf,
        /// The place.
        libpath: Option<TreePath>,
    },
    /// A place that is kept for our own files.
    #[error(
        "nothing can be mounted at `/{libpath}`: what is in `.swarm` is never shown; choose another libpath"
    )]
    ReservedPlace {
        /// The place.
        libpath: TreePath,
    },
    /// Too many mounts.
    #[error("{count} mounts are more than a library may have ({MOUNTS_MAX})")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// A folder cannot be used.
    #[error("cannot use the mount `{}`: {error}", Shown(dir))]
    Mount {
        /// The folder.
        dir: PathBuf,
        /// The reason.
        error: ReplicaError,
    },
    /// The folder is the sync target of another library.
    #[error(
        "`{}` is the sync target of the library {}: choose another folder, or remove `.swarm/mount` in it",
        Shown(dir),
        Shown(guid)
    )]
    OtherLibrary {
        /// The folder.
        dir: PathBuf,
        /// The other library.
        guid: String,
    },
    /// The marker of a sync target cannot be read or written.
    #[error("cannot {op} `{}`: {source}", Shown(path))]
    Marker {
        /// The marker.
        path: PathBuf,
        /// The operation, as a verb.
        op: &'static str,
        /// The system's words.
        source: std::io::Error,
    },
    /// A sync target shares files with another mount: what is written to one would appear in the other.
    #[error(
        "the sync target `{}` of {} and the mount `{}` of {} are in one another: choose folders apart",
        Shown(target),
        Shown(library),
        Shown(other),
        Shown(other_library)
    )]
    Nested {
        /// The sync target.
        target: PathBuf,
        /// Its library.
        library: String,
        /// The other mount.
        other: PathBuf,
        /// The library of that.
        other_library: String,
    },
}

impl OverlayError {
    /// The category of the cause.
    pub fn category(&self) -> Category {
        match self {
            Self::Mount { error, .. } => error.category(),
            Self::Marker { .. } => Category::Disk,
            Self::TwoTargets { .. }
            | Self::SamePlace { .. }
            | Self::ReservedPlace { .. }
            | Self::TooMany { .. }
            | Self::OtherLibrary { .. }
            | Self::Nested { .. } => Category::Usage,
        }
    }
}
