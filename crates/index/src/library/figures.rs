//! How far this node is with a library.

use std::collections::BTreeSet;

use swarm_sync::TreePath;

use super::LibraryBook;
use crate::IndexError;
use crate::row::{end_of, key_of};

/// Sums over the view. Bytes and files count regular files alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ViewFigures {
    /// Files of the view.
    pub files: u64,
    /// Their bytes.
    pub len: u64,
    /// Files that are not here, or with other bytes.
    pub files_lacking: u64,
    /// Their bytes.
    pub lacking_len: u64,
    /// Entries here that the view has no longer.
    pub deletions_to_do: u64,
    /// Paths at which versions exclude each other.
    pub disputed: u64,
}

impl LibraryBook {
    /// The sums now. Takes some 50 ms for half a million files.
    pub fn figures(&self) -> Result<ViewFigures, IndexError> {
        self.read(|db| {
            let pair = |sql: &str| -> Result<(u64, u64), crate::error::Fault> {
                Ok(db.prepare_cached(sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?)
            };
            let (files, len) = pair(ALL)?;
            let (files_lacking, lacking_len) = pair(LACKING)?;
            let (deletions_to_do, _) = pair(TO_DELETE)?;
            let (disputed, _) = pair(DISPUTED)?;
            Ok(ViewFigures { files, len, files_lacking, lacking_len, deletions_to_do, disputed })
        })
    }
}

/// What is left to do at some places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftToDo {
    /// Files that are not here, or with other bytes.
    pub files: u64,
    /// Their bytes.
    pub len: u64,
    /// Entries here that the view has no longer.
    pub deletions: u64,
}

impl LibraryBook {
    /// What is left to do at and below these places, each path once.
    pub fn left_to_do_at(&self, places: &BTreeSet<TreePath>) -> Result<LeftToDo, IndexError> {
        self.read(|db| {
            let mut left = LeftToDo::default();
            let mut counted: Option<&TreePath> = None;
            for place in places {
                if counted.is_some_and(|counted| place.is_below(counted)) {
                    continue;
                }
                counted = Some(place);
                let key = key_of(place);
                let range = (&key, end_of(&key));
                let files: (u64, u64) = db
                    .prepare_cached(LACKING_AT)?
                    .query_row((range.0, &range.1), |row| Ok((row.get(0)?, row.get(1)?)))?;
                let deletions: u64 =
                    db.prepare_cached(TO_DELETE_AT)?.query_row((range.0, &range.1), |row| row.get(0))?;
                left.files += files.0;
                left.len += files.1;
                left.deletions += deletions;
            }
            Ok(left)
        })
    }
}

const LACKING_AT: &str = "SELECT count(*), coalesce(sum(remote.len), 0)
    FROM remote LEFT JOIN local ON local.path = remote.path
    WHERE remote.path >= ?1 AND remote.path < ?2 AND remote.kind IN (1, 2) AND remote.content IS NOT local.content";
const TO_DELETE_AT: &str = "SELECT count(*) FROM local
    JOIN base ON base.path = local.path LEFT JOIN remote ON remote.path = local.path
    WHERE local.path >= ?1 AND local.path < ?2 AND remote.path IS NULL";
const ALL: &str = "SELECT count(*), coalesce(sum(len), 0) FROM heads WHERE is_winner = 1 AND kind IN (1, 2)";
/// Only open paths are looked at: at all others, both sides have the same.
const LACKING: &str = "SELECT count(*), coalesce(sum(remote.len), 0)
    FROM (
        SELECT path FROM open UNION ALL SELECT path FROM parked
        UNION ALL SELECT path FROM later WHERE NOT EXISTS (SELECT 1 FROM open WHERE open.path = later.path)
    ) AS open
    JOIN remote ON remote.path = open.path LEFT JOIN local ON local.path = open.path
    WHERE remote.kind IN (1, 2) AND remote.content IS NOT local.content";
const TO_DELETE: &str = "SELECT count(*), 0 FROM open
    JOIN base ON base.path = open.path JOIN local ON local.path = open.path LEFT JOIN remote ON remote.path = open.path
    WHERE remote.path IS NULL";
/// The same made twice is no dispute.
const DISPUTED: &str =
    "SELECT count(DISTINCT lost.path), 0 FROM heads AS lost JOIN heads AS won ON won.path = lost.path
    WHERE lost.is_winner = 0 AND won.is_winner = 1
        AND (lost.kind IS NOT won.kind OR lost.content IS NOT won.content)";
