//! Operations that wait to be performed in the sync target together: a batch costs one record on disk. Invariant: no two of a batch are at,
//! above or below one path, so that what was looked at for one is not changed by another.

use std::collections::BTreeSet;

use swarm_sync::{Done, KeptId, Op, OpKind, Replica as _, ReplicaError, RunId, Staged, TreePath};

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
}

/// What waits.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    waiting: Vec<Waiting>,
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

impl Batch {
    /// Whether an operation acts where one that waits does.
    pub(crate) fn touches(&self, op: &Op) -> bool {
        paths(op).any(|path| {
            let below = self.touched.range(path.clone()..).next();
            below.is_some_and(|touched| touched.is_at_or_below(path))
                || path.ancestors().any(|above| self.touched.contains(&above))
        })
    }

    /// Adds an operation. `op` is the same one with paths in the library.
    pub(crate) fn push(&mut self, at: usize, op: &Op, mut step: TargetStep, staged: Option<Staged>) {
        self.touched.extend(paths(op).cloned());
        step.parents.retain(|parent| self.made.insert(parent.clone()));
        self.waiting.push(Waiting { at, step, staged });
    }

    /// Performs all. Returns each result with its place.
    pub(crate) fn perform(self, overlay: &Overlay, run: RunId) -> Vec<(usize, Result<Done, ReplicaError>)> {
        let Some(target) = overlay.target.as_ref().filter(|_| !self.waiting.is_empty()) else {
            return Vec::new();
        };
        // Before what they hide shows through.
        let whiteouts: Vec<TreePath> =
            self.waiting.iter().filter_map(|waiting| waiting.step.whiteout.clone()).collect();
        if let Err(error) = overlay.veil.store(&whiteouts) {
            return self.refuse(target, &error);
        }
        let places: Vec<(usize, Option<TreePath>)> =
            self.waiting.iter().map(|waiting| (waiting.at, waiting.step.whiteout.clone())).collect();
        let results = self.perform_in(target, run);
        let done = places.into_iter().zip(results);
        done.map(|((at, whiteout), result)| {
            if result.is_err() {
                take_back(overlay, whiteout);
            }
            (at, result)
        })
        .collect()
    }

    fn perform_in(self, target: &Target, run: RunId) -> Vec<Result<Done, ReplicaError>> {
        let mut ops = Vec::new();
        let mut waiting = Vec::new();
        for Waiting { step: TargetStep { parents, op, hides, .. }, staged, .. } in self.waiting {
            waiting.push((parents.len(), hides));
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
        waiting.into_iter().map(&mut of_op).collect()
    }

    fn refuse(self, target: &Target, error: &ReplicaError) -> Vec<(usize, Result<Done, ReplicaError>)> {
        let refuse = |waiting: Waiting| {
            waiting.staged.into_iter().for_each(|staged| target.layer.replica.discard(staged));
            (waiting.at, Err(error.clone()))
        };
        self.waiting.into_iter().map(refuse).collect()
    }
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
