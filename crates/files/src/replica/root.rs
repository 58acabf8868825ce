//! The root of a replica, held open. Invariant: whoever acts in it first asks [`Root::check`], so that a disk that was unmounted, or a
//! folder that was replaced, is never taken for an empty one.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use rustix::time::ClockId;
use swarm_core::base::Shown;
use swarm_sync::{ReplicaError, TreePath};

use super::chunk_values::ValueFolder;
use super::fault::words;
use super::look::{Look, look_open};
use super::{FolderOptions, RootIdentity};
use crate::StoreError;
use crate::dir::Dir;

/// The root of a replica.
pub(super) struct Root {
    pub(super) dir: Dir,
    pub(super) options: FolderOptions,
    /// As it was opened.
    pub(super) home: Look,
    /// The file system below it.
    pub(super) file_system: FileSystem,
}

/// What is known of a file system by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileSystem {
    /// Its number among those that the system has mounted; on most systems it is the same after the disk was mounted again.
    id: u64,
    /// Two changes within this time may get one time of change, in nanoseconds.
    pub(super) tick_ns: i64,
    /// Names are as on Windows: case does not count, and some are reserved.
    pub(super) is_of_windows: bool,
}

impl Root {
    /// Opens the folder; links in its path are followed, because the user gave it.
    pub(super) fn open(path: &Path, options: FolderOptions) -> Result<Arc<Self>, ReplicaError> {
        let dir = Dir::open(path).map_err(|error| match error {
            StoreError::Disk { source, .. } if source.kind() == ErrorKind::PermissionDenied => locked(path),
            _ => away(path),
        })?;
        Self::over(dir, options)
    }

    /// A root that was opened before.
    pub(super) fn over(dir: Dir, options: FolderOptions) -> Result<Arc<Self>, ReplicaError> {
        let unreadable = |errno: Errno| ReplicaError::Io {
            path: Shown(dir.path()).to_string(),
            op: "look at",
            why: words(errno),
        };
        let home = look_open(&dir).map_err(unreadable)?;
        let file_system = FileSystem::of(&dir).map_err(unreadable)?;
        Ok(Arc::new(Self { dir, options, home, file_system }))
    }

    /// Whether the run may go on: its path still leads to this folder, and nobody asked to stop.
    pub(super) fn check(&self) -> Result<(), ReplicaError> {
        self.check_stop()?;
        self.check_place()
    }

    /// Whether the path of the root still leads to it.
    pub(super) fn check_place(&self) -> Result<(), ReplicaError> {
        if self.dir.is_at_its_place() { Ok(()) } else { Err(away(self.dir.path())) }
    }

    pub(super) fn check_stop(&self) -> Result<(), ReplicaError> {
        if self.options.stop.load(Ordering::Relaxed) { Err(ReplicaError::Stopped) } else { Ok(()) }
    }

    pub(super) fn identity(&self) -> RootIdentity {
        let id = self.home.id;
        RootIdentity { device: id.device, inode: id.inode, file_system: self.file_system.id }
    }

    /// Where the values of chunks are kept.
    pub(super) fn chunk_values(&self) -> Option<ValueFolder> {
        self.options.chunk_values.clone().map(ValueFolder::new)
    }

    /// Whether the user excluded this path or a folder above it.
    pub(super) fn ignores(&self, path: &TreePath, is_folder: bool) -> bool {
        self.options.ignore.as_ref().is_some_and(|ignore| ignore(path, is_folder))
    }

    /// Whether what was just looked at may change again without a new time of change.
    pub(super) fn may_change_unseen(&self, look: &Look) -> bool {
        look.changed_ns.saturating_add(self.file_system.tick_ns) > now_ns()
    }
}

impl FileSystem {
    #[cfg(target_os = "linux")]
    fn of(dir: &Dir) -> Result<Self, Errno> {
        let kind = rustix::fs::fstatfs(dir)?.f_type as u64 & 0xffff_ffff;
        let is_of_windows = WINDOWS.contains(&kind);
        let is_coarse = is_of_windows || COARSE.contains(&kind);
        let tick_ns = if is_coarse { COARSE_TICK_NS } else { TICK_NS };
        Ok(Self { id: rustix::fs::fstatvfs(dir)?.f_fsid, tick_ns, is_of_windows })
    }

    #[cfg(not(target_os = "linux"))]
    fn of(dir: &Dir) -> Result<Self, Errno> {
        Ok(Self { id: rustix::fs::fstatvfs(dir)?.f_fsid, tick_ns: COARSE_TICK_NS, is_of_windows: false })
    }
}

impl Default for FolderOptions {
    fn default() -> Self {
        Self { stop: Arc::new(AtomicBool::new(false)), ignore: None, chunk_values: None, digests: None }
    }
}

/// A root that is not there now: said in a way that the user does not take for an empty folder.
fn away(path: &Path) -> ReplicaError {
    let why = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            "was replaced by another folder, or another file system is mounted there: put the former one back; if it is lost, choose another folder"
        }
        Ok(_) => "is not a folder",
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return locked(path),
        Err(_) => {
            "is not there: mount its disk, or put the folder back; if it is lost, choose another folder"
        }
    };
    ReplicaError::Gone(format!("`{}` {why}", Shown(path)))
}

/// A root that this user may not read.
fn locked(path: &Path) -> ReplicaError {
    let why = "permission denied: get the permission to read and write it, and run the same command again";
    ReplicaError::Io { path: Shown(path).to_string(), op: "open", why: why.to_owned() }
}

/// The time that the system stamps files with.
fn now_ns() -> i64 {
    let now = rustix::time::clock_gettime(STAMPING);
    now.tv_sec.saturating_mul(1_000_000_000).saturating_add(now.tv_nsec)
}

/// Linux stamps files with the clock that moves on at each tick of its timer.
#[cfg(target_os = "linux")]
const STAMPING: ClockId = ClockId::RealtimeCoarse;
#[cfg(not(target_os = "linux"))]
const STAMPING: ClockId = ClockId::Realtime;
/// Two ticks of the slowest timer that kernels are built with (100 Hz).
const TICK_NS: i64 = 20_000_000;
/// FAT keeps times of change to two seconds, and another machine's clock stamps the files of a network file system.
const COARSE_TICK_NS: i64 = 2_000_000_000;
/// FAT, exFAT, NTFS (three drivers), CIFS and SMB2 (statfs(2), linux/magic.h).
#[cfg(target_os = "linux")]
const WINDOWS: [u64; 6] = [0x4d44, 0x2011_bab0, 0x5346_544e, 0x7366_746e, 0xff53_4d42, 0xfe53_4d42];
/// FUSE and NFS.
#[cfg(target_os = "linux")]
const COARSE: [u64; 2] = [0x6573_5546, 0x6969];
