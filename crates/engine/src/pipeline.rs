//! What one peer is asked for and how it answers: requests, their depth, its rate, its stalls. Invariant: `outstanding_len` is what
//! is missing of all requests that were not abandoned. Knows no chunk states, and not which run is worth asking for.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::limits::REQUESTS_OPEN_MAX;
use swarm_core::base::{ContentId, Instant, NodeId, Rate};
use swarm_core::manifest::Run;
use swarm_core::wire::RequestId;

use super::io::LinkId;
use super::rate::{RateMeter, TimeEstimate, pipeline_len};
use super::shares::ShareId;

#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) node: NodeId,
    pub(super) rtt: Duration,
    /// The peer serves nothing to this node now.
    pub(super) is_choked: bool,
    pub(super) requests: BTreeMap<RequestId, OpenRequest>,
    next_request: u64,
    /// Bytes asked for and not received.
    pub(super) outstanding_len: u64,
    /// The same by share, of those that have any.
    outstanding_by_share: BTreeMap<ShareId, u64>,
    meter: RateMeter,
    chunk_time: TimeEstimate,
    pub(super) last_received_at: Instant,
    last_chunk_at: Instant,
    /// Times that it stalled since its last chunk.
    pub(super) stalls: u32,
    /// A chunk of it was verified; before that it is asked for one at a time, so that a liar costs no more.
    pub(super) is_proven: bool,
    /// Streams in a row that ended before their bytes had come.
    pub(super) broken_streams: u32,
    /// Requests that it rejected since it last sent a chunk.
    pub(super) rejections: u32,
}

/// A request that this node made.
#[derive(Debug)]
pub(super) struct OpenRequest {
    pub(super) content: ContentId,
    share: ShareId,
    pub(super) run: Run,
    pub(super) asked_at: Instant,
    /// The first chunk of the run that has not arrived.
    pub(super) next: u32,
    pub(super) received_len: u32,
    /// Of what was received, bytes that were needed.
    pub(super) used_len: u32,
    pub(super) is_abandoned: bool,
    /// The peer that the rest is reassigned to.
    pub(super) successor: Option<LinkId>,
}

impl OpenRequest {
    /// Bytes that have not come.
    pub(super) fn missing_len(&self) -> u64 {
        u64::from(self.run.len().saturating_sub(self.received_len))
    }
}

impl OpenRequest {
    /// Bytes that came of chunks that have not arrived whole.
    pub(super) fn unfinished_len(&self) -> u64 {
        u64::from(self.received_len.saturating_sub(self.used_len))
    }
}

impl Pipeline {
    /// Of a link that has just come up.
    pub(super) fn new(now: Instant, node: NodeId) -> Self {
        Self {
            node,
            rtt: Duration::ZERO,
            is_choked: true,
            requests: BTreeMap::new(),
            next_request: 0,
            outstanding_len: 0,
            outstanding_by_share: BTreeMap::new(),
            meter: RateMeter::default(),
            chunk_time: TimeEstimate::default(),
            last_received_at: now,
            last_chunk_at: now,
            stalls: 0,
            is_proven: false,
            broken_streams: 0,
            rejections: 0,
        }
    }

    /// Whether more of a share may be asked of the peer, given the length of a chunk. What is asked of other shares may come slowly.
    pub(super) fn has_room(&self, now: Instant, share: ShareId, chunk_len: u64) -> bool {
        let outstanding_len = self.outstanding_by_share.get(&share).copied().unwrap_or(0);
        !self.is_choked
            && self.requests.len() < REQUESTS_OPEN_MAX
            && outstanding_len < self.depth_len(now, chunk_len)
    }

    /// Bytes to keep asked for.
    pub(super) fn depth_len(&self, now: Instant, chunk_len: u64) -> u64 {
        if self.is_stalled() || !self.is_proven {
            return 1;
        }
        pipeline_len(self.meter.rate(now), self.rtt, chunk_len)
    }

    /// It stalled: one chunk at a time until one comes.
    pub(super) fn is_stalled(&self) -> bool {
        self.stalls > 0
    }

    /// Whether it has enough of a content to send for so long and two round trips.
    pub(super) fn is_busy_for(&self, now: Instant, time: Duration, content: ContentId) -> bool {
        let needed_len = self.rate(now).map_or(0, |rate| rate.len_in(time + 2 * self.rtt));
        let of_content = self.requests.values().filter(|open| open.content == content && !open.is_abandoned);
        self.outstanding_len > needed_len
            && of_content.map(OpenRequest::missing_len).sum::<u64>() > needed_len
    }

