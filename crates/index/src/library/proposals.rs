//! Records that wait for votes, and the votes.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};
use swarm_core::base::NodeId;
use swarm_library::{Commit, CommitId, LibraryKey, Policy, Proposal, Record, Subject};
use swarm_sync::TreePath;

use super::LibraryBook;
use super::authors::{known_number_of, node_of, number_of};
use crate::IndexError;
use crate::error::Fault;
use crate::row::{key_of, path_of};

/// How a proposal ended on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProposalEnd {
    /// Enough votes came: its records hold.
    Approved,
    /// Somebody refused it.
    Refused,
    /// It waited too long.
    Expired,
    /// Its author took it back.
    Withdrawn,
    /// What it is about has changed since, or is done already: nothing is left to approve.
    Superseded,
}

impl ProposalEnd {
    /// Every end there is.
    pub const ALL: [Self; 5] =
        [Self::Approved, Self::Refused, Self::Expired, Self::Withdrawn, Self::Superseded];

    /// Its name for programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Superseded => "superseded",
        }
    }
}

/// A commit of which records wait, or waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownProposal {
    /// The commit.
    pub id: CommitId,
    /// Its author.
    pub author: NodeId,
    /// Its number.
    pub seq: u64,
    /// BLAKE3 of its records: votes name it.
    pub records_hash: [u8; 32],
    /// Votes that it needs by the policy of this node.
    pub votes: u32,
    /// Milliseconds since 1970, when it was made by its author's clock.
    pub made_at_ms: u64,
    /// The same, when it came here.
    pub seen_at_ms: u64,
    /// How it ended, and when.
    pub ended: Option<(ProposalEnd, u64)>,
}

impl KnownProposal {
    /// What votes about it come to by this policy.
    pub fn proposal(&self, library: LibraryKey, policy: &Policy) -> Proposal {
        Proposal {
            subject: Subject { library, commit: self.id, records_hash: self.records_hash },
            author: self.author,
            needed: self.votes,
            refused_by_one: policy.refused_by_one,
            made_at_ms: self.made_at_ms,
            waits_ms: policy.waits_ms(),
        }
    }
}

/// A record that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRecord {
    /// Its place in the commit.
    pub place: u32,
    /// Its path.
    pub path: TreePath,
    /// Whether it deletes.
    pub is_deletion: bool,
}

