//! Contents that are fetched into a folder of their own until they are adopted: moved to their places by a replica. Invariant: a file is
//! told as whole only when its bytes and its name in the folder are durable; it may be gone from there at any time after that.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use data_encoding::HEXLOWER;

use super::dir::Dir;
use super::nicety::StoreWarning;
use super::packed::PackedFiles;
use super::places::{ServedFolder, StandsAt};
use super::replica::{FetchedSource, fetched_source};
use super::target::{TargetOptions, TargetStore};
use super::target_files::final_path;
use super::trial::LeftOut;
use super::{Store, StoreError, Verdict, locked};
use swarm_core::base::Bitfield;
use swarm_core::manifest::{ChunkIndex, FileIndex, Manifest};
use swarm_sync::ContentHash;

/// A fetch of some files of a content.
pub(super) struct Fetching {
    manifest: Manifest,
    /// Files of their own; `None` if none is wanted.
    store: Option<TargetStore>,
    /// Small ones; likewise.
    packed: Option<PackedFiles>,
    folder: Arc<ServedFolder>,
    path: PathBuf,
    state: Mutex<State>,
}

/// What is there and what is wanted when a fetch is opened.
pub(super) struct Begun {
    /// Wanted chunks that need not be fetched.
    pub(super) durable: Bitfield,
    /// The requested ones, without those of files that are left out.
    pub(super) wanted: Bitfield,
    /// Files that the folder cannot hold.
    pub(super) left_out: Vec<LeftOut>,
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
    ) -> Result<(Self, Begun), StoreError> {
        let path = folder_of(fetched, manifest);
        let dir = Dir::create(&path)?;
        Self::open_in(dir, path, manifest, wanted)
    }

    pub(super) fn open_in(
        dir: Dir,
        path: PathBuf,
        manifest: &Manifest,
        wanted: Bitfield,
    ) -> Result<(Self, Begun), StoreError> {
        let (small, long) = split(manifest, wanted);
        let none = || Bitfield::new(manifest.geometry().chunk_count());
        let mut begun = Begun { durable: none(), wanted: none(), left_out: Vec::new() };
        let packed = match small.count() {
            0 => None,
            _ => {
                let (packed, durable) = PackedFiles::open(&dir, manifest, small.clone())?;
                begun.durable.insert_all(&durable);
                begun.wanted.insert_all(&small);
                Some(packed)
            }
        };
        let store = match long.count() {
            0 => None,
            _ => {
                // What stands there and is not the content is left over from a fetch that went wrong: nobody else writes there.
                let options = TargetOptions { overwrite: true, ..TargetOptions::default() };
                let (store, opened) = TargetStore::open_in(dir, manifest.clone(), long, options, &|_| {})?;
                begun.durable.insert_all(&opened.durable);
                begun.wanted.insert_all(&opened.wanted);
                begun.left_out = opened.left_out;
                Some(store)
            }
        };
        let geometry = manifest.geometry();
        let is_wanted =
            |file: &FileIndex| geometry.file_chunk_range(*file).any(|chunk| begun.wanted.contains(chunk));
        let files = (0..geometry.file_count()).filter_map(|index| geometry.file(index)).filter(is_wanted);
        let is_whole = |file: &FileIndex| {
            let is_packed =
                geometry.file_chunks(*file).next().is_some_and(|chunk| small.contains(chunk.get()));
            if is_packed {
                geometry.file_chunk_range(*file).all(|chunk| begun.durable.contains(chunk))
            } else {
                store.as_ref().is_some_and(|store| store.has_final(*file))
            }
        };
        let (whole, unfinished): (BTreeSet<_>, _) = files.partition(is_whole);
        let untold = whole.iter().copied().collect();
        let state = Mutex::new(State { begun: unfinished, whole, untold, is_finished: false });
        let folder = Arc::new(ServedFolder::new(&path));
        Ok((Self { manifest: manifest.clone(), store, packed, folder, path, state }, begun))
    }

    /// The store of a chunk.
    fn part(&self, chunk: ChunkIndex) -> Result<Part<'_>, StoreError> {
        let file = self.manifest.geometry().span(chunk).file;
        let part = if PackedFiles::suits(&self.manifest, file) {
            self.packed.as_ref().map(Part::Packed)
        } else {
            self.store.as_ref().map(Part::Alone)
        };
        part.ok_or_else(|| StoreError::Unwanted {
            path: self.manifest.file(file).path.as_str().into(),
            chunk: self.manifest.geometry().number_in_file(chunk),
        })
    }

    pub(super) fn read(&self, chunk: ChunkIndex, offset: u32, buf: &mut [u8]) -> Result<(), StoreError> {
        match self.part(chunk)? {
            Part::Packed(packed) => packed.read(chunk, offset, buf),
            Part::Alone(store) => store.read(chunk, offset, buf),
        }
    }

    pub(super) fn write_chunk(&self, chunk: ChunkIndex, data: &[u8]) -> Result<Verdict, StoreError> {
        match self.part(chunk)? {
            Part::Packed(packed) => packed.write_chunk(chunk, data),
            Part::Alone(store) => store.write_chunk(chunk, data),
        }
    }

    pub(super) fn keep_slice(&self, chunk: ChunkIndex, offset: u32, data: &[u8]) -> Result<(), StoreError> {
        match self.part(chunk)? {
            Part::Packed(packed) => packed.keep_slice(chunk, offset, data),
            Part::Alone(store) => store.keep_slice(chunk, offset, data),
        }
    }

    pub(super) fn verify_kept(&self, chunk: ChunkIndex) -> Result<Verdict, StoreError> {
        match self.part(chunk)? {
            Part::Packed(packed) => packed.verify_kept(chunk),
            Part::Alone(store) => store.verify_kept(chunk),
        }
    }

    pub(super) fn take_warnings(&self) -> Vec<StoreWarning> {
        self.store.as_ref().map(Store::take_warnings).unwrap_or_default()
    }

    /// The bytes of a whole file that nobody took yet.
    pub(super) fn source(
        &self,
        file: FileIndex,
        hash: &ContentHash,
        may_take: bool,
    ) -> Option<FetchedSource> {
        if !self.is_whole(file) {
            return None;
        }
        if PackedFiles::suits(&self.manifest, file) {
            return self.packed.as_ref()?.source(file, hash);
        }
        Some(fetched_source(&self.path, hash, may_take))
    }

    /// Whether a chunk is read here: its file is not whole yet, or it is and stands in the pack.
    pub(super) fn holds(&self, chunk: ChunkIndex) -> bool {
        let file = self.manifest.geometry().span(chunk).file;
        self.is_begun(file) || (PackedFiles::suits(&self.manifest, file) && self.is_whole(file))
    }

    /// Number of whole files that were not released.
    pub(super) fn waiting_count(&self) -> usize {
        locked(&self.state).whole.len()
    }

    fn is_whole(&self, file: FileIndex) -> bool {
        locked(&self.state).whole.contains(&file)
    }

    /// Whether a file is not whole yet: its chunks are read here.
    pub(super) fn is_begun(&self, file: FileIndex) -> bool {
        locked(&self.state).begun.contains(&file)
    }

    /// Where a whole file of its own stands that nobody took yet.
    pub(super) fn place(&self, file: FileIndex) -> Option<StandsAt> {
        if PackedFiles::suits(&self.manifest, file) || !self.is_whole(file) {
            return None;
        }
        let relative = final_path(&self.manifest, file).to_owned();
        Some(StandsAt { folder: Arc::clone(&self.folder), relative })
    }

    /// The folder that the files are fetched into.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes all durable, and notes which files are whole.
    pub(super) fn flush(&self) -> Result<Vec<ChunkIndex>, StoreError> {
        let mut durable = self.flush_packed()?;
        if let Some(store) = &self.store {
            // What the pack has is durable all the same: it is told by the next one.
            durable.extend(store.flush()?);
            if let Err(error) = self.note_whole(store) {
                // The chunks are durable all the same. The next flush notes the files.
                tracing::debug!(%error, "the names of fetched files are not durable yet");
            }
        }
        Ok(durable)
    }

    fn flush_packed(&self) -> Result<Vec<ChunkIndex>, StoreError> {
        let Some(packed) = &self.packed else { return Ok(Vec::new()) };
        let durable = packed.flush()?;
        let mut state = locked(&self.state);
        for chunk in &durable {
            let file = self.manifest.geometry().span(*chunk).file;
            if state.begun.remove(&file) {
                state.whole.insert(file);
                state.untold.push(file);
            }
        }
        Ok(durable)
    }

    /// Ends the fetch. Files that were taken before are no reason to fail.
    pub(super) fn finish(&self) -> Result<(), StoreError> {
        if locked(&self.state).is_finished {
            return Ok(());
        }
        self.flush_packed()?;
        self.packed.as_ref().map_or(Ok(()), PackedFiles::check_complete)?;
        if let Some(store) = &self.store {
            store.finish()?;
            self.note_whole(store)?;
        }
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
        // A pack goes with the folder.
        if !PackedFiles::suits(&self.manifest, file) {
            let removed =
                Dir::open(&self.path).and_then(|folder| folder.remove_file(final_path(&self.manifest, file)));
            if let Err(error) = removed {
                tracing::debug!(%error, "a fetched file stays");
            }
        }
        self.remove_if_done();
    }

    fn note_whole(&self, store: &TargetStore) -> Result<(), StoreError> {
        let begun: Vec<FileIndex> = locked(&self.state).begun.iter().copied().collect();
        let is_whole =
            |file: &FileIndex| !PackedFiles::suits(&self.manifest, *file) && store.has_final(*file);
        let whole: Vec<FileIndex> = begun.into_iter().filter(is_whole).collect();
        if whole.is_empty() {
            return Ok(());
        }
        store.sync_names()?;
        let mut state = locked(&self.state);
        for file in whole {
            store.forget(file);
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

/// Where a chunk goes.
enum Part<'a> {
    Packed(&'a PackedFiles),
    Alone(&'a TargetStore),
}

/// The chunks of files that are packed, and the others.
fn split(manifest: &Manifest, wanted: Bitfield) -> (Bitfield, Bitfield) {
    let geometry = manifest.geometry();
    let (mut small, mut long) = (Bitfield::new(geometry.chunk_count()), wanted);
    for file in (0..geometry.file_count()).filter_map(|index| geometry.file(index)) {
        if PackedFiles::suits(manifest, file) {
            for chunk in
                geometry.file_chunk_range(file).filter(|chunk| long.contains(*chunk)).collect::<Vec<_>>()
            {
                long.remove(chunk);
                small.insert(chunk);
            }
        }
    }
    (small, long)
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
