//! Which parts of which layers a walk of the library has.

use std::sync::Arc;

use swarm_sync::{Found, FoundKind, Replica as _, ReplicaError, Seen, Stamp, TreePath, Walk};

use crate::Overlay;
use crate::layer::{Inward, Layer, outward_seen};
use crate::merging::Merging;
use crate::overlay::Target;
use crate::standing::is_below_no_folder;

impl Overlay {
    /// Starts a walk of `place` and below, or of everything.
    pub(crate) fn walk_all(&self, place: Option<&TreePath>) -> Result<Walk, ReplicaError> {
        if place.map_or(Ok(false), |place| self.is_shadowed(place))? {
            return Ok(Box::new(std::iter::empty()));
        }
        let mut layers = Vec::new();
        if let Some(target) = &self.target {
            layers.extend(self.walk_layer(&target.layer, place)?);
        }
        layers.push(self.walk_shape(place));
        for number in 0..self.read_only.len() {
            layers.extend(self.walk_read_only(number, place)?);
        }
        Ok(Box::new(Merging::noting(layers, Arc::clone(&self.shadowed))))
    }

    /// Walks each of these places and what is below it, one after the other. Every so often it is made sure that the mounts are there still.
    pub fn walk_each<'a>(
        &'a self,
        places: &'a [TreePath],
    ) -> impl Iterator<Item = Result<Seen, ReplicaError>> + 'a {
        let walk = |at: usize, place: &TreePath| {
            if at.is_multiple_of(CHECKED_EACH) {
                self.check_mounts()?;
            }
            self.walk_all(Some(place))
        };
        let walks = places.iter().enumerate().map(move |(at, place)| walk(at, place));
        walks.flat_map(|walk| walk.unwrap_or_else(|error| Box::new(std::iter::once(Err(error)))))
    }

    /// Whether the user excluded a folder, or one above it.
    fn excludes(&self, folder: &TreePath) -> bool {
        let Some(ignore) = &self.options.ignore else { return false };
        ignore(folder, true) || folder.ancestors().any(|above| ignore(&above, true))
    }

    /// The part of a walk that a mount has.
    fn walk_layer(&self, layer: &Layer, place: Option<&TreePath>) -> Result<Option<Walk>, ReplicaError> {
        let walk = match place.map(|place| layer.inward(place)) {
            Some(Inward::Apart) => return Ok(None),
            Some(Inward::Below(inside)) => layer.replica.walk(Some(&inside)),
            None | Some(Inward::Root | Inward::Above) => {
                if layer.libpath.as_ref().is_some_and(|libpath| self.excludes(libpath)) {
                    return Ok(None);
                }
                layer.replica.walk(None)
            }
        };
        let walk = walk.map_err(|error| layer.outward_error(error))?;
        Ok(Some(match layer.libpath.clone() {
            None => walk,
            Some(libpath) => Box::new(walk.map(move |seen| Ok(outward_seen(&libpath, seen?)))),
        }))
    }

    /// The part of a walk that a read-only mount shows.
    fn walk_read_only(&self, number: usize, place: Option<&TreePath>) -> Result<Option<Walk>, ReplicaError> {
        let layer = &self.read_only[number];
        let start = match (place, &layer.libpath) {
            (Some(place), Some(libpath)) if libpath.is_below(place) => Some(libpath),
            (Some(place), _) if self.shape.owner(place) != Some(number) => return Ok(None),
            (Some(place), _) => Some(place),
            (None, libpath) => libpath.as_ref(),
        };
        if start.is_some_and(|start| self.veil.covers(start)) {
            return Ok(None);
        }
        self.walk_layer(layer, place)
    }

    /// The folders that are there because of mounts.
    fn walk_shape(&self, place: Option<&TreePath>) -> Walk {
        let is_shown =
            |path: &&TreePath| !self.excludes(path) && (self.shape.is_fixed(path) || !self.veil.covers(path));
        let found = |path: &TreePath| Found {
            path: path.clone(),
            kind: FoundKind::Folder,
            modified_ns: 0,
            stamp: Stamp::default(),
        };
        let folders = self.shape.folders(place).filter(is_shown);
        let folders: Vec<_> = folders.map(|path| Ok(Seen::Entry(found(path)))).collect();
        Box::new(folders.into_iter())
    }

    fn is_shadowed(&self, place: &TreePath) -> Result<bool, ReplicaError> {
        let Some(Target { layer, .. }) = &self.target else { return Ok(false) };
        match layer.inward(place) {
            Inward::Below(inside) => {
                is_below_no_folder(&layer.replica, &inside).map_err(|error| layer.outward_error(error))
            }
            Inward::Root | Inward::Above | Inward::Apart => Ok(false),
        }
    }
}

/// Places between two checks that the mounts are there.
const CHECKED_EACH: usize = 64;
