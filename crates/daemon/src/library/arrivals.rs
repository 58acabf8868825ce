//! Contents that were fetched and wait to be taken to their places. Invariant: a content that is named here was whole, proven and on the disk
//! when it came.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use swarm_files::GatheredStore;
use swarm_sync::{ContentHash, ContentSource};

/// The stores that have fetched contents, by hash.
#[derive(Default)]
pub(crate) struct Arrivals(Mutex<BTreeMap<ContentHash, Arc<GatheredStore>>>);

impl Arrivals {
    /// A content came.
    pub(crate) fn insert(&self, hash: ContentHash, store: &Arc<GatheredStore>) {
        self.lock().insert(hash, Arc::clone(store));
    }

    /// The bytes of a content, which a folder on the same file system takes for its own.
    pub(crate) fn source(&self, hash: &ContentHash) -> Option<Box<dyn ContentSource>> {
        let store = self.lock().get(hash).cloned()?;
        Some(Box::new(store.source(hash, true)?))
    }

    /// Whether a content is here.
    pub(crate) fn has(&self, hash: &ContentHash) -> bool {
        self.lock().contains_key(hash)
    }

    /// Contents that were taken to their places, or are of no use any more.
    pub(crate) fn release(&self, hashes: impl IntoIterator<Item = ContentHash>) {
        let mut arrived = self.lock();
        for hash in hashes {
            if let Some(store) = arrived.remove(&hash) {
                store.release(&hash);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ContentHash, Arc<GatheredStore>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
