//! The names in a folder, sorted by their bytes. They are kept in one piece of memory: a folder may have millions.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;

/// The names in a folder.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Names, each with a NUL at its end.
    bytes: Vec<u8>,
    entries: Vec<Listed>,
}

#[derive(Clone, Copy, Debug)]
struct Listed {
    start: usize,
    /// Without the NUL.
    len: u16,
    inode: u64,
}

impl Listing {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn name(&self, index: usize) -> &CStr {
        let listed = self.entries[index];
        let name = &self.bytes[listed.start..=listed.start + usize::from(listed.len)];
        CStr::from_bytes_with_nul(name).expect("every name was pushed with its NUL")
    }

    /// Its number, as the folder has it.
    pub(super) fn inode(&self, index: usize) -> u64 {
        self.entries[index].inode
    }

    /// Forgets a name.
    pub(super) fn leave_out(&mut self, name: &str) {
        let bytes = &self.bytes;
        self.entries.retain(|listed| text(bytes, *listed) != name.as_bytes());
    }

    fn push(&mut self, name: &CStr, inode: u64) {
        if matches!(name.to_bytes(), b"." | b"..") {
            return;
        }
        // No file system has longer names than 1530 bytes (255 characters of FUSE and NTFS).
        let len = u16::try_from(name.count_bytes()).unwrap_or(0);
        self.entries.push(Listed { start: self.bytes.len(), len, inode });
        self.bytes.extend_from_slice(name.to_bytes_with_nul());
    }

    fn sorted(mut self) -> Self {
        let bytes = &self.bytes;
        self.entries.sort_unstable_by(|a, b| text(bytes, *a).cmp(text(bytes, *b)));
        self
    }
}

fn text(bytes: &[u8], listed: Listed) -> &[u8] {
    &bytes[listed.start..listed.start + usize::from(listed.len)]
}

/// Lists an open folder.
#[cfg(target_os = "linux")]
pub(super) fn list(folder: &OwnedFd) -> Result<Listing, Errno> {
    let mut listing = Listing::default();
    let mut buf = Vec::with_capacity(LISTED_LEN);
    let mut raw = rustix::fs::RawDir::new(folder, buf.spare_capacity_mut());
    while let Some(entry) = raw.next() {
        match entry {
            Ok(entry) => listing.push(entry.file_name(), entry.ino()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(listing.sorted())
}

/// Lists an open folder.
#[cfg(not(target_os = "linux"))]
pub(super) fn list(folder: &OwnedFd) -> Result<Listing, Errno> {
    let mut listing = Listing::default();
    for entry in rustix::fs::Dir::read_from(folder)? {
        let entry = entry?;
        listing.push(entry.file_name(), entry.ino());
    }
    Ok(listing.sorted())
}

/// Bytes of entries that one call lists.
#[cfg(target_os = "linux")]
const LISTED_LEN: usize = 64 << 10;
