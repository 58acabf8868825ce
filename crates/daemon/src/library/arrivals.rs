//! Contents that were fetched and wait to be taken to their places. Invariant: a content that is named here was whole, proven and on the disk
//! when it came.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use swarm_files::GatheredStore;
use swarm_sync::{ContentHash, ContentSource, KeptId};

/// The stores that have fetched contents, by hash, and kept versions that come back.
#[derive(Default)]
pub(crate) struct Arrivals {
    fetched: Mutex<BTreeMap<ContentHash, Arc<GatheredStore>>>,
    kept: Mutex<BTreeMap<ContentHash, KeptId>>,
}

impl Arrivals {
    /// A content came.
    pub(crate) fn insert(&self, hash: ContentHash, store: &Arc<GatheredStore>) {
        self.lock().insert(hash, Arc::clone(store));
    }

    /// A kept version of this disk has the bytes of a content that is wanted again.
    pub(crate) fn insert_kept(&self, hash: ContentHash, kept: KeptId) {
        self.kept().insert(hash, kept);
    }

    /// The kept version with the bytes of a content.
    pub(crate) fn kept_with(&self, hash: &ContentHash) -> Option<KeptId> {
        self.kept().get(hash).cloned()
    }

    /// The bytes of a content, which a folder on the same file system takes for its own.
    pub(crate) fn source(&self, hash: &ContentHash) -> Option<Box<dyn ContentSource>> {
        let store = self.lock().get(hash).cloned()?;
        Some(Box::new(store.source(hash, true)?))
    }

    /// Whether a content is here.
    pub(crate) fn has(&self, hash: &ContentHash) -> bool {
        self.lock().contains_key(hash) || self.kept().contains_key(hash)
    }

    /// Contents that were taken to their places, or are of no use any more.
    pub(crate) fn release(&self, hashes: impl IntoIterator<Item = ContentHash>) {
        let mut arrived = self.lock();
        for hash in hashes {
            self.kept().remove(&hash);
            if let Some(store) = arrived.remove(&hash) {
                store.release(&hash);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ContentHash, Arc<GatheredStore>>> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<ContentHash, KeptId>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
