//! Why a store could not do what it was asked. Every message is one line, names the place, and ends with the way out.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::base::Category;

/// What went wrong in a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused an operation on a file or folder.
    #[error("cannot {op} `{}`: {source}; {}", path.display(), way_out(source))]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// The operation, as a verb.
        op: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The file system has bytes left, and no inode for another file.
    #[error("cannot {op} `{}`: its file system holds as many files as it can, though bytes are free; remove files there or choose another folder", path.display())]
    NoInodes {
        /// The file or folder.
        path: PathBuf,
        /// The operation, as a verb.
        op: &'static str,
    },
    /// The data under a seed is no longer what the manifest says.
    #[error("chunk {chunk} of `{}` is not what the manifest says: the file changed, seed it anew", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// The chunk's index in the content.
        chunk: u32,
    },
    /// A read of a chunk that has not been verified here.
    #[error("chunk {chunk} of `{}` is not here yet: ask again when it is verified", path.display())]
    NotVerified {
        /// The file.
        path: PathBuf,
        /// The chunk's index in the content.
        chunk: u32,
    },
    /// A write of a chunk that this store was not asked to hold.
    #[error("chunk {chunk} of `{}` was not asked for", path.display())]
    Unwanted {
        /// The file.
        path: PathBuf,
        /// The chunk's index in the content.
        chunk: u32,
    },
    /// A byte range that does not lie in its chunk, or is not the whole chunk where that is asked.
    #[error("bytes {offset}+{len} do not fit chunk {chunk}: this is a bug, please report it")]
    Range {
        /// The chunk's index in the content.
        chunk: u32,
        /// Bytes before the range in the chunk.
        offset: u32,
        /// Bytes of the range.
        len: usize,
    },
    /// Something else stands where a file has to go.
    #[error("`{}` exists and is not this content: move it away", path.display())]
    TargetExists {
        /// The place.
        path: PathBuf,
    },
    /// A folder stands where a file has to go, which no option replaces.
    #[error("`{}` is a folder, and a file has to go there: move it away or choose another folder", path.display())]
    FolderInTheWay {
        /// The place.
        path: PathBuf,
    },
    /// A file stands where a folder has to be.
    #[error("`{}` is a file, and a folder has to be there: move it away or choose another folder", path.display())]
    NotAFolder {
        /// The place.
        path: PathBuf,
    },
    /// The path of a folder is a symbolic link to nothing.
    #[error("`{}` is a symbolic link that leads nowhere: make the folder that it names or choose another folder", path.display())]
    DanglingLink {
        /// The link.
        path: PathBuf,
    },
    /// All chunks are right and yet the second digest is not: the manifest contradicts itself.
    #[error("`{}` does not match its SHA-256: the manifest is wrong, get it anew from its publisher", path.display())]
    Integrity {
        /// The file, still under its temporary name.
        path: PathBuf,
    },
    /// A chunk is what the manifest says, and yet does not open.
    #[error("chunk {chunk} of `{}` does not open with the key, though the manifest names it: get the ticket anew from its publisher", path.display())]
    Sealed {
        /// The file.
        path: PathBuf,
        /// The chunk's index in the content.
        chunk: u32,
    },
    /// A file changed its length under our hands.
    #[error("`{}` was cut short by something else: run the same command again to fetch what is missing", path.display())]
    Cut {
        /// The file, still under its temporary name.
        path: PathBuf,
    },
    /// A symbolic link, or a path that leaves the folder.
    #[error("`{}` leads through a symbolic link or out of the folder: remove it or choose another folder", path.display())]
    Unsafe {
        /// The place.
        path: PathBuf,
    },
    /// The folder that is being filled was moved away, and something else stands where it was.
    #[error("`{}` was replaced while it was being filled: put the folder back and run the same command again", path.display())]
    Displaced {
        /// The folder's path, which now leads elsewhere.
        path: PathBuf,
    },
    /// Not a regular file.
    #[error("`{}` is not a regular file: remove it or choose another folder", path.display())]
    NotAFile {
        /// The place.
        path: PathBuf,
    },
    /// Another process fetches the same content into the same folder.
    #[error("`{}` is in use by another swarm: wait until it is done or choose another folder", path.display())]
    Busy {
        /// The journal that is locked.
        path: PathBuf,
    },
    /// Something is still missing when the end was asked for.
    #[error("`{}` lacks {missing} of its chunks: run the same command again", path.display())]
    Unfinished {
        /// The first file that is not complete.
        path: PathBuf,
        /// Its chunks that are not durable.
        missing: u32,
    },
    /// An earlier sync failed, so what the disk holds is not known.
    #[error("`{}` could not be synced before, so nothing more is recorded: run the same command again", path.display())]
    SyncFailed {
        /// The folder.
        path: PathBuf,
    },
    /// A write to a store that only serves.
    #[error("this store is read-only: fetch into a folder instead")]
    ReadOnlyStore,
    /// A read from a store that does not serve.
    #[error("this store keeps nothing to serve: fetch into a folder to serve others")]
    NotServed,
    /// The index or manifest does not fit what is on disk.
    #[error("`{}` is a single file, the manifest is not: name the folder that holds it", path.display())]
    NotOneFile {
        /// The file.
        path: PathBuf,
    },
}

