//! Performs operations. What stands in the sync target is changed there. What stands in a read-only mount is shadowed by the sync target,
//! or hidden by a whiteout. Invariant: every operation looks again at what the library shows where it acts, immediately before; a folder in which
//! files are put is looked at once for a batch, and where a new file goes that no read-only mount can have, the rename itself refuses to replace.

use std::collections::BTreeSet;

use swarm_sync::{Done, Entry, KeptId, Op, OpKind, Replica as _, ReplicaError, RunId, Staged, TreePath};

use crate::Overlay;
use crate::batch::{Batch, TargetStep};
use crate::hidden;
use crate::layer::Inward;
use crate::standing::{Lower, Upper};

/// Performs all in their order. One that is refused does not keep the others from being tried.
pub(crate) fn perform_all(
    overlay: &Overlay,
    run: RunId,
    ops: Vec<(Op, Option<Staged>)>,
) -> Vec<Result<Done, ReplicaError>> {
    let ended = overlay.check_mounts().err();
    let (batch, folders, results) = Default::default();
    let mut work = Work { overlay, run, batch, folders, results, ended };
    ops.into_iter().for_each(|(op, staged)| work.take(&op, staged));
    work.flush();
    work.results.into_iter().map(|result| result.unwrap_or(Err(ReplicaError::Stopped))).collect()
}

struct Work<'a> {
    overlay: &'a Overlay,
    run: RunId,
    batch: Batch,
    /// Folders that the sync target was seen to have since the batch began.
    folders: BTreeSet<TreePath>,
    /// Nothing yet for those that wait.
    results: Vec<Option<Result<Done, ReplicaError>>>,
    /// Why nothing more is done.
    ended: Option<ReplicaError>,
}

/// What is left of an operation after all was looked at.
enum Step {
    /// Nothing.
    Done(Done),
    /// An operation in the sync target.
    Target(TargetStep),
    /// A whiteout, with the name of what it hides, and what that is.
    Hide(Option<KeptId>, Option<Entry>),
}

