//! Super-seeding: which chunk the only full copy reveals to which peer. While no other node has everything, each chunk is revealed to
//! one peer, so that the uplink of the seed carries no chunk twice before every chunk is out once. Then chunks that no second peer
//! has got from the first taker are revealed to another, oldest first: the first may have left, or lie. Knows no messages.
//! Invariant: a chunk is in the queue, revealed to one link, out at one link, or spread.

use std::collections::{BTreeMap, VecDeque};

use swarm_core::base::limits::RUN_LEN_TARGET;
use swarm_core::base::{Bitfield, Instant, Rng};
use swarm_core::manifest::Geometry;

use super::io::LinkId;
use super::spreading::Spreading;

/// The super-seeding of one content.
#[derive(Debug)]
pub(super) struct SuperSeeding {
    /// Runs of chunks that were revealed to no peer; the last is next.
    queue: Vec<(u32, u32)>,
    places: Vec<Place>,
    /// Who got each chunk first, as long as its link stands.
    holders: Vec<Option<LinkId>>,
    /// Chunks that went out, oldest first; those that have spread since are passed over.
    out: VecDeque<u32>,
    was_out: Bitfield,
    spread_count: u32,
    links: BTreeMap<LinkId, Revealed>,
    spreading: Spreading,
    /// Bytes to have revealed to a peer beyond what it asked for.
    ahead_len: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Queued,
    Revealed(LinkId),
    Asked(LinkId),
    /// This peer alone has it.
    Out(LinkId),
    /// Two peers say that they have it.
    Spread,
}

#[derive(Debug, Default)]
struct Revealed {
    /// Revealed and not asked for, bytes.
    unasked_len: u64,
    /// Asked for and not out, bytes.
    asked_len: u64,
    /// Looks in a row at which something was revealed to it and it asked for nothing.
    quiet_looks: u32,
    /// It sees everything: it is alone, or wants none of what was revealed to it.
    sees_all: bool,
}

impl SuperSeeding {
    /// Everything is to be revealed, in an order of this node's own.
    pub(super) fn new(geometry: &Geometry, rng: &mut Rng) -> Self {
        let mut queue: Vec<(u32, u32)> = Vec::new();
        let mut run_len = 0;
        for chunk in geometry.chunks() {
            let len = geometry.chunk_len(chunk);
            match queue.last_mut() {
                Some(run) if run_len + len <= RUN_LEN_TARGET => (run.1, run_len) = (run.1 + 1, run_len + len),
                _ => {
                    queue.push((chunk.get(), 1));
                    run_len = len;
                }
            }
        }
        rng.shuffle(&mut queue);
        let least = 2 * u64::from(geometry.chunk_len_max().max(RUN_LEN_TARGET));
        Self {
            queue,
            places: vec![Place::Queued; geometry.chunk_count() as usize],
            holders: vec![None; geometry.chunk_count() as usize],
            out: VecDeque::new(),
            was_out: Bitfield::new(geometry.chunk_count()),
            spread_count: 0,
            links: BTreeMap::new(),
            spreading: Spreading::new(geometry),
            ahead_len: (geometry.content_len() / AHEAD_SHARE).clamp(least, AHEAD_LEN_MAX.max(least)),
        }
    }

    /// Two peers have each chunk: there is nothing left to ration.
    pub(super) fn is_over(&self) -> bool {
        self.spread_count as usize == self.places.len()
    }

    /// Every chunk has been out once.
    fn is_all_out(&self) -> bool {
        self.was_out.is_full()
    }

    /// Nothing is left that only this node could give the peer: everything is out, and all it lacks has spread.
    pub(super) fn has_nothing_for(&self, link: LinkId) -> bool {
        self.is_all_out() && self.is_drained(link) && !self.holds_back(link)
    }

