//! What runs did and what is to be decided: conflicts, decisions, deeds, runs, and settings of the pair. Deeds, of which
//! there are many, are in postcard's format (its specification: postcard.jamesmunns.com), the rest is JSON. All is checked as it is read.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use swarm_sync::{Choice, Conflict, ConflictId, Deed, OpKind, RunId, TreePath};

use crate::error::Fault;
use crate::row::key_of;

/// A run of a pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its name.
    pub run: RunId,
    /// When it began, in milliseconds since 1970.
    pub started_ms: u64,
    /// When it ended, in milliseconds since 1970; `None` while it runs, and for ever if it was killed.
    pub ended_ms: Option<u64>,
    /// What its end said of it, as JSON.
    pub summary: Option<String>,
}

/// Replaces the open conflicts. One that was there already keeps the time at which it was seen first; a new one was seen when the
/// latest run began. Decisions about others are dropped.
pub(crate) fn set_conflicts(db: &Connection, conflicts: &[Conflict]) -> Result<(), Fault> {
    db.execute_batch(
        "CREATE TEMP TABLE IF NOT EXISTS seen (id BLOB PRIMARY KEY, first_seen_ms INTEGER);
        DELETE FROM seen;
        INSERT INTO seen SELECT id, first_seen_ms FROM conflicts;
        DELETE FROM conflicts;",
    )?;
    let mut insert = db.prepare_cached(
        "INSERT OR REPLACE INTO conflicts (id, json, first_seen_ms) VALUES (?1, ?2, coalesce(
            (SELECT first_seen_ms FROM seen WHERE id = ?1), (SELECT max(started_ms) FROM runs), 0))",
    )?;
    for conflict in conflicts {
        insert.execute(params![conflict.id.0, json_of(conflict)?])?;
    }
    db.execute("DELETE FROM choices WHERE id NOT IN (SELECT id FROM conflicts)", [])?;
    Ok(())
}

/// The open conflicts by path, and when each was seen first.
pub(crate) fn conflicts(db: &Connection) -> Result<Vec<(Conflict, u64)>, Fault> {
    let mut all = rows(db, "SELECT json, first_seen_ms FROM conflicts", [], |row| {
        Ok((of_json::<Conflict>(row.get_ref(0)?)?, row.get(1)?))
    })?;
    all.sort_by(|(one, _), (other, _)| (&one.path, one.id).cmp(&(&other.path, other.id)));
    Ok(all)
}

pub(crate) fn choose(db: &Connection, id: ConflictId, choice: Option<Choice>) -> Result<(), Fault> {
    match choice {
        Some(choice) => {
            let text = match choice {
                Choice::Settled { hash, .. } => Some(hash.0),
                Choice::KeepLocal | Choice::KeepRemote | Choice::KeepBoth => None,
            };
            db.prepare_cached("INSERT OR REPLACE INTO choices (id, json, text) VALUES (?1, ?2, ?3)")?
                .execute(params![id.0, json_of(&choice)?, text])?;
        }
        None => {
            db.prepare_cached("DELETE FROM choices WHERE id = ?1")?.execute([id.0])?;
        }
    }
    Ok(())
}

pub(crate) fn choices(db: &Connection) -> Result<Vec<(ConflictId, Choice)>, Fault> {
    rows(db, "SELECT id, json FROM choices ORDER BY id", [], |row| {
        let id = row.get_ref(0)?.as_blob()?.try_into();
        let id = id.map_err(|_| Fault::Damaged("a conflict's id has another length"))?;
        Ok((ConflictId(id), of_json(row.get_ref(1)?)?))
    })
}

