//! One mount: a folder as a replica, and where the library shows it. Translates paths between the two.

use std::path::{Path, PathBuf};

use swarm_files::{FolderReplica, Ignore};
use swarm_sync::{Blind, Found, KeptId, PathFault, ReplicaError, Seen, TreePath};

/// A mount in use.
pub(crate) struct Layer {
    /// Absolute.
    pub(crate) dir: PathBuf,
    pub(crate) libpath: Option<TreePath>,
    pub(crate) replica: FolderReplica,
    /// What it does not show, by its path in the mount.
    pub(crate) ignore: Option<Ignore>,
}

/// Where a path of the library is, as a mount sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Inward {
    /// Below its root.
    Below(TreePath),
    /// It is the root.
    Root,
    /// Above the root: a folder that leads to it.
    Above,
    /// Elsewhere.
    Apart,
}

/// Where a path of the library is, for a mount at `libpath`.
pub(crate) fn inward(libpath: Option<&TreePath>, path: &TreePath) -> Inward {
    let Some(libpath) = libpath else { return Inward::Below(path.clone()) };
    if path == libpath {
        return Inward::Root;
    }
    if libpath.is_below(path) {
        return Inward::Above;
    }
    let below = path.as_str().strip_prefix(libpath.as_str()).and_then(|rest| rest.strip_prefix('/'));
    below.and_then(|rest| TreePath::new(rest).ok()).map_or(Inward::Apart, Inward::Below)
}

/// The path in the library of what a mount at `libpath` has at `path`.
///
/// # Errors
/// If it is longer than a path may be.
pub(crate) fn outward(libpath: Option<&TreePath>, path: &TreePath) -> Result<TreePath, PathFault> {
    match libpath {
        None => Ok(path.clone()),
        Some(libpath) => TreePath::new(format!("{}/{}", libpath.as_str(), path.as_str())),
    }
}

/// The same step of a walk with the path in the library.
pub(crate) fn outward_seen(libpath: &TreePath, seen: Seen) -> Seen {
    let place = match &seen {
        Seen::Entry(found) => &found.path,
        Seen::Blind(blind) => &blind.path,
        Seen::Unnamed { shown, why } => {
            return Seen::Unnamed { shown: format!("{libpath}/{shown}"), why: *why };
        }
    };
    match (outward(Some(libpath), place), seen) {
        (Ok(path), Seen::Entry(found)) => Seen::Entry(Found { path, ..found }),
        (Ok(path), Seen::Blind(blind)) => Seen::Blind(Blind { path, ..blind }),
        (Err(fault), Seen::Entry(Found { path, .. }) | Seen::Blind(Blind { path, .. })) => {
            Seen::Unnamed { shown: format!("{libpath}/{path}"), why: fault.into() }
        }
        (_, seen @ Seen::Unnamed { .. }) => seen,
    }
}

impl Layer {
    pub(crate) fn inward(&self, path: &TreePath) -> Inward {
        inward(self.libpath.as_ref(), path)
    }

    /// The path in the library; the mount's own, if that is too long to be one.
    pub(crate) fn outward(&self, path: &TreePath) -> TreePath {
        outward(self.libpath.as_ref(), path).unwrap_or_else(|_| path.clone())
    }

    /// The name of a kept version in the library.
    pub(crate) fn outward_kept(&self, kept: KeptId) -> KeptId {
        KeptId { path: self.outward(&kept.path), ..kept }
    }

    /// The name of a kept version in the mount.
    pub(crate) fn inward_kept(&self, kept: &KeptId) -> Option<KeptId> {
        match self.inward(&kept.path) {
            Inward::Below(path) => Some(KeptId { path, ..kept.clone() }),
            Inward::Root | Inward::Above | Inward::Apart => None,
        }
    }

    /// The same error with the path in the library.
    pub(crate) fn outward_error(&self, mut error: ReplicaError) -> ReplicaError {
        match &mut error {
            ReplicaError::Changed { path }
            | ReplicaError::Denied { path, .. }
            | ReplicaError::Full { path }
            | ReplicaError::Name { path }
            | ReplicaError::NotEmpty { path }
            | ReplicaError::Integrity { path }
            | ReplicaError::NoTarget { path } => *path = self.outward(path),
            ReplicaError::Io { .. }
            | ReplicaError::Gone(_)
            | ReplicaError::ReadOnly
            | ReplicaError::Stopped => {}
        }
        error
    }

    /// The place on disk.
    pub(crate) fn place(&self, path: &TreePath) -> PathBuf {
        self.dir.join(Path::new(path.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(libpath: &str, path: &str, expected: &str) {
        let tree_path = |text: &str| TreePath::new(text).ok();
        let libpath = tree_path(libpath);
        let path = tree_path(path).expect("a path");
        let inward = inward(libpath.as_ref(), &path);
        let shown = match &inward {
            Inward::Below(inside) => inside.as_str().to_owned(),
            Inward::Root => "the root".to_owned(),
            Inward::Above => "above".to_owned(),
            Inward::Apart => "apart".to_owned(),
        };
        assert_eq!(shown, expected, "{path} in {libpath:?}");
        if let Inward::Below(inside) = inward {
            assert_eq!(outward(libpath.as_ref(), &inside), Ok(path));
        }
    }

    #[test]
    fn a_path_of_the_library_is_below_or_beside_a_mount() {
        check("", "a/b", "a/b");
        check("a", "a/b/c", "b/c");
        check("a", "a", "the root");
        check("a/b", "a", "above");
        check("a", "ab", "apart");
        check("a", "b", "apart");
    }
}
