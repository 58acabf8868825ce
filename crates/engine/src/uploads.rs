//! Who is served next. Invariant: a peer has at most [`UPLOADS_PER_LINK`] uploads of a share at once, all peers together at most
//! [`UPLOADS_MAX`]; the peer that was sent the least comes first, so none starves. Knows no bytes, no disk.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::limits::REQUESTS_PER_LINK_MAX;
use swarm_core::base::{ContentId, Instant};
use swarm_core::manifest::Run;
use swarm_core::wire::RequestId;

use super::io::{LinkId, RunRequest};
use super::shares::ShareId;

/// Requests of peers: waiting and being served.
#[derive(Debug)]
pub(super) struct Uploads {
    /// Peers that are served at the same time; the rest is choked until its turn.
    slots: usize,
    queues: BTreeMap<LinkId, Queue>,
    active: usize,
    /// Where most who had a slot made no use of it, so many get one next: links that do nothing are not to keep a slot's time
    /// each from the peer that came last.
    trials: usize,
}

#[derive(Debug)]
struct Queue {
    waiting: VecDeque<RunRequest>,
    /// With the time at which each began.
    active: BTreeMap<RequestId, (RunRequest, Instant)>,
    /// Bytes given so far, for the turn; a newcomer starts where the others stand.
    turn_len: u64,
    is_unchoked: bool,
    /// When it was choked or unchoked last.
    since: Instant,
    /// It asked for something since.
    has_asked: bool,
    /// Slots in a row in which it asked for nothing, and until when it waits for that, behind all others.
    unused_slots: u32,
    idle_until: Instant,
}

impl Default for Uploads {
    fn default() -> Self {
        Self { slots: SLOTS_MAX, queues: BTreeMap::new(), active: 0, trials: 0 }
    }
}

impl Uploads {
    /// How many peers are to be served at the same time, from the next rotation on.
    pub(super) fn set_slots(&mut self, slots: usize) {
        self.slots = slots.min(SLOTS_MAX);
    }

    /// A request waits for its turn.
    pub(super) fn has_waiting(&self) -> bool {
        self.queues.values().any(|queue| !queue.waiting.is_empty())
    }

    /// A link came up. True if there is a slot for it: it is unchoked.
    pub(super) fn on_link_up(&mut self, now: Instant, link: LinkId) -> bool {
        let unchoked = self.queues.values().filter(|queue| queue.is_unchoked).count();
        let is_unchoked = unchoked < self.slots;
        let turn_len = self.queues.values().map(|queue| queue.turn_len).min().unwrap_or(0);
        let queue = Queue {
            waiting: VecDeque::new(),
            active: BTreeMap::new(),
            turn_len,
            is_unchoked,
            since: now,
            has_asked: false,
            unused_slots: 0,
            idle_until: now,
        };
        self.queues.insert(link, queue);
        is_unchoked
    }

    /// A link is gone.
    pub(super) fn on_link_down(&mut self, link: LinkId) {
        if let Some(queue) = self.queues.remove(&link) {
            self.active -= queue.active.len();
        }
    }

    /// Whether a peer's requests are taken.
    pub(super) fn is_unchoked(&self, link: LinkId) -> bool {
        self.queues.get(&link).is_some_and(|queue| queue.is_unchoked)
    }

    /// Takes a request; false if too many wait or its name is in use.
    pub(super) fn push(&mut self, wanted: RunRequest) -> bool {
        let Some(queue) = self.queues.get_mut(&wanted.link) else { return false };
        (queue.has_asked, queue.unused_slots) = (true, 0);
        let is_known = queue.active.contains_key(&wanted.request)
            || queue.waiting.iter().any(|w| w.request == wanted.request);
        let has_room = queue.waiting.len() + queue.active.len() < REQUESTS_PER_LINK_MAX && !is_known;
        if has_room {
            queue.waiting.push_back(wanted);
        }
        has_room
    }

    /// It has chunks that it had not, or there are chunks that it may want: a slot that it did not use says nothing any more.
    pub(super) fn on_alive(&mut self, now: Instant, link: LinkId) {
        if let Some(queue) = self.queues.get_mut(&link) {
            (queue.unused_slots, queue.idle_until) = (0, now);
            if queue.is_unchoked && !queue.has_asked {
                // What it may ask for it hears of just now.
                queue.since = now;
            }
        }
    }

