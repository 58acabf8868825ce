//! Paths that wait for a later plan. What is new on one side alone, and meets nothing, is planned in parts: a plan of half a million files would
//! fill the memory. Invariant: a part is cut only where the plan of the whole would do the same, and what is left of it waits for nothing but its
//! turn. Absent here: what waits for its content (`parked`).

use rusqlite::{Connection, params};

use super::LibraryBook;
use crate::IndexError;
use crate::differences::{close_equal, has_base};
use crate::error::Fault;
use crate::schema::ALL_OPEN;
use crate::trees::is_all_open;

impl LibraryBook {
    /// Leaves so many paths to the next plan, beside those that were open before. Returns whether others wait for the plans after it.
    pub fn plan_part(&mut self, paths_max: usize) -> Result<bool, IndexError> {
        self.write(|db| plan_part(db, paths_max))
    }

    /// Leaves all paths to the next plan.
    pub fn plan_whole(&mut self) -> Result<(), IndexError> {
        self.write(take_all)
    }
}

fn plan_part(db: &Connection, paths_max: usize) -> Result<bool, Fault> {
    if is_all_open(db)? {
        // What waits is among all paths.
        db.execute("DELETE FROM later", [])?;
        if !is_first_of_one_side(db)? || !has_more(db, ALL, paths_max)? {
            return Ok(false);
        }
        db.execute("DELETE FROM open", [])?;
        db.execute(LEAVE_ALL, [])?;
        db.execute("DELETE FROM meta WHERE key = ?1", [ALL_OPEN])?;
    } else if has_more(db, LATER, 0)? {
        close_equal(db)?;
        if meets(db)? {
            take_all(db)?;
            return Ok(false);
        }
    } else {
        if !has_more(db, OPEN, paths_max)? {
            return Ok(false);
        }
        close_equal(db)?;
        if meets(db)? {
            return Ok(false);
        }
        db.execute(LEAVE, [])?;
        db.execute(KEEP_OPEN, [])?;
    }
    take(db, paths_max)?;
    has_more(db, LATER, 0)
}

/// Nothing was agreed on yet, and no path stands on both sides.
fn is_first_of_one_side(db: &Connection) -> Result<bool, Fault> {
    let sql = "SELECT EXISTS (SELECT 1 FROM local l JOIN remote r ON r.path = l.path)";
    let is_met: bool = db.query_row(sql, [], |row| row.get(0))?;
    Ok(!is_met && !has_base(db)?)
}

/// Whether an open path may be planned otherwise by what waits: one that left its place, or at which different kinds of entries meet.
fn meets(db: &Connection) -> Result<bool, Fault> {
    Ok(db.prepare_cached(MEETS)?.query_row([], |row| row.get(0))?)
}

fn has_more(db: &Connection, sql: &str, paths_max: usize) -> Result<bool, Fault> {
    let offset = i64::try_from(paths_max).unwrap_or(i64::MAX);
    Ok(db.prepare_cached(sql)?.query_row([offset], |row| row.get(0))?)
}

/// Opens the first of the paths that wait.
fn take(db: &Connection, count: usize) -> Result<(), Fault> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let sql = "INSERT OR IGNORE INTO open SELECT path FROM later ORDER BY path LIMIT ?1";
    db.prepare_cached(sql)?.execute([count])?;
    let sql = "DELETE FROM later WHERE path IN (SELECT path FROM later ORDER BY path LIMIT ?1)";
    db.prepare_cached(sql)?.execute(params![count])?;
    Ok(())
}

fn take_all(db: &Connection) -> Result<(), Fault> {
    db.execute("INSERT OR IGNORE INTO open SELECT path FROM later", [])?;
    db.execute("DELETE FROM later", [])?;
    Ok(())
}

const ALL: &str = "SELECT EXISTS (
    SELECT 1 FROM (SELECT path FROM local UNION ALL SELECT path FROM remote) LIMIT 1 OFFSET ?1
)";
const OPEN: &str = "SELECT EXISTS (SELECT 1 FROM open LIMIT 1 OFFSET ?1)";
const LATER: &str = "SELECT EXISTS (SELECT 1 FROM later LIMIT 1 OFFSET ?1)";
const LEAVE_ALL: &str =
    "INSERT INTO later SELECT path FROM local UNION ALL SELECT path FROM remote ORDER BY path";

/// What stands on one side alone, and was never agreed on, waits; all else stays open.
const LEAVE: &str = "INSERT OR IGNORE INTO later SELECT o.path FROM open o
    LEFT JOIN local l ON l.path = o.path LEFT JOIN remote r ON r.path = o.path LEFT JOIN base b ON b.path = o.path
    WHERE b.path IS NULL AND (l.path IS NULL OR r.path IS NULL)";
const KEEP_OPEN: &str = "DELETE FROM open WHERE EXISTS (SELECT 1 FROM later WHERE later.path = open.path)";

/// A file that both sides have, and had, is no matter of what stands beside it. Files are of the kinds 1 and 2.
const MEETS: &str = "SELECT EXISTS (
    SELECT 1 FROM open o
    LEFT JOIN local l ON l.path = o.path LEFT JOIN remote r ON r.path = o.path LEFT JOIN base b ON b.path = o.path
    WHERE NOT (b.path IS NULL AND (l.path IS NULL OR r.path IS NULL))
        AND NOT (ifnull(l.kind, 0) IN (1, 2) AND ifnull(r.kind, 0) IN (1, 2) AND ifnull(b.kind, 0) IN (1, 2))
)";

#[cfg(test)]
mod tests;
