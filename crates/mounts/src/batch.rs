//! Operations that wait to be performed together: a batch costs one record in the sync target, and whiteouts are stored once. Invariant: no
//! two of a batch are at, above or below one path, so that what was looked at for one is not changed by another.

use std::collections::BTreeSet;

use swarm_sync::{Done, Entry, KeptId, Op, OpKind, Replica as _, ReplicaError, RunId, Staged, TreePath};

use crate::Overlay;
use crate::overlay::Target;
use crate::standing::Upper;

/// An operation in the sync target, and what it takes to perform it there.
#[derive(Debug)]
pub(crate) struct TargetStep {
    /// Folders that read-only mounts have and the sync target lacks, outermost first; below its root.
    pub(crate) parents: Vec<TreePath>,
    /// With paths below the root of the sync target.
    pub(crate) op: Op,
    /// Where a read-only mount would show through afterwards, in the library.
    pub(crate) whiteout: Option<TreePath>,
    /// What it hides in a read-only mount.
    pub(crate) hides: Option<KeptId>,
    /// What that is, where nothing is remembered of it yet.
    pub(crate) shadows: Option<(TreePath, Entry)>,
}

/// What waits.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    in_target: Vec<Waiting>,
    /// Operations that are done when their whiteouts are stored.
    hiding: Vec<Hiding>,
    /// Paths that the operations act on, in the library.
    touched: BTreeSet<TreePath>,
    /// Folders that one of them makes already.
    made: BTreeSet<TreePath>,
}

#[derive(Debug)]
struct Waiting {
    /// The place of its result.
    at: usize,
    step: TargetStep,
    staged: Option<Staged>,
}

#[derive(Debug)]
struct Hiding {
    /// The place of its result.
    at: usize,
    path: TreePath,
    /// What is hidden.
    kept: Option<KeptId>,
    /// The entry, unless it is a folder.
    shadows: Option<Entry>,
}

/// Results, each with its place.
type Results = Vec<(usize, Result<Done, ReplicaError>)>;

impl Batch {
    /// Whether an operation acts where one that waits does, or enough wait.
    pub(crate) fn has_to_go_before(&self, op: &Op) -> bool {
        let is_touched = |path: &TreePath| {
            let below = self.touched.range(path.clone()..).next();
            below.is_some_and(|touched| touched.is_at_or_below(path))
                || path.ancestors().any(|above| self.touched.contains(&above))
        };
        self.in_target.len() + self.hiding.len() >= BATCH_MAX || paths(op).any(is_touched)
    }

    /// Adds an operation in the sync target. `op` is the same one with paths in the library.
    pub(crate) fn push(&mut self, at: usize, op: &Op, mut step: TargetStep, staged: Option<Staged>) {
        self.touched.extend(paths(op).cloned());
        step.parents.retain(|parent| self.made.insert(parent.clone()));
        self.in_target.push(Waiting { at, step, staged });
    }

    /// Adds the removal of what only read-only mounts have.
    pub(crate) fn push_hiding(
        &mut self,
        at: usize,
        path: &TreePath,
        kept: Option<KeptId>,
        shadows: Option<Entry>,
    ) {
        self.touched.insert(path.clone());
        self.hiding.push(Hiding { at, path: path.clone(), kept, shadows });
    }

    /// Performs all.
    pub(crate) fn perform(self, overlay: &Overlay, run: RunId) -> Results {
        // Before what they hide shows through.
        let stored = overlay.veil.remember(&self.shadowed());
        if let Err(error) = stored.and_then(|()| overlay.veil.store(&self.whiteouts())) {
            return self.refuse(overlay, &error);
        }
        let Self { in_target, hiding, .. } = self;
        let hidden = hiding.into_iter().map(|Hiding { at, kept, .. }| (at, Ok(Done { now: None, kept })));
        let mut results: Results = hidden.collect();
        let Some(target) = overlay.target.as_ref().filter(|_| !in_target.is_empty()) else { return results };
        let places: Vec<(usize, Option<TreePath>)> =
            in_target.iter().map(|waiting| (waiting.at, waiting.step.whiteout.clone())).collect();
        for ((at, whiteout), result) in places.into_iter().zip(perform_in(target, run, in_target)) {
            if result.is_err() {
                take_back(overlay, whiteout);
            }
            results.push((at, result));
        }
        results
    }

