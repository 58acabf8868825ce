//! The stores of contents, and work on them. Invariants: work on a store is done on a blocking thread and reports one fact, after the
//! warnings that came with it; a content without a store gets no work.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::fact::{Fact, Report};
use super::upload;
use swarm_core::base::ContentId;
use swarm_core::manifest::ChunkIndex;
use swarm_engine::{ChunkVerdict, Input};
use swarm_files::{Store, StoreError, Verdict};

pub(super) struct Stores {
    open: BTreeMap<ContentId, Arc<dyn Store>>,
    report: Report,
    tasks: TaskTracker,
}

impl Stores {
    pub(super) fn new(report: Report, tasks: TaskTracker) -> Self {
        Self { open: BTreeMap::new(), report, tasks }
    }

    pub(super) fn open(&mut self, content: ContentId, store: Arc<dyn Store>) {
        self.open.insert(content, store);
    }

    /// Lets a store go; work that began with it ends with it.
    pub(super) fn close(&mut self, content: ContentId) {
        self.open.remove(&content);
    }

    pub(super) fn get(&self, content: ContentId) -> Option<Arc<dyn Store>> {
        self.open.get(&content).cloned()
    }

    /// Reads back and hashes a chunk that was kept in slices.
    pub(super) fn verify_kept(&self, content: ContentId, chunk: ChunkIndex) {
        self.work(content, move |store| {
            let verdict = verdict_of(store.verify_kept(chunk)?);
            Ok(Input::ChunkChecked { content, chunk, from: None, verdict })
        });
    }

    /// Reads a chunk again that could not be read.
    pub(super) fn reread(&self, content: ContentId, chunk: ChunkIndex) {
        self.work(content, move |store| {
            Ok(Input::Reread { content, chunk, found: upload::reread(store, chunk) })
        });
    }

    /// Makes what is verified durable.
    pub(super) fn flush(&self, content: ContentId) {
        let Some(store) = self.get(content) else { return };
        let report = self.report.clone();
        self.tasks.spawn_blocking(move || {
            let flushed = store.flush();
            report_warnings(&report, content, store.as_ref());
            // The engine waits for the end of a flush even if it failed.
            let chunks = flushed.unwrap_or_else(|error| {
                let _ = report.blocking_send(Fact::StoreFailed { content, error });
                Vec::new()
            });
            let _ = report.blocking_send(Fact::Input(Input::Flushed { content, chunks }));
        });
    }

    /// Ends a fetch.
    pub(super) fn finish(&self, content: ContentId) {
        self.work(content, move |store| store.finish().map(|()| Input::Finished { content }));
    }

    fn work(
        &self,
        content: ContentId,
        work: impl FnOnce(&dyn Store) -> Result<Input, StoreError> + Send + 'static,
    ) {
        let Some(store) = self.get(content) else { return };
        let report = self.report.clone();
        self.tasks.spawn_blocking(move || {
            let fact = match work(store.as_ref()) {
                Ok(input) => Fact::Input(input),
                Err(error) => Fact::StoreFailed { content, error },
            };
            report_warnings(&report, content, store.as_ref());
            let _ = report.blocking_send(fact);
        });
    }
}

/// What the engine calls what a store found.
pub(super) fn verdict_of(verdict: Verdict) -> ChunkVerdict {
    match verdict {
        Verdict::Verified => ChunkVerdict::Verified,
        Verdict::Corrupt => ChunkVerdict::Corrupt,
    }
}

/// Before the fact that may end the fetch, so that they are told.
fn report_warnings(report: &Report, content: ContentId, store: &dyn Store) {
    for warning in store.take_warnings() {
        let _ = report.blocking_send(Fact::StoreWarned { content, warning });
    }
}
