//! The order in which a plan can be carried out over the replaced file itself, where there is no space for a second one.
//!
//! Invariant: a copy out of the replaced file comes before every write to the bytes that it reads. Where copies wait for each other in a
//! circle, the shortest of the circle is fetched instead. Absent here: the journal, without which a crash in the middle loses both versions.

use std::collections::BTreeSet;

use super::fill::{FileIndex, FillPlan, Step};

/// The steps of a plan, without those that keep bytes, in an order in which they can be carried out over the replaced file. A copy whose
/// source and target overlap has to move its bytes as if through a buffer. The file is cut to its new length after the last step.
pub fn in_place_order(plan: &FillPlan) -> Vec<Step> {
    let (moves, others): (Vec<_>, Vec<_>) =
        plan.steps().iter().copied().filter(|step| !is_kept(*step)).partition(|step| is_move(*step));
    let mut order = Order::new(moves);
    order.run();
    let (mut steps, fetched) = (order.done, order.fetched);
    // Nothing reads what these write: all reading is over.
    let mut last = others.into_iter().chain(fetched).collect::<Vec<_>>();
    last.sort_by_key(|step| step.to());
    steps.extend(last);
    steps
}

fn is_kept(step: Step) -> bool {
    matches!(step, Step::Keep { .. })
}

fn is_move(step: Step) -> bool {
    matches!(step, Step::Copy { file: FileIndex::REPLACED, .. })
}

/// Moves within the file, by their index; sorted by where they write, and their targets do not overlap.
struct Order {
    moves: Vec<Step>,
    /// For each move, the others that read what it overwrites. Together about as many as the file has slices, at most.
    readers: Vec<Vec<u32>>,
    /// How many of them are still to come.
    waiting_for: Vec<usize>,
    ready: BTreeSet<u32>,
    left: BTreeSet<u32>,
    done: Vec<Step>,
    fetched: Vec<Step>,
}

impl Order {
    fn new(moves: Vec<Step>) -> Self {
        let mut readers = vec![Vec::new(); moves.len()];
        for reader in 0..moves.len() {
            for writer in overwritten_by(&moves, reader) {
                readers[writer].push(reader as u32);
            }
        }
        let waiting_for = readers.iter().map(Vec::len).collect::<Vec<_>>();
        let left = (0..moves.len() as u32).collect::<BTreeSet<_>>();
        let ready = left.iter().copied().filter(|&index| waiting_for[index as usize] == 0).collect();
        Self { moves, readers, waiting_for, ready, left, done: Vec::new(), fetched: Vec::new() }
    }

    fn run(&mut self) {
        while let Some(&first) = self.left.first() {
            if let Some(index) = self.ready.pop_first() {
                self.done.push(self.moves[index as usize]);
                self.release(index);
            } else {
                let index = self.shortest_of_circle(first);
                let step = self.moves[index as usize];
                self.fetched.push(Step::Fetch { to: step.to(), len: step.len() });
                self.release(index);
            }
        }
    }

    /// A move reads no more.
    fn release(&mut self, index: u32) {
        self.left.remove(&index);
        for writer in overwritten_by(&self.moves, index as usize) {
            self.waiting_for[writer] -= 1;
            if self.waiting_for[writer] == 0 && self.left.contains(&(writer as u32)) {
                self.ready.insert(writer as u32);
            }
        }
    }

    /// Nothing is ready, so each move that is left waits for one that is left: going from one to the next ends in a circle.
    fn shortest_of_circle(&self, first: u32) -> u32 {
        let mut seen = BTreeSet::new();
        let mut at = first;
        while seen.insert(at) {
            at = self.awaited(at);
        }
        let circle = std::iter::successors(Some(at), |&at| Some(self.awaited(at)));
        let circle = circle.take(seen.len()).map(|index| (self.moves[index as usize].len(), index));
        circle.min().map_or(at, |(_, index)| index)
    }

    fn awaited(&self, index: u32) -> u32 {
        let mut readers = self.readers[index as usize].iter();
        *readers
            .find(|reader| self.left.contains(reader))
            .expect("a move that is not ready waits for one that is left")
    }
}

