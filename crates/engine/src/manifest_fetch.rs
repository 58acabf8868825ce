//! A manifest on its way, page by page. Invariants: it comes from one peer at a time, so that a wrong one has one culprit; memory
//! grows with what comes, not with what is said. Knows no links but the one it asks, and sends nothing.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use swarm_core::base::limits::{MANIFEST_PAGE_LEN, MANIFEST_PAGES_IN_FLIGHT};
use swarm_core::base::{ContentId, Instant};
use swarm_core::manifest::Manifest;

use super::io::LinkId;
use super::violation::Violation;

#[derive(Debug, Default)]
pub(super) struct ManifestFetch {
    from: Option<LinkId>,
    body: Vec<u8>,
    body_len: Option<u64>,
    pages_asked: u32,
    pages_received: u32,
    last_page_at: Instant,
}

/// What a page led to.
#[derive(Debug)]
pub(super) enum PageOutcome {
    /// These pages are to be asked for.
    More(Range<u32>),
    Complete(Manifest),
    /// All bytes are those that the id names, and they are no manifest: its author made it wrong, so no peer is to blame.
    Unusable(String),
    /// From a peer that is not asked any more: it was too slow, which is no fault.
    Late,
}

/// Whether the peer that is asked still answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deadline {
    /// It has time until then.
    At(Instant),
    /// It sent nothing for too long.
    Missed(LinkId),
    /// No peer is asked.
    None,
}

impl ManifestFetch {
    /// Whether a peer has to be found that knows it.
    pub(super) fn is_unasked(&self) -> bool {
        self.from.is_none()
    }

    /// Begins anew at a peer. Returns the pages to ask for, and until when one must have come.
    pub(super) fn start(&mut self, now: Instant, from: LinkId) -> (Range<u32>, Instant) {
        *self = Self { from: Some(from), last_page_at: now, ..Self::default() };
        (self.pages_to_ask(), now + PAGE_TIMEOUT)
    }

    pub(super) fn on_link_down(&mut self, link: LinkId) {
        if self.from == Some(link) {
            self.from = None;
        }
    }

    /// This node stood still: its peer has all the time again.
    pub(super) fn on_woke(&mut self, now: Instant) {
        self.last_page_at = now;
    }

    pub(super) fn deadline(&self, now: Instant) -> Deadline {
        let at = self.last_page_at + PAGE_TIMEOUT;
        match self.from {
            _ if at > now => Deadline::At(at),
            Some(link) => Deadline::Missed(link),
            None => Deadline::None,
        }
    }

    /// A peer sends a page.
    ///
    /// # Errors
    /// If it is not what that peer was asked for, or the whole is not the content's manifest.
    pub(super) fn on_page(
        &mut self,
        now: Instant,
        content: ContentId,
        link: LinkId,
        (page, body_len): (u32, u64),
        data: &[u8],
    ) -> Result<PageOutcome, Violation> {
        if self.from != Some(link) {
            return Ok(PageOutcome::Late);
        }
        let Some(body) = self.take(now, page, body_len, data)? else {
            return Ok(PageOutcome::More(self.pages_to_ask()));
        };
        if blake3::hash(&body).as_bytes() != content.as_bytes() {
            return Err(Violation::Manifest);
        }
        let decoded = Manifest::decode(body);
        Ok(decoded.map_or_else(|error| PageOutcome::Unusable(error.to_string()), PageOutcome::Complete))
    }

    fn pages_to_ask(&mut self) -> Range<u32> {
        let page_count = self.body_len.map_or(1, |len| len.div_ceil(MANIFEST_PAGE_LEN as u64) as u32);
        let first = self.pages_asked;
        self.pages_asked = page_count.min(self.pages_received + MANIFEST_PAGES_IN_FLIGHT).max(first);
        first..self.pages_asked
    }

