//! A library that this node mirrors: it carries all commits, and holds the files of those authors that count here, by the hash of their bytes as
//! they come. It has no view, so it deletes nothing, and of a sealed library it knows no name. Absent here: the fetching (`contents`).

use std::collections::BTreeSet;
use std::sync::Arc;

use swarm_core::base::{ContentId, NodeId};
use swarm_files::{BlobFolder, GatheredStore};
use swarm_sync::ContentHash;

use super::error::LibraryError;
use super::session::Session;

impl Session {
    /// Opens the folder of a mirror, or lets go of it, as the settings say.
    pub(crate) fn open_blobs(&mut self) -> Result<(), LibraryError> {
        self.blobs = if self.settings.is_mirror {
            let path = &self.settings.mirror_folder;
            let failed = |error: swarm_files::StoreError| {
                LibraryError::state(path, "open")(std::io::Error::other(error.to_string()))
            };
            Some(Arc::new(BlobFolder::open(path).map_err(failed)?))
        } else {
            None
        };
        self.places.set_blobs(self.blobs.clone());
        Ok(())
    }

    /// Contents that are to be fetched whole.
    pub(crate) fn unmirrored(&self, authors: &BTreeSet<NodeId>) -> Result<Vec<ContentId>, LibraryError> {
        let mut found = Vec::new();
        for author in authors {
            found.extend(self.book.unmirrored(author, UNMIRRORED_MAX)?);
        }
        Ok(found)
    }

    /// Keeps files that were fetched.
    pub(crate) fn keep(&self, hashes: &[ContentHash], store: &GatheredStore) {
        let Some(blobs) = &self.blobs else { return };
        for hash in hashes {
            if let Err(error) = blobs.keep(store, hash) {
                tracing::warn!(library = %self.settings.name, %error, "a fetched file is not kept");
            }
        }
    }

    /// A content was fetched: notes it, if all of its files are kept.
    pub(crate) fn note_mirrored(
        &mut self,
        content: ContentId,
        store: &GatheredStore,
    ) -> Result<(), LibraryError> {
        let Some(blobs) = &self.blobs else { return Ok(()) };
        if store.contents().all(|(hash, _)| blobs.has(&hash)) {
            self.book.put_mirrored(&content)?;
        }
        Ok(())
    }
}

/// Contents of one author that are asked for at once.
const UNMIRRORED_MAX: usize = 1024;
