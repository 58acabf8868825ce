//! The index of a pair in its file.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};
use swarm_sync::{
    BaseEntry, Choice, Conflict, ConflictId, ContentHash, Deed, Difference, Entry, Index, IndexStep, Known,
    PerSide, RunId, Side, TreePath,
};

use crate::error::Fault;
use crate::limits::{SMALL_WRITER_CACHE_KIB, TEXTS_LEN_MAX, WRITER_CACHE_KIB};
use crate::records::{self, RunRecord};
use crate::trees::{self, Trees};
use crate::{IndexError, IndexReader, differences, reader, schema, texts};

/// The memory of a pair. Several processes may have it open; one that works on the pair takes the [`IndexLock`](crate::IndexLock) first.
#[derive(Debug)]
pub struct SqliteIndex {
    db: Connection,
    path: PathBuf,
}

/// How much an index holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Paths of each side.
    pub sides: PerSide<u64>,
    /// Paths of the base.
    pub base: u64,
    /// Paths at which the trees may differ; `None` if that is to be found out for all of them.
    pub open: Option<u64>,
    /// Open conflicts.
    pub conflicts: u64,
    /// Kept texts.
    pub texts: u64,
    /// Length of the kept texts, in bytes.
    pub texts_len: u64,
    /// Runs that are remembered.
    pub runs: u64,
    /// Deeds of these runs.
    pub deeds: u64,
}

/// The setting that tells what the trees are of.
const SIDES: &str = "what the trees are of";

impl SqliteIndex {
    /// Opens the index in this file; makes it if it is not there.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        Ok(Self { db: schema::open(path, WRITER_CACHE_KIB)?, path: path.into() })
    }

    /// As [`Self::open`], with less memory: for one of many in a process.
    pub fn open_small(path: &Path) -> Result<Self, IndexError> {
        Ok(Self { db: schema::open(path, SMALL_WRITER_CACHE_KIB)?, path: path.into() })
    }

    /// Renames a damaged file, so that a new one can be made: both sides are merged then, and nothing is deleted. `label` tells it from
    /// others, such as the name of the run. Returns the new name. No process may have it open.
    pub fn set_aside(path: &Path, label: &str) -> Result<PathBuf, IndexError> {
        schema::set_aside(path, label)
    }

    /// A connection that reads beside this one.
    pub fn reader(&self) -> Result<IndexReader, IndexError> {
        IndexReader::open(&self.path)
    }

    /// Reads the whole file, and says what is wrong with it. Takes seconds for a million paths.
    pub fn verify(&self) -> Result<(), IndexError> {
        self.read(|db| {
            let answer: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            if answer == "ok" { Ok(()) } else { Err(Fault::Damaged("its pages do not fit together")) }
        })
    }

    /// What is known of a side at a path.
    pub fn entry(&self, side: Side, path: &TreePath) -> Result<Option<Entry>, IndexError> {
        self.read(|db| trees::entry(db, side, path))
    }

    /// What both sides agreed on last at a path.
    pub fn base(&self, path: &TreePath) -> Result<Option<BaseEntry>, IndexError> {
        self.read(|db| trees::base(db, path))
    }

    /// The open conflicts in path order, and when each was seen first, in milliseconds since 1970.
    pub fn conflicts(&self) -> Result<Vec<(Conflict, u64)>, IndexError> {
        self.read(records::conflicts)
    }

    /// Remembers that a run has begun.
    pub fn begin_run(&mut self, run: RunId, now_ms: u64) -> Result<(), IndexError> {
        self.write(|db| records::begin_run(db, run, now_ms))
    }

    /// Remembers that a run has ended, and what it says of itself.
    pub fn end_run(&mut self, run: RunId, now_ms: u64, summary_json: &str) -> Result<(), IndexError> {
        self.write(|db| records::end_run(db, run, now_ms, summary_json))
    }

    /// The latest runs, the latest first.
    pub fn runs(&self, limit: u32) -> Result<Vec<RunRecord>, IndexError> {
        self.read(|db| records::runs(db, limit))
    }

    /// Forgets all runs but the `keep` latest, and their deeds. Returns how many were forgotten.
    pub fn prune_runs(&mut self, keep: u32) -> Result<usize, IndexError> {
        self.write(|db| records::prune_runs(db, keep))
    }

    /// Deeds of the runs that began at this time or later, the first ones first, at most `limit`.
    pub fn deeds_since(&self, since_ms: u64, limit: u32) -> Result<Vec<(RunId, Deed)>, IndexError> {
        self.read(|db| records::deeds_since(db, since_ms, limit))
    }

    /// Deeds at a path, and moves away from it, the latest first.
    pub fn deeds_of_path(&self, path: &TreePath) -> Result<Vec<(RunId, Deed)>, IndexError> {
        self.read(|db| records::deeds_of_path(db, path))
    }

    /// Remembers a setting of the pair.
    pub fn set_meta(&mut self, key: &str, value: &str) -> Result<(), IndexError> {
        self.write(|db| records::set_meta(db, key, value))
    }

    /// Forgets what both sides agreed on if they are other ones than before, as `sides` tells them: what is missing in another folder was not
    /// deleted, and what differs was not changed. Both are merged then as at the first time. Returns whether they are others.
    pub fn agree_anew(&mut self, sides: &str) -> Result<bool, IndexError> {
        self.write(|db| {
            if records::meta(db, SIDES)?.as_deref() == Some(sides) {
                return Ok(false);
            }
            trees::forget_base(db)?;
            records::set_meta(db, SIDES, sides)?;
            Ok(true)
        })
    }

    /// A setting of the pair.
    pub fn meta(&self, key: &str) -> Result<Option<String>, IndexError> {
        self.read(|db| records::meta(db, key))
    }

    /// How much it holds. Takes a fraction of a second for a million paths.
    pub fn counts(&self) -> Result<Counts, IndexError> {
        self.read(|db| {
            let count = |sql| -> Result<u64, Fault> { Ok(db.query_row(sql, [], |row| row.get(0))?) };
            let (texts, texts_len) = texts::totals(db)?;
            let is_all_open = trees::is_all_open(db)?;
            Ok(Counts {
                sides: reader::totals(db)?,
                base: count("SELECT count(*) FROM base")?,
                open: if is_all_open { None } else { Some(count("SELECT count(*) FROM open")?) },
                conflicts: count("SELECT count(*) FROM conflicts")?,
                texts,
                texts_len,
                runs: count("SELECT count(*) FROM runs")?,
                deeds: count("SELECT count(*) FROM deeds")?,
            })
        })
    }

    /// A number that changes whenever another connection has written: a decision of another process.
    pub fn data_version(&self) -> Result<i64, IndexError> {
        self.read(|db| Ok(db.query_row("PRAGMA data_version", [], |row| row.get(0))?))
    }

    /// Whether both sides ever agreed on anything.
    pub fn has_base(&self) -> Result<bool, IndexError> {
        self.read(|db| Ok(db.query_row("SELECT EXISTS (SELECT 1 FROM base)", [], |row| row.get(0))?))
    }

    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, IndexError> {
        read(&self.db).map_err(|fault| fault.at(&self.path))
    }

    /// Does all of it or nothing. The transaction takes the right to write at once: one that began by reading could not wait for it.
    pub(crate) fn write<T>(
        &mut self,
        write: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, IndexError> {
        let perform = || -> Result<T, Fault> {
            let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let written = write(&transaction)?;
            transaction.commit()?;
            Ok(written)
        };
        perform().map_err(|fault| fault.at(&self.path))
    }
}

