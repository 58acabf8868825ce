//! Where the tests of this room look in: every operation on a fetch's files and folders passes here first. In production a
//! tap is nothing, neither bytes nor time; in tests it may count operations, write them down, let one fail or keep it waiting.

use std::path::Path;

use super::dir::Access;

/// One operation, before it is done.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "only tests look at what is done"))]
pub(super) enum Op<'a> {
    /// Opens a file, and perhaps makes it.
    Open { path: &'a Path, access: Access },
    /// Looks at what stands at a place.
    Stat,
    /// Renames a file.
    Rename { from: &'a Path, to: &'a Path },
    /// Removes a file or an empty folder.
    Remove { path: &'a Path },
    /// Makes one folder.
    MakeDirectory { path: &'a Path },
    /// Makes the names in a folder durable.
    SyncDirectory { path: &'a Path },
    /// Makes everything durable.
    SyncFileSystem,
    /// Takes the lock of an open file.
    Lock,
    /// Asks an open file for its length and times.
    Metadata,
    /// Reads so many bytes at most.
    Read,
    /// Writes these bytes.
    Write { offset: u64, data: &'a [u8] },
    /// Cuts or extends a file.
    SetLen { len: u64 },
    /// Makes a range a hole.
    Punch { offset: u64, len: u64 },
    /// Sets space aside beyond the end.
    Reserve,
    /// Makes a file executable.
    SetPermissions,
    /// Makes the bytes of a file durable.
    SyncData,
}

#[cfg(test)]
pub(super) use super::tests::watch::Tap;

/// Nothing.
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

    /// Does an operation.
    #[inline]
    pub(super) fn run<T, E>(&self, _op: Op<'_>, perform: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        perform()
    }

    /// As much of some bytes as one call takes.
    #[inline]
    pub(super) fn cut<'a>(&self, data: &'a [u8]) -> &'a [u8] {
        data
    }
}
