//! Paths at which read-only mounts show nothing.

use swarm_sync::TreePath;

use super::LibraryBook;
use crate::IndexError;
use crate::row::{key_of, path_of};

impl LibraryBook {
    /// All whiteouts, in path order.
    pub fn whiteouts(&self) -> Result<Vec<TreePath>, IndexError> {
        self.read(|db| {
            let mut statement = db.prepare_cached("SELECT path FROM whiteouts ORDER BY path")?;
            let mut rows = statement.query([])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(path_of(row.get_ref(0)?.as_blob()?)?);
            }
            Ok(found)
        })
    }

    /// Adds whiteouts, or removes them.
    pub fn set_whiteouts(&mut self, paths: &[TreePath], is_there: bool) -> Result<(), IndexError> {
        self.write(|db| {
            let sql = if is_there {
                "INSERT OR IGNORE INTO whiteouts (path) VALUES (?1)"
            } else {
                "DELETE FROM whiteouts WHERE path = ?1"
            };
            let mut statement = db.prepare_cached(sql)?;
            for path in paths {
                statement.execute([key_of(path)])?;
            }
            Ok(())
        })
    }

    /// Paths at which versions exclude each other, in path order, at most `limit`.
    pub fn disputed(&self, limit: usize) -> Result<Vec<TreePath>, IndexError> {
        self.read(|db| {
            let sql = "SELECT DISTINCT lost.path FROM heads AS lost JOIN heads AS won ON won.path = lost.path
                WHERE lost.is_winner = 0 AND won.is_winner = 1
                    AND (lost.kind IS NOT won.kind OR lost.content IS NOT won.content)
                ORDER BY lost.path LIMIT ?1";
            let mut statement = db.prepare_cached(sql)?;
            let mut rows = statement.query([limit])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(path_of(row.get_ref(0)?.as_blob()?)?);
            }
            Ok(found)
        })
    }
}
