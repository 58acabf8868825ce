//! One link as the protocol sees it: what each side opened, what the peer has, what is asked of it. Decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::limits::REQUESTS_OPEN_MAX;
use swarm_core::base::{Bitfield, ContentId, Instant, NodeId, Rate};
use swarm_core::manifest::{Address, Run};
use swarm_core::trust::Role;
use swarm_core::wire::{Handle, RequestId};

use super::io::LinkId;
use super::rate::{RateMeter, TimeEstimate, pipeline_len};

/// The state of one link.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) node: NodeId,
    pub(super) role: Role,
    pub(super) dialed: bool,
    /// Where the peer is, as seen from here.
    pub(super) address: Option<Address>,
    pub(super) up_at: Instant,
    /// From its Hello; until then nothing else is taken.
    pub(super) agent: Option<String>,
    /// Both sides tell each other of others.
    pub(super) speaks_pex: bool,
    pub(super) rtt: Duration,
    pub(super) remotes: BTreeMap<ContentId, Remote>,
    pub(super) handles: BTreeMap<Handle, ContentId>,
    /// What the peer says it takes part in, and whether it knows the manifest.
    pub(super) offered: BTreeMap<ContentId, bool>,
    /// Of that, what it asks this node to take and keep.
    pub(super) offers: BTreeSet<ContentId>,
    /// How often the product was told that something is offered here.
    pub(super) offers_told: usize,
    /// Contents that this node opened here so far: the peer bounds how many it takes.
    pub(super) opens_said: usize,
    /// The peer serves nothing to this node now.
    pub(super) is_choked: bool,
    pub(super) requests: BTreeMap<RequestId, OpenRequest>,
    next_request: u64,
    /// Bytes asked for and not received.
    pub(super) outstanding_len: u64,
    meter: RateMeter,
    chunk_time: TimeEstimate,
    pub(super) last_received_at: Instant,
    /// When it last told of chunks that it had not before: it is served by somebody.
    pub(super) last_gain_at: Instant,
    last_chunk_at: Instant,
    /// How often it did not send for too long, since its last chunk.
    pub(super) silences: u32,
    /// A chunk of it was verified; before that it is asked for one at a time, so that a liar costs no more.
    pub(super) is_proven: bool,
    /// Streams in a row that ended before their bytes had come.
    pub(super) broken_streams: u32,
    /// Requests that it rejected since it last sent a chunk.
    pub(super) rejections: u32,
    /// How often it said that a chunk from here was corrupt.
    pub(super) blames: u32,
    /// How often it said that another gave wrong chunks.
    pub(super) accusations: u32,
}

/// What the peer has of one content.
#[derive(Debug, Default)]
pub(super) struct Remote {
    /// This node said Open, and whether it knew the manifest then.
    pub(super) opened: Option<bool>,
    /// The peer said Open, and whether it knew the manifest then.
    pub(super) peer_opened: Option<bool>,
    /// The peer said it does not take part.
    pub(super) has_declined: bool,
    /// Pages of the manifest that it was sent.
    pub(super) pages_sent: u32,
    /// It says that all of it is on its disk.
    pub(super) is_durable: bool,
    /// Known once this node has the manifest.
    pub(super) has: Option<Bitfield>,
    /// How many chunks it named lately.
    pub(super) named: Named,
    /// Counted in the picker as having everything, not chunk by chunk.
    pub(super) is_counted_everywhere: bool,
    /// Payload sent to it.
    pub(super) sent_len: u64,
    /// It took everything; told once.
    pub(super) has_completed: bool,
    /// When the peer was told of others, and of whom.
    pub(super) told_at: Option<Instant>,
    pub(super) told: BTreeSet<NodeId>,
    /// How often others were told of it.
    pub(super) told_of: u32,
    /// When it told of others.
    pub(super) heard_at: Option<Instant>,
}

/// Chunks that a peer named in Have and Lost lately: each costs this node time, and what was taken back can be said again.
#[derive(Debug, Default)]
pub(super) struct Named {
    count: f64,
    at: Instant,
}

impl Named {
    /// Counts so many more, of a content with so many chunks. False if no peer has reason to name so many: all of them many
    /// times over, and once more each second.
    pub(super) fn add(&mut self, now: Instant, count: u32, chunk_count: u32) -> bool {
        let per_sec = f64::from(chunk_count.max(NAMED_PER_SEC_MIN));
        let forgotten = per_sec * now.since(self.at).as_secs_f64();
        self.count = (self.count - forgotten).max(0.0) + f64::from(count);
        self.at = now;
        self.count <= per_sec * NAMED_TIMES_MAX
    }
}

/// A request that this node made.
#[derive(Debug)]
pub(super) struct OpenRequest {
    pub(super) content: ContentId,
    pub(super) run: Run,
    pub(super) asked_at: Instant,
    /// The first chunk of the run that has not arrived.
    pub(super) next: u32,
    pub(super) received_len: u32,
    /// Of what was received, bytes that were needed.
    pub(super) used_len: u32,
    pub(super) is_abandoned: bool,
    /// Who took the rest over.
    pub(super) heir: Option<LinkId>,
}

impl OpenRequest {
    /// Bytes that have not come.
    pub(super) fn missing_len(&self) -> u64 {
        u64::from(self.run.len().saturating_sub(self.received_len))
    }
}

