//! Contents that came and wait to be taken to their places: in the folder that they were fetched into, or in memory, where a peer packed them
//! with their commit. Invariant: a fetched content was whole, proven and on the disk when it came; a packed one has the hash that it is named by.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use swarm_files::GatheredStore;
use swarm_sync::{ContentHash, ContentSource, KeptId, ReplicaError};

use crate::limits::PACKED_LEN_MAX;

/// What came, by hash.
#[derive(Default)]
pub(crate) struct Arrivals(Mutex<Arrived>);

#[derive(Default)]
struct Arrived {
    stores: BTreeMap<ContentHash, Arc<GatheredStore>>,
    packed: BTreeMap<ContentHash, Bytes>,
    /// In the order in which they came: the first is dropped when there are too many.
    order: VecDeque<ContentHash>,
    packed_len: usize,
    /// Versions that this disk kept, and that come back.
    kept: BTreeMap<ContentHash, KeptId>,
}

impl Arrivals {
    /// A content came.
    pub(crate) fn insert(&self, hash: ContentHash, store: &Arc<GatheredStore>) {
        self.lock().stores.insert(hash, Arc::clone(store));
    }

    /// A content came in memory. Those that nothing waits for are dropped when others come.
    pub(crate) fn insert_packed(&self, bytes: Bytes) -> ContentHash {
        let hash = ContentHash::of(&bytes);
        let mut arrived = self.lock();
        arrived.packed_len += bytes.len();
        if let Some(known) = arrived.packed.insert(hash, bytes) {
            arrived.packed_len -= known.len();
        } else {
            arrived.order.push_back(hash);
        }
        while arrived.packed_len > PACKED_LEN_MAX {
            let Some(first) = arrived.order.pop_front() else { break };
            arrived.drop_packed(&first);
        }
        hash
    }

    /// A kept version of this disk has the bytes of a content that is wanted again.
    pub(crate) fn insert_kept(&self, hash: ContentHash, kept: KeptId) {
        self.lock().kept.insert(hash, kept);
    }

    /// The kept version with the bytes of a content.
    pub(crate) fn kept_with(&self, hash: &ContentHash) -> Option<KeptId> {
        self.lock().kept.get(hash).cloned()
    }

    /// The bytes of a content, which a folder on the same file system takes for its own.
    pub(crate) fn source(&self, hash: &ContentHash) -> Option<Box<dyn ContentSource>> {
        let arrived = self.lock();
        if let Some(bytes) = arrived.packed.get(hash) {
            return Some(Box::new(Packed(bytes.clone())));
        }
        let store = arrived.stores.get(hash).cloned()?;
        Some(Box::new(store.source(hash, true)?))
    }

    /// Nothing waits for what was fetched.
    pub(crate) fn release_fetched(&self) {
        let fetched: Vec<ContentHash> = self.lock().stores.keys().copied().collect();
        self.release(fetched);
    }

    /// Whether a content is here.
    pub(crate) fn has(&self, hash: &ContentHash) -> bool {
        let arrived = self.lock();
        arrived.stores.contains_key(hash)
            || arrived.packed.contains_key(hash)
            || arrived.kept.contains_key(hash)
    }

    /// Forgets a fetched content whose bytes are gone: whoever cleared the folder in which they stood took them away. It is fetched again then.
    pub(crate) fn forget_lost(&self, hash: &ContentHash) {
        let Some(store) = self.lock().stores.get(hash).cloned() else { return };
        let is_there = store
            .source(hash, false)
            .is_some_and(|mut source| source.read_at(0, &mut [0]).is_ok_and(|len| len == 1));
        if !is_there {
            tracing::warn!(content = %hash, "what was fetched is not there any more: it is fetched again");
            self.release([*hash]);
        }
    }

    /// Contents that were taken to their places, or are of no use any more.
    pub(crate) fn release(&self, hashes: impl IntoIterator<Item = ContentHash>) {
        let mut arrived = self.lock();
        for hash in hashes {
            if let Some(store) = arrived.stores.remove(&hash) {
                store.release(&hash);
            }
            arrived.drop_packed(&hash);
            arrived.kept.remove(&hash);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Arrived> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Arrived {
    fn drop_packed(&mut self, hash: &ContentHash) {
        if let Some(bytes) = self.packed.remove(hash) {
            self.packed_len -= bytes.len();
            self.order.retain(|known| known != hash);
        }
    }
}

/// The bytes of a small file.
struct Packed(Bytes);

impl ContentSource for Packed {
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, ReplicaError> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).unwrap_or_default();
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use swarm_core::manifest::{ContentFile, library_manifest};
    use swarm_files::{Places, StandsAt, Store as _, Verdict};

    use super::*;

    struct Nowhere;

    impl Places for Nowhere {
        fn places(&self, _: &ContentHash, _: u64) -> Vec<StandsAt> {
            Vec::new()
        }
    }

    #[test]
    fn what_was_fetched_and_is_gone_is_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        // Longer than what stands in a pack, whose file stays open.
        let bytes = vec![7; 200_000];
        let hash = ContentHash::of(&bytes);
        let content = ContentFile { hash: hash.0, len: bytes.len() as u64, chunk_hashes: Bytes::new() };
        let manifest = library_manifest([content]).expect("one file");
        let opened = GatheredStore::open(
            manifest,
            &|_| true,
            Arc::new(Nowhere),
            folder.path(),
            swarm_node::clock::wall_clock,
        );
        let (store, _) = opened.expect("a place");
        for chunk in store.manifest().geometry().chunks() {
            let span = store.manifest().geometry().span(chunk);
            let from = span.file_offset as usize;
            let written = store.write_chunk(chunk, &bytes[from..from + span.len as usize]);
            assert_eq!(written.expect("it has room"), Verdict::Verified);
        }
        store.flush().expect("it has room");
        let (arrivals, store) = (Arrivals::default(), Arc::new(store));
        arrivals.insert(hash, &store);
        arrivals.forget_lost(&hash);
        assert!(arrivals.has(&hash), "it is there");
        for fetch in std::fs::read_dir(folder.path()).expect("it is there") {
            std::fs::remove_dir_all(fetch.expect("an entry").path()).expect("it is ours");
        }
        arrivals.forget_lost(&hash);
        assert!(!arrivals.has(&hash));
    }
}
