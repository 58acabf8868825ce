//! The files of a fetch that is complete get their places in the sync target of its library. Invariant: no file is replaced, on this disk or in the library:
//! the new one takes another name; a crash in between is gone on from, as what was put is not with the fetch any more. Blocking.

use std::path::Path;

use swarm_core::manifest::EntryPath;
use swarm_files::{Landing, PutError};
use swarm_index::LibraryBook;
use swarm_library::State;
use swarm_sync::TreePath;

use super::opening::Chosen;
use crate::library::{LibraryHandle, ReadError};
use crate::limits::TICKET_NAMES_TRIED_MAX;

/// Where everything stands now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::contents) struct Landed {
    /// Of the entries that were put, in the order of the content.
    pub(super) paths: Vec<TreePath>,
    /// How many took another name.
    pub(super) renamed: u64,
}

/// Why something has no place; for people.
#[derive(Debug, thiserror::Error)]
pub(super) enum LandingFault {
    #[error("`{0}` is no path that a library can have: fetch other files of it")]
    Path(EntryPath),
    #[error("{TICKET_NAMES_TRIED_MAX} files have the name of `{0}` already: move them away")]
    Names(TreePath),
    #[error("what was fetched is gone from the folder of the library: it is fetched again")]
    Gone,
    #[error(transparent)]
    Place(#[from] ReadError),
    #[error(transparent)]
    Put(#[from] PutError),
}

/// Where a file of a content is to stand in a library.
pub(super) fn path_in(folder: Option<&TreePath>, entry: &EntryPath) -> Result<TreePath, LandingFault> {
    let at = match folder {
        Some(folder) => format!("{folder}/{}", entry.as_str(), folder = folder.as_str()),
        None => entry.as_str().to_owned(),
    };
    TreePath::new(at).map_err(|_| LandingFault::Path(entry.clone()))
}

/// Puts what was fetched into `from`, below `.swarm` of the sync target. What is left there then is removed by [`clear`], once it is remembered that all has
/// its place.
pub(super) fn land(
    handle: &LibraryHandle,
    from: &Path,
    folder: Option<&TreePath>,
    chosen: &Chosen,
) -> Result<Landed, LandingFault> {
    let written = &handle.written;
    let landing = Landing::open(written.dir()?, from).map_err(PutError::Store)?;
    // Of a folder that was moved, or a disk that was changed, the bytes are elsewhere.
    if !landing.is_there().map_err(PutError::Store)? {
        return Err(LandingFault::Gone);
    }
    let book = LibraryBook::open(&handle.index_path).map_err(ReadError::Index)?;
    let is_in_view = |path: &TreePath| match book.entry(path) {
        Ok(entry) => entry.is_some_and(|entry| matches!(entry.winner.state, State::Live(_))),
        Err(_) => false,
    };
    let mut landed = Landed::default();
    for (entry, is_file) in &chosen.entries {
        if !landing.has(Path::new(entry.as_str())).map_err(PutError::Store)? {
            // It was put before a crash.
            continue;
        }
        let wanted = path_in(folder, entry)?;
        let is_taken = |path: &TreePath| *is_file && is_in_view(path);
        let at = placed(&wanted, is_taken, |path| {
            let (_, relative) = written.place_for(path)?;
            let put = if *is_file {
                landing.put(Path::new(entry.as_str()), &relative)
            } else {
                landing.make_folder(&relative)
            };
            match put {
                Ok(()) => Ok(None),
                Err(PutError::Stands(standing)) => Ok(Some(depth_in_library(path, &relative, &standing))),
                Err(error) => Err(error.into()),
            }
        })?;
        landed.renamed += u64::from(at != wanted);
        landed.paths.push(at);
    }
    Ok(landed)
}

/// Removes what a fetch left after all had its place.
pub(super) fn clear(handle: &LibraryHandle, from: &Path) -> Result<(), LandingFault> {
    let landing = Landing::open(handle.written.dir()?, from).map_err(PutError::Store)?;
    Ok(landing.remove().map_err(PutError::Store)?)
}

/// How many components of a path in the library end at what stands in its way below the sync target.
fn depth_in_library(path: &TreePath, relative: &TreePath, standing: &TreePath) -> usize {
    let count = |path: &TreePath| path.components().count();
    count(path) - count(relative) + count(standing)
}

/// Puts something to its path, or to another one if that is taken; `put` says how many components of the path end at what stands there.
fn placed(
    wanted: &TreePath,
    is_taken: impl Fn(&TreePath) -> bool,
    mut put: impl FnMut(&TreePath) -> Result<Option<usize>, LandingFault>,
) -> Result<TreePath, LandingFault> {
    let mut at = wanted.clone();
    for number in 2..TICKET_NAMES_TRIED_MAX + 2 {
        let standing = if is_taken(&at) { Some(at.components().count()) } else { put(&at)? };
        let Some(depth) = standing else { return Ok(at) };
        at = numbered(wanted, depth, number).ok_or_else(|| LandingFault::Names(wanted.clone()))?;
    }
    Err(LandingFault::Names(wanted.clone()))
}

/// The path with a number in one of its components: `film (2).mov`. Nothing if that makes it too long.
fn numbered(path: &TreePath, depth: usize, number: u32) -> Option<TreePath> {
    let last = path.components().count();
    let component = |(at, name): (usize, &str)| match name.rsplit_once('.') {
        _ if at + 1 != depth => name.to_owned(),
        // A folder has no ending.
        Some((stem, ending)) if depth == last && !stem.is_empty() => format!("{stem} ({number}).{ending}"),
        Some(_) | None => format!("{name} ({number})"),
    };
    let components: Vec<String> = path.components().enumerate().map(component).collect();
    TreePath::new(components.join("/")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::new(text).expect("a path")
    }

    #[test]
    fn what_is_taken_gets_a_number_before_its_ending() {
        let check = |text: &str, depth, expected: &str| {
            assert_eq!(numbered(&path(text), depth, 2), Some(path(expected)), "{text}");
        };
        check("film.mov", 1, "film (2).mov");
        check("films/a.tar.gz", 2, "films/a.tar (2).gz");
        check("films/.profile", 2, "films/.profile (2)");
        check("films/README", 2, "films/README (2)");
        check("v1.0/a.txt", 1, "v1.0 (2)/a.txt");
        let long = format!("{}.mov", "x".repeat(250));
        assert_eq!(numbered(&path(&long), 1, 2), None);
    }

    #[test]
    fn a_file_takes_the_first_name_that_is_free_on_the_disk_and_in_the_library() {
        let (in_view, on_disk) = (["a.txt"], ["a (2).txt"]);
        let put = |at: &TreePath| Ok(on_disk.contains(&at.as_str()).then_some(1));
        let found = placed(&path("a.txt"), |at| in_view.contains(&at.as_str()), put).expect("placed");
        assert_eq!(found, path("a (3).txt"));
        let full = placed(&path("a.txt"), |_| true, |_| Ok(None)).expect_err("all are taken");
        assert!(matches!(full, LandingFault::Names(_)), "{full}");
    }

    #[test]
    fn a_file_in_the_way_of_a_folder_makes_the_folder_take_another_name() {
        let put = |at: &TreePath| Ok(at.as_str().starts_with("films/").then_some(1));
        let found = placed(&path("films/new/a.txt"), |_| false, put).expect("placed");
        assert_eq!(found, path("films (2)/new/a.txt"));
    }
}
