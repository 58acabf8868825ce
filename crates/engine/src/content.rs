//! One content from its first Open to its end. Decides nothing about peers.

use bytes::Bytes;

use swarm_core::base::limits::{MANIFEST_PAGE_LEN, MANIFEST_PAGES_IN_FLIGHT};
use swarm_core::base::{Bitfield, Instant};
use swarm_core::manifest::Manifest;
use swarm_core::wire::Handle;

use super::chunks::Chunks;
use super::dialing::Reach;
use super::io::{LinkId, Order, Patience};
use super::offers::Offers;
use super::unreadable::Aside;

/// One content that this node takes part in.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) handle: Handle,
    pub(super) order: Order,
    pub(super) patience: Option<Patience>,
    /// Until then others may yet be found.
    pub(super) search_until: Instant,
    pub(super) phase: Phase,
    pub(super) last_progress_at: Instant,
    /// Verified since peers were last told.
    pub(super) unannounced: Option<Bitfield>,
    /// While this node has the only full copy that it knows of.
    pub(super) offers: Option<Offers>,
    pub(super) reach: Reach,
    pub(super) flush: FlushState,
    /// Troubles that keep chunks from being read.
    pub(super) unreadable: Vec<Aside>,
    pub(super) totals: ContentTotals,
}

/// How far a content is.
#[derive(Debug)]
pub(super) enum Phase {
    /// Only its id is known.
    Manifest(ManifestFetch),
    /// The manifest is known; the store is being opened.
    Opening(Manifest),
    /// Chunks are fetched.
    Fetching(Box<Chunks>),
    /// All is verified and durable; it is being put in its place.
    Finishing(Box<Chunks>),
    /// All that was wanted is there.
    Complete(Box<Chunks>),
    /// The fetch ended without success.
    Failed,
}

/// Payload of a content, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContentTotals {
    /// Received from peers and verified.
    pub fetched_len: u64,
    /// Received and not needed.
    pub duplicate_len: u64,
    /// Received and found corrupt.
    pub corrupt_len: u64,
    /// Sent to peers.
    pub sent_len: u64,
}

/// Durability of what is verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FlushState {
    /// Verified since the last flush began, bytes.
    pub(super) pending_len: u64,
    pub(super) is_running: bool,
}

impl Content {
    /// Its manifest, as soon as it is known.
    pub(super) fn manifest(&self) -> Option<&Manifest> {
        match &self.phase {
            Phase::Opening(manifest) => Some(manifest),
            Phase::Fetching(chunks) | Phase::Finishing(chunks) | Phase::Complete(chunks) => {
                Some(chunks.manifest())
            }
            Phase::Manifest(_) | Phase::Failed => None,
        }
    }

    /// Its chunks, as soon as the store is open.
    pub(super) fn chunks(&self) -> Option<&Chunks> {
        match &self.phase {
            Phase::Fetching(chunks) | Phase::Finishing(chunks) | Phase::Complete(chunks) => Some(chunks),
            Phase::Manifest(_) | Phase::Opening(_) | Phase::Failed => None,
        }
    }

    /// Its chunks, as soon as the store is open.
    pub(super) fn chunks_mut(&mut self) -> Option<&mut Chunks> {
        match &mut self.phase {
            Phase::Fetching(chunks) | Phase::Finishing(chunks) | Phase::Complete(chunks) => Some(chunks),
            Phase::Manifest(_) | Phase::Opening(_) | Phase::Failed => None,
        }
    }

    /// Something of it is still to come from peers.
    pub(super) fn wants_peers(&self) -> bool {
        match &self.phase {
            Phase::Manifest(_) | Phase::Opening(_) | Phase::Fetching(_) => true,
            Phase::Finishing(_) | Phase::Complete(_) | Phase::Failed => false,
        }
    }
}

