//! Scans both sides at once, each in a thread of its own. Both write to one index, a batch at a time.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use swarm_files::FolderReplica;
use swarm_index::{IndexReader, SqliteIndex};
use swarm_sync::{
    Blind, Entry, Found, Index as _, IndexStep, Observation, Observer, PerSide, Replica as _, ReplicaError,
    Side, Tally, TreePath, observe,
};

use crate::rules::RulesReader;
use crate::{PairError, SyncEvent};

/// One side that is scanned.
pub(crate) struct SideScan<'a> {
    pub(crate) side: Side,
    pub(crate) replica: &'a mut FolderReplica,
    pub(crate) known: IndexReader,
    pub(crate) expected: u64,
    pub(crate) root: &'a Path,
    pub(crate) rules: RulesReader,
}

/// Brings what is known of both sides up to date.
pub(crate) fn scan_both(
    sides: PerSide<SideScan<'_>>,
    index: &mut SqliteIndex,
    thorough: bool,
    on_event: &(dyn Fn(SyncEvent) + Sync),
) -> Result<PerSide<Tally>, PairError> {
    let forgets_unseen = !index.has_base()?;
    let index = Mutex::new(index);
    let (local, remote) = std::thread::scope(|scope| {
        let local = scope.spawn(|| scan_side(sides.local, &index, forgets_unseen, thorough, on_event));
        let remote = scan_side(sides.remote, &index, forgets_unseen, thorough, on_event);
        (local.join(), remote)
    });
    let local = local.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    Ok(PerSide { local: local?, remote: remote? })
}

fn scan_side(
    scan: SideScan<'_>,
    index: &Mutex<&mut SqliteIndex>,
    forgets_unseen: bool,
    thorough: bool,
    on_event: &(dyn Fn(SyncEvent) + Sync),
) -> Result<Tally, PairError> {
    let SideScan { side, replica, known, expected, root, rules } = scan;
    let walk = replica.walk(None).map_err(Failed::Replica);
    let mut observer = ToIndex { side, replica, index, expected, rules, forgets_unseen, on_event };
    let observed = walk.and_then(|walk| {
        let known = known.known(side, None).map(|row| row.map_err(Failed::from));
        observe(walk, known, thorough, &mut observer)
    });
    observed.map_err(|failed| match failed {
        Failed::Index(error) => error.into(),
        Failed::Replica(error) => PairError::Replica { root: root.to_owned(), error },
    })
}

/// Why a scan ended early.
enum Failed {
    Index(swarm_index::IndexError),
    Replica(ReplicaError),
}

impl From<ReplicaError> for Failed {
    fn from(error: ReplicaError) -> Self {
        Self::Replica(error)
    }
}

impl From<swarm_index::IndexError> for Failed {
    fn from(error: swarm_index::IndexError) -> Self {
        Self::Index(error)
    }
}

struct ToIndex<'a, 'i> {
    side: Side,
    replica: &'a mut FolderReplica,
    index: &'a Mutex<&'i mut SqliteIndex>,
    expected: u64,
    rules: RulesReader,
    forgets_unseen: bool,
    on_event: &'a (dyn Fn(SyncEvent) + Sync),
}

impl Observer for ToIndex<'_, '_> {
    type Error = Failed;

    fn keeps_executable(&self) -> bool {
        self.replica.keeps_executable()
    }

    fn is_ignored(&self, path: &TreePath, is_folder: bool) -> bool {
        self.rules.is_ignored(path, is_folder)
    }

    fn forgets_unseen(&self) -> bool {
        self.forgets_unseen
    }

    fn hash(&mut self, files: Vec<Found>) -> Vec<Result<(TreePath, Entry), Blind>> {
        self.replica.hash(files)
    }

    fn remember(&mut self, batch: Vec<Observation>) -> Result<(), Failed> {
        let steps = batch.into_iter().map(|seen| IndexStep::Observe(self.side, seen)).collect();
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(index.apply(steps)?)
    }

    fn progress(&mut self, tally: &Tally) {
        let Tally { found, hashed, hashed_len, .. } = *tally;
        let (side, expected) = (self.side, self.expected);
        (self.on_event)(SyncEvent::Scanning { side, found, expected, hashed, hashed_len });
    }
}
