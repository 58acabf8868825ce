//! Contents that are fetched into a folder of their own until they are adopted: moved to their places by a replica. Invariant: a file is
//! told as whole only when its bytes and its name in the folder are durable; it may be gone from there at any time after that.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use data_encoding::HEXLOWER;

use super::dir::Dir;
use super::places::{ServedFolder, StandsAt};
use super::target::{Opened, TargetOptions, TargetStore};
use super::target_files::final_path;
use super::{Store as _, StoreError, locked};
use swarm_core::base::Bitfield;
use swarm_core::manifest::{ChunkIndex, FileIndex, Manifest};

/// A fetch of some files of a content.
pub(super) struct Fetching {
    pub(super) store: TargetStore,
    folder: Arc<ServedFolder>,
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    /// Files that are not whole yet.
    begun: BTreeSet<FileIndex>,
    /// Files that are whole, and were not released.
    whole: BTreeSet<FileIndex>,
    /// Whole files that the caller does not know of yet.
    untold: Vec<FileIndex>,
    is_finished: bool,
}

impl Fetching {
    /// Starts or continues the fetch of the wanted chunks, which are those of whole files, in a folder of the content below `fetched`.
    pub(super) fn open(
        fetched: &Path,
        manifest: &Manifest,
        wanted: Bitfield,
    ) -> Result<(Self, Opened), StoreError> {
        let path = folder_of(fetched, manifest);
        let dir = Dir::create(&path)?;
        Self::open_in(dir, path, manifest, wanted)
    }

    pub(super) fn open_in(
        dir: Dir,
        path: PathBuf,
        manifest: &Manifest,
        wanted: Bitfield,
    ) -> Result<(Self, Opened), StoreError> {
        // What stands there and is not the content is left over from a fetch that went wrong: nobody else writes there.
        let options = TargetOptions { overwrite: true, ..TargetOptions::default() };
        let (store, opened) = TargetStore::open_in(dir, manifest.clone(), wanted, options, &|_| {})?;
        let geometry = manifest.geometry();
        let is_wanted =
            |file: &FileIndex| geometry.file_chunk_range(*file).any(|chunk| opened.wanted.contains(chunk));
        let files = (0..geometry.file_count()).filter_map(|index| geometry.file(index)).filter(is_wanted);
        let (whole, begun): (BTreeSet<_>, _) = files.partition(|file| store.has_final(*file));
        let untold = whole.iter().copied().collect();
        let state = Mutex::new(State { begun, whole, untold, is_finished: false });
        let folder = Arc::new(ServedFolder::new(&path));
        Ok((Self { store, folder, path, state }, opened))
    }

    /// Whether a file is not whole yet: its chunks are read here.
    pub(super) fn is_begun(&self, file: FileIndex) -> bool {
        locked(&self.state).begun.contains(&file)
    }

    /// Where a whole file stands that nobody took yet.
    pub(super) fn place(&self, file: FileIndex) -> Option<StandsAt> {
        let relative = final_path(self.store.manifest(), file).to_owned();
        let is_here = locked(&self.state).whole.contains(&file);
        is_here.then(|| StandsAt { folder: Arc::clone(&self.folder), relative })
    }

    /// The folder that the files are fetched into.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes all durable, and notes which files are whole.
    pub(super) fn flush(&self) -> Result<Vec<ChunkIndex>, StoreError> {
        let durable = self.store.flush()?;
        if let Err(error) = self.note_whole() {
            // The chunks are durable all the same. The next flush notes the files.
            tracing::debug!(%error, "the names of fetched files are not durable yet");
        }
        Ok(durable)
    }

    /// Ends the fetch. Files that were taken before are no reason to fail.
    pub(super) fn finish(&self) -> Result<(), StoreError> {
        if locked(&self.state).is_finished {
            return Ok(());
        }
        self.store.finish()?;
        self.note_whole()?;
        locked(&self.state).is_finished = true;
        self.remove_if_done();
        Ok(())
    }

    /// The files that became whole since the last call.
    pub(super) fn take_whole(&self) -> Vec<FileIndex> {
        std::mem::take(&mut locked(&self.state).untold)
    }

    /// A whole file was taken, or is of no use: nothing stays of it here.
    pub(super) fn release(&self, file: FileIndex) {
        if !locked(&self.state).whole.remove(&file) {
            return;
        }
        let removed = Dir::open(&self.path)
            .and_then(|folder| folder.remove_file(final_path(self.store.manifest(), file)));
        if let Err(error) = removed {
            tracing::debug!(%error, "a fetched file stays");
        }
        self.remove_if_done();
    }

    fn note_whole(&self) -> Result<(), StoreError> {
        let begun: Vec<FileIndex> = locked(&self.state).begun.iter().copied().collect();
        let whole: Vec<FileIndex> = begun.into_iter().filter(|file| self.store.has_final(*file)).collect();
        if whole.is_empty() {
            return Ok(());
        }
        self.store.sync_names()?;
        let mut state = locked(&self.state);
        for file in whole {
            self.store.forget(file);
            if state.begun.remove(&file) {
                state.whole.insert(file);
                state.untold.push(file);
            }
        }
        Ok(())
    }

    fn remove_if_done(&self) {
        let is_done = {
            let state = locked(&self.state);
            state.is_finished && state.whole.is_empty()
        };
        if is_done {
            remove_folder(&self.path);
        }
    }
}

/// Removes what an earlier fetch of a content left of which nothing is wanted any more.
pub(super) fn remove_leftovers(fetched: &Path, manifest: &Manifest) {
    remove_folder(&folder_of(fetched, manifest));
}

fn remove_folder(path: &Path) {
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else { return };
    if !path.exists() {
        return;
    }
    let removed = Dir::open(above).and_then(|above| above.remove_tree(Path::new(name)));
    if let Err(error) = removed {
        tracing::debug!(%error, "the folder of a fetch stays");
    }
}

fn folder_of(fetched: &Path, manifest: &Manifest) -> PathBuf {
    fetched.join(HEXLOWER.encode(manifest.id().as_bytes()))
}
