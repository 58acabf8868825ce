//! A content whose files stand anywhere: on the disks of this node under the names that its user gave them, or in a folder that they are
//! fetched into. Invariant: as [`super::SeedStore`], a chunk is hashed in this process before a byte of it is given out, and again when its file is
//! another one or its stamp has changed; a copy that is not the content is passed over, and the next one is tried.
//!
//! A chunk is lost only if its bytes were seen to differ, or if its content stands nowhere. A copy that is not where it was told to stand says
//! neither: its user may have given it another name, or it is being adopted, and [`Places`] tells that soon.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::fetching::{Fetching, remove_leftovers};
use super::file::File;
use super::hashing::{Copied, nanos_of};
use super::open_files::OpenFiles;
use super::places::{Places, StandsAt};
use super::replica::FetchedSource;
use super::stamps::{Guarded, Stamped, Stamps};
use super::trial::LeftOut;
use super::{Store, StoreError, StoreWarning, Verdict, check_range};
use crate::limits::OPEN_GATHERED_FILES_MAX;
use swarm_core::base::Bitfield;
use swarm_core::manifest::{self, ChunkIndex, FileIndex, Manifest, content_name, plain_hash_of};
use swarm_sync::ContentHash;

/// A store over files that stand wherever [`Places`] tells, which fetches those that stand nowhere.
pub struct GatheredStore {
    manifest: Manifest,
    places: Arc<dyn Places>,
    files: OpenFiles,
    stamps: Stamps,
    clock: fn() -> SystemTime,
    fetching: Option<Fetching>,
    /// The files of a sealed manifest that nobody opened, by hash: their names are numbers.
    by_hash: BTreeMap<ContentHash, FileIndex>,
}

/// What is there and what is wanted when a store is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathered {
    /// Chunks that need not be fetched: those of files that stand somewhere, which are believed until they are read, and those that an
    /// earlier fetch left.
    pub durable: Bitfield,
    /// The chunks of wanted files that stand nowhere.
    pub wanted: Bitfield,
    /// Files that the folder for fetched ones cannot hold.
    pub left_out: Vec<LeftOut>,
}

impl GatheredStore {
    /// Opens a content of [`swarm_core::manifest::library_manifest`]; whether a manifest that came from outside is one tells
    /// [`swarm_core::manifest::is_library_manifest`]. A sealed one that was opened is one of plain files, which are served sealed; one that was not
    /// opened is one of sealed files, each under the hash of its sealed bytes. Files that are wanted and stand nowhere are fetched into a folder of this content below `fetched`, which is made when
    /// there are any. `clock` reads the time of day, as for [`super::SeedStore::new`].
    ///
    /// # Errors
    /// As [`super::TargetStore::open`]: [`StoreError::Busy`] while an earlier store of this content still fetches. Let go of that first.
    pub fn open(
        manifest: Manifest,
        wanted: &dyn Fn(&ContentHash) -> bool,
        places: Arc<dyn Places>,
        fetched: &Path,
        clock: fn() -> SystemTime,
    ) -> Result<(Self, Gathered), StoreError> {
        let (mut gathered, missing) = survey(&manifest, wanted, places.as_ref());
        let fetching = if missing.count() == 0 {
            remove_leftovers(fetched, &manifest);
            None
        } else {
            let (fetching, opened) = Fetching::open(fetched, &manifest, missing)?;
            // What an earlier, wider fetch left besides is not believed: it goes with the folder.
            for chunk in opened.durable.iter().filter(|chunk| opened.wanted.contains(*chunk)) {
                gathered.durable.insert(chunk);
            }
            (gathered.wanted, gathered.left_out) = (opened.wanted, opened.left_out);
            Some(fetching)
        };
        let stamps = Stamps::new(manifest.geometry().chunk_count());
        let files = OpenFiles::at_most(OPEN_GATHERED_FILES_MAX);
        let by_hash = if is_shut(&manifest) { files_by_hash(&manifest) } else { BTreeMap::new() };
        Ok((Self { manifest, places, files, stamps, clock, fetching, by_hash }, gathered))
    }

    /// The contents that became whole and durable in the folder since the last call; the first call also names those that an earlier fetch
    /// left there. Each waits for [`Self::source`], and then for [`Self::release`].
    pub fn take_whole(&self) -> Vec<ContentHash> {
        let whole = self.fetching.as_ref().map(Fetching::take_whole).unwrap_or_default();
        whole.into_iter().map(|file| self.hash_of(file)).collect()
    }

    /// Number of contents that are whole in the folder, and were not released.
    pub fn waiting_count(&self) -> usize {
        self.fetching.as_ref().map_or(0, Fetching::waiting_count)
    }

    /// The bytes of a content that is whole in the folder, for a replica. If it may be taken, a replica on the same file system moves
    /// it; a small one stands in a pack with others, and is copied.
    pub fn source(&self, hash: &ContentHash, may_take: bool) -> Option<FetchedSource> {
        self.fetching.as_ref()?.source(self.file_of(hash)?, hash, may_take)
    }

