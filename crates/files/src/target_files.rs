//! The files of a fetch: `.part` while they are incomplete, their final names afterwards. Invariant: a final name shows nothing, the
//! old file, or the complete new one. Names are not trusted: a file opened by its name must be the one that was written.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use data_encoding::HEXLOWER;

use super::dir::{Access, Dir, Standing};
use super::direct::DirectWrites;
use super::file::File;
use super::identity::Identity;
use super::index::sha256_of;
use super::nicety::{Nicety, at};
use super::open_files::OpenFiles;
use super::part_locks::PartLocks;
use super::{StoreError, locked};
use crate::limits::OPEN_DIRECT_FILES_MAX;
use swarm_core::manifest::{EntryPath, FileIndex, Manifest};

/// Where the bytes of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The file was not created yet.
    Nothing,
    /// Under the temporary name.
    Part,
    /// Under the final name.
    Final,
}

/// Files that existed before.
#[derive(Debug, Default)]
pub(super) struct FoundFiles {
    /// The place of each file.
    pub(super) places: Vec<Place>,
    /// The identity of each existing file, by index.
    pub(super) identities: BTreeMap<usize, Identity>,
    /// The locks of incomplete files.
    pub(super) locks: PartLocks,
}

/// The files of a fetch.
#[derive(Debug)]
pub(super) struct TargetFiles {
    pub(super) dir: Dir,
    manifest: Manifest,
    /// Whether files in the way are replaced.
    overwrite: bool,
    open: OpenFiles,
    /// Long files, opened a second time for direct writes.
    open_direct: OpenFiles,
    direct: DirectWrites,
    /// One cached write at a time: two writes into one file spin on its lock in the kernel, on the core that could verify meanwhile.
    cached_writes: Mutex<()>,
    locks: PartLocks,
    made: Mutex<Made>,
}

#[derive(Debug)]
struct Made {
    places: Vec<Place>,
    /// The identity of each file, by index.
    identities: BTreeMap<usize, Identity>,
    /// Folders with names that are not durable yet.
    unsynced: BTreeSet<PathBuf>,
}

impl TargetFiles {
    pub(super) fn new(dir: Dir, manifest: Manifest, overwrite: bool, found: FoundFiles) -> Self {
        let FoundFiles { places, identities, locks } = found;
        let made = Mutex::new(Made { places, identities, unsynced: BTreeSet::new() });
        let (open, open_direct) = (OpenFiles::default(), OpenFiles::at_most(OPEN_DIRECT_FILES_MAX));
        Self {
            dir,
            manifest,
            overwrite,
            open,
            open_direct,
            direct: DirectWrites::default(),
            cached_writes: Mutex::new(()),
            locks,
            made,
        }
    }

    pub(super) fn place(&self, file: FileIndex) -> Place {
        locked(&self.made).places[file.get()]
    }

    /// The final path, for messages.
    pub(super) fn path(&self, file: FileIndex) -> PathBuf {
        self.dir.full(final_path(&self.manifest, file))
    }

    /// The open file and its place. `None` if it was not created yet.
    pub(super) fn existing(&self, file: FileIndex) -> Result<Option<(Arc<File>, Place)>, StoreError> {
        // The file may be renamed between the look-up and the open: then the second look-up is right.
        let place = self.place(file);
        match self.open_at(file, place) {
            Err(error) if error.is_missing() && self.place(file) != place => {
                self.open_at(file, self.place(file))
            }
            opened => opened,
        }
    }

    /// The file to write to; created at its full length if missing.
    pub(super) fn to_write(&self, file: FileIndex) -> Result<Arc<File>, StoreError> {
        if let Some((open, _)) = self.existing(file)? {
            return Ok(open);
        }
        let mut made = locked(&self.made);
        if made.places[file.get()] == Place::Nothing {
            let part = part_path(&self.dir, &self.manifest, file);
            self.make_folders(&part, &mut made.unsynced)?;
            let new = Arc::new(self.open_file(&part, Access::CreateNew)?);
            // Locked before its length is set: another fetch might take it for a leftover.
            self.locks.take(file, &self.dir.full(&part), Arc::clone(&new))?;
            if let Err(error) = new.set_len(self.manifest.file(file).len) {
                self.locks.release(file);
                self.dir.remove_file(&part)?;
                return Err(StoreError::disk(&self.dir.full(&part), "extend")(error));
            }
            made.places[file.get()] = Place::Part;
            made.identities.insert(file.get(), new.identity());
            return Ok(self.open.put(file, new));
        }
        let place = made.places[file.get()];
        drop(made);
        let opened = self.open_at(file, place)?;
        opened.map(|(open, _)| open).ok_or_else(|| StoreError::TargetExists { path: self.path(file) })
    }

