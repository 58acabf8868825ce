//! What a content needs beside its BLAKE3 to be shared: SHA-256 for people, values of its chunks for the engine.

use rusqlite::{OptionalExtension, params};
use swarm_sync::{ContentHash, Entry, Side, TreePath};

use super::LibraryBook;
use crate::row::path_of;
use crate::{IndexError, trees};

/// The other hashes of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// SHA-256 of all bytes, where it was computed.
    pub sha256: Option<[u8; 32]>,
    /// 32 bytes a chunk; empty if there is one chunk.
    pub chunk_hashes: Vec<u8>,
}

impl LibraryBook {
    /// Remembers digests of contents.
    pub fn put_digests(&mut self, digests: &[(ContentHash, Digest)]) -> Result<(), IndexError> {
        self.write(|db| {
            let sql = "INSERT OR REPLACE INTO digests (content, sha256, chunks) VALUES (?1, ?2, ?3)";
            let mut put = db.prepare_cached(sql)?;
            for (hash, digest) in digests {
                put.execute(params![hash.0, digest.sha256, digest.chunk_hashes])?;
            }
            Ok(())
        })
    }

    /// Remembers chunk values that a peer's manifest proved, with the SHA-256 of a record of the content, if one has it.
    pub fn learn_chunks(&mut self, digests: &[(ContentHash, Digest)]) -> Result<(), IndexError> {
        self.write(|db| {
            let sql = "INSERT INTO digests (content, sha256, chunks)
                VALUES (?1, (SELECT sha256 FROM heads WHERE content = ?1 AND sha256 IS NOT NULL LIMIT 1), ?2)
                ON CONFLICT (content) DO NOTHING";
            let mut put = db.prepare_cached(sql)?;
            for (hash, digest) in digests {
                put.execute(params![hash.0, digest.chunk_hashes])?;
            }
            Ok(())
        })
    }

    /// The digests of a content, if they are known.
    pub fn digest(&self, hash: &ContentHash) -> Result<Option<Digest>, IndexError> {
        self.read(|db| {
            let mut found = db.prepare_cached("SELECT sha256, chunks FROM digests WHERE content = ?1")?;
            let digest = found
                .query_row([&hash.0], |row| Ok(Digest { sha256: row.get(0)?, chunk_hashes: row.get(1)? }));
            Ok(digest.optional()?)
        })
    }

    /// The SHA-256 of a content, computed here or told by a record.
    pub fn sha256_of(&self, hash: &ContentHash) -> Result<Option<[u8; 32]>, IndexError> {
        self.read(|db| {
            let sql = "SELECT sha256 FROM digests WHERE content = ?1 AND sha256 IS NOT NULL
                UNION ALL SELECT sha256 FROM heads WHERE content = ?1 AND sha256 IS NOT NULL LIMIT 1";
            Ok(db.prepare_cached(sql)?.query_row([&hash.0], |row| row.get(0)).optional()?)
        })
    }

    /// What stands at a path here.
    pub fn entry_here(&self, path: &TreePath) -> Result<Option<Entry>, IndexError> {
        self.read(|db| trees::entry(db, Side::Local, path))
    }

    /// Paths at which files with these bytes stand here.
    pub fn places_of(&self, hash: &ContentHash) -> Result<Vec<TreePath>, IndexError> {
        self.read(|db| {
            let sql = "SELECT path FROM local WHERE content = ?1 AND kind IN (1, 2) LIMIT 8";
            let mut statement = db.prepare_cached(sql)?;
            let mut rows = statement.query([&hash.0])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(path_of(row.get_ref(0)?.as_blob()?)?);
            }
            Ok(found)
        })
    }
}
