//! Chunk states. Invariant: every chunk is in exactly one state; the tallies and the picker's queue equal a recount.
//! Knows requests only as the names of who was asked.

use std::collections::{BTreeMap, BTreeSet};

use swarm_core::base::limits::{RUN_CHUNKS_MAX, RUN_LEN_TARGET};
use swarm_core::base::{Bitfield, NodeId, RangeSet};
use swarm_core::manifest::{ChunkIndex, Geometry, Manifest, Run};
use swarm_core::wire::RequestId;

use super::io::{Extent, LinkId, Order};
use super::picker::Picker;

/// What is known of one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkState {
    /// Not wanted, or offered once and lost.
    Unwanted,
    /// Wanted; nobody is asked for it.
    Queued,
    /// Somebody is asked for it.
    Active,
    /// All its bytes are here; its check is under way.
    Checking,
    /// Its hash was checked and it is written.
    Verified,
    /// Verified, fsynced and journalled.
    Durable,
}

/// The chunks of one content.
#[derive(Debug)]
pub(super) struct Chunks {
    manifest: Manifest,
    order: Order,
    states: Vec<ChunkState>,
    partials: BTreeMap<u32, Partial>,
    /// Chunks that failed after slices from several peers: from one peer alone from now on, so that blame is certain.
    solo: BTreeSet<u32>,
    askers: BTreeMap<u32, Vec<(LinkId, RequestId)>>,
    /// How often a chunk that has not come was taken from one peer for another.
    moves: BTreeMap<u32, u32>,
    pub(super) picker: Picker,
    have: Bitfield,
    /// Verified, and not to be read just now: not served, and not lost.
    aside: Bitfield,
    tally: Tally,
    /// Durable, though the word of their check is still on its way: the store knew first.
    early: BTreeSet<u32>,
    /// No wanted chunk before this one is short of durable (for the window).
    first_not_durable: u32,
}

/// Bytes by what is known of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Of all wanted chunks.
    pub(super) wanted_len: u64,
    /// Of verified and durable chunks.
    pub(super) verified_len: u64,
    /// Of durable chunks.
    pub(super) durable_len: u64,
    /// Of chunks being checked.
    pub(super) checking_len: u64,
}

/// What came of a chunk that was broken off.
#[derive(Debug, Default)]
struct Partial {
    kept: RangeSet,
    contributors: BTreeSet<NodeId>,
}

/// Who is to blame for a chunk that failed its check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// This peer alone sent it.
    Certain(NodeId),
    /// Several did.
    Shared,
}

impl Chunks {
    /// Chunks of which some are durable and some wanted; the rest is left alone.
    pub(super) fn new(
        manifest: Manifest,
        durable: &Bitfield,
        wanted: &Bitfield,
        order: Order,
        salt_seed: u64,
    ) -> Self {
        let geometry = manifest.geometry().clone();
        let count = geometry.chunk_count();
        let mut chunks = Self {
            states: vec![ChunkState::Unwanted; count as usize],
            partials: BTreeMap::new(),
            solo: BTreeSet::new(),
            askers: BTreeMap::new(),
            moves: BTreeMap::new(),
            picker: Picker::new(count, matches!(order, Order::Sequential { .. }), salt_seed),
            have: Bitfield::new(count),
            aside: Bitfield::new(count),
            tally: Tally::default(),
            early: BTreeSet::new(),
            first_not_durable: 0,
            order,
            manifest,
        };
        for chunk in geometry.chunks() {
            let state = match (durable.contains(chunk.get()), wanted.contains(chunk.get())) {
                (true, _) => ChunkState::Durable,
                (false, true) => ChunkState::Queued,
                (false, false) => continue,
            };
            chunks.tally.wanted_len += u64::from(geometry.chunk_len(chunk));
            chunks.set(chunk, state);
        }
        chunks.first_not_durable = 0;
        chunks.move_window();
        chunks
    }

    pub(super) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(super) fn geometry(&self) -> &Geometry {
        self.manifest.geometry()
    }

