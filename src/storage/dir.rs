//! A held folder. Invariant: every operation stays below it and goes through no symbolic link, whatever others do to the
//! tree meanwhile. Linux resolves a path in one call (`openat2`); elsewhere each component is opened in turn.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::StoreError;
use super::file::File;
use super::tap::{Op, Tap};

/// A folder that stays the same one if it is renamed.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
    tap: Tap,
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// For reading; it must exist.
    Read,
    /// For reading and writing; it must exist.
    Write,
    /// For writing past the page cache, where the file system can; it must exist.
    WriteDirect,
    /// For reading and writing; nothing must stand there.
    CreateNew,
    /// For reading and writing; made if it is not there.
    Create,
}

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing.
    Nothing,
    /// A regular file of so many bytes.
    File {
        /// Its length, bytes.
        len: u64,
    },
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, socket or pipe.
    Special,
}

impl Dir {
    /// Holds a folder that exists. The path itself is the user's own: links in it are followed.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let at = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let fd = rustix::fs::open(at, flags, Mode::empty())
            .map_err(|errno| StoreError::disk(at, "open folder")(errno.into()))?;
        Ok(Self { fd, path: at.to_owned(), tap: Tap::default() })
    }

    /// The same folder, looked into by a test.
    #[cfg(test)]
    pub(super) fn tapped(self, tap: Tap) -> Self {
        Self { tap, ..self }
    }

    /// Holds a folder, made with its parents if it is missing.
    pub(crate) fn create(path: &Path) -> Result<Self, StoreError> {
        if !path.as_os_str().is_empty() {
            let missing_count = path.ancestors().take_while(|at| !at.exists()).count();
            std::fs::create_dir_all(path).map_err(|error| not_made(path, error))?;
            // What is synced in a folder is worth nothing if its name is lost. Some may be searched but not read: those are left.
            for parent in path.ancestors().skip(1).take(missing_count) {
                if let Ok(parent) = Self::open(parent) {
                    parent.sync_directory(Path::new(""))?;
                }
            }
        }
        Self::open(path)
    }

    /// Its path, as it was opened.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of something in it, for messages.
    pub(crate) fn full(&self, relative: &Path) -> PathBuf {
        self.path.join(relative)
    }

    /// Whether its path leads to it, or to nothing (it was moved); an error if something else stands there now.
    pub(crate) fn check_place(&self) -> Result<(), StoreError> {
        let held = rustix::fs::fstat(&self.fd).map_err(|e| self.refused(Path::new(""), "stat", e))?;
        match rustix::fs::stat(&self.path) {
            Ok(there) if (there.st_dev, there.st_ino) != (held.st_dev, held.st_ino) => {
                Err(StoreError::Displaced { path: self.path.clone() })
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Opens a regular file; anything else there is an error, and never waited for.
    pub(crate) fn open_file(&self, relative: &Path, access: Access) -> Result<File, StoreError> {
        let how = match access {
            Access::Read => OFlags::RDONLY,
            Access::Write => OFlags::RDWR,
            Access::WriteDirect => OFlags::WRONLY | DIRECT,
            Access::CreateNew => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
            Access::Create => OFlags::RDWR | OFlags::CREATE,
        };
        // NONBLOCK: opening a pipe nobody reads would hang; it means nothing on a regular file.
        let fd = self
            .run(Op::Open { path: relative, access }, || self.open_at(relative, how | OFlags::NONBLOCK))
            .map_err(|errno| self.refused(relative, "open", errno))?;
        let file = File::new(fd.into(), relative, &self.tap);
        let is_file = file.metadata().map_err(StoreError::disk(&self.full(relative), "stat"))?.is_file();
        if is_file { Ok(file) } else { Err(StoreError::NotAFile { path: self.full(relative) }) }
    }

    /// What stands there, the last component not followed.
    pub(crate) fn stat(&self, relative: &Path) -> Result<Standing, StoreError> {
        let stat = self.run(Op::Stat, || {
            let (parent, name) = self.parent(relative)?;
            rustix::fs::statat(parent.as_fd(self), name, AtFlags::SYMLINK_NOFOLLOW)
        });
        let stat = match stat {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(Standing::Nothing),
            Err(errno) => return Err(self.refused(relative, "stat", errno)),
        };
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Standing::File { len: u64::try_from(stat.st_size).unwrap_or(0) },
            FileType::Directory => Standing::Directory,
            FileType::Symlink => Standing::Symlink,
            FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => Standing::Special,
        })
    }

    /// Makes a folder and the folders above it, as far as they are missing.
    pub(crate) fn make_directory(&self, relative: &Path) -> Result<(), StoreError> {
        if relative.as_os_str().is_empty() {
            return Ok(());
        }
        match self.stat(relative) {
            Ok(Standing::Directory) => return Ok(()),
            Ok(Standing::Nothing) => {}
            Ok(Standing::Symlink) => return Err(StoreError::Unsafe { path: self.full(relative) }),
            Ok(Standing::File { .. } | Standing::Special) => {
                return Err(StoreError::NotAFolder { path: self.full(relative) });
            }
            Err(error) if error.is_missing() => {}
            Err(error) => return Err(error),
        }
        self.make_directory(relative.parent().unwrap_or(Path::new("")))?;
        let made = self.run(Op::MakeDirectory { path: relative }, || {
            let (parent, name) = self.parent(relative)?;
            rustix::fs::mkdirat(parent.as_fd(self), name, Mode::from_raw_mode(0o777))
        });
        match made {
            // Someone was quicker; whatever they made is looked at when something is opened below it.
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(self.refused(relative, "create folder", errno)),
        }
    }

    /// Of the folders above a place, the topmost that is there and is no folder.
    pub(crate) fn not_a_folder_above(&self, relative: &Path) -> Option<PathBuf> {
        let mut above: Vec<&Path> = relative.ancestors().skip(1).collect();
        above.reverse();
        let is_other = |at: &&Path| {
            matches!(self.stat(at), Ok(Standing::File { .. } | Standing::Symlink | Standing::Special))
        };
        above.into_iter().filter(|at| !at.as_os_str().is_empty()).find(is_other).map(|at| self.full(at))
    }

    /// Renames a file. Unless `replace`, whatever stands at the new place stays and the call fails.
    pub(crate) fn rename(&self, from: &Path, to: &Path, replace: bool) -> Result<(), StoreError> {
        let renamed = self.run(Op::Rename { from, to }, || {
            let (old_parent, old) = self.parent(from)?;
            let (new_parent, new) = self.parent(to)?;
            rename(old_parent.as_fd(self), old, new_parent.as_fd(self), new, replace)
        });
        renamed.map_err(|errno| self.refused(to, "rename to", errno))
    }

    /// Removes a file; it is no error if it is gone.
    pub(crate) fn remove_file(&self, relative: &Path) -> Result<(), StoreError> {
        let removed = self.unlink(relative, AtFlags::empty());
        match removed {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.refused(relative, "remove", errno)),
        }
    }

    /// The names in a folder below; the empty path is the folder itself.
    pub(crate) fn names(&self, relative: &Path) -> Result<Vec<OsString>, StoreError> {
        let failed = |errno| self.refused(relative, "list", errno);
        let how = OFlags::RDONLY | OFlags::DIRECTORY;
        let listed = if relative.as_os_str().is_empty() {
            rustix::fs::Dir::read_from(&self.fd)
        } else {
            self.open_at(relative, how).and_then(rustix::fs::Dir::new)
        };
        let mut names = Vec::new();
        for entry in listed.map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Removes whatever stands there, and all below it; links themselves, not what they lead to. It is no error if it is gone.
    pub(crate) fn remove_tree(&self, relative: &Path) -> Result<(), StoreError> {
        match self.stat(relative)? {
            Standing::Nothing => return Ok(()),
            Standing::Directory => {}
            Standing::File { .. } | Standing::Symlink | Standing::Special => {
                return self.remove_file(relative);
            }
        }
        // As deep as a path in a manifest may be, and a little more: no deeper than a thread's stack.
        for name in self.names(relative)? {
            self.remove_tree(&relative.join(name))?;
        }
        let removed = self.unlink(relative, AtFlags::REMOVEDIR);
        match removed {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.refused(relative, "remove", errno)),
        }
    }

    /// Makes the names in a folder below durable; the empty path is the folder itself.
    pub(crate) fn sync_directory(&self, relative: &Path) -> Result<(), StoreError> {
        let synced = self.run(Op::SyncDirectory { path: relative }, || {
            if relative.as_os_str().is_empty() {
                return rustix::fs::fsync(&self.fd);
            }
            self.open_at(relative, OFlags::RDONLY | OFlags::DIRECTORY).and_then(rustix::fs::fsync)
        });
        match synced {
            // Some network file systems cannot sync folders; their names are durable when made.
            Ok(()) | Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
            Err(errno) => Err(self.refused(relative, "sync folder", errno)),
        }
    }

    /// Syncs the whole file system below the folder, where there is a call for it; false if there is none.
    #[cfg(target_os = "linux")]
    pub(crate) fn sync_file_system(&self) -> Result<bool, StoreError> {
        self.run(Op::SyncFileSystem, || rustix::fs::syncfs(&self.fd))
            .map_err(|errno| self.refused(Path::new(""), "sync", errno))?;
        Ok(true)
    }

    /// Syncs the whole file system below the folder, where there is a call for it; false if there is none.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn sync_file_system(&self) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// Does an operation, again if a signal interrupted it.
    fn run<T>(&self, op: Op<'_>, perform: impl Fn() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
        rustix::io::retry_on_intr(|| self.tap.run(op, &perform))
    }

    fn unlink(&self, relative: &Path, how: AtFlags) -> rustix::io::Result<()> {
        self.run(Op::Remove { path: relative }, || {
            let (parent, name) = self.parent(relative)?;
            rustix::fs::unlinkat(parent.as_fd(self), name, how)
        })
    }

    fn parent<'a>(&self, relative: &'a Path) -> rustix::io::Result<(Parent, &'a OsStr)> {
        let name = relative.file_name().ok_or(Errno::INVAL)?;
        let folder = relative.parent().unwrap_or(Path::new(""));
        if folder.as_os_str().is_empty() {
            return Ok((Parent::Root, name));
        }
        Ok((Parent::Below(self.open_at(folder, TRAVERSE | OFlags::DIRECTORY)?), name))
    }

    fn open_at(&self, relative: &Path, how: OFlags) -> rustix::io::Result<OwnedFd> {
        let how = how | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match resolve_beneath(self.fd.as_fd(), relative, how) {
            // An old kernel, a sandbox that forbids the call, or a path longer than one call takes; and the walk tells a link
            // from a file where a folder should be.
            Err(
                Errno::NOSYS | Errno::PERM | Errno::AGAIN | Errno::NAMETOOLONG | Errno::INVAL | Errno::NOTDIR,
            ) => walk(self.fd.as_fd(), relative, how),
            done => done,
        }
    }

    fn refused(&self, relative: &Path, op: &'static str, errno: Errno) -> StoreError {
        let path = self.full(relative);
        match errno {
            Errno::LOOP | Errno::XDEV => StoreError::Unsafe { path },
            Errno::ISDIR | Errno::NXIO => StoreError::NotAFile { path },
            Errno::EXIST => StoreError::TargetExists { path },
            errno => StoreError::disk(&path, op)(errno.into()),
        }
    }
}

