//! The three trees: how steps change them. A path is noted as open when a tree changes at it, so that differences are found without
//! reading what did not change. While every path counts as open, none is noted: a bulk load would only write the same paths twice.

use rusqlite::{Connection, OptionalExtension, params};
use swarm_sync::limits::PATH_LEN_MAX;
use swarm_sync::{BaseEntry, Entry, Observation, Rebase, Side, TreePath};

use crate::differences::AGREE;
use crate::error::Fault;
use crate::row::{KindColumns, base_at, end_of, entry_at, key_of};
use crate::schema::ALL_OPEN;

/// A statement with the table of a side in it, as a constant: nothing is formatted for each of a million rows.
macro_rules! of_side {
    ($side:expr, $before:expr, $after:expr) => {
        match $side {
            swarm_sync::Side::Local => concat!($before, "local", $after),
            swarm_sync::Side::Remote => concat!($before, "remote", $after),
        }
    };
}
pub(crate) use of_side;

/// Makes every path one of which both sides agreed on nothing.
pub(crate) fn forget_base(db: &Connection) -> Result<(), Fault> {
    db.execute("DELETE FROM base", [])?;
    db.execute("INSERT OR IGNORE INTO meta (key, value) VALUES (?1, '')", [ALL_OPEN])?;
    Ok(())
}

/// The trees in a transaction.
pub(crate) struct Trees<'a> {
    db: &'a Connection,
    all_open: bool,
}

impl<'a> Trees<'a> {
    pub(crate) fn new(db: &'a Connection) -> Result<Self, Fault> {
        Ok(Self { db, all_open: is_all_open(db)? })
    }

    /// From the first entry of a side on, every path is open, until differences are asked for.
    pub(crate) fn expect_load(&mut self, side: Side) -> Result<(), Fault> {
        if !self.all_open && is_empty(self.db, of_side!(side, "SELECT NOT EXISTS (SELECT 1 FROM ", ")"))? {
            self.db
                .prepare_cached("INSERT OR IGNORE INTO meta (key, value) VALUES (?1, '')")?
                .execute([ALL_OPEN])?;
            self.all_open = true;
        }
        Ok(())
    }

    pub(crate) fn observe(&self, side: Side, seen: &Observation) -> Result<(), Fault> {
        let key = key_of(&seen.path);
        let changed = match &seen.entry {
            Some(entry) => self.put(side, &key, entry)?,
            None => {
                let sql = of_side!(side, "DELETE FROM ", " WHERE path = ?1");
                self.db.prepare_cached(sql)?.execute([&key])?
            }
        };
        if changed == 0 { Ok(()) } else { self.open(&key) }
    }

    /// Renames what is known at and below a path; what was known at and below the new one is gone.
    pub(crate) fn move_all(&self, side: Side, from: &TreePath, to: &TreePath) -> Result<(), Fault> {
        let (from, to) = (key_of(from), key_of(to));
        let below = |key: &[u8]| (key.to_vec(), end_of(key));
        self.db.execute_batch(MOVING)?;
        let sql = of_side!(side, "INSERT INTO moving SELECT * FROM ", " WHERE path >= ?1 AND path < ?2");
        self.db.prepare_cached(sql)?.execute(below(&from))?;
        for place in [&from, &to] {
            if !self.all_open {
                let sql = of_side!(
                    side,
                    "INSERT OR IGNORE INTO open SELECT path FROM ",
                    " WHERE path >= ?1 AND path < ?2"
                );
                self.db.prepare_cached(sql)?.execute(below(place))?;
            }
            let sql = of_side!(side, "DELETE FROM ", " WHERE path >= ?1 AND path < ?2");
            self.db.prepare_cached(sql)?.execute(below(place))?;
        }
        self.db
            .prepare_cached("UPDATE moving SET path = CAST(?1 || substr(path, ?2) AS BLOB)")?
            .execute(params![to, from.len() + 1])?;
        let longest = "SELECT coalesce(max(length(path)), 0) FROM moving";
        let longest: usize = self.db.prepare_cached(longest)?.query_row([], |row| row.get(0))?;
        if longest > PATH_LEN_MAX {
            return Err(Fault::PathTooLong);
        }
        let sql = of_side!(side, "INSERT INTO ", " SELECT * FROM moving ORDER BY path");
        self.db.prepare_cached(sql)?.execute([])?;
        if !self.all_open {
            self.db.prepare_cached("INSERT OR IGNORE INTO open SELECT path FROM moving")?.execute([])?;
        }
        self.db.prepare_cached("DELETE FROM moving")?.execute([])?;
        Ok(())
    }

    /// Makes the base what both sides have at a path, if they have the same.
    pub(crate) fn agree(&self, path: &TreePath) -> Result<(), Fault> {
        let key = key_of(path);
        let agreed = self.db.prepare_cached(AGREE)?.execute([&key])?;
        if agreed == 0 {
            self.db.prepare_cached(AGREE_ON_NOTHING)?.execute([&key])?;
        }
        let sql = if agreed == 0 { CLOSE_IF_NOTHING } else { CLOSE };
        self.db.prepare_cached(sql)?.execute([&key])?;
        Ok(())
    }

    /// Gives entries of the base other paths or takes them out, all at once: two may change places.
    pub(crate) fn rebase(&self, entries: &[Rebase]) -> Result<(), Fault> {
        let mut moved = Vec::new();
        for Rebase { from, to } in entries {
            if let Some(entry) = base(self.db, from)? {
                let key = key_of(from);
                self.db.prepare_cached("DELETE FROM base WHERE path = ?1")?.execute([&key])?;
                self.open(&key)?;
                moved.extend(to.as_ref().map(|to| (key_of(to), entry)));
            }
        }
        for (key, entry) in moved {
            self.put_base(&key, &entry)?;
            self.open(&key)?;
        }
        Ok(())
    }

