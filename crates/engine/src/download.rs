//! What is here of one content and on its way: chunk states, who has what, totals. Lives from the join of the content until this node
//! leaves it. Knows no requests but those that end.

use swarm_core::base::NodeId;
use swarm_core::manifest::ChunkIndex;
use swarm_core::wire::{Handle, RequestId};

use super::availability::Availability;
use super::chunks::{Blame, Chunks};
use super::content::ContentTotals;
use super::input::ChunkVerdict;
use super::io::LinkId;
use super::pipeline::OpenRequest;

#[derive(Debug)]
pub(super) struct Download {
    /// This node's handle for it, which requests carry.
    pub(super) handle: Handle,
    /// From the opening of its store on, unless the fetch failed.
    pub(super) chunks: Option<Box<Chunks>>,
    pub(super) availability: Availability,
    pub(super) totals: ContentTotals,
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

impl Download {
    /// Of a content whose store is not open.
    pub(super) fn new(handle: Handle, availability: Availability) -> Self {
        Self { handle, chunks: None, availability, totals: ContentTotals::default() }
    }

    /// A request is over: what it did not bring is queued again, and what it brought without need is counted.
    pub(super) fn release(&mut self, link: LinkId, request: RequestId, open: &OpenRequest) {
        self.totals.duplicate_len += u64::from(open.received_len.saturating_sub(open.used_len));
        let Some(chunks) = &mut self.chunks else { return };
        let rest: Vec<ChunkIndex> = chunks.chunks_from(open.run, 0).collect();
        for chunk in rest {
            chunks.on_released(chunk, link, request);
        }
    }

    /// A chunk was checked. `from` sent it whole; otherwise it was put together from slices.
    pub(super) fn on_checked(
        &mut self,
        chunk: ChunkIndex,
        from: Option<NodeId>,
        verdict: ChunkVerdict,
    ) -> Checked {
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