enum Parent {
    Root,
    Below(OwnedFd),
}

impl Parent {
    fn as_fd<'a>(&'a self, dir: &'a Dir) -> BorrowedFd<'a> {
        match self {
            Self::Root => dir.fd.as_fd(),
            Self::Below(fd) => fd.as_fd(),
        }
    }
}

/// Refuses a path that leads to something else than a folder; one that leads nowhere can be made.
///
/// # Errors
/// If a file or a dangling link stands there, or above.
pub fn check_folder(path: &Path) -> Result<(), StoreError> {
    in_the_way(path).map_or(Ok(()), Err)
}

/// Why a folder was not made: what stands in the way says more than the system's word for it.
fn not_made(path: &Path, error: std::io::Error) -> StoreError {
    in_the_way(path).unwrap_or_else(|| StoreError::disk(path, "create folder")(error))
}

/// The first component of the user's path that is there and leads to no folder. Links are followed: the path is the user's own.
fn in_the_way(path: &Path) -> Option<StoreError> {
    let mut components: Vec<&Path> = path.ancestors().filter(|at| !at.as_os_str().is_empty()).collect();
    components.reverse();
    components.into_iter().find_map(|at| {
        let is_link = at.symlink_metadata().ok()?.is_symlink();
        match at.metadata() {
            Ok(metadata) if metadata.is_dir() => None,
            Ok(_) => Some(StoreError::NotAFolder { path: at.to_owned() }),
            Err(error) if is_link && error.kind() == std::io::ErrorKind::NotFound => {
                Some(StoreError::DanglingLink { path: at.to_owned() })
            }
            Err(_) => None,
        }
    })
}

