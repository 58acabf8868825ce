//! What the disk tells of an entry without reading it. Links are never followed.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;
use swarm_sync::{FileId, Stamp};

/// An entry as the disk tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) kind: FileType,
    /// Permissions, with the set-id bits.
    pub(super) mode: u32,
    pub(super) id: FileId,
    /// The mount through which it is seen, if the system tells: a bind mount has the device of its source.
    pub(super) mount: Option<u64>,
    pub(super) owner: u32,
    pub(super) group: u32,
    /// In bytes.
    pub(super) len: u64,
    pub(super) modified_ns: i64,
    pub(super) changed_ns: i64,
}

impl Look {
    /// What the replica remembers of it.
    pub(super) fn stamp(&self) -> Stamp {
        Stamp { id: Some(self.id), changed_ns: self.changed_ns }
    }

    /// Whether its owner may execute it.
    pub(super) fn is_executable(&self) -> bool {
        self.mode & OWNER_EXECUTES != 0
    }

    pub(super) fn is_file(&self) -> bool {
        self.kind == FileType::RegularFile
    }

    /// Whether it is the same entry with the same bytes, if nobody set its times. A rename changes the time of its metadata, so that does
    /// not count.
    pub(super) fn has_bytes_of(&self, other: &Self) -> bool {
        (self.kind, self.id, self.len, self.modified_ns)
            == (other.kind, other.id, other.len, other.modified_ns)
    }

    /// Whether nothing at all happened to the entry between both looks.
    pub(super) fn is_unchanged_since(&self, other: &Self) -> bool {
        self.has_bytes_of(other) && self.changed_ns == other.changed_ns && self.mode == other.mode
    }
}

/// Looks at an entry of an open folder.
pub(super) fn look_at<P: rustix::path::Arg + Copy>(folder: BorrowedFd<'_>, name: P) -> Result<Look, Errno> {
    rustix::io::retry_on_intr(|| look(folder, name, AtFlags::SYMLINK_NOFOLLOW))
}

/// Looks at an open file or folder.
pub(super) fn look_open(open: impl AsFd) -> Result<Look, Errno> {
    rustix::io::retry_on_intr(|| look(open.as_fd(), OsStr::new(""), AtFlags::EMPTY_PATH))
}

/// Asks for what is needed alone. Network file systems answer as they do to `stat`: without asking the server at all, a change by another
/// machine would stay unseen.
#[cfg(target_os = "linux")]
fn look<P: rustix::path::Arg + Copy>(at: BorrowedFd<'_>, name: P, how: AtFlags) -> Result<Look, Errno> {
    use rustix::fs::StatxFlags;
    let mask = StatxFlags::TYPE
        | StatxFlags::MODE
        | StatxFlags::INO
        | StatxFlags::UID
        | StatxFlags::GID
        | StatxFlags::SIZE
        | StatxFlags::MTIME
        | StatxFlags::CTIME
        | StatxFlags::MNT_ID;
    let told = match rustix::fs::statx(at, name, how | AtFlags::NO_AUTOMOUNT, mask) {
        Ok(told) => told,
        Err(Errno::NOSYS) => return look_plainly(at, name, how),
        Err(errno) => return Err(errno),
    };
    let device = rustix::fs::makedev(told.stx_dev_major, told.stx_dev_minor);
    Ok(Look {
        kind: FileType::from_raw_mode(told.stx_mode.into()),
        mode: u32::from(told.stx_mode) & PERMISSIONS,
        id: FileId { device, inode: told.stx_ino },
        mount: (told.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(told.stx_mnt_id),
        owner: told.stx_uid,
        group: told.stx_gid,
        len: told.stx_size,
        modified_ns: nanoseconds(told.stx_mtime.tv_sec, i64::from(told.stx_mtime.tv_nsec)),
        changed_ns: nanoseconds(told.stx_ctime.tv_sec, i64::from(told.stx_ctime.tv_nsec)),
    })
}

#[cfg(not(target_os = "linux"))]
fn look<P: rustix::path::Arg + Copy>(at: BorrowedFd<'_>, name: P, how: AtFlags) -> Result<Look, Errno> {
    look_plainly(at, name, how)
}

/// As `look`, on systems whose only call is `stat`: it does not tell mounts apart.
fn look_plainly<P: rustix::path::Arg + Copy>(
    at: BorrowedFd<'_>,
    name: P,
    how: AtFlags,
) -> Result<Look, Errno> {
    let told = if how.contains(AtFlags::SYMLINK_NOFOLLOW) {
        rustix::fs::statat(at, name, how)
    } else {
        rustix::fs::fstat(at)
    }?;
    Ok(Look {
        kind: FileType::from_raw_mode(told.st_mode),
        mode: u32::try_from(wide(told.st_mode)).unwrap_or(0) & PERMISSIONS,
        id: FileId { device: wide(told.st_dev), inode: wide(told.st_ino) },
        mount: None,
        owner: told.st_uid,
        group: told.st_gid,
        len: wide(told.st_size),
        modified_ns: nanoseconds(wide_time(told.st_mtime), wide_time(told.st_mtime_nsec)),
        changed_ns: nanoseconds(wide_time(told.st_ctime), wide_time(told.st_ctime_nsec)),
    })
}

/// The widths of these numbers differ between systems.
fn wide(number: impl TryInto<u64>) -> u64 {
    number.try_into().unwrap_or(0)
}

fn wide_time(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// Times that no `i64` holds are the last or first one that it does: the years 1677 and 2262.
fn nanoseconds(secs: i64, nanos: i64) -> i64 {
    secs.saturating_mul(1_000_000_000).saturating_add(nanos)
}

const OWNER_EXECUTES: u32 = 0o100;
const PERMISSIONS: u32 = 0o7777;