    /// Writes to a file of [`Self::to_write`], directly where that is worthwhile.
    pub(super) fn write(
        &self,
        file: FileIndex,
        open: &File,
        data: &[u8],
        offset: u64,
    ) -> Result<(), StoreError> {
        let failed = |error| StoreError::disk(&self.path(file), "write")(error);
        let written = match self.opened_direct(file, open) {
            Some(direct) => {
                let direct = self.direct.write(&direct, data, offset).map_err(failed)?;
                direct.unwrap_or_else(|reason| {
                    self.dir.niceties().note(Nicety::Direct, || self.path(file), reason);
                    0
                })
            }
            None => 0,
        };
        if written == data.len() {
            return Ok(());
        }
        let _turn = locked(&self.cached_writes);
        open.write_all_at(&data[written..], offset + written as u64).map_err(failed)
    }

    fn opened_direct(&self, file: FileIndex, open: &File) -> Option<Arc<File>> {
        if !self.direct.suit(self.manifest.file(file).len) {
            return None;
        }
        let part = part_path(&self.dir, &self.manifest, file);
        let direct = self.open_direct.get(file, || self.dir.open_file(&part, Access::WriteDirect)).ok();
        let direct = direct.filter(|direct| direct.identity() == open.identity());
        if direct.is_none() {
            self.direct.refuse();
        }
        direct
    }

    /// Gives a complete file its final name and executable bit; false if it already has them.
    pub(super) fn promote(&self, file: FileIndex) -> Result<bool, StoreError> {
        if self.place(file) != Place::Part {
            return Ok(false);
        }
        let (part, name) = (part_path(&self.dir, &self.manifest, file), final_path(&self.manifest, file));
        let Some((open, Place::Part)) = self.existing(file)? else { return Ok(false) };
        let len = open.metadata().map_err(StoreError::disk(&self.path(file), "stat"))?.len();
        if len != self.manifest.file(file).len {
            // Another process cut the file meanwhile, so the journal must not be believed any more.
            return Err(StoreError::Cut { path: self.path(file) });
        }
        self.check_sha256(file, &part, &open)?;
        self.set_executable(file, &open)?;
        self.check_name(&part, &open)?;
        self.dir.rename(&part, name, self.overwrite)?;
        if let Err(error) = self.check_name(name, &open) {
            // Another file took the temporary name after the check: it gets the name back, if that is free.
            let _ = self.dir.rename(name, &part, false);
            return Err(error);
        }
        // A file cannot be executed while a process has it open for writing.
        self.open.forget(file);
        self.open_direct.forget(file);
        self.locks.release(file);
        let mut made = locked(&self.made);
        made.places[file.get()] = Place::Final;
        made.unsynced.extend(name.parent().map(Path::to_owned));
        Ok(true)
    }

    /// Makes the next read open a file anew.
    pub(super) fn forget(&self, file: FileIndex) {
        self.open.forget(file);
    }

    /// Makes an empty file.
    pub(super) fn make_empty(&self, file: FileIndex) -> Result<(), StoreError> {
        let name = final_path(&self.manifest, file);
        let mut made = locked(&self.made);
        self.make_folders(name, &mut made.unsynced)?;
        match self.dir.open_file(name, Access::CreateNew) {
            Ok(open) => self.set_executable(file, &open),
            Err(StoreError::TargetExists { path }) => self.take_empty(file, name, path),
            Err(error) => Err(error),
        }
    }

    /// Makes an empty folder.
    pub(super) fn make_directory(&self, entry: &EntryPath) -> Result<(), StoreError> {
        let relative = Path::new(entry.as_str());
        self.dir.make_directory(relative)?;
        locked(&self.made).unsynced.extend(relative.ancestors().map(Path::to_owned));
        Ok(())
    }

    /// Sets the executable bit of a file that was there before.
    pub(super) fn finish_executable(&self, file: FileIndex) -> Result<(), StoreError> {
        match self.place(file) {
            Place::Final if self.manifest.file(file).executable => {
                match self.dir.open_file(final_path(&self.manifest, file), Access::Read) {
                    // A user may move a finished file away while the others are fetched.
                    Err(error) if error.is_missing() => Ok(()),
                    opened => self.set_executable(file, &opened?),
                }
            }
            Place::Final | Place::Part | Place::Nothing => Ok(()),
        }
    }