impl Remote {
    /// What the peer said of it before this node took part, if it did.
    pub(super) fn opened_by_peer(peer_opened: Option<bool>) -> Self {
        Self { peer_opened, ..Self::default() }
    }
}

impl Session {
    /// A link that has just come up.
    pub(super) fn new(
        now: Instant,
        (node, role): (NodeId, Role),
        dialed: bool,
        address: Option<Address>,
    ) -> Self {
        Self {
            node,
            role,
            dialed,
            address,
            up_at: now,
            agent: None,
            speaks_pex: false,
            rtt: Duration::ZERO,
            remotes: BTreeMap::new(),
            handles: BTreeMap::new(),
            offered: BTreeMap::new(),
            offers: BTreeSet::new(),
            offers_told: 0,
            opens_said: 0,
            is_choked: true,
            requests: BTreeMap::new(),
            next_request: 0,
            outstanding_len: 0,
            meter: RateMeter::default(),
            chunk_time: TimeEstimate::default(),
            last_received_at: now,
            last_gain_at: now,
            last_chunk_at: now,
            silences: 0,
            is_proven: false,
            broken_streams: 0,
            rejections: 0,
            blames: 0,
            accusations: 0,
        }
    }

    /// Whether more may be asked of the peer, given the length of a chunk.
    pub(super) fn has_room(&self, now: Instant, chunk_len: u64) -> bool {
        let is_served = self.agent.is_some() && !self.is_choked;
        is_served
            && self.requests.len() < REQUESTS_OPEN_MAX
            && self.outstanding_len < self.depth_len(now, chunk_len)
    }

    /// Bytes to keep asked for.
    pub(super) fn depth_len(&self, now: Instant, chunk_len: u64) -> u64 {
        if self.is_snubbed() || !self.is_proven {
            return 1;
        }
        pipeline_len(self.meter.rate(now), self.rtt, chunk_len)
    }

    /// It fell silent: one chunk at a time until one comes.
    pub(super) fn is_snubbed(&self) -> bool {
        self.silences > 0
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

    /// No byte for so long means that something is wrong. Twice as long after each silence (RFC 6298, 5.5): what is slower than
    /// it was would else be given up before its first chunk is whole, again and again.
    pub(super) fn stall_timeout(&self) -> Duration {
        self.chunk_time.timeout_after(self.silences)
    }

    /// Time that a chunk usually takes: silence of that length means nothing.
    pub(super) fn usual_chunk_time(&self) -> Duration {
        self.chunk_time.mean()
    }

    /// Notes a request; returns its name.
    pub(super) fn on_asked(&mut self, now: Instant, content: ContentId, run: Run) -> RequestId {
        if self.outstanding_len == 0 {
            self.meter.resume(now);
            self.last_received_at = now;
            self.last_chunk_at = now;
        }
        self.next_request += 1;
        let request = RequestId(self.next_request);
        self.outstanding_len += u64::from(run.len());
        let next = run.first().get();
        let open = OpenRequest {
            content,
            run,
            asked_at: now,
            next,
            received_len: 0,
            used_len: 0,
            is_abandoned: false,
            heir: None,
        };
        self.requests.insert(request, open);
        request
    }

    /// Counts payload. False if nothing of that name is open.
    pub(super) fn on_received(&mut self, now: Instant, request: RequestId, len: u32) -> bool {
        let Some(open) = self.requests.get_mut(&request) else { return false };
        let counted = len.min(open.run.len().saturating_sub(open.received_len));
        open.received_len += counted;
        if !open.is_abandoned {
            self.outstanding_len -= u64::from(counted);
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
        self.silences = 0;
        self.broken_streams = 0;
        self.rejections = 0;
    }

    /// The request is not waited for any more. False if it was not open or abandoned before.
    pub(super) fn on_abandoned(&mut self, request: RequestId) -> bool {
        let Some(open) = self.requests.get_mut(&request).filter(|open| !open.is_abandoned) else {
            return false;
        };
        open.is_abandoned = true;
        self.outstanding_len -= open.missing_len();
        self.pause_if_idle();
        true
    }

    /// The request is over.
    pub(super) fn on_ended(&mut self, request: RequestId) -> Option<OpenRequest> {
        let open = self.requests.remove(&request)?;
        if !open.is_abandoned {
            self.outstanding_len -= open.missing_len();
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

    /// Whether the peer has a chunk.
    pub(super) fn has(&self, content: ContentId) -> Option<&Bitfield> {
        self.remotes.get(&content)?.has.as_ref()
    }

    /// Whether the peer takes part in a content and, as far as is known, lacks some of it.
    pub(super) fn lacks(&self, content: ContentId) -> bool {
        self.remotes.get(&content).is_some_and(|remote| {
            let takes_part = remote.peer_opened.is_some() && !remote.has_declined;
            takes_part && !remote.has.as_ref().is_some_and(Bitfield::is_full)
        })
    }

    fn pause_if_idle(&mut self) {
        if self.outstanding_len == 0 {
            self.meter.pause();
        }
    }
}

/// A lone seed shows and hides all of it whenever it is left with one peer or gets a second one.
const NAMED_TIMES_MAX: f64 = 16.0;
/// Of contents with few chunks.
const NAMED_PER_SEC_MIN: u32 = 1024;
