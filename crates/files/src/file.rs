//! An open file: the operations that stores perform on files, and no others. Every operation passes its [`Tap`]; one that a
//! signal interrupts is repeated.

use std::fs::Metadata;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{FlockOperation, Mode};
use rustix::io::Errno;

use super::identity::Identity;
use super::tap::{Op, Tap};

/// An open regular file. [`FileExt`] reads and writes it.
#[derive(Debug)]
pub(crate) struct File {
    system: std::fs::File,
    tap: Tap,
    identity: Identity,
}

impl File {
    /// Wraps a file that was opened by this name.
    pub(super) fn new(system: std::fs::File, path: &Path, tap: &Tap) -> Self {
        Self { system, tap: tap.of_file(path), identity: Identity::default() }
    }

    /// Sets the identity of the file from the metadata that was read when it was opened.
    pub(super) fn identified(self, metadata: &Metadata) -> Self {
        Self { identity: Identity::of_metadata(metadata), ..self }
    }

    /// Wraps a file without a tap.
    #[cfg(test)]
    pub(super) fn untapped(system: std::fs::File) -> Self {
        let identity = Identity::of_metadata(&system.metadata().expect("it is open"));
        Self { system, tap: Tap::default(), identity }
    }

    /// The file itself, for code that reads and writes it in several threads. Taps do not see what is done with it.
    pub(super) fn system(&self) -> &std::fs::File {
        &self.system
    }

    /// Length, times and identity.
    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        uninterrupted(|| self.tap.run(Op::Metadata, || self.system.metadata()))
    }

    /// Device and inode: they stay the same, whatever the name leads to now.
    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// Cuts the file, or extends it with zeros.
    pub(super) fn set_len(&self, len: u64) -> io::Result<()> {
        uninterrupted(|| self.tap.run(Op::SetLen { len }, || self.system.set_len(len)))
    }

    /// Makes its bytes durable, and the part of its metadata that reading them needs.
    pub(super) fn sync_data(&self) -> io::Result<()> {
        uninterrupted(|| self.tap.run(Op::SyncData, || self.system.sync_data()))
    }

    /// Sets its permissions. A [`Nicety`](super::Nicety), like every operation here that fails with an [`Errno`].
    pub(super) fn set_mode(&self, mode: u32) -> Result<(), Errno> {
        let set = || rustix::fs::fchmod(&self.system, Mode::from_raw_mode(mode));
        rustix::io::retry_on_intr(|| self.tap.run(Op::SetPermissions, set))
    }

    /// Locks the file against other processes; [`Errno::WOULDBLOCK`] if another process holds the lock.
    pub(super) fn lock(&self) -> Result<(), Errno> {
        let lock = || rustix::fs::flock(&self.system, FlockOperation::NonBlockingLockExclusive);
        rustix::io::retry_on_intr(|| self.tap.run(Op::Lock, lock))
    }

    /// Whether another process, or another store of this process, holds the lock.
    pub(super) fn is_locked_elsewhere(&self) -> bool {
        let lock = || rustix::fs::flock(&self.system, FlockOperation::NonBlockingLockShared);
        rustix::io::retry_on_intr(|| self.tap.run(Op::Lock, lock)) == Err(Errno::WOULDBLOCK)
    }

    /// Makes a range a hole without changing the length; an error where the file system has no holes.
    #[cfg(target_os = "linux")]
    pub(super) fn punch(&self, offset: u64, len: u64) -> Result<(), Errno> {
        use rustix::fs::FallocateFlags;
        let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let punch = || rustix::fs::fallocate(&self.system, how, offset, len);
        rustix::io::retry_on_intr(|| self.tap.run(Op::Punch { offset, len }, punch))
    }

    /// Makes a range a hole without changing the length; an error where the file system has no holes.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn punch(&self, _offset: u64, _len: u64) -> Result<(), Errno> {
        Err(Errno::NOTSUP)
    }

    /// Drops the cached pages of a range, as far as they are synced, so that the next read comes from the disk.
    #[cfg(target_os = "linux")]
    pub(super) fn forget_cached(&self, offset: u64, len: u64) {
        // Advice that the system may ignore: then the read comes from the cache.
        let _ = rustix::fs::fadvise(
            &self.system,
            offset,
            std::num::NonZeroU64::new(len),
            rustix::fs::Advice::DontNeed,
        );
    }

    /// Drops the cached pages of a range: this system has no call for it.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn forget_cached(&self, _offset: u64, _len: u64) {}

    /// Allocates space without changing the length; an error where the file system cannot.
    #[cfg(target_os = "linux")]
    pub(super) fn reserve(&self, offset: u64, len: u64) -> Result<(), Errno> {
        let how = rustix::fs::FallocateFlags::KEEP_SIZE;
        let reserve = || rustix::fs::fallocate(&self.system, how, offset, len);
        rustix::io::retry_on_intr(|| self.tap.run(Op::Reserve, reserve))
    }

    /// Allocates space without changing the length; an error where the file system cannot.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn reserve(&self, _offset: u64, _len: u64) -> Result<(), Errno> {
        Err(Errno::NOTSUP)
    }
}

/// Each method is one system call; the provided methods continue after a short one.
impl FileExt for File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.tap.run(Op::Read, || self.system.read_at(buf, offset))
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        let data = self.tap.cut(data);
        self.tap.run(Op::Write { offset, data }, || self.system.write_at(data, offset))
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.system.as_fd()
    }
}

fn uninterrupted<T>(mut perform: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match perform() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
