//! Why a store operation failed. Every message is one line with the place and the way out.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use swarm_core::base::Shown;

use swarm_core::base::Category;

/// The failure of a store operation.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused an operation on a file or folder.
    #[error("cannot {op} `{}`: {source}; {}", Shown(path), way_out(source))]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// The operation, as a verb.
        op: &'static str,
        /// The error of the system.
        source: io::Error,
    },
    /// The file system has free bytes, but no inode for another file.
    #[error(
        "cannot {op} `{}`: its file system holds as many files as it can, though bytes are free; remove files there or choose another folder",
        Shown(path)
    )]
    NoInodes {
        /// The file or folder.
        path: PathBuf,
        /// The operation, as a verb.
        op: &'static str,
    },
    /// The file of a seed no longer matches the manifest.
    #[error(
        "chunk {chunk} of `{}` is not what the manifest says: the file changed, seed it anew",
        Shown(path)
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// The chunk's number in its file.
        chunk: u32,
    },
    /// The disk or folder that holds the files is not there now.
    #[error("`{}` is not there, nor is the folder or disk that it lies on: put that back", Shown(path))]
    Away {
        /// The file.
        path: PathBuf,
    },
    /// A copy is not there now, and may be elsewhere soon. Other files of the content are not concerned.
    #[error(
        "`{}` is not there just now: it is being moved, or its folder or disk has to be put back",
        Shown(path)
    )]
    PlaceAway {
        /// The file, or the folder that holds it.
        path: PathBuf,
    },
    /// A read of a chunk that has not been verified here.
    #[error("chunk {chunk} of `{}` is not here yet: ask again when it is verified", Shown(path))]
    NotVerified {
        /// The file.
        path: PathBuf,
        /// The chunk's number in its file.
        chunk: u32,
    },
    /// A write of a chunk that this store was not asked to hold.
    #[error("chunk {chunk} of `{}` was not asked for", Shown(path))]
    Unwanted {
        /// The file.
        path: PathBuf,
        /// The chunk's number in its file.
        chunk: u32,
    },
    /// A byte range outside its chunk, or a part where the whole chunk is required.
    #[error("bytes {offset}+{len} do not fit chunk {chunk}: this is a bug, please report it")]
    Range {
        /// The chunk's index in the content.
        chunk: u32,
        /// Bytes before the range in the chunk.
        offset: u32,
        /// Length of the range, bytes.
        len: usize,
    },
    /// Another entry stands where a file has to go.
    #[error("`{}` exists and is not this content: move it away", Shown(path))]
    TargetExists {
        /// The path of the file.
        path: PathBuf,
    },
    /// A folder stands where a file has to go; no option replaces a folder.
    #[error(
        "`{}` is a folder, and a file has to go there: move it away or choose another folder",
        Shown(path)
    )]
    FolderInTheWay {
        /// The path of the folder.
        path: PathBuf,
    },
    /// A file stands where a folder has to be.
    #[error(
        "`{}` is a file, and a folder has to be there: move it away or choose another folder",
        Shown(path)
    )]
    NotAFolder {
        /// The path of the file.
        path: PathBuf,
    },
    /// The path of a folder is a dangling symbolic link.
    #[error(
        "`{}` is a symbolic link that leads nowhere: make the folder that it names or choose another folder",
        Shown(path)
    )]
    DanglingLink {
        /// The path of the link.
        path: PathBuf,
    },
    /// All chunks are verified, but the SHA-256 differs: the manifest contradicts itself.
    #[error(
        "`{}` does not match its SHA-256: the manifest is wrong, get it anew from its publisher",
        Shown(path)
    )]
    Integrity {
        /// The file, which keeps its temporary name.
        path: PathBuf,
    },
    /// A chunk matches the manifest, but does not decrypt.
    #[error(
        "chunk {chunk} of `{}` does not open with the key, though the manifest names it: get the ticket anew from its publisher",
        Shown(path)
    )]
    Sealed {
        /// The file.
        path: PathBuf,
        /// The chunk's number in its file.
        chunk: u32,
    },
    /// Another process changed the length of a file during the fetch.
    #[error(
        "`{}` was cut short by something else: run the same command again to fetch what is missing",
        Shown(path)
    )]
    Cut {
        /// The file, which keeps its temporary name.
        path: PathBuf,
    },
    /// A symbolic link, or a path that leaves the folder.
    #[error(
        "`{}` leads through a symbolic link or out of the folder: remove it or choose another folder",
        Shown(path)
    )]
    Unsafe {
        /// The path that leads out.
        path: PathBuf,
    },
    /// The target folder was moved away during the fetch, and another entry stands in its place.
    #[error(
        "`{}` was replaced while it was being filled: put the folder back and run the same command again",
        Shown(path)
    )]
    Displaced {
        /// The path of the folder, which now leads elsewhere.
        path: PathBuf,
    },
    /// An entry other than a regular file.
    #[error("`{}` is not a regular file: remove it or choose another folder", Shown(path))]
    NotAFile {
        /// The path of the entry.
        path: PathBuf,
    },
    /// Another running fetch holds a file that this one needs.
    #[error("`{}` is in use by another swarm{}: wait until it is done or choose another folder", Shown(path), process(*holder))]
    Busy {
        /// The file that it holds.
        path: PathBuf,
        /// The process id of the holder, if the system tells.
        holder: Option<u32>,
    },
    /// The temporary name of a file leads to another file, or to none.
    #[error(
        "`{}` was replaced or removed by something else while it was fetched: move away what stands there and run the same command again",
        Shown(path)
    )]
    Replaced {
        /// The temporary name.
        path: PathBuf,
    },
    /// The final check read a chunk that differs from the written one.
    #[error("chunk {chunk} of `{}`{} reads otherwise than it was written: check the disk and the memory, then run the same command again to fetch what is wrong anew", Shown(path), more(*more_count))]
    Damaged {
        /// The file of the first such chunk.
        path: PathBuf,
        /// The number of the first such chunk in its file.
        chunk: u32,
        /// Number of further such chunks.
        more_count: usize,
    },
    /// The final check was stopped.
    #[error("stopped before all of `{}` was read again: run the same command again", Shown(path))]
    Stopped {
        /// The target folder.
        path: PathBuf,
    },
    /// The fetch was to be finished while chunks are missing.
    #[error("`{}` lacks {missing} of its chunks: run the same command again", Shown(path))]
    Unfinished {
        /// The first incomplete file.
        path: PathBuf,
        /// Number of its chunks that are not durable.
        missing: u32,
    },
    /// An earlier sync failed, so the contents of the disk are unknown.
    #[error(
        "`{}` could not be synced before, so nothing more is recorded: run the same command again",
        Shown(path)
    )]
    SyncFailed {
        /// The target folder.
        path: PathBuf,
    },
    /// The file is longer than the file size limit of this process.
    #[error(
        "`{}` has {len} bytes and this process may write {limit} to a file: raise the limit (ulimit -f) and run the same command again",
        Shown(path)
    )]
    FileLimit {
        /// The file.
        path: PathBuf,
        /// Its length, bytes.
        len: u64,
        /// The limit of the process, bytes.
        limit: u64,
    },
    /// A write to a store that only serves.
    #[error("this store is read-only: fetch into a folder instead")]
    ReadOnlyStore,
    /// A read from a store that does not serve.
    #[error("this store keeps nothing to serve: fetch into a folder to serve others")]
    NotServed,
    /// The index or manifest does not match the kind of entry on disk.
    #[error("`{}` is a single file, the manifest is not: name the folder that holds it", Shown(path))]
    NotOneFile {
        /// The file.
        path: PathBuf,
    },
}

