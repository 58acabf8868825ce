//! Lets the tests of this crate observe every operation on a fetch's files and folders. In production a
//! tap is empty and costs nothing; in tests it may count operations, record them, let one fail or delay it.

use std::path::Path;

use super::dir::Access;

/// One operation, before it is performed.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "only tests look at what is done"))]
pub(super) enum Op<'a> {
    /// Opens a file, and creates it if the access says so.
    Open { path: &'a Path, access: Access },
    /// Reads the kind of an entry.
    Stat,
    /// Opens a folder to list what stands in it.
    List { path: &'a Path },
    /// Renames a file or folder.
    Rename { from: &'a Path, to: &'a Path },
    /// Lets two entries change places.
    Exchange { one: &'a Path, other: &'a Path },
    /// Makes a symbolic link.
    MakeLink { path: &'a Path },
    /// Removes a file or an empty folder.
    Remove { path: &'a Path },
    /// Creates one folder.
    MakeDirectory { path: &'a Path },
    /// Makes the names in a folder durable.
    SyncDirectory { path: &'a Path },
    /// Makes the whole file system durable.
    SyncFileSystem,
    /// Takes the lock of an open file.
    Lock,
    /// Reads length and times of an open file.
    Metadata,
    /// Reads bytes of a file.
    Read,
    /// Writes these bytes.
    Write { offset: u64, data: &'a [u8] },
    /// Cuts or extends a file.
    SetLen { len: u64 },
    /// Makes a range a hole.
    Punch { offset: u64, len: u64 },
    /// Allocates space beyond the end.
    Reserve,
    /// Makes a file executable.
    SetPermissions,
    /// Makes the bytes of a file durable.
    SyncData,
}

#[cfg(test)]
pub(super) use super::tests::watch::Tap;

/// Empty in production.
#[cfg(not(test))]
#[derive(Clone, Debug, Default)]
pub(super) struct Tap(());

#[cfg(not(test))]
#[expect(clippy::unused_self, reason = "only the tap of the tests holds anything")]
impl Tap {
    /// The tap of a file that was just opened.
    #[inline]
    pub(super) fn of_file(&self, _path: &Path) -> Self {
        Self(())
    }

    /// Performs an operation.
    #[inline]
    pub(super) fn run<T, E>(&self, _op: Op<'_>, perform: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        perform()
    }

    /// The part of some bytes that one call writes.
    #[inline]
    pub(super) fn cut<'a>(&self, data: &'a [u8]) -> &'a [u8] {
        data
    }
}
