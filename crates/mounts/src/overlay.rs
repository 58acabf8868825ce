//! The overlay itself: which layers it has, and what it does in which of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use swarm_files::{FolderTurn, KeptVersion};
use swarm_sync::{
    Blind, ContentSource, Done, Entry, Found, KeptId, NameRules, Op, Replica, ReplicaError, RunId, StageJob,
    Staged, TreePath, Walk,
};

use crate::applying::perform_all;
use crate::carrying::{NoSource, hash_all, stage_all};
use crate::layer::{Inward, Layer};
use crate::limits::SHADOWED_MAX;
use crate::merging::Shadowed;
use crate::opening::{Opening, check_specs};
use crate::shape::Shape;
use crate::standing::Shown;
use crate::whiteouts::Veil;
use crate::{MountIdentity, MountKind, MountSpec, OverlayError, OverlayOptions, Whiteouts, hidden, marker};

/// Several folders as one replica.
pub struct Overlay {
    pub(crate) read_only: Vec<Layer>,
    pub(crate) target: Option<Target>,
    /// Of each mount as the caller named them: the number of a read-only one, or nothing for the sync target.
    pub(crate) numbers: Vec<Option<usize>>,
    pub(crate) shape: Arc<Shape>,
    pub(crate) veil: Arc<Veil>,
    pub(crate) options: OverlayOptions,
    /// What walks found below files of the sync target.
    pub(crate) shadowed: Arc<Shadowed>,
    lacked_target: AtomicBool,
}

/// The layer that may be written.
pub(crate) struct Target {
    pub(crate) layer: Layer,
    /// In bytes.
    pub(crate) min_free: u64,
}

impl Overlay {
    /// Opens all mounts. Writes nothing: a new sync target is marked before, by [`mark_target`](crate::mark_target).
    ///
    /// # Errors
    /// If mounts cannot be used together, and if a folder is missing, is another one than is known of it, or lost its marker.
    pub fn open(
        mounts: Vec<MountSpec>,
        whiteouts: Arc<dyn Whiteouts>,
        options: OverlayOptions,
    ) -> Result<Self, OverlayError> {
        check_specs(&mounts)?;
        let is_target = |spec: &&MountSpec| spec.kind == MountKind::SyncTarget;
        let (targets, read_only): (Vec<&MountSpec>, Vec<&MountSpec>) = mounts.iter().partition(is_target);
        let libpaths = read_only.iter().map(|spec| spec.libpath.as_ref());
        let target_path = targets.first().and_then(|spec| spec.libpath.as_ref());
        let shape = Arc::new(Shape::new(libpaths, target_path));
        let veil = Arc::new(Veil::new(whiteouts));
        let opening = Opening { options: &options, shape: &shape, veil: &veil };
        let target = match targets.first() {
            None => None,
            Some(spec) => {
                let layer = opening.layer(spec, None)?;
                marker::check(&layer.dir, &options.guid)?;
                Some(Target { layer, min_free: spec.min_free })
            }
        };
        let numbered = read_only.into_iter().enumerate();
        let read_only: Result<_, _> =
            numbered.map(|(number, spec)| opening.layer(spec, Some(number))).collect();
        let (read_only, mut next) = (read_only?, 0..);
        let number = |spec: &MountSpec| match spec.kind {
            MountKind::ReadOnly => next.next(),
            MountKind::SyncTarget => None,
        };
        let numbers = mounts.iter().map(number).collect();
        let lacked_target = AtomicBool::new(false);
        let shadowed = Arc::new(Shadowed::new(Arc::clone(&veil), SHADOWED_MAX));
        Ok(Self { read_only, target, numbers, shape, veil, options, shadowed, lacked_target })
    }

    /// Which folders the mounts are, to be remembered for [`OverlayOptions::known`].
    pub fn identities(&self) -> Vec<MountIdentity> {
        self.layers().map(Layer::identity).collect()
    }

    /// Whether the mounts are the folders that are known. One that nothing is known of is as it should be.
    ///
    /// # Errors
    /// [`ReplicaError::Gone`] if one is missing, is another folder, or lost its marker.
    pub fn check(&self, known: &[MountIdentity]) -> Result<(), ReplicaError> {
        self.check_mounts()?;
        self.layers().try_for_each(|layer| layer.check_identity(known))
    }

    /// Whether something was refused because there is no sync target: with one, it can be tried again.
    pub fn needs_target(&self) -> bool {
        self.target.is_none() && self.lacked_target.load(Ordering::Relaxed)
    }

    /// Where what the library shows at a path is on disk. Nothing for a folder that no mount has.
    pub fn file_path(&self, path: &TreePath) -> Option<PathBuf> {
        match self.shown(path) {
            Ok(Some(Shown::In { layer, inside, .. })) => Some(layer.place(&inside)),
            Ok(Some(Shown::Shape)) => {
                let is_root = |layer: &&Layer| layer.libpath.as_ref() == Some(path);
                self.layers().find(is_root).map(|layer| layer.dir.clone())
            }
            Ok(None) | Err(_) => None,
        }
    }

    /// The right to change the sync target, which another process may have; waits for it, and calls `waiting` first.
    pub fn take_turn(&self, waiting: &dyn Fn()) -> Result<Option<FolderTurn>, ReplicaError> {
        self.check_mounts()?;
        self.target.as_ref().map(|target| target.layer.replica.take_turn(waiting)).transpose()
    }

