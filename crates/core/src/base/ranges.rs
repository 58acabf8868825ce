//! A set of byte offsets as ranges. Invariant: ranges are rising, not empty, and none touch.

use std::ops::Range;

/// A set of numbers kept as ranges; small, so a sorted vector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet(Vec<Range<u32>>);

impl RangeSet {
    /// The empty set.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a range.
    pub fn insert(&mut self, range: Range<u32>) {
        if range.is_empty() {
            return;
        }
        let first = self.0.partition_point(|r| r.end < range.start);
        let last = self.0.partition_point(|r| r.start <= range.end);
        let mut merged = range;
        if first < last {
            merged.start = merged.start.min(self.0[first].start);
            merged.end = merged.end.max(self.0[last - 1].end);
        }
        self.0.splice(first..last, [merged]);
    }

    /// Takes a range out.
    pub fn remove(&mut self, range: Range<u32>) {
        if range.is_empty() {
            return;
        }
        let mut kept = Vec::with_capacity(self.0.len() + 1);
        for old in &self.0 {
            for part in [old.start..old.end.min(range.start), old.start.max(range.end)..old.end] {
                if !part.is_empty() {
                    kept.push(part);
                }
            }
        }
        self.0 = kept;
    }

    /// How many numbers are in the set.
    pub fn covered_len(&self) -> u32 {
        self.0.iter().map(|r| r.end - r.start).sum()
    }

    /// Nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first run of numbers in `0..len` that the set lacks.
    pub fn first_gap(&self, len: u32) -> Option<Range<u32>> {
        let start = match self.0.first() {
            Some(first) if first.start == 0 => first.end,
            _ => 0,
        };
        let end = self.0.iter().find(|r| r.start > start).map_or(len, |r| r.start.min(len));
        (start < end).then_some(start..end)
    }

    /// The ranges, rising.
    pub fn iter(&self) -> impl Iterator<Item = Range<u32>> + '_ {
        self.0.iter().cloned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_range_set_is_a_set_of_numbers(ops in prop::collection::vec((any::<bool>(), 0u32..40, 0u32..12), 0..30)) {
            let (mut ranges, mut set) = (RangeSet::new(), BTreeSet::new());
            for (insert, start, len) in ops {
                if insert {
                    ranges.insert(start..start + len);
                    set.extend(start..start + len);
                } else {
                    ranges.remove(start..start + len);
                    set.retain(|n| !(start..start + len).contains(n));
                }
                prop_assert!(ranges.iter().flatten().eq(set.iter().copied()));
                prop_assert!(ranges.iter().zip(ranges.iter().skip(1)).all(|(a, b)| a.end < b.start));
                prop_assert_eq!(ranges.covered_len() as usize, set.len());
                let gap: Vec<u32> = ranges.first_gap(60).into_iter().flatten().collect();
                let first = (0..60).find(|n| !set.contains(n)).expect("60 numbers are more than 52");
                prop_assert_eq!(gap[0], first);
                prop_assert!(gap.iter().all(|n| !set.contains(n)));
                prop_assert!(gap.last() == Some(&59) || set.contains(&(gap[gap.len() - 1] + 1)));
            }
        }
    }
}
