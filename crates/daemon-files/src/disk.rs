//! One file on disk: read whole, told apart from what it was, and replaced so that a reader or a crash finds the old or the new
//! text, never a part.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::OFlags;

use crate::limits::FILE_LEN_MAX;

/// What the file system says of one state of a file. An edit changes it, unless it keeps the length and comes within the
/// granularity of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    id: (u64, u64),
    len: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    /// The same of the last change of data or owner or mode, which no program can set.
    changed: (i64, i64),
}

/// A file as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) stamp: Stamp,
    pub(crate) bytes: Vec<u8>,
}

impl Stamp {
    /// `None` if there is no such file.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().as_ref().map(Self::from)
    }
}

impl From<&fs::Metadata> for Stamp {
    fn from(of: &fs::Metadata) -> Self {
        Self {
            id: (of.dev(), of.ino()),
            len: of.len(),
            modified: (of.mtime(), of.mtime_nsec()),
            changed: (of.ctime(), of.ctime_nsec()),
        }
    }
}

/// At most one byte more than a file may have.
pub(crate) fn read(path: &Path) -> io::Result<Content> {
    // Without O_NONBLOCK a named pipe in the place of a file would stop the caller for ever.
    let file = OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(FILE_LEN_MAX + 1).read_to_end(&mut bytes)?;
    Ok(Content { stamp: Stamp::from(&metadata), bytes })
}

/// Takes others' rights away from a file with passwords. Whether they had any.
pub(crate) fn make_private(path: &Path) -> io::Result<bool> {
    // What a link leads to may be another program's, and a device is everybody's.
    let file = match OpenOptions::new().read(true).custom_flags(NONBLOCK | NOFOLLOW).open(path) {
        Err(_) if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) => return Ok(false),
        opened => opened?,
    };
    let metadata = file.metadata()?;
    let was_open = metadata.is_file() && metadata.permissions().mode() & 0o077 != 0;
    if was_open {
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(was_open)
}

/// A text that is on its way into a file; dropped, it leaves nothing.
pub(crate) struct Replacement {
    file: File,
    beside: PathBuf,
    target: PathBuf,
    is_done: bool,
}

impl Replacement {
    /// A private file has mode 0600; others keep the mode that they have.
    pub(crate) fn begin(path: &Path, is_private: bool) -> io::Result<Self> {
        // A symbolic link stays one: what it leads to is replaced.
        let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // A name of its own: another process or thread may be replacing the same file.
        let nth = REPLACEMENTS.fetch_add(1, Ordering::Relaxed);
        let beside = target.with_file_name(format!(".{name}.{}-{nth}{BESIDE}", std::process::id()));
        // What a process with the same number has left is taken away, not written into: it may have another mode, or be a link.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mode = if is_private { 0o600 } else { 0o644 };
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        let kept = fs::metadata(&target).ok().filter(|_| !is_private);
        if let Some(kept) = kept {
            file.set_permissions(fs::Permissions::from_mode(kept.mode() & 0o777))?;
        }
        Ok(Self { file, beside, target, is_done: false })
    }

    pub(crate) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Puts it in the place of the file, durably.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.beside, &self.target)?;
        self.is_done = true;
        File::open(self.target.parent().unwrap_or(Path::new("/")))?.sync_all()
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.is_done {
            let _ = fs::remove_file(&self.beside);
        }
    }
}

/// Replaces a file whole.
pub(crate) fn replace(path: &Path, text: &str, is_private: bool) -> io::Result<()> {
    let mut replacement = Replacement::begin(path, is_private)?;
    replacement.file().write_all(text.as_bytes())?;
    replacement.finish()
}

/// Keeps other processes from editing the files of a folder until it is dropped.
pub(crate) fn lock(dir: &Path) -> io::Result<File> {
    let dir = File::open(dir)?;
    // Some network file systems have no locks: there two edits at the same moment may lose one, as with any editor.
    let _ = dir.lock();
    Ok(dir)
}

/// Takes away what crashes have left beside the files with these names. Needs the lock.
pub(crate) fn sweep(dir: &Path, names: &[&str]) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let rest = name.strip_prefix('.').and_then(|name| name.strip_suffix(BESIDE)).unwrap_or_default();
        let is_left =
            names.iter().any(|name| rest.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')));
        if is_left {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

static REPLACEMENTS: AtomicU64 = AtomicU64::new(0);

/// How the names of unfinished files end.
const BESIDE: &str = ".new";

/// Has no effect on regular files.
const NONBLOCK: i32 = OFlags::NONBLOCK.bits().cast_signed();
const NOFOLLOW: i32 = OFlags::NOFOLLOW.bits().cast_signed();
