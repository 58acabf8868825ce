//! Opens the folder of a fetch: to fill it, or, where nothing may be written and nothing has to be, to serve what it holds. The
//! second way reads only.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::dir::{Dir, Standing};
use super::{HashProgress, Opened, Roots, SeedStore, StoreError, TargetOptions, TargetStore, scan};
use crate::base::Bitfield;
use crate::manifest::{EntryPath, File, Manifest};

/// A folder that a content is fetched into.
#[derive(Debug)]
pub enum Target {
    /// It is filled as far as it has to be.
    Filled(Arc<TargetStore>, Opened),
    /// It cannot be written to, and holds everything that is wanted.
    Complete(Box<SeedStore>),
}

/// What opening a folder may use beside it.
#[derive(Clone, Copy)]
pub struct Opening<'a> {
    /// Called from hashing threads.
    pub progress: &'a (dyn Fn(HashProgress) + Sync),
    /// Tells the present, for [`SeedStore::new`].
    pub clock: fn() -> SystemTime,
}

impl Target {
    /// Opens `dir` as [`TargetStore::open`] does; if it may not be written to, looks whether it is complete as it is.
    ///
    /// # Errors
    /// As [`TargetStore::open`].
    pub fn open(
        dir: &Path,
        manifest: &Manifest,
        wanted: &Bitfield,
        options: &TargetOptions,
        opening: Opening<'_>,
    ) -> Result<Self, StoreError> {
        let opened =
            TargetStore::open(dir, manifest.clone(), wanted.clone(), options.clone(), opening.progress);
        match opened {
            Ok((store, opened)) => Ok(Self::Filled(Arc::new(store), opened)),
            Err(error) if error.is_unwritable() => {
                let store = complete_copy(dir, manifest, wanted, options, opening);
                store.map(|store| Self::Complete(Box::new(store))).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }
}

/// A store over what a folder holds, if that is all that a fetch into it would leave there. Executable bits are not looked at:
/// they could not be set either.
fn complete_copy(
    dir: &Path,
    manifest: &Manifest,
    wanted: &Bitfield,
    options: &TargetOptions,
    opening: Opening<'_>,
) -> Option<SeedStore> {
    let held = Dir::open(dir).ok()?;
    let is_left_out = |path: &EntryPath| options.unwanted_empty.contains(path);
    let stands = |path: &EntryPath| held.stat(Path::new(path.as_str())).ok();
    let has_file = |file: &File| {
        let is_empty = file.len == 0 && !is_left_out(&file.path);
        !is_empty || stands(&file.path) == Some(Standing::File { len: 0 })
    };
    let has_folder = |path: &EntryPath| is_left_out(path) || stands(path) == Some(Standing::Directory);
    if !manifest.files().iter().all(has_file) || !manifest.empty_directories().iter().all(has_folder) {
        return None;
    }
    let found = scan(manifest, dir, opening.progress).ok()?;
    // A scan takes the name of the content's own folder for its parent; a fetch does not.
    let is_whole = found.roots == Roots::folder(dir) && !wanted.has_beyond(&found.good);
    is_whole.then(|| SeedStore::new(manifest.clone(), found.roots, found.good, opening.clock))
}