/// What is written is on the disk when a call returns.
impl Index for SqliteIndex {
    type Error = IndexError;

    fn known(&self, side: Side, place: Option<&TreePath>) -> Result<Known<'_, IndexError>, IndexError> {
        Ok(reader::known(&self.db, &self.path, side, place))
    }

    fn apply(&mut self, steps: Vec<IndexStep>) -> Result<(), IndexError> {
        self.write(|db| apply(db, steps))
    }

    fn differences(&mut self) -> Result<Vec<Difference>, IndexError> {
        self.write(differences::differences)
    }

    fn has_base(&self) -> Result<bool, IndexError> {
        self.read(differences::has_base)
    }

    fn totals(&self) -> Result<PerSide<u64>, IndexError> {
        self.read(reader::totals)
    }

    fn choices(&self) -> Result<Vec<(ConflictId, Choice)>, IndexError> {
        self.read(records::choices)
    }

    fn text(&self, hash: &ContentHash) -> Result<Option<Vec<u8>>, IndexError> {
        self.read(|db| texts::text(db, hash))
    }

    fn deeds(&self, run: RunId) -> Result<Vec<Deed>, IndexError> {
        self.read(|db| records::deeds(db, run))
    }
}

fn apply(db: &Connection, steps: Vec<IndexStep>) -> Result<(), Fault> {
    let mut trees = Trees::new(db)?;
    // What a run made is agreed on at once, and opens nothing.
    let is_of_run = steps.iter().any(|step| matches!(step, IndexStep::Agree(_)));
    for side in Side::BOTH.into_iter().filter(|_| !is_of_run) {
        let is_load = |step: &IndexStep| matches!(step, IndexStep::Observe(on, seen) if *on == side && seen.entry.is_some());
        if steps.iter().any(is_load) {
            trees.expect_load(side)?;
        }
    }
    let has_text = steps.iter().any(|step| matches!(step, IndexStep::KeepText(..)));
    for step in steps {
        perform(db, &trees, step)?;
    }
    if has_text { texts::prune(db, TEXTS_LEN_MAX) } else { Ok(()) }
}

fn perform(db: &Connection, trees: &Trees<'_>, step: IndexStep) -> Result<(), Fault> {
    match step {
        IndexStep::Observe(side, seen) => trees.observe(side, &seen),
        IndexStep::Moved { side, from, to } => trees.move_all(side, &from, &to),
        IndexStep::Agree(path) => trees.agree(&path),
        IndexStep::Rebase(entries) => trees.rebase(&entries),
        IndexStep::KeepText(hash, bytes) => texts::keep(db, &hash, &bytes),
        IndexStep::Deed(run, deed) => records::put_deed(db, run, &deed),
        IndexStep::Conflicts(conflicts) => records::set_conflicts(db, &conflicts),
        IndexStep::Choose(id, choice) => records::choose(db, id, choice),
    }
}
