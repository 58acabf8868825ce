//! Short contents that are kept for merging or as decisions, bounded in total. A text that a decision names is never dropped; of the
//! others the one that was kept longest ago goes first. Reading a text does not renew it: after a merge the next base replaces it.

use rusqlite::{Connection, OptionalExtension, params};
use swarm_sync::ContentHash;

use crate::error::Fault;

/// Keeps a text; one that is there already counts as kept now.
pub(crate) fn keep(db: &Connection, hash: &ContentHash, bytes: &[u8]) -> Result<(), Fault> {
    db.prepare_cached("INSERT OR REPLACE INTO texts (hash, len, bytes) VALUES (?1, ?2, ?3)")?
        .execute(params![hash.0, bytes.len(), bytes])?;
    Ok(())
}

/// The bytes of a text.
pub(crate) fn text(db: &Connection, hash: &ContentHash) -> Result<Option<Vec<u8>>, Fault> {
    let mut found = db.prepare_cached("SELECT bytes FROM texts WHERE hash = ?1")?;
    let bytes: Option<Vec<u8>> = found.query_row([hash.0], |row| row.get(0)).optional()?;
    match bytes {
        Some(bytes) if ContentHash::of(&bytes) != *hash => {
            Err(Fault::Damaged("a kept text has another hash"))
        }
        bytes => Ok(bytes),
    }
}

/// Number of texts, and their length in total.
pub(crate) fn totals(db: &Connection) -> Result<(u64, u64), Fault> {
    let mut sum = db.prepare_cached("SELECT count(*), coalesce(sum(len), 0) FROM texts")?;
    Ok(sum.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// Drops texts until the rest is no longer than `len_max`.
pub(crate) fn prune(db: &Connection, len_max: u64) -> Result<(), Fault> {
    let mut excess = totals(db)?.1.saturating_sub(len_max);
    if excess == 0 {
        return Ok(());
    }
    let mut oldest = db.prepare_cached(
        "SELECT number, len FROM texts t
        WHERE NOT EXISTS (SELECT 1 FROM choices c WHERE c.text = t.hash) ORDER BY number",
    )?;
    let mut dropped = 0;
    let mut rows = oldest.query([])?;
    while excess > 0
        && let Some(row) = rows.next()?
    {
        dropped = row.get::<_, i64>(0)?;
        excess = excess.saturating_sub(row.get(1)?);
    }
    drop(rows);
    db.prepare_cached(
        "DELETE FROM texts WHERE number <= ?1 AND NOT EXISTS (SELECT 1 FROM choices c WHERE c.text = texts.hash)",
    )?
    .execute([dropped])?;
    Ok(())
}