/// What a caller may want to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// No space or quota left, or no inode.
    Full,
    /// Longer than the file system or a limit of this process lets a file be.
    TooLong,
    /// The file system is read-only.
    ReadOnly,
    /// Not allowed.
    Permission,
    /// No such file or folder.
    Missing,
    /// Any other refusal of the system.
    Disk,
    /// The data is not what the manifest says.
    Changed,
    /// Something stands in the way: a person has to decide.
    InTheWay,
    /// Another process is at it.
    Busy,
    /// The caller asked for what this store does not do.
    Misuse,
}

impl StoreError {
    /// Its kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Disk { source, .. } => kind_of(source),
            Self::NoInodes { .. } => ErrorKind::Full,
            Self::Changed { .. } | Self::Integrity { .. } | Self::Sealed { .. } | Self::Cut { .. } => {
                ErrorKind::Changed
            }
            Self::TargetExists { .. }
            | Self::Unsafe { .. }
            | Self::Displaced { .. }
            | Self::NotAFile { .. }
            | Self::FolderInTheWay { .. }
            | Self::NotAFolder { .. }
            | Self::DanglingLink { .. }
            | Self::NotOneFile { .. } => ErrorKind::InTheWay,
            Self::Busy { .. } => ErrorKind::Busy,
            Self::SyncFailed { .. } => ErrorKind::Disk,
            Self::NotVerified { .. }
            | Self::Unwanted { .. }
            | Self::Range { .. }
            | Self::Unfinished { .. }
            | Self::ReadOnlyStore
            | Self::NotServed => ErrorKind::Misuse,
        }
    }

    /// Its category.
    pub fn category(&self) -> Category {
        match self {
            Self::TargetExists { .. }
            | Self::FolderInTheWay { .. }
            | Self::NotAFolder { .. }
            | Self::DanglingLink { .. }
            | Self::Unsafe { .. }
            | Self::Displaced { .. }
            | Self::NotAFile { .. } => Category::TargetDiffers,
            Self::Disk { .. } | Self::NoInodes { .. } | Self::SyncFailed { .. } => Category::Disk,
            Self::Changed { .. } | Self::Integrity { .. } | Self::Sealed { .. } | Self::Cut { .. } => {
                Category::Integrity
            }
            Self::NotOneFile { .. } => Category::Usage,
            Self::Busy { .. } => Category::Held,
            Self::NotVerified { .. }
            | Self::Unwanted { .. }
            | Self::Range { .. }
            | Self::Unfinished { .. }
            | Self::ReadOnlyStore
            | Self::NotServed => Category::Other,
        }
    }

    /// Whether this process may not write there; what is there may still be all that is wanted.
    pub(crate) fn is_unwritable(&self) -> bool {
        matches!(self.kind(), ErrorKind::ReadOnly | ErrorKind::Permission)
    }

    /// Whether making space would help.
    pub fn is_full(&self) -> bool {
        self.kind() == ErrorKind::Full
    }

    /// Whether the file or folder is not there.
    pub(crate) fn is_missing(&self) -> bool {
        self.kind() == ErrorKind::Missing
    }

    /// Whether this process, or the system, may open no more files.
    pub(crate) fn is_out_of_descriptors(&self) -> bool {
        match self {
            Self::Disk { source, .. } => {
                matches!(Errno::from_io_error(source), Some(Errno::MFILE | Errno::NFILE))
            }
            _ => false,
        }
    }

    /// Names the place and the operation that a system error belongs to.
    pub(crate) fn disk(path: &Path, op: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match Errno::from_io_error(&source) {
            // The system says the same of both, and what helps differs.
            Some(Errno::NOSPC) if has_no_inodes(path) => Self::NoInodes { path: path.to_owned(), op },
            _ => Self::Disk { path: path.to_owned(), op, source },
        }
    }
}