    /// There is nothing that it could ask for: that it does not is no fault of its own.
    pub(super) fn excuse(&mut self, link: LinkId) {
        if let Some(queue) = self.queues.get_mut(&link) {
            queue.has_asked = true;
        }
    }

    /// The next upload to start, if a slot is free. What must go to one peer after the other waits while it goes to one, but not
    /// for long: a peer that does not read keeps no other from it.
    pub(super) fn pop(
        &mut self,
        now: Instant,
        is_one_by_one: impl Fn(&RunRequest) -> bool,
        share_of: impl Fn(ContentId) -> ShareId,
    ) -> Option<RunRequest> {
        if self.in_the_way(now) >= UPLOADS_MAX || self.active >= UPLOADS_HELD_MAX {
            return None;
        }
        let is_sent = |wanted: &RunRequest| {
            let mut active = self.queues.values().flat_map(|queue| queue.active.values());
            active.any(|(other, since)| {
                let is_same = other.content == wanted.content && other.run.first() == wanted.run.first();
                is_same && now.since(*since) < ONE_BY_ONE_MAX
            })
        };
        let first_ready = |(link, queue): (&LinkId, &Queue)| {
            // A share that is sent slowly is not in the way of the others.
            let full = queue.full_shares(&share_of);
            let has_room = |wanted: &RunRequest| full.is_empty() || !full.contains(&share_of(wanted.content));
            let can_go =
                |wanted: &RunRequest| has_room(wanted) && !(is_one_by_one(wanted) && is_sent(wanted));
            let at = queue.waiting.iter().position(can_go)?;
            Some((queue.turn_len, *link, at))
        };
        let (_, link, at) = self.queues.iter().filter_map(first_ready).min()?;
        let queue = self.queues.get_mut(&link)?;
        let wanted = queue.waiting.remove(at)?;
        queue.turn_len += u64::from(wanted.run.len());
        queue.active.insert(wanted.request, (wanted, now));
        self.active += 1;
        Some(wanted)
    }

    /// Uploads that keep others waiting: not those that their peers take very long to read, or a few such would keep all others
    /// waiting for ever.
    fn in_the_way(&self, now: Instant) -> usize {
        if self.active < UPLOADS_MAX {
            return self.active;
        }
        let active = self.queues.values().flat_map(|queue| queue.active.values());
        active.filter(|(_, since)| now.since(*since) < IN_THE_WAY_MAX).count()
    }

    /// The peer does not want it any more. `Some(true)` if it is being served: stop that.
    pub(super) fn on_cancelled(&mut self, link: LinkId, request: RequestId) -> Option<bool> {
        let queue = self.queues.get_mut(&link)?;
        if queue.active.contains_key(&request) {
            return Some(true);
        }
        let at = queue.waiting.iter().position(|wanted| wanted.request == request)?;
        queue.waiting.remove(at);
        Some(false)
    }

    /// An upload is over.
    pub(super) fn on_ended(&mut self, link: LinkId, request: RequestId) -> Option<RunRequest> {
        let (ended, _) = self.queues.get_mut(&link)?.active.remove(&request)?;
        self.active -= 1;
        Some(ended)
    }

    /// Takes out the waiting requests that want something of a content that is not there any more.
    pub(super) fn take_waiting(&mut self, is_gone: impl Fn(&RunRequest) -> bool) -> Vec<(LinkId, RequestId)> {
        let mut taken = Vec::new();
        for (link, queue) in &mut self.queues {
            taken.extend(queue.waiting.iter().filter(|w| is_gone(w)).map(|w| (*link, w.request)));
            queue.waiting.retain(|wanted| !is_gone(wanted));
        }
        taken
    }

    /// Uploads of a content that are going on.
    pub(super) fn active_of(&self, content: ContentId) -> Vec<(LinkId, RequestId)> {
        let of_link = |(link, queue): (&LinkId, &Queue)| {
            let active = queue.active.iter().filter(|(_, (wanted, _))| wanted.content == content);
            active.map(|(request, _)| (*link, *request)).collect::<Vec<_>>()
        };
        self.queues.iter().flat_map(of_link).collect()
    }

