//! One daemon keeps a folder: two that wrote to one would take each other's work for that of people. Invariant: the lock ends with its process,
//! however that ends; where a file system has no locks, nothing is refused.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::error::LibraryError;

/// The right to keep a sync target.
#[derive(Debug)]
pub(crate) struct TargetLock {
    dir: PathBuf,
    /// Nothing where there are no locks.
    _file: Option<File>,
}

impl TargetLock {
    /// Takes it for the daemon with this state of the library.
    ///
    /// # Errors
    /// [`LibraryError::KeptByOther`] if another process has it.
    pub(crate) fn take(dir: &Path, state: &Path) -> Result<Self, LibraryError> {
        let file = match opened(dir) {
            Ok(mut file) => match file.try_lock() {
                Ok(()) => {
                    // It is for messages alone.
                    let _ = tell(&mut file, state);
                    Some(file)
                }
                Err(TryLockError::WouldBlock) => {
                    let dir = dir.to_owned();
                    return Err(LibraryError::KeptByOther { dir, other: told(&mut file) });
                }
                Err(TryLockError::Error(_)) => None,
            },
            // A disk that is full or read-only: what is to be written says so.
            Err(_) => None,
        };
        Ok(Self { dir: dir.to_owned(), _file: file })
    }

    pub(crate) fn is_of(&self, dir: &Path) -> bool {
        self.dir == dir
    }
}

fn opened(dir: &Path) -> std::io::Result<File> {
    let path = dir.join(swarm_sync::STATE_FOLDER_NAME).join(LOCK);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    // What others put there is not followed.
    options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    options.open(path)
}

fn tell(file: &mut File, state: &Path) -> std::io::Result<()> {
    let daemon = state.ancestors().nth(STATE_DEPTH).unwrap_or(state);
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(daemon.as_os_str().as_bytes())
}

/// The folder of the other daemon, as it wrote it.
fn told(file: &mut File) -> PathBuf {
    let mut text = String::new();
    // Without it the message says less.
    let _ = file.take(TOLD_LEN_MAX).read_to_string(&mut text);
    PathBuf::from(text.trim())
}

/// In the state folder of a sync target.
const LOCK: &str = "daemon.lock";
/// From the state of a library to the folder of its daemon.
const STATE_DEPTH: usize = 3;
const TOLD_LEN_MAX: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_kept_by_one_until_that_ends() {
        let place = tempfile::tempdir().expect("a place");
        std::fs::create_dir(place.path().join(swarm_sync::STATE_FOLDER_NAME)).expect("a place");
        let state = Path::new("/daemons/one/.swarm/libraries/guid");
        let lock = TargetLock::take(place.path(), state).expect("it is free");
        let refused = TargetLock::take(place.path(), state).expect_err("it is kept").to_string();
        assert!(refused.contains("another daemon (`/daemons/one`)"), "{refused}");
        drop(lock);
        TargetLock::take(place.path(), state).expect("it is free again");
        let away = TargetLock::take(&place.path().join("away"), state).expect("nothing is refused");
        assert!(away.is_of(&place.path().join("away")));
    }
}
