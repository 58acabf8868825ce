//! What read-only mounts have where something hides or shadows it, as it was when that began.

use rusqlite::{OptionalExtension as _, params};
use swarm_sync::{BaseEntry, Entry, TreePath};

use super::LibraryBook;
use crate::IndexError;
use crate::error::Fault;
use crate::row::{END, KindColumns, end_of, entry_at, key_of, path_of};
use crate::trees::{self, Trees};

impl LibraryBook {
    /// Remembers what is hidden, in place of what was remembered.
    pub fn put_hidden(&mut self, hidden: &[(TreePath, Entry)]) -> Result<(), IndexError> {
        self.write(|db| {
            let sql = "INSERT OR REPLACE INTO hidden (path, kind, len, content, modified_ns, device, inode, changed_ns)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
            let mut put = db.prepare_cached(sql)?;
            for (path, entry) in hidden {
                let KindColumns { kind, len, content } = KindColumns::of(&entry.kind);
                let id = entry.stamp.id.map(|id| (id.device.cast_signed(), id.inode.cast_signed()));
                let (device, inode) = (id.map(|id| id.0), id.map(|id| id.1));
                let changed_ns = entry.stamp.changed_ns;
                put.execute(params![
                    key_of(path), kind, len, content, entry.modified_ns, device, inode, changed_ns
                ])?;
            }
            Ok(())
        })
    }

    /// Forgets what was hidden at these paths.
    pub fn forget_hidden(&mut self, paths: &[TreePath]) -> Result<(), IndexError> {
        self.write(|db| {
            let mut forget = db.prepare_cached("DELETE FROM hidden WHERE path = ?1")?;
            for path in paths {
                forget.execute([key_of(path)])?;
            }
            Ok(())
        })
    }

    /// What is hidden at `place` and below, or everywhere, in path order.
    pub fn hidden(&self, place: Option<&TreePath>) -> Result<Vec<(TreePath, Entry)>, IndexError> {
        self.read(|db| {
            let (start, end) = place.map(key_of).map_or_else(
                || (Vec::new(), END.to_vec()),
                |key| {
                    let end = end_of(&key);
                    (key, end)
                },
            );
            let sql = "SELECT path, kind, len, content, modified_ns, device, inode, changed_ns
                FROM hidden WHERE path >= ?1 AND path < ?2 ORDER BY path";
            let mut statement = db.prepare_cached(sql)?;
            let mut rows = statement.query(params![start, end])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let entry = entry_at(row, 1)?.ok_or(Fault::Damaged("a hidden file has no kind"))?;
                found.push((path_of(row.get_ref(0)?.as_blob()?)?, entry));
            }
            Ok(found)
        })
    }

    /// Whether anything is remembered of what is hidden at exactly this path.
    pub fn is_hidden_known(&self, path: &TreePath) -> Result<bool, IndexError> {
        self.read(|db| {
            let mut statement = db.prepare_cached("SELECT 1 FROM hidden WHERE path = ?1")?;
            Ok(statement.query_row([key_of(path)], |_| Ok(())).optional()?.is_some())
        })
    }

    /// Makes this what both sides had last at a path, whatever stands there now. Returns what that was before.
    pub fn set_agreed(
        &mut self,
        path: &TreePath,
        entry: Option<&BaseEntry>,
    ) -> Result<Option<BaseEntry>, IndexError> {
        self.write(|db| {
            let before = trees::base(db, path)?;
            Trees::new(db)?.set_base(path, entry)?;
            Ok(before)
        })
    }
}
