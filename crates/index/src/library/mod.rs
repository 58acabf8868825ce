//! What a node remembers of a library, in the same file as the trees: commits as they came, the versions of each path that hold, what waits
//! for votes, digests of contents. The view is the remote tree: a version that begins to hold changes its row in the same transaction.
//!
//! Invariant: the row of a path in the remote tree is the winner among its heads, or what a run of this node made of it meanwhile and the
//! heads hold back. Absent here: who is trusted and what is held (`swarm-library` decides, the caller passes it in), and the network.

mod authors;
mod browsing;
mod commits;
mod digests;
mod figures;
mod heads;
mod hidden;
mod later;
mod parked;
mod proposals;
mod rot;
mod sealed;
mod take;
mod whiteouts;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};

use crate::error::Fault;
use crate::limits::BOOK_CACHE_KIB;
use crate::{IndexError, schema};

pub use browsing::Page;
pub use commits::{KnownCommit, Stored};
pub use digests::Digest;
pub use figures::{LeftToDo, ViewFigures};
pub use heads::ViewEntry;
pub use proposals::{HeldRecord, KnownProposal, ProposalEnd};
pub use take::{Acceptance, Taken};

/// A connection to the memory of a library. Several may be open; one at a time writes.
#[derive(Debug)]
pub struct LibraryBook {
    db: Connection,
    path: PathBuf,
    is_in_batch: bool,
}

impl LibraryBook {
    /// Opens the memory of a library in this file; makes it if it is not there.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let db = schema::open(path, BOOK_CACHE_KIB)?;
        let made = db.execute_batch(TABLES).map_err(|error| Fault::from(error).at(path));
        made.map(|()| Self { db, path: path.into(), is_in_batch: false })
    }

    /// Looks many things up in one transaction: to begin and to end one takes as long as a look. The log cannot be emptied meanwhile.
    pub fn in_one_look<T>(&self, look: impl FnOnce(&Self) -> T) -> Result<T, IndexError> {
        if self.is_in_batch {
            return Ok(look(self));
        }
        self.read(|db| Ok(db.execute_batch("BEGIN")?))?;
        let looked = look(self);
        self.end_transaction()?;
        Ok(looked)
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, IndexError> {
        read(&self.db).map_err(|fault| fault.at(&self.path))
    }

    fn write<T>(&mut self, write: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, IndexError> {
        // After a grave error the system took the batch back: then its end tells so.
        let is_in_batch = self.is_in_batch && !self.db.is_autocommit();
        let perform = || -> Result<T, Fault> {
            if is_in_batch {
                let savepoint = self.db.savepoint()?;
                let written = write(&savepoint)?;
                savepoint.commit()?;
                return Ok(written);
            }
            let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let written = write(&transaction)?;
            transaction.commit()?;
            Ok(written)
        };
        perform().map_err(|fault| fault.at(&self.path))
    }

    /// Makes all that is written until [`Self::end_batch`] one transaction: each of its own would write the same pages again and again. What fails
    /// of it leaves nothing, and all else stays. Other connections see it at the end, and cannot write until then.
    pub fn begin_batch(&mut self) -> Result<(), IndexError> {
        if !self.is_in_batch {
            self.read(|db| Ok(db.execute_batch("BEGIN IMMEDIATE")?))?;
            self.is_in_batch = true;
        }
        Ok(())
    }

    /// Ends a batch, if there is one.
    ///
    /// # Errors
    /// If it cannot be written, or a disk that is full took it back before: what was written in it may be gone then, all of it.
    pub fn end_batch(&mut self) -> Result<(), IndexError> {
        if std::mem::take(&mut self.is_in_batch) { self.end_transaction() } else { Ok(()) }
    }

    fn end_transaction(&self) -> Result<(), IndexError> {
        self.read(|db| {
            db.execute_batch("COMMIT").map_err(|error| {
                // Where the system took it back already, this fails, too.
                let _ = db.execute_batch("ROLLBACK");
                error.into()
            })
        })
    }
}

/// `heads.kind` is NULL for a deletion. `is_winner` is 1 for one head of each path. `held` are records that wait for votes,
/// `dropped` those of proposals that came to nothing, so far as is known.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS authors (number INTEGER PRIMARY KEY, node BLOB NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS commits (
    author INTEGER NOT NULL, seq INTEGER NOT NULL, id BLOB NOT NULL, content BLOB, made_at_ms INTEGER NOT NULL,
    seen_at_ms INTEGER NOT NULL, is_applied INTEGER NOT NULL, bytes BLOB NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS commits_author ON commits (author, seq);
CREATE INDEX IF NOT EXISTS commits_content ON commits (content) WHERE content IS NOT NULL;
CREATE INDEX IF NOT EXISTS commits_carried ON commits (author, seq) WHERE is_applied = 0;
CREATE TABLE IF NOT EXISTS heads (
    path BLOB NOT NULL, author INTEGER NOT NULL, seq INTEGER NOT NULL, place INTEGER NOT NULL, is_winner INTEGER NOT NULL,
    kind INTEGER, len INTEGER, content BLOB, modified_ns INTEGER NOT NULL, sha256 BLOB, vector BLOB NOT NULL, parent BLOB,
    PRIMARY KEY (path, author, seq, place)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS heads_content ON heads (content, seq) WHERE content IS NOT NULL;
CREATE INDEX IF NOT EXISTS local_content ON local (content) WHERE kind IN (1, 2);
CREATE TABLE IF NOT EXISTS proposals (
    id BLOB PRIMARY KEY NOT NULL, author INTEGER NOT NULL, seq INTEGER NOT NULL, records_hash BLOB NOT NULL, votes INTEGER NOT NULL,
    seen_at_ms INTEGER NOT NULL, ended INTEGER, ended_at_ms INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held (
    author INTEGER NOT NULL, seq INTEGER NOT NULL, place INTEGER NOT NULL, path BLOB NOT NULL, is_deletion INTEGER NOT NULL,
    PRIMARY KEY (author, seq, place)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS held_path ON held (path);
CREATE TABLE IF NOT EXISTS dropped (author INTEGER NOT NULL, seq INTEGER NOT NULL, place INTEGER NOT NULL, PRIMARY KEY (author, seq, place)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS votes (id BLOB NOT NULL, voter BLOB NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (id, voter, bytes)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parked (path BLOB PRIMARY KEY NOT NULL, content BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS parked_content ON parked (content);
CREATE TABLE IF NOT EXISTS later (path BLOB PRIMARY KEY NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS whiteouts (path BLOB PRIMARY KEY NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hidden (
    path BLOB PRIMARY KEY NOT NULL, kind INTEGER NOT NULL, len INTEGER, content BLOB,
    modified_ns INTEGER NOT NULL, device INTEGER, inode INTEGER, changed_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS heads_lost ON heads (path) WHERE is_winner = 0;
CREATE TABLE IF NOT EXISTS digests (content BLOB PRIMARY KEY NOT NULL, sha256 BLOB, chunks BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS grants (id BLOB PRIMARY KEY NOT NULL, granter BLOB NOT NULL, bytes BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sealed (key BLOB NOT NULL, content BLOB NOT NULL, chunks BLOB NOT NULL, PRIMARY KEY (key, content)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS manifests (content BLOB PRIMARY KEY NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS mirrored (content BLOB PRIMARY KEY NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS flags (
    content BLOB NOT NULL, path BLOB NOT NULL, source BLOB, times INTEGER NOT NULL, PRIMARY KEY (content, path)
) WITHOUT ROWID;
";
