//! What is here of each content and on its way: chunk states, who has what, totals. A download lives from the join of its content until
//! this node leaves it. Invariant: what a peer has is counted in the picker of the content as long as its chunks are open. Knows no
//! requests but those that end.

use std::collections::BTreeMap;

use swarm_core::base::{Bitfield, ContentId, NodeId};
use swarm_core::manifest::ChunkIndex;
use swarm_core::wire::{Handle, RequestId};

use super::availability::Availability;
use super::chunks::{Blame, Chunks};
use super::content::ContentTotals;
use super::input::ChunkVerdict;
use super::io::LinkId;
use super::pipeline::OpenRequest;
use super::ranks::Ranks;
use super::shares::Shares;

/// The downloads of all contents that this node takes part in.
#[derive(Debug, Default)]
pub(super) struct Downloads {
    by_content: BTreeMap<ContentId, Download>,
    pub(super) shares: Shares,
}

#[derive(Debug)]
pub(super) struct Download {
    /// This node's handle for it, which requests carry.
    pub(super) handle: Handle,
    /// From the opening of its store on, unless the fetch failed.
    pub(super) chunks: Option<Box<Chunks>>,
    pub(super) availability: Availability,
    pub(super) totals: ContentTotals,
    /// Payload by the peer that sent it.
    received: BTreeMap<NodeId, u64>,
    ranks: Ranks,
}

/// What a check comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// A chunk is here that was not. Late: its link was closed meanwhile, and what came on it counted as not needed.
    Fresh {
        len: u64,
        is_late: bool,
    },
    /// It was here before, or is not wanted any more.
    Known,
    Corrupt(Blame),
}

impl Downloads {
    /// This node takes part in a content. What peers said of it before, should it have failed, still holds.
    pub(super) fn join(&mut self, content: ContentId, handle: Handle) {
        let before = self.by_content.remove(&content);
        let availability = before.map(|download| download.availability).unwrap_or_default();
        self.by_content.insert(content, Download::new(handle, availability));
    }

    /// The store of a content is open. False if this node takes no part in it.
    pub(super) fn open(&mut self, content: ContentId, mut chunks: Chunks) -> bool {
        let Some(download) = self.by_content.get_mut(&content) else { return false };
        download.availability.count_in(&mut chunks);
        chunks.rank(&download.ranks);
        download.chunks = Some(Box::new(chunks));
        true
    }

    /// The fetch of a content failed: its chunks are neither asked for nor served any more.
    pub(super) fn fail(&mut self, content: ContentId) {
        if let Some(download) = self.by_content.get_mut(&content) {
            download.chunks = None;
        }
    }

    /// This node left a content.
    pub(super) fn forget(&mut self, content: ContentId) {
        self.by_content.remove(&content);
        self.shares.forget(content);
    }

    pub(super) fn get_mut(&mut self, content: ContentId) -> Option<&mut Download> {
        self.by_content.get_mut(&content)
    }

    pub(super) fn chunks(&self, content: ContentId) -> Option<&Chunks> {
        self.by_content.get(&content)?.chunks.as_deref()
    }

    pub(super) fn chunks_mut(&mut self, content: ContentId) -> Option<&mut Chunks> {
        self.by_content.get_mut(&content)?.chunks.as_deref_mut()
    }

    /// This node's handle for a content.
    pub(super) fn handle(&self, content: ContentId) -> Option<Handle> {
        self.by_content.get(&content).map(|download| download.handle)
    }

    /// What a peer has, if both sides know the manifest.
    pub(super) fn has(&self, link: LinkId, content: ContentId) -> Option<&Bitfield> {
        self.by_content.get(&content)?.availability.of(link)
    }

    /// Links on which both sides know the manifest, with what the peer has.
    pub(super) fn holders(&self, content: ContentId) -> impl Iterator<Item = (LinkId, &Bitfield)> {
        self.by_content.get(&content).into_iter().flat_map(|download| download.availability.iter())
    }

    /// Links on which both sides know the manifest.
    pub(super) fn introduced(&self, content: ContentId) -> Vec<LinkId> {
        self.holders(content).map(|(link, _)| link).collect()
    }

    pub(super) fn totals(&self, content: ContentId) -> ContentTotals {
        self.by_content.get(&content).map(|download| download.totals).unwrap_or_default()
    }

    /// Payload that came of a content, by the peer that sent it.
    pub(super) fn received(&self, content: ContentId) -> Option<&BTreeMap<NodeId, u64>> {
        Some(&self.by_content.get(&content)?.received)
    }

