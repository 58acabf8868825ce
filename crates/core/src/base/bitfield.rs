//! A set of chunk indexes below a fixed length. Invariant: the count equals a recount, no bit stands past the length.

/// A fixed-length set of small numbers.
#[derive(Clone, PartialEq, Eq)]
pub struct Bitfield {
    words: Vec<u64>,
    len: u32,
    count: u32,
}

impl Bitfield {
    /// The empty set of numbers below `len`.
    pub fn new(len: u32) -> Self {
        Self { words: vec![0; len.div_ceil(64) as usize], len, count: 0 }
    }

    /// All numbers below `len`.
    pub fn full(len: u32) -> Self {
        let mut set = Self { words: vec![u64::MAX; len.div_ceil(64) as usize], len, count: len };
        if !len.is_multiple_of(64) {
            set.words[(len / 64) as usize] = (1 << (len % 64)) - 1;
        }
        set
    }

    /// Adds one; true if it was not there. A number past the length is not added.
    pub fn insert(&mut self, index: u32) -> bool {
        if index >= self.len {
            return false;
        }
        let (word, bit) = (&mut self.words[(index / 64) as usize], 1 << (index % 64));
        let fresh = *word & bit == 0;
        *word |= bit;
        self.count += u32::from(fresh);
        fresh
    }

    /// Adds those of another set that has no greater numbers than fit here.
    pub fn insert_all(&mut self, other: &Self) {
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word |= more;
        }
        if let (Some(last), false) = (self.words.last_mut(), self.len.is_multiple_of(64)) {
            *last &= (1 << (self.len % 64)) - 1;
        }
        self.count = self.words.iter().map(|word| word.count_ones()).sum();
    }

    /// Takes one out; true if it was there.
    pub fn remove(&mut self, index: u32) -> bool {
        if index >= self.len {
            return false;
        }
        let (word, bit) = (&mut self.words[(index / 64) as usize], 1 << (index % 64));
        let there = *word & bit != 0;
        *word &= !bit;
        self.count -= u32::from(there);
        there
    }

    /// Whether the number is in the set.
    pub fn contains(&self, index: u32) -> bool {
        index < self.len && self.words[(index / 64) as usize] & (1 << (index % 64)) != 0
    }

    /// How many numbers the set may hold.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// How many numbers are in the set.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Everything below the length is in the set.
    pub fn is_full(&self) -> bool {
        self.count == self.len
    }

    /// The numbers in the set, rising.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().zip(0u32..).flat_map(|(&word, index)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros();
                rest &= rest.wrapping_sub(1);
                (bit < 64).then_some(index * 64 + bit)
            })
        })
    }

    /// The numbers in both sets, rising.
    pub fn both<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = u32> + 'a {
        self.words.iter().zip(&other.words).zip(0u32..).flat_map(|((a, b), index)| {
            let mut rest = a & b;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros();
                rest &= rest.wrapping_sub(1);
                (bit < 64).then_some(index * 64 + bit)
            })
        })
    }

    /// The set as runs of `(first, count)`, rising, none touching.
    pub fn runs(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let first = self.next(at, true)?;
            let end = self.next(first, false).unwrap_or(self.len);
            at = end;
            Some((first, end - first))
        })
    }

    /// Whether this set holds something that `other` lacks.
    pub fn has_beyond(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(mine, theirs)| mine & !theirs != 0)
    }

    fn next(&self, from: u32, wanted: bool) -> Option<u32> {
        let mut index = from;
        while index < self.len {
            let word = self.words[(index / 64) as usize];
            let word = if wanted { word } else { !word } >> (index % 64);
            if word != 0 {
                let found = index + word.trailing_zeros();
                return (found < self.len).then_some(found);
            }
            index = (index / 64 + 1) * 64;
        }
        None
    }
}

impl std::fmt::Debug for Bitfield {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.count, self.len)
    }
}

impl FromIterator<bool> for Bitfield {
    fn from_iter<I: IntoIterator<Item = bool>>(bits: I) -> Self {
        let bits: Vec<bool> = bits.into_iter().collect();
        let mut set = Self::new(u32::try_from(bits.len()).unwrap_or(u32::MAX));
        for (bit, index) in bits.into_iter().zip(0..) {
            if bit {
                set.insert(index);
            }
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_bitfield_is_a_set_of_numbers(len in 0u32..300, ops in prop::collection::vec((any::<bool>(), 0u32..320), 0..400)) {
            let (mut field, mut set) = (Bitfield::new(len), BTreeSet::new());
            for (insert, index) in ops {
                if insert {
                    prop_assert_eq!(field.insert(index), index < len && set.insert(index));
                } else {
                    prop_assert_eq!(field.remove(index), set.remove(&index));
                }
            }
            prop_assert_eq!(field.count() as usize, set.len());
            prop_assert!(field.iter().eq(set.iter().copied()));
            let from_runs: Vec<u32> = field.runs().flat_map(|(first, count)| first..first + count).collect();
            prop_assert!(from_runs.iter().eq(set.iter()));
            prop_assert!(field.runs().zip(field.runs().skip(1)).all(|(a, b)| a.0 + a.1 < b.0));
        }

        #[test]
        fn full_is_every_number_inserted(len in 0u32..300) {
            let field: Bitfield = std::iter::repeat_n(true, len as usize).collect();
            prop_assert_eq!(&field, &Bitfield::full(len));
            prop_assert!(field.is_full());
            prop_assert!(!field.has_beyond(&Bitfield::full(len)));
            prop_assert_eq!(field.has_beyond(&Bitfield::new(len)), len > 0);
        }
    }
}
