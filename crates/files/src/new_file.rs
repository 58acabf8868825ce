//! A file that comes from elsewhere into a folder of the user: written beside the tree, then renamed to its place. Invariant: what stands at a place
//! is whole; a file that stands there is replaced only if its bytes are those that the caller expects, and what was put is durable. Nothing is
//! followed out of the folder.

use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::StoreError;
use super::dir::{Access, Dir, Standing};
use super::file::File;

/// A file that is being written.
pub struct NewFile {
    dir: Dir,
    file: File,
    temporary: PathBuf,
    len: u64,
}

/// Why a file was not put.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// Something stands there that was not expected.
    #[error("`{0}` is there already, and is not what was to be replaced")]
    Stands(String),
    /// The disk refused it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What may stand where a file is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaces {
    /// Nothing.
    Nothing,
    /// A file with this BLAKE3.
    File([u8; 32]),
}

impl NewFile {
    /// Begins a file in a folder; `name` tells it from others that are written at the time.
    ///
    /// # Errors
    /// If the folder is not there, or cannot be written.
    pub fn begin(folder: &Path, name: &str) -> Result<Self, StoreError> {
        let dir = Dir::open(folder)?;
        let ours = Path::new(UPLOADS);
        dir.make_directory(ours)?;
        let temporary = ours.join(name);
        let file = dir.open_file(&temporary, Access::CreateNew)?;
        Ok(Self { dir, file, temporary, len: 0 })
    }

    /// Writes what comes next.
    ///
    /// # Errors
    /// If the disk refuses it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let written = self.file.system().write_all_at(bytes, self.len);
        written.map_err(StoreError::disk(&self.dir.full(&self.temporary), "write"))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Sets when it was modified, in nanoseconds since 1970. Call it after the last write.
    ///
    /// # Errors
    /// If the disk refuses it.
    pub fn set_modified(&self, modified_ns: i64) -> Result<(), StoreError> {
        let since = Duration::from_nanos(modified_ns.unsigned_abs());
        let at = if modified_ns < 0 { UNIX_EPOCH.checked_sub(since) } else { UNIX_EPOCH.checked_add(since) };
        let set = self.file.system().set_modified(at.unwrap_or(UNIX_EPOCH));
        set.map_err(StoreError::disk(&self.dir.full(&self.temporary), "set the time of"))
    }

    /// Bytes that were written.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Makes it durable, and puts it to its place below the folder.
    ///
    /// # Errors
    /// [`PutError::Stands`] if something else stands there; then nothing has changed.
    pub fn put(self, relative: &Path, replaces: Replaces) -> Result<(), PutError> {
        self.file.sync_data().map_err(StoreError::disk(&self.dir.full(&self.temporary), "sync"))?;
        let parent = relative.parent().unwrap_or(Path::new(""));
        self.dir.make_directory(parent)?;
        let stands = || PutError::Stands(relative.to_string_lossy().into_owned());
        let is_there = match (self.dir.stat(relative)?, replaces) {
            (Standing::Nothing, _) => false,
            (Standing::File { .. }, Replaces::File(expected)) => {
                if self.hash_of(relative)? != expected {
                    return Err(stands());
                }
                true
            }
            _ => return Err(stands()),
        };
        let renamed = self.dir.rename(&self.temporary, relative, is_there);
        if renamed.is_err() && !is_there && !matches!(self.dir.stat(relative), Ok(Standing::Nothing)) {
            return Err(stands());
        }
        renamed?;
        self.dir.sync_directory(parent)?;
        Ok(())
    }

    fn hash_of(&self, relative: &Path) -> Result<[u8; 32], StoreError> {
        let file = self.dir.open_file(relative, Access::Read)?;
        let mut hasher = blake3::Hasher::new();
        let (mut at, mut block) = (0, vec![0; BLOCK_LEN]);
        let failed = |error: io::Error| StoreError::disk(&self.dir.full(relative), "read")(error);
        loop {
            match file.system().read_at(&mut block, at).map_err(failed)? {
                0 => return Ok(hasher.finalize().into()),
                read => {
                    hasher.update(&block[..read]);
                    at += read as u64;
                }
            }
        }
    }
}

impl Drop for NewFile {
    /// Of a file that was put, nothing stands there any more.
    fn drop(&mut self) {
        let _ = self.dir.remove_file(&self.temporary);
    }
}

const UPLOADS: &str = ".swarm/uploads";
const BLOCK_LEN: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn put(folder: &Path, relative: &str, bytes: &[u8], replaces: Replaces) -> Result<(), PutError> {
        let mut new = NewFile::begin(folder, "one")?;
        bytes.chunks(3).try_for_each(|part| new.write(part))?;
        new.put(Path::new(relative), replaces)
    }

    #[test]
    fn a_file_takes_its_place_whole_and_replaces_only_what_is_expected() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |relative: &str| std::fs::read(folder.path().join(relative)).ok();
        put(folder.path(), "a/b/c.txt", b"first", Replaces::Nothing).expect("put");
        assert_eq!(at("a/b/c.txt").as_deref(), Some(&b"first"[..]));
        let refused = [Replaces::Nothing, Replaces::File(blake3::hash(b"other").into())];
        for replaces in refused {
            let error = put(folder.path(), "a/b/c.txt", b"second", replaces).expect_err("it stands");
            assert!(matches!(error, PutError::Stands(_)), "{error}");
        }
        put(folder.path(), "a/b/c.txt", b"second", Replaces::File(blake3::hash(b"first").into()))
            .expect("put");
        assert_eq!(at("a/b/c.txt").as_deref(), Some(&b"second"[..]));
        let left = std::fs::read_dir(folder.path().join(UPLOADS)).expect("there").count();
        assert_eq!(left, 0);
    }

    #[test]
    fn nothing_leaves_the_folder() {
        let (folder, outside) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("another"));
        std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).expect("a link");
        std::os::unix::fs::symlink(outside.path().join("new"), folder.path().join("file")).expect("a link");
        for relative in ["link/a", "../a", "file"] {
            assert!(put(folder.path(), relative, b"x", Replaces::Nothing).is_err(), "{relative}");
        }
        assert_eq!(std::fs::read_dir(outside.path()).expect("there").count(), 0);
    }
}
