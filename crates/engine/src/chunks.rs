//! Chunk states. Invariant: every chunk is in exactly one state; the tallies and the picker's queue equal a recount.
//! Knows requests only as the names of who was asked.

use std::collections::{BTreeMap, BTreeSet};

use swarm_core::base::limits::{RUN_CHUNKS_MAX, RUN_LEN_TARGET};
use swarm_core::base::{Bitfield, NodeId, RangeSet};
use swarm_core::manifest::{ChunkIndex, Geometry, Manifest, Run};
use swarm_core::wire::RequestId;

use super::input::{Kept, Order};
use super::io::{Extent, LinkId};
use super::picker::Picker;
use super::ranks::{Ranks, by_chunk};

/// What is known of one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkState {
    /// Not wanted, or offered once and lost.
    Unwanted,
    /// Wanted; no peer is asked for it.
    Queued,
    /// A peer is asked for it.
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
    /// Verified, and not readable just now: not served, and not lost.
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

/// What is here of a chunk that is not whole.
#[derive(Debug, Default)]
struct Partial {
    kept: RangeSet,
    contributors: BTreeSet<NodeId>,
    /// Some of it was here before any peer sent anything: no peer alone is to blame for the whole.
    is_begun_here: bool,
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

    /// Chunks are picked in the order of these ranks from now on.
    pub(super) fn rank(&mut self, ranks: &Ranks) {
        let geometry = self.manifest.geometry();
        let is_queued = |chunk: &ChunkIndex| self.states[chunk.get() as usize] == ChunkState::Queued;
        let queued = geometry.chunks().filter(is_queued);
        let queued: Vec<(ChunkIndex, bool)> =
            queued.map(|chunk| (chunk, self.partials.contains_key(&chunk.get()))).collect();
        self.picker.rank(geometry, by_chunk(ranks, geometry.chunk_count()), queued);
    }

    /// Bytes that are here of a chunk that is not whole.
    pub(super) fn kept_len(&self, chunk: ChunkIndex) -> u32 {
        self.partials.get(&chunk.get()).map_or(0, |partial| partial.kept.covered_len())
    }

    /// Takes over what the store has of chunks that are wanted. What would make a chunk whole, or reaches past it, is not believed.
    pub(super) fn begin(&mut self, kept: Kept) {
        for (index, kept) in kept {
            let Some(chunk) = self.geometry().chunk(index) else { continue };
            let len = self.geometry().chunk_len(chunk);
            let is_part = kept.first_gap(len).is_some() && kept.iter().all(|range| range.end <= len);
            if self.state(chunk) == ChunkState::Queued && is_part && !kept.is_empty() {
                self.picker.unqueue(self.manifest.geometry(), chunk);
                let partial = Partial { kept, is_begun_here: true, ..Partial::default() };
                self.partials.insert(index, partial);
                self.picker.queue(self.manifest.geometry(), chunk, true);
            }
        }
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

    /// One peer more or one fewer has these chunks.
    pub(super) fn count(&mut self, chunks: &[u32], is_added: bool) {
        let geometry = self.manifest.geometry();
        if is_added {
            self.picker.add(geometry, chunks);
        } else {
            self.picker.subtract(geometry, chunks);
        }
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

    /// A peer was asked for a run.
    pub(super) fn on_asked(&mut self, run: Run, link: LinkId, request: RequestId) {
        let pieces: Vec<ChunkIndex> = self.geometry().pieces(run).map(|piece| piece.chunk).collect();
        for chunk in pieces {
            self.askers.entry(chunk.get()).or_default().push((link, request));
            if self.state(chunk) == ChunkState::Queued {
                self.set(chunk, ChunkState::Active);
            }
        }
    }

    /// A peer will not send a chunk any more.
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

    /// Whether the check of any chunk is under way.
    pub(super) fn has_checking(&self) -> bool {
        self.tally.checking_len > 0
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
        let blamable = partial.filter(|partial| !partial.is_begun_here);
        let contributors = blamable.map(|partial| partial.contributors).unwrap_or_default();
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

    /// A chunk that was served cannot be read just now. Returns all chunks that the trouble concerns: they are not served until they are
    /// brought back.
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
mod tests;
