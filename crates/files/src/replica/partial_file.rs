//! A file that comes from elsewhere in several parts, over days and processes, with a note of what it is. Invariant: its bytes are written one after
//! the other and stay until it is put, removed or cut; what [`PartialFile::sync`] was asked for survives a power cut. What a note says is its caller's.

use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use swarm_sync::TreePath;

use super::new_file::{NewFile, PutError, RESUMABLE, Replaces};
use crate::dir::{Access, Dir, Standing};
use crate::error::StoreError;

/// A file of which some is here. Dropping it leaves it there.
pub struct PartialFile(NewFile);

/// What stands in a folder of such a file.
#[derive(Clone, Debug)]
pub struct PartFound {
    /// Its name.
    pub name: String,
    /// What was noted of it; nothing if a process ended before that was written.
    pub note: Option<Vec<u8>>,
    /// Bytes that are here; `None` for a file that was put, and of which the note alone is left.
    pub len: Option<u64>,
    /// When it was last written to, in milliseconds since 1970.
    pub touched_ms: u64,
}

impl PartialFile {
    /// Begins a file in a folder. `name` tells it from others, and is a name of a file.
    ///
    /// # Errors
    /// If the folder is not there, or cannot be written.
    pub fn begin(folder: &Path, name: &str, note: &[u8]) -> Result<Self, StoreError> {
        let dir = Dir::open(folder)?;
        let at = place(name);
        dir.make_directory(&at)?;
        write_note(&dir, &at, note)?;
        let temporary = at.join(BYTES);
        let file = dir.open_file(&temporary, Access::CreateNew)?;
        let above: Vec<&Path> = temporary.ancestors().skip(1).collect();
        above.into_iter().rev().try_for_each(|above| dir.sync_directory(above))?;
        Ok(Self(NewFile { dir, file, temporary, len: 0, stays: true }))
    }

    /// Opens what is here of a file; `None` if nothing is.
    ///
    /// # Errors
    /// If the disk refuses it.
    pub fn open(folder: &Path, name: &str) -> Result<Option<Self>, StoreError> {
        let (dir, temporary) = (Dir::open(folder)?, place(name).join(BYTES));
        if !matches!(dir.stat(&temporary)?, Standing::File { .. }) {
            return Ok(None);
        }
        let file = dir.open_file(&temporary, Access::Write)?;
        let len = file.metadata().map_err(StoreError::disk(&dir.full(&temporary), "stat"))?.len();
        Ok(Some(Self(NewFile { dir, file, temporary, len, stays: true })))
    }

    /// What stands in a folder under a name.
    ///
    /// # Errors
    /// If the disk refuses it.
    pub fn found(folder: &Path, name: &str) -> Result<Option<PartFound>, StoreError> {
        look(&Dir::open(folder)?, name)
    }

    /// All such files of a folder.
    ///
    /// # Errors
    /// If the disk refuses it.
    pub fn all(folder: &Path) -> Result<Vec<PartFound>, StoreError> {
        let dir = Dir::open(folder)?;
        if dir.stat(Path::new(RESUMABLE))? != Standing::Directory {
            return Ok(Vec::new());
        }
        let names = dir.names(Path::new(RESUMABLE))?;
        let names = names.into_iter().filter_map(|name| name.into_string().ok());
        // What goes at this moment is not there.
        let found = |name: String| match look(&dir, &name) {
            Err(error) if error.is_missing() => None,
            found => found.transpose(),
        };
        names.filter_map(found).collect()
    }

    /// Removes a file and its note.
    ///
    /// # Errors
    /// If the disk refuses it.
    pub fn remove(folder: &Path, name: &str) -> Result<(), StoreError> {
        Dir::open(folder)?.remove_tree(&place(name))
    }

    /// Replaces the note.
    ///
    /// # Errors
    /// If the disk refuses it.
    pub fn note(folder: &Path, name: &str, note: &[u8]) -> Result<(), StoreError> {
        let (dir, at) = (Dir::open(folder)?, place(name));
        write_note(&dir, &at, note)?;
        dir.sync_directory(&at)
    }

    /// Bytes that are here.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether nothing is here yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes what comes next.
    ///
    /// # Errors
    /// If the disk refuses it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.write(bytes)
    }

    /// Makes what came durable.
    ///
    /// # Errors
    /// If the disk refuses it.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.0.sync()
    }

    /// Keeps the first bytes alone.
    ///
    /// # Errors
    /// If the disk refuses it.
    pub fn cut(&mut self, len: u64) -> Result<(), StoreError> {
        let cut = self.0.file.set_len(len);
        cut.map_err(StoreError::disk(&self.0.dir.full(&self.0.temporary), "shorten"))?;
        self.0.len = len;
        Ok(())
    }

    /// Reads from a place of it; nothing at its end.
    ///
    /// # Errors
    /// If the disk refuses it.
    pub fn read_at(&self, block: &mut [u8], at: u64) -> Result<usize, StoreError> {
        let read = self.0.file.read_at(block, at);
        read.map_err(StoreError::disk(&self.0.dir.full(&self.0.temporary), "read"))
    }

    /// Puts it to its place below the folder, as [`NewFile::put`] does. One that is refused stays as it is.
    ///
    /// # Errors
    /// [`PutError::Stands`] if something else stands there; then nothing has changed.
    pub fn put(&self, path: &TreePath, replaces: Replaces) -> Result<(), PutError> {
        self.0.put_to(path, replaces)
    }
}

