//! The past of a pair: kept versions, getting one back, undoing a run, what changed when, and why a path is as it is.

use std::collections::BTreeMap;
use std::path::Path;

use swarm_files::{FolderOptions, FolderReplica, KeptVersion};
use swarm_index::SqliteIndex;
use swarm_sync::{
    BaseEntry, ChangeCause, Conflict, ContentHash, ContentSource, Deed, DeedEnd, Entry, FileContent,
    FoundKind, IndexStep, Kept, KeptId, Kind, Op, OpKind, PerSide, Plan, Proposal, Replica as _,
    ReplicaError, RuleRef, RunId, Side, Source, TreePath, Undo, expired, forgotten, undo,
};

use crate::store::{Found, Pair};
use crate::{PairError, Purpose, Report, Session, SyncEvent, clock};

/// A kept version of a path, on one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionView {
    /// The side that keeps it.
    pub side: Side,
    /// Its name.
    pub id: KeptId,
    /// In bytes.
    pub len: u64,
    /// Last change of its bytes, nanoseconds since 1970.
    pub modified_ns: i64,
    /// What it is.
    pub kind: FoundKind,
}

/// One line of the change log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeView {
    /// The run that did it.
    pub run: RunId,
    /// What the run was for.
    pub purpose: Purpose,
    /// The operation, and how it went.
    pub deed: Deed,
}

/// Why a path is as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The path.
    pub path: TreePath,
    /// What was last seen on each side.
    pub sides: PerSide<Option<Entry>>,
    /// What both sides agreed on last.
    pub base: Option<BaseEntry>,
    /// The rule that leaves it out, if one does.
    pub ignored_by: Option<RuleRef>,
    /// The open conflict at it or around it.
    pub conflict: Option<Conflict>,
    /// What runs did there, the last first.
    pub deeds: Vec<ChangeView>,
}

impl Pair {
    /// The kept versions of a path and of what stands below it, the newest first.
    pub fn versions(&self, path: Option<&TreePath>) -> Result<Vec<VersionView>, PairError> {
        let mut views = Vec::new();
        for side in Side::BOTH {
            let kept = self.replica(side)?.kept(path);
            let kept =
                kept.map_err(|error| PairError::Replica { root: self.root(side).to_owned(), error })?;
            views.extend(kept.into_iter().map(|version| VersionView::of(side, version)));
        }
        views.sort_by(|a, b| (b.id.run, &a.id.path, a.side).cmp(&(a.id.run, &b.id.path, b.side)));
        Ok(views)
    }

    pub(crate) fn replica(&self, side: Side) -> Result<FolderReplica, PairError> {
        let root = self.root(side);
        let opened = FolderReplica::open(root, FolderOptions::default());
        opened.map_err(|error| PairError::Replica { root: root.to_owned(), error })
    }

    /// What runs did since a time in milliseconds since 1970, the oldest first.
    pub fn changes(&self, since_ms: u64, count_max: u32) -> Result<Vec<ChangeView>, PairError> {
        changes_in(&self.index_path(), since_ms, count_max)
    }

    /// The run that did something last.
    pub fn last_run_with_deeds(&self) -> Result<Option<RunId>, PairError> {
        let index = SqliteIndex::open(&self.index_path())?;
        for record in index.runs(RUNS_MAX)? {
            let deeds = swarm_sync::Index::deeds(&index, record.run)?;
            if deeds.iter().any(|deed| matches!(deed.end, DeedEnd::Done { .. })) {
                return Ok(Some(record.run));
            }
        }
        Ok(None)
    }

    /// Why a path is as it is.
    pub fn explain(&self, path: &TreePath) -> Result<Explanation, PairError> {
        let index = SqliteIndex::open(&self.index_path())?;
        let sides =
            PerSide { local: index.entry(Side::Local, path)?, remote: index.entry(Side::Remote, path)? };
        let mut conflicts = index.conflicts()?.into_iter().map(|(conflict, _)| conflict);
        let is_folder = [&sides.local, &sides.remote].into_iter().flatten().any(Entry::is_folder)
            || self.root(Side::Local).join(path.as_str()).is_dir();
        Ok(Explanation {
            path: path.clone(),
            base: index.base(path)?,
            ignored_by: self.rules(self.last_options())?.reader().decided_by(path, is_folder),
            conflict: conflicts.find(|conflict| path.is_at_or_below(&conflict.path)),
            deeds: views(&index, index.deeds_of_path(path)?)?,
            sides,
        })
    }
}