impl LibraryBook {
    /// Proposals that wait, or all that are remembered; the oldest first.
    pub fn proposals(&self, with_ended: bool) -> Result<Vec<KnownProposal>, IndexError> {
        self.read(|db| {
            let sql =
                "SELECT proposals.id, author, seq, records_hash, votes, proposals.seen_at_ms, ended, ended_at_ms, made_at_ms
                FROM proposals LEFT JOIN commits USING (author, seq)
                WHERE ended IS NULL OR ?1 ORDER BY proposals.seen_at_ms, proposals.id";
            let mut statement = db.prepare_cached(sql)?;
            let mut rows = statement.query([with_ended])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let ended: Option<i64> = row.get(6)?;
                let ended_at_ms = row.get::<_, Option<i64>>(7)?.unwrap_or(0).cast_unsigned();
                let ended = ended.map(end_of).transpose()?.map(|end| (end, ended_at_ms));
                found.push(KnownProposal {
                    id: CommitId(row.get(0)?),
                    author: node_of(db, row.get(1)?)?,
                    seq: row.get::<_, i64>(2)?.cast_unsigned(),
                    records_hash: row.get(3)?,
                    votes: row.get(4)?,
                    made_at_ms: row.get::<_, Option<i64>>(8)?.unwrap_or(0).cast_unsigned(),
                    seen_at_ms: row.get::<_, i64>(5)?.cast_unsigned(),
                    ended,
                });
            }
            Ok(found)
        })
    }

    /// Records of a commit that wait, at most `limit`.
    pub fn held_of(&self, author: &NodeId, seq: u64, limit: usize) -> Result<Vec<HeldRecord>, IndexError> {
        self.read(|db| {
            let sql = "SELECT place, path, is_deletion FROM held
                WHERE author = ?1 AND seq = ?2 ORDER BY place LIMIT ?3";
            let mut statement = db.prepare_cached(sql)?;
            let mut rows = statement.query(params![number_of(db, author)?, seq.cast_signed(), limit])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let path = path_of(row.get_ref(1)?.as_blob()?)?;
                found.push(HeldRecord { place: row.get(0)?, path, is_deletion: row.get(2)? });
            }
            Ok(found)
        })
    }

    /// How many records of a commit wait, and how many of these are deletions.
    pub fn held_count(&self, author: &NodeId, seq: u64) -> Result<(u64, u64), IndexError> {
        self.read(|db| {
            let sql =
                "SELECT count(*), coalesce(sum(is_deletion), 0) FROM held WHERE author = ?1 AND seq = ?2";
            let found = params![number_of(db, author)?, seq.cast_signed()];
            Ok(db.prepare_cached(sql)?.query_row(found, |row| Ok((row.get(0)?, row.get(1)?)))?)
        })
    }

    /// How many changes of an author wait.
    pub fn held_of_author(&self, author: &NodeId) -> Result<u64, IndexError> {
        self.read(|db| {
            let Some(author) = known_number_of(db, author)? else { return Ok(0) };
            let mut found = db.prepare_cached("SELECT count(*) FROM held WHERE author = ?1")?;
            Ok(found.query_row([author], |row| row.get(0))?)
        })
    }

    /// The last change of `author` at a path that waits: the number of its commit, and its place there.
    pub fn held_at(&self, author: &NodeId, path: &TreePath) -> Result<Option<(u64, u32)>, IndexError> {
        self.read(|db| {
            let sql = "SELECT seq, place FROM held WHERE path = ?1 AND author = ?2 ORDER BY seq DESC LIMIT 1";
            let Some(author) = known_number_of(db, author)? else { return Ok(None) };
            let found = db.prepare_cached(sql)?.query_row(params![key_of(path), author], |row| {
                Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?))
            });
            Ok(found.optional()?)
        })
    }

    /// Whether any change of an author waits.
    pub fn has_held(&self, author: &NodeId) -> Result<bool, IndexError> {
        self.read(|db| has_held(db, author))
    }

    /// Whose changes at a path wait.
    pub fn holders_at(&self, path: &TreePath) -> Result<Vec<NodeId>, IndexError> {
        self.read(|db| {
            let mut statement = db.prepare_cached("SELECT DISTINCT author FROM held WHERE path = ?1")?;
            let mut rows = statement.query([key_of(path)])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(node_of(db, row.get(0)?)?);
            }
            Ok(found)
        })
    }

    /// Changes how many votes a proposal needs: the policy changed.
    pub fn set_needed_votes(&mut self, id: &CommitId, votes: u32) -> Result<(), IndexError> {
        self.write(|db| {
            db.prepare_cached("UPDATE proposals SET votes = ?2 WHERE id = ?1")?
                .execute(params![id.0, votes])?;
            Ok(())
        })
    }

    /// Remembers what is kept of a voter's votes about a commit, in place of what was.
    pub fn put_votes(&mut self, id: &CommitId, voter: &NodeId, votes: &[Bytes]) -> Result<(), IndexError> {
        self.write(|db| {
            db.prepare_cached("DELETE FROM votes WHERE id = ?1 AND voter = ?2")?
                .execute(params![id.0, voter.as_bytes()])?;
            let mut put = db.prepare_cached("INSERT INTO votes (id, voter, bytes) VALUES (?1, ?2, ?3)")?;
            for bytes in votes {
                put.execute(params![id.0, voter.as_bytes(), bytes.as_ref()])?;
            }
            Ok(())
        })
    }

    /// Votes about a commit, or all; at most `limit`.
    pub fn votes(&self, id: Option<&CommitId>, limit: usize) -> Result<Vec<Vec<u8>>, IndexError> {
        self.read(|db| {
            let sql = "SELECT bytes FROM votes WHERE ?1 IS NULL OR id = ?1 ORDER BY id, voter LIMIT ?2";
            let mut statement = db.prepare_cached(sql)?;
            let rows = statement.query_map(params![id.map(|id| id.0), limit], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

/// Notes that a record waits.
pub(super) fn hold(
    db: &Connection,
    commit: &Commit,
    place: u32,
    record: &Record,
    votes: u32,
    now_ms: u64,
) -> Result<(), Fault> {
    let header = commit.header();
    let (author, seq) = (number_of(db, &header.author)?, header.seq.cast_signed());
    let sql = "INSERT INTO proposals (id, author, seq, records_hash, votes, seen_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (id) DO UPDATE SET votes = max(votes, ?5)";
    let row = params![commit.id().0, author, seq, header.records_hash, votes, now_ms.cast_signed()];
    db.prepare_cached(sql)?.execute(row)?;
    let is_deletion = !record.state.is_live();
    let row = params![author, seq, place, key_of(&record.path), is_deletion];
    let sql =
        "INSERT OR REPLACE INTO held (author, seq, place, path, is_deletion) VALUES (?1, ?2, ?3, ?4, ?5)";
    db.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

/// The places of a commit's records that wait, or that waited until its proposal came to nothing; they do so no longer.
pub(super) fn take_held(db: &Connection, commit: &Commit) -> Result<Vec<u32>, Fault> {
    let header = commit.header();
    let row = params![number_of(db, &header.author)?, header.seq.cast_signed()];
    let places = {
        let sql = "SELECT place FROM held WHERE author = ?1 AND seq = ?2
            UNION SELECT place FROM dropped WHERE author = ?1 AND seq = ?2 ORDER BY place";
        let mut statement = db.prepare_cached(sql)?;
        let rows = statement.query_map(row, |row| row.get(0))?;
        rows.collect::<Result<Vec<u32>, _>>()?
    };
    db.prepare_cached("DELETE FROM held WHERE author = ?1 AND seq = ?2")?.execute(row)?;
    db.prepare_cached("DELETE FROM dropped WHERE author = ?1 AND seq = ?2")?.execute(row)?;
    Ok(places)
}

/// Some records of a commit wait no longer. Votes that others signed may still make them hold.
pub(super) fn drop_held(db: &Connection, author: &NodeId, seq: u64, places: &[u32]) -> Result<(), Fault> {
    let author = number_of(db, author)?;
    let mut drop =
        db.prepare_cached("INSERT OR IGNORE INTO dropped (author, seq, place) VALUES (?1, ?2, ?3)")?;
    let mut gone = db.prepare_cached("DELETE FROM held WHERE author = ?1 AND seq = ?2 AND place = ?3")?;
    for place in places {
        drop.execute(params![author, seq.cast_signed(), place])?;
        gone.execute(params![author, seq.cast_signed(), place])?;
    }
    Ok(())
}

/// Whether a change of an author at a path waits.
pub(super) fn is_held(db: &Connection, author: &NodeId, path: &TreePath) -> Result<bool, Fault> {
    let Some(author) = known_number_of(db, author)? else { return Ok(false) };
    let sql = "SELECT EXISTS (SELECT 1 FROM held WHERE path = ?1 AND author = ?2)";
    Ok(db.prepare_cached(sql)?.query_row(params![key_of(path), author], |row| row.get(0))?)
}

/// Whether any change of an author waits.
pub(super) fn has_held(db: &Connection, author: &NodeId) -> Result<bool, Fault> {
    let Some(author) = known_number_of(db, author)? else { return Ok(false) };
    let sql = "SELECT EXISTS (SELECT 1 FROM held WHERE author = ?1)";
    Ok(db.prepare_cached(sql)?.query_row([author], |row| row.get(0))?)
}

/// Notes how a proposal ended; its records that were not taken wait no longer. Returns its author, and the paths of these records.
pub(super) fn end(
    db: &Connection,
    id: &CommitId,
    end: ProposalEnd,
    now_ms: u64,
) -> Result<Option<(NodeId, Vec<TreePath>)>, Fault> {
    let place = db
        .prepare_cached("SELECT author, seq FROM proposals WHERE id = ?1")?
        .query_row([&id.0], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
        .optional()?;
    let Some((author, seq)) = place else { return Ok(None) };
    let mut paths = Vec::new();
    {
        let mut statement = db.prepare_cached("SELECT path FROM held WHERE author = ?1 AND seq = ?2")?;
        let mut rows = statement.query([author, seq])?;
        while let Some(row) = rows.next()? {
            paths.push(path_of(row.get_ref(0)?.as_blob()?)?);
        }
    }
    // Votes that were signed in time may still come.
    let sql = "INSERT OR IGNORE INTO dropped (author, seq, place)
        SELECT author, seq, place FROM held WHERE author = ?1 AND seq = ?2";
    db.prepare_cached(sql)?.execute([author, seq])?;
    db.prepare_cached("DELETE FROM held WHERE author = ?1 AND seq = ?2")?.execute([author, seq])?;
    db.prepare_cached("UPDATE proposals SET ended = ?2, ended_at_ms = ?3 WHERE id = ?1")?
        .execute(params![id.0, number_of_end(end), now_ms.cast_signed()])?;
    Ok(Some((node_of(db, author)?, paths)))
}

fn number_of_end(end: ProposalEnd) -> i64 {
    match end {
        ProposalEnd::Approved => 1,
        ProposalEnd::Refused => 2,
        ProposalEnd::Expired => 3,
        ProposalEnd::Withdrawn => 4,
        ProposalEnd::Superseded => 5,
    }
}

fn end_of(number: i64) -> Result<ProposalEnd, Fault> {
    match number {
        1 => Ok(ProposalEnd::Approved),
        2 => Ok(ProposalEnd::Refused),
        3 => Ok(ProposalEnd::Expired),
        4 => Ok(ProposalEnd::Withdrawn),
        5 => Ok(ProposalEnd::Superseded),
        _ => Err(Fault::Damaged("a proposal has an unknown end")),
    }
}