    /// Makes all new names durable.
    pub(super) fn sync_names(&self) -> Result<(), StoreError> {
        let unsynced = std::mem::take(&mut locked(&self.made).unsynced);
        let are_many = unsynced.len() > crate::limits::SYNC_FILES_MAX;
        // The data of these files is synced: if syncing all at once fails, syncing one by one may succeed.
        let synced = if are_many && matches!(self.dir.sync_file_system(), Ok(true)) {
            Ok(())
        } else {
            unsynced.iter().try_for_each(|folder| self.dir.sync_directory(folder))
        };
        if synced.is_err() {
            locked(&self.made).unsynced.extend(unsynced);
        }
        synced
    }

    /// Checks that the temporary name of a file still leads to the file that was written.
    pub(super) fn check_part(&self, file: FileIndex) -> Result<(), StoreError> {
        if self.place(file) != Place::Part {
            return Ok(());
        }
        let part = part_path(&self.dir, &self.manifest, file);
        match self.check_identity(file, &part) {
            // The file was renamed between the two looks.
            Err(_) if self.place(file) == Place::Final => Ok(()),
            checked => checked,
        }
    }

    /// Checks that the final name of a complete file leads to the file that was written, or to nothing: the user may have moved it.
    pub(super) fn check_final(&self, file: FileIndex) -> Result<(), StoreError> {
        let name = final_path(&self.manifest, file);
        if self.place(file) != Place::Final || self.dir.stat(name)? == Standing::Nothing {
            return Ok(());
        }
        self.check_identity(file, name)
    }

    fn check_identity(&self, file: FileIndex, name: &Path) -> Result<(), StoreError> {
        let (found, known) = (self.dir.stat(name)?, self.identity(file));
        match found {
            Standing::File { identity, .. } if known.is_none_or(|known| known == identity) => Ok(()),
            Standing::File { .. }
            | Standing::Nothing
            | Standing::Directory
            | Standing::Symlink
            | Standing::Special => Err(StoreError::Replaced { path: self.dir.full(name) }),
        }
    }

    fn check_name(&self, name: &Path, open: &File) -> Result<(), StoreError> {
        match self.dir.stat(name)? {
            Standing::File { identity, .. } if identity == open.identity() => Ok(()),
            Standing::File { .. }
            | Standing::Nothing
            | Standing::Directory
            | Standing::Symlink
            | Standing::Special => Err(StoreError::Replaced { path: self.dir.full(name) }),
        }
    }

    fn identity(&self, file: FileIndex) -> Option<Identity> {
        if !self.dir.keeps_inodes() {
            return None;
        }
        locked(&self.made).identities.get(&file.get()).copied()
    }

    /// Opens a file; where no descriptors are left, it closes locked files and tries again.
    fn open_file(&self, path: &Path, access: Access) -> Result<File, StoreError> {
        match self.dir.open_file(path, access) {
            // Only if the open itself failed: a created file must not be created twice.
            Err(error @ StoreError::Disk { op: "open", .. })
                if error.is_out_of_descriptors() && self.locks.release_all() =>
            {
                self.dir.open_file(path, access)
            }
            opened => opened,
        }
    }

    fn open_part(&self, file: FileIndex) -> Result<File, StoreError> {
        let part = part_path(&self.dir, &self.manifest, file);
        let open = self.open_file(&part, Access::Write)?;
        match self.identity(file) {
            Some(known) if known != open.identity() => {
                Err(StoreError::Replaced { path: self.dir.full(&part) })
            }
            Some(_) | None => Ok(open),
        }
    }

    fn open_at(&self, file: FileIndex, place: Place) -> Result<Option<(Arc<File>, Place)>, StoreError> {
        let open = || match place {
            Place::Nothing | Place::Part => self.open_part(file),
            // The reader verifies the bytes again if the file has changed.
            Place::Final => self.open_file(final_path(&self.manifest, file), Access::Read),
        };
        match place {
            Place::Nothing => Ok(None),
            Place::Part | Place::Final => Ok(Some((self.open.get(file, open)?, place))),
        }
    }

