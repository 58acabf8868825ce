//! Which chunk to ask for next. Invariant: exactly the queued chunks that are not held back stand in the order, each under its current key.
//! Policy is [`Picker::key`] and nothing else. Knows no peers, only how many have a chunk.

use std::collections::BTreeSet;

use swarm_core::base::limits::RUN_LEN_TARGET;
use swarm_core::base::{Bitfield, mix};
use swarm_core::manifest::{ChunkIndex, Geometry};

use super::ranks::Rank;

/// The queue of chunks that no peer has been asked for.
#[derive(Debug)]
pub(super) struct Picker {
    is_sequential: bool,
    salt_seed: u64,
    /// Of each chunk; empty while all are normal.
    ranks: Vec<Rank>,
    /// Peers that have each chunk, not counting those that have all.
    availability: Vec<u16>,
    /// Peers that had all chunks when they said so.
    everywhere: u32,
    order: BTreeSet<Key>,
    /// What stands in the order, and what of that is begun.
    queued: Bitfield,
    begun: Bitfield,
}

/// The order of requests. The fields are compared from the first to the last; the smallest key comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// As the product wants it.
    rank: Rank,
    /// Nothing of it is on disk: what is begun comes first.
    is_fresh: bool,
    /// Peers that have it, without those that have everything: the rarest first.
    availability: u16,
    /// This node's own, so that nodes choose differently; the same for neighbours in small files, which make one run.
    salt: u32,
    chunk: u32,
}

impl Picker {
    /// An empty queue. The seed makes nodes that see the same availability choose differently.
    pub(super) fn new(chunk_count: u32, is_sequential: bool, salt_seed: u64) -> Self {
        Self {
            is_sequential,
            salt_seed,
            ranks: Vec::new(),
            availability: vec![0; chunk_count as usize],
            everywhere: 0,
            order: BTreeSet::new(),
            queued: Bitfield::new(chunk_count),
            begun: Bitfield::new(chunk_count),
        }
    }

    /// Ranks each chunk; an empty list says that all are normal. `queued` are all chunks that no peer is asked for, and whether they are begun.
    pub(super) fn rank(&mut self, geometry: &Geometry, ranks: Vec<Rank>, queued: Vec<(ChunkIndex, bool)>) {
        self.ranks = ranks;
        self.order.clear();
        let chunk_count = self.queued.len();
        (self.queued, self.begun) = (Bitfield::new(chunk_count), Bitfield::new(chunk_count));
        for (chunk, is_begun) in queued {
            self.queue(geometry, chunk, is_begun);
        }
    }

    /// The rank of what is asked for next; normal if nothing is.
    pub(super) fn first_rank(&self) -> Rank {
        if self.ranks.is_empty() {
            return Rank::Normal;
        }
        self.order.first().map_or(Rank::Normal, |key| key.rank)
    }

    /// Whether a chunk is held back.
    pub(super) fn is_held(&self, chunk: ChunkIndex) -> bool {
        self.rank_of(chunk) == Rank::Held
    }

    fn rank_of(&self, chunk: ChunkIndex) -> Rank {
        self.ranks.get(chunk.get() as usize).copied().unwrap_or_default()
    }

    /// Puts a chunk in the queue, unless it is held back.
    pub(super) fn queue(&mut self, geometry: &Geometry, chunk: ChunkIndex, is_begun: bool) {
        if self.is_held(chunk) {
            return;
        }
        let key = self.key(geometry, chunk, is_begun);
        self.order.insert(key);
        self.queued.insert(chunk.get());
        if is_begun {
            self.begun.insert(chunk.get());
        }
    }

    /// Takes a chunk out of the queue.
    pub(super) fn unqueue(&mut self, geometry: &Geometry, chunk: ChunkIndex) {
        if self.queued.remove(chunk.get()) {
            let is_begun = self.begun.remove(chunk.get());
            self.order.remove(&self.key(geometry, chunk, is_begun));
        }
    }

    /// The best chunk that the peer has, below the window's end.
    pub(super) fn next(
        &self,
        geometry: &Geometry,
        has: &Bitfield,
        window_end: Option<u32>,
    ) -> Option<ChunkIndex> {
        let in_window = |chunk: u32| window_end.is_none_or(|end| chunk < end);
        // A peer that has little of what is queued is the common case in a young swarm: the order is not walked for it.
        let few: Vec<u32> = has.both(&self.queued).take(FEW + 1).collect();
        if few.len() <= FEW {
            let chunks = few.into_iter().filter(|&chunk| in_window(chunk)).filter_map(|c| geometry.chunk(c));
            return chunks.min_by_key(|&chunk| self.key(geometry, chunk, self.begun.contains(chunk.get())));
        }
        let found =
            self.order.iter().map(|key| key.chunk).find(|&chunk| has.contains(chunk) && in_window(chunk))?;
        geometry.chunk(found)
    }

