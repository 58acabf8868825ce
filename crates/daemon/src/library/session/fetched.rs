//! Contents that are fetched: where to, which of them are what their hash says, and whether the bytes of a file are here already. Invariant: what
//! was sealed is believed only after all its bytes were read. Absent here: the fetching (`contents`).

use std::collections::BTreeMap;

use swarm_files::GatheredStore;
use swarm_mounts::MountKind;
use swarm_sync::{ContentHash, FileContent, TreePath};

use super::Session;
use crate::library::digests::digest_of;
use crate::library::error::LibraryError;
use crate::library::worker::handle::FetchedFolder;

impl Session {
    /// The folder that contents are fetched into: on the file system of the sync target, so that they are renamed to their places.
    pub(crate) fn fetched_folder(&self) -> Option<FetchedFolder> {
        if let Some(blobs) = &self.blobs {
            return Some(FetchedFolder { dir: blobs.incoming(), min_free: self.settings.mirror_min_free });
        }
        let target = self.settings.mounts.iter().find(|mount| mount.kind == MountKind::SyncTarget)?;
        let dir = target.dir.join(swarm_sync::STATE_FOLDER_NAME).join(FETCHED);
        Some(FetchedFolder { dir, min_free: target.min_free })
    }

    /// Those of the fetched contents that are what their hash says. A sealed content proves only that its author sealed it.
    pub(crate) fn proven(
        &mut self,
        hashes: Vec<ContentHash>,
        store: &GatheredStore,
    ) -> Result<Vec<ContentHash>, LibraryError> {
        if !store.is_opened() {
            return Ok(hashes);
        }
        let lens: BTreeMap<ContentHash, u64> = store.contents().collect();
        let (mut proven, mut digests) = (Vec::new(), Vec::new());
        for hash in hashes {
            let content = FileContent { len: lens.get(&hash).copied().unwrap_or(0), hash, executable: false };
            let Some(mut source) = store.source(&hash, false) else { continue };
            let Ok(path) = TreePath::new(hash.to_string()) else { continue };
            match digest_of(&mut source, &path, &content) {
                Ok(digest) => {
                    digests.push((hash, digest));
                    proven.push(hash);
                }
                Err(error) => {
                    tracing::warn!(content = %hash, %error, "what was sealed is not what its commit names");
                    store.release(&hash);
                }
            }
        }
        self.book.put_digests(&digests)?;
        Ok(proven)
    }

    /// Whether the bytes of a file are on this disk, or in memory.
    pub(super) fn is_here(&self, content: &FileContent) -> Result<bool, LibraryError> {
        Ok(content.len == 0
            || self.arrivals.has(&content.hash)
            || !self.book.places_of(&content.hash)?.is_empty())
    }
}

/// Below the state folder of the sync target.
const FETCHED: &str = "fetched";