    /// What of a content a peer is being sent.
    pub(super) fn active_runs(
        &self,
        link: LinkId,
        content: ContentId,
    ) -> impl Iterator<Item = Run> + use<'_> {
        let active = self.queues.get(&link).into_iter().flat_map(|queue| queue.active.values());
        active.filter(move |(wanted, _)| wanted.content == content).map(|(wanted, _)| wanted.run)
    }

    /// Frees slots for those who wait: chokes the peers that have been unchoked longest and unchokes those that have been choked longest.
    /// Those who starve come first, and have slots change hands sooner; those who made no use of a slot lose it at once and come
    /// last. `need` tells what a slot would do for a peer. Returns the choked with their waiting requests, and the unchoked.
    pub(super) fn rotate(&mut self, now: Instant, need: impl Fn(LinkId) -> Need) -> Rotation {
        // Of those that a slot would help as much, a peer that has not wasted one comes first.
        let of_choked = |(link, queue): (&LinkId, &Queue)| {
            (queue.need(now, need(*link)), queue.unused_slots > 0, queue.since, *link)
        };
        let choked = self.queues.iter().filter(|(_, queue)| !queue.is_unchoked);
        let mut choked: Vec<_> = choked.map(of_choked).filter(|(need, ..)| *need != Need::Nothing).collect();
        choked.sort_unstable();
        let count_below = |limit| choked.iter().filter(|(need, ..)| *need < limit).count();
        let (starving, wanting, alive) =
            (count_below(Need::More), count_below(Need::Little), count_below(Need::Idle));
        let slot_time = slot_time(self.slots, starving);
        let unchoked = self.queues.iter().filter(|(_, queue)| queue.is_unchoked);
        let (idle, mut busy): (Vec<_>, Vec<_>) =
            unchoked.partition(|(_, queue)| alive > 0 && queue.is_unused(now));
        let idle: Vec<LinkId> = idle.into_iter().map(|(link, _)| *link).collect();
        // A peer that knows of nothing to ask for yet, or has everything, is no sign of a crowd that does nothing.
        let wasted = idle.iter().filter(|link| need(**link) != Need::Nothing).count();
        self.trials = if wasted > busy.len() { (self.trials.max(self.slots) * 2).min(TRIALS_MAX) } else { 0 };
        let most = starving.clamp(ROTATED_AT_ONCE, self.slots.max(ROTATED_AT_ONCE)).max(self.trials);
        let newcomers: Vec<LinkId> = choked.into_iter().map(|(.., link)| link).take(most).collect();
        let free = self.slots.saturating_sub(busy.len());
        let excess = busy.len().saturating_sub(self.slots);
        // A peer that has no use for its slot gives it up first.
        busy.sort_by_key(|(link, queue)| (Reverse(need(**link).max(Need::More)), queue.since, **link));
        let may_go = |queue: &Queue| excess > 0 || now.since(queue.since) >= slot_time;
        // A slot does not go from a peer that passes chunks on to one that passes nothing on.
        let useful = wanting.saturating_sub(free);
        let may_yield =
            |(at, link): &(usize, LinkId)| excess > 0 || *at < useful || need(*link) >= Need::Little;
        let leavers: Vec<LinkId> = busy
            .into_iter()
            .filter(|(_, queue)| may_go(queue))
            .map(|(link, _)| *link)
            .enumerate()
            .filter(may_yield)
            .map(|(_, link)| link)
            .take(if excess > 0 { excess } else { newcomers.len().saturating_sub(free) })
            .collect();
        let slots = (free + leavers.len()).saturating_sub(excess).max(self.trials.min(alive));
        let mut rotation = Rotation::default();
        for link in idle.into_iter().chain(leavers) {
            let queue = self.queues.get_mut(&link).expect("it was listed above");
            queue.choke(now);
            rotation.choked.push((link, queue.waiting.drain(..).map(|wanted| wanted.request).collect()));
        }
        for link in newcomers.into_iter().take(slots) {
            let queue = self.queues.get_mut(&link).expect("it was listed above");
            (queue.is_unchoked, queue.since, queue.has_asked) = (true, now, false);
            rotation.unchoked.push(link);
        }
        rotation
    }

    /// Whether any peer is choked, so that a rotation may be worth it.
    pub(super) fn has_choked(&self) -> bool {
        self.queues.values().any(|queue| !queue.is_unchoked)
    }
}

