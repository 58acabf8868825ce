//! Copies what read-only mounts show to the sync target: a file whose executable bit changes, and what is moved. Invariant: a copy comes
//! under its name whole and proven, as every content does; its source stays as it is.

use swarm_sync::{
    Entry, FileContent, Found, FoundKind, Kind, Op, OpKind, Replica as _, ReplicaError, RunId, Seen, Source,
    StageJob, Staged, TreePath,
};

use crate::Overlay;
use crate::applying::changed;
use crate::carrying::stage_all;
use crate::layer::Inward;
use crate::limits::{COPIED_FILES_MAX, COPIED_LEN_MAX};
use crate::standing::Upper;

/// A file to copy.
struct Copied {
    from: TreePath,
    to: TreePath,
    entry: Entry,
    content: FileContent,
}

impl Overlay {
    /// Copies one file that was observed; returns what stands at `to` then.
    pub(crate) fn copy_file(
        &self,
        run: RunId,
        from: &TreePath,
        entry: &Entry,
        to: &TreePath,
        executable: bool,
    ) -> Result<Entry, ReplicaError> {
        let content = entry.file().ok_or_else(|| changed(from))?;
        let content = FileContent { executable, ..*content };
        let copied = Copied { from: from.clone(), to: to.clone(), entry: entry.clone(), content };
        self.make_parents(run, to)?;
        self.put_copies(run, vec![copied])?.pop().ok_or_else(|| changed(to))
    }

    /// Copies all that the library shows at `from` and below, unless it is in the sync target already at the place that it is to have.
    /// Returns what stands at `to` then.
    pub(crate) fn copy_tree(
        &self,
        run: RunId,
        from: &TreePath,
        to: &TreePath,
    ) -> Result<Entry, ReplicaError> {
        self.make_parents(run, to)?;
        let mut top = None;
        let (mut files, mut files_len) = (Vec::new(), 0);
        for seen in self.walk_all(Some(from))? {
            let found = match seen? {
                Seen::Entry(found) => found,
                Seen::Blind(blind) => {
                    let (path, why) = (blind.path.to_string(), blind.why.to_string());
                    return Err(ReplicaError::Io { path, op: "copy", why });
                }
                // It is no part of the tree, and stays where it is.
                Seen::Unnamed { .. } => continue,
            };
            let place = found.path.moved(from, to).ok_or_else(|| changed(&found.path))?;
            let now = match &found.kind {
                FoundKind::Folder => Some(self.make(run, &place, OpKind::MakeFolder)?),
                FoundKind::Symlink { target } => self.copy_link(run, &found, &place, target)?,
                FoundKind::File { len, .. } => {
                    files_len += len;
                    files.push(found);
                    None
                }
            };
            top = top.or(now);
            if files.len() >= COPIED_FILES_MAX || files_len >= COPIED_LEN_MAX {
                self.copy_files(run, std::mem::take(&mut files), from, to)?;
                files_len = 0;
            }
        }
        self.copy_files(run, files, from, to)?;
        top.ok_or_else(|| changed(from))
    }

    fn copy_link(
        &self,
        run: RunId,
        found: &Found,
        place: &TreePath,
        target: &str,
    ) -> Result<Option<Entry>, ReplicaError> {
        if matches!(self.upper(place)?, Upper::Stands { .. }) {
            return Ok(None);
        }
        let kind = OpKind::Put {
            content: Kind::Symlink { target: target.into() },
            modified_ns: found.modified_ns,
            source: Source::Other { path: found.path.clone() },
        };
        self.make(run, place, kind).map(Some)
    }

