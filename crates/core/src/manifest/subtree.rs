//! BLAKE3 subtrees: the value of each chunk, and how the chunks' values combine into the file's BLAKE3.
//!
//! A chunk is a power of two long and starts at a multiple of its length, so it is a whole subtree of the file's BLAKE3 tree
//! (the last one a partial subtree). Its *chaining value* proves it; where the chunk is the whole file the root hash does.
//! Source: the BLAKE3 paper, section 2.1, and the crate's `hazmat` module.

use blake3::Hasher;
use blake3::hazmat::{HasherExt as _, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root};

use super::geometry::ChunkSpan;

/// A BLAKE3 hash or chaining value, or a SHA-256.
pub type Hash = [u8; 32];

/// Hashes the bytes of one chunk, in order, in as many updates as suit the caller (16 KiB and more each is fast).
pub struct ChunkHasher {
    hasher: Hasher,
    is_root: bool,
}

impl ChunkHasher {
    /// A hasher for the chunk at a span.
    pub fn new(span: &ChunkSpan) -> Self {
        let mut hasher = Hasher::new();
        if !span.is_whole_file {
            hasher.set_input_offset(span.file_offset);
        }
        Self { hasher, is_root: span.is_whole_file }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Self {
        self.hasher.update(bytes);
        self
    }

    /// The value of the chunk: compare it with [`super::Manifest::chunk_hash`].
    pub fn finalize(&self) -> Hash {
        if self.is_root { *self.hasher.finalize().as_bytes() } else { self.hasher.finalize_non_root() }
    }

    /// The value of a chunk in one buffer.
    pub fn hash(span: &ChunkSpan, bytes: &[u8]) -> Hash {
        Self::new(span).update(bytes).finalize()
    }
}

/// Combines the values of a file's chunks, in order, into the file's BLAKE3. `None` unless there are exactly as many values
/// as the file has chunks, and at least two (a file of one chunk is hashed as a root).
pub fn combine_chunk_values(file_len: u64, chunk_len_log2: u8, values: &[Hash]) -> Option<Hash> {
    let expected = super::geometry::chunk_count_for(file_len, chunk_len_log2);
    if values.len() < 2 || values.len() as u64 != expected {
        return None;
    }
    let (left, right) = split(file_len, chunk_len_log2, values);
    Some(*merge_subtrees_root(&left, &right, Mode::Hash).as_bytes())
}

/// The values of a file's chunks of a longer length, from those of a shorter one: no byte is hashed again. `None` unless there are exactly
/// as many values as the file has short chunks, and it has two long ones at least.
pub fn regroup_chunk_values(file_len: u64, from_log2: u8, to_log2: u8, values: &[Hash]) -> Option<Vec<Hash>> {
    let chunk_count = super::geometry::chunk_count_for;
    let is_possible = from_log2 <= to_log2 && chunk_count(file_len, to_log2) >= 2;
    if !is_possible || values.len() as u64 != chunk_count(file_len, from_log2) {
        return None;
    }
    let lens =
        (0..chunk_count(file_len, to_log2)).map(|number| (file_len - (number << to_log2)).min(1 << to_log2));
    let groups = values.chunks(1 << (to_log2 - from_log2));
    Some(lens.zip(groups).map(|(len, group)| value(len, from_log2, group)).collect())
}

fn split(len: u64, chunk_len_log2: u8, values: &[Hash]) -> (Hash, Hash) {
    let left_len = left_subtree_len(len);
    let (left, right) = values.split_at((left_len >> chunk_len_log2) as usize);
    (value(left_len, chunk_len_log2, left), value(len - left_len, chunk_len_log2, right))
}

fn value(len: u64, chunk_len_log2: u8, values: &[Hash]) -> Hash {
    if let [one] = values {
        return *one;
    }
    let (left, right) = split(len, chunk_len_log2, values);
    merge_subtrees_non_root(&left, &right, Mode::Hash)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::manifest::Geometry;

    proptest! {
        #[test]
        fn chunk_values_combine_into_the_blake3_of_the_file(len in 1usize..600_000, log2 in 14u8..=17, seed in any::<u8>()) {
            let data: Vec<u8> = (0..len).map(|i| (i as u8).wrapping_mul(31) ^ (i >> 8) as u8 ^ seed).collect();
            let geometry = Geometry::new([(len as u64, log2)]).expect("one small file");
            let values: Vec<Hash> = geometry.chunks().map(|chunk| {
                let span = geometry.span(chunk);
                ChunkHasher::hash(&span, &data[span.file_offset as usize..][..span.len as usize])
            }).collect();
            let expected = *blake3::hash(&data).as_bytes();
            match values.as_slice() {
                [one] => prop_assert_eq!(*one, expected),
                many => prop_assert_eq!(combine_chunk_values(len as u64, log2, many), Some(expected)),
            }
            prop_assert_eq!(combine_chunk_values(len as u64, log2, &values[1..]), None);
        }

        #[test]
        fn values_of_short_chunks_combine_into_those_of_long_ones(len in 1usize..600_000, from in 14u8..=16, more in 0u8..=3) {
            let data: Vec<u8> = (0..len).map(|i| (i as u8).wrapping_mul(31) ^ (i >> 8) as u8).collect();
            let values_of = |log2| -> Vec<Hash> {
                let geometry = Geometry::new([(len as u64, log2)]).expect("one small file");
                let value = |chunk| {
                    let span = geometry.span(chunk);
                    ChunkHasher::hash(&span, &data[span.file_offset as usize..][..span.len as usize])
                };
                geometry.chunks().map(value).collect()
            };
            let (short, long) = (values_of(from), values_of(from + more));
            let regrouped = regroup_chunk_values(len as u64, from, from + more, &short);
            prop_assert_eq!(regrouped, (long.len() >= 2).then_some(long));
            prop_assert_eq!(regroup_chunk_values(len as u64, from, from + more, &short[1..]), None);
        }
    }
}
