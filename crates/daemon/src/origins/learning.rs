//! Files of a content whose manifest nobody tells: they are fetched whole from an origin, proven by the hashes in the records, and given to the
//! library as if the engine had fetched them. Invariant: nothing is written where there is no room, or through a link. Blocking.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use swarm_core::manifest::{ChunkHasher, ContentFile, Geometry, content_chunk_len_log2, library_manifest};
use swarm_files::{GatheredStore, Places, Store as _, Verdict};
use swarm_index::{Digest, LibraryBook};
use swarm_library::LibraryKey;
use swarm_origins::ListedFile;
use swarm_sync::ContentHash;
use tokio::runtime::Handle;

use super::Followed;
use super::listed::Listed;
use super::shared::{OriginFault, Shared};
use super::spool::Spooled;
use super::whole::{Whole, WholeError};
use crate::contents::{check_free, check_is_inside};
use crate::library::{FetchedFolder, Input as LibraryInput};
use crate::sentence::Sentence;

/// What is fetched from where.
pub(super) struct Learning {
    pub(super) shared: Arc<Shared>,
    pub(super) library: LibraryKey,
    pub(super) followed: Followed,
    pub(super) listed: Arc<Listed>,
    pub(super) runtime: Handle,
    pub(super) spool: PathBuf,
}

/// Fetches those of the files that the origin lists.
pub(super) fn run(learning: &Learning, wanted: &BTreeSet<ContentHash>) {
    let (shared, library) = (&learning.shared, learning.library);
    let mut failed_in_a_row = 0;
    for hash in wanted {
        let Some(file) = learning.listed_as(hash) else { continue };
        match learning.fetch(hash, &file) {
            Ok(()) => {
                failed_in_a_row = 0;
                shared.note_came(library, &file);
            }
            Err(Failed::Whole(WholeError::Over)) => return,
            Err(Failed::Whole(WholeError::Wrong(_))) => shared.note_wrong(library, &file),
            Err(Failed::Whole(WholeError::Origin(error))) => {
                tracing::debug!(path = file.path, %error, "a file did not come from an origin");
                shared.note_failed(library, &file, None, None);
                failed_in_a_row += 1;
                if error.is_of_server() || failed_in_a_row == FAILED_IN_A_ROW_MAX {
                    return;
                }
            }
            Err(error) => {
                let url = &shared.settings.url;
                let text = format!("it cannot be fetched from {url}: {error}");
                let detail = Sentence::new("file-from-origin", [("url", url), ("why", &error)], text);
                shared.note_failed(library, &file, None, Some(OriginFault { issue: "fetch", detail }));
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Whole(#[from] WholeError),
    #[error(transparent)]
    Store(#[from] swarm_files::StoreError),
    #[error(transparent)]
    Index(#[from] swarm_index::IndexError),
    #[error("{0}")]
    Folder(String),
    #[error("its chunks are not those of its hash: this is a bug, please report it")]
    Chunks,
}

impl Learning {
    /// The file that is to be fetched for a content; nothing if it is here by now, or left alone.
    fn listed_as(&self, hash: &ContentHash) -> Option<ListedFile> {
        let book = LibraryBook::open(&self.followed.handle.index_path);
        let sha256 = book.and_then(|book| book.sha256_of(hash)).ok().flatten();
        let found = self.listed.find(hash, sha256.as_ref(), None);
        let is_meant = |file: &&ListedFile| {
            file.length > 0
                && !self.shared.rests(self.library, file, None)
                && self.followed.handle.places.places(hash, file.length).is_empty()
        };
        found.filter(is_meant).cloned()
    }

    fn fetch(&self, hash: &ContentHash, file: &ListedFile) -> Result<(), Failed> {
        let handle = &self.followed.handle;
        // Without a sync target nothing is wanted.
        let Some(FetchedFolder { dir, min_free }) = handle.fetched.borrow().clone() else { return Ok(()) };
        check_is_inside(&dir).map_err(Failed::Folder)?;
        check_free(&dir, file.length, min_free).map_err(Failed::Folder)?;
        let (shared, guid) = (&*self.shared, self.followed.settings.guid.as_str());
        let whole = Whole { shared, guid, file, down: &self.followed.down, runtime: &self.runtime };
        let spooled = Spooled::fetch(&self.spool, hash, &whole)?;
        let content = content_of(hash, file.length, &spooled)?;
        let chunk_hashes = content.chunk_hashes.to_vec();
        let manifest = library_manifest([content]).map_err(|_| Failed::Chunks)?;
        let places: Arc<dyn Places> = Arc::clone(&handle.places) as Arc<dyn Places>;
        let opened = GatheredStore::open(manifest, &|_| true, places, &dir, swarm_node::clock::wall_clock);
        let (store, gathered) = opened?;
        // It took a while to come: others may have written meanwhile.
        check_free(&dir, file.length, min_free).map_err(Failed::Folder)?;
        for chunk in store.manifest().geometry().chunks() {
            if !gathered.wanted.contains(chunk.get()) || gathered.durable.contains(chunk.get()) {
                continue;
            }
            let span = store.manifest().geometry().span(chunk);
            let mut bytes = vec![0; span.len as usize];
            spooled.read(span.file_offset, &mut bytes)?;
            if store.write_chunk(chunk, &bytes)? != Verdict::Verified {
                return Err(Failed::Chunks);
            }
        }
        store.flush()?;
        store.finish()?;
        if !chunk_hashes.is_empty() {
            let digest = Digest { sha256: None, chunk_hashes };
            LibraryBook::open(&handle.index_path)?.learn_chunks(&[(*hash, digest)])?;
        }
        let (whole, store) = (store.take_whole(), Arc::new(store));
        // A worker that has ended needs nothing more.
        let _ = handle.arrived.blocking_send(LibraryInput::Arrived(whole, store, 0));
        Ok(())
    }
}

/// The file as a content, with what proves each chunk of it.
fn content_of(hash: &ContentHash, len: u64, spooled: &Spooled) -> Result<ContentFile, Failed> {
    let log2 = content_chunk_len_log2(len);
    let mut chunk_hashes = Vec::new();
    if log2 != 0 {
        let geometry = Geometry::new([(len, log2)]).ok_or(Failed::Chunks)?;
        for chunk in geometry.chunks() {
            let span = geometry.span(chunk);
            let mut bytes = vec![0; span.len as usize];
            spooled.read(span.file_offset, &mut bytes)?;
            chunk_hashes.extend_from_slice(&ChunkHasher::hash(&span, &bytes));
        }
    }
    Ok(ContentFile { hash: hash.0, len, chunk_hashes: chunk_hashes.into() })
}

/// After so many files in a row that did not come, the others are tried another time.
const FAILED_IN_A_ROW_MAX: u32 = 3;
