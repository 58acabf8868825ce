//! Where contents of a library stand on the disks of this node.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use swarm_files::{BlobFolder, Places, ServedFolder, StandsAt};
use swarm_index::LibraryBook;
use swarm_sync::{ContentHash, FileContent, TreePath};

/// The folders of a library, and the index that knows what is in them.
pub(crate) struct LibraryPlaces {
    book: Mutex<LibraryBook>,
    roots: Mutex<Vec<Root>>,
    /// What a mirror holds.
    blobs: Mutex<Option<Arc<BlobFolder>>>,
}

/// One mount.
#[derive(Clone)]
pub(crate) struct Root {
    libpath: Option<TreePath>,
    dir: PathBuf,
    folder: Arc<ServedFolder>,
}

impl Root {
    pub(crate) fn new(libpath: Option<TreePath>, dir: PathBuf) -> Self {
        Self { libpath, folder: Arc::new(ServedFolder::new(&dir)), dir }
    }

    /// The place of a path of the library below this mount.
    fn relative(&self, path: &TreePath) -> Option<PathBuf> {
        let text = match &self.libpath {
            None => path.as_str(),
            Some(libpath) => path.as_str().strip_prefix(libpath.as_str())?.strip_prefix('/')?,
        };
        Some(PathBuf::from(text))
    }
}

impl LibraryPlaces {
    pub(crate) fn new(book: LibraryBook) -> Self {
        Self { book: Mutex::new(book), roots: Mutex::default(), blobs: Mutex::default() }
    }

    /// Takes over what a mirror holds.
    pub(crate) fn set_blobs(&self, blobs: Option<Arc<BlobFolder>>) {
        *self.blobs.lock().unwrap_or_else(PoisonError::into_inner) = blobs;
    }

    fn kept(&self, hash: &ContentHash, len: u64) -> Vec<StandsAt> {
        let blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        blobs.map(|blobs| blobs.places(hash, len)).unwrap_or_default()
    }

    /// Takes over other mounts, the sync target first: what it has hides what others have.
    pub(crate) fn set_roots(&self, roots: Vec<Root>) {
        *self.roots.lock().unwrap_or_else(PoisonError::into_inner) = roots;
    }
}

impl LibraryPlaces {
    /// The bytes of a short content, if they stand here.
    pub(crate) fn read_short(&self, content: &FileContent) -> Option<Bytes> {
        let paths = self.book.lock().unwrap_or_else(PoisonError::into_inner).places_of(&content.hash).ok()?;
        let roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let files = paths
            .iter()
            .flat_map(|path| roots.iter().filter_map(move |root| Some(root.dir.join(root.relative(path)?))));
        let mut found = files.filter_map(|file| {
            let metadata = file.symlink_metadata().ok()?;
            let bytes =
                (metadata.is_file() && metadata.len() == content.len).then(|| std::fs::read(&file).ok());
            bytes.flatten().filter(|bytes| ContentHash::of(bytes) == content.hash)
        });
        found.next().map(Bytes::from)
    }
}

impl Places for LibraryPlaces {
    fn places(&self, hash: &ContentHash, len: u64) -> Vec<StandsAt> {
        let paths = self.book.lock().unwrap_or_else(PoisonError::into_inner).places_of(hash);
        let roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let paths = paths.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot look up where a content stands");
            Vec::new()
        });
        let at = |path: &TreePath| -> Vec<StandsAt> {
            let at = |root: &Root| {
                Some(StandsAt { folder: Arc::clone(&root.folder), relative: root.relative(path)? })
            };
            roots.iter().filter_map(at).collect()
        };
        paths.iter().flat_map(at).chain(self.kept(hash, len)).collect()
    }

    fn stand(&self, contents: &[(ContentHash, u64)]) -> Vec<bool> {
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let stands = |book: &LibraryBook, (hash, len): &(ContentHash, u64)| {
            book.places_of(hash).is_ok_and(|paths| !paths.is_empty()) || !self.kept(hash, *len).is_empty()
        };
        let looked = book.in_one_look(|book| contents.iter().map(|content| stands(book, content)).collect());
        looked.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot look up where contents stand");
            vec![false; contents.len()]
        })
    }
}
