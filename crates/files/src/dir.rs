//! A folder that is held open. Invariant: every operation stays below it and follows no symbolic link, whatever other processes do
//! to the tree meanwhile. Linux resolves a path in one call (`openat2`); elsewhere each component is opened in turn.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::StoreError;
use super::error::OPEN_FOLDER;
use super::file::File;
use super::held::HeldFolders;
use super::identity::Identity;
use super::nicety::{Niceties, Nicety};
use super::tap::{Op, Tap};
use super::trial::{RefusedNames, is_name_refusal};

/// A folder that stays the same one when it is renamed.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
    tap: Tap,
    niceties: Niceties,
    keeps_inodes: bool,
    /// Names that a trial found the file system to refuse.
    refused_names: RefusedNames,
    /// Folders below this one that are used so often that they are held open too.
    held: HeldFolders,
}

/// The mode in which a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// For reading; it must exist.
    Read,
    /// For reading and writing; it must exist.
    Write,
    /// For writing past the page cache, if the file system supports it; it must exist.
    WriteDirect,
    /// For reading and writing; the name must be free.
    CreateNew,
    /// For reading and writing; created if missing.
    Create,
}

/// The kind of entry at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// No entry.
    Nothing,
    /// A regular file.
    File {
        /// In bytes.
        len: u64,
        /// Device and inode.
        identity: Identity,
    },
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, socket or pipe.
    Special,
}