    /// The versions that runs displaced in the sync target at `place` and below, or everywhere.
    pub fn kept(&self, place: Option<&TreePath>) -> Result<Vec<KeptVersion>, ReplicaError> {
        let Some(Target { layer, .. }) = &self.target else { return Ok(Vec::new()) };
        let kept = match place.map(|place| layer.inward(place)) {
            None | Some(Inward::Root | Inward::Above) => layer.replica.kept(None),
            Some(Inward::Below(inside)) => layer.replica.kept(Some(&inside)),
            Some(Inward::Apart) => Ok(Vec::new()),
        };
        let outward = |kept: KeptVersion| KeptVersion { id: layer.outward_kept(kept.id.clone()), ..kept };
        let kept = kept.map_err(|error| layer.outward_error(error))?;
        Ok(kept.into_iter().map(outward).collect())
    }

    /// Removes kept versions for good. One that is not there is no error.
    pub fn remove_kept(&self, ids: &[KeptId]) -> Result<(), ReplicaError> {
        let Some(Target { layer, .. }) = &self.target else { return Ok(()) };
        let ids = ids.iter().filter(|id| !hidden::is_hidden(id));
        let ids: Vec<KeptId> = ids.filter_map(|id| layer.inward_kept(id)).collect();
        layer.replica.remove_kept(&ids).map_err(|error| layer.outward_error(error))
    }

    /// Forgets whiteouts that hide nothing any more: what they hid was removed by its owner, or another whiteout above hides it too.
    /// Returns how many.
    pub fn forget_stale_whiteouts(&self) -> Result<usize, ReplicaError> {
        self.check_mounts()?;
        let mut stale = Vec::new();
        for path in self.veil.all()? {
            let hides = self.shape.is_folder(&path) || self.bare_lower(&path)?.is_some();
            if !hides || path.ancestors().any(|above| self.veil.is_at(&above)) {
                stale.push(path);
            }
        }
        self.veil.take_back(&stale)?;
        Ok(stale.len())
    }

    pub(crate) fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.target.iter().map(|target| &target.layer).chain(&self.read_only)
    }

    /// Whether every mount is still the folder that was opened.
    pub(crate) fn check_mounts(&self) -> Result<(), ReplicaError> {
        self.layers().try_for_each(|layer| layer.replica.check())?;
        let target = self.target.as_ref();
        target.map_or(Ok(()), |target| marker::check_again(&target.layer.dir, &self.options.guid))
    }

    /// The sync target, for something at a path.
    pub(crate) fn target_for(&self, path: &TreePath) -> Result<&Target, ReplicaError> {
        self.target.as_ref().ok_or_else(|| ReplicaError::NoTarget { path: path.clone() })
    }

    /// Notes what was refused for want of a sync target.
    pub(crate) fn note<T>(&self, result: Result<T, ReplicaError>) -> Result<T, ReplicaError> {
        if matches!(result, Err(ReplicaError::NoTarget { .. })) {
            self.lacked_target.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl Replica for Overlay {
    fn names(&self) -> NameRules {
        self.target.as_ref().map(|target| target.layer.replica.names()).unwrap_or_default()
    }

    fn keeps_executable(&self) -> bool {
        self.layers().all(|layer| layer.replica.keeps_executable())
    }

    fn recover(&self) -> Result<(), ReplicaError> {
        self.check_mounts()?;
        self.target.as_ref().map_or(Ok(()), |target| target.layer.replica.recover())
    }

    fn walk(&self, place: Option<&TreePath>) -> Result<Walk, ReplicaError> {
        self.check_mounts()?;
        self.walk_all(place)
    }

    fn hash(&self, files: Vec<Found>) -> Vec<Result<(TreePath, Entry), Blind>> {
        hash_all(self, files)
    }

    fn source(&self, path: &TreePath, expected: &Entry) -> Box<dyn ContentSource> {
        match self.shown(path) {
            Ok(Some(Shown::In { layer, inside, .. })) => {
                layer.replica.source_as(&inside, path, Some(expected))
            }
            Ok(Some(Shown::Shape) | None) => Box::new(NoSource(ReplicaError::Changed { path: path.clone() })),
            Err(error) => Box::new(NoSource(error)),
        }
    }

    fn kept_source(&self, kept: &KeptId) -> Box<dyn ContentSource> {
        if hidden::is_hidden(kept) {
            return self.hidden_source(&kept.path);
        }
        let layer = self.target.as_ref().map(|target| &target.layer);
        match layer.and_then(|layer| Some((layer, layer.inward_kept(kept)?))) {
            Some((layer, inside)) => layer.replica.kept_source(&inside),
            None => Box::new(NoSource(ReplicaError::Changed { path: kept.path.clone() })),
        }
    }

    fn stage(
        &self,
        jobs: Vec<StageJob>,
        carried: &(dyn Fn(u64) + Sync),
    ) -> Vec<Result<Staged, ReplicaError>> {
        let staged = match self.check_mounts() {
            Err(gone) => jobs.iter().map(|_| Err(gone.clone())).collect(),
            Ok(()) => stage_all(self, jobs, carried),
        };
        staged.into_iter().map(|result: Result<_, _>| self.note(result)).collect()
    }

    fn settle_staged(&self) -> Result<(), ReplicaError> {
        self.target.as_ref().map_or(Ok(()), |target| target.layer.replica.settle_staged())
    }

    fn settle(&self) -> Result<(), ReplicaError> {
        // Those that come while the target is made durable wait for the next time.
        let waiting = self.veil.waiting();
        self.target.as_ref().map_or(Ok(()), |target| target.layer.replica.settle())?;
        self.veil.store_waiting(&waiting)
    }

    fn perform(&self, run: RunId, ops: Vec<(Op, Option<Staged>)>) -> Vec<Result<Done, ReplicaError>> {
        let results = perform_all(self, run, ops);
        results.into_iter().map(|result| self.note(result)).collect()
    }
}