impl Queue {
    /// Shares of which it has as many uploads as it may.
    fn full_shares(&self, share_of: impl Fn(ContentId) -> ShareId) -> Vec<ShareId> {
        let mut counts: BTreeMap<ShareId, usize> = BTreeMap::new();
        if self.active.len() >= UPLOADS_PER_LINK {
            let shares = self.active.values().map(|(wanted, _)| share_of(wanted.content));
            shares.for_each(|share| *counts.entry(share).or_default() += 1);
        }
        counts.into_iter().filter(|(_, count)| *count >= UPLOADS_PER_LINK).map(|(share, _)| share).collect()
    }

    /// It has a slot and did not ask for anything.
    fn is_unused(&self, now: Instant) -> bool {
        let has_time = now.since(self.since) >= SLOT_TIME_MIN;
        self.is_unchoked && !self.has_asked && self.active.is_empty() && has_time
    }

    /// What a slot would do for it, given what it would do for one that makes use of it.
    fn need(&self, now: Instant, need: Need) -> Need {
        if now < self.idle_until { need.max(Need::Idle) } else { need }
    }

    fn choke(&mut self, now: Instant) {
        if self.is_unused(now) {
            self.idle_until = now + IDLE_MIN * (1 << self.unused_slots.min(IDLE_DOUBLINGS_MAX));
            self.unused_slots += 1;
        }
        (self.is_unchoked, self.since) = (false, now);
    }
}

/// What a slot would do for a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// It gets nothing from any peer.
    Starving,
    /// It lacks chunks that are here.
    More,
    /// It passes on nothing of what it gets.
    Little,
    /// It asked for nothing when it had a slot.
    Idle,
    /// It has all that is here.
    Nothing,
}

/// How long a peer that is served keeps its slot while so many others starve.
fn slot_time(slots: usize, starving_count: usize) -> Duration {
    let share = CYCLE_TIME.mul_f64(slots as f64 / starving_count.max(1) as f64);
    share.clamp(SLOT_TIME_MIN, SLOT_TIME_MAX)
}

/// The peers that a rotation choked and unchoked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rotation {
    pub(super) choked: Vec<(LinkId, Vec<RequestId>)>,
    pub(super) unchoked: Vec<LinkId>,
}

/// One is sent while the next is read from disk, and one more hides the turn-around.
const UPLOADS_PER_LINK: usize = 3;
const UPLOADS_MAX: usize = 64;
/// With those that are read very slowly; each holds a block.
const UPLOADS_HELD_MAX: usize = 256;
/// Longer than most runs take in a crowd.
const IN_THE_WAY_MAX: Duration = Duration::from_secs(10);
/// Most peers that are served at the same time.
pub(super) const SLOTS_MAX: usize = 64;
const ROTATED_AT_ONCE: usize = 8;
/// Longest wait for another peer to get a chunk first. A chunk of 1 MiB takes so long at 1 Mbit/s.
const ONE_BY_ONE_MAX: Duration = Duration::from_secs(8);
/// Long enough for a chunk and more on most lines.
const SLOT_TIME_MAX: Duration = Duration::from_secs(10);
/// One chunk, whole, on a fast line; what was begun is sent to its end on a slow one.
const SLOT_TIME_MIN: Duration = Duration::from_secs(2);
/// A peer that starves has a turn within this time, or a little later where very many do: a fetch gives up after a minute without any.
const CYCLE_TIME: Duration = Duration::from_secs(30);

/// A peer that asks for nothing waits so long for its next slot where others want one, and twice as long each further time.
const IDLE_MIN: Duration = Duration::from_secs(15);
const IDLE_DOUBLINGS_MAX: u32 = 3;
/// All links that a node takes have had their turn within 40 s.
const TRIALS_MAX: usize = 256;

#[cfg(test)]
mod tests;
