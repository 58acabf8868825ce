//! What the node reports, and what follows from it for the contents.

use tracing::{debug, info, warn};

use super::contents::{Spec, State};
use super::opening::Refusal;
use super::run::Running;
use crate::base::ContentId;
use crate::engine::{Event, FetchFailure};
use crate::node::NodeEvent;

impl Running {
    pub(super) async fn on_event(&mut self, event: NodeEvent) {
        match event {
            NodeEvent::Engine(event) => self.on_engine_event(event).await,
            NodeEvent::FinderTrouble(trouble) => warn!("{}", trouble.reason),
            NodeEvent::Found(found) => {
                let (peer, content) = (found.source.node.short(), found.content.short());
                info!(peer, content, way = found.way.name(), "found a peer");
            }
            // The engine's Failed follows if it ends a fetch.
            NodeEvent::StoreError { content, error } => {
                warn!(content = %content.short(), %error, "the store failed");
                self.refuse_content(content, error.into()).await;
            }
        }
    }

    async fn on_engine_event(&mut self, event: Event) {
        match event {
            Event::ManifestComplete { manifest } => {
                if let Some(id) = self.work.contents.find(manifest.id())
                    && self.admit(id, &manifest).await
                {
                    self.work.open(id, Some(manifest));
                }
            }
            Event::Completed { content } => self.on_completed(content),
            Event::Failed { content, failure } => {
                let category = failure.category();
                let message = match failure {
                    FetchFailure::Refused(refusal) => refusal.words,
                    FetchFailure::Manifest(reason) => reason,
                    FetchFailure::NoSource(_) => "no source made progress".to_owned(),
                    FetchFailure::Store => "the store failed".to_owned(),
                };
                if !self.forget_unheard(content).await {
                    self.refuse_content(content, Refusal { category, message }).await;
                }
            }
            Event::ChunkLost { content, chunk } => {
                warn!(content = %content.short(), chunk = chunk.get(), "withdrew a chunk: the data changed or cannot be read");
                if let Some(entry) =
                    self.work.contents.find(content).and_then(|id| self.work.contents.get_mut(id))
                {
                    entry.lost_chunks += 1;
                }
            }
            Event::PeerJoined { node, agent } => info!(peer = %node.short(), agent, "a peer joined"),
            Event::PeerLeft { node, reason } => info!(peer = %node.short(), reason, "a peer left"),
            Event::PeerUnreachable { node, failure } => {
                debug!(peer = %node.short(), ?failure, "a peer is not reached")
            }
            Event::PeerDeclined { node, content, .. } => {
                info!(peer = %node.short(), content = %content.short(), "a peer does not have it");
            }
            Event::PeerDenied { node, content } => {
                info!(peer = %node.short(), content = %content.short(), "denied a peer what it may not have");
            }
            Event::PeerFound { node, by } => {
                debug!(peer = %node.short(), by = %by.short(), "heard of a peer")
            }
            Event::Offered { node, content } => self.on_offered(node, content).await,
            Event::PeerBanned { node, violation } => {
                warn!(peer = %node.short(), %violation, "banned a peer");
                // Written down at the next tick.
                self.has_banned = true;
            }
            Event::BlamedByPeer { node, content, chunk } => {
                warn!(peer = %node.short(), content = %content.short(), chunk = chunk.get(), "a peer says that a chunk from here was corrupt: check this machine");
            }
            Event::PeerAccused { node, by, content } => {
                warn!(peer = %node.short(), by = %by.short(), content = %content.short(), "a peer says that another gave it wrong chunks");
            }
            Event::PeerCompleted { node, content } => {
                info!(peer = %node.short(), content = %content.short(), "a peer has everything now");
            }
            Event::PeerDurable { node, content } => {
                info!(peer = %node.short(), content = %content.short(), "a peer has everything on its disk");
            }
            Event::Left { .. } | Event::Stopped => {}
        }
    }

    fn on_completed(&mut self, content: ContentId) {
        let Some(entry) = self.work.contents.find(content).and_then(|id| self.work.contents.get_mut(id))
        else {
            return;
        };
        if entry.state != State::Fetching {
            return;
        }
        info!(content = %content.short(), name = %entry.name, "fetched, and serving");
        entry.state = State::Serving;
        entry.present_len = entry.content_len;
        if let Spec::Fetch { is_complete, .. } = &mut entry.spec {
            *is_complete = true;
        }
        if let Err(error) = self.saved.store(&self.work.contents) {
            warn!(%error, "the fetch will be checked again after a restart");
        }
    }

    /// A content that was joined cannot be served any more: it is opened anew after a while.
    async fn refuse_content(&mut self, content: ContentId, refusal: Refusal) {
        let Some(id) = self.work.contents.find(content) else { return };
        if matches!(self.work.contents.get(id).map(|entry| &entry.state), Some(State::Failed { .. })) {
            return;
        }
        self.refuse(id, refusal).await;
    }
}
