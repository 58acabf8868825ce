//! What the coordinator knows, on disk: an embedded database (redb), one row an announcement. Rows are written in batches, about
//! once a second; what is lost with less than that is announced again. Knows nothing of what the rows mean.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::base::{Category, ContentId, Instant, NodeId};
use crate::wire::SignedAnnounce;

/// The database. Clones are the same one.
#[derive(Clone)]
pub(super) struct Book {
    database: Arc<Database>,
}

/// One announcement as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) announce: SignedAnnounce,
    /// Where the node was seen.
    pub(super) observed: SocketAddr,
    /// Others are told of it.
    pub(super) is_listed: bool,
    /// Nanoseconds since 1970.
    pub(super) expires_at: Instant,
}

/// What a row is of.
pub(super) type Key = (ContentId, NodeId);

/// Why a coordinator cannot keep what it knows.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The folder cannot be made.
    #[error("cannot make the folder `{}`: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process has it.
    #[error("another coordinator runs with the folder `{}`: stop it, or take another folder", .0.display())]
    InUse(PathBuf),
    /// The database cannot be used.
    #[error("cannot use `{}`: {message}; move it away to start with nothing known", path.display())]
    Database {
        /// Which file.
        path: PathBuf,
        /// What the database said.
        message: String,
    },
}

impl BookError {
    /// Its category.
    pub fn category(&self) -> Category {
        match self {
            Self::Folder { .. } | Self::Database { .. } => Category::Disk,
            Self::InUse(_) => Category::Held,
        }
    }
}

impl Book {
    /// Opens the database in this folder, made if there is none, and reads all of it.
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

    /// Writes rows, and takes out those that are `None`. Blocks until that is on disk.
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

    /// A row that does not prove right is left out: it will be announced again.
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
/// ContentId and NodeId to (when it expires, whether it is listed, where it was seen, what it signed).
const ANNOUNCES: TableDefinition<'_, &[u8], (u64, bool, &str, &[u8])> = TableDefinition::new("announces 1");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rate;
    use crate::manifest::SigningKey;
    use crate::wire::AnnounceBody;

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
    fn what_was_written_is_there_after_a_restart_and_what_was_taken_out_is_not() {
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
        assert!(error.contains(FILE) && error.ends_with("to start with nothing known"), "{error}");
    }
}
