//! A disk as a value: names, folders and bytes, and what a crash may leave of operations that were not synced.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::watch::{Done, move_below};
use swarm_core::base::{Rng, Shown};

/// The contents of a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Disk {
    /// Bytes of files, by number; a file without a name is lost.
    pub(super) files: Vec<Vec<u8>>,
    pub(super) names: BTreeMap<PathBuf, usize>,
    /// Folders below the root, which always exists.
    folders: BTreeSet<PathBuf>,
}

/// The effect of a crash on one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The operation reached the disk.
    Kept,
    /// The operation did not reach the disk.
    Lost,
    /// Some sectors of a write reached the disk; the seed selects them.
    Torn(u64),
    /// The length of a write reached the disk, and the bytes read as zeros.
    Zeros,
    /// The length of a write reached the disk, and the bytes are old data of other files.
    Garbage,
}

impl Disk {
    /// Reads a folder.
    pub(super) fn of(root: &Path) -> Self {
        let mut disk = Self::default();
        for found in walkdir::WalkDir::new(root).min_depth(1).sort_by_file_name() {
            let found = found.unwrap();
            let path = found.path().strip_prefix(root).unwrap().to_owned();
            if found.file_type().is_dir() {
                disk.folders.insert(path);
            } else {
                disk.names.insert(path, disk.files.len());
                disk.files.push(fs::read(found.path()).unwrap());
            }
        }
        disk
    }

    /// Fills an empty folder.
    pub(super) fn restore(&self, root: &Path) {
        for folder in &self.folders {
            fs::create_dir(root.join(folder)).unwrap();
        }
        for (name, file) in &self.names {
            fs::write(root.join(name), &self.files[*file]).unwrap();
        }
    }

    /// The bytes under a name.
    pub(super) fn read(&self, name: &Path) -> Option<&[u8]> {
        self.names.get(name).map(|file| self.files[*file].as_slice())
    }

    /// A hash that differs between states.
    pub(super) fn sum(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for folder in &self.folders {
            hasher.update(format!("{} /", Shown(&folder)).as_bytes());
        }
        for (name, file) in &self.names {
            hasher.update(format!("{} {}", Shown(&name), self.files[*file].len()).as_bytes());
            hasher.update(&self.files[*file]);
        }
        hasher.finalize()
    }

    /// The disk that a crash leaves after these operations, each with its fate.
    pub(super) fn after(&self, log: &[Done], fates: &[Fate]) -> Self {
        let mut disk = self.clone();
        for (done, fate) in log.iter().zip(fates) {
            disk.apply(done, *fate);
        }
        disk.drop_unreachable();
        disk
    }