    /// Where a content stands that is whole in the folder, in a file of its own; nothing once it was released.
    pub(super) fn whole_at(&self, hash: &ContentHash) -> Option<PathBuf> {
        let fetching = self.fetching.as_ref()?;
        let place = fetching.place(self.file_of(hash)?)?;
        Some(fetching.path().join(place.relative))
    }

    /// The length of a content that it is about.
    pub(super) fn len_of(&self, hash: &ContentHash) -> Option<u64> {
        self.file_of(hash).map(|file| self.manifest.file(file).len)
    }

    /// The contents that it is about, and their lengths.
    pub fn contents(&self) -> impl Iterator<Item = (ContentHash, u64)> + '_ {
        self.manifest.files().iter().map(|file| (hash_of(&self.manifest, file), file.len))
    }

    /// Whether what was fetched is to be compared with its hash before it is used: the chunks of an opened content prove that its author sealed
    /// them, and not that they are the bytes of that hash.
    pub fn is_opened(&self) -> bool {
        self.manifest.opening().is_some()
    }

    /// A content was adopted, or is of no use: nothing stays of it in the folder, and it is read from its places from now on. The folder goes
    /// with the last one, once the fetch is finished.
    pub fn release(&self, hash: &ContentHash) {
        if let (Some(fetching), Some(file)) = (&self.fetching, self.file_of(hash)) {
            fetching.release(file);
        }
    }

    /// The file that a chunk is of.
    pub fn content_of(&self, chunk: ChunkIndex) -> Option<ContentHash> {
        let geometry = self.manifest.geometry();
        geometry.chunk(chunk.get()).map(|chunk| self.hash_of(geometry.span(chunk).file))
    }

    /// The chunks of a file, by index; nothing if the content has no such file.
    pub fn chunks_of(&self, hash: &ContentHash) -> Option<std::ops::Range<u32>> {
        self.file_of(hash).map(|file| self.manifest.geometry().file_chunk_range(file))
    }

    fn hash_of(&self, file: FileIndex) -> ContentHash {
        hash_of(&self.manifest, self.manifest.file(file))
    }

    pub(super) fn file_of(&self, hash: &ContentHash) -> Option<FileIndex> {
        if is_shut(&self.manifest) {
            return self.by_hash.get(hash).copied();
        }
        let name = content_name(&hash.0);
        let files = self.manifest.files();
        let index = files.binary_search_by(|file| file.path.as_str().cmp(&name)).ok()?;
        self.manifest.geometry().file(index)
    }

    /// The copies of a file, best first: the one in the folder may be moved away at any time.
    fn copies(&self, file: FileIndex) -> Vec<StandsAt> {
        // Asked first: what is released in this moment has a place by then.
        let fetched = self.fetching.as_ref().and_then(|fetching| fetching.place(file));
        let mut copies = self.places.places(&self.hash_of(file), self.manifest.file(file).len);
        copies.extend(fetched);
        copies
    }

    fn read_anywhere(&self, chunk: ChunkIndex, mut wanted: Copied<'_>) -> Result<(), StoreError> {
        let index = self.manifest.geometry().span(chunk).file;
        if let Some(file) = self.files.held(index) {
            if matches!(self.read_of(&file, chunk, &mut wanted), Ok(Guarded::Good)) {
                return Ok(());
            }
            self.files.forget(index);
        }
        let copies = self.copies(index);
        let mut trouble = None;
        for copy in &copies {
            match self.read_copy(copy, chunk, &mut wanted) {
                Ok(Guarded::Good) => return Ok(()),
                Ok(Guarded::Changed) => tracing::debug!(?copy, "a copy is not the content any more"),
                Err(error) => {
                    tracing::debug!(%error, "a copy cannot be read");
                    trouble = trouble.or_else(|| trouble_of(copy, error));
                }
            }
        }
        Err(trouble.unwrap_or_else(|| self.lost(chunk, copies.first())))
    }

    /// Why a chunk is nowhere.
    fn lost(&self, chunk: ChunkIndex, first: Option<&StandsAt>) -> StoreError {
        let geometry = self.manifest.geometry();
        let number = geometry.number_in_file(chunk);
        match first {
            Some(copy) => StoreError::Changed { path: copy.folder.full(&copy.relative), chunk: number },
            None => {
                let name = self.manifest.file(geometry.span(chunk).file).path.as_str();
                StoreError::NotVerified { path: name.into(), chunk: number }
            }
        }
    }

    /// Reads from one copy, and keeps it open if it has the chunk.
    fn read_copy(
        &self,
        copy: &StandsAt,
        chunk: ChunkIndex,
        wanted: &mut Copied<'_>,
    ) -> Result<Guarded, StoreError> {
        let file = Arc::new(self.files.opened(|| copy.folder.open(&copy.relative))?);
        let read = self.read_of(&file, chunk, wanted);
        let read = read.map_err(StoreError::disk(&copy.folder.full(&copy.relative), "read"))?;
        if read == Guarded::Good {
            let index = self.manifest.geometry().span(chunk).file;
            self.files.forget(index);
            self.files.put(index, file);
        }
        Ok(read)
    }

    fn read_of(&self, file: &File, chunk: ChunkIndex, wanted: &mut Copied<'_>) -> std::io::Result<Guarded> {
        let stamped = Stamped::AsOf(nanos_of((self.clock)()));
        let part = Copied { offset: wanted.offset, buf: &mut *wanted.buf };
        self.stamps.read(&self.manifest, chunk, file, stamped, part)
    }

    /// The fetch that a write is for.
    fn fetch_of(&self, chunk: ChunkIndex) -> Result<&Fetching, StoreError> {
        self.fetching.as_ref().ok_or_else(|| StoreError::Unwanted {
            path: self.manifest.file(self.manifest.geometry().span(chunk).file).path.as_str().into(),
            chunk: self.manifest.geometry().number_in_file(chunk),
        })
    }
}