/// The extent of a transient read error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The chunk alone.
    Chunk,
    /// Every chunk of its file.
    File,
    /// Every chunk of the content.
    Everything,
}

/// The kind of an error, for callers that handle some kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// No space or quota left, or no inode.
    Full,
    /// The file exceeds the length limit of the file system or of this process.
    TooLong,
    /// The file system is read-only.
    ReadOnly,
    /// The system denies permission.
    Permission,
    /// The file or folder is missing.
    Missing,
    /// Any other refusal of the system.
    Disk,
    /// The data differs from the manifest.
    Changed,
    /// Another entry is in the way: a person has to decide.
    InTheWay,
    /// Another process uses the file.
    Busy,
    /// The caller asked for an operation that this store does not have.
    Misuse,
}

impl StoreError {
    /// The kind of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Disk { source, .. } => kind_of(source),
            Self::NoInodes { .. } => ErrorKind::Full,
            Self::Changed { .. }
            | Self::Integrity { .. }
            | Self::Sealed { .. }
            | Self::Cut { .. }
            | Self::Damaged { .. } => ErrorKind::Changed,
            Self::TargetExists { .. }
            | Self::Unsafe { .. }
            | Self::Displaced { .. }
            | Self::Replaced { .. }
            | Self::NotAFile { .. }
            | Self::FolderInTheWay { .. }
            | Self::NotAFolder { .. }
            | Self::DanglingLink { .. }
            | Self::NotOneFile { .. } => ErrorKind::InTheWay,
            Self::Busy { .. } => ErrorKind::Busy,
            Self::SyncFailed { .. } | Self::FileLimit { .. } => ErrorKind::Disk,
            Self::Away { .. } | Self::PlaceAway { .. } => ErrorKind::Missing,
            Self::NotVerified { .. }
            | Self::Unwanted { .. }
            | Self::Range { .. }
            | Self::Unfinished { .. }
            | Self::Stopped { .. }
            | Self::ReadOnlyStore
            | Self::NotServed => ErrorKind::Misuse,
        }
    }

    /// Whether a read error may be transient, and what else it concerns: it says nothing about the bytes. `None` if it is permanent.
    pub fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::Away { .. } => Some(Trouble::Everything),
            Self::PlaceAway { .. } => Some(Trouble::File),
            Self::Disk { source, op, .. } => trouble_of(source, op),
            _ => None,
        }
    }

    /// The category of the cause: it decides the exit code.
    pub fn category(&self) -> Category {
        match self {
            Self::TargetExists { .. }
            | Self::FolderInTheWay { .. }
            | Self::NotAFolder { .. }
            | Self::DanglingLink { .. }
            | Self::Unsafe { .. }
            | Self::Displaced { .. }
            | Self::Replaced { .. }
            | Self::NotAFile { .. } => Category::TargetDiffers,
            Self::Disk { .. }
            | Self::Away { .. }
            | Self::PlaceAway { .. }
            | Self::NoInodes { .. }
            | Self::FileLimit { .. }
            | Self::SyncFailed { .. } => Category::Disk,
            Self::Changed { .. }
            | Self::Integrity { .. }
            | Self::Sealed { .. }
            | Self::Cut { .. }
            | Self::Damaged { .. } => Category::Integrity,
            Self::NotOneFile { .. } => Category::Usage,
            Self::Busy { .. } => Category::Held,
            Self::Stopped { .. } => Category::Interrupted,
            Self::NotVerified { .. }
            | Self::Unwanted { .. }
            | Self::Range { .. }
            | Self::Unfinished { .. }
            | Self::ReadOnlyStore
            | Self::NotServed => Category::Other,
        }
    }

    /// Whether this process has no right to write there; the existing files may still be all that is wanted.
    pub(crate) fn is_unwritable(&self) -> bool {
        matches!(self.kind(), ErrorKind::ReadOnly | ErrorKind::Permission)
    }

    /// Whether freeing space would help.
    pub fn is_full(&self) -> bool {
        self.kind() == ErrorKind::Full
    }

    /// Whether the file or folder is missing.
    pub(crate) fn is_missing(&self) -> bool {
        self.kind() == ErrorKind::Missing
    }

    /// Whether the file system refuses a file of this length.
    pub(crate) fn is_too_long(&self) -> bool {
        match self {
            Self::Disk { source, op: "extend", .. } => {
                matches!(Errno::from_io_error(source), Some(Errno::FBIG | Errno::INVAL))
            }
            _ => false,
        }
    }

    /// Whether this process, or the system, has no file descriptor left.
    pub(crate) fn is_out_of_descriptors(&self) -> bool {
        match self {
            Self::Disk { source, .. } => {
                matches!(Errno::from_io_error(source), Some(Errno::MFILE | Errno::NFILE))
            }
            _ => false,
        }
    }

    /// Adds the path and the operation to a system error.
    pub(crate) fn disk(path: &Path, op: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match Errno::from_io_error(&source) {
            // The system reports the same error for bytes and inodes, but the ways out differ.
            Some(Errno::NOSPC) if has_no_inodes(path) => Self::NoInodes { path: path.to_owned(), op },
            _ => Self::Disk { path: path.to_owned(), op, source },
        }
    }
}