    fn apply(&mut self, done: &Done, fate: Fate) {
        if let Done::Create { file, .. } = done {
            self.files.resize(self.files.len().max(file + 1), Vec::new());
        }
        match (done, fate) {
            (Done::Write { file, offset, data }, fate) => self.write(*file, *offset as usize, data, fate),
            (_, Fate::Lost)
            | (
                Done::SyncData { .. } | Done::SyncDirectory { .. } | Done::SyncFileSystem | Done::Said(_),
                _,
            ) => {}
            (Done::Create { file, path }, _) => {
                self.names.insert(path.clone(), *file);
            }
            (Done::SetLen { file, len }, _) => self.files[*file].resize(*len as usize, 0),
            (Done::Punch { file, offset, len }, _) => {
                let bytes = &mut self.files[*file];
                let end = bytes.len().min((offset + len) as usize);
                let start = end.min(*offset as usize);
                bytes[start..end].fill(0);
            }
            (Done::Rename { file, from, to }, _) => {
                // The creation of the file may be lost while its rename is not.
                self.names.remove(from);
                self.names.insert(to.clone(), *file);
            }
            (Done::RenameFolder { from, to }, _) => {
                move_below(&mut self.names, from, to);
                let moved: Vec<_> = self.folders.iter().filter(|at| at.starts_with(from)).cloned().collect();
                for folder in moved {
                    self.folders.remove(&folder);
                    let rest = folder.strip_prefix(from).unwrap();
                    self.folders.insert(if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) });
                }
            }
            (Done::Exchange { one, other }, _) => {
                self.names.insert(one.1.clone(), other.0);
                self.names.insert(other.1.clone(), one.0);
            }
            (Done::Remove { path }, _) => {
                self.names.remove(path);
                self.folders.remove(path);
            }
            (Done::MakeDirectory { path }, _) => {
                self.folders.insert(path.clone());
            }
        }
    }

    fn write(&mut self, file: usize, offset: usize, data: &[u8], fate: Fate) {
        let bytes = &mut self.files[file];
        let end = offset + data.len();
        let old_len = bytes.len();
        match fate {
            Fate::Lost => {}
            Fate::Kept => {
                bytes.resize(old_len.max(end), 0);
                bytes[offset..end].copy_from_slice(data);
            }
            Fate::Zeros => bytes.resize(old_len.max(end), 0),
            Fate::Garbage => bytes.resize(old_len.max(end), 0xa7),
            Fate::Torn(seed) => {
                let mut rng = Rng::seeded(seed);
                for sector in offset / SECTOR_LEN..end.div_ceil(SECTOR_LEN) {
                    let from = offset.max(sector * SECTOR_LEN);
                    let to = end.min((sector + 1) * SECTOR_LEN);
                    if rng.below(2) == 0 {
                        let len = bytes.len().max(to);
                        bytes.resize(len, 0);
                        bytes[from..to].copy_from_slice(&data[from - offset..to - offset]);
                    }
                }
            }
        }
    }

    /// Removes entries of folders whose own names were lost.
    fn drop_unreachable(&mut self) {
        let is_there = |folders: &BTreeSet<PathBuf>, path: &Path| {
            path.ancestors().skip(1).all(|at| at.as_os_str().is_empty() || folders.contains(at))
        };
        let all = self.folders.clone();
        self.folders.retain(|folder| is_there(&all, folder));
        let folders = &self.folders;
        self.names.retain(|name, _| is_there(folders, name));
    }
}

/// Operations that a crash at the end of this log may undo: those that no later sync covers.
pub(super) fn volatile(log: &[Done]) -> Vec<usize> {
    let is_covered = |index: usize| match &log[index] {
        // Of an exchange, both folders have to be synced.
        Done::Exchange { one, other } => [one, other].into_iter().all(|(file, path)| {
            let half = Done::Rename { file: *file, from: PathBuf::new(), to: path.clone() };
            log[index + 1..].iter().any(|later| covers(later, &half))
        }),
        done => log[index + 1..].iter().any(|later| covers(later, done)),
    };
    let can_be_lost = |done: &Done| match done {
        Done::Create { .. }
        | Done::Write { .. }
        | Done::SetLen { .. }
        | Done::Punch { .. }
        | Done::Rename { .. }
        | Done::RenameFolder { .. }
        | Done::Exchange { .. }
        | Done::Remove { .. }
        | Done::MakeDirectory { .. } => true,
        Done::SyncData { .. } | Done::SyncDirectory { .. } | Done::SyncFileSystem | Done::Said(_) => false,
    };
    (0..log.len()).filter(|&index| can_be_lost(&log[index]) && !is_covered(index)).collect()
}

/// Whether the later operation makes the earlier one durable. The sync of a file does not cover its name.
fn covers(sync: &Done, done: &Done) -> bool {
    match (sync, done) {
        (Done::SyncFileSystem, _) => true,
        (
            Done::SyncData { file: synced },
            Done::Write { file, .. } | Done::SetLen { file, .. } | Done::Punch { file, .. },
        ) => synced == file,
        (
            Done::SyncDirectory { path: synced },
            Done::Create { path, .. }
            | Done::Remove { path }
            | Done::MakeDirectory { path }
            | Done::Rename { to: path, .. },
        ) => path.parent() == Some(synced),
        _ => false,
    }
}

/// The unit that a disk writes completely or not at all, bytes.
const SECTOR_LEN: usize = 512;