impl Dir {
    /// Opens an existing folder. Links in the path are followed, because the user gave it.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let at = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let fd = rustix::fs::open(at, flags, Mode::empty())
            .map_err(|errno| StoreError::disk(at, OPEN_FOLDER)(errno.into()))?;
        let (tap, niceties, refused_names, held) = Default::default();
        let keeps_inodes = keeps_inodes(&fd);
        Ok(Self { fd, path: at.to_owned(), tap, niceties, keeps_inodes, refused_names, held })
    }

    /// The same folder, with the operations in it visible to a test.
    #[cfg(test)]
    pub(super) fn tapped(self, tap: Tap) -> Self {
        Self { tap, ..self }
    }

    /// Opens a folder; creates it and its parents if missing.
    pub(crate) fn create(path: &Path) -> Result<Self, StoreError> {
        let niceties = Niceties::default();
        if !path.as_os_str().is_empty() {
            let missing_count = path.ancestors().take_while(|at| !at.exists()).count();
            std::fs::create_dir_all(path).map_err(|error| not_made(path, error))?;
            // A synced file is lost if the name of its folder is. A parent may be searchable but not readable: such ones are skipped.
            for parent in path.ancestors().skip(1).take(missing_count) {
                if let Ok(opened) = Self::open(parent) {
                    let done =
                        opened.run(Op::SyncDirectory { path: parent }, || rustix::fs::fsync(&opened.fd));
                    niceties
                        .tolerate(Nicety::FolderSync, || parent.to_owned(), done)
                        .map_err(|errno| opened.refused(Path::new(""), "sync folder", errno))?;
                }
            }
        }
        Ok(Self { niceties, ..Self::open(path)? })
    }

    /// The path that it was opened by.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The full path of an entry in it, for messages.
    pub(crate) fn full(&self, relative: &Path) -> PathBuf {
        self.path.join(relative)
    }

    /// Checks that its path leads to it or to nothing (it was moved); an error if another folder stands there now.
    pub(crate) fn check_place(&self) -> Result<(), StoreError> {
        let held = rustix::fs::fstat(&self.fd).map_err(|e| self.refused(Path::new(""), "stat", e))?;
        match rustix::fs::stat(&self.path) {
            Ok(there) if (there.st_dev, there.st_ino) != (held.st_dev, held.st_ino) => {
                Err(StoreError::Displaced { path: self.path.clone() })
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Locks the folder while its claims are compared; dropping the returned value unlocks it. `None` where folders cannot be locked,
    /// or another process does not release the lock: then only the identity check of each file protects it.
    pub(super) fn take_turn(&self) -> Option<OwnedFd> {
        let how = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, ".", how, Mode::empty()).ok()?;
        for _ in 0..TURN_TRIES_MAX {
            match rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Some(fd),
                Err(Errno::WOULDBLOCK | Errno::INTR) => std::thread::sleep(TURN_TRY_INTERVAL),
                Err(_) => return None,
            }
        }
        None
    }

    /// Whether its path still leads to it: it may have been moved, or its disk unmounted.
    pub(crate) fn is_at_its_place(&self) -> bool {
        match (rustix::fs::fstat(&self.fd), rustix::fs::stat(&self.path)) {
            (Ok(held), Ok(there)) => (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino),
            _ => false,
        }
    }

    /// Opens a regular file; any other entry is an error, and opening never waits.
    pub(crate) fn open_file(&self, relative: &Path, access: Access) -> Result<File, StoreError> {
        let how = match access {
            Access::Read => OFlags::RDONLY,
            Access::Write => OFlags::RDWR,
            Access::WriteDirect => OFlags::WRONLY | DIRECT,
            Access::CreateNew => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
            Access::Create => OFlags::RDWR | OFlags::CREATE,
        };
        // NONBLOCK: opening a pipe without a reader would hang. It has no effect on regular files.
        let fd = self
            .run(Op::Open { path: relative, access }, || self.open_at(relative, how | OFlags::NONBLOCK))
            .map_err(|errno| self.refused(relative, "open", errno))?;
        let file = File::new(fd.into(), relative, &self.tap);
        let metadata = file.metadata().map_err(StoreError::disk(&self.full(relative), "stat"))?;
        let is_file = metadata.is_file();
        if is_file {
            Ok(file.identified(&metadata))
        } else {
            Err(StoreError::NotAFile { path: self.full(relative) })
        }
    }

    /// The entry at a path; a symbolic link as the last component is not followed.
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
            FileType::RegularFile => Standing::File {
                len: u64::try_from(stat.st_size).unwrap_or(0),
                identity: Identity::of_stat(&stat),
            },
            FileType::Directory => Standing::Directory,
            FileType::Symlink => Standing::Symlink,
            FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => Standing::Special,
        })
    }

    /// Creates a folder and its missing parents.
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
            // Another process created it first; the entry is checked when something is opened below it.
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(self.refused(relative, "create folder", errno)),
        }
    }

    /// The topmost parent of a path that exists and is not a folder.
    pub(crate) fn not_a_folder_above(&self, relative: &Path) -> Option<PathBuf> {
        let mut above: Vec<&Path> = relative.ancestors().skip(1).collect();
        above.reverse();
        let is_other = |at: &&Path| {
            matches!(self.stat(at), Ok(Standing::File { .. } | Standing::Symlink | Standing::Special))
        };
        above.into_iter().filter(|at| !at.as_os_str().is_empty()).find(is_other).map(|at| self.full(at))
    }

    /// Renames a file. Without `replace` an entry at the new path stays, and the call fails.
    pub(crate) fn rename(&self, from: &Path, to: &Path, replace: bool) -> Result<(), StoreError> {
        let renamed = self.run(Op::Rename { from, to }, || {
            let (old_parent, old) = self.parent(from)?;
            let (new_parent, new) = self.parent(to)?;
            rename(old_parent.as_fd(self), old, new_parent.as_fd(self), new, replace)
        });
        renamed.map_err(|errno| self.refused(to, "rename to", errno))
    }

    /// Removes a file; a missing file is no error.
    pub(crate) fn remove_file(&self, relative: &Path) -> Result<(), StoreError> {
        let removed = self.unlink(relative, AtFlags::empty());
        match removed {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.refused(relative, "remove", errno)),
        }
    }

    /// The names in a folder below this one; the empty path is this folder itself.
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

    /// Removes the entry and everything below it; of links the link itself, not its target. A missing entry is no error.
    pub(crate) fn remove_tree(&self, relative: &Path) -> Result<(), StoreError> {
        match self.stat(relative)? {
            Standing::Nothing => return Ok(()),
            Standing::Directory => {}
            Standing::File { .. } | Standing::Symlink | Standing::Special => {
                return self.remove_file(relative);
            }
        }
        // The depth limit is a little above that of paths in a manifest, and keeps the recursion within a thread's stack.
        for name in self.names(relative)? {
            self.remove_tree(&relative.join(name))?;
        }
        let removed = self.unlink(relative, AtFlags::REMOVEDIR);
        match removed {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.refused(relative, "remove", errno)),
        }
    }

    /// Syncs the names in a folder below this one; the empty path is this folder itself.
    pub(crate) fn sync_directory(&self, relative: &Path) -> Result<(), StoreError> {
        let synced = self.run(Op::SyncDirectory { path: relative }, || {
            if relative.as_os_str().is_empty() {
                return rustix::fs::fsync(&self.fd);
            }
            self.open_at(relative, OFlags::RDONLY | OFlags::DIRECTORY).and_then(rustix::fs::fsync)
        });
        self.niceties
            .tolerate(Nicety::FolderSync, || self.full(relative), synced)
            .map_err(|errno| self.refused(relative, "sync folder", errno))
    }

    /// Why the file system refuses a file of this name in a folder below this one; `None` if it accepts it. Leaves no file behind.
    pub(super) fn try_name(&self, folder: &Path, name: &OsStr) -> Result<Option<Errno>, StoreError> {
        let relative = folder.join(name);
        let how = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let op = Op::Open { path: &relative, access: Access::CreateNew };
        match self.run(op, || self.open_at(&relative, how)) {
            Ok(_) | Err(Errno::EXIST) => {}
            Err(errno) if is_name_refusal(errno) => return Ok(Some(errno)),
            Err(errno) => return Err(self.refused(&relative, "open", errno)),
        }
        // FAT drops dots and spaces at the end, so that two names may become one.
        let is_cut = matches!(name.as_bytes().last(), Some(b'.' | b' '))
            && !self.names(folder)?.iter().any(|made| made == name);
        self.remove_file(&relative)?;
        Ok(is_cut.then_some(Errno::INVAL))
    }

    /// Sets the names that a trial found to be refused.
    pub(super) fn refusing(self, refused_names: RefusedNames) -> Self {
        Self { refused_names, ..self }
    }

    /// Whether a trial found the file system to refuse this name.
    pub(super) fn refuses(&self, name: &Path) -> bool {
        name.file_name().is_some_and(|name| self.refused_names.contains_key(name))
    }

    /// Whether a file has the same inode number whenever it is looked at. Where it has not, only open files can be told apart.
    pub(super) fn keeps_inodes(&self) -> bool {
        self.keeps_inodes
    }

    /// Operations that the target may refuse without harm, and those that it has refused.
    pub(super) fn niceties(&self) -> &Niceties {
        &self.niceties
    }

    /// Syncs the whole file system below the folder; false if the system has no call for that.
    #[cfg(target_os = "linux")]
    pub(crate) fn sync_file_system(&self) -> Result<bool, StoreError> {
        match self.run(Op::SyncFileSystem, || rustix::fs::syncfs(&self.fd)) {
            Ok(()) => Ok(true),
            // The kernel lacks the call, or a sandbox forbids it: the caller then syncs each file by itself.
            Err(Errno::NOSYS | Errno::NOTSUP | Errno::INVAL | Errno::PERM | Errno::ACCESS) => Ok(false),
            Err(errno) => Err(self.refused(Path::new(""), "sync", errno)),
        }
    }

    /// Syncs the whole file system below the folder; false, because this system has no call for that.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn sync_file_system(&self) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// What observes the operations in it.
    pub(super) fn tap(&self) -> &Tap {
        &self.tap
    }

    /// Performs an operation, and repeats it if a signal interrupted it.
    pub(super) fn run<T>(
        &self,
        op: Op<'_>,
        perform: impl Fn() -> rustix::io::Result<T>,
    ) -> rustix::io::Result<T> {
        rustix::io::retry_on_intr(|| self.tap.run(op, &perform))
    }

    fn unlink(&self, relative: &Path, how: AtFlags) -> rustix::io::Result<()> {
        self.run(Op::Remove { path: relative }, || {
            let (parent, name) = self.parent(relative)?;
            rustix::fs::unlinkat(parent.as_fd(self), name, how)
        })
    }

    /// The folder of an entry, open for operations in it, and the entry's name.
    pub(super) fn parent<'a>(&self, relative: &'a Path) -> rustix::io::Result<(Parent, &'a OsStr)> {
        let name = relative.file_name().ok_or(Errno::INVAL)?;
        let folder = relative.parent().unwrap_or(Path::new(""));
        if folder.as_os_str().is_empty() {
            return Ok((Parent::Root, name));
        }
        if let Some(held) = self.held.get(folder) {
            return Ok((Parent::Held(held), name));
        }
        Ok((Parent::Below(self.open_at(folder, TRAVERSE | OFlags::DIRECTORY)?), name))
    }

    /// Opens what stands at a path. The error tells a link from other entries: [`Errno::LOOP`].
    pub(super) fn open_at(&self, relative: &Path, how: OFlags) -> rustix::io::Result<OwnedFd> {
        let how = how | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if let (Some(folder), Some(name)) = (relative.parent(), relative.file_name())
            && let Some(held) = self.held.get(folder)
        {
            return rustix::fs::openat(&*held, name, how, FILE_MODE)
                .map_err(|errno| as_loop(held.as_fd(), name, errno));
        }
        self.open_below(relative, how)
    }

    fn open_below(&self, relative: &Path, how: OFlags) -> rustix::io::Result<OwnedFd> {
        let how = how | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match resolve_beneath(self.fd.as_fd(), relative, how) {
            // An old kernel, a sandbox that forbids the call, or a path that is too long for one call. The walk also tells a link
            // from a file that stands where a folder should be.
            Err(
                Errno::NOSYS | Errno::PERM | Errno::AGAIN | Errno::NAMETOOLONG | Errno::INVAL | Errno::NOTDIR,
            ) => walk(self.fd.as_fd(), relative, how),
            done => done,
        }
    }

    /// Holds a folder below this one open, as it is now: what is done directly in it needs no search for it any more.
    pub(super) fn hold(&self, relative: &Path) -> rustix::io::Result<()> {
        self.held.put(relative, self.open_below(relative, TRAVERSE | OFlags::DIRECTORY)?);
        Ok(())
    }

    pub(crate) fn refused(&self, relative: &Path, op: &'static str, errno: Errno) -> StoreError {
        let path = self.full(relative);
        match errno {
            Errno::LOOP | Errno::XDEV => StoreError::Unsafe { path },
            Errno::ISDIR | Errno::NXIO => StoreError::NotAFile { path },
            Errno::EXIST => StoreError::TargetExists { path },
            errno => StoreError::disk(&path, op)(errno.into()),
        }
    }
}