/// Bytes that may still be written below a folder (or the nearest folder above it that exists), if the system tells.
pub fn free_len(dir: &Path) -> Option<u64> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let stat = dir
        .ancestors()
        .map(|at| if at.as_os_str().is_empty() { Path::new(".") } else { at })
        .find_map(|at| rustix::fs::statvfs(at).ok())?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(target_os = "linux")]
fn resolve_beneath(root: BorrowedFd<'_>, relative: &Path, how: OFlags) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::ResolveFlags;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    // The call refuses a mode unless something may be created.
    let mode = if how.contains(OFlags::CREATE) { FILE_MODE } else { Mode::empty() };
    rustix::fs::openat2(root, relative, how, mode, resolve)
}

#[cfg(not(target_os = "linux"))]
fn resolve_beneath(_root: BorrowedFd<'_>, _relative: &Path, _how: OFlags) -> rustix::io::Result<OwnedFd> {
    Err(Errno::NOSYS)
}

/// The same with one call a component.
fn walk(root: BorrowedFd<'_>, relative: &Path, how: OFlags) -> rustix::io::Result<OwnedFd> {
    let mut held: Option<OwnedFd> = None;
    let mut components = relative.components().peekable();
    while let Some(component) = components.next() {
        let Component::Normal(name) = component else { return Err(Errno::XDEV) };
        let at = held.as_ref().map_or(root, OwnedFd::as_fd);
        let is_last = components.peek().is_none();
        let flags =
            if is_last { how } else { TRAVERSE | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC };
        let opened =
            rustix::fs::openat(at, name, flags, FILE_MODE).map_err(|errno| as_loop(at, name, errno))?;
        held = Some(opened);
    }
    held.ok_or(Errno::INVAL)
}

