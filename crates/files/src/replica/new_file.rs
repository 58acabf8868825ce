//! A file that comes from elsewhere into a folder of the user: written beside the tree, then renamed to its place. Invariant: what stands at a place
//! is whole; a file that stands there is replaced only if its bytes are those that the caller expects, and becomes a kept version; what was put is
//! durable. Nothing is followed out of the folder, and nothing is put into `.swarm`.

use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rustix::io::Errno;
use swarm_core::base::Shown;
use swarm_sync::{ReplicaError, RunId, TreePath};

use super::reading::is_ours;
use super::versions;
use crate::dir::{Access, Dir, Standing};
use crate::error::StoreError;
use crate::file::File;

/// A file that is being written.
pub struct NewFile {
    pub(super) dir: Dir,
    pub(super) file: File,
    pub(super) temporary: PathBuf,
    pub(super) len: u64,
    /// Whether it stays where it is written when it is dropped: somebody goes on with it later.
    pub(super) stays: bool,
}

/// Why a file was not put.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// Something else stands there, or what was to be replaced is gone.
    #[error("what stands at `{}` is not what was to be replaced", Shown(.0.as_str()))]
    Stands(TreePath),
    /// The folder `.swarm` is not the user's.
    #[error("nothing is put into `.swarm`, which holds what is kept of the folder: choose another name")]
    Ours,
    /// What is replaced cannot be kept.
    #[error(transparent)]
    Kept(#[from] ReplicaError),
    /// The disk refused it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What may stand where a file is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaces {
    /// Nothing.
    Nothing,
    /// A file with this BLAKE3, which has to be there and becomes a kept version of that run.
    File([u8; 32], RunId),
}

impl NewFile {
    /// Begins a file in a folder; `name` tells it from others that are written at the time.
    ///
    /// # Errors
    /// If the folder is not there, or cannot be written.
    pub fn begin(folder: &Path, name: &str) -> Result<Self, StoreError> {
        Self::begin_in(Dir::open(folder)?, name)
    }

    pub(crate) fn begin_in(dir: Dir, name: &str) -> Result<Self, StoreError> {
        let ours = Path::new(UPLOADS);
        dir.make_directory(ours)?;
        let temporary = ours.join(name);
        let file = dir.open_file(&temporary, Access::CreateNew)?;
        Ok(Self { dir, file, temporary, len: 0, stays: false })
    }

    /// Writes what comes next.
    ///
    /// # Errors
    /// If the disk refuses it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let written = self.file.write_all_at(bytes, self.len);
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
    pub fn put(self, path: &TreePath, replaces: Replaces) -> Result<(), PutError> {
        self.put_to(path, replaces)
    }

    /// The same; a file that was not put is still where it was written.
    pub(super) fn put_to(&self, path: &TreePath, replaces: Replaces) -> Result<(), PutError> {
        Self::check_name(path)?;
        let at = Path::new(path.as_str());
        let parent = at.parent().unwrap_or(Path::new(""));
        self.dir.make_directory(parent)?;
        match (self.dir.stat(at)?, replaces) {
            (Standing::Nothing, Replaces::Nothing) => {
                self.sync()?;
                self.put_new(path, at)?;
            }
            (Standing::File { .. }, Replaces::File(expected, run)) if self.hash_of(at)? == expected => {
                self.take_mode_of(at)?;
                self.sync()?;
                self.put_in_place_of(path, expected, run)?;
            }
            _ => return Err(PutError::Stands(path.clone())),
        }
        self.sync_above(at)
    }

    /// Goes on if a file may have such a path at all: known before its bytes come.
    ///
    /// # Errors
    /// [`PutError::Ours`] for what is not the user's.
    pub fn check_name(path: &TreePath) -> Result<(), PutError> {
        if is_ours(path) { Err(PutError::Ours) } else { Ok(()) }
    }

    /// Removes what uploads left that a process did not bring to an end, except those that somebody may go on with ([`PartialFile`](super::PartialFile)).
    /// No other process may put files into the folder now.
    ///
    /// # Errors
    /// If the disk refuses it.
    pub fn remove_leftovers(folder: &Path) -> Result<(), StoreError> {
        let (dir, ours) = (Dir::open(folder)?, Path::new(UPLOADS));
        let resumable = Path::new(RESUMABLE);
        if dir.stat(resumable)? != Standing::Directory {
            return dir.remove_tree(ours);
        }
        let names = dir.names(ours)?.into_iter().map(|name| ours.join(name));
        names.filter(|name| name != resumable).try_for_each(|name| dir.remove_tree(&name))
    }

