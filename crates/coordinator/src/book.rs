//! The coordinator's records on disk: an embedded database (redb), one row an announcement. Rows are written in batches, about once
//! a second; nodes announce again what a crash loses. Does not know the meaning of the rows.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use swarm_core::base::{Category, ContentId, Instant, NodeId, Shown};
use swarm_core::wire::SignedAnnounce;

/// The database. Clones share it.
#[derive(Clone)]
pub(super) struct Book {
    database: Arc<Database>,
}

/// One announcement as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) announce: SignedAnnounce,
    /// The node's address as the coordinator saw it.
    pub(super) observed: SocketAddr,
    /// Whether others are told of the node.
    pub(super) is_listed: bool,
    /// Nanoseconds since 1970.
    pub(super) expires_at: Instant,
}

/// The content and the node of a row.
pub(super) type Key = (ContentId, NodeId);

/// Why a coordinator cannot store its records.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The folder cannot be created.
    #[error("cannot make the folder `{}`: {source}", Shown(path))]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// Another process uses the database.
    #[error("another coordinator runs with the folder `{}`: stop it, or take another folder", Shown(.0))]
    InUse(PathBuf),
    /// The database cannot be used.
    #[error("cannot use `{}`: {message}; move it away to start without records", Shown(path))]
    Database {
        /// The database file.
        path: PathBuf,
        /// The error of the database.
        message: String,
    },
}

impl BookError {
    /// The category of the cause: it decides the exit code.
    pub fn category(&self) -> Category {
        match self {
            Self::Folder { .. } | Self::Database { .. } => Category::Disk,
            Self::InUse(_) => Category::Held,
        }
    }
}

impl Book {
    /// Opens the database in this folder, creates a missing one, and reads all rows.
    pub(super) fn open(folder: &Path) -> Result<(Self, Vec<Row>), BookError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| BookError::Folder { path: folder.to_owned(), source })?;
        let path = folder.join(FILE);
        let database = match Database::create(&path) {
            Ok(database) => database,
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => return Err(BookError::InUse(folder.to_owned())),
            Err(error) => return Err(BookError::Database { path, message: error.to_string() }),
        };
        let book = Self { database: Arc::new(database) };
        let rows = book.rows().map_err(|error| BookError::Database { path, message: error.to_string() })?;
        Ok((book, rows))
    }

    /// Writes rows, and removes those that are `None`. Blocks until the disk has them.
    pub(super) fn write(&self, changes: &[(Key, Option<Row>)]) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(ANNOUNCES)?;
            for ((content, node), row) in changes {
                let key = [*content.as_bytes(), *node.as_bytes()].concat();
                match row {
                    Some(row) => {
                        let observed = row.observed.to_string();
                        let signed = row.announce.encode();
                        let value =
                            (row.expires_at.as_nanos(), row.is_listed, observed.as_str(), signed.as_slice());
                        table.insert(key.as_slice(), value)?;
                    }
                    None => drop(table.remove(key.as_slice())?),
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Skips rows whose signature or format is invalid: their nodes announce them again.
    fn rows(&self) -> Result<Vec<Row>, redb::Error> {
        let transaction = self.database.begin_read()?;
        let table = match transaction.open_table(ANNOUNCES) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut rows = Vec::new();
        for entry in table.iter()? {
            let (_, value) = entry?;
            let (expires_at, is_listed, observed, signed) = value.value();
            let (Ok(announce), Ok(observed)) = (SignedAnnounce::decode(signed), observed.parse()) else {
                continue;
            };
            rows.push(Row { announce, observed, is_listed, expires_at: Instant::from_nanos(expires_at) });
        }
        Ok(rows)
    }
}

const FILE: &str = "coordinator.redb";
/// ContentId and NodeId to (expiry, whether it is listed, observed address, signed announcement).
const ANNOUNCES: TableDefinition<'_, &[u8], (u64, bool, &str, &[u8])> = TableDefinition::new("announces 1");

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_core::base::Rate;
    use swarm_core::manifest::SigningKey;
    use swarm_core::wire::AnnounceBody;

    fn row(byte: u8) -> (Key, Row) {
        let key = SigningKey::from_seed(&[byte; 32]);
        let (content, node) = (ContentId::from_bytes([1; 32]), key.public());
        let body = AnnounceBody {
            content,
            node,
            addresses: Vec::new(),
            have_count: 0,
            chunk_count: 0,
            up: Rate(0),
            zone: None,
        };
        let announce = SignedAnnounce::sign(&key, body);
        let observed = "[2001:db8::1]:7".parse().expect("a socket address");
        ((content, node), Row { announce, observed, is_listed: true, expires_at: Instant::from_nanos(9) })
    }

    #[test]
    fn written_rows_survive_a_restart_and_removed_ones_stay_away() {
        let folder = tempfile::tempdir().expect("a folder");
        let rows = [row(1), row(2)];
        {
            let (book, kept) = Book::open(folder.path()).expect("made");
            assert_eq!(kept, []);
            assert!(matches!(Book::open(folder.path()), Err(BookError::InUse(_))));
            book.write(&rows.clone().map(|(key, row)| (key, Some(row)))).expect("written");
            book.write(&[(rows[0].0, None)]).expect("written");
        }
        let (_, kept) = Book::open(folder.path()).expect("there");
        assert_eq!(kept, [rows[1].1.clone()]);
    }

    #[test]
    fn a_file_that_is_no_database_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(FILE), [7; 9000]).expect("written");
        let error = Book::open(folder.path()).err().expect("refused").to_string();
        assert!(error.contains(FILE) && error.ends_with("to start without records"), "{error}");
    }
}