/// An open folder that an operation acts in.
pub(super) enum Parent {
    /// The held folder itself.
    Root,
    /// A folder below it.
    Below(OwnedFd),
    /// A folder below it that stays open.
    Held(Arc<OwnedFd>),
}

impl Parent {
    pub(super) fn as_fd<'a>(&'a self, dir: &'a Dir) -> BorrowedFd<'a> {
        match self {
            Self::Root => dir.fd.as_fd(),
            Self::Below(fd) => fd.as_fd(),
            Self::Held(held) => held.as_fd(),
        }
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Checks that a path leads to a folder, or that one can be created there.
///
/// # Errors
/// If a file or a dangling link stands there, or in place of a parent.
pub fn check_folder(path: &Path) -> Result<(), StoreError> {
    in_the_way(path).map_or(Ok(()), Err)
}

/// Why a folder was not created: the entry in the way explains more than the system's error.
fn not_made(path: &Path, error: std::io::Error) -> StoreError {
    in_the_way(path).unwrap_or_else(|| StoreError::disk(path, "create folder")(error))
}

/// The first component of a user's path that exists and does not lead to a folder. Links are followed, because the user gave them.
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

/// Free bytes of the file system below a folder (or below its nearest existing parent), if the system tells.
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
    // The call refuses a mode unless it may create a file.
    let mode = if how.contains(OFlags::CREATE) { FILE_MODE } else { Mode::empty() };
    rustix::fs::openat2(root, relative, how, mode, resolve)
}

#[cfg(not(target_os = "linux"))]
fn resolve_beneath(_root: BorrowedFd<'_>, _relative: &Path, _how: OFlags) -> rustix::io::Result<OwnedFd> {
    Err(Errno::NOSYS)
}

/// As `openat2`, with one call for each component.
fn walk(root: BorrowedFd<'_>, relative: &Path, how: OFlags) -> rustix::io::Result<OwnedFd> {
    let mut held: Option<OwnedFd> = None;
    let mut components = relative.components().peekable();
    while let Some(component) = components.next() {
        let name = match component {
            Component::Normal(name) => name,
            // The folder itself, as `openat2` takes it.
            Component::CurDir => OsStr::new("."),
            Component::Prefix(_) | Component::RootDir | Component::ParentDir => return Err(Errno::XDEV),
        };
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

/// The system reports a link in place of a folder as "not a folder"; this tells the two apart.
fn as_loop(at: BorrowedFd<'_>, name: &OsStr, errno: Errno) -> Errno {
    let is_link = || {
        rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
    };
    if errno == Errno::NOTDIR && is_link() { Errno::LOOP } else { errno }
}

/// Renames an entry; without `replace` only to a name that is free.
pub(super) fn rename(
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
/// Another process holds the lock for as long as it takes to start a journal: tens of milliseconds.
const TURN_TRY_INTERVAL: Duration = Duration::from_millis(5);
const TURN_TRIES_MAX: u32 = 400;
const FILE_MODE: Mode = Mode::from_raw_mode(0o666);
/// Opening with PATH passes through folders that may be searched but not listed.
#[cfg(target_os = "linux")]
const TRAVERSE: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const TRAVERSE: OFlags = OFlags::RDONLY;

/// These file systems may number an inode anew each time it is loaded into the cache.
#[cfg(target_os = "linux")]
fn keeps_inodes(folder: &OwnedFd) -> bool {
    /// FAT, exFAT, FUSE, CIFS and SMB2 (statfs(2), linux/magic.h).
    const RENUMBERING: [u64; 5] = [0x4d44, 0x2011_bab0, 0x6573_5546, 0xff53_4d42, 0xfe53_4d42];
    rustix::fs::fstatfs(folder).is_ok_and(|stat| !RENUMBERING.contains(&(stat.f_type as u64 & 0xffff_ffff)))
}

#[cfg(not(target_os = "linux"))]
fn keeps_inodes(_: &OwnedFd) -> bool {
    true
}

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

    #[test]
    fn a_folder_is_walked_to_itself_as_the_system_takes_it() {
        let (folder, dir) = held();
        std::fs::write(folder.path().join("f"), b"").unwrap();
        let how = OFlags::RDONLY | OFlags::DIRECTORY;
        let itself = walk(dir.fd.as_fd(), Path::new("."), how).unwrap();
        assert!(rustix::fs::statat(&itself, "f", AtFlags::empty()).is_ok());
        assert_eq!(walk(dir.fd.as_fd(), Path::new("../x"), how).unwrap_err(), Errno::XDEV);
    }
}