impl Work<'_> {
    fn take(&mut self, op: &Op, staged: Option<Staged>) {
        if self.batch.has_to_go_before(op) {
            self.flush();
        }
        let at = self.results.len();
        if let Some(error) = &self.ended {
            self.results.push(Some(Err(error.clone())));
            return;
        }
        self.results.push(None);
        match self.decide(op) {
            Ok(Step::Target(step)) => self.batch.push(at, op, step, staged),
            Ok(Step::Hide(kept, shadows)) => self.batch.push_hiding(at, &op.path, kept, shadows),
            Ok(Step::Done(done)) => self.set(at, Ok(done)),
            Err(error) => {
                if let (Some(staged), Some(target)) = (staged, &self.overlay.target) {
                    target.layer.replica.discard(staged);
                }
                self.set(at, Err(error));
            }
        }
    }

    /// Performs what waits.
    fn flush(&mut self) {
        self.folders.clear();
        for (at, result) in std::mem::take(&mut self.batch).perform(self.overlay, self.run) {
            self.set(at, result);
        }
    }

    fn set(&mut self, at: usize, result: Result<Done, ReplicaError>) {
        if let Err(error) = &result
            && error.ends_run()
        {
            self.ended.get_or_insert(error.clone());
        }
        self.results[at] = Some(result);
    }

    fn decide(&mut self, op: &Op) -> Result<Step, ReplicaError> {
        let expected = op.expected.as_deref();
        match &op.kind {
            OpKind::MakeFolder => self.make_folder(op),
            OpKind::Put { .. } => self.put(op, expected),
            OpKind::Remove => self.remove(op, expected),
            OpKind::SetExecutable { executable } => self.set_executable(op, expected, *executable),
            OpKind::Move { from } => self.move_from(op, from, expected),
        }
    }

    fn make_folder(&mut self, op: &Op) -> Result<Step, ReplicaError> {
        if let Some(shown) = self.overlay.shown(&op.path)? {
            let entry = shown.folder_entry().ok_or_else(|| changed(&op.path))?;
            return Ok(Step::Done(Done { now: Some(entry), kept: None }));
        }
        let inside = self.free_place(&op.path)?;
        self.step(op, inside, None)
    }

    fn put(&mut self, op: &Op, expected: Option<&Entry>) -> Result<Step, ReplicaError> {
        if let Some(inside) = self.of_the_target_alone(&op.path) {
            return self.step(op, inside, op.expected.clone());
        }
        let inside = match self.upper(&op.path)? {
            Upper::Stands { inside, .. } => return self.step(op, inside, op.expected.clone()),
            Upper::Free { inside } => inside,
            Upper::Outside => return Err(ReplicaError::NoTarget { path: op.path.clone() }),
            Upper::Shadowed | Upper::Fixed => return Err(changed(&op.path)),
        };
        let lower = self.overlay.lower(&op.path)?;
        match &lower {
            None if expected.is_none() => {}
            Some(lower) if !lower.is_folder() => self.overlay.confirm_lower(&op.path, lower, expected)?,
            None | Some(_) => return Err(changed(&op.path)),
        }
        let step = self.target_step(op, inside, None)?;
        let hides = lower.as_ref().map(|_| hidden::name(self.run, &op.path));
        let shadows = lower.and_then(|_| Some((op.path.clone(), expected?.clone())));
        Ok(Step::Target(TargetStep { hides, shadows, ..step }))
    }

    fn remove(&mut self, op: &Op, expected: Option<&Entry>) -> Result<Step, ReplicaError> {
        let path = &op.path;
        match self.overlay.upper(path)? {
            Upper::Stands { inside, .. } => {
                let lower = self.overlay.lower(path)?;
                if lower.as_ref().is_some_and(Lower::is_folder) && expected.is_some_and(Entry::is_folder) {
                    self.check_empty(path)?;
                }
                let step = self.target_step(op, inside, op.expected.clone())?;
                if lower.as_ref().is_some_and(|lower| !lower.is_folder()) {
                    self.overlay.remember_lower(path)?;
                }
                let whiteout = lower.is_some().then(|| path.clone());
                Ok(Step::Target(TargetStep { whiteout, ..step }))
            }
            Upper::Fixed => Err(ReplicaError::NotEmpty { path: path.clone() }),
            Upper::Shadowed => Err(changed(path)),
            Upper::Free { .. } | Upper::Outside => {
                let lower = self.overlay.lower(path)?.ok_or_else(|| changed(path))?;
                self.overlay.confirm_lower(path, &lower, expected)?;
                if lower.is_folder() {
                    self.check_empty(path)?;
                }
                let is_file = !lower.is_folder();
                let shadows = expected.filter(|_| is_file).cloned();
                Ok(Step::Hide(is_file.then(|| hidden::name(self.run, path)), shadows))
            }
        }
    }

    fn set_executable(
        &mut self,
        op: &Op,
        expected: Option<&Entry>,
        executable: bool,
    ) -> Result<Step, ReplicaError> {
        let path = &op.path;
        match self.overlay.upper(path)? {
            Upper::Stands { inside, .. } => return self.step(op, inside, op.expected.clone()),
            Upper::Free { .. } => {}
            Upper::Outside => return Err(ReplicaError::NoTarget { path: path.clone() }),
            Upper::Shadowed | Upper::Fixed => return Err(changed(path)),
        }
        let lower = self.overlay.lower(path)?.ok_or_else(|| changed(path))?;
        let expected = expected.filter(|entry| entry.file().is_some()).ok_or_else(|| changed(path))?;
        self.overlay.confirm_lower(path, &lower, Some(expected))?;
        self.overlay.veil.remember(&[(path.clone(), expected.clone())])?;
        let now = self.overlay.copy_file(self.run, path, expected, path, executable)?;
        Ok(Step::Done(Done { now: Some(now), kept: None }))
    }

    fn move_from(
        &mut self,
        op: &Op,
        from: &TreePath,
        expected: Option<&Entry>,
    ) -> Result<Step, ReplicaError> {
        let expected = expected.ok_or_else(|| changed(from))?;
        let inside = self.free_place(&op.path)?;
        if self.overlay.lower(&op.path)?.is_some() {
            return Err(changed(&op.path));
        }
        match self.overlay.upper(from)? {
            Upper::Stands { inside: inside_from, .. } => {
                let lower = self.overlay.lower(from)?;
                match &lower {
                    Some(lower) if lower.is_folder() && expected.is_folder() => self.gather(from)?,
                    Some(lower) if !lower.is_folder() => self.overlay.remember_lower(from)?,
                    Some(_) | None => {}
                }
                let kind = OpKind::Move { from: inside_from };
                let op = Op { kind, ..op.clone() };
                let step = self.target_step(&op, inside, op.expected.clone())?;
                let whiteout = lower.is_some().then(|| from.clone());
                Ok(Step::Target(TargetStep { whiteout, ..step }))
            }
            Upper::Free { .. } | Upper::Outside => self.move_out(from, &op.path, expected),
            Upper::Shadowed => Err(changed(from)),
            Upper::Fixed => Err(ReplicaError::Io {
                path: from.to_string(),
                op: "move",
                why: "the sync target is mounted there: change the mounts of the library".to_owned(),
            }),
        }
    }

    /// Moves what only read-only mounts have: a copy goes to the sync target, and then a whiteout hides it. The whiteout waits until the
    /// copy is durable.
    fn move_out(&mut self, from: &TreePath, to: &TreePath, expected: &Entry) -> Result<Step, ReplicaError> {
        let lower = self.overlay.lower(from)?.ok_or_else(|| changed(from))?;
        self.overlay.confirm_lower(from, &lower, Some(expected))?;
        let now = match expected.file() {
            Some(content) => {
                self.overlay.veil.remember(&[(from.clone(), expected.clone())])?;
                self.overlay.copy_file(self.run, from, expected, to, content.executable)?
            }
            None => {
                self.flush();
                let now = self.overlay.copy_tree(self.run, from, to)?;
                self.overlay.remember_below(from)?;
                now
            }
        };
        self.overlay.veil.add_waiting(from.clone());
        Ok(Step::Done(Done { now: Some(now), kept: None }))
    }

    /// Brings all of a folder that read-only mounts have a part of to the sync target, so that it can be renamed there. What the library
    /// shows stays the same meanwhile, and the copies are durable before they are the only ones.
    fn gather(&mut self, folder: &TreePath) -> Result<(), ReplicaError> {
        self.flush();
        self.overlay.copy_tree(self.run, folder, folder)?;
        self.overlay.remember_below(folder)?;
        let target = self.overlay.target_for(folder)?;
        target.layer.replica.settle().map_err(|error| target.layer.outward_error(error))
    }

    /// Where something goes at which the sync target has nothing.
    fn free_place(&self, path: &TreePath) -> Result<TreePath, ReplicaError> {
        match self.upper(path)? {
            Upper::Free { inside } => Ok(inside),
            Upper::Outside => Err(ReplicaError::NoTarget { path: path.clone() }),
            Upper::Stands { .. } | Upper::Shadowed | Upper::Fixed => Err(changed(path)),
        }
    }

    fn check_empty(&self, folder: &TreePath) -> Result<(), ReplicaError> {
        if self.overlay.lower_has_entries(folder)? {
            return Err(ReplicaError::NotEmpty { path: folder.clone() });
        }
        Ok(())
    }

    /// What the sync target has at a path. The folder above is not looked at again for each path in it.
    fn upper(&self, path: &TreePath) -> Result<Upper, ReplicaError> {
        match path.parent() {
            Some(above) if self.folders.contains(&above) => self.overlay.upper_in_a_folder(path),
            Some(_) | None => self.overlay.upper(path),
        }
    }

    /// Where in the sync target a path is, if only that has anything to say about it: no read-only mount, and no folder above that is missing.
    /// The sync target looks by itself before it acts.
    fn of_the_target_alone(&self, path: &TreePath) -> Option<TreePath> {
        let is_known = self.overlay.read_only.is_empty() && self.folders.contains(&path.parent()?);
        match self.overlay.target.as_ref().filter(|_| is_known)?.layer.inward(path) {
            Inward::Below(inside) => Some(inside),
            Inward::Root | Inward::Above | Inward::Apart => None,
        }
    }

    /// The folders above a path that the sync target lacks; looked for once for the paths in one folder.
    fn parents_to_make(&mut self, path: &TreePath) -> Result<Vec<TreePath>, ReplicaError> {
        let Some(above) = path.parent() else { return Ok(Vec::new()) };
        if self.folders.contains(&above) {
            return Ok(Vec::new());
        }
        let parents = self.overlay.parents_to_make(path)?;
        if parents.is_empty() {
            self.folders.insert(above);
        }
        Ok(parents)
    }

    fn step(
        &mut self,
        op: &Op,
        inside: TreePath,
        expected: Option<Box<Entry>>,
    ) -> Result<Step, ReplicaError> {
        self.target_step(op, inside, expected).map(Step::Target)
    }

    fn target_step(
        &mut self,
        op: &Op,
        inside: TreePath,
        expected: Option<Box<Entry>>,
    ) -> Result<TargetStep, ReplicaError> {
        let parents = self.parents_to_make(&op.path)?;
        let op = Op { path: inside, kind: op.kind.clone(), expected };
        Ok(TargetStep { parents, op, whiteout: None, hides: None, shadows: None })
    }
}

impl Overlay {
    /// The folders above a path that the sync target lacks, outermost first, below its root.
    ///
    /// # Errors
    /// [`ReplicaError::Changed`] if the library shows no folder there.
    pub(crate) fn parents_to_make(&self, path: &TreePath) -> Result<Vec<TreePath>, ReplicaError> {
        let Some(parent) = path.parent() else { return Ok(Vec::new()) };
        if !self.shown(&parent)?.is_some_and(|shown| shown.is_folder()) {
            return Err(changed(path));
        }
        let layer = &self.target_for(path)?.layer;
        let mut parents = Vec::new();
        for above in path.ancestors() {
            let Inward::Below(inside) = layer.inward(&above) else { break };
            if layer.replica.find(&inside).map_err(|error| layer.outward_error(error))?.is_some() {
                break;
            }
            parents.push(inside);
        }
        parents.reverse();
        Ok(parents)
    }
}

pub(crate) fn changed(path: &TreePath) -> ReplicaError {
    ReplicaError::Changed { path: path.clone() }
}