/// A link where a folder should be is reported as "not a folder"; tell the two apart.
fn as_loop(at: BorrowedFd<'_>, name: &OsStr, errno: Errno) -> Errno {
    let is_link = || {
        rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
    };
    if errno == Errno::NOTDIR && is_link() { Errno::LOOP } else { errno }
}

fn rename(
    old_parent: BorrowedFd<'_>,
    old: &OsStr,
    new_parent: BorrowedFd<'_>,
    new: &OsStr,
    replace: bool,
) -> rustix::io::Result<()> {
    if replace {
        return rustix::fs::renameat(old_parent, old, new_parent, new);
    }
    match rename_to_nothing(old_parent, old, new_parent, new) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            match rustix::fs::statat(new_parent, new, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => rustix::fs::renameat(old_parent, old, new_parent, new),
                Ok(_) => Err(Errno::EXIST),
                Err(errno) => Err(errno),
            }
        }
        done => done,
    }
}

#[cfg(target_os = "linux")]
fn rename_to_nothing(
    old_parent: BorrowedFd<'_>,
    old: &OsStr,
    new_parent: BorrowedFd<'_>,
    new: &OsStr,
) -> rustix::io::Result<()> {
    rustix::fs::renameat_with(old_parent, old, new_parent, new, rustix::fs::RenameFlags::NOREPLACE)
}