    /// Reads and copies files that a walk found.
    fn copy_files(
        &self,
        run: RunId,
        found: Vec<Found>,
        from: &TreePath,
        to: &TreePath,
    ) -> Result<(), ReplicaError> {
        let mut missing = Vec::new();
        for file in found {
            let place = file.path.moved(from, to).ok_or_else(|| changed(&file.path))?;
            if !matches!(self.upper(&place)?, Upper::Stands { .. }) {
                missing.push(file);
            }
        }
        let mut copies = Vec::new();
        for read in self.hash(missing) {
            let (path, entry) = read.map_err(|blind| ReplicaError::Io {
                path: blind.path.to_string(),
                op: "copy",
                why: blind.why.to_string(),
            })?;
            let place = path.moved(from, to).ok_or_else(|| changed(&path))?;
            let content = *entry.file().ok_or_else(|| changed(&path))?;
            copies.push(Copied { from: path, to: place, entry, content });
        }
        // Their sources are hidden from now on, or by what is moved.
        let sources = copies.iter().map(|copied| (copied.from.clone(), copied.entry.clone()));
        self.veil.remember(&sources.collect::<Vec<_>>())?;
        self.put_copies(run, copies).map(drop)
    }

    /// Stages copies and puts them where nothing stands in the sync target; all, or an error.
    fn put_copies(&self, run: RunId, copies: Vec<Copied>) -> Result<Vec<Entry>, ReplicaError> {
        let job = |copied: &Copied| StageJob {
            path: copied.to.clone(),
            standing: None,
            content: copied.content,
            modified_ns: copied.entry.modified_ns,
            source: self.source(&copied.from, &copied.entry),
        };
        let staged = stage_all(self, copies.iter().map(job).collect(), &|_| {});
        if let Some(refused) = staged.iter().find_map(|staged| staged.as_ref().err()) {
            let refused = refused.clone();
            self.discard(staged);
            return Err(refused);
        }
        let puts = copies.iter().zip(staged.into_iter().map(Result::ok));
        let puts: Result<Vec<_>, _> =
            puts.map(|(copied, staged)| Ok((self.put_op(copied)?, staged))).collect();
        self.perform_in_target(run, puts?)
    }

    fn discard(&self, staged: Vec<Result<Staged, ReplicaError>>) {
        let Some(target) = &self.target else { return };
        staged.into_iter().flatten().for_each(|staged| target.layer.replica.discard(staged));
    }

    fn put_op(&self, copied: &Copied) -> Result<Op, ReplicaError> {
        let kind = OpKind::Put {
            content: Kind::File(copied.content),
            modified_ns: copied.entry.modified_ns,
            source: Source::Other { path: copied.from.clone() },
        };
        Ok(Op { path: self.inside_target(&copied.to)?, kind, expected: None })
    }

    /// Makes a folder or link at a place of the library.
    fn make(&self, run: RunId, path: &TreePath, kind: OpKind) -> Result<Entry, ReplicaError> {
        let op = Op { path: self.inside_target(path)?, kind, expected: None };
        self.perform_in_target(run, vec![(op, None)])?.pop().ok_or_else(|| changed(path))
    }

    fn make_parents(&self, run: RunId, path: &TreePath) -> Result<(), ReplicaError> {
        let parents = self.parents_to_make(path)?.into_iter();
        let ops = parents.map(|path| (Op { path, kind: OpKind::MakeFolder, expected: None }, None));
        self.perform_in_target(run, ops.collect()).map(drop)
    }

    /// Performs operations with paths below the root of the sync target; all, or the first error.
    fn perform_in_target(
        &self,
        run: RunId,
        ops: Vec<(Op, Option<Staged>)>,
    ) -> Result<Vec<Entry>, ReplicaError> {
        let Some((first, _)) = ops.first() else { return Ok(Vec::new()) };
        let layer = &self.target_for(&first.path)?.layer;
        let path = first.path.clone();
        let results = layer.replica.perform(run, ops).into_iter();
        let entry = |done: swarm_sync::Done| done.now.ok_or_else(|| changed(&path));
        let entries: Result<Vec<Entry>, ReplicaError> =
            results.map(|result| result.and_then(entry)).collect();
        entries.map_err(|error| layer.outward_error(error))
    }

    fn inside_target(&self, path: &TreePath) -> Result<TreePath, ReplicaError> {
        match self.target_for(path)?.layer.inward(path) {
            Inward::Below(inside) => Ok(inside),
            Inward::Root | Inward::Above | Inward::Apart => Err(ReplicaError::Name { path: path.clone() }),
        }
    }
}