    /// What is hidden from now on.
    fn shadowed(&self) -> Vec<(TreePath, Entry)> {
        let hiding = self.hiding.iter();
        let hiding = hiding.filter_map(|hiding| Some((hiding.path.clone(), hiding.shadows.clone()?)));
        hiding.chain(self.in_target.iter().filter_map(|waiting| waiting.step.shadows.clone())).collect()
    }

    fn whiteouts(&self) -> Vec<TreePath> {
        let hiding = self.hiding.iter().map(|hiding| hiding.path.clone());
        hiding.chain(self.in_target.iter().filter_map(|waiting| waiting.step.whiteout.clone())).collect()
    }

    fn refuse(self, overlay: &Overlay, error: &ReplicaError) -> Results {
        let hiding = self.hiding.iter().map(|hiding| hiding.at);
        let places: Vec<usize> = self.in_target.iter().map(|waiting| waiting.at).chain(hiding).collect();
        if let Some(target) = &overlay.target {
            let staged = self.in_target.into_iter().filter_map(|waiting| waiting.staged);
            staged.for_each(|staged| target.layer.replica.discard(staged));
        }
        places.into_iter().map(|at| (at, Err(error.clone()))).collect()
    }
}

/// Performs operations in the sync target; a result for each.
fn perform_in(target: &Target, run: RunId, in_target: Vec<Waiting>) -> Vec<Result<Done, ReplicaError>> {
    let mut ops = Vec::new();
    let mut parts = Vec::new();
    for Waiting { step: TargetStep { parents, op, hides, .. }, staged, .. } in in_target {
        parts.push((parents.len(), hides));
        ops.extend(
            parents.into_iter().map(|path| (Op { path, kind: OpKind::MakeFolder, expected: None }, None)),
        );
        ops.push((op, staged));
    }
    let layer = &target.layer;
    let mut results = layer.replica.perform(run, ops).into_iter();
    let mut of_op = |(parents, hides): (usize, Option<KeptId>)| {
        let mut of_parents = results.by_ref().take(parents);
        let refused = of_parents.find_map(Result::err);
        of_parents.for_each(drop);
        let own = results.next().unwrap_or(Err(ReplicaError::Stopped));
        // That a folder could not be made tells more than that it is missing.
        let own = own.map_err(|error| refused.unwrap_or(error));
        let kept = |kept: Option<KeptId>| kept.map(|kept| layer.outward_kept(kept)).or(hides);
        let outward = |done: Done| Done { kept: kept(done.kept), ..done };
        own.map(outward).map_err(|error| layer.outward_error(error))
    };
    parts.into_iter().map(&mut of_op).collect()
}

/// Removes the whiteout of an operation that was not performed: what it was to uncover still stands.
fn take_back(overlay: &Overlay, whiteout: Option<TreePath>) {
    let Some(path) = whiteout else { return };
    if !matches!(overlay.upper(&path), Ok(Upper::Stands { .. })) {
        return;
    }
    if let Err(error) = overlay.veil.take_back(std::slice::from_ref(&path)) {
        tracing::warn!(%path, %error, "a whiteout stays that hides nothing now");
    }
}

/// Where an operation acts.
fn paths(op: &Op) -> impl Iterator<Item = &TreePath> {
    let from = match &op.kind {
        OpKind::Move { from } => Some(from),
        OpKind::MakeFolder | OpKind::Put { .. } | OpKind::SetExecutable { .. } | OpKind::Remove => None,
    };
    std::iter::once(&op.path).chain(from)
}

/// What was looked at for an operation is at most as old as so many operations.
const BATCH_MAX: usize = 64;
