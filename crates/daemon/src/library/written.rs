//! The part of a library that is written on this machine: its sync target, and where that stands among its mounts. Invariant: a path that another mount
//! owns is none of it. Pure.

use std::path::{Path, PathBuf};

use swarm_mounts::{MountKind, MountSpec};
use swarm_sync::TreePath;

use super::ReadError;

/// Where new files of a library go on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WrittenPart {
    /// The sync target, and where it stands in the library.
    target: Option<Target>,
    /// Places of other mounts: what stands there is not written.
    others: Vec<Option<TreePath>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    dir: PathBuf,
    libpath: Option<TreePath>,
    min_free: u64,
}

impl WrittenPart {
    pub(crate) fn of(mounts: &[MountSpec]) -> Self {
        let is_target = |mount: &&MountSpec| mount.kind == MountKind::SyncTarget;
        let target = mounts.iter().find(is_target);
        let others = mounts.iter().filter(|mount| !is_target(mount));
        Self {
            target: target.map(|mount| Target {
                dir: mount.dir.clone(),
                libpath: mount.libpath.clone(),
                min_free: mount.min_free,
            }),
            others: others.map(|mount| mount.libpath.clone()).collect(),
        }
    }

    /// The sync target.
    pub(crate) fn dir(&self) -> Result<&Path, ReadError> {
        self.target.as_ref().map(|target| &*target.dir).ok_or(ReadError::NoTarget)
    }

    /// Bytes that stay free on the disk of the sync target.
    pub(crate) fn min_free(&self) -> u64 {
        self.target.as_ref().map_or(0, |target| target.min_free)
    }

    /// Where a new file of this path goes: the sync target, and the place below it.
    pub(crate) fn place_for(&self, path: &TreePath) -> Result<(PathBuf, TreePath), ReadError> {
        let Target { dir, libpath, .. } = self.target.as_ref().ok_or(ReadError::NoTarget)?;
        let is_below = |libpath: &Option<TreePath>| libpath.as_ref().is_none_or(|at| path.is_at_or_below(at));
        let depth = |libpath: &Option<TreePath>| libpath.as_ref().map_or(0, |at| at.as_str().len() + 1);
        // The longest libpath that fits owns the path.
        let is_of_other = self.others.iter().any(|other| is_below(other) && depth(other) > depth(libpath));
        if !is_below(libpath) || is_of_other {
            return Err(ReadError::ReadOnly(path.to_string()));
        }
        let relative = path.as_str().get(depth(libpath)..).filter(|relative| !relative.is_empty());
        let relative = relative.and_then(|relative| TreePath::new(relative).ok());
        Ok((dir.clone(), relative.ok_or_else(|| ReadError::ReadOnly(path.to_string()))?))
    }
}