    pub(super) fn state(&self, chunk: ChunkIndex) -> ChunkState {
        self.states[chunk.get() as usize]
    }

    /// Chunks that can be served.
    pub(super) fn have(&self) -> &Bitfield {
        &self.have
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally
    }

    /// All wanted chunks are verified.
    pub(super) fn is_verified(&self) -> bool {
        self.tally.verified_len == self.tally.wanted_len
    }

    /// All wanted chunks are durable.
    pub(super) fn is_durable(&self) -> bool {
        self.tally.durable_len == self.tally.wanted_len
    }

    /// The best run to ask a peer that has these chunks for: the rest of a broken chunk, or a chunk and, while it is short,
    /// the ones that follow, up to `len_max` bytes.
    pub(super) fn next_run(&self, has: &Bitfield, len_max: u64) -> Option<Run> {
        let geometry = self.geometry();
        let window_end = self.window_end();
        let chunk = self.picker.next(geometry, has, window_end)?;
        let chunk_len = geometry.chunk_len(chunk);
        if let Some(gap) =
            self.partials.get(&chunk.get()).and_then(|partial| partial.kept.first_gap(chunk_len))
        {
            return geometry.run(chunk.get(), gap.start, gap.end - gap.start);
        }
        let mut len = chunk_len;
        for index in (chunk.get() + 1..geometry.chunk_count()).take(RUN_CHUNKS_MAX as usize - 1) {
            let Some(next) = geometry.chunk(index) else { break };
            let extended = len.saturating_add(geometry.chunk_len(next));
            let in_window = window_end.is_none_or(|end| index < end);
            if extended > RUN_LEN_TARGET
                || u64::from(extended) > len_max
                || !has.contains(index)
                || !in_window
                || !self.is_fresh(next)
            {
                break;
            }
            len = extended;
        }
        geometry.run(chunk.get(), 0, len)
    }