    /// Makes the base of a path this, whatever both sides have.
    pub(crate) fn set_base(&self, path: &TreePath, entry: Option<&BaseEntry>) -> Result<(), Fault> {
        let key = key_of(path);
        match entry {
            Some(entry) => self.put_base(&key, entry)?,
            None => {
                self.db.prepare_cached("DELETE FROM base WHERE path = ?1")?.execute([&key])?;
            }
        }
        self.open(&key)
    }

    fn put_base(&self, key: &[u8], entry: &BaseEntry) -> Result<(), Fault> {
        let KindColumns { kind, len, content } = KindColumns::of(&entry.kind);
        let id = |side: Side| entry.ids.of(side).map(|id| (id.device.cast_signed(), id.inode.cast_signed()));
        let (local, remote) = (id(Side::Local), id(Side::Remote));
        let row = params![
            key,
            kind,
            len,
            content,
            entry.modified_ns,
            local.map(|id| id.0),
            local.map(|id| id.1),
            remote.map(|id| id.0),
            remote.map(|id| id.1)
        ];
        let sql = "INSERT OR REPLACE INTO base (path, kind, len, content, modified_ns, local_device, local_inode, remote_device, remote_inode)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        self.db.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }

    /// Writes an entry; nothing is written, and zero returned, if the same stands there.
    fn put(&self, side: Side, key: &[u8], entry: &Entry) -> Result<usize, Fault> {
        let KindColumns { kind, len, content } = KindColumns::of(&entry.kind);
        let device = entry.stamp.id.map(|id| id.device.cast_signed());
        let inode = entry.stamp.id.map(|id| id.inode.cast_signed());
        let sql = of_side!(
            side,
            "INSERT INTO ",
            " (path, kind, len, content, modified_ns, device, inode, changed_ns)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
            ON CONFLICT (path) DO UPDATE SET kind = ?2, len = ?3, content = ?4,
                modified_ns = ?5, device = ?6, inode = ?7, changed_ns = ?8
            WHERE kind IS NOT ?2 OR len IS NOT ?3 OR content IS NOT ?4
                OR modified_ns IS NOT ?5 OR device IS NOT ?6 OR inode IS NOT ?7 OR changed_ns IS NOT ?8"
        );
        let row = params![key, kind, len, content, entry.modified_ns, device, inode, entry.stamp.changed_ns];
        Ok(self.db.prepare_cached(sql)?.execute(row)?)
    }

    fn open(&self, key: &[u8]) -> Result<(), Fault> {
        if !self.all_open {
            self.db.prepare_cached("INSERT OR IGNORE INTO open (path) VALUES (?1)")?.execute([key])?;
        }
        Ok(())
    }
}

/// Whether every path counts as open.
pub(crate) fn is_all_open(db: &Connection) -> Result<bool, Fault> {
    let mut found = db.prepare_cached("SELECT EXISTS (SELECT 1 FROM meta WHERE key = ?1)")?;
    Ok(found.query_row([ALL_OPEN], |row| row.get(0))?)
}

/// The answer of a statement that asks whether a table is empty.
pub(crate) fn is_empty(db: &Connection, sql: &str) -> Result<bool, Fault> {
    Ok(db.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// What is known of a side at a path.
pub(crate) fn entry(db: &Connection, side: Side, path: &TreePath) -> Result<Option<Entry>, Fault> {
    let sql = of_side!(
        side,
        "SELECT kind, len, content, modified_ns, device, inode, changed_ns FROM ",
        " WHERE path = ?1"
    );
    let mut found = db.prepare_cached(sql)?;
    let entry = found.query_row([key_of(path)], |row| Ok(entry_at(row, 0))).optional()?;
    entry.transpose().map(Option::flatten)
}

/// What both agreed on at a path.
pub(crate) fn base(db: &Connection, path: &TreePath) -> Result<Option<BaseEntry>, Fault> {
    let mut found = db.prepare_cached(
        "SELECT kind, len, content, modified_ns, local_device, local_inode, remote_device, remote_inode
        FROM base WHERE path = ?1",
    )?;
    let entry = found.query_row([key_of(path)], |row| Ok(base_at(row, 0))).optional()?;
    entry.transpose().map(Option::flatten)
}

/// Rows of a side on their way to another path. They may be as many as a side has: the table is a file, if it must.
const MOVING: &str = "CREATE TEMP TABLE IF NOT EXISTS moving (
    path BLOB NOT NULL, kind INTEGER NOT NULL, len INTEGER, content BLOB,
    modified_ns INTEGER NOT NULL, device INTEGER, inode INTEGER, changed_ns INTEGER NOT NULL
)";

const AGREE_ON_NOTHING: &str = "DELETE FROM base WHERE path = ?1
    AND NOT EXISTS (SELECT 1 FROM local WHERE path = ?1)
    AND NOT EXISTS (SELECT 1 FROM remote WHERE path = ?1)";

const CLOSE: &str = "DELETE FROM open WHERE path = ?1";

const CLOSE_IF_NOTHING: &str = "DELETE FROM open WHERE path = ?1
    AND NOT EXISTS (SELECT 1 FROM local WHERE path = ?1)
    AND NOT EXISTS (SELECT 1 FROM remote WHERE path = ?1)";