    pub(super) fn count_received(&mut self, content: ContentId, node: NodeId, len: u32) {
        if let Some(download) = self.by_content.get_mut(&content) {
            *download.received.entry(node).or_default() += u64::from(len);
        }
    }

    /// Chunks of a content are fetched in the order of these ranks from now on.
    pub(super) fn rank(&mut self, content: ContentId, ranks: Ranks) {
        let Some(download) = self.by_content.get_mut(&content) else { return };
        if let Some(chunks) = &mut download.chunks {
            chunks.rank(&ranks);
        }
        download.ranks = ranks;
    }

    pub(super) fn count_sent(&mut self, content: ContentId, len: u64) {
        if let Some(download) = self.by_content.get_mut(&content) {
            download.totals.sent_len += len;
        }
    }

    /// Both sides know the manifest: the peer will name its chunks.
    pub(super) fn introduce(&mut self, link: LinkId, content: ContentId) {
        let Some(download) = self.by_content.get_mut(&content) else { return };
        if let Some(chunks) = &download.chunks {
            download.availability.introduce(link, chunks.geometry().chunk_count());
        }
    }

    /// What the peer had counts no more.
    pub(super) fn on_link_down(&mut self, link: LinkId) {
        for download in self.by_content.values_mut() {
            download.availability.forget(link, download.chunks.as_deref_mut());
        }
    }

    /// The peer has these chunks. Returns those that are new.
    pub(super) fn on_have(
        &mut self,
        link: LinkId,
        content: ContentId,
        named: impl Iterator<Item = u32>,
    ) -> Vec<u32> {
        let Some(download) = self.by_content.get_mut(&content) else { return Vec::new() };
        download.availability.add(link, named, download.chunks.as_deref_mut())
    }

    /// The peer does not have these chunks any more. Returns those that it had named.
    pub(super) fn on_lost(
        &mut self,
        link: LinkId,
        content: ContentId,
        named: impl Iterator<Item = u32>,
    ) -> Vec<u32> {
        let Some(download) = self.by_content.get_mut(&content) else { return Vec::new() };
        download.availability.remove(link, named, download.chunks.as_deref_mut())
    }

    /// A request is over: what it did not bring is queued again.
    pub(super) fn release(&mut self, link: LinkId, request: RequestId, open: &OpenRequest) {
        self.shares.on_not_come(open.content, open.missing_len());
        if let Some(download) = self.by_content.get_mut(&open.content) {
            download.release(link, request, open);
        }
    }

    /// A chunk was checked. `from` sent it whole; otherwise it was put together from slices.
    pub(super) fn on_checked(
        &mut self,
        content: ContentId,
        chunk: ChunkIndex,
        from: Option<NodeId>,
        verdict: ChunkVerdict,
    ) -> Checked {
        let download = self.by_content.get_mut(&content);
        download.map_or(Checked::Known, |download| download.on_checked(chunk, from, verdict))
    }
}

impl Download {
    /// Of a content whose store is not open.
    fn new(handle: Handle, availability: Availability) -> Self {
        Self {
            handle,
            chunks: None,
            availability,
            totals: ContentTotals::default(),
            received: BTreeMap::new(),
            ranks: Ranks::new(),
        }
    }

    /// A request is over: what it did not bring is queued again, and what it brought without need is counted.
    fn release(&mut self, link: LinkId, request: RequestId, open: &OpenRequest) {
        self.totals.duplicate_len += u64::from(open.received_len.saturating_sub(open.used_len));
        let Some(chunks) = &mut self.chunks else { return };
        let rest: Vec<ChunkIndex> = chunks.chunks_from(open.run, 0).collect();
        for chunk in rest {
            chunks.on_released(chunk, link, request);
        }
    }

    /// A chunk was checked. `from` sent it whole; otherwise it was put together from slices.
    fn on_checked(&mut self, chunk: ChunkIndex, from: Option<NodeId>, verdict: ChunkVerdict) -> Checked {
        let Some(chunks) = &mut self.chunks else { return Checked::Known };
        let len = u64::from(chunks.geometry().chunk_len(chunk));
        let is_late = !chunks.is_checking(chunk);
        match verdict {
            ChunkVerdict::Verified if chunks.on_verified(chunk) => {
                self.totals.fetched_len += len;
                Checked::Fresh { len, is_late }
            }
            ChunkVerdict::Verified => Checked::Known,
            ChunkVerdict::Corrupt => {
                let blame = chunks.on_corrupt(chunk, from);
                self.totals.corrupt_len += if is_late { 0 } else { len };
                Checked::Corrupt(blame)
            }
        }
    }
}