    /// Chunks of a run that are still to come, given the first that has not arrived.
    pub(super) fn chunks_from(&self, run: Run, next: u32) -> impl Iterator<Item = ChunkIndex> + use<'_> {
        self.geometry().pieces(run).map(|piece| piece.chunk).filter(move |chunk| chunk.get() >= next)
    }

    /// A chunk is taken from one peer for another.
    pub(super) fn on_moved(&mut self, chunk: u32) {
        *self.moves.entry(chunk).or_default() += 1;
    }

    /// How often a chunk was taken from one peer for another.
    pub(super) fn moves(&self, chunk: u32) -> u32 {
        self.moves.get(&chunk).copied().unwrap_or(0)
    }

    /// Somebody was asked for a run.
    pub(super) fn on_asked(&mut self, run: Run, link: LinkId, request: RequestId) {
        let pieces: Vec<ChunkIndex> = self.geometry().pieces(run).map(|piece| piece.chunk).collect();
        for chunk in pieces {
            self.askers.entry(chunk.get()).or_default().push((link, request));
            if self.state(chunk) == ChunkState::Queued {
                self.set(chunk, ChunkState::Active);
            }
        }
    }

    /// Somebody will not send a chunk any more.
    pub(super) fn on_released(&mut self, chunk: ChunkIndex, link: LinkId, request: RequestId) {
        let Some(askers) = self.askers.get_mut(&chunk.get()) else { return };
        askers.retain(|asker| *asker != (link, request));
        if askers.is_empty() {
            self.askers.remove(&chunk.get());
            if self.state(chunk) == ChunkState::Active {
                self.set(chunk, ChunkState::Queued);
            }
        }
    }

    /// All others that were asked for a chunk.
    pub(super) fn askers(&self, chunk: ChunkIndex) -> Vec<(LinkId, RequestId)> {
        self.askers.get(&chunk.get()).cloned().unwrap_or_default()
    }

    /// A whole chunk is in memory. False if it was here already.
    pub(super) fn on_arrived(&mut self, chunk: ChunkIndex) -> bool {
        match self.state(chunk) {
            ChunkState::Queued | ChunkState::Active => {
                self.set(chunk, ChunkState::Checking);
                self.moves.remove(&chunk.get());
                true
            }
            ChunkState::Unwanted | ChunkState::Checking | ChunkState::Verified | ChunkState::Durable => false,
        }
    }

    /// A part of a chunk is on disk. Returns how many bytes of it were new.
    pub(super) fn on_kept(&mut self, chunk: ChunkIndex, offset: u32, len: u32, from: NodeId) -> u32 {
        let is_open = matches!(self.state(chunk), ChunkState::Queued | ChunkState::Active);
        if !is_open || self.solo.contains(&chunk.get()) {
            return 0;
        }
        let is_queued = self.state(chunk) == ChunkState::Queued;
        if is_queued {
            self.picker.unqueue(self.manifest.geometry(), chunk);
        }
        let partial = self.partials.entry(chunk.get()).or_default();
        let before = partial.kept.covered_len();
        partial.kept.insert(offset..offset + len);
        partial.contributors.insert(from);
        let fresh_len = partial.kept.covered_len() - before;
        if is_queued {
            self.picker.queue(self.manifest.geometry(), chunk, true);
        }
        fresh_len
    }

    /// Whether slices make up the whole chunk and it is not being checked yet.
    pub(super) fn is_put_together(&self, chunk: ChunkIndex) -> bool {
        let is_open = matches!(self.state(chunk), ChunkState::Queued | ChunkState::Active);
        let kept = self.partials.get(&chunk.get()).map_or(0, |partial| partial.kept.covered_len());
        is_open && kept == self.geometry().chunk_len(chunk)
    }

    /// Whether a chunk has arrived and its check is under way.
    pub(super) fn is_checking(&self, chunk: ChunkIndex) -> bool {
        self.state(chunk) == ChunkState::Checking
    }

    /// A chunk is verified and written. False if it was before.
    pub(super) fn on_verified(&mut self, chunk: ChunkIndex) -> bool {
        if matches!(self.state(chunk), ChunkState::Verified | ChunkState::Durable | ChunkState::Unwanted) {
            return false;
        }
        self.partials.remove(&chunk.get());
        self.solo.remove(&chunk.get());
        self.set(chunk, ChunkState::Verified);
        if self.early.remove(&chunk.get()) {
            self.set(chunk, ChunkState::Durable);
        }
        true
    }

    /// A chunk failed its check. `from` sent it whole, or slices were put together.
    pub(super) fn on_corrupt(&mut self, chunk: ChunkIndex, from: Option<NodeId>) -> Blame {
        let partial = if from.is_none() { self.partials.remove(&chunk.get()) } else { None };
        if self.state(chunk) == ChunkState::Checking {
            let is_asked = self.askers.contains_key(&chunk.get());
            self.set(chunk, if is_asked { ChunkState::Active } else { ChunkState::Queued });
        }
        let contributors = partial.map(|partial| partial.contributors).unwrap_or_default();
        match from.or_else(|| contributors.first().copied().filter(|_| contributors.len() == 1)) {
            Some(node) => Blame::Certain(node),
            None => {
                self.solo.insert(chunk.get());
                Blame::Shared
            }
        }
    }

    /// A chunk is durable.
    pub(super) fn on_durable(&mut self, chunk: ChunkIndex) {
        match self.state(chunk) {
            ChunkState::Verified => self.set(chunk, ChunkState::Durable),
            ChunkState::Queued | ChunkState::Active | ChunkState::Checking => {
                self.early.insert(chunk.get());
            }
            ChunkState::Unwanted | ChunkState::Durable => {}
        }
    }

    /// A chunk that was served cannot be read just now. Returns all that the trouble concerns, which is not served until it comes
    /// back.
    pub(super) fn set_aside(&mut self, chunk: ChunkIndex, extent: Extent) -> Bitfield {
        let range = match extent {
            Extent::Chunk => chunk.get()..chunk.get() + 1,
            Extent::File => self.geometry().file_chunk_range(self.geometry().span(chunk).file),
            Extent::Content => 0..self.geometry().chunk_count(),
        };
        let mut concerned = Bitfield::new(self.geometry().chunk_count());
        for index in range.filter(|index| self.have.contains(*index)) {
            concerned.insert(index);
        }
        for index in concerned.iter() {
            self.have.remove(index);
            self.aside.insert(index);
        }
        concerned
    }

    /// Chunks that were set aside can be read again. Returns those that are served from now on.
    pub(super) fn bring_back(&mut self, chunks: &Bitfield) -> Bitfield {
        let mut back = Bitfield::new(chunks.len());
        for index in chunks.iter().filter(|index| self.aside.remove(*index)) {
            if matches!(self.states[index as usize], ChunkState::Verified | ChunkState::Durable) {
                self.have.insert(index);
                back.insert(index);
            }
        }
        back
    }

    /// A chunk that was served is gone. False if it was not served.
    pub(super) fn on_lost(&mut self, chunk: ChunkIndex) -> bool {
        let was_there = self.have.contains(chunk.get());
        if was_there {
            self.tally.wanted_len -= u64::from(self.geometry().chunk_len(chunk));
            self.set(chunk, ChunkState::Unwanted);
        }
        was_there
    }

    /// Chunks from this index on are not to be asked for yet.
    fn window_end(&self) -> Option<u32> {
        let Order::Sequential { window_len: Some(window_len) } = self.order else { return None };
        let geometry = self.geometry();
        let first = geometry.chunk(self.first_not_durable)?;
        let start = geometry.span(first).content_offset;
        let fits = |chunk: &ChunkIndex| {
            let span = geometry.span(*chunk);
            span.content_offset + u64::from(span.len) <= start + window_len
        };
        let last = (first.get()..).map_while(|index| geometry.chunk(index)).take_while(fits).last();
        Some(last.unwrap_or(first).get() + 1)
    }

    fn is_fresh(&self, chunk: ChunkIndex) -> bool {
        self.state(chunk) == ChunkState::Queued && self.picker.is_fresh(chunk)
    }

    /// The one place where a state changes, and with it everything derived from it.
    fn set(&mut self, chunk: ChunkIndex, state: ChunkState) {
        let geometry = self.manifest.geometry();
        let len = u64::from(geometry.chunk_len(chunk));
        let old = std::mem::replace(&mut self.states[chunk.get() as usize], state);
        self.tally.count(old, len, false);
        self.tally.count(state, len, true);
        if old == ChunkState::Queued {
            self.picker.unqueue(geometry, chunk);
        }
        if state == ChunkState::Queued {
            let is_begun = self.partials.contains_key(&chunk.get());
            self.picker.queue(geometry, chunk, is_begun);
        }
        match state {
            ChunkState::Verified | ChunkState::Durable if self.aside.contains(chunk.get()) => false,
            ChunkState::Verified | ChunkState::Durable => self.have.insert(chunk.get()),
            ChunkState::Unwanted | ChunkState::Queued | ChunkState::Active | ChunkState::Checking => {
                self.have.remove(chunk.get())
            }
        };
        self.move_window();
    }

    fn move_window(&mut self) {
        while let Some(ChunkState::Durable | ChunkState::Unwanted) =
            self.states.get(self.first_not_durable as usize)
        {
            self.first_not_durable += 1;
        }
    }
}

