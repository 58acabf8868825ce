//! The versions of paths that hold.

use rusqlite::{Connection, Row, params};
use swarm_library::{Head, Heads, Live, RecordRef, State};
use swarm_sync::TreePath;

use super::LibraryBook;
use super::authors::{decode, encode, node_of, number_of};
use crate::IndexError;
use crate::error::Fault;
use crate::row::{END, KindColumns, after, end_of, hash_of, key_of, kind_at, path_of};

/// A path of the view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewEntry {
    /// The path.
    pub path: TreePath,
    /// The version that all nodes take.
    pub winner: Head,
    /// Whether other versions exclude it.
    pub is_disputed: bool,
}

impl LibraryBook {
    /// The versions of a path that hold.
    pub fn heads(&self, path: &TreePath) -> Result<Heads, IndexError> {
        self.read(|db| load(db, &key_of(path)))
    }

    /// Live entries of the view at a place and below it, or all, from `start` on, exclusive; at most `limit`.
    pub fn view(
        &self,
        place: Option<&TreePath>,
        start: Option<&TreePath>,
        limit: usize,
    ) -> Result<Vec<ViewEntry>, IndexError> {
        self.read(|db| view(db, place, start, limit))
    }
}

/// Live entries in path order.
pub(super) fn view(
    db: &Connection,
    place: Option<&TreePath>,
    start: Option<&TreePath>,
    limit: usize,
) -> Result<Vec<ViewEntry>, Fault> {
    let place = place.map(key_of);
    let end = place.as_deref().map_or_else(|| END.to_vec(), end_of);
    let start = start.map(|start| after(&key_of(start))).or(place).unwrap_or_default();
    let sql = "SELECT path, author, seq, place, kind, len, content, modified_ns, sha256, vector, parent,
            EXISTS (SELECT 1 FROM heads AS other WHERE other.path = heads.path
                AND (other.kind IS NOT heads.kind OR other.content IS NOT heads.content))
        FROM heads WHERE path >= ?1 AND path < ?2 AND is_winner = 1 AND kind IS NOT NULL ORDER BY path LIMIT ?3";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params![start, end, limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let path = path_of(row.get_ref(0)?.as_blob()?)?;
        let (winner, is_disputed) = (head_at(db, row, 1)?, row.get(11)?);
        found.push(ViewEntry { path, winner, is_disputed });
    }
    Ok(found)
}

/// All versions of the path with this key.
pub(super) fn load(db: &Connection, key: &[u8]) -> Result<Heads, Fault> {
    let sql = "SELECT author, seq, place, kind, len, content, modified_ns, sha256, vector, parent
        FROM heads WHERE path = ?1";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([key])?;
    let mut heads = Vec::new();
    while let Some(row) = rows.next()? {
        heads.push(head_at(db, row, 0)?);
    }
    Ok(Heads::of(heads))
}

/// Replaces the versions of a path.
pub(super) fn store(db: &Connection, key: &[u8], before: &Heads, now: &Heads) -> Result<(), Fault> {
    let winner = now.winner().map(|head| head.record);
    for gone in before.all().iter().filter(|head| !now.all().iter().any(|kept| kept.record == head.record)) {
        let RecordRef { author, seq, index } = gone.record;
        let row = params![key, number_of(db, &author)?, seq.cast_signed(), index];
        db.prepare_cached("DELETE FROM heads WHERE path = ?1 AND author = ?2 AND seq = ?3 AND place = ?4")?
            .execute(row)?;
    }
    if before.winner().map(|head| head.record) != winner {
        db.prepare_cached("UPDATE heads SET is_winner = 0 WHERE path = ?1 AND is_winner = 1")?
            .execute([key])?;
    }
    for head in now.all() {
        let is_winner = Some(head.record) == winner;
        let is_new = !before.all().iter().any(|known| known.record == head.record);
        if is_new || is_winner {
            put(db, key, head, is_winner)?;
        }
    }
    Ok(())
}

fn put(db: &Connection, key: &[u8], head: &Head, is_winner: bool) -> Result<(), Fault> {
    let RecordRef { author, seq, index } = head.record;
    let columns = head.state.kind().map(KindColumns::of);
    let (kind, len, content) =
        columns.map_or((None, None, None), |columns| (Some(columns.kind), columns.len, columns.content));
    let (modified_ns, sha256) = match &head.state {
        State::Live(live) => (live.modified_ns, live.sha256),
        State::Deleted => (0, None),
    };
    let row = params![
        key,
        number_of(db, &author)?,
        seq.cast_signed(),
        index,
        is_winner,
        kind,
        len,
        content,
        modified_ns,
        sha256,
        encode(db, &head.vector)?,
        head.parent.map(|hash| hash.0)
    ];
    let sql = "INSERT OR REPLACE INTO heads
        (path, author, seq, place, is_winner, kind, len, content, modified_ns, sha256, vector, parent)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    db.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

fn head_at(db: &Connection, row: &Row<'_>, at: usize) -> Result<Head, Fault> {
    let author = node_of(db, row.get_ref(at)?.as_i64()?)?;
    let record =
        RecordRef { author, seq: row.get::<_, i64>(at + 1)?.cast_unsigned(), index: row.get(at + 2)? };
    let modified_ns = row.get_ref(at + 6)?.as_i64()?;
    let sha256: Option<[u8; 32]> = row.get(at + 7)?;
    let state = match kind_at(row, at + 3)? {
        Some(kind) => State::Live(Live { kind, modified_ns, sha256 }),
        None => State::Deleted,
    };
    let vector = decode(db, row.get_ref(at + 8)?.as_blob()?)?;
    let parent = row.get_ref(at + 9)?;
    let parent = if parent.as_blob_or_null()?.is_some() { Some(hash_of(parent)?) } else { None };
    Ok(Head { record, state, vector, parent })
}