fn look(dir: &Dir, name: &str) -> Result<Option<PartFound>, StoreError> {
    let at = place(name);
    if dir.stat(&at)? != Standing::Directory {
        return Ok(None);
    }
    let (mut touched_ms, mut note, mut len) = (0, None, None);
    let touched = |file: &crate::file::File| -> io::Result<u64> {
        let since = file.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    };
    for part in [NOTE, BYTES] {
        let path = at.join(part);
        if !matches!(dir.stat(&path)?, Standing::File { .. }) {
            continue;
        }
        let file = dir.open_file(&path, Access::Read)?;
        let failed = |error: io::Error| StoreError::disk(&dir.full(&path), "read")(error);
        touched_ms = touched_ms.max(touched(&file).map_err(failed)?);
        if part == BYTES {
            len = Some(file.metadata().map_err(failed)?.len());
            continue;
        }
        let mut read = Vec::new();
        file.system().take(NOTE_LEN_MAX).read_to_end(&mut read).map_err(failed)?;
        note = Some(read);
    }
    Ok(Some(PartFound { name: name.to_owned(), note, len, touched_ms }))
}

/// Writes a note whole or not at all.
fn write_note(dir: &Dir, at: &Path, note: &[u8]) -> Result<(), StoreError> {
    let (new, to) = (at.join(NEW_NOTE), at.join(NOTE));
    let file = dir.open_file(&new, Access::Create)?;
    let written = file.set_len(0).and_then(|()| file.write_all_at(note, 0)).and_then(|()| file.sync_data());
    written.map_err(StoreError::disk(&dir.full(&new), "write"))?;
    dir.rename(&new, &to, true)
}

fn place(name: &str) -> PathBuf {
    Path::new(RESUMABLE).join(name)
}

const BYTES: &str = "bytes";
const NOTE: &str = "note";
const NEW_NOTE: &str = "note.new";
/// Longest note that is read.
const NOTE_LEN_MAX: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn stands(folder: &Path, relative: &str) -> Option<Vec<u8>> {
        std::fs::read(folder.join(relative)).ok()
    }

    #[test]
    fn a_file_goes_on_after_a_restart_and_is_put_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut part = PartialFile::begin(folder.path(), "one", b"of anna").expect("begun");
        part.write(b"first, ").expect("written");
        drop(part);
        // Of a file that comes in one part, nothing is left by a process that ended; this one stays.
        std::fs::write(folder.path().join(".swarm/uploads/left"), "half").expect("written");
        NewFile::remove_leftovers(folder.path()).expect("removed");
        assert!(stands(folder.path(), ".swarm/uploads/left").is_none());
        let found = PartialFile::all(folder.path()).expect("a disk");
        assert_eq!((found.len(), &*found[0].name, found[0].len), (1, "one", Some(7)));
        assert_eq!(found[0].note.as_deref(), Some(&b"of anna"[..]));
        let mut part = PartialFile::open(folder.path(), "one").expect("a disk").expect("it is there");
        part.write(b"wrong").expect("written");
        part.cut(7).expect("cut");
        part.write(b"second").expect("written");
        let path = TreePath::new("a/b.txt").expect("a path");
        std::fs::create_dir(folder.path().join("a")).expect("made");
        std::fs::write(folder.path().join("a/b.txt"), "other").expect("written");
        let error = part.put(&path, Replaces::Nothing).expect_err("it stands");
        assert!(matches!(error, PutError::Stands(_)), "{error}");
        assert_eq!(part.len(), 13);
        std::fs::remove_file(folder.path().join("a/b.txt")).expect("removed");
        part.put(&path, Replaces::Nothing).expect("put");
        assert_eq!(stands(folder.path(), "a/b.txt").as_deref(), Some(&b"first, second"[..]));
        PartialFile::note(folder.path(), "one", b"done").expect("noted");
        let found = PartialFile::found(folder.path(), "one").expect("a disk").expect("its note");
        assert_eq!((found.len, found.note.as_deref()), (None, Some(&b"done"[..])));
        PartialFile::remove(folder.path(), "one").expect("removed");
        assert!(PartialFile::all(folder.path()).expect("a disk").is_empty());
    }
}
