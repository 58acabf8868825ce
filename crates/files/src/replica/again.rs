//! The last look before an effect: whether what was expected still stands there. A file whose stamp differs is read: its number may be
//! another one since the disk was mounted again, or a rename of ours changed the time of its metadata.

use std::path::Path;

use rustix::fs::FileType;
use rustix::io::Errno;
use swarm_sync::{Entry, FileContent, Kind, ReplicaError, Stamp, TreePath};

use super::fault::fault;
use super::hashing::hash_open;
use super::look::Look;
use super::root::Root;

/// Looks at a path. Returns what stands there, if that is what is expected.
///
/// # Errors
/// [`ReplicaError::Changed`] if something else does.
pub(super) fn look_again(
    root: &Root,
    path: &TreePath,
    expected: Option<&Entry>,
) -> Result<Option<Look>, ReplicaError> {
    let look = root.dir.look(relative(path)).map_err(|errno| fault(path, "look at", errno))?;
    match (look, expected) {
        (None, None) => Ok(None),
        (Some(look), Some(expected)) => match &expected.kind {
            Kind::Folder if look.kind == FileType::Directory => Ok(Some(look)),
            Kind::Symlink { target } if look.kind == FileType::Symlink && says(root, path, target)? => {
                Ok(Some(look))
            }
            Kind::File(content) if look.is_file() => {
                file_again(root, path, look, content, expected).map(Some)
            }
            Kind::Folder | Kind::Symlink { .. } | Kind::File(_) => Err(changed(path)),
        },
        (None, Some(_)) | (Some(_), None) => Err(changed(path)),
    }
}

/// What stands at a path, told anew: read, if it is a file.
pub(super) fn entry_at(root: &Root, path: &TreePath) -> Result<Option<Entry>, ReplicaError> {
    entry_of(root, path, relative(path))
}

/// What stands at a place below the root that is that of a path, or belongs to it.
pub(super) fn entry_of(root: &Root, path: &TreePath, place: &Path) -> Result<Option<Entry>, ReplicaError> {
    let failed = |op| move |errno| fault(path, op, errno);
    let Some(look) = root.dir.look(place).map_err(failed("look at"))? else { return Ok(None) };
    let of = |kind| Ok(Some(Entry { kind, modified_ns: look.modified_ns, stamp: look.stamp() }));
    match look.kind {
        FileType::Directory => of(Kind::Folder),
        FileType::Symlink => {
            let target = root.dir.read_link(place).map_err(failed("read"))?;
            let target = target.into_string().map_err(|_| changed(path))?;
            of(Kind::Symlink { target: target.into() })
        }
        FileType::RegularFile => {
            let (file, look) = root.dir.open_to_read(place).map_err(failed("open"))?;
            hash_open(root, path, &file, &look, &mut Vec::new()).map(|(entry, _)| Some(entry))
        }
        FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => Err(changed(path)),
    }
}

/// A stamp for an entry whose bytes are known because they were put or moved there. The time of its bytes was set to one that no later
/// write gives it, unless that is the present.
pub(super) fn stamp_of_known(root: &Root, look: &Look) -> Stamp {
    if look.modified_ns.saturating_add(root.file_system.tick_ns) > look.changed_ns {
        Stamp { changed_ns: i64::MIN, ..look.stamp() }
    } else {
        look.stamp()
    }
}

fn file_again(
    root: &Root,
    path: &TreePath,
    look: Look,
    content: &FileContent,
    expected: &Entry,
) -> Result<Look, ReplicaError> {
    let keeps_bits = !root.file_system.is_of_windows;
    if content.len != look.len || (keeps_bits && content.executable != look.is_executable()) {
        return Err(changed(path));
    }
    if (expected.modified_ns, expected.stamp) == (look.modified_ns, look.stamp()) {
        return Ok(look);
    }
    let (file, before) = root.dir.open_to_read(relative(path)).map_err(|errno| fault(path, "open", errno))?;
    let (entry, after) = hash_open(root, path, &file, &before, &mut Vec::new())?;
    let is_same = |found: &FileContent| found.hash == content.hash && found.len == content.len;
    if entry.file().is_some_and(is_same) { Ok(after) } else { Err(changed(path)) }
}

fn says(root: &Root, path: &TreePath, target: &str) -> Result<bool, ReplicaError> {
    match root.dir.read_link(relative(path)) {
        Ok(said) => Ok(said.to_bytes() == target.as_bytes()),
        Err(Errno::NOENT | Errno::INVAL) => Ok(false),
        Err(errno) => Err(fault(path, "read", errno)),
    }
}

pub(super) fn relative(path: &TreePath) -> &Path {
    Path::new(path.as_str())
}

pub(super) fn changed(path: &TreePath) -> ReplicaError {
    ReplicaError::Changed { path: path.clone() }
}