    /// Whether a peer has more chunks of the queue than that.
    pub(super) fn has_more_than(&self, count: usize, has: &Bitfield) -> bool {
        has.both(&self.queued).nth(count).is_some()
    }

    /// Whether a chunk is in the queue with nothing of it on disk.
    pub(super) fn is_fresh(&self, chunk: ChunkIndex) -> bool {
        self.queued.contains(chunk.get()) && !self.begun.contains(chunk.get())
    }

    /// How many chunks are in the queue.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// The first of the queue that no peer has.
    pub(super) fn first_unavailable(&self) -> Option<u32> {
        self.order.iter().map(|key| key.chunk).find(|&chunk| self.is_nowhere(chunk))
    }

    fn is_nowhere(&self, chunk: u32) -> bool {
        self.everywhere == 0 && self.availability[chunk as usize] == 0
    }

    /// Whether fewer than so many peers have a chunk.
    pub(super) fn is_rarer_than(&self, count: u32, chunk: u32) -> bool {
        self.everywhere + u32::from(self.availability[chunk as usize]) < count
    }

    /// One more peer has these chunks.
    pub(super) fn add(&mut self, geometry: &Geometry, chunks: &[u32]) {
        self.shift(geometry, chunks, |count| count.saturating_add(1));
    }

    /// One peer fewer has these chunks.
    pub(super) fn subtract(&mut self, geometry: &Geometry, chunks: &[u32]) {
        self.shift(geometry, chunks, |count| count.saturating_sub(1));
    }

    /// One more peer has everything: no key changes.
    pub(super) fn add_everywhere(&mut self) {
        self.everywhere += 1;
    }

    /// One peer that had everything is gone.
    pub(super) fn subtract_everywhere(&mut self) {
        self.everywhere -= 1;
    }

    fn key(&self, geometry: &Geometry, chunk: ChunkIndex, is_begun: bool) -> Key {
        let rank = self.rank_of(chunk);
        if self.is_sequential {
            return Key { rank, is_fresh: !is_begun, availability: 0, salt: 0, chunk: chunk.get() };
        }
        let group = geometry.span(chunk).content_offset / u64::from(RUN_LEN_TARGET);
        let salt = (mix(self.salt_seed, group) >> 32) as u32;
        let availability = self.availability[chunk.get() as usize];
        Key { rank, is_fresh: !is_begun, availability, salt, chunk: chunk.get() }
    }

    /// Moves each chunk to its new place; where that is most of them, builds the order anew.
    fn shift(&mut self, geometry: &Geometry, chunks: &[u32], change: impl Fn(u16) -> u16) {
        let is_bulk = chunks.len() > self.order.len() / 8 + 8;
        let mut begun = Vec::new();
        let mut queued = Vec::new();
        if is_bulk {
            for key in std::mem::take(&mut self.order) {
                if key.is_fresh { queued.push(key.chunk) } else { begun.push(key.chunk) }
            }
        }
        for &index in chunks {
            let Some(chunk) = geometry.chunk(index) else { continue };
            let is_queued = !is_bulk && self.queued.contains(index);
            let is_begun = self.begun.contains(index);
            let is_moved = is_queued && self.order.remove(&self.key(geometry, chunk, is_begun));
            let count = &mut self.availability[index as usize];
            *count = change(*count);
            if is_moved {
                self.queue(geometry, chunk, is_begun);
            }
        }
        let anew = queued.into_iter().map(|i| (i, false)).chain(begun.into_iter().map(|i| (i, true)));
        let keys = anew.filter_map(|(i, is_begun)| Some(self.key(geometry, geometry.chunk(i)?, is_begun)));
        if is_bulk {
            self.order = keys.collect();
        }
    }
}