/// What runs did that an index remembers, since a time in milliseconds since 1970, the oldest first.
pub fn changes_in(index: &Path, since_ms: u64, count_max: u32) -> Result<Vec<ChangeView>, PairError> {
    let index = SqliteIndex::open(index)?;
    let deeds = index.deeds_since(since_ms, count_max)?;
    views(&index, deeds)
}

/// What runs did at a path that an index remembers, the last first.
pub fn deeds_in(index: &Path, path: &TreePath) -> Result<Vec<ChangeView>, PairError> {
    let index = SqliteIndex::open(index)?;
    views(&index, index.deeds_of_path(path)?)
}

fn views(index: &SqliteIndex, deeds: Vec<(RunId, Deed)>) -> Result<Vec<ChangeView>, PairError> {
    let runs = if deeds.is_empty() { Vec::new() } else { index.runs(u32::MAX)? };
    let purposes: BTreeMap<RunId, Purpose> =
        runs.iter().map(|record| (record.run, Purpose::of_kept(record.summary.as_deref()))).collect();
    let purpose = |run: RunId| purposes.get(&run).copied().unwrap_or_default();
    let views = deeds.into_iter().map(|(run, deed)| ChangeView { run, purpose: purpose(run), deed });
    Ok(views.collect())
}

impl Session {
    /// Leads back from what a run did, where nothing else was done since. The next run takes none of it for a user's change.
    pub fn undo(
        &mut self,
        run: RunId,
        on_event: &(dyn Fn(SyncEvent) + Sync),
    ) -> Result<(Report, Undo), PairError> {
        let deeds = swarm_sync::Index::deeds(&self.index, run)?;
        if deeds.is_empty() {
            return Err(PairError::NotFound(format!(
                "run {run} did nothing, or is forgotten: `swarm changes` lists runs"
            )));
        }
        let way_back = undo(&deeds);
        let mut undone = Vec::new();
        let purpose = Purpose { cause: ChangeCause::Undo, undone_run: Some(run) };
        let report = self.perform_ops(purpose, way_back.ops.clone(), on_event, &mut |op| {
            undone.push(op.clone());
        })?;
        let gone = forgotten(&self.index, &undone)?;
        swarm_sync::Index::apply(&mut self.index, vec![IndexStep::Rebase(gone)])?;
        Ok((report, way_back))
    }

    /// Puts a kept version, of whichever side, back to its path on a side. What stands there becomes a kept version; the next run carries
    /// it to the other side.
    pub fn restore(
        &mut self,
        version: &VersionView,
        side: Side,
        on_event: &(dyn Fn(SyncEvent) + Sync),
    ) -> Result<Report, PairError> {
        let found = self.kept_kind(version)?;
        let expected = self.index.entry(side, &version.id.path)?;
        let put = OpKind::Put {
            content: found,
            modified_ns: version.modified_ns,
            source: Source::Kept { kept: Box::new(version.id.clone()), side: version.side },
        };
        let folders = self.missing_folders(side, &version.id.path)?;
        let mut ops = PerSide::<Vec<Op>>::default();
        let make = |path: TreePath| Op { path, kind: OpKind::MakeFolder, expected: None };
        ops.of_mut(side).extend(folders.into_iter().map(make));
        ops.of_mut(side).push(Op {
            path: version.id.path.clone(),
            kind: put,
            expected: expected.map(Box::new),
        });
        let purpose = Purpose { cause: ChangeCause::Restore, undone_run: None };
        self.perform_ops(purpose, ops, on_event, &mut |_| {})
    }

    fn missing_folders(&self, side: Side, path: &TreePath) -> Result<Vec<TreePath>, PairError> {
        let mut missing = Vec::new();
        for folder in path.ancestors() {
            if self.index.entry(side, &folder)?.is_none() {
                missing.push(folder);
            }
        }
        missing.reverse();
        Ok(missing)
    }