impl Tally {
    fn count(&mut self, state: ChunkState, len: u64, is_added: bool) {
        let add = |total: &mut u64| *total = if is_added { *total + len } else { *total - len };
        match state {
            ChunkState::Unwanted | ChunkState::Queued | ChunkState::Active => {}
            ChunkState::Checking => add(&mut self.checking_len),
            ChunkState::Verified => add(&mut self.verified_len),
            ChunkState::Durable => {
                add(&mut self.verified_len);
                add(&mut self.durable_len);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::manifest_of;

    const LINK: LinkId = LinkId(1);

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    /// One file of chunks of 16 KiB, all wanted, none there.
    fn chunks(count: usize, order: Order) -> Chunks {
        let manifest = manifest_of(&[("a", count * (16 << 10))]);
        let all = Bitfield::full(manifest.geometry().chunk_count());
        Chunks::new(manifest, &Bitfield::new(all.len()), &all, order, 1)
    }

    fn check_tally(chunks: &Chunks) {
        let wanted = chunks.geometry().chunks().filter(|chunk| chunks.state(*chunk) != ChunkState::Unwanted);
        let wanted_len = wanted.map(|chunk| u64::from(chunks.geometry().chunk_len(chunk))).sum();
        let mut recount = Tally { wanted_len, ..Tally::default() };
        for chunk in chunks.geometry().chunks() {
            recount.count(chunks.state(chunk), u64::from(chunks.geometry().chunk_len(chunk)), true);
            let is_there = matches!(chunks.state(chunk), ChunkState::Verified | ChunkState::Durable);
            let is_served = is_there && !chunks.aside.contains(chunk.get());
            assert_eq!(chunks.have.contains(chunk.get()), is_served);
            assert_eq!(chunks.is_checking(chunk), chunks.state(chunk) == ChunkState::Checking);
        }
        assert_eq!(chunks.tally, recount);
        let queued = chunks.states.iter().filter(|state| **state == ChunkState::Queued).count();
        assert_eq!(chunks.picker.len(), queued);
    }

    proptest! {
        #[test]
        fn tallies_equal_a_recount_after_anything(ops in prop::collection::vec((0u8..10, 0u32..12, 0u64..3), 0..80)) {
            let mut chunks = chunks(12, Order::RarestFirst);
            for (op, index, request) in ops {
                let chunk = chunks.geometry().chunk(index).expect("below 12");
                let run = chunks.geometry().run(index, 0, 16 << 10).expect("one chunk");
                match op {
                    0 => chunks.on_asked(run, LINK, RequestId(request)),
                    1 => chunks.on_released(chunk, LINK, RequestId(request)),
                    2 => { chunks.on_arrived(chunk); }
                    3 => { chunks.on_kept(chunk, request as u32 * 4096, 8192, node(request as u8)); }
                    4 => { chunks.on_verified(chunk); }
                    5 => { chunks.on_corrupt(chunk, (request == 0).then_some(node(1))); }
                    6 => chunks.on_durable(chunk),
                    7 => { chunks.on_lost(chunk); }
                    8 => { chunks.set_aside(chunk, Extent::Chunk); }
                    _ => { let all = chunks.aside.clone(); chunks.bring_back(&all); }
                }
                check_tally(&chunks);
            }
        }
    }

    #[test]
    fn short_chunks_are_asked_for_together_up_to_a_mebibyte_or_what_is_wanted_or_a_thousand() {
        let long = chunks(200, Order::Sequential { window_len: None });
        let asked = |chunks: &Chunks, len_max| {
            let all = Bitfield::full(chunks.geometry().chunk_count());
            let run = chunks.next_run(&all, len_max).expect("a run");
            (run.first().get(), chunks.geometry().pieces(run).count())
        };
        assert_eq!(asked(&long, u64::MAX), (0, 64));
        assert_eq!(asked(&long, 5 << 14), (0, 5));
        assert_eq!(asked(&long, (5 << 14) - 1), (0, 4));
        assert_eq!(asked(&long, 0), (0, 1), "one always");
        // Only what the peer has, in a row.
        let has: Bitfield = (0..200).map(|chunk| chunk != 3).collect();
        let run = long.next_run(&has, u64::MAX).expect("a run");
        assert_eq!((run.first().get(), run.len()), (0, 3 << 14));

        let names: Vec<String> = (0..2000).map(|index| format!("{index:04}")).collect();
        let files: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 100)).collect();
        let manifest = manifest_of(&files);
        let all = Bitfield::full(2000);
        let order = Order::Sequential { window_len: None };
        let tiny = Chunks::new(manifest, &Bitfield::new(2000), &all, order, 1);
        assert_eq!(asked(&tiny, u64::MAX), (0, RUN_CHUNKS_MAX as usize));
    }

    #[test]
    fn a_run_ends_where_something_is_on_its_way_and_where_the_window_does() {
        let mut sequential = chunks(40, Order::Sequential { window_len: Some(10 << 14) });
        let run = |chunks: &Chunks| {
            let run = chunks.next_run(&Bitfield::full(40), u64::MAX)?;
            Some((run.first().get(), run.len() >> 14))
        };
        assert_eq!(run(&sequential), Some((0, 10)));
        let other = sequential.geometry().run(4, 0, 16 << 10).expect("one chunk");
        sequential.on_asked(other, LINK, RequestId(1));
        assert_eq!(run(&sequential), Some((0, 4)));
        let first = sequential.geometry().run(0, 0, 4 << 14).expect("four chunks");
        sequential.on_asked(first, LINK, RequestId(2));
        assert_eq!(run(&sequential), Some((5, 5)));
    }

    #[test]
    fn the_rest_of_a_broken_chunk_is_asked_for_first() {
        let mut chunks = chunks(8, Order::RarestFirst);
        let broken = chunks.geometry().chunk(5).expect("below 8");
        assert_eq!(chunks.on_kept(broken, 0, 10_000, node(1)), 10_000);
        assert_eq!(chunks.on_kept(broken, 5_000, 6_000, node(1)), 1_000);
        let run = chunks.next_run(&Bitfield::full(8), 1 << 20).expect("a run");
        assert_eq!((run.first(), run.offset(), run.len()), (broken, 11_000, (16 << 10) - 11_000));
    }

    #[test]
    fn slices_of_two_peers_are_blamed_on_nobody_and_then_asked_of_one() {
        let mut chunks = chunks(2, Order::RarestFirst);
        let chunk = chunks.geometry().chunk(0).expect("below 2");
        chunks.on_kept(chunk, 0, 8 << 10, node(1));
        chunks.on_kept(chunk, 8 << 10, 8 << 10, node(2));
        assert!(chunks.is_put_together(chunk));
        chunks.on_arrived(chunk);
        assert_eq!(chunks.on_corrupt(chunk, None), Blame::Shared);
        assert_eq!(chunks.on_kept(chunk, 0, 100, node(1)), 0);
        chunks.on_arrived(chunk);
        assert_eq!(chunks.on_corrupt(chunk, Some(node(2))), Blame::Certain(node(2)));
    }

    #[test]
    fn a_chunk_may_be_durable_before_the_word_of_its_check_comes() {
        let mut chunks = chunks(1, Order::RarestFirst);
        let chunk = chunks.geometry().chunk(0).expect("the one");
        chunks.on_arrived(chunk);
        chunks.on_durable(chunk);
        assert!(!chunks.is_durable());
        assert!(chunks.on_verified(chunk));
        assert!(chunks.is_durable());
    }

    #[test]
    fn a_window_begins_where_something_is_wanted() {
        let manifest = manifest_of(&[("a", 100 << 14), ("b", 2 << 14)]);
        let mut wanted = Bitfield::new(102);
        (100..102).for_each(|chunk| assert!(wanted.insert(chunk)));
        let order = Order::Sequential { window_len: Some(48 << 10) };
        let chunks = Chunks::new(manifest, &Bitfield::new(102), &wanted, order, 1);
        let run = chunks.next_run(&Bitfield::full(102), 1 << 20).expect("a run");
        assert_eq!(run.first().get(), 100);
    }

    #[test]
    fn a_window_moves_with_what_is_durable() {
        let mut chunks = chunks(100, Order::Sequential { window_len: Some(48 << 10) });
        let full = Bitfield::full(100);
        let run = chunks.next_run(&full, 1 << 20).expect("a run");
        assert_eq!((run.first().get(), run.len()), (0, 48 << 10));
        chunks.on_asked(run, LINK, RequestId(1));
        assert_eq!(chunks.next_run(&full, 1 << 20), None);
        let first = run.first();
        chunks.on_arrived(first);
        chunks.on_verified(first);
        assert_eq!(chunks.next_run(&full, 1 << 20), None);
        chunks.on_durable(first);
        assert_eq!(chunks.next_run(&full, 1 << 20).map(|run| run.first().get()), Some(3));
    }
}
