//! The file: how it is made, how it is opened, and how it is told from one that is newer, another program's, or damaged.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::IndexError;
use crate::error::Fault;
use crate::limits::{LOG_LEN_KEPT, LOG_PAGES, READER_CACHE_KIB, STATEMENTS, WRITER_WAIT};

/// The version of the format, in `user_version`.
pub(crate) const VERSION: i64 = 2;

/// The row of `meta` that is there while every path counts as open.
pub(crate) const ALL_OPEN: &str = "every path is open";

/// Opens the file for reading and writing; makes it if it is not there.
pub(crate) fn open(path: &Path, cache_kib: i64) -> Result<Connection, IndexError> {
    // Made by us and not by SQLite: names of a user's files are nobody else's business.
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(|error| IndexError::disk(path, "open", &error))?;
    let opened = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, cache_kib).and_then(|mut db| {
        let is_new = examine(&db)?;
        db.pragma_update(None, "journal_mode", "wal")?;
        db.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        db.pragma_update(None, "journal_size_limit", LOG_LEN_KEPT)?;
        if is_new {
            create(&mut db)?;
        }
        Ok(db)
    });
    opened.map_err(|fault| fault.at(path))
}

/// Opens the file for reading alone.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, Fault> {
    let db = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, READER_CACHE_KIB)?;
    examine(&db)?;
    Ok(db)
}

fn connect(path: &Path, flags: OpenFlags, cache_kib: i64) -> Result<Connection, Fault> {
    let db = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(WRITER_WAIT)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // Without it, statements are prepared anew whenever a value decides about a partial index: for each of a million rows.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.pragma_update(None, "cell_size_check", true)?;
    db.pragma_update(None, "cache_size", -cache_kib)?;
    // Each transaction is on the disk when it is over: a base that goes back in time would take an old deletion for a new file.
    db.pragma_update(None, "synchronous", "full")?;
    Ok(db)
}

/// Whether the file is empty; an error if it is none of ours.
fn examine(db: &Connection) -> Result<bool, Fault> {
    let number = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, version) {
        (0, 0) if tables == 0 => Ok(true),
        (APPLICATION, VERSION) => Ok(false),
        (APPLICATION, 1) => Err(Fault::Damaged("its format is that of a development version")),
        (APPLICATION, version) if version > VERSION => Err(Fault::Newer(version)),
        (APPLICATION, _) => Err(Fault::Damaged("its format has no version")),
        _ => Err(Fault::Foreign),
    }
}

fn create(db: &mut Connection) -> Result<(), Fault> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have made it since it was examined.
    if examine(&transaction)? {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Gives the file, and what belongs to it, another name: with `.damaged-<label>` at its end. Returns that name.
pub(crate) fn set_aside(path: &Path, label: &str) -> Result<PathBuf, IndexError> {
    let aside = with_end(path, &format!(".damaged-{label}"));
    if fs::symlink_metadata(&aside).is_ok() {
        let error = io::Error::from(io::ErrorKind::AlreadyExists);
        return Err(IndexError::disk(&aside, "make", &error));
    }
    // The file first: a log without its file is dropped when a new file is made, a file without its log would be taken for whole.
    for end in ["", "-wal", "-shm"] {
        match fs::rename(with_end(path, end), with_end(&aside, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(IndexError::disk(path, "rename", &error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(aside)
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

/// `swix` in ASCII: what `file` and we tell the file by.
const APPLICATION: i64 = 0x7377_6978;

/// Paths are keys as `row::key_of` makes them. `kind`, `len` and `content` (the hash of a file, the target of a link) are what is
/// compared. A path is in `open` from when a tree changed at it until all three have the same.
const TABLES: &str = "
CREATE TABLE local (
    path BLOB PRIMARY KEY NOT NULL, kind INTEGER NOT NULL, len INTEGER, content BLOB,
    modified_ns INTEGER NOT NULL, device INTEGER, inode INTEGER, changed_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE remote (
    path BLOB PRIMARY KEY NOT NULL, kind INTEGER NOT NULL, len INTEGER, content BLOB,
    modified_ns INTEGER NOT NULL, device INTEGER, inode INTEGER, changed_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE base (
    path BLOB PRIMARY KEY NOT NULL, kind INTEGER NOT NULL, len INTEGER, content BLOB,
    modified_ns INTEGER NOT NULL,
    local_device INTEGER, local_inode INTEGER, remote_device INTEGER, remote_inode INTEGER
) WITHOUT ROWID;
CREATE TABLE open (path BLOB PRIMARY KEY NOT NULL) WITHOUT ROWID;
CREATE TABLE conflicts (id BLOB PRIMARY KEY NOT NULL, first_seen_ms INTEGER NOT NULL, json TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE choices (id BLOB PRIMARY KEY NOT NULL, json TEXT NOT NULL, text BLOB) WITHOUT ROWID;
CREATE TABLE texts (number INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE, len INTEGER NOT NULL, bytes BLOB NOT NULL);
CREATE INDEX texts_len ON texts (len);
CREATE TABLE runs (run INTEGER PRIMARY KEY, started_ms INTEGER NOT NULL, ended_ms INTEGER, summary TEXT);
CREATE TABLE deeds (
    run INTEGER NOT NULL, number INTEGER NOT NULL, path BLOB NOT NULL, moved_from BLOB, deed BLOB NOT NULL,
    PRIMARY KEY (run, number)
) WITHOUT ROWID;
CREATE INDEX deeds_path ON deeds (path);
CREATE INDEX deeds_moved_from ON deeds (moved_from) WHERE moved_from IS NOT NULL;
CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;
";
