//! An open file: what storage does to the files of a fetch, and nothing else. Every operation passes its [`Tap`]; one that a
//! signal interrupts is done again.

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
    /// A file that was opened under this name.
    pub(super) fn new(system: std::fs::File, path: &Path, tap: &Tap) -> Self {
        Self { system, tap: tap.of_file(path), identity: Identity::default() }
    }

    /// The same file, known by what the system said of it when it was opened.
    pub(super) fn identified(self, metadata: &Metadata) -> Self {
        Self { identity: Identity::of_metadata(metadata), ..self }
    }

    /// One that nobody looks into.
    #[cfg(test)]
    pub(super) fn untapped(system: std::fs::File) -> Self {
        let identity = Identity::of_metadata(&system.metadata().expect("it is open"));
        Self { system, tap: Tap::default(), identity }
    }

    /// Length, times and identity.
    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        uninterrupted(|| self.tap.run(Op::Metadata, || self.system.metadata()))
    }

    /// Which file it is, whatever its name leads to by now.
    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// Cuts it, or extends it by zeros.
    pub(super) fn set_len(&self, len: u64) -> io::Result<()> {
        uninterrupted(|| self.tap.run(Op::SetLen { len }, || self.system.set_len(len)))
    }

    /// Makes its bytes durable, and its length as far as they need it.
    pub(super) fn sync_data(&self) -> io::Result<()> {
        uninterrupted(|| self.tap.run(Op::SyncData, || self.system.sync_data()))
    }

    /// Sets its permissions. A [`Nicety`](super::Nicety), like every operation here that fails with an [`Errno`].
    pub(super) fn set_mode(&self, mode: u32) -> Result<(), Errno> {
        let set = || rustix::fs::fchmod(&self.system, Mode::from_raw_mode(mode));
        rustix::io::retry_on_intr(|| self.tap.run(Op::SetPermissions, set))
    }

    /// Locks it against other processes; [`Errno::WOULDBLOCK`] if one of them was quicker.
    pub(super) fn lock(&self) -> Result<(), Errno> {
        let lock = || rustix::fs::flock(&self.system, FlockOperation::NonBlockingLockExclusive);
        rustix::io::retry_on_intr(|| self.tap.run(Op::Lock, lock))
    }

    /// Whether another process, or another store of this one, has it locked.
    pub(super) fn is_locked_elsewhere(&self) -> bool {
        let lock = || rustix::fs::flock(&self.system, FlockOperation::NonBlockingLockShared);
        rustix::io::retry_on_intr(|| self.tap.run(Op::Lock, lock)) == Err(Errno::WOULDBLOCK)
    }

    /// Makes a range a hole, the length as it was; an error where the file system has none.
    #[cfg(target_os = "linux")]
    pub(super) fn punch(&self, offset: u64, len: u64) -> Result<(), Errno> {
        use rustix::fs::FallocateFlags;
        let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let punch = || rustix::fs::fallocate(&self.system, how, offset, len);
        rustix::io::retry_on_intr(|| self.tap.run(Op::Punch { offset, len }, punch))
    }

    /// Makes a range a hole, the length as it was; an error where the file system has none.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn punch(&self, _offset: u64, _len: u64) -> Result<(), Errno> {
        Err(Errno::NOTSUP)
    }

    /// Lets the system forget what it keeps of a range in memory, as far as it is synced, so that it is next read from the disk.
    #[cfg(target_os = "linux")]
    pub(super) fn forget_cached(&self, offset: u64, len: u64) {
        // Only advice: where it is not taken, memory is read.
        let _ = rustix::fs::fadvise(
            &self.system,
            offset,
            std::num::NonZeroU64::new(len),
            rustix::fs::Advice::DontNeed,
        );
    }

    /// Lets the system forget what it keeps of a range in memory: not asked for here.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn forget_cached(&self, _offset: u64, _len: u64) {}

    /// Sets space aside, the length as it was; an error where the file system cannot.
    #[cfg(target_os = "linux")]
    pub(super) fn reserve(&self, offset: u64, len: u64) -> Result<(), Errno> {
        let how = rustix::fs::FallocateFlags::KEEP_SIZE;
        let reserve = || rustix::fs::fallocate(&self.system, how, offset, len);
        rustix::io::retry_on_intr(|| self.tap.run(Op::Reserve, reserve))
    }

    /// Sets space aside, the length as it was; an error where the file system cannot.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn reserve(&self, _offset: u64, _len: u64) -> Result<(), Errno> {
        Err(Errno::NOTSUP)
    }
}

/// One call of the system each; what is provided on top of them takes up where a short one ended.
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