    /// How fast it sends; `None` before there is anything to go by.
    pub(super) fn rate(&self, now: Instant) -> Option<Rate> {
        self.meter.rate(now)
    }

    /// Time until everything asked so far and `more_len` bytes have come, if it sends as fast as now.
    pub(super) fn time_for(&self, now: Instant, more_len: u64) -> Option<Duration> {
        Some(self.rtt + self.rate(now)?.time_for(self.outstanding_len + more_len))
    }

    /// No byte for so long is a stall. The wait doubles with each stall (RFC 6298, 5.5): a peer that became slower would
    /// otherwise be given up before its first chunk is whole, again and again.
    pub(super) fn stall_timeout(&self) -> Duration {
        self.chunk_time.timeout_after(self.stalls)
    }

    /// Time that a chunk usually takes: a pause of that length is no stall.
    pub(super) fn usual_chunk_time(&self) -> Duration {
        self.chunk_time.mean()
    }

    /// Notes a request; returns its name.
    pub(super) fn on_asked(
        &mut self,
        now: Instant,
        (content, share): (ContentId, ShareId),
        run: Run,
    ) -> RequestId {
        if self.outstanding_len == 0 {
            self.meter.resume(now);
            self.last_received_at = now;
            self.last_chunk_at = now;
        }
        self.next_request += 1;
        let request = RequestId(self.next_request);
        self.outstanding_len += u64::from(run.len());
        *self.outstanding_by_share.entry(share).or_default() += u64::from(run.len());
        let next = run.first().get();
        let open = OpenRequest {
            content,
            share,
            run,
            asked_at: now,
            next,
            received_len: 0,
            used_len: 0,
            is_abandoned: false,
            successor: None,
        };
        self.requests.insert(request, open);
        request
    }

    /// Counts payload. False if nothing of that name is open.
    pub(super) fn on_received(&mut self, now: Instant, request: RequestId, len: u32) -> bool {
        let Some(open) = self.requests.get_mut(&request) else { return false };
        let counted = len.min(open.run.len().saturating_sub(open.received_len));
        open.received_len += counted;
        let (share, is_counted) = (open.share, !open.is_abandoned);
        if is_counted {
            self.on_settled(share, u64::from(counted));
        }
        self.meter.on_received(now, u64::from(counted));
        self.last_received_at = now;
        self.pause_if_idle();
        true
    }

    /// A whole chunk came.
    pub(super) fn on_chunk(&mut self, now: Instant) {
        self.chunk_time.on_sample(now.since(self.last_chunk_at));
        self.last_chunk_at = now;
        self.stalls = 0;
        self.broken_streams = 0;
        self.rejections = 0;
    }

    /// The request is not waited for any more. False if it was not open or abandoned before.
    pub(super) fn on_abandoned(&mut self, request: RequestId) -> bool {
        let Some(open) = self.requests.get_mut(&request).filter(|open| !open.is_abandoned) else {
            return false;
        };
        open.is_abandoned = true;
        let (share, len) = (open.share, open.missing_len());
        self.on_settled(share, len);
        self.pause_if_idle();
        true
    }

    /// The request is over.
    pub(super) fn on_ended(&mut self, request: RequestId) -> Option<OpenRequest> {
        let open = self.requests.remove(&request)?;
        if !open.is_abandoned {
            self.on_settled(open.share, open.missing_len());
        }
        self.pause_if_idle();
        Some(open)
    }

    /// Bytes still to come before this request is done, in the order in which they were asked for.
    pub(super) fn len_until(&self, request: RequestId) -> u64 {
        self.requests
            .range(..=request)
            .filter(|(_, open)| !open.is_abandoned)
            .map(|(_, open)| open.missing_len())
            .sum()
    }

    /// Requests of a content that are still waited for.
    pub(super) fn waited_for(&self, content: ContentId) -> Vec<RequestId> {
        let open = self.requests.iter().filter(|(_, open)| open.content == content && !open.is_abandoned);
        open.map(|(request, _)| *request).collect()
    }

    /// So much of a share is not waited for any more.
    fn on_settled(&mut self, share: ShareId, len: u64) {
        self.outstanding_len -= len;
        if let Some(of_share) = self.outstanding_by_share.get_mut(&share) {
            *of_share -= len;
            if *of_share == 0 {
                self.outstanding_by_share.remove(&share);
            }
        }
    }

    fn pause_if_idle(&mut self) {
        if self.outstanding_len == 0 {
            self.meter.pause();
        }
    }
}
