//! Commits as they came. Invariant: those of an author are numbered without a gap, each names the one before it.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};
use swarm_core::base::{ContentId, NodeId};
use swarm_library::{Commit, CommitId};
use swarm_sync::ContentHash;

use super::LibraryBook;
use super::authors::{known_number_of, node_of, number_of};
use crate::IndexError;
use crate::error::Fault;

/// How a commit stands to what is known of its author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is the next one.
    Next,
    /// It is known.
    Known,
    /// Commits before it are missing.
    Gap,
    /// The author signed another one with this number, or with the number before it: it has two histories.
    Equivocation,
}

/// What is known of a commit without reading its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownCommit {
    /// Who signed it.
    pub author: NodeId,
    /// Its number.
    pub seq: u64,
    /// Its id.
    pub id: CommitId,
    /// The content that carries its files.
    pub content: Option<ContentId>,
    /// Milliseconds since 1970, by its author.
    pub made_at_ms: u64,
    /// Milliseconds since 1970, when it came here.
    pub seen_at_ms: u64,
    /// Whether its records were taken into the view, or are held.
    pub is_applied: bool,
}

impl LibraryBook {
    /// How a commit stands to what is known.
    pub fn place_of(&self, commit: &Commit) -> Result<Stored, IndexError> {
        self.read(|db| {
            let header = commit.header();
            let last = last_of(db, &header.author)?;
            let (last_seq, last_id) = last.map_or((0, None), |(seq, id)| (seq, Some(id)));
            if header.seq > last_seq + 1 {
                return Ok(Stored::Gap);
            }
            if header.seq == last_seq + 1 {
                return Ok(if header.previous == last_id { Stored::Next } else { Stored::Equivocation });
            }
            let known = id_of(db, &header.author, header.seq)?;
            Ok(if known == Some(commit.id()) { Stored::Known } else { Stored::Equivocation })
        })
    }

    /// The last commit of an author.
    pub fn last_of(&self, author: &NodeId) -> Result<Option<(u64, CommitId)>, IndexError> {
        self.read(|db| last_of(db, author))
    }

    /// The last commit of each author.
    pub fn frontier(&self) -> Result<Vec<(NodeId, u64, CommitId)>, IndexError> {
        self.read(|db| {
            // Not the greatest number of each group: that reads all commits.
            let sql =
                "SELECT authors.node, commits.seq, commits.id FROM authors JOIN commits ON commits.rowid =
                (SELECT rowid FROM commits WHERE author = authors.number ORDER BY seq DESC LIMIT 1)";
            let mut statement = db.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let node = NodeId::from_slice(row.get_ref(0)?.as_blob()?).ok_or(BAD_KEY)?;
                found.push((node, row.get::<_, i64>(1)?.cast_unsigned(), CommitId(row.get(2)?)));
            }
            Ok(found)
        })
    }

    /// The bytes of a commit.
    pub fn commit(&self, author: &NodeId, seq: u64) -> Result<Option<Bytes>, IndexError> {
        self.read(|db| Ok(bytes_of(db, author, seq)?.map(Bytes::from)))
    }

    /// The bytes of a commit with this id.
    pub fn commit_by_id(&self, id: &CommitId) -> Result<Option<Bytes>, IndexError> {
        self.read(|db| {
            let mut found = db.prepare_cached("SELECT bytes FROM commits WHERE id = ?1")?;
            let bytes: Option<Vec<u8>> = found.query_row([&id.0], |row| row.get(0)).optional()?;
            Ok(bytes.map(Bytes::from))
        })
    }

    /// The bytes of the commit whose files this content carries.
    pub fn commit_of_content(&self, content: &ContentId) -> Result<Option<Bytes>, IndexError> {
        self.read(|db| {
            let mut found = db.prepare_cached("SELECT bytes FROM commits WHERE content = ?1 LIMIT 1")?;
            let bytes: Option<Vec<u8>> =
                found.query_row([content.as_bytes()], |row| row.get(0)).optional()?;
            Ok(bytes.map(Bytes::from))
        })
    }

    /// Contents that carry a file with this hash, those of the latest commits first.
    pub fn carriers_of(&self, hash: &ContentHash) -> Result<Vec<ContentId>, IndexError> {
        self.read(|db| {
            let sql = "SELECT DISTINCT commits.content FROM heads
                JOIN commits ON commits.author = heads.author AND commits.seq = heads.seq
                WHERE heads.content = ?1 AND commits.content IS NOT NULL ORDER BY heads.seq DESC LIMIT 16";
            let mut statement = db.prepare_cached(sql)?;
            let mut rows = statement.query([&hash.0])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(ContentId::from_slice(row.get_ref(0)?.as_blob()?).ok_or(BAD_KEY)?);
            }
            Ok(found)
        })
    }

    /// Commits of an author that were only carried so far, in their order.
    pub fn carried_of(&self, author: &NodeId) -> Result<Vec<u64>, IndexError> {
        self.read(|db| {
            let Some(author) = known_number_of(db, author)? else { return Ok(Vec::new()) };
            let sql = "SELECT seq FROM commits WHERE author = ?1 AND is_applied = 0 ORDER BY seq";
            let mut statement = db.prepare_cached(sql)?;
            let rows = statement.query_map([author], |row| row.get::<_, i64>(0))?;
            Ok(rows.map(|seq| seq.map(i64::cast_unsigned)).collect::<Result<_, _>>()?)
        })
    }

    /// Whose commits were only carried so far, and how many.
    pub fn carried(&self) -> Result<Vec<(NodeId, u64)>, IndexError> {
        self.read(|db| {
            let sql = "SELECT author, count(*) FROM commits WHERE is_applied = 0 GROUP BY author";
            let mut statement = db.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push((node_of(db, row.get(0)?)?, row.get::<_, i64>(1)?.cast_unsigned()));
            }
            Ok(found)
        })
    }

    /// Bytes of the commits of each author that were only carried so far.
    pub fn carried_lens(&self) -> Result<Vec<(NodeId, u64)>, IndexError> {
        self.read(|db| {
            let sql = "SELECT authors.node, sum(length(commits.bytes)) FROM commits
                JOIN authors ON authors.number = commits.author WHERE is_applied = 0 GROUP BY commits.author";
            let mut statement = db.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let node = NodeId::from_slice(row.get_ref(0)?.as_blob()?).ok_or(BAD_KEY)?;
                found.push((node, row.get::<_, i64>(1)?.cast_unsigned()));
            }
            Ok(found)
        })
    }

    /// The commits that came last, the latest first.
    pub fn log(&self, limit: usize) -> Result<Vec<KnownCommit>, IndexError> {
        self.read(|db| {
            let sql = "SELECT author, seq, id, content, made_at_ms, seen_at_ms, is_applied FROM commits
                ORDER BY rowid DESC LIMIT ?1";
            let mut statement = db.prepare_cached(sql)?;
            let mut rows = statement.query([limit])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let content = row.get_ref(3)?.as_blob_or_null()?.and_then(ContentId::from_slice);
                found.push(KnownCommit {
                    author: node_of(db, row.get(0)?)?,
                    seq: row.get::<_, i64>(1)?.cast_unsigned(),
                    id: CommitId(row.get(2)?),
                    content,
                    made_at_ms: row.get::<_, i64>(4)?.cast_unsigned(),
                    seen_at_ms: row.get::<_, i64>(5)?.cast_unsigned(),
                    is_applied: row.get(6)?,
                });
            }
            Ok(found)
        })
    }
}