    fn kept_kind(&self, version: &VersionView) -> Result<Kind, PairError> {
        let executable = match &version.kind {
            FoundKind::File { executable, .. } => *executable,
            FoundKind::Symlink { target } => return Ok(Kind::Symlink { target: target.clone() }),
            FoundKind::Folder => return Ok(Kind::Folder),
        };
        let mut source = self.sides.of(version.side).kept_source(&version.id);
        let mut hasher = blake3::Hasher::new();
        let read = each_block(&mut *source, |block| {
            hasher.update(block);
            Ok(())
        });
        let len = read.map_err(|error| self.refused(version.side, error))?;
        Ok(Kind::File(FileContent { len, hash: ContentHash(hasher.finalize().into()), executable }))
    }

    fn perform_ops(
        &mut self,
        purpose: Purpose,
        ops: PerSide<Vec<Op>>,
        on_event: &(dyn Fn(SyncEvent) + Sync),
        on_performed: &mut (dyn FnMut(&Op) + Send),
    ) -> Result<Report, PairError> {
        let conflicts = self.index.conflicts()?.into_iter().map(|(conflict, _)| conflict).collect();
        let plan = Plan { ops, conflicts, ..Plan::default() };
        self.carry_out_for(purpose, &Proposal { plan, ..Proposal::default() }, on_event, on_performed)
    }
}

impl Found {
    /// Copies a kept version to a file that does not exist yet. Needs no lock: kept versions do not change.
    pub fn copy_out(&self, version: &VersionView, out: &Path) -> Result<(), PairError> {
        let file = std::fs::File::create_new(out).map_err(PairError::state(out, "make"))?;
        let copied = self.copy_to(version, &mut &file)?;
        copied.and_then(|()| file.sync_all()).map_err(PairError::state(out, "write"))
    }

    /// Copies a kept version to a stream. The inner error is that of the stream.
    pub fn copy_to(
        &self,
        version: &VersionView,
        out: &mut dyn std::io::Write,
    ) -> Result<std::io::Result<()>, PairError> {
        let root = self.pair.root(version.side);
        let mut source = self.pair.replica(version.side)?.kept_source(&version.id);
        let mut failed = None;
        let copied = each_block(&mut *source, |block| {
            out.write_all(block).map_err(|error| {
                failed = Some(error);
                ReplicaError::Stopped
            })
        });
        match failed {
            Some(error) => Ok(Err(error)),
            None => {
                copied.map(|_| Ok(())).map_err(|error| PairError::Replica { root: root.to_owned(), error })
            }
        }
    }
}

/// Gives a content block by block; returns its length in bytes.
fn each_block(
    source: &mut dyn ContentSource,
    mut take: impl FnMut(&[u8]) -> Result<(), ReplicaError>,
) -> Result<u64, ReplicaError> {
    let mut buf = vec![0; BLOCK_LEN];
    let mut offset = 0;
    loop {
        match source.read_at(offset, &mut buf)? {
            0 => return Ok(offset),
            read_len => {
                take(&buf[..read_len])?;
                offset += read_len as u64;
            }
        }
    }
}

impl VersionView {
    fn of(side: Side, version: KeptVersion) -> Self {
        let len = version.len();
        let KeptVersion { id, kind, modified_ns } = version;
        Self { side, id, len, modified_ns, kind }
    }
}

/// Removes the kept versions whose time is over, on both sides.
pub(crate) fn prune(session: &mut Session) -> Result<(), PairError> {
    for side in Side::BOTH {
        let root = session.pair.root(side).to_owned();
        let refused = |error| PairError::Replica { root: root.clone(), error };
        let versions = session.sides.of(side).kept(None).map_err(refused)?;
        let kept: Vec<Kept> = versions.iter().map(as_kept).collect();
        let now_ns = i64::try_from(clock::now_ms()).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        let gone: Vec<KeptId> = expired(&kept, now_ns, &session.options.retention)
            .into_iter()
            .filter_map(|at| versions.get(at).map(|version| version.id.clone()))
            .collect();
        session.sides.of_mut(side).remove_kept(&gone).map_err(refused)?;
    }
    Ok(())
}

fn as_kept(version: &KeptVersion) -> Kept {
    let at_ns = i64::try_from(version.id.run.ms()).unwrap_or(i64::MAX).saturating_mul(1_000_000);
    Kept { path: version.id.path.clone(), at_ns, len: version.len() }
}

/// Runs that are looked through for the last one that did something.
const RUNS_MAX: u32 = 1000;
const BLOCK_LEN: usize = 1 << 20;
