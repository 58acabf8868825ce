//! What a sealed library needs beside its commits: grants of keys as they came, what files were sealed to, bodies of sealed manifests, and which
//! contents a mirror holds whole. Invariant: nothing here is a key, and a node without keys has nothing here that it could read.

use bytes::Bytes;
use rusqlite::{OptionalExtension, params};
use swarm_core::base::{ContentId, NodeId};
use swarm_core::manifest::{Hash, Tag};
use swarm_library::{GrantId, KeyId};
use swarm_sync::ContentHash;

use super::LibraryBook;
use crate::IndexError;
use crate::error::Fault;

impl LibraryBook {
    /// Keeps a grant of a key.
    pub fn put_grant(&mut self, id: &GrantId, granter: &NodeId, bytes: &[u8]) -> Result<(), IndexError> {
        self.write(|db| {
            let sql = "INSERT OR IGNORE INTO grants (id, granter, bytes) VALUES (?1, ?2, ?3)";
            db.prepare_cached(sql)?.execute(params![id.0, granter.as_bytes(), bytes])?;
            Ok(())
        })
    }

    /// The grants of keys, at most `limit`.
    pub fn grants(&self, limit: usize) -> Result<Vec<Bytes>, IndexError> {
        self.read(|db| {
            let mut statement = db.prepare_cached("SELECT bytes FROM grants ORDER BY id LIMIT ?1")?;
            let rows = statement.query_map([limit], |row| row.get::<_, Vec<u8>>(0))?;
            Ok(rows.map(|bytes| bytes.map(Bytes::from)).collect::<Result<_, _>>()?)
        })
    }