impl Store for GatheredStore {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn read(&self, chunk: ChunkIndex, offset: u32, buf: &mut [u8]) -> Result<(), StoreError> {
        check_range(&self.manifest, chunk, offset, buf.len())?;
        if let Some(fetching) = self.fetching.as_ref().filter(|fetching| fetching.holds(chunk)) {
            match fetching.read(chunk, offset, buf) {
                // It became whole meanwhile, and may have been taken by now.
                Err(_) if !fetching.holds(chunk) => {}
                read => return read,
            }
        }
        self.read_anywhere(chunk, Copied { offset, buf })
    }

    fn write_chunk(&self, chunk: ChunkIndex, data: &[u8]) -> Result<Verdict, StoreError> {
        self.fetch_of(chunk)?.write_chunk(chunk, data)
    }

    fn keep_slice(&self, chunk: ChunkIndex, offset: u32, data: &[u8]) -> Result<(), StoreError> {
        self.fetch_of(chunk)?.keep_slice(chunk, offset, data)
    }

    fn verify_kept(&self, chunk: ChunkIndex) -> Result<Verdict, StoreError> {
        self.fetch_of(chunk)?.verify_kept(chunk)
    }

    /// Files that became whole are named by [`GatheredStore::take_whole`] from then on.
    fn flush(&self) -> Result<Vec<ChunkIndex>, StoreError> {
        self.fetching.as_ref().map_or(Ok(Vec::new()), Fetching::flush)
    }

    fn finish(&self) -> Result<(), StoreError> {
        self.fetching.as_ref().map_or(Ok(()), Fetching::finish)
    }

    fn take_warnings(&self) -> Vec<StoreWarning> {
        self.fetching.as_ref().map(Fetching::take_warnings).unwrap_or_default()
    }
}

impl std::fmt::Debug for GatheredStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GatheredStore").field("manifest", &self.manifest).finish_non_exhaustive()
    }
}

/// The hash of a file's bytes as they stand on the disks of this node.
fn hash_of(manifest: &Manifest, file: &manifest::File) -> ContentHash {
    let plain = manifest.opening().and_then(|_| plain_hash_of(file));
    ContentHash(plain.unwrap_or(file.blake3))
}

/// Whether it is sealed, and nobody here has its key.
fn is_shut(manifest: &Manifest) -> bool {
    manifest.is_sealed() && manifest.opening().is_none()
}

fn files_by_hash(manifest: &Manifest) -> BTreeMap<ContentHash, FileIndex> {
    let geometry = manifest.geometry();
    let indices = (0..geometry.file_count()).filter_map(|index| geometry.file(index));
    indices.map(|index| (ContentHash(manifest.file(index).blake3), index)).collect()
}

/// The error of a copy, unless it tells that the bytes are others.
fn trouble_of(copy: &StandsAt, error: StoreError) -> Option<StoreError> {
    if error.is_missing() {
        return Some(StoreError::PlaceAway { path: copy.folder.full(&copy.relative) });
    }
    Some(error).filter(|error| error.trouble().is_some())
}

/// The chunks that stand somewhere, and those that are missing.
fn survey(
    manifest: &Manifest,
    wanted: &dyn Fn(&ContentHash) -> bool,
    places: &dyn Places,
) -> (Gathered, Bitfield) {
    let geometry = manifest.geometry();
    let none = || Bitfield::new(geometry.chunk_count());
    let (mut durable, mut missing) = (none(), none());
    let contents: Vec<(ContentHash, u64)> =
        manifest.files().iter().map(|file| (hash_of(manifest, file), file.len)).collect();
    let stand = places.stand(&contents);
    let files = (0..geometry.file_count()).filter_map(|index| geometry.file(index));
    for ((file, (hash, _)), stands) in files.zip(contents).zip(stand) {
        let set = if stands {
            &mut durable
        } else if wanted(&hash) {
            &mut missing
        } else {
            continue;
        };
        for chunk in geometry.file_chunk_range(file) {
            set.insert(chunk);
        }
    }
    (Gathered { durable, wanted: none(), left_out: Vec::new() }, missing)
}
