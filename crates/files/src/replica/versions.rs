//! Kept versions: what operations displaced, in `.swarm/versions/<run>/<path>`. A further version that the same run displaced at a path
//! stands in `<run>.1`, and so on: names stay what they were, however long they are. Names that are not ours are left alone.

use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;
use swarm_core::base::Shown;
use swarm_sync::{FoundKind, KeptId, ReplicaError, RunId, TreePath};

use super::again::relative;
use super::fault::{fault, words};
use super::incoming::store_fault;
use super::listing::list;
use super::look::Look;
use super::root::Root;
use crate::dir::Dir;
use crate::error::StoreError;
use crate::tap::Op;

/// A version that an operation displaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptVersion {
    /// Its name.
    pub id: KeptId,
    /// A file or link.
    pub kind: FoundKind,
    /// Last change of its bytes, nanoseconds since 1970.
    pub modified_ns: i64,
}

impl KeptVersion {
    /// Bytes that its file has.
    pub fn len(&self) -> u64 {
        match &self.kind {
            FoundKind::File { len, .. } => *len,
            FoundKind::Folder | FoundKind::Symlink { .. } => 0,
        }
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Where a version stands, below the root.
pub(super) fn place(id: &KeptId) -> PathBuf {
    folder(id.run, id.number).join(relative(&id.path))
}

/// A free place for what is about to be displaced, in a folder that exists.
pub(super) fn slot(dir: &Dir, run: RunId, path: &TreePath) -> Result<KeptId, ReplicaError> {
    for number in 0..NUMBERS_MAX {
        let id = KeptId { run, path: path.clone(), number };
        let place = place(&id);
        match dir.make_directory(place.parent().unwrap_or(Path::new(""))) {
            Ok(()) => {}
            // A file that this run displaced before stands where a folder has to be.
            Err(StoreError::NotAFolder { .. }) => continue,
            Err(error) => return Err(store_fault(path, "make a place for the old version of", &error)),
        }
        let look = dir.look(&place).map_err(|errno| fault(path, "look at the old version of", errno))?;
        if look.is_none() {
            return Ok(id);
        }
    }
    Err(ReplicaError::Full { path: path.clone() })
}

/// All kept versions at `place` and below, or of everything; by run, then path.
pub(super) fn list_kept(root: &Root, below: Option<&TreePath>) -> Result<Vec<KeptVersion>, ReplicaError> {
    let failed = |errno: Errno| ReplicaError::Io {
        path: Shown(root.dir.path().join(VERSIONS)).to_string(),
        op: "list",
        why: words(errno),
    };
    let mut kept = Vec::new();
    for name in names(&root.dir, Path::new(VERSIONS)).map_err(failed)? {
        let Some((run, number)) = parse_folder(&name) else { continue };
        let mut search = Search { dir: &root.dir, run, number, kept: &mut kept };
        match below {
            None => search.enter(None).map_err(failed)?,
            Some(path) => search.take(path.clone()).map_err(failed)?,
        }
    }
    kept.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(kept)
}

/// Removes versions, and the folders that are empty then. One that is not there is no error.
pub(super) fn remove_kept(root: &Root, ids: &[KeptId]) -> Result<(), ReplicaError> {
    for id in ids {
        let place = place(id);
        root.dir
            .remove_file(&place)
            .map_err(|error| store_fault(&id.path, "remove the old version of", &error))?;
        for above in place.ancestors().skip(1).take_while(|above| *above != Path::new(VERSIONS)) {
            // The first one that still has entries ends it.
            if root.dir.remove_folder(above).is_err() {
                break;
            }
        }
    }
    Ok(())
}

/// Finds the versions of one run.
struct Search<'a> {
    dir: &'a Dir,
    run: RunId,
    number: u32,
    kept: &'a mut Vec<KeptVersion>,
}

impl Search<'_> {
    fn enter(&mut self, path: Option<&TreePath>) -> Result<(), Errno> {
        let mut folder = folder(self.run, self.number);
        if let Some(path) = path {
            folder.push(relative(path));
        }
        for name in names(self.dir, &folder)? {
            if let Ok(path) = TreePath::below(path, &name) {
                self.take(path)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, path: TreePath) -> Result<(), Errno> {
        let id = KeptId { run: self.run, path, number: self.number };
        let place = place(&id);
        let Some(look) = self.dir.look(&place)? else { return Ok(()) };
        if look.kind == FileType::Directory {
            return self.enter(Some(&id.path));
        }
        if let Some(kind) = kind_of(self.dir, &place, &look) {
            self.kept.push(KeptVersion { id, kind, modified_ns: look.modified_ns });
        }
        Ok(())
    }
}

fn kind_of(dir: &Dir, place: &Path, look: &Look) -> Option<FoundKind> {
    match look.kind {
        FileType::RegularFile => Some(FoundKind::File { len: look.len, executable: look.is_executable() }),
        FileType::Symlink => {
            let target = dir.read_link(place).ok()?.into_string().ok()?;
            Some(FoundKind::Symlink { target: target.into() })
        }
        FileType::Directory
        | FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => None,
    }
}

/// The names in a folder that are text; none if it is missing.
fn names(dir: &Dir, folder: &Path) -> Result<Vec<String>, Errno> {
    let folder = match dir.open_folder(folder) {
        Ok(folder) => folder,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(Vec::new()),
        Err(errno) => return Err(errno),
    };
    let listing = list(&folder)?;
    let names = (0..listing.len()).filter_map(|index| listing.name(index).to_str().ok());
    Ok(names.map(str::to_owned).collect())
}

fn folder(run: RunId, number: u32) -> PathBuf {
    let name = if number == 0 { run.to_string() } else { format!("{run}.{number}") };
    Path::new(VERSIONS).join(name)
}

fn parse_folder(name: &str) -> Option<(RunId, u32)> {
    if let Ok(run) = RunId::parse(name) {
        return Some((run, 0));
    }
    let (run, number) = name.rsplit_once('.')?;
    let number: u32 = number.parse().ok().filter(|number| *number > 0)?;
    let run = RunId::parse(run).ok()?;
    // Only what `folder` writes is ours.
    (folder(run, number) == Path::new(VERSIONS).join(name)).then_some((run, number))
}

impl Dir {
    /// Removes a folder that is empty.
    pub(super) fn remove_folder(&self, relative: &Path) -> Result<(), Errno> {
        self.run(Op::Remove { path: relative }, || {
            let (parent, name) = self.parent(relative)?;
            rustix::fs::unlinkat(parent.as_fd(self), name, AtFlags::REMOVEDIR)
        })
    }
}

const VERSIONS: &str = ".swarm/versions";
/// Versions that one run may displace at one path.
const NUMBERS_MAX: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_versions_is_named_by_its_run() {
        let check = |name: &str, expected| assert_eq!(parse_folder(name), expected, "{name}");
        let run = RunId::at_ms(1_795_947_300_123);
        check("20261129T101500.123Z", Some((run, 0)));
        check("20261129T101500.123Z.7", Some((run, 7)));
        check("20261129T101500.123Z.0", None);
        check("20261129T101500.123Z.07", None);
        check("20261129T101500.123Z.", None);
        check("notes", None);
    }
}