    fn put_new(&self, path: &TreePath, at: &Path) -> Result<(), PutError> {
        match self.dir.rename(&self.temporary, at, false) {
            Ok(()) => Ok(()),
            Err(error) if matches!(self.dir.stat(at), Ok(Standing::Nothing)) => Err(error.into()),
            Err(_) => Err(PutError::Stands(path.clone())),
        }
    }

    /// Takes the place of a file. What stands there may be edited at this moment: it is looked at again once it stands where nobody else writes,
    /// which is the place of the kept version. So at no moment is the only copy of it at a name that is cleaned up.
    fn put_in_place_of(&self, path: &TreePath, expected: [u8; 32], run: RunId) -> Result<(), PutError> {
        let at = Path::new(path.as_str());
        let kept = versions::place(&versions::slot(&self.dir, run, path)?);
        self.sync_above(&kept)?;
        let before = self.stamp()?;
        self.dir.rename(&self.temporary, &kept, false)?;
        match self.dir.exchange(&kept, at) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                self.dir.rename(&kept, &self.temporary, false)?;
                return self.put_after(path, &kept, expected);
            }
            Err(errno) => {
                self.dir.rename(&kept, &self.temporary, false)?;
                return Err(self.dir.refused(at, "replace", errno).into());
            }
        }
        if self.hash_of(&kept).is_ok_and(|found| found == expected) {
            return Ok(self.dir.sync_directory(kept.parent().unwrap_or(Path::new("")))?);
        }
        let is_back = self.dir.exchange(&kept, at).is_ok();
        // Only the new file may be taken back, and only if nobody wrote to it in the moment that it had the name. Where somebody put another file
        // there meanwhile, that one stays a version.
        if is_back && self.is_at(&kept)? && self.stamp()? == before {
            self.dir.rename(&kept, &self.temporary, false)?;
        }
        Err(PutError::Stands(path.clone()))
    }

    /// The same on a file system where two files cannot take each other's place: for a moment nothing stands there.
    fn put_after(&self, path: &TreePath, kept: &Path, expected: [u8; 32]) -> Result<(), PutError> {
        let at = Path::new(path.as_str());
        self.dir.rename(at, kept, false)?;
        self.dir.sync_directory(kept.parent().unwrap_or(Path::new("")))?;
        let is_expected = self.hash_of(kept).is_ok_and(|found| found == expected);
        let put = if is_expected { self.put_new(path, at) } else { Err(PutError::Stands(path.clone())) };
        if put.is_err() {
            // If the name is taken by now, it stays a version.
            let _ = self.dir.rename(kept, at, false);
        }
        put
    }

    /// Whether the new file is what stands there.
    fn is_at(&self, relative: &Path) -> Result<bool, StoreError> {
        let place = self.dir.full(relative);
        let failed = StoreError::disk(&place, "stat");
        let (there, ours) = (self.dir.open_file(relative, Access::Read)?.metadata(), self.file.metadata());
        let (there, ours) = there.and_then(|there| Ok((there, ours?))).map_err(failed)?;
        Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino()))
    }

    /// Tells whether somebody wrote to the new file.
    fn stamp(&self) -> Result<(u64, i64, i64), StoreError> {
        let metadata =
            self.file.metadata().map_err(StoreError::disk(&self.dir.full(&self.temporary), "stat"))?;
        Ok((metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
    }

    /// A file that its owner may execute stays one.
    fn take_mode_of(&self, at: &Path) -> Result<(), StoreError> {
        let failed = |error: io::Error| StoreError::disk(&self.dir.full(at), "set the mode of")(error);
        let mode = self.dir.open_file(at, Access::Read)?.metadata().map_err(failed)?.mode();
        self.file.set_mode(mode & 0o777).map_err(|errno| failed(errno.into()))
    }

    /// Makes a name durable. The folders above it may be new, too: each is durable before what it holds.
    fn sync_above(&self, at: &Path) -> Result<(), PutError> {
        let above: Vec<&Path> = at.ancestors().skip(1).collect();
        above.into_iter().rev().try_for_each(|above| self.dir.sync_directory(above)).map_err(PutError::from)
    }

    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(StoreError::disk(&self.dir.full(&self.temporary), "sync"))
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
        if self.stays {
            return;
        }
        let _ = self.dir.remove_file(&self.temporary);
    }
}

