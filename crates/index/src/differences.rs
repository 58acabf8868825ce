//! Where the three trees are not the same. Only open paths are read; while every path counts as open, all three trees are read once,
//! side by side, in their order.

use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator;
use rusqlite::{Connection, Row, Rows};
use swarm_sync::{Difference, PerSide};

use crate::error::Fault;
use crate::row::{ENTRY_COLUMNS, InOrder, base_at, entry_at, path_of};
use crate::schema::ALL_OPEN;
use crate::trees::{is_all_open, is_empty};

/// Every path with a difference, in path order. In a transaction: paths without one are closed. With an empty base, paths at which both
/// sides have the same become the base here, unreturned: a million equal files are no million differences.
pub(crate) fn differences(db: &Connection) -> Result<Vec<Difference>, Fault> {
    let is_all_open = is_all_open(db)?;
    if !has_base(db)? {
        db.execute(AGREE_ALL, [])?;
    } else if is_all_open {
        db.execute(REFRESH_ALL, [])?;
    }
    if is_all_open { of_all_paths(db) } else { of_open_paths(db) }
}

/// Closes the paths at which all three have the same, once what the base says of where it stands is as it is now: nothing opens them again for that.
pub(crate) fn close_equal(db: &Connection) -> Result<(), Fault> {
    if has_base(db)? {
        db.execute(REFRESH_OPEN, [])?;
    }
    db.execute(CLOSE_EQUAL, [])?;
    Ok(())
}

/// Whether both sides agreed on anything yet.
pub(crate) fn has_base(db: &Connection) -> Result<bool, Fault> {
    Ok(!is_empty(db, "SELECT NOT EXISTS (SELECT 1 FROM base)")?)
}

/// Reads the open paths, having closed those at which all three have the same.
fn of_open_paths(db: &Connection) -> Result<Vec<Difference>, Fault> {
    close_equal(db)?;
    let mut statement = db.prepare_cached(OPEN_PATHS)?;
    let mut rows = statement.query([])?;
    let (mut found, mut order) = (Vec::new(), InOrder::default());
    while let Some(row) = rows.next()? {
        let key = row.get_ref(0)?.as_blob()?;
        order.take(key)?;
        let now = PerSide { local: entry_at(row, 1)?, remote: entry_at(row, 1 + ENTRY_COLUMNS)? };
        let base = base_at(row, 1 + 2 * ENTRY_COLUMNS)?.map(Box::new);
        found.push(Difference { path: path_of(key)?, now, base });
    }
    Ok(found)
}

/// Reads all three trees, and notes as open what differs.
fn of_all_paths(db: &Connection) -> Result<Vec<Difference>, Fault> {
    db.execute("DELETE FROM open", [])?;
    let mut statements = [db.prepare(LOCAL)?, db.prepare(REMOTE)?, db.prepare(BASE)?];
    let [local, remote, base] = &mut statements;
    let mut trees =
        [Cursor::new(local.query([])?)?, Cursor::new(remote.query([])?)?, Cursor::new(base.query([])?)?];
    let mut open = db.prepare("INSERT INTO open (path) VALUES (?1)")?;
    let mut found = Vec::new();
    while let Some(key) = trees.iter().filter_map(Cursor::key).min().map(<[u8]>::to_vec) {
        if let Some(difference) = difference_at(&key, &trees)? {
            open.execute([&key])?;
            found.push(difference);
        }
        for tree in trees.iter_mut().filter(|tree| tree.key() == Some(&key)) {
            tree.step()?;
        }
    }
    db.execute("DELETE FROM meta WHERE key = ?1", [ALL_OPEN])?;
    Ok(found)
}