    fn make_folders(&self, relative: &Path, unsynced: &mut BTreeSet<PathBuf>) -> Result<(), StoreError> {
        let folder = relative.parent().unwrap_or(Path::new(""));
        self.dir.make_directory(folder)?;
        unsynced.extend(folder.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn take_empty(&self, file: FileIndex, name: &Path, path: PathBuf) -> Result<(), StoreError> {
        let existing = self.dir.open_file(name, Access::Read)?;
        let len = existing.metadata().map_err(StoreError::disk(&path, "stat"))?.len();
        if len == 0 {
            return self.set_executable(file, &existing);
        }
        if !self.overwrite {
            return Err(StoreError::TargetExists { path });
        }
        let part = part_path(&self.dir, &self.manifest, file);
        self.dir.remove_file(&part)?;
        let new = self.dir.open_file(&part, Access::CreateNew)?;
        self.set_executable(file, &new)?;
        self.dir.rename(&part, name, true)
    }

    fn check_sha256(&self, file: FileIndex, part: &Path, open: &File) -> Result<(), StoreError> {
        let entry = self.manifest.file(file);
        let Some(expected) = entry.sha256 else { return Ok(()) };
        let path = self.dir.full(part);
        let found = sha256_of(open, entry.len).map_err(StoreError::disk(&path, "read"))?;
        if found == expected { Ok(()) } else { Err(StoreError::Integrity { path }) }
    }

    /// Every user who may read the file may then execute it, as if it had been created executable under the same umask.
    fn set_executable(&self, file: FileIndex, open: &File) -> Result<(), StoreError> {
        if !self.manifest.file(file).executable {
            return Ok(());
        }
        let path = self.path(file);
        let mode = open.metadata().map_err(StoreError::disk(&path, "stat"))?.permissions().mode();
        let wanted = mode | (mode & 0o444) >> 2;
        if wanted == mode {
            return Ok(());
        }
        self.dir
            .niceties()
            .tolerate(Nicety::ExecutableBit, at(&path), open.set_mode(wanted))
            .map_err(|errno| StoreError::disk(&path, "make executable")(errno.into()))
    }
}

/// The final name, relative to the folder.
pub(super) fn final_path(manifest: &Manifest, file: FileIndex) -> &Path {
    Path::new(manifest.file(file).path.as_str())
}

/// The temporary name: `<name>.part` beside the final one, unless an entry of the content has that name, or it is too
/// long here or for the target.
pub(super) fn part_path(dir: &Dir, manifest: &Manifest, file: FileIndex) -> PathBuf {
    let mut names = part_paths(manifest, file);
    let last = names.pop().expect("one name is always among them");
    names.into_iter().find(|name| !dir.refuses(name)).unwrap_or(last)
}

/// All possible temporary names of a file, the preferred one first; the target decides which can be used.
pub(super) fn part_paths(manifest: &Manifest, file: FileIndex) -> Vec<PathBuf> {
    let entry = &manifest.file(file).path;
    let hash = blake3::hash(&[manifest.id().as_bytes().as_slice(), entry.as_str().as_bytes()].concat());
    let hidden = format!(".swarm-{}.part", HEXLOWER.encode(&hash.as_bytes()[..8]));
    let beside = entry.parent().map_or_else(|| hidden.clone(), |folder| format!("{folder}/{hidden}"));
    let candidates = [format!("{}.part", entry.as_str()), beside, hidden];
    // All three are taken only if the manifest was built around its own hash; the last name belongs to this fetch even then.
    let last = format!(".swarm-{}.part", HEXLOWER.encode(hash.as_bytes()));
    let free = candidates.into_iter().filter(|name| is_free(manifest, name));
    free.chain([last]).map(PathBuf::from).collect()
}

/// Whether a name can be used: no entry of the content has it, or lies below it.
fn is_free(manifest: &Manifest, name: &str) -> bool {
    let Ok(entry) = EntryPath::new(name) else { return false };
    let below = format!("{name}/");
    let (files, folders) = (manifest.files(), manifest.empty_directories());
    let file_below = files.partition_point(|file| file.path.as_str() < below.as_str());
    let folder_below = folders.partition_point(|folder| folder.as_str() < below.as_str());
    files.binary_search_by(|file| file.path.cmp(&entry)).is_err()
        && folders.binary_search(&entry).is_err()
        && !files.get(file_below).is_some_and(|file| file.path.as_str().starts_with(&below))
        && !folders.get(folder_below).is_some_and(|folder| folder.as_str().starts_with(&below))
}