pub(crate) fn put_deed(db: &Connection, run: RunId, deed: &Deed) -> Result<(), Fault> {
    let moved_from = match &deed.op.kind {
        OpKind::Move { from } => Some(key_of(from)),
        OpKind::MakeFolder | OpKind::Put { .. } | OpKind::SetExecutable { .. } | OpKind::Remove => None,
    };
    let bytes = postcard::to_allocvec(deed).map_err(|_| Fault::Damaged("a deed has no form"))?;
    let sql =
        "INSERT OR REPLACE INTO deeds (run, number, path, moved_from, deed) VALUES (?1, ?2, ?3, ?4, ?5)";
    let row = params![run_ms(run), deed.number.cast_signed(), key_of(&deed.op.path), moved_from, bytes];
    db.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

/// The deeds of one run, in their order.
pub(crate) fn deeds(db: &Connection, run: RunId) -> Result<Vec<Deed>, Fault> {
    rows(db, "SELECT deed FROM deeds WHERE run = ?1 ORDER BY number", [run_ms(run)], |row| {
        deed_of(row.get_ref(0)?)
    })
}

/// The deeds of runs that began at this time or later, in their order.
pub(crate) fn deeds_since(db: &Connection, since_ms: u64, limit: u32) -> Result<Vec<(RunId, Deed)>, Fault> {
    let since = run_ms(RunId::at_ms(since_ms));
    let sql = "SELECT run, deed FROM deeds WHERE run >= ?1 ORDER BY run, number LIMIT ?2";
    rows(db, sql, params![since, limit], run_and_deed)
}

/// The deeds at a path, and moves away from it, the latest first.
pub(crate) fn deeds_of_path(db: &Connection, path: &TreePath) -> Result<Vec<(RunId, Deed)>, Fault> {
    let sql = "SELECT run, deed FROM deeds WHERE path = ?1 OR moved_from = ?1 ORDER BY run DESC, number DESC";
    rows(db, sql, [key_of(path)], run_and_deed)
}

pub(crate) fn begin_run(db: &Connection, run: RunId, now_ms: u64) -> Result<(), Fault> {
    let sql = "INSERT OR REPLACE INTO runs (run, started_ms) VALUES (?1, ?2)";
    db.prepare_cached(sql)?.execute(params![run_ms(run), now_ms.cast_signed()])?;
    Ok(())
}

pub(crate) fn end_run(db: &Connection, run: RunId, now_ms: u64, summary: &str) -> Result<(), Fault> {
    let sql = "UPDATE runs SET ended_ms = ?2, summary = ?3 WHERE run = ?1";
    db.prepare_cached(sql)?.execute(params![run_ms(run), now_ms.cast_signed(), summary])?;
    Ok(())
}

/// The latest runs, the latest first.
pub(crate) fn runs(db: &Connection, limit: u32) -> Result<Vec<RunRecord>, Fault> {
    let sql = "SELECT run, started_ms, ended_ms, summary FROM runs ORDER BY run DESC LIMIT ?1";
    rows(db, sql, [limit], |row| {
        Ok(RunRecord {
            run: run_at(row, 0)?,
            started_ms: row.get(1)?,
            ended_ms: row.get(2)?,
            summary: row.get(3)?,
        })
    })
}

/// Forgets all runs but the latest, and their deeds. Returns how many runs were forgotten.
pub(crate) fn prune_runs(db: &Connection, keep: u32) -> Result<usize, Fault> {
    let oldest = "SELECT run FROM runs ORDER BY run DESC LIMIT 1 OFFSET ?1";
    let oldest: Option<i64> = db.prepare_cached(oldest)?.query_row([keep], |row| row.get(0)).optional()?;
    let Some(oldest) = oldest else { return Ok(0) };
    db.prepare_cached("DELETE FROM deeds WHERE run <= ?1")?.execute([oldest])?;
    Ok(db.prepare_cached("DELETE FROM runs WHERE run <= ?1")?.execute([oldest])?)
}

pub(crate) fn set_meta(db: &Connection, key: &str, value: &str) -> Result<(), Fault> {
    db.prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?.execute([key, value])?;
    Ok(())
}

pub(crate) fn meta(db: &Connection, key: &str) -> Result<Option<String>, Fault> {
    let mut found = db.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    Ok(found.query_row([key], |row| row.get(0)).optional()?)
}

fn rows<T>(
    db: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
    read: impl Fn(&Row<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

fn run_and_deed(row: &Row<'_>) -> Result<(RunId, Deed), Fault> {
    Ok((run_at(row, 0)?, deed_of(row.get_ref(1)?)?))
}

fn deed_of(value: ValueRef<'_>) -> Result<Deed, Fault> {
    postcard::from_bytes(value.as_blob()?).map_err(|_| Fault::Damaged("a deed is not what was written"))
}

fn run_at(row: &Row<'_>, at: usize) -> Result<RunId, Fault> {
    Ok(RunId::at_ms(row.get(at)?))
}

fn run_ms(run: RunId) -> i64 {
    run.ms().cast_signed()
}

fn json_of(value: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|_| Fault::Damaged("a record has no JSON"))
}

fn of_json<T: DeserializeOwned>(value: ValueRef<'_>) -> Result<T, Fault> {
    serde_json::from_slice(value.as_bytes()?).map_err(|_| Fault::Damaged("a record is not what was written"))
}
