//! What stands at one path of the library, looked at now, and in which layer.

use swarm_files::FolderReplica;
use swarm_sync::{Entry, Found, FoundKind, Kind, ReplicaError, Stamp, TreePath};

use crate::Overlay;
use crate::layer::{Inward, Layer};

/// What the sync target has at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Upper {
    /// An entry stands there.
    Stands {
        /// Below the root of the sync target.
        inside: TreePath,
        found: Found,
    },
    /// Nothing stands there, and something may.
    Free {
        /// Below the root of the sync target.
        inside: TreePath,
    },
    /// A file or link stands above: there is nothing here, whatever read-only mounts have.
    Shadowed,
    /// Its own root, or a folder that leads to it.
    Fixed,
    /// No place of the sync target, or there is none.
    Outside,
}

/// What the read-only mounts show at a path, or would if the sync target had nothing there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lower {
    /// A folder, because a mount is at or below it.
    Shape,
    /// An entry of a mount.
    Mount {
        /// The number of the mount.
        number: usize,
        /// Below its root.
        inside: TreePath,
        found: Found,
    },
}

impl Lower {
    pub(crate) fn is_folder(&self) -> bool {
        match self {
            Self::Shape => true,
            Self::Mount { found, .. } => found.kind == FoundKind::Folder,
        }
    }
}

/// The layer of the entry that the library shows.
pub(crate) enum Shown<'a> {
    /// A folder that no layer has, or the root of one.
    Shape,
    /// An entry of a layer.
    In {
        layer: &'a Layer,
        /// Below the root of the layer.
        inside: TreePath,
        found: Found,
    },
}

impl Shown<'_> {
    pub(crate) fn is_folder(&self) -> bool {
        match self {
            Self::Shape => true,
            Self::In { found, .. } => found.kind == FoundKind::Folder,
        }
    }

    /// The entry, if it is a folder: of that nothing has to be read.
    pub(crate) fn folder_entry(&self) -> Option<Entry> {
        let (modified_ns, stamp) = match self {
            Self::Shape => (0, Stamp::default()),
            Self::In { found, .. } => (found.modified_ns, found.stamp),
        };
        self.is_folder().then_some(Entry { kind: Kind::Folder, modified_ns, stamp })
    }
}

impl Overlay {
    /// What the library shows at a path.
    pub(crate) fn shown(&self, path: &TreePath) -> Result<Option<Shown<'_>>, ReplicaError> {
        match (self.upper(path)?, &self.target) {
            (Upper::Fixed, _) => Ok(Some(Shown::Shape)),
            (Upper::Shadowed, _) => Ok(None),
            (Upper::Stands { inside, found }, Some(target)) => {
                Ok(Some(Shown::In { layer: &target.layer, inside, found }))
            }
            (Upper::Stands { .. } | Upper::Free { .. } | Upper::Outside, _) => {
                Ok(self.lower(path)?.map(|lower| match lower {
                    Lower::Shape => Shown::Shape,
                    Lower::Mount { number, inside, found } => {
                        Shown::In { layer: &self.read_only[number], inside, found }
                    }
                }))
            }
        }
    }

    /// What the sync target has at a path.
    pub(crate) fn upper(&self, path: &TreePath) -> Result<Upper, ReplicaError> {
        let upper = self.upper_in_a_folder(path)?;
        let (Upper::Free { inside }, Some(target)) = (&upper, &self.target) else { return Ok(upper) };
        let is_shadowed = is_below_no_folder(&target.layer.replica, inside);
        let is_shadowed = is_shadowed.map_err(|error| target.layer.outward_error(error))?;
        Ok(if is_shadowed { Upper::Shadowed } else { upper })
    }

    /// The same of a path above which a folder stands.
    pub(crate) fn upper_in_a_folder(&self, path: &TreePath) -> Result<Upper, ReplicaError> {
        let Some(target) = &self.target else { return Ok(Upper::Outside) };
        let inside = match target.layer.inward(path) {
            Inward::Below(inside) => inside,
            Inward::Root | Inward::Above => return Ok(Upper::Fixed),
            Inward::Apart => return Ok(Upper::Outside),
        };
        let replica = &target.layer.replica;
        let found = replica.find(&inside).map_err(|error| target.layer.outward_error(error))?;
        Ok(match found {
            Some(found) => Upper::Stands { inside, found },
            None => Upper::Free { inside },
        })
    }

    /// What read-only mounts show at a path, wherever the sync target has something or not.
    pub(crate) fn lower(&self, path: &TreePath) -> Result<Option<Lower>, ReplicaError> {
        if self.shape.is_fixed(path) {
            return Ok(Some(Lower::Shape));
        }
        if self.veil.covers(path) {
            return Ok(None);
        }
        if self.shape.is_folder(path) {
            return Ok(Some(Lower::Shape));
        }
        self.bare_lower(path)
    }

    /// What a read-only mount has at a path, whether or not a whiteout hides it.
    pub(crate) fn bare_lower(&self, path: &TreePath) -> Result<Option<Lower>, ReplicaError> {
        let Some(number) = self.shape.owner(path) else { return Ok(None) };
        let layer = &self.read_only[number];
        let Inward::Below(inside) = layer.inward(path) else { return Ok(None) };
        let found = layer.replica.find(&inside).map_err(|error| layer.outward_error(error))?;
        Ok(found.map(|found| Lower::Mount { number, inside, found }))
    }

    /// Whether read-only mounts show anything in a folder that they have, excluded entries too.
    pub(crate) fn lower_has_entries(&self, folder: &TreePath) -> Result<bool, ReplicaError> {
        let is_open = |path: &TreePath| self.shape.is_fixed(path) || !self.veil.is_at(path);
        if self.shape.folders_in(folder).any(is_open) {
            return Ok(true);
        }
        let Some(number) = self.shape.owner(folder) else { return Ok(false) };
        let layer = &self.read_only[number];
        let names = match layer.inward(folder) {
            Inward::Below(inside) => layer.replica.names_in(Some(&inside)),
            Inward::Root => layer.replica.names_in(None),
            Inward::Above | Inward::Apart => return Ok(false),
        };
        let names = names.map_err(|error| layer.outward_error(error))?;
        // A name that makes no path is no part of the tree, and is still an entry.
        let is_shown = |name: &String| {
            TreePath::below(Some(folder), name)
                .map_or(true, |path| !self.shape.is_folder(&path) && !self.veil.is_at(&path))
        };
        Ok(names.iter().any(is_shown))
    }

    /// Looks immediately before something depends on it, whether a read-only mount still has what is expected.
    pub(crate) fn confirm_lower(
        &self,
        path: &TreePath,
        lower: &Lower,
        expected: Option<&Entry>,
    ) -> Result<(), ReplicaError> {
        let changed = || ReplicaError::Changed { path: path.clone() };
        let expected = expected.ok_or_else(changed)?;
        match lower {
            Lower::Shape if expected.is_folder() => Ok(()),
            Lower::Shape => Err(changed()),
            Lower::Mount { number, inside, .. } => {
                let layer = &self.read_only[*number];
                layer.replica.confirm(inside, expected).map_err(|error| layer.outward_error(error))
            }
        }
    }
}

/// Whether the nearest entry above a path is no folder.
pub(crate) fn is_below_no_folder(replica: &FolderReplica, path: &TreePath) -> Result<bool, ReplicaError> {
    for above in path.ancestors() {
        match replica.find(&above) {
            Ok(None) => {}
            Ok(Some(found)) => return Ok(found.kind != FoundKind::Folder),
            // A pipe or device.
            Err(ReplicaError::Changed { .. }) => return Ok(true),
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}
