//! Opens the folder of a fetch: to fill it or, if it is read-only and already complete, to serve it. The second way only
//! reads.

use std::path::Path;
use std::time::SystemTime;

use super::dir::{Dir, Standing};
use super::{HashProgress, Opened, Roots, SeedStore, StoreError, TargetOptions, TargetStore, scan};
use swarm_core::base::Bitfield;
use swarm_core::manifest::{EntryPath, File, Manifest};

/// The folder that a content is fetched into.
#[derive(Debug)]
pub enum Target {
    /// A writable folder, which is filled with the missing chunks.
    Filled(Box<TargetStore>, Opened),
    /// A read-only folder that has every wanted chunk.
    Complete(Box<SeedStore>),
}

/// Callbacks for opening a folder.
#[derive(Clone, Copy)]
pub struct Opening<'a> {
    /// Reports the progress of hashing; called from hashing threads.
    pub progress: &'a (dyn Fn(HashProgress) + Sync),
    /// Reads the time of day, for [`SeedStore::new`].
    pub clock: fn() -> SystemTime,
}

impl Target {
    /// Opens `dir` as [`TargetStore::open`] does; if it is not writable, checks whether it is complete already.
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
            Ok((store, opened)) => Ok(Self::Filled(Box::new(store), opened)),
            Err(error) if error.is_unwritable() => {
                let store = complete_copy(dir, manifest, wanted, options, opening);
                store.map(|store| Self::Complete(Box::new(store))).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }
}

/// A store that serves a folder which is exactly what a fetch would leave. Executable bits are not compared: a read-only folder
/// does not let them be set either.
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
        !is_empty || matches!(stands(&file.path), Some(Standing::File { len: 0, .. }))
    };
    let has_folder = |path: &EntryPath| is_left_out(path) || stands(path) == Some(Standing::Directory);
    if !manifest.files().iter().all(has_file) || !manifest.empty_directories().iter().all(has_folder) {
        return None;
    }
    let found = scan(manifest, dir, opening.progress).ok()?;
    // If `dir` is named like the content's only top folder, a scan takes it for that folder; a fetch would create one inside it.
    let is_whole = found.roots == Roots::folder(dir) && !wanted.has_beyond(&found.good);
    is_whole.then(|| SeedStore::new(manifest.clone(), found.roots, found.good, opening.clock))
}