    /// Takes a page; returns the whole with the last one.
    fn take(
        &mut self,
        now: Instant,
        page: u32,
        body_len: u64,
        data: &[u8],
    ) -> Result<Option<Bytes>, Violation> {
        let expected_len = *self.body_len.get_or_insert(body_len);
        let left = expected_len - self.body.len() as u64;
        let is_next = page == self.pages_received && page < self.pages_asked;
        if !is_next || body_len != expected_len || data.len() as u64 != left.min(MANIFEST_PAGE_LEN as u64) {
            return Err(Violation::UnexpectedPage);
        }
        // Growing step by step would leave as much again behind. What is not written to takes no memory.
        self.body.reserve_exact(left as usize);
        self.body.extend_from_slice(data);
        self.pages_received += 1;
        self.last_page_at = now;
        let is_whole = self.body.len() as u64 == expected_len;
        Ok(is_whole.then(|| std::mem::take(&mut self.body).into()))
    }
}

/// A peer that sends no page for so long is left for another.
const PAGE_TIMEOUT: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: LinkId = LinkId(1);

    /// A fetch of so many bytes with id and body.
    fn fetch(len: u32) -> (ManifestFetch, ContentId, Vec<u8>) {
        let body: Vec<u8> = (0..len).map(|i| i as u8).collect();
        let content = ContentId::from_bytes(*blake3::hash(&body).as_bytes());
        let mut fetch = ManifestFetch::default();
        assert_eq!(fetch.start(Instant::ZERO, LINK).0, 0..1);
        (fetch, content, body)
    }

    fn page(body: &[u8], page: usize) -> &[u8] {
        &body[page * MANIFEST_PAGE_LEN..body.len().min((page + 1) * MANIFEST_PAGE_LEN)]
    }

    #[test]
    fn pages_in_order_make_the_body_and_a_body_that_is_no_manifest_is_nobodys_fault() {
        let (mut fetch, content, body) = fetch(200_000);
        let mut on_page = |index: u32, data: &[u8]| {
            fetch.on_page(Instant::ZERO, content, LINK, (index, 200_000), data).expect("as asked")
        };
        let first = on_page(0, page(&body, 0));
        assert!(matches!(first, PageOutcome::More(pages) if pages == (1..4)));
        assert!(matches!(on_page(1, page(&body, 1)), PageOutcome::More(_)));
        assert!(matches!(on_page(2, page(&body, 2)), PageOutcome::More(_)));
        assert!(matches!(on_page(3, page(&body, 3)), PageOutcome::Unusable(_)));
    }

    #[test]
    fn a_body_with_another_hash_is_its_senders_fault() {
        let (mut fetch, _, body) = fetch(100);
        let other = ContentId::from_bytes([7; 32]);
        let outcome = fetch.on_page(Instant::ZERO, other, LINK, (0, 100), &body);
        assert!(matches!(outcome, Err(Violation::Manifest)));
    }

    #[test]
    fn a_fetch_that_begins_anew_has_all_the_time_for_its_first_page() {
        let (mut fetch, ..) = fetch(100);
        let later = Instant::from_nanos(7_000_000_000);
        assert_eq!(fetch.start(later, LinkId(2)), (0..1, later + PAGE_TIMEOUT));
        assert_eq!(fetch.deadline(later), Deadline::At(later + PAGE_TIMEOUT));
        assert_eq!(fetch.deadline(later + PAGE_TIMEOUT), Deadline::Missed(LinkId(2)));
        fetch.on_link_down(LINK);
        assert!(!fetch.is_unasked());
        fetch.on_link_down(LinkId(2));
        assert!(fetch.is_unasked() && fetch.deadline(later + PAGE_TIMEOUT) == Deadline::None);
    }

    #[test]
    fn a_page_of_another_peer_is_late_and_a_page_that_was_not_asked_for_is_not_taken() {
        let (mut fetch, content, body) = fetch(100);
        let late = fetch.on_page(Instant::ZERO, content, LinkId(2), (0, 100), &body);
        assert!(matches!(late, Ok(PageOutcome::Late)));
        for (page, body_len, data_len) in [(1, 100, 100), (0, 100, 99), (0, 100, 101), (0, 100_000, 100)] {
            let mut fetch = ManifestFetch::default();
            fetch.start(Instant::ZERO, LINK);
            let outcome = fetch.on_page(Instant::ZERO, content, LINK, (page, body_len), &vec![0; data_len]);
            assert!(matches!(outcome, Err(Violation::UnexpectedPage)));
        }
    }
}