#[cfg(not(target_os = "linux"))]
fn rename_to_nothing(
    _old_parent: BorrowedFd<'_>,
    _old: &OsStr,
    _new_parent: BorrowedFd<'_>,
    _new: &OsStr,
) -> rustix::io::Result<()> {
    Err(Errno::NOSYS)
}

#[cfg(target_os = "linux")]
const DIRECT: OFlags = OFlags::DIRECT;
#[cfg(not(target_os = "linux"))]
const DIRECT: OFlags = OFlags::empty();
const FILE_MODE: Mode = Mode::from_raw_mode(0o666);
/// Folders that may be searched but not listed can be passed through.
#[cfg(target_os = "linux")]
const TRAVERSE: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const TRAVERSE: OFlags = OFlags::RDONLY;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn held() -> (tempfile::TempDir, Dir) {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open(folder.path()).unwrap();
        (folder, dir)
    }

    #[test]
    fn nothing_is_reached_through_a_link() {
        let (folder, dir) = held();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), b"x").unwrap();
        symlink(outside.path(), folder.path().join("link")).unwrap();
        symlink(outside.path().join("secret"), folder.path().join("file")).unwrap();
        for relative in ["link/secret", "link/new", "file"] {
            let relative = Path::new(relative);
            for access in [Access::Read, Access::Write, Access::Create, Access::CreateNew] {
                let refused = dir.open_file(relative, access).unwrap_err();
                let exists = matches!(refused, StoreError::TargetExists { .. });
                assert!(matches!(refused, StoreError::Unsafe { .. }) || exists, "{relative:?} {refused}");
            }
            let walked = walk(dir.fd.as_fd(), relative, OFlags::RDONLY | OFlags::NOFOLLOW);
            assert_eq!(walked.map(drop), Err(Errno::LOOP), "{relative:?}");
        }
        assert!(matches!(dir.make_directory(Path::new("link/a")), Err(StoreError::Unsafe { .. })));
        assert!(matches!(dir.remove_file(Path::new("link/secret")), Err(StoreError::Unsafe { .. })));
        assert_eq!(dir.stat(Path::new("file")).unwrap(), Standing::Symlink);
        assert_eq!(std::fs::read(outside.path().join("secret")).unwrap(), b"x");
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    }

    #[test]
    fn nothing_outside_the_folder_is_opened() {
        let (_folder, dir) = held();
        for relative in ["../x", "/etc/passwd", "a/../../x"] {
            assert!(dir.open_file(Path::new(relative), Access::Create).is_err(), "{relative}");
            let walked = walk(dir.fd.as_fd(), Path::new(relative), OFlags::RDONLY);
            assert!(walked.is_err(), "{relative}");
        }
    }

    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let (_folder, dir) = held();
        let fifo = FileType::Fifo;
        rustix::fs::mknodat(&dir.fd, "pipe", fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        for access in [Access::Read, Access::Write] {
            let refused = dir.open_file(Path::new("pipe"), access).unwrap_err();
            assert!(matches!(refused, StoreError::NotAFile { .. }), "{refused}");
        }
    }

    #[test]
    fn a_rename_replaces_only_when_told() {
        let (folder, dir) = held();
        for name in ["a", "b"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        let (a, b) = (Path::new("a"), Path::new("b"));
        assert!(matches!(dir.rename(a, b, false), Err(StoreError::TargetExists { .. })));
        dir.rename(a, b, true).unwrap();
        assert_eq!(std::fs::read(folder.path().join("b")).unwrap(), b"a");
    }

    #[test]
    fn folders_are_made_with_their_parents_and_long_paths_are_walked() {
        let (folder, dir) = held();
        let long = vec!["d".repeat(200); 20].join("/");
        dir.make_directory(Path::new(&long)).unwrap();
        dir.open_file(&Path::new(&long).join("f"), Access::CreateNew).unwrap();
        std::fs::write(folder.path().join("file"), b"").unwrap();
        let refused = dir.make_directory(Path::new("file/sub")).unwrap_err();
        assert!(matches!(refused, StoreError::NotAFolder { .. }), "{refused}");
        assert!(free_len(&folder.path().join("not/there")).is_some());
    }
}