/// Up to so many candidates are compared one by one.
const FEW: usize = 32;

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    /// Chunks of 1 MiB. `queue`: `#` fresh, `+` begun, `.` not queued. `avail`: peers that have each chunk.
    fn picker(queue: &str, avail: &str, is_sequential: bool) -> (Geometry, Picker) {
        let geometry = Geometry::new([(queue.len() as u64 * (1 << 20), 20)]).expect("a small file");
        let mut picker = Picker::new(geometry.chunk_count(), is_sequential, 1);
        for (state, chunk) in queue.chars().zip(geometry.chunks()) {
            match state {
                '#' => picker.queue(&geometry, chunk, false),
                '+' => picker.queue(&geometry, chunk, true),
                _ => {}
            }
        }
        let counts: Vec<u32> = avail.chars().map(|c| c.to_digit(10).expect("a digit")).collect();
        for peer in 0..9 {
            let has: Bitfield = counts.iter().map(|&count| peer < count).collect();
            picker.add(&geometry, &has.iter().collect::<Vec<_>>());
        }
        (geometry, picker)
    }

    fn check_pick(queue: &str, avail: &str, has: &str, expected: Expect) {
        check(queue, avail, has, false, None, &expected);
    }

    fn check(
        queue: &str,
        avail: &str,
        has: &str,
        is_sequential: bool,
        window_end: Option<u32>,
        expected: &Expect,
    ) {
        let (geometry, mut picker) = picker(queue, avail, is_sequential);
        let has: Bitfield = has.chars().map(|c| c == '#').collect();
        let mut picked = Vec::new();
        while let Some(chunk) = picker.next(&geometry, &has, window_end) {
            picker.unqueue(&geometry, chunk);
            picked.push(chunk.get().to_string());
        }
        expected.assert_eq(&picked.join(" "));
    }

    #[test]
    fn prefers_the_rarest_chunk_the_peer_has() {
        check_pick("####", "4123", "##.#", expect!["1 3 0"]);
    }

    #[test]
    fn finishes_what_is_begun_before_anything_rare() {
        check_pick("#+##", "3912", "####", expect!["1 2 3 0"]);
    }

    #[test]
    fn picks_nothing_the_peer_lacks_or_that_is_not_queued() {
        check_pick("#.#.", "1111", ".#.#", expect![""]);
    }

    #[test]
    fn goes_from_the_front_when_sequential_and_stays_in_the_window() {
        check("#####", "91919", "#####", true, Some(3), &expect!["0 1 2"]);
    }

    #[test]
    fn nodes_with_other_seeds_take_other_chunks_first() {
        let geometry = Geometry::new([(64 << 20, 20)]).expect("a small file");
        let firsts: BTreeSet<u32> = (0..20)
            .filter_map(|seed| {
                let mut picker = Picker::new(64, false, seed);
                geometry.chunks().for_each(|chunk| picker.queue(&geometry, chunk, false));
                picker.next(&geometry, &Bitfield::full(64), None).map(ChunkIndex::get)
            })
            .collect();
        assert!(firsts.len() > 10, "{firsts:?}");
    }

    #[test]
    fn small_files_of_one_mebibyte_are_picked_in_a_row() {
        let geometry = Geometry::new(std::iter::repeat_n((64 << 10, 20), 64)).expect("small files");
        let mut picker = Picker::new(64, false, 3);
        geometry.chunks().for_each(|chunk| picker.queue(&geometry, chunk, false));
        let first = picker.next(&geometry, &Bitfield::full(64), None).expect("a chunk").get();
        assert_eq!(first % 16, 0);
        picker.unqueue(&geometry, geometry.chunk(first).expect("it was picked"));
        assert_eq!(picker.next(&geometry, &Bitfield::full(64), None).map(ChunkIndex::get), Some(first + 1));
    }

    proptest! {
        #[test]
        fn the_order_equals_one_built_anew(ops in prop::collection::vec((0u8..7, 0u32..60, 0u32..20), 0..60)) {
            let geometry = Geometry::new([(60 << 20, 20)]).expect("a small file");
            let mut picker = Picker::new(60, false, 9);
            let (mut counts, mut everywhere) = ([0u32; 60], 0u32);
            let mut queued = std::collections::BTreeMap::new();
            for (op, first, count) in ops {
                let chunk = geometry.chunk(first).expect("below 60");
                let set: Vec<u32> = (first..(first + count).min(60)).collect();
                match op {
                    0 => { picker.unqueue(&geometry, chunk); queued.remove(&first); }
                    1 | 2 => {
                        picker.unqueue(&geometry, chunk);
                        picker.queue(&geometry, chunk, op == 2);
                        queued.insert(first, op == 2);
                    }
                    3 => {
                        picker.add(&geometry, &set);
                        set.iter().for_each(|&i| counts[i as usize] += 1);
                    }
                    4 => {
                        picker.subtract(&geometry, &set);
                        set.iter().for_each(|&i| counts[i as usize] = counts[i as usize].saturating_sub(1));
                    }
                    5 => {
                        picker.add_everywhere();
                        everywhere += 1;
                    }
                    _ if everywhere > 0 => {
                        picker.subtract_everywhere();
                        everywhere -= 1;
                    }
                    _ => {}
                }
                for chunk in 0..60 {
                    let count = everywhere + counts[chunk as usize];
                    prop_assert!(picker.is_rarer_than(count + 1, chunk) && !picker.is_rarer_than(count, chunk));
                }
                let is_lacking = |chunk: &u32| everywhere + counts[*chunk as usize] == 0;
                let lacking = queued.keys().copied().find(is_lacking);
                prop_assert_eq!(picker.first_unavailable().is_some(), lacking.is_some());
                prop_assert!(picker.first_unavailable().is_none_or(|chunk| is_lacking(&chunk) && queued.contains_key(&chunk)));
                let all = Bitfield::full(60);
                prop_assert!(!picker.has_more_than(queued.len(), &all));
                prop_assert!(queued.is_empty() || picker.has_more_than(queued.len() - 1, &all));
                let anew: BTreeSet<Key> = queued.iter()
                    .map(|(&i, &is_begun)| picker.key(&geometry, geometry.chunk(i).expect("below 60"), is_begun)).collect();
                prop_assert_eq!(&picker.order, &anew);
            }
        }
    }
}
