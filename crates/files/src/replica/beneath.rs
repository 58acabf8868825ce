//! What a replica does in the folder that it holds open, beyond what fetches do there. Every call stays beneath the folder and follows no
//! link, as all of [`Dir`] does. Errors are the system's: the caller knows what they mean for its operation.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use super::look::{Look, look_at, look_open};
use crate::dir::{Access, Dir, rename};
use crate::file::File;
use crate::tap::Op;

impl Dir {
    /// Looks at an entry; `None` if nothing stands there, because a folder above is missing, or is no folder.
    pub(super) fn look(&self, relative: &Path) -> Result<Option<Look>, Errno> {
        let look = self.run(Op::Stat, || {
            let (parent, name) = self.parent(relative)?;
            look_at(parent.as_fd(self), name)
        });
        match look {
            Ok(look) => Ok(Some(look)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Opens a folder for listing, where the system allows it without a trace in its time of access; the empty path is this folder itself.
    pub(super) fn open_folder(&self, relative: &Path) -> Result<OwnedFd, Errno> {
        let relative = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
        let how = OFlags::RDONLY | OFlags::DIRECTORY;
        self.run(Op::List { path: relative }, || self.open_quietly(relative, how))
    }

    /// Opens a regular file for reading, without waiting and, where the system allows it, without a trace in its time of access; with what
    /// the disk tells of it. [`Errno::NXIO`] if another kind of entry stands there.
    pub(super) fn open_to_read(&self, relative: &Path) -> Result<(File, Look), Errno> {
        let how = OFlags::RDONLY | OFlags::NONBLOCK;
        let opened =
            self.run(Op::Open { path: relative, access: Access::Read }, || self.open_quietly(relative, how))?;
        let look = look_open(&opened)?;
        if look.kind == FileType::RegularFile {
            Ok((File::new(opened.into(), relative, self.tap()), look))
        } else {
            Err(Errno::NXIO)
        }
    }

    fn open_quietly(&self, relative: &Path, how: OFlags) -> Result<OwnedFd, Errno> {
        match self.open_at(relative, how | QUIET) {
            // Only the owner of an entry may read it without a trace.
            Err(Errno::PERM) => self.open_at(relative, how),
            opened => opened,
        }
    }

    /// Makes a file, for reading and writing; the name must be free.
    pub(super) fn create_file(&self, relative: &Path) -> Result<File, Errno> {
        let how = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let created =
            self.run(Op::Open { path: relative, access: Access::CreateNew }, || self.open_at(relative, how))?;
        Ok(File::new(created.into(), relative, self.tap()))
    }

    /// What a symbolic link says.
    pub(super) fn read_link(&self, relative: &Path) -> Result<CString, Errno> {
        self.run(Op::Stat, || {
            let (parent, name) = self.parent(relative)?;
            rustix::fs::readlinkat(parent.as_fd(self), name, Vec::new())
        })
    }

    /// Makes a symbolic link that says this; the name must be free.
    pub(super) fn make_link(&self, target: &str, relative: &Path) -> Result<(), Errno> {
        self.run(Op::MakeLink { path: relative }, || {
            let (parent, name) = self.parent(relative)?;
            rustix::fs::symlinkat(target, parent.as_fd(self), name)
        })
    }

    /// Makes one folder; the name must be free, and the folder above be there.
    pub(super) fn make_one_folder(&self, relative: &Path) -> Result<(), Errno> {
        self.run(Op::MakeDirectory { path: relative }, || {
            let (parent, name) = self.parent(relative)?;
            rustix::fs::mkdirat(parent.as_fd(self), name, Mode::from_raw_mode(0o777))
        })
    }

    /// Renames any entry to a name that is free.
    pub(super) fn rename_to_free(&self, from: &Path, to: &Path) -> Result<(), Errno> {
        self.run(Op::Rename { from, to }, || {
            let (old_parent, old) = self.parent(from)?;
            let (new_parent, new) = self.parent(to)?;
            rename(old_parent.as_fd(self), old, new_parent.as_fd(self), new, false)
        })
    }

    /// Moves an entry from another folder to a name that is free; [`Errno::XDEV`] from another file system.
    pub(super) fn take_from(&self, other: &Dir, from: &Path, to: &Path) -> Result<(), Errno> {
        self.run(Op::Rename { from, to }, || {
            let (old_parent, old) = other.parent(from)?;
            let (new_parent, new) = self.parent(to)?;
            rename(old_parent.as_fd(other), old, new_parent.as_fd(self), new, false)
        })
    }

    /// Renames any entry to a name that is free, and looks at it there.
    pub(super) fn rename_and_look(&self, from: &Path, to: &Path) -> Result<Look, Errno> {
        let (old_parent, old) = self.parent(from)?;
        let (new_parent, new) = self.parent(to)?;
        self.run(Op::Rename { from, to }, || {
            rename(old_parent.as_fd(self), old, new_parent.as_fd(self), new, false)
        })?;
        self.run(Op::Stat, || look_at(new_parent.as_fd(self), new))
    }

    /// Lets two entries change places, in one step; an error where the file system cannot.
    pub(super) fn exchange(&self, one: &Path, other: &Path) -> Result<(), Errno> {
        self.run(Op::Exchange { one, other }, || {
            let (one_parent, one_name) = self.parent(one)?;
            let (other_parent, other_name) = self.parent(other)?;
            exchange(one_parent.as_fd(self), one_name, other_parent.as_fd(self), other_name)
        })
    }

    /// The first name in the folder itself that has a letter, with the same name in the other case; to find out whether case counts.
    pub(super) fn name_in_both_cases(&self) -> Option<(String, String)> {
        let names = rustix::fs::Dir::read_from(self.as_fd()).ok()?.take(NAMES_MAX);
        let names = names.filter_map(|entry| entry.ok()?.file_name().to_str().ok().map(str::to_owned));
        let other = |name: &str| -> String {
            name.chars()
                .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
                .collect()
        };
        names
            .map(|name| (other(&name), name))
            .find(|(other, name)| other != name)
            .map(|(other, name)| (name, other))
    }
}

/// The text of a name as the system has it.
pub(super) fn os(name: &std::ffi::CStr) -> &OsStr {
    use std::os::unix::ffi::OsStrExt as _;
    OsStr::from_bytes(name.to_bytes())
}

#[cfg(target_os = "linux")]
fn exchange(
    one_parent: BorrowedFd<'_>,
    one: &OsStr,
    other_parent: BorrowedFd<'_>,
    other: &OsStr,
) -> Result<(), Errno> {
    rustix::fs::renameat_with(one_parent, one, other_parent, other, rustix::fs::RenameFlags::EXCHANGE)
}

#[cfg(not(target_os = "linux"))]
fn exchange(_: BorrowedFd<'_>, _: &OsStr, _: BorrowedFd<'_>, _: &OsStr) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

#[cfg(target_os = "linux")]
const QUIET: OFlags = OFlags::NOATIME;
#[cfg(not(target_os = "linux"))]
const QUIET: OFlags = OFlags::empty();
/// Names looked at for one with a letter.
const NAMES_MAX: usize = 100;
