//! What the workers of libraries are told of their contents: files that are whole, contents that are complete, bytes that may be wrong. Invariant: what
//! is handed to a worker has a number, so that no older wish of it fetches that a second time.

use swarm_core::base::ContentId;
use swarm_core::manifest::ChunkIndex;

use super::Contents;
use crate::clock;
use crate::library::Input as LibraryInput;

impl Contents {
    /// A peer got wrong bytes from here, or the engine would have sent some: the file is read again.
    pub(super) async fn on_suspect(&mut self, content: ContentId, chunk: ChunkIndex) {
        let Some(joined) = self.joined.get(&content) else { return };
        let hash = joined.store.as_ref().and_then(|store| store.content_of(chunk));
        let (Some(hash), Some(handle)) = (hash, self.libraries.get(&joined.library)) else { return };
        let _ = handle.inputs.send(LibraryInput::Suspect(hash)).await;
    }

    /// Tells the worker of files that are whole.
    pub(super) async fn report_whole(&mut self, content: ContentId) {
        let Some(joined) = self.joined.get(&content) else { return };
        let Some(store) = joined.store.clone() else { return };
        let whole = store.take_whole();
        if !whole.is_empty()
            && let Some(joined) = self.joined.get_mut(&content)
        {
            joined.used_at = clock::moment();
            let library = joined.library;
            self.on_whole(library, content, &whole);
        }
        let Some(joined) = self.joined.get(&content) else { return };
        let Some(handle) = self.libraries.get(&joined.library).filter(|_| !whole.is_empty()) else { return };
        let number = self.handed.entry(joined.library).or_default().files(&whole);
        // A worker that has ended needs nothing more.
        let _ = handle.arrived.send(LibraryInput::Arrived(whole, store, number)).await;
    }

    /// Tells the worker that all that was wanted of a content is there.
    pub(super) async fn report_completed(&mut self, content: ContentId) {
        let Some(joined) = self.joined.get(&content) else { return };
        if let (Some(store), Some(handle)) = (joined.store.clone(), self.libraries.get(&joined.library)) {
            let number = self.handed.entry(joined.library).or_default().content(content);
            let _ = handle.arrived.send(LibraryInput::Completed(content, store, number)).await;
        }
    }
}