/// Whether the file system that holds `path` has free bytes and no free inode. Those that make inodes as they need them report
/// none at all.
fn has_no_inodes(path: &Path) -> bool {
    let at =
        |at: &Path| rustix::fs::statvfs(if at.as_os_str().is_empty() { Path::new(".") } else { at }).ok();
    let stat = path.ancestors().find_map(at);
    stat.is_some_and(|stat| stat.f_files > 0 && stat.f_favail == 0 && stat.f_bavail > 0)
}

fn kind_of(source: &io::Error) -> ErrorKind {
    match Errno::from_io_error(source) {
        Some(Errno::NOSPC | Errno::DQUOT) => ErrorKind::Full,
        Some(Errno::FBIG) => ErrorKind::TooLong,
        Some(Errno::ROFS) => ErrorKind::ReadOnly,
        Some(Errno::ACCESS | Errno::PERM) => ErrorKind::Permission,
        Some(Errno::NOENT | Errno::NOTDIR) => ErrorKind::Missing,
        _ => ErrorKind::Disk,
    }
}

fn way_out(source: &io::Error) -> &'static str {
    if matches!(Errno::from_io_error(source), Some(Errno::MFILE | Errno::NFILE)) {
        return "raise the limit (ulimit -n) and run the same command again";
    }
    match kind_of(source) {
        ErrorKind::Full => "make space and run the same command again",
        ErrorKind::TooLong => {
            "its file system or a limit of this process (ulimit -f) holds no file of that length: choose another folder or raise the limit"
        }
        ErrorKind::ReadOnly => "choose a folder that can be written",
        ErrorKind::Permission => "get the permission or choose another folder",
        ErrorKind::Missing => "put it back or name another place",
        ErrorKind::Disk | ErrorKind::Changed | ErrorKind::InTheWay | ErrorKind::Busy | ErrorKind::Misuse => {
            "check the disk and run the same command again"
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn messages_name_the_place_and_the_way_out() {
        let disk = |errno: Errno| StoreError::disk(Path::new("out/film.mov"), "write")(errno.into());
        let path = PathBuf::from("out/film.mov");
        let shown: Vec<String> = [
            disk(Errno::NOSPC),
            disk(Errno::IO),
            StoreError::Changed { path: path.clone(), chunk: 17 },
            StoreError::TargetExists { path: path.clone() },
            disk(Errno::FBIG),
            StoreError::Unsafe { path },
        ]
        .iter()
        .map(ToString::to_string)
        .collect();
        expect![[r"
            cannot write `out/film.mov`: No space left on device (os error 28); make space and run the same command again
            cannot write `out/film.mov`: Input/output error (os error 5); check the disk and run the same command again
            chunk 17 of `out/film.mov` is not what the manifest says: the file changed, seed it anew
            `out/film.mov` exists and is not this content: move it away
            cannot write `out/film.mov`: File too large (os error 27); its file system or a limit of this process (ulimit -f) holds no file of that length: choose another folder or raise the limit
            `out/film.mov` leads through a symbolic link or out of the folder: remove it or choose another folder"]]
        .assert_eq(&shown.join("\n"));
        assert!(disk(Errno::DQUOT).is_full());
        assert_eq!(disk(Errno::ROFS).kind(), ErrorKind::ReadOnly);
    }
}
