//! Reads every file of a library again and compares it with what is known of it, beside the worker and without changing anything: a file whose
//! bytes rotted is no new version of it. A file that somebody changed since it was read last is none of its business.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use swarm_index::SqliteIndex;
use swarm_mounts::{MountKind, MountSpec};
use swarm_sync::{ContentHash, Entry, Side, TreePath};
use utoipa::ToSchema;

use super::error::LibraryError;
use super::session::Session;

/// What a reading of all files found.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct VerifyView {
    /// Files read.
    pub files: u64,
    /// Bytes read.
    pub len: u64,
    /// Files whose bytes are others though nobody changed them, by what the disk tells.
    pub bad: Vec<String>,
    /// Files that were changed or removed since they were looked at, or meanwhile: they are not compared.
    pub changed: u64,
    /// Files that cannot be read, and why.
    #[schema(value_type = Vec<Vec<String>>)]
    pub unreadable: Vec<(String, String)>,
    /// The daemon stopped before all were read.
    pub is_cut_off: bool,
}

/// A file whose bytes are others though nobody changed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rotten {
    pub(crate) path: TreePath,
    /// What it was when it was read last.
    pub(crate) expected: ContentHash,
    /// What it is now.
    pub(crate) found: ContentHash,
}

/// Reads all files of this disk. `after_each` hears how many bytes a file has.
pub(crate) fn verify(
    index: &Path,
    mounts: &[MountSpec],
    stop: &AtomicBool,
    after_each: &mut dyn FnMut(u64),
) -> Result<(VerifyView, Vec<Rotten>), LibraryError> {
    let reader = SqliteIndex::open(index)?.reader()?;
    let (mut view, mut rotten) = (VerifyView::default(), Vec::new());
    for row in reader.known(Side::Local, None) {
        if stop.load(Ordering::Relaxed) {
            view.is_cut_off = true;
            break;
        }
        let (path, entry) = row?;
        if let Some(file) = entry.file() {
            rotten.extend(compare(&path, &entry, mounts, &mut view));
            after_each(file.len);
        }
    }
    Ok((view, rotten))
}

impl Session {
    /// Reads the files that are to have this content.
    pub(crate) fn verify_places_of(&self, hash: &ContentHash) -> Result<Vec<Rotten>, LibraryError> {
        let mut rotten = Vec::new();
        for path in self.book.places_of(hash)? {
            let Some(entry) = self.index.entry(Side::Local, &path)? else { continue };
            rotten.extend(verify_one(&path, &entry, &self.settings.mounts));
        }
        Ok(rotten)
    }
}

/// Reads one file, as it is known.
fn verify_one(path: &TreePath, entry: &Entry, mounts: &[MountSpec]) -> Option<Rotten> {
    compare(path, entry, mounts, &mut VerifyView::default())
}

fn compare(path: &TreePath, entry: &Entry, mounts: &[MountSpec], view: &mut VerifyView) -> Option<Rotten> {
    let Some(place) = place_of(path, mounts) else {
        view.changed += 1;
        return None;
    };
    match hash_of(&place, entry) {
        Ok(Some(found)) => {
            let file = entry.file()?;
            view.files += 1;
            view.len += file.len;
            // What is wrong once may be a fault of the reading.
            let is_wrong =
                file.hash != found && hash_of(&place, entry).is_ok_and(|again| again == Some(found));
            if is_wrong && view.bad.len() < PATHS_MAX {
                view.bad.push(path.to_string());
                return Some(Rotten { path: path.clone(), expected: file.hash, found });
            }
        }
        Ok(None) => view.changed += 1,
        Err(error) if view.unreadable.len() < PATHS_MAX => {
            view.unreadable.push((path.to_string(), error.to_string()));
        }
        Err(_) => {}
    }
    None
}

/// The hash of a file that is, by what the disk tells, the one that is known; before and after the reading.
fn hash_of(place: &Path, entry: &Entry) -> io::Result<Option<ContentHash>> {
    let mut file = File::open(place)?;
    if !is_known(&file.metadata()?, entry) {
        return Ok(None);
    }
    let mut hasher = blake3::Hasher::new();
    let mut buf = vec![0; BLOCK_LEN];
    loop {
        match file.read(&mut buf)? {
            0 => break,
            len => drop(hasher.update(&buf[..len])),
        }
    }
    let is_known = is_known(&file.metadata()?, entry);
    Ok(is_known.then(|| ContentHash(hasher.finalize().into())))
}

fn is_known(metadata: &Metadata, entry: &Entry) -> bool {
    let modified_ns = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
    entry.file().is_some_and(|file| file.len == metadata.len()) && entry.modified_ns == modified_ns
}

/// Where a file of the library stands: what the sync target has hides what others have, and of those the longest libpath counts.
fn place_of(path: &TreePath, mounts: &[MountSpec]) -> Option<PathBuf> {
    let depth = |mount: &MountSpec| mount.libpath.as_ref().map_or(0, |libpath| libpath.as_str().len());
    let mut by_order: Vec<&MountSpec> = mounts.iter().collect();
    by_order.sort_by_key(|mount| (mount.kind != MountKind::SyncTarget, std::cmp::Reverse(depth(mount))));
    by_order.into_iter().find_map(|mount| {
        let relative = match &mount.libpath {
            None => path.as_str(),
            Some(libpath) => path.as_str().strip_prefix(libpath.as_str())?.strip_prefix('/')?,
        };
        let place = mount.dir.join(relative);
        place.symlink_metadata().is_ok_and(|metadata| metadata.is_file()).then_some(place)
    })
}

const BLOCK_LEN: usize = 1 << 20;
/// Paths that a report names.
const PATHS_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sync_target_hides_and_the_longest_libpath_owns() {
        let folder = tempfile::tempdir().expect("a folder");
        let mount = |name: &str, libpath: Option<&str>, kind: MountKind| MountSpec {
            dir: folder.path().join(name),
            libpath: libpath.map(|path| TreePath::new(path).expect("a path")),
            kind,
            min_free: 0,
        };
        let mounts = [
            mount("all", None, MountKind::ReadOnly),
            mount("video", Some("video"), MountKind::ReadOnly),
            mount("sync", None, MountKind::SyncTarget),
        ];
        for file in ["all/video/a", "all/b", "video/a", "video/c", "sync/video/c"] {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("it is made");
            std::fs::write(path, "x").expect("it is written");
        }
        let check = |path: &str, place: Option<&str>| {
            let found = place_of(&TreePath::new(path).expect("a path"), &mounts);
            assert_eq!(found, place.map(|place| folder.path().join(place)), "{path}");
        };
        check("video/a", Some("video/a"));
        check("video/c", Some("sync/video/c"));
        check("b", Some("all/b"));
        check("d", None);
    }
}
