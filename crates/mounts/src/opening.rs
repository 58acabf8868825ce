//! Opens mounts. What a mount does not show is decided here, so that its walk and its watcher do not enter it.

use std::sync::Arc;

use swarm_core::base::Shown;
use swarm_files::{FolderOptions, FolderReplica, Ignore};
use swarm_sync::{ReplicaError, STATE_FOLDER_NAME, TreePath};

use crate::layer::{Layer, outward};
use crate::limits::MOUNTS_MAX;
use crate::shape::Shape;
use crate::whiteouts::Veil;
use crate::{MountIdentity, MountKind, MountSpec, OverlayError, OverlayOptions};

/// What opening a mount needs of all of them.
pub(crate) struct Opening<'a> {
    pub(crate) options: &'a OverlayOptions,
    pub(crate) shape: &'a Arc<Shape>,
    pub(crate) veil: &'a Arc<Veil>,
}

impl Opening<'_> {
    /// Opens a mount; a number is that of a read-only one.
    pub(crate) fn layer(&self, spec: &MountSpec, number: Option<usize>) -> Result<Layer, OverlayError> {
        let failed = |error| OverlayError::Mount { dir: spec.dir.clone(), error };
        let dir = std::path::absolute(&spec.dir).map_err(|error| {
            let path = Shown(&spec.dir).to_string();
            failed(ReplicaError::Io { path, op: "find", why: error.to_string() })
        })?;
        let ignore = self.ignore(spec.libpath.clone(), number);
        let how = FolderOptions {
            stop: Arc::clone(&self.options.stop),
            ignore: ignore.clone(),
            chunk_values: self.options.chunk_values.clone(),
            digests: self.options.digests.clone(),
        };
        let replica = FolderReplica::open(&dir, how).map_err(failed)?;
        let layer = Layer { dir, libpath: spec.libpath.clone(), replica, ignore };
        layer.check_identity(&self.options.known).map_err(failed)?;
        Ok(layer)
    }

    /// What a mount does not show: what the user excluded, and of a read-only one, what belongs to another mount or has a whiteout. Asked
    /// from the root of the mount down.
    fn ignore(&self, libpath: Option<TreePath>, number: Option<usize>) -> Option<Ignore> {
        let user = self.options.ignore.clone();
        let Some(number) = number else {
            let user = user?;
            return Some(Arc::new(move |path, is_folder| {
                outward(libpath.as_ref(), path).is_ok_and(|path| user(&path, is_folder))
            }));
        };
        let (shape, veil) = (Arc::clone(self.shape), Arc::clone(self.veil));
        Some(Arc::new(move |path, is_folder| {
            let Ok(path) = outward(libpath.as_ref(), path) else { return false };
            shape.is_of_other(&path, number)
                || veil.is_at(&path)
                || user.as_ref().is_some_and(|user| user(&path, is_folder))
        }))
    }
}

impl Layer {
    pub(crate) fn identity(&self) -> MountIdentity {
        MountIdentity { dir: self.dir.clone(), identity: self.replica.identity() }
    }

    /// The number of a device may be another one after a restart.
    pub(crate) fn check_identity(&self, known: &[MountIdentity]) -> Result<(), ReplicaError> {
        let now = self.replica.identity();
        let is_other = |known: &&MountIdentity| {
            known.dir == self.dir
                && (known.identity.inode, known.identity.file_system) != (now.inode, now.file_system)
        };
        if !known.iter().any(|known| is_other(&known)) {
            return Ok(());
        }
        let dir = Shown(&self.dir);
        Err(ReplicaError::Gone(format!(
            "`{dir}` is another folder than last time: mount the disk of the former one; if it is lost, choose another folder"
        )))
    }
}

/// Whether mounts can be shown together.
pub(crate) fn check_specs(mounts: &[MountSpec]) -> Result<(), OverlayError> {
    if mounts.len() > MOUNTS_MAX {
        return Err(OverlayError::TooMany { count: mounts.len() });
    }
    let reserved = mounts.iter().filter_map(|spec| spec.libpath.as_ref());
    let mut reserved = reserved.filter(|path| path.components().next() == Some(STATE_FOLDER_NAME));
    if let Some(libpath) = reserved.next() {
        return Err(OverlayError::ReservedPlace { libpath: libpath.clone() });
    }
    for (at, spec) in mounts.iter().enumerate() {
        for other in &mounts[..at] {
            let (one, other_dir) = (other.dir.clone(), spec.dir.clone());
            match (spec.kind, other.kind) {
                (MountKind::SyncTarget, MountKind::SyncTarget) => {
                    return Err(OverlayError::TwoTargets { one, other: other_dir });
                }
                (MountKind::ReadOnly, MountKind::ReadOnly) if spec.libpath == other.libpath => {
                    let libpath = spec.libpath.clone();
                    return Err(OverlayError::SamePlace { one, other: other_dir, libpath });
                }
                (MountKind::ReadOnly | MountKind::SyncTarget, _) => {}
            }
        }
    }
    Ok(())
}
