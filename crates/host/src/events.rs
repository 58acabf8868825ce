//! What the node reports, and what follows from it for the contents.

use tracing::{debug, info, warn};

use super::contents::{Entry, FetchSpec, Spec, State};
use super::opening::Refusal;
use super::run::Running;
use crate::jobs::{ChunkNews, Meaning, News, PeerNews, meaning_of};
use swarm_core::base::{ContentId, NodeId};
use swarm_core::manifest::ChunkIndex;
use swarm_engine::FetchFailure;
use swarm_node::NodeEvent;

impl Running {
    pub(super) async fn on_event(&mut self, event: NodeEvent) {
        match meaning_of(event) {
            Meaning::Tell(News::Peer { node, content, news }) => self.on_peer(node, content, news),
            Meaning::Tell(News::Chunk { content, chunk, news }) => self.on_chunk(content, chunk, news),
            Meaning::Tell(News::Trouble(trouble)) => warn!("{}", trouble.reason),
            Meaning::Tell(News::Warning { content, warning }) => {
                warn!(content = %content.short(), "{warning}");
            }
            Meaning::Open(manifest) => {
                if let Some(id) = self.work.contents.find(manifest.id())
                    && self.admit(id, &manifest).await
                {
                    self.work.open(id, Some(manifest));
                }
            }
            Meaning::Complete(content) => self.on_completed(content),
            Meaning::GaveUp(content, failure) => self.on_gave_up(content, failure).await,
            Meaning::StoreFailed(content, error) => {
                warn!(content = %content.short(), %error, "the store failed");
                self.refuse_content(content, error.into()).await;
            }
            Meaning::Offer(node, content) => self.on_offered(node, content).await,
            Meaning::Nothing => {}
        }
    }

    async fn on_gave_up(&mut self, content: ContentId, failure: FetchFailure) {
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

    fn on_chunk(&mut self, content: ContentId, chunk: ChunkIndex, news: ChunkNews) {
        let (path, number) = self.place_of(content, chunk);
        let short = content.short();
        match &news {
            ChunkNews::Withdrawn => {
                warn!(content = %short, path, chunk = number, "withdrew a chunk: the data changed");
            }
            ChunkNews::Unreadable { reason } => {
                warn!(content = %short, %reason, "not served for now: it is read again until that is over");
            }
            ChunkNews::Readable => info!(content = %short, path, "served again: it can be read"),
        }
        let Some(entry) = self.entry_of(content) else { return };
        match news {
            ChunkNews::Withdrawn => entry.lost_chunks += 1,
            ChunkNews::Unreadable { reason } => drop(entry.unreadable.insert(chunk.get(), reason)),
            ChunkNews::Readable => drop(entry.unreadable.remove(&chunk.get())),
        }
    }

    fn on_peer(&mut self, node: NodeId, content: Option<ContentId>, news: PeerNews) {
        let (peer, of) = (node.short(), content.map(|content| content.short()).unwrap_or_default());
        match news {
            PeerNews::Found(way) => info!(peer, content = of, way = way.name(), "found a peer"),
            PeerNews::Joined { agent } => info!(%peer, agent, "a peer joined"),
            PeerNews::Left { reason } => info!(%peer, reason, "a peer left"),
            PeerNews::Unreachable { reason } => debug!(%peer, reason, "a peer is not reached"),
            PeerNews::Refused(refusal) => debug!(%peer, ?refusal, "a peer is not reached"),
            PeerNews::Declined(_) => info!(%peer, content = %of, "a peer does not have it"),
            PeerNews::Denied => info!(%peer, content = %of, "denied a peer what it may not have"),
            PeerNews::ToldBy(by) => debug!(%peer, by = %by.short(), "heard of a peer"),
            PeerNews::Banned(violation) => {
                warn!(%peer, %violation, "banned a peer");
                // Written down at the next tick.
                self.has_banned = true;
            }
            PeerNews::Blames(chunk) => {
                let (path, chunk) =
                    content.map_or((String::new(), chunk.get()), |content| self.place_of(content, chunk));
                warn!(%peer, content = %of, path, chunk, "a peer says that a chunk from here was corrupt: check this machine");
            }
            PeerNews::Accused { by } => {
                warn!(%peer, by = %by.short(), content = %of, "a peer says that another gave it wrong chunks");
            }
            PeerNews::Completed => info!(%peer, content = %of, "a peer has everything now"),
            PeerNews::Durable => info!(%peer, content = %of, "a peer has everything on its disk"),
        }
    }

    fn entry_of(&mut self, content: ContentId) -> Option<&mut Entry> {
        self.work.contents.find(content).and_then(|id| self.work.contents.get_mut(id))
    }

    /// A chunk as people are told of it: its file, and its number there.
    fn place_of(&mut self, content: ContentId, chunk: ChunkIndex) -> (String, u32) {
        let manifest = self.entry_of(content).and_then(|entry| entry.manifest.clone());
        manifest.map_or((String::new(), chunk.get()), |manifest| {
            let file = manifest.geometry().span(chunk).file;
            (manifest.file(file).path.to_string(), manifest.geometry().number_in_file(chunk))
        })
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
        entry.present_len = entry.complete_len;
        if let Spec::Fetch(FetchSpec { is_complete, .. }) = &mut entry.spec {
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