/// The other moves that overwrite what a move reads.
fn overwritten_by(moves: &[Step], reader: usize) -> impl Iterator<Item = usize> + use<> {
    let step = moves[reader];
    let from = step.place().map_or(0, |place| place.at);
    let first = moves.partition_point(|other| other.end() <= from);
    let end = moves.partition_point(|other| other.to() < from + step.len());
    (first..end).filter(move |&writer| writer != reader)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;
    use crate::delta::made::SplitMix;
    use crate::delta::{Recipe, fill_plan, made};

    /// Carries steps out over the old bytes; what is fetched is taken from the new ones.
    fn carried_out(steps: &[Step], old: &[u8], new: &[u8], other: &[u8]) -> Vec<u8> {
        let mut file = old.to_vec();
        file.resize(old.len().max(new.len()), 0);
        for &step in steps {
            let (to, len) = (step.to() as usize, step.len() as usize);
            match step {
                Step::Keep { .. } => unreachable!("what is kept needs no step"),
                Step::Copy { file: FileIndex::REPLACED, from, .. } => {
                    file.copy_within(from as usize..from as usize + len, to)
                }
                Step::Copy { from, .. } => file[to..to + len].copy_from_slice(&other[from as usize..][..len]),
                Step::Fetch { .. } => file[to..to + len].copy_from_slice(&new[to..to + len]),
            }
        }
        file.truncate(new.len());
        file
    }

    /// Each letter is 16 KiB of bytes of its own. The picture has a step a word, with a plus if it is fetched.
    fn check(old: &str, new: &str, picture: Expect) {
        let block = |letter: u8| (letter, made::random(u64::from(letter), 16 << 10));
        let bytes = |letters: &str| letters.bytes().flat_map(|letter| block(letter).1).collect::<Vec<_>>();
        let moves = new.bytes().enumerate().map(|(to, letter)| {
            let (to, len) = (to as u64 * (16 << 10), 16 << 10);
            match old.bytes().position(|other| other == letter) {
                Some(from) if from as u64 * len == to => Step::Keep { at: to, len },
                Some(from) => Step::Copy { file: FileIndex::REPLACED, from: from as u64 * len, to, len },
                None => Step::Fetch { to, len },
            }
        });
        let plan = FillPlan::default().refined(moves);
        let steps = in_place_order(&plan);
        let (old, new_bytes) = (bytes(old), bytes(new));
        assert!(carried_out(&steps, &old, &new_bytes, b"") == new_bytes);
        let shown = steps.iter().map(|step| {
            let range = &new[(step.to() >> 14) as usize..(step.end() >> 14) as usize];
            if step.place().is_some() { range.to_string() } else { format!("+{range}") }
        });
        picture.assert_eq(&shown.collect::<Vec<_>>().join(" "));
    }

    #[test]
    fn bytes_that_move_back_move_from_the_end() {
        check("abcd", "Xabcd", expect!["abcd +X"]);
        check("abcd", "XaYbZcd", expect!["cd b a +X +Y +Z"]);
    }

    #[test]
    fn bytes_that_move_forward_move_from_the_start() {
        check("abcd", "bd", expect!["b d"]);
    }

    #[test]
    fn of_two_that_swap_places_one_is_fetched() {
        check("abcd", "badc", expect!["a c +b +d"]);
    }

    #[test]
    fn the_shortest_of_a_circle_is_fetched() {
        check("abcdef", "efdabc", expect!["abc +ef +d"]);
    }

    #[test]
    fn what_only_waits_for_a_circle_is_not_fetched() {
        check("abcd", "bacX", expect!["a +b +X"]);
        check("abXcd", "babad", expect!["a ab +b"]);
    }

    /// Blocks of 20 to 60 KiB out of few, so that many moves cross.
    fn shuffled(seed: u64, blocks: u64) -> Vec<u8> {
        let mut chance = SplitMix(seed);
        let block = |kind: u64| made::random(kind, 20_000 + (kind as usize) * 6000);
        (0..blocks).flat_map(|_| block(chance.below(7))).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn steps_carried_out_over_the_old_file_give_the_new_one(old: u64, new: u64, other: u64, blocks in (0_u64..16, 0_u64..16)) {
            let (old, new, other) = (shuffled(old, blocks.0), shuffled(new, blocks.1), shuffled(other, 3));
            let recipes = [&old, &other].map(|bytes| Recipe::of(bytes));
            let plan = fill_plan(&Recipe::of(&new), &[(FileIndex(0), &recipes[0]), (FileIndex(1), &recipes[1])]);
            let steps = in_place_order(&plan);
            prop_assert!(carried_out(&steps, &old, &new, &other) == new);
        }

        #[test]
        fn any_moves_can_be_carried_out(seed: u64, count in 0_u64..40) {
            let mut chance = SplitMix(seed);
            let old = made::random(seed, 4000);
            let (mut moves, mut new, mut to) = (Vec::new(), Vec::new(), 0);
            for _ in 0..count {
                let len = 1 + chance.below(200);
                let from = chance.below(4000 - len);
                new.extend_from_slice(&old[from as usize..][..len as usize]);
                moves.push(Step::Copy { file: FileIndex::REPLACED, from, to, len });
                to += len;
            }
            let steps = in_place_order(&FillPlan::default().refined(moves));
            prop_assert!(carried_out(&steps, &old, &new, b"") == new);
        }
    }
}