    /// The ids of the grants of keys, at most `limit`.
    pub fn grant_ids(&self, limit: usize) -> Result<Vec<GrantId>, IndexError> {
        self.read(|db| {
            let mut statement = db.prepare_cached("SELECT id FROM grants ORDER BY id LIMIT ?1")?;
            let rows = statement.query_map([limit], |row| row.get(0).map(GrantId))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Remembers what a file was sealed to with a key.
    pub fn put_sealed(
        &mut self,
        key: &KeyId,
        hash: &ContentHash,
        chunks: &[(Hash, Tag)],
    ) -> Result<(), IndexError> {
        let bytes: Vec<u8> = chunks.iter().flat_map(|(hash, tag)| hash.iter().chain(tag).copied()).collect();
        self.write(|db| {
            let sql = "INSERT OR REPLACE INTO sealed (key, content, chunks) VALUES (?1, ?2, ?3)";
            db.prepare_cached(sql)?.execute(params![key.0, hash.0, bytes])?;
            Ok(())
        })
    }

    /// What a file was sealed to with a key, if that is known.
    pub fn sealed(&self, key: &KeyId, hash: &ContentHash) -> Result<Option<Vec<(Hash, Tag)>>, IndexError> {
        self.read(|db| {
            let mut found = db.prepare_cached("SELECT chunks FROM sealed WHERE key = ?1 AND content = ?2")?;
            let bytes: Option<Vec<u8>> =
                found.query_row(params![key.0, hash.0], |row| row.get(0)).optional()?;
            bytes.map(|bytes| chunks_of(&bytes).ok_or(BAD_CHUNKS)).transpose()
        })
    }

    /// Keeps the body of a manifest that cannot be made from records.
    pub fn put_manifest(&mut self, content: &ContentId, body: &[u8]) -> Result<(), IndexError> {
        self.write(|db| {
            let sql = "INSERT OR IGNORE INTO manifests (content, body) VALUES (?1, ?2)";
            db.prepare_cached(sql)?.execute(params![content.as_bytes(), body])?;
            Ok(())
        })
    }

    /// The body of such a manifest.
    pub fn manifest(&self, content: &ContentId) -> Result<Option<Bytes>, IndexError> {
        self.read(|db| {
            let mut found = db.prepare_cached("SELECT body FROM manifests WHERE content = ?1")?;
            let body: Option<Vec<u8>> = found.query_row([content.as_bytes()], |row| row.get(0)).optional()?;
            Ok(body.map(Bytes::from))
        })
    }

    /// Notes that a mirror holds all files of a content.
    pub fn put_mirrored(&mut self, content: &ContentId) -> Result<(), IndexError> {
        self.write(|db| {
            let sql = "INSERT OR IGNORE INTO mirrored (content) VALUES (?1)";
            db.prepare_cached(sql)?.execute([content.as_bytes()])?;
            Ok(())
        })
    }

    /// Contents of commits of an author that a mirror does not hold whole, the earliest first; at most `limit`.
    pub fn unmirrored(&self, author: &NodeId, limit: usize) -> Result<Vec<ContentId>, IndexError> {
        self.read(|db| {
            let sql = "SELECT commits.content FROM commits JOIN authors ON authors.number = commits.author
                WHERE authors.node = ?1 AND commits.content IS NOT NULL
                    AND commits.content NOT IN (SELECT content FROM mirrored)
                ORDER BY commits.seq LIMIT ?2";
            let mut statement = db.prepare_cached(sql)?;
            let mut rows = statement.query(params![author.as_bytes(), limit])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(ContentId::from_slice(row.get_ref(0)?.as_blob()?).ok_or(BAD_CONTENT)?);
            }
            Ok(found)
        })
    }
}

fn chunks_of(bytes: &[u8]) -> Option<Vec<(Hash, Tag)>> {
    let (chunks, rest) = bytes.as_chunks::<CHUNK_LEN>();
    let of = |chunk: &[u8; CHUNK_LEN]| Some((*chunk.first_chunk::<32>()?, *chunk.last_chunk::<16>()?));
    if rest.is_empty() { chunks.iter().map(of).collect() } else { None }
}

/// The value of a sealed chunk, and its tag.
const CHUNK_LEN: usize = 32 + 16;
const BAD_CHUNKS: Fault = Fault::Damaged("what a file was sealed to has another length");
const BAD_CONTENT: Fault = Fault::Damaged("a content id has another length");

#[cfg(test)]
mod tests {
    use swarm_core::manifest::SigningKey;
    use swarm_library::{Commit, Draft, Guid, Record, State, Vector};
    use swarm_sync::TreePath;

    use super::*;
    use crate::Acceptance;

    #[test]
    fn what_was_put_is_found_and_survives_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("library.db");
        let (key, hash, content) = (KeyId([1; 32]), ContentHash([2; 32]), ContentId::from_bytes([3; 32]));
        let chunks = vec![([4; 32], [5; 16]), ([6; 32], [7; 16])];
        let mut book = LibraryBook::open(&path).expect("made");
        book.put_sealed(&key, &hash, &chunks).expect("written");
        book.put_manifest(&content, b"body").expect("written");
        book.put_grant(&GrantId([8; 32]), &NodeId::from_bytes([9; 32]), b"grant").expect("written");
        book.put_grant(&GrantId([8; 32]), &NodeId::from_bytes([9; 32]), b"grant").expect("written");
        drop(book);
        let book = LibraryBook::open(&path).expect("opened");
        assert_eq!(book.sealed(&key, &hash).expect("read"), Some(chunks));
        assert_eq!(book.sealed(&KeyId([2; 32]), &hash).expect("read"), None);
        assert_eq!(book.manifest(&content).expect("read").as_deref(), Some(&b"body"[..]));
        assert_eq!(book.grants(9).expect("read"), [Bytes::from_static(b"grant")]);
    }

    #[test]
    fn a_mirror_lacks_the_contents_that_it_does_not_hold_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut book = LibraryBook::open(&folder.path().join("library.db")).expect("made");
        let signing = SigningKey::from_seed(&[1; 32]);
        let vector = Vector::of(signing.public(), 7);
        let path = TreePath::new("a").expect("a path");
        let records = [Record { path, state: State::Deleted, vector, parent: None, moved_from: None }];
        let [one, two] = [1, 2].map(|byte| ContentId::from_bytes([byte; 32]));
        let mut after = None;
        for content in [one, two] {
            let library = Guid::new("g").expect("a GUID").key();
            let content = Some(content);
            let draft = Draft { library, after, content, made_at_ms: 1, covers: 0, records: &records };
            let commit = Commit::sign(&signing, &draft).expect("signed");
            after = Some((commit.header().seq, commit.id()));
            book.take(&commit, &Acceptance::CarryOnly, &NodeId::from_bytes([5; 32]), 1).expect("taken");
        }
        assert_eq!(book.unmirrored(&signing.public(), 9).expect("read"), [one, two]);
        book.put_mirrored(&one).expect("written");
        assert_eq!(book.unmirrored(&signing.public(), 9).expect("read"), [two]);
        assert_eq!(book.unmirrored(&NodeId::from_bytes([6; 32]), 9).expect("read"), []);
    }
}
