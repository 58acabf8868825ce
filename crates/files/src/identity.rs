//! The identity of a file: its device and inode. A name may be given to another file at any time; an open file stays the same.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

/// Distinguishes a file from all others that exist at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(super) fn of_metadata(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    pub(super) fn of_stat(stat: &rustix::fs::Stat) -> Self {
        Self { device: wide(stat.st_dev), inode: wide(stat.st_ino) }
    }

    /// The file system it lies on.
    pub(super) fn device(self) -> u64 {
        self.device
    }

    pub(super) fn inode(self) -> u64 {
        self.inode
    }
}

/// The widths of these numbers differ between systems.
fn wide(number: impl TryInto<u64>) -> u64 {
    number.try_into().unwrap_or(0)
}