/// A manifest on its way, page by page from one peer, so that a wrong one has one culprit.
#[derive(Debug, Default)]
pub(super) struct ManifestFetch {
    pub(super) from: Option<LinkId>,
    body: Vec<u8>,
    body_len: Option<u64>,
    pages_asked: u32,
    pages_received: u32,
    pub(super) last_page_at: Instant,
}

/// What a page led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PageOutcome {
    /// More is to come.
    More,
    /// All bytes are here.
    Body(Bytes),
    /// Not what was asked for.
    Unexpected,
}

impl ManifestFetch {
    /// Begins anew at a peer.
    pub(super) fn start(&mut self, now: Instant, from: LinkId) {
        *self = Self { from: Some(from), last_page_at: now, ..Self::default() };
    }

    /// Pages to ask for now.
    pub(super) fn pages_to_ask(&mut self) -> std::ops::Range<u32> {
        let page_count = self.body_len.map_or(1, |len| len.div_ceil(MANIFEST_PAGE_LEN as u64) as u32);
        let first = self.pages_asked;
        self.pages_asked = page_count.min(self.pages_received + MANIFEST_PAGES_IN_FLIGHT).max(first);
        first..self.pages_asked
    }

    /// Takes a page. Memory grows with what comes, not with what is said.
    pub(super) fn on_page(&mut self, now: Instant, page: u32, body_len: u64, data: &[u8]) -> PageOutcome {
        let expected_len = *self.body_len.get_or_insert(body_len);
        let left = expected_len - self.body.len() as u64;
        let is_next = page == self.pages_received && page < self.pages_asked;
        if !is_next || body_len != expected_len || data.len() as u64 != left.min(MANIFEST_PAGE_LEN as u64) {
            return PageOutcome::Unexpected;
        }
        // Growing step by step would leave as much again behind. What is not written to takes no memory.
        self.body.reserve_exact(left as usize);
        self.body.extend_from_slice(data);
        self.pages_received += 1;
        self.last_page_at = now;
        if self.body.len() as u64 == expected_len {
            PageOutcome::Body(std::mem::take(&mut self.body).into())
        } else {
            PageOutcome::More
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_in_order_make_the_body() {
        let body: Vec<u8> = (0..200_000u32).map(|i| i as u8).collect();
        let mut fetch = ManifestFetch::default();
        fetch.start(Instant::ZERO, LinkId(1));
        assert_eq!(fetch.pages_to_ask(), 0..1);
        let page = |n: usize| &body[n * MANIFEST_PAGE_LEN..body.len().min((n + 1) * MANIFEST_PAGE_LEN)];
        assert_eq!(fetch.on_page(Instant::ZERO, 0, 200_000, page(0)), PageOutcome::More);
        assert_eq!(fetch.pages_to_ask(), 1..4);
        assert_eq!(fetch.on_page(Instant::ZERO, 1, 200_000, page(1)), PageOutcome::More);
        assert_eq!(fetch.on_page(Instant::ZERO, 2, 200_000, page(2)), PageOutcome::More);
        assert_eq!(fetch.on_page(Instant::ZERO, 3, 200_000, page(3)), PageOutcome::Body(body.clone().into()));
    }

    #[test]
    fn a_fetch_that_begins_anew_has_all_the_time_for_its_first_page() {
        let mut fetch = ManifestFetch::default();
        let later = Instant::from_nanos(7_000_000_000);
        fetch.start(later, LinkId(1));
        assert_eq!((fetch.last_page_at, fetch.from, fetch.pages_to_ask()), (later, Some(LinkId(1)), 0..1));
    }

    #[test]
    fn a_page_that_was_not_asked_for_is_not_taken() {
        for (page, body_len, data_len) in [(1, 100, 100), (0, 100, 99), (0, 100, 101), (0, 100_000, 100)] {
            let mut fetch = ManifestFetch::default();
            fetch.start(Instant::ZERO, LinkId(1));
            fetch.pages_to_ask();
            assert_eq!(
                fetch.on_page(Instant::ZERO, page, body_len, &vec![0; data_len]),
                PageOutcome::Unexpected
            );
        }
    }
}