pub(super) fn insert(db: &Connection, commit: &Commit, is_applied: bool, now_ms: u64) -> Result<(), Fault> {
    let (header, encoded) = (commit.header(), commit.encode());
    let row = params![
        number_of(db, &header.author)?,
        header.seq.cast_signed(),
        commit.id().0,
        header.content.as_ref().map(ContentId::as_bytes),
        header.made_at_ms.cast_signed(),
        now_ms.cast_signed(),
        is_applied,
        encoded.as_ref()
    ];
    let sql = "INSERT INTO commits (author, seq, id, content, made_at_ms, seen_at_ms, is_applied, bytes)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    db.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

pub(super) fn mark_applied(db: &Connection, commit: &Commit) -> Result<(), Fault> {
    let header = commit.header();
    let row = params![number_of(db, &header.author)?, header.seq.cast_signed()];
    db.prepare_cached("UPDATE commits SET is_applied = 1 WHERE author = ?1 AND seq = ?2")?.execute(row)?;
    Ok(())
}

pub(super) fn bytes_of(db: &Connection, author: &NodeId, seq: u64) -> Result<Option<Vec<u8>>, Fault> {
    let Some(author) = known_number_of(db, author)? else { return Ok(None) };
    let mut found = db.prepare_cached("SELECT bytes FROM commits WHERE author = ?1 AND seq = ?2")?;
    Ok(found.query_row(params![author, seq.cast_signed()], |row| row.get(0)).optional()?)
}

pub(super) fn last_of(db: &Connection, author: &NodeId) -> Result<Option<(u64, CommitId)>, Fault> {
    let Some(author) = known_number_of(db, author)? else { return Ok(None) };
    let sql = "SELECT seq, id FROM commits WHERE author = ?1 ORDER BY seq DESC LIMIT 1";
    let mut found = db.prepare_cached(sql)?;
    let last =
        found.query_row([author], |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), CommitId(row.get(1)?))));
    Ok(last.optional()?)
}

fn id_of(db: &Connection, author: &NodeId, seq: u64) -> Result<Option<CommitId>, Fault> {
    let Some(author) = known_number_of(db, author)? else { return Ok(None) };
    let mut found = db.prepare_cached("SELECT id FROM commits WHERE author = ?1 AND seq = ?2")?;
    let id = found.query_row(params![author, seq.cast_signed()], |row| row.get(0)).optional()?;
    Ok(id.map(CommitId))
}

const BAD_KEY: Fault = Fault::Damaged("a key has another length");
