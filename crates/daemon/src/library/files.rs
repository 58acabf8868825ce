//! The files of a library as they are read from outside: what the view has, and the bytes of a file, wherever they stand on this disk. Invariant:
//! bytes are given out as a store gives them to peers, verified; what is not on this disk is said not to be here. All of it blocks.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use swarm_core::base::Category;
use swarm_core::manifest::{ContentFile, Manifest, content_chunk_len_log2, library_manifest};
use swarm_files::{GatheredStore, Places, Store as _, StoreError};
use swarm_index::{IndexError, LibraryBook, Page, ViewEntry};
use swarm_library::State;
use swarm_sync::{ContentHash, Kind, TreePath};

use super::LibraryHandle;
use super::ask::{EntryView, entry_view};
use super::places::LibraryPlaces;
use super::settings::LibrarySettings;
use super::written::WrittenPart;

/// The files of a library.
#[derive(Clone)]
pub struct LibraryFiles {
    name: String,
    guid: String,
    is_sealed: bool,
    index: PathBuf,
    places: Arc<LibraryPlaces>,
    written: WrittenPart,
}

/// A page of a listing.
#[derive(Clone, Debug, Default)]
pub struct EntriesPage {
    /// In path order.
    pub entries: Vec<EntryView>,
    /// The path to go on after.
    pub next: Option<TreePath>,
}

/// A file of the view.
#[derive(Clone)]
pub struct OpenFile {
    hash: ContentHash,
    len: u64,
    modified_ns: i64,
    store: Option<Arc<GatheredStore>>,
}

/// Stores of files that were read last. A chunk that was verified stays so while its file does not change: whoever reads a file in many requests
/// pays for each chunk once. A store is of the folders that its library had then: one that was started again, with other folders, has its own.
#[derive(Default)]
pub struct OpenFiles {
    /// The one that was used last at the end.
    stores: Mutex<VecDeque<OpenStore>>,
}

struct OpenStore {
    places: Arc<LibraryPlaces>,
    hash: ContentHash,
    store: Arc<GatheredStore>,
    was_used: bool,
}

impl OpenFiles {
    /// Lets go of those that were not used since the last call: they hold files open, also such as were deleted.
    pub fn forget_unused(&self) {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        stores.retain_mut(|known| std::mem::replace(&mut known.was_used, false));
    }

    fn get(&self, places: &Arc<LibraryPlaces>, hash: &ContentHash) -> Option<Arc<GatheredStore>> {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let at = stores.iter().position(|known| Arc::ptr_eq(&known.places, places) && known.hash == *hash)?;
        let found = stores.remove(at)?;
        let store = Arc::clone(&found.store);
        stores.push_back(OpenStore { was_used: true, ..found });
        Some(store)
    }

