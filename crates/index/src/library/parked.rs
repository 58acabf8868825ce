//! Paths whose contents are on their way. A parked path is not open, so a plan does not see it: half a million files that are still to come
//! are not read anew for each file that came.

use rusqlite::params;
use swarm_sync::{ContentHash, TreePath};

use super::LibraryBook;
use crate::IndexError;
use crate::error::Fault;
use crate::row::{hash_of, key_of, path_of};

impl LibraryBook {
    /// Leaves paths out of plans until their contents are here.
    pub fn park(&mut self, paths: &[(TreePath, ContentHash)]) -> Result<(), IndexError> {
        self.write(|db| {
            let mut close = db.prepare_cached("DELETE FROM open WHERE path = ?1")?;
            let mut park =
                db.prepare_cached("INSERT OR REPLACE INTO parked (path, content) VALUES (?1, ?2)")?;
            for (path, hash) in paths {
                let key = key_of(path);
                close.execute([&key])?;
                park.execute(params![key, hash.0])?;
            }
            Ok(())
        })
    }

    /// Takes the paths of these contents into plans again. Returns how many there are.
    pub fn unpark(&mut self, hashes: &[ContentHash]) -> Result<usize, IndexError> {
        self.write(|db| {
            let mut open =
                db.prepare_cached("INSERT OR IGNORE INTO open SELECT path FROM parked WHERE content = ?1")?;
            let mut gone = db.prepare_cached("DELETE FROM parked WHERE content = ?1")?;
            let mut count = 0;
            for hash in hashes {
                open.execute([&hash.0])?;
                count += gone.execute([&hash.0])?;
            }
            Ok(count)
        })
    }

    /// Takes all paths into plans again: at a start, and when a selection changed.
    pub fn unpark_all(&mut self) -> Result<usize, IndexError> {
        self.write(|db| {
            db.execute("INSERT OR IGNORE INTO open SELECT path FROM parked", [])?;
            Ok(db.execute("DELETE FROM parked", [])?)
        })
    }

    /// Contents that paths wait for, from `start` on, exclusive; each once.
    pub fn parked_contents(
        &self,
        start: Option<&ContentHash>,
        limit: usize,
    ) -> Result<Vec<ContentHash>, IndexError> {
        self.read(|db| {
            let sql = "SELECT DISTINCT content FROM parked WHERE content > ?1 ORDER BY content LIMIT ?2";
            let mut statement = db.prepare_cached(sql)?;
            let start = start.map_or(&[][..], |hash| &hash.0);
            let mut rows = statement.query(params![start, limit])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(hash_of(row.get_ref(0)?)?);
            }
            Ok(found)
        })
    }

    /// Paths that wait for a content, at most `limit`.
    pub fn parked_at(&self, hash: &ContentHash, limit: usize) -> Result<Vec<TreePath>, IndexError> {
        self.read(|db| {
            let mut statement = db.prepare_cached("SELECT path FROM parked WHERE content = ?1 LIMIT ?2")?;
            let mut rows = statement.query(params![hash.0, limit])?;
            let mut found: Vec<TreePath> = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(path_of(row.get_ref(0)?.as_blob()?)?);
            }
            Ok::<_, Fault>(found)
        })
    }
}
