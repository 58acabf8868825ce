//! Who works on a pair. One process at a time scans it and performs what is planned; others may read its index and decide conflicts
//! meanwhile. The system takes the lock away from a process that ends, however it ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::IndexError;

/// The right to work on a pair, until it is dropped.
#[derive(Debug)]
pub struct IndexLock {
    file: File,
}

impl IndexLock {
    /// Takes the lock beside an index, unless another process has it.
    pub fn try_lock(index: &Path) -> Result<Self, IndexError> {
        Self::take(index, FlockOperation::NonBlockingLockExclusive)
    }

    /// Takes the lock beside an index; waits until no other process has it.
    pub fn wait(index: &Path) -> Result<Self, IndexError> {
        Self::take(index, FlockOperation::LockExclusive)
    }

    fn take(index: &Path, how: FlockOperation) -> Result<Self, IndexError> {
        let path = lock_path(index);
        let failed = |error: &io::Error| IndexError::disk(&path, "lock", error);
        // The file stays when the lock is dropped: if it were removed, two processes could hold locks on two files of this name.
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&path).map_err(|error| failed(&error))?;
        match rustix::io::retry_on_intr(|| rustix::fs::flock(&file, how)) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(IndexError::HeldBy { pid: pid_in(&mut file), path }),
            Err(error) => return Err(failed(&error.into())),
        }
        write_pid(&mut file).map_err(|error| failed(&error))?;
        Ok(Self { file })
    }
}

/// The next holder must not be taken for this process before it has written its own number.
impl Drop for IndexLock {
    fn drop(&mut self) {
        // If it fails, a message may name a process that has ended: no harm.
        let _ = self.file.set_len(0);
    }
}

fn lock_path(index: &Path) -> PathBuf {
    let mut name = index.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn pid_in(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
