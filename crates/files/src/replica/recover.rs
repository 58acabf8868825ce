//! Puts in order what an interrupted run left. Invariant: an entry that a crash caught beside the tree becomes a kept version, unless it is
//! a copy that was staged: those are removed, for their sources stand elsewhere.

use std::path::Path;

use rustix::io::Errno;
use swarm_sync::{KeptId, Kind, ReplicaError, RunId, TreePath};

use super::again::{entry_of, relative};
use super::fault::{fault, words};
use super::incoming::{INCOMING, Incoming, is_lane, place};
use super::listing::list;
use super::record::{Detour, Record, Replaced, beside, is_copy, is_record};
use super::root::Root;
use super::versions;

/// Recovers, if anything stands beside the tree.
pub(super) fn recover(root: &Root, incoming: &Incoming) -> Result<(), ReplicaError> {
    root.check()?;
    incoming.return_taken(root);
    let names = names(root)?;
    for record in names.iter().filter(|name| is_record(name)) {
        let Some(record) = Record::read(&root.dir, &beside(record)) else { continue };
        for replaced in &record.replaced {
            keep_or_return(root, record.run, replaced)?;
        }
        for detour in &record.detours {
            end_detour(root, detour)?;
        }
    }
    if !names.is_empty() {
        // What was returned and kept has to be durable before the records of it go.
        incoming.mark_unsynced();
        incoming.sync(root)?;
    }
    sweep(root, &names)
}

/// Removes all copies and records. The caller took care that none of them is needed.
pub(super) fn sweep(root: &Root, names: &[String]) -> Result<(), ReplicaError> {
    for name in names.iter().filter(|name| is_copy(name) || is_record(name)) {
        root.dir.remove_file(&beside(name)).map_err(|error| ReplicaError::Io {
            path: format!("{INCOMING}/{name}"),
            op: "remove",
            why: error.to_string(),
        })?;
    }
    Ok(())
}

/// The names of what stands beside the tree, each below the folder for it.
pub(super) fn names(root: &Root) -> Result<Vec<String>, ReplicaError> {
    let mut names = names_in(root, Path::new(INCOMING))?;
    for lane in names.extract_if(.., |name| is_lane(name)).collect::<Vec<_>>() {
        let inside = names_in(root, &beside(&lane))?;
        names.extend(inside.into_iter().map(|name| format!("{lane}/{name}")));
    }
    Ok(names)
}

fn names_in(root: &Root, folder: &Path) -> Result<Vec<String>, ReplicaError> {
    let listed = match root.dir.open_folder(folder) {
        Ok(folder) => list(&folder),
        Err(Errno::NOENT) => return Ok(Vec::new()),
        Err(errno) => Err(errno),
    };
    let listing = listed.map_err(|errno| ReplicaError::Io {
        path: INCOMING.to_owned(),
        op: "list",
        why: words(errno),
    })?;
    let names = (0..listing.len()).filter_map(|index| listing.name(index).to_str().ok());
    Ok(names.map(str::to_owned).collect())
}

fn keep_or_return(root: &Root, run: RunId, replaced: &Replaced) -> Result<(), ReplicaError> {
    let Replaced { number, path, content } = replaced;
    let standing = entry_of(root, path, &place(*number));
    match standing {
        Ok(None) => Ok(()),
        Ok(Some(entry)) if is_same_content(&entry.kind, content) => return_version(root, run, path),
        // One that cannot be read is kept as well.
        Ok(Some(_)) | Err(_) => keep(root, run, path, *number),
    }
}

/// Whether two kinds have the same bytes; the executable bit may be another one by now.
fn is_same_content(a: &Kind, b: &Kind) -> bool {
    match (a.file(), b.file()) {
        (Some(a), Some(b)) => (a.len, a.hash) == (b.len, b.hash),
        (Some(_), None) | (None, Some(_)) => false,
        (None, None) => a == b,
    }
}

fn keep(root: &Root, run: RunId, path: &TreePath, number: u64) -> Result<(), ReplicaError> {
    let slot = versions::slot(&root.dir, run, path)?;
    let kept = root.dir.rename_to_free(&place(number), &versions::place(&slot));
    kept.map_err(|errno| fault(path, "keep the old version of", errno))
}

/// Where entries cannot be exchanged, the old one was renamed away first: it returns, if nothing took its place yet.
fn return_version(root: &Root, run: RunId, path: &TreePath) -> Result<(), ReplicaError> {
    let id = KeptId { run, path: path.clone(), number: 0 };
    match root.dir.rename_to_free(&versions::place(&id), relative(path)) {
        Ok(()) | Err(Errno::NOENT | Errno::EXIST | Errno::NOTDIR | Errno::LOOP) => Ok(()),
        Err(errno) => Err(fault(path, "return the old version of", errno)),
    }
}

/// An entry under a temporary name returns to where it stood, or goes on to where it was to go. If both are taken, it stays: the next scan
/// finds it as an entry like any other.
fn end_detour(root: &Root, detour: &Detour) -> Result<(), ReplicaError> {
    for end in [Some(&detour.from), detour.to.as_ref()].into_iter().flatten() {
        match root.dir.rename_to_free(relative(&detour.at), relative(end)) {
            Ok(()) => return Ok(()),
            Err(Errno::NOENT | Errno::EXIST | Errno::NOTDIR | Errno::LOOP) => {}
            Err(errno) => return Err(fault(end, "rename back", errno)),
        }
    }
    Ok(())
}