/// What differs at a key, which is the least that a cursor stands at.
fn difference_at(key: &[u8], trees: &[Cursor<'_>; 3]) -> Result<Option<Difference>, Fault> {
    let [local, remote, base] = trees.each_ref().map(|tree| tree.at(key));
    if let (Some(local), Some(remote), Some(base)) = (local, remote, base)
        && is_same(local, remote)?
        && is_same(local, base)?
    {
        return Ok(None);
    }
    let entry = |row: Option<&Row<'_>>| row.map_or(Ok(None), |row| entry_at(row, 1));
    let now = PerSide { local: entry(local)?, remote: entry(remote)? };
    let base = base.map_or(Ok(None), |row| base_at(row, 1))?.map(Box::new);
    Ok(Some(Difference { path: path_of(key)?, now, base }))
}

/// Whether two rows have the same kind, length and content. They are compared as they stand: nothing is decoded for equal rows.
fn is_same(one: &Row<'_>, other: &Row<'_>) -> Result<bool, Fault> {
    for column in 1..4 {
        if one.get_ref(column)? != other.get_ref(column)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A tree that is read in its order.
struct Cursor<'a> {
    rows: Rows<'a>,
    order: InOrder,
    is_over: bool,
}

impl<'a> Cursor<'a> {
    fn new(rows: Rows<'a>) -> Result<Self, Fault> {
        let mut cursor = Self { rows, order: InOrder::default(), is_over: false };
        cursor.step()?;
        Ok(cursor)
    }

    fn step(&mut self) -> Result<(), Fault> {
        self.rows.advance()?;
        match self.rows.get() {
            Some(row) => self.order.take(row.get_ref(0)?.as_blob()?)?,
            None => self.is_over = true,
        }
        Ok(())
    }

    fn key(&self) -> Option<&[u8]> {
        (!self.is_over).then(|| self.order.last())
    }

    /// The current row, if it is the one of this key.
    fn at(&self, key: &[u8]) -> Option<&Row<'_>> {
        if self.key() == Some(key) { self.rows.get() } else { None }
    }
}

/// Whether two rows have the same, in SQL.
macro_rules! same {
    ($one:literal, $other:literal) => {
        concat!(
            $one,
            ".kind = ",
            $other,
            ".kind AND ",
            $one,
            ".len IS ",
            $other,
            ".len AND ",
            $one,
            ".content IS ",
            $other,
            ".content"
        )
    };
}

/// The row of the base that both sides agree on, in SQL.
macro_rules! agreed {
    ($from:literal, $where:expr) => {
        concat!(
            "INSERT OR REPLACE INTO base
            SELECT l.path, l.kind, l.len, l.content, max(l.modified_ns, r.modified_ns), l.device, l.inode, r.device, r.inode
            FROM ", $from, " JOIN remote r ON r.path = l.path ", $where, " AND ", same!("l", "r")
        )
    };
}

/// The numbers of files change when a folder is copied back or a disk is mounted anew: the base has to have them as they are now, or
/// no move of these files is recognized any more.
macro_rules! refreshed {
    ($from:literal) => {
        agreed!(
            $from,
            concat!(
                "JOIN base b ON b.path = l.path
                WHERE (b.modified_ns, b.local_device, b.local_inode, b.remote_device, b.remote_inode)
                    IS NOT (max(l.modified_ns, r.modified_ns), l.device, l.inode, r.device, r.inode) AND ",
                same!("l", "b")
            )
        )
    };
}

/// What both sides have at one path.
pub(crate) const AGREE: &str = agreed!("local l", "WHERE l.path = ?1");
const AGREE_ALL: &str = agreed!("local l", "WHERE true");
const REFRESH_OPEN: &str = refreshed!("open o CROSS JOIN local l ON l.path = o.path");
const REFRESH_ALL: &str = refreshed!("local l");

/// Takes paths out at which all three have the same, or nothing.
const CLOSE_EQUAL: &str = concat!(
    "DELETE FROM open WHERE EXISTS (
        SELECT 1 FROM local l JOIN remote r ON r.path = l.path JOIN base b ON b.path = l.path
        WHERE l.path = open.path AND ",
    same!("l", "r"),
    " AND ",
    same!("l", "b"),
    "
    ) OR NOT EXISTS (
        SELECT 1 FROM local WHERE path = open.path UNION ALL SELECT 1 FROM remote WHERE path = open.path
        UNION ALL SELECT 1 FROM base WHERE path = open.path
    )"
);

const OPEN_PATHS: &str = "SELECT o.path,
        l.kind, l.len, l.content, l.modified_ns, l.device, l.inode, l.changed_ns,
        r.kind, r.len, r.content, r.modified_ns, r.device, r.inode, r.changed_ns,
        b.kind, b.len, b.content, b.modified_ns, b.local_device, b.local_inode, b.remote_device, b.remote_inode
    FROM open o LEFT JOIN local l ON l.path = o.path LEFT JOIN remote r ON r.path = o.path
        LEFT JOIN base b ON b.path = o.path
    ORDER BY o.path";

const LOCAL: &str =
    "SELECT path, kind, len, content, modified_ns, device, inode, changed_ns FROM local ORDER BY path";
const REMOTE: &str =
    "SELECT path, kind, len, content, modified_ns, device, inode, changed_ns FROM remote ORDER BY path";
const BASE: &str =
    "SELECT path, kind, len, content, modified_ns, local_device, local_inode, remote_device, remote_inode
    FROM base ORDER BY path";