/// Whether the file system that holds `path` has free bytes but no free inode. File systems that create inodes on demand report
/// a total of none.
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

fn trouble_of(source: &io::Error, op: &str) -> Option<Trouble> {
    // An unexpected end of a file is not a system error.
    match Errno::from_io_error(source)? {
        // A file stands where a folder has to be.
        Errno::NOTDIR => None,
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NODEV | Errno::NXIO => Some(Trouble::Everything),
        _ if op == OPEN_FOLDER => Some(Trouble::Everything),
        Errno::NOENT => None,
        Errno::IO if op == "read" => Some(Trouble::Chunk),
        _ => Some(Trouble::File),
    }
}

/// ` (process 4242)`
fn process(holder: Option<u32>) -> String {
    holder.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

/// ` and 3 more`
fn more(count: usize) -> String {
    if count == 0 { String::new() } else { format!(" and {count} more") }
}

fn way_out(source: &io::Error) -> &'static str {
    if matches!(Errno::from_io_error(source), Some(Errno::MFILE | Errno::NFILE)) {
        return "raise the limit (ulimit -n) and run the same command again";
    }
    match Errno::from_io_error(source) {
        Some(Errno::FBIG) => {
            return "choose a folder on a file system for longer files, or raise the limit (ulimit -f)";
        }
        Some(Errno::NAMETOOLONG | Errno::ILSEQ) => {
            return "choose a folder on a file system that takes this name";
        }
        _ => {}
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

/// The operation that opens the folder of a content.
pub(super) const OPEN_FOLDER: &str = "open folder";

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
            cannot write `out/film.mov`: File too large (os error 27); choose a folder on a file system for longer files, or raise the limit (ulimit -f)
            `out/film.mov` leads through a symbolic link or out of the folder: remove it or choose another folder"]]
        .assert_eq(&shown.join("\n"));
        assert!(disk(Errno::DQUOT).is_full());
        assert_eq!(disk(Errno::ROFS).kind(), ErrorKind::ReadOnly);
    }

    #[test]
    fn every_path_in_a_message_is_escaped() {
        let path = || PathBuf::from("\x1b]0;evil\x07\n\u{202e}");
        for error in [
            StoreError::disk(&path(), "write")(Errno::IO.into()),
            StoreError::Changed { path: path(), chunk: 1 },
            StoreError::PlaceAway { path: path() },
            StoreError::NotVerified { path: path(), chunk: 1 },
            StoreError::Unwanted { path: path(), chunk: 1 },
            StoreError::TargetExists { path: path() },
            StoreError::Integrity { path: path() },
            StoreError::Sealed { path: path(), chunk: 1 },
            StoreError::Cut { path: path() },
            StoreError::Unsafe { path: path() },
            StoreError::Displaced { path: path() },
            StoreError::NotAFile { path: path() },
            StoreError::Busy { path: path(), holder: Some(7) },
            StoreError::Unfinished { path: path(), missing: 1 },
            StoreError::SyncFailed { path: path() },
            StoreError::NotOneFile { path: path() },
        ] {
            let shown = error.to_string();
            assert!(!shown.contains(swarm_core::base::is_hidden), "{shown:?}");
            assert!(shown.contains("`\\u{1b}]0;evil\\u{7}\\n\\u{202e}`"), "{shown:?}");
        }
    }
}