const UPLOADS: &str = ".swarm/uploads";
/// Below it: files that come in several parts.
pub(super) const RESUMABLE: &str = ".swarm/uploads/resumable";
const BLOCK_LEN: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use swarm_sync::KeptId;

    use super::*;

    const RUN: RunId = RunId::at_ms(7);

    fn put(folder: &Path, relative: &str, bytes: &[u8], replaces: Replaces) -> Result<(), PutError> {
        let mut new = NewFile::begin(folder, "one")?;
        bytes.chunks(3).try_for_each(|part| new.write(part))?;
        new.put(&TreePath::new(relative).expect("a path"), replaces)
    }

    fn instead_of(bytes: &[u8]) -> Replaces {
        Replaces::File(blake3::hash(bytes).into(), RUN)
    }

    #[test]
    fn a_file_takes_its_place_whole_and_replaces_only_what_is_expected() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |relative: &str| std::fs::read(folder.path().join(relative)).ok();
        put(folder.path(), "a/b/c.txt", b"first", Replaces::Nothing).expect("put");
        assert_eq!(at("a/b/c.txt").as_deref(), Some(&b"first"[..]));
        for replaces in [Replaces::Nothing, instead_of(b"other")] {
            let error = put(folder.path(), "a/b/c.txt", b"second", replaces).expect_err("it stands");
            assert!(matches!(error, PutError::Stands(_)), "{error}");
        }
        let error = put(folder.path(), "gone.txt", b"second", instead_of(b"first")).expect_err("it is gone");
        assert!(matches!(error, PutError::Stands(_)) && at("gone.txt").is_none(), "{error}");
        put(folder.path(), "a/b/c.txt", b"second", instead_of(b"first")).expect("put");
        assert_eq!(at("a/b/c.txt").as_deref(), Some(&b"second"[..]));
        let left = std::fs::read_dir(folder.path().join(UPLOADS)).expect("there").count();
        assert_eq!(left, 0);
    }

    #[test]
    fn what_is_replaced_is_kept_and_its_mode_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path().join("run.sh");
        put(folder.path(), "run.sh", b"first", Replaces::Nothing).expect("put");
        std::fs::set_permissions(&at, std::fs::Permissions::from_mode(0o755)).expect("set");
        put(folder.path(), "run.sh", b"second", instead_of(b"first")).expect("put");
        put(folder.path(), "run.sh", b"third", instead_of(b"second")).expect("put");
        assert_eq!(at.metadata().expect("there").mode() & 0o777, 0o755);
        for (number, bytes) in [(0, b"first".as_slice()), (1, b"second")] {
            let id = KeptId { run: RUN, path: TreePath::new("run.sh").expect("a path"), number };
            let kept = std::fs::read(folder.path().join(versions::place(&id)));
            assert_eq!(kept.expect("it is kept"), bytes);
        }
    }

    #[test]
    fn on_any_file_system_what_stands_there_is_kept_or_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        put(folder.path(), "a", b"first", Replaces::Nothing).expect("put");
        let path = TreePath::new("a").expect("a path");
        let new = || {
            let mut new = NewFile::begin(folder.path(), "one").expect("begun");
            new.write(b"second").map(|()| new).expect("written")
        };
        let (other, kept) = (blake3::hash(b"other"), Path::new("kept"));
        new().put_after(&path, kept, other.into()).expect_err("it is another one");
        assert_eq!(std::fs::read(folder.path().join("a")).expect("there"), b"first");
        new().put_after(&path, kept, blake3::hash(b"first").into()).expect("put");
        assert_eq!(std::fs::read(folder.path().join("a")).expect("there"), b"second");
        assert_eq!(std::fs::read(folder.path().join("kept")).expect("there"), b"first");
    }

    #[test]
    fn nothing_is_put_into_our_own_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        for path in [".swarm/mount", ".swarm/versions/x", ".swarm", ".SWARM/mount", ".\u{17f}warm/mount"] {
            let error = put(folder.path(), path, b"x", Replaces::Nothing).expect_err("it is ours");
            assert!(matches!(error, PutError::Ours), "{path}: {error}");
        }
        put(folder.path(), "sub/.swarm/x", b"x", Replaces::Nothing).expect("only the one at the top is ours");
    }

    #[test]
    fn what_an_upload_left_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join(UPLOADS)).expect("made");
        std::fs::write(folder.path().join(UPLOADS).join("half"), "half").expect("written");
        NewFile::remove_leftovers(folder.path()).expect("removed");
        assert!(!folder.path().join(UPLOADS).exists());
        NewFile::remove_leftovers(folder.path()).expect("nothing is there");
    }

    #[test]
    fn nothing_leaves_the_folder() {
        let (folder, outside) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("another"));
        std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).expect("a link");
        std::os::unix::fs::symlink(outside.path().join("new"), folder.path().join("file")).expect("a link");
        for relative in ["link/a", "file"] {
            assert!(put(folder.path(), relative, b"x", Replaces::Nothing).is_err(), "{relative}");
        }
        assert_eq!(std::fs::read_dir(outside.path()).expect("there").count(), 0);
    }
}