    /// A link that takes part waits for nothing that was revealed to it.
    pub(super) fn is_drained(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|revealed| revealed.unasked_len + revealed.asked_len == 0)
    }

    /// The links that take part.
    pub(super) fn links(&self) -> Vec<LinkId> {
        self.links.keys().copied().collect()
    }

    /// A peer takes part.
    pub(super) fn on_link(&mut self, geometry: &Geometry, link: LinkId) {
        let is_asked = |place: &Place| *place == Place::Asked(link);
        let asked = self.places.iter().zip(0u32..).filter(|(place, _)| is_asked(place));
        let asked_len = asked.map(|(_, chunk)| chunk_len(geometry, chunk)).sum();
        self.links.entry(link).or_insert(Revealed { asked_len, ..Revealed::default() });
    }

    /// A peer is gone: what was revealed to it and not sent, or what it alone had got, is revealed to others.
    pub(super) fn on_link_down(&mut self, link: LinkId) {
        self.links.remove(&link);
        self.spreading.on_link_down(link);
        for holder in self.holders.iter_mut().filter(|holder| **holder == Some(link)) {
            *holder = None;
        }
        let is_theirs = |place: &Place| match *place {
            Place::Revealed(to) | Place::Asked(to) | Place::Out(to) => to == link,
            Place::Queued | Place::Spread => false,
        };
        let theirs = self.places.iter().zip(0u32..).filter(|(place, _)| is_theirs(place));
        for chunk in theirs.map(|(_, chunk)| chunk).collect::<Vec<u32>>() {
            self.put_back(chunk);
        }
        self.forget_what_moved_on();
    }

    /// A peer is choked: what was revealed to it and is not sent is revealed to others; what it got it keeps.
    pub(super) fn on_choked(&mut self, link: LinkId, is_being_sent: impl Fn(u32) -> bool) {
        if self.links.remove(&link).is_none() {
            return;
        }
        let is_lost = |(place, chunk): &(&Place, u32)| {
            **place == Place::Revealed(link) || (**place == Place::Asked(link) && !is_being_sent(*chunk))
        };
        let lost = self.places.iter().zip(0u32..).filter(is_lost);
        for chunk in lost.map(|(_, chunk)| chunk).collect::<Vec<u32>>() {
            self.put_back(chunk);
        }
        self.forget_what_moved_on();
    }

    /// What was begun was not sent to its end. A peer that is served may ask for it again; one that is choked may not.
    pub(super) fn on_broken_off(&mut self, link: LinkId, chunk: u32) {
        if self.places[chunk as usize] == Place::Asked(link) && !self.links.contains_key(&link) {
            self.put_back(chunk);
        }
    }

    /// No peer waits for it any more: another may have it, unless it is out at the peer that had it before.
    fn put_back(&mut self, chunk: u32) {
        match self.holders[chunk as usize] {
            Some(holder) => {
                self.places[chunk as usize] = Place::Out(holder);
                self.out.push_back(chunk);
            }
            None => {
                self.places[chunk as usize] = Place::Queued;
                self.queue.push((chunk, 1));
            }
        }
    }

    /// Entries of both queues may be out of date, and would grow with every link that comes and goes.
    fn forget_what_moved_on(&mut self) {
        let places = &self.places;
        let mut listed = Bitfield::new(places.len() as u32);
        self.out.retain(|&chunk| matches!(places[chunk as usize], Place::Out(_)) && listed.insert(chunk));
        let mut seen = Bitfield::new(places.len() as u32);
        let mut is_new = |chunk: u32| places[chunk as usize] == Place::Queued && seen.insert(chunk);
        let runs = self.queue.iter().flat_map(|&(first, count)| first..first + count);
        let kept: Vec<u32> = runs.filter(|&chunk| is_new(chunk)).collect();
        if kept.len() * 2 < self.queue.len() + self.places.len() {
            self.queue = kept.into_iter().map(|chunk| (chunk, 1)).collect();
        }
    }

    /// Whether the peer sees everything.
    pub(super) fn sees_all(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|revealed| revealed.sees_all)
    }

    /// The peer is shown everything, or no longer.
    pub(super) fn show_all(&mut self, link: LinkId, sees_all: bool) {
        if let Some(revealed) = self.links.get_mut(&link) {
            revealed.sees_all = sees_all;
        }
    }

    /// What was revealed to a link or asked for by it, and not sent.
    pub(super) fn pending(&self, link: LinkId) -> Bitfield {
        let is_pending =
            |place: &Place| matches!(*place, Place::Revealed(to) | Place::Asked(to) if to == link);
        self.places.iter().map(is_pending).collect()
    }

    /// SuperSeeding a peer as much as keeps it busy. Returns what is new to it.
    pub(super) fn top_up(&mut self, geometry: &Geometry, link: LinkId, has: &Bitfield) -> Vec<u32> {
        let mut fresh = Vec::new();
        while let Some(revealed) = self.links.get(&link).filter(|revealed| !revealed.sees_all) {
            if revealed.unasked_len >= self.ahead_len {
                break;
            }
            let is_drained = revealed.unasked_len + revealed.asked_len == 0;
            let pending_len = revealed.unasked_len + revealed.asked_len;
            let pending_count = (pending_len / geometry.chunk_len_mean()) as u32;
            if self.spreading.holds_back(link, pending_count)
                && !(is_drained && self.spreading.may_try_again(link, self.links.keys()))
            {
                break;
            }
            if let Some((first, count)) = self.queue.pop() {
                // What was asked for by a peer that saw everything is not in its place any more.
                let queued = (first..first + count).filter(|&c| self.places[c as usize] == Place::Queued);
                for chunk in queued.collect::<Vec<u32>>() {
                    self.reveal(geometry, chunk, link, has, &mut fresh);
                }
                continue;
            }
            let second_hand = if is_drained { self.second_hand(link, has) } else { None };
            let Some(chunk) = second_hand.or_else(|| self.not_spread(link, has)) else { break };
            self.reveal(geometry, chunk, link, has, &mut fresh);
        }
        fresh
    }

    /// The peer passes nothing on: it waits for the others.
    pub(super) fn holds_back(&self, link: LinkId) -> bool {
        self.spreading.holds_back(link, 0)
    }

    fn reveal(
        &mut self,
        geometry: &Geometry,
        chunk: u32,
        link: LinkId,
        has: &Bitfield,
        fresh: &mut Vec<u32>,
    ) {
        match self.places[chunk as usize] {
            Place::Spread => return,
            Place::Revealed(_) | Place::Asked(_) | Place::Out(_) => self.take_back(geometry, chunk),
            Place::Queued => {}
        }
        if has.contains(chunk) {
            self.on_out(geometry, link, chunk);
            return;
        }
        self.places[chunk as usize] = Place::Revealed(link);
        let len = chunk_len(geometry, chunk);
        if let Some(revealed) = self.links.get_mut(&link) {
            revealed.unasked_len += len;
        }
        fresh.push(chunk);
    }

    /// Everything was revealed, and a peer has got all its part: it is given a chunk of the peer that waits for the most.
    fn second_hand(&self, link: LinkId, has: &Bitfield) -> Option<u32> {
        let waiting = |(_, revealed): &(&LinkId, &Revealed)| revealed.unasked_len + revealed.asked_len;
        let (&most, _) = self.links.iter().filter(|(other, _)| **other != link).max_by_key(waiting)?;
        let is_theirs =
            |place: &Place| matches!(*place, Place::Revealed(to) | Place::Asked(to) if to == most);
        let last = self.places.iter().zip(0u32..).filter(|(place, _)| is_theirs(place));
        last.map(|(_, chunk)| chunk).filter(|&chunk| !has.contains(chunk)).last()
    }

    /// Everything is out once: the chunk that has been out longest at another peer, and has not spread.
    fn not_spread(&mut self, link: LinkId, has: &Bitfield) -> Option<u32> {
        if !self.is_all_out() {
            return None;
        }
        let places = &self.places;
        self.out.retain(|&chunk| matches!(places[chunk as usize], Place::Out(_)));
        let at = self.out.iter().position(|&chunk| {
            !has.contains(chunk) && matches!(places[chunk as usize], Place::Out(holder) if holder != link)
        })?;
        self.out.remove(at)
    }

    /// A peer asked for a chunk; the first that asks has it revealed.
    pub(super) fn on_asked(&mut self, geometry: &Geometry, link: LinkId, chunk: u32) {
        let Some(revealed) = self.links.get_mut(&link) else {
            // It is choked, and will be told so.
            return;
        };
        revealed.quiet_looks = 0;
        match self.places[chunk as usize] {
            Place::Out(_) | Place::Spread | Place::Asked(_) => return,
            Place::Revealed(to) if to != link => return,
            Place::Revealed(_) | Place::Queued => {}
        }
        self.take_back(geometry, chunk);
        self.places[chunk as usize] = Place::Asked(link);
        if let Some(revealed) = self.links.get_mut(&link) {
            revealed.asked_len += chunk_len(geometry, chunk);
        }
    }

    /// A chunk was sent to a peer. True if more may be revealed to some peer now.
    pub(super) fn on_sent(&mut self, now: Instant, geometry: &Geometry, link: LinkId, chunk: u32) -> bool {
        let is_news = self.on_out(geometry, link, chunk);
        match self.places[chunk as usize] {
            Place::Out(holder) if is_news && holder == link => self.spreading.on_given(now, link, chunk),
            Place::Spread => self.spreading.on_given_again(now, chunk),
            Place::Queued | Place::Revealed(_) | Place::Asked(_) | Place::Out(_) => {}
        }
        is_news
    }

    /// A peer says that it has a chunk. True if more may be revealed to some peer now.
    pub(super) fn on_announced(
        &mut self,
        now: Instant,
        geometry: &Geometry,
        link: LinkId,
        chunk: u32,
    ) -> bool {
        let is_news = self.on_out(geometry, link, chunk);
        if self.places[chunk as usize] == Place::Spread {
            self.spreading.on_spread(now, chunk);
        }
        is_news
    }

    fn on_out(&mut self, geometry: &Geometry, link: LinkId, chunk: u32) -> bool {
        if self.places[chunk as usize] == Place::Spread || self.holders[chunk as usize] == Some(link) {
            return false;
        }
        self.take_back(geometry, chunk);
        if self.holders[chunk as usize].is_some() {
            self.places[chunk as usize] = Place::Spread;
            self.spread_count += 1;
            return self.is_all_out();
        }
        self.holders[chunk as usize] = Some(link);
        self.places[chunk as usize] = Place::Out(link);
        self.out.push_back(chunk);
        self.was_out.insert(chunk);
        true
    }

    /// Returns the peers that have asked for none of what was revealed to them for a while.
    pub(super) fn look(&mut self, now: Instant) -> Vec<LinkId> {
        self.spreading.look(now, self.links.keys().copied());
        let mut quiet = Vec::new();
        for (link, revealed) in &mut self.links {
            let is_waiting = revealed.unasked_len > 0 && revealed.asked_len == 0 && !revealed.sees_all;
            revealed.quiet_looks = if is_waiting { revealed.quiet_looks + 1 } else { 0 };
            if revealed.quiet_looks > QUIET_LOOKS_MAX {
                quiet.push(*link);
            }
        }
        quiet
    }

    fn take_back(&mut self, geometry: &Geometry, chunk: u32) {
        let len = chunk_len(geometry, chunk);
        match self.places[chunk as usize] {
            Place::Queued | Place::Out(_) | Place::Spread => {}
            Place::Revealed(link) => {
                if let Some(revealed) = self.links.get_mut(&link) {
                    revealed.unasked_len -= len;
                }
            }
            Place::Asked(link) => {
                if let Some(revealed) = self.links.get_mut(&link) {
                    revealed.asked_len -= len;
                }
            }
        }
        self.places[chunk as usize] = Place::Queued;
    }
}

fn chunk_len(geometry: &Geometry, chunk: u32) -> u64 {
    geometry.chunk(chunk).map_or(0, |chunk| u64::from(geometry.chunk_len(chunk)))
}

/// This part of the content is revealed to a peer ahead of what it asks for, within limits: more lets a slow peer sit on it,
/// less than a round trip's worth leaves a fast one idle.
const AHEAD_SHARE: u64 = 512;
const AHEAD_LEN_MAX: u64 = 16 << 20;
const QUIET_LOOKS_MAX: u32 = 2;

#[cfg(test)]
mod tests;