    fn put(&self, places: &Arc<LibraryPlaces>, hash: ContentHash, store: Arc<GatheredStore>) {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        stores.retain(|known| !(Arc::ptr_eq(&known.places, places) && known.hash == hash));
        if stores.len() >= OPEN_STORES_MAX {
            stores.pop_front();
        }
        stores.push_back(OpenStore { places: Arc::clone(places), hash, store, was_used: true });
    }
}

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The library has no such file.
    #[error("the library has no file `{0}`")]
    Missing(String),
    /// Its bytes are on other machines.
    #[error("the bytes of `{0}` are not on this machine yet")]
    NotHere(String),
    /// Nothing is written here.
    #[error("the library has no folder on this machine that is written: give it a sync target")]
    NoTarget,
    /// The place is of a folder that is not written.
    #[error("`{0}` is of a folder that is read-only on this machine")]
    ReadOnly(String),
    /// What is known of the library cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The disk does not give the bytes, or gives others.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LibraryFiles {
    pub(crate) fn new(settings: &LibrarySettings, handle: &LibraryHandle) -> Self {
        // A key that cannot be read counts as one that is there.
        let is_sealed = settings.is_sealed || !matches!(handle.keys.sealing(), Ok(None));
        Self {
            name: settings.name.clone(),
            guid: settings.guid.to_string(),
            is_sealed,
            index: handle.index_path.clone(),
            places: Arc::clone(&handle.places),
            written: WrittenPart::of(&settings.mounts),
        }
    }

    /// What this node calls the library.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What all nodes call it.
    pub fn guid(&self) -> &str {
        &self.guid
    }

    /// Whether names and contents are sealed for mirrors: what it has is not for everybody.
    pub fn is_sealed(&self) -> bool {
        self.is_sealed
    }

    /// Where the library's memory is: for conflicts and runs, which are read from it.
    pub fn index(&self) -> &std::path::Path {
        &self.index
    }

    /// All entries of the view after a path.
    pub fn all(&self, start: Option<&TreePath>, limit: usize) -> Result<EntriesPage, ReadError> {
        let book = LibraryBook::open(&self.index)?;
        let entries = book.view(None, start, limit)?;
        let next = (entries.len() == limit).then(|| entries.last().map(|entry| entry.path.clone())).flatten();
        views(&book, Page { entries, next })
    }

    /// What stands directly in a folder, after a path.
    pub fn children(
        &self,
        place: Option<&TreePath>,
        start: Option<&TreePath>,
        limit: usize,
    ) -> Result<EntriesPage, ReadError> {
        let book = LibraryBook::open(&self.index)?;
        let page = book.in_one_look(|book| book.children(place, start, limit))??;
        views(&book, page)
    }

    /// How many stand directly in a folder; `None` if too much stands below it to be counted at once.
    ///
    /// # Errors
    /// If what is known of the library cannot be read.
    pub fn count_children(&self, place: Option<&TreePath>) -> Result<Option<u64>, ReadError> {
        Ok(LibraryBook::open(&self.index)?.count_children(place)?)
    }

    /// Entries below a folder, or of all, that `is_meant` picks by path and whether it is a file.
    pub fn search(
        &self,
        place: Option<&TreePath>,
        start: Option<&TreePath>,
        limit: usize,
        is_meant: &dyn Fn(&TreePath, bool) -> bool,
    ) -> Result<EntriesPage, ReadError> {
        let book = LibraryBook::open(&self.index)?;
        let is_file = |entry: &ViewEntry| matches!(entry.winner.state.kind(), Some(Kind::File(_)));
        let page = book.search(place, start, limit, &|entry| is_meant(&entry.path, is_file(entry)))?;
        views(&book, page)
    }

    /// The entry at a path.
    pub fn entry(&self, path: &TreePath) -> Result<Option<EntryView>, ReadError> {
        let book = LibraryBook::open(&self.index)?;
        let entries = book.entry(path)?.into_iter().collect();
        Ok(views(&book, Page { entries, next: None })?.entries.pop())
    }

    /// Opens the file at a path; `open` has those that were opened before.
    ///
    /// # Errors
    /// [`ReadError::Missing`] for what is no file, [`ReadError::NotHere`] for bytes that are elsewhere.
    pub fn open(&self, path: &TreePath, open: &OpenFiles) -> Result<OpenFile, ReadError> {
        let book = LibraryBook::open(&self.index)?;
        let missing = || ReadError::Missing(path.to_string());
        let entry = book.entry(path)?.ok_or_else(missing)?;
        let State::Live(live) = &entry.winner.state else { return Err(missing()) };
        let file = live.kind.file().ok_or_else(missing)?;
        let (hash, len) = (file.hash, file.len);
        let known = open.get(&self.places, &hash);
        let store = match known {
            _ if len == 0 => None,
            Some(store) if !self.places.places(&hash, len).is_empty() => Some(store),
            _ => {
                let store = Arc::new(self.store(&book, path, hash, len)?);
                open.put(&self.places, hash, Arc::clone(&store));
                Some(store)
            }
        };
        Ok(OpenFile { hash, len, modified_ns: live.modified_ns, store })
    }

    /// Bytes that stay free on the disk of the sync target.
    pub fn min_free(&self) -> u64 {
        self.written.min_free()
    }

    /// Where a new file of this path goes: the sync target, and the place below it.
    ///
    /// # Errors
    /// If the library has no sync target here, or the path is of no part that is written.
    pub fn place_for(&self, path: &TreePath) -> Result<(PathBuf, TreePath), ReadError> {
        self.written.place_for(path)
    }

    /// The folder on this disk into which files are put, if there is one.
    pub fn target(&self) -> Option<&std::path::Path> {
        self.written.dir().ok()
    }

    /// A store of this one file.
    fn store(
        &self,
        book: &LibraryBook,
        path: &TreePath,
        hash: ContentHash,
        len: u64,
    ) -> Result<GatheredStore, ReadError> {
        let not_here = || ReadError::NotHere(path.to_string());
        if self.places.places(&hash, len).is_empty() {
            return Err(not_here());
        }
        let chunk_hashes = if content_chunk_len_log2(len) == 0 {
            Vec::new()
        } else {
            book.digest(&hash)?.ok_or_else(not_here)?.chunk_hashes
        };
        let file = ContentFile { hash: hash.0, len, chunk_hashes: chunk_hashes.into() };
        let manifest: Manifest = library_manifest([file]).map_err(|_| not_here())?;
        let places: Arc<dyn Places> = Arc::clone(&self.places) as Arc<dyn Places>;
        // Nothing is wanted, so that nothing is written.
        let nowhere = self.index.with_file_name("unused");
        let opened = GatheredStore::open(manifest, &|_| false, places, &nowhere, wall_clock);
        Ok(opened?.0)
    }
}

impl ReadError {
    /// The category of the cause.
    pub fn category(&self) -> Category {
        match self {
            Self::Missing(_) | Self::NotHere(_) => Category::NoSource,
            Self::NoTarget | Self::ReadOnly(_) => Category::TargetDiffers,
            Self::Index(error) => error.category(),
            Self::Store(error) => error.category(),
        }
    }
}

impl OpenFile {
    /// BLAKE3 of the file, as 64 digits.
    pub fn hash(&self) -> String {
        self.hash.to_string()
    }

    /// In bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Nanoseconds since 1970.
    pub fn modified_ns(&self) -> i64 {
        self.modified_ns
    }

    /// Fills `buf` from `offset` on, up to the end of a chunk or of the file; returns how many bytes were read: none at the end.
    ///
    /// # Errors
    /// If the disk does not give the bytes that the library has: what was read is never of another version.
    pub fn read(&self, offset: u64, buf: &mut [u8]) -> Result<usize, StoreError> {
        let Some(store) = self.store.as_ref().filter(|_| offset < self.len) else { return Ok(0) };
        let geometry = store.manifest().geometry();
        let Some((chunk, within)) = geometry.position(offset) else { return Ok(0) };
        let left = geometry.chunk_len(chunk) - within;
        let len = buf.len().min(left as usize);
        store.read(chunk, within, &mut buf[..len])?;
        Ok(len)
    }
}

fn views(book: &LibraryBook, page: Page) -> Result<EntriesPage, ReadError> {
    let Page { entries, next } = page;
    let mut shown = Vec::with_capacity(entries.len());
    for entry in entries {
        let State::Live(live) = &entry.winner.state else { continue };
        let is_here = book.entry_here(&entry.path)?.is_some_and(|here| here.kind == live.kind);
        shown.push(entry_view(&entry, live, is_here));
    }
    Ok(EntriesPage { entries: shown, next })
}

/// Stores that are kept: each has a bit for a chunk of its file, and open files.
const OPEN_STORES_MAX: usize = 64;

fn wall_clock() -> std::time::SystemTime {
    swarm_node::clock::wall_clock()
}
