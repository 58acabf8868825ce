//! What one node tells another of ranges of a file: the recipe of each range, cut as if it was a file of its own, or the hashes of its slices.
//!
//! Invariant: what is decoded is about exactly the ranges that were asked for. Absent here: whether any of it is true.

use super::gap::{GapSlices, SLICE_LEN, SliceHash};
use super::recipe::{Recipe, RecipeFault};

/// Why bytes are not what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangedFault {
    /// They end too early, or go on.
    #[error("an answer of {0} bytes does not fit the ranges that were asked for")]
    Length(usize),
    /// Of one range.
    #[error(transparent)]
    Recipe(#[from] RecipeFault),
    /// Of a range of another length.
    #[error("the recipe of a range of {asked} bytes is one of {told}")]
    Range {
        /// In bytes.
        asked: u64,
        /// In bytes.
        told: u64,
    },
}

/// The recipes of ranges, one after the other, each with its length before it.
pub fn encode_recipes(recipes: &[Recipe]) -> Vec<u8> {
    let mut encoded = Vec::new();
    for recipe in recipes {
        let recipe = recipe.encode();
        encoded.extend_from_slice(&(recipe.len() as u32).to_le_bytes());
        encoded.extend_from_slice(&recipe);
    }
    encoded
}

/// The recipes of ranges of these lengths, in bytes.
pub fn decode_recipes(
    encoded: &[u8],
    lens: impl IntoIterator<Item = u64>,
) -> Result<Vec<Recipe>, RangedFault> {
    let (mut recipes, mut rest) = (Vec::new(), encoded);
    let too_short = || RangedFault::Length(encoded.len());
    for asked in lens {
        let (len, after) = rest.split_first_chunk().ok_or_else(too_short)?;
        let (recipe, after) =
            after.split_at_checked(u32::from_le_bytes(*len) as usize).ok_or_else(too_short)?;
        let recipe = Recipe::decode(recipe)?;
        if recipe.len() != asked {
            return Err(RangedFault::Range { asked, told: recipe.len() });
        }
        recipes.push(recipe);
        rest = after;
    }
    if rest.is_empty() { Ok(recipes) } else { Err(RangedFault::Length(encoded.len())) }
}

/// The slices of ranges, one after the other: of each those from the start, then those from the end.
pub fn encode_slices(ranges: &[GapSlices]) -> Vec<u8> {
    let hashes = ranges.iter().flat_map(|slices| slices.from_start.iter().chain(&slices.from_end));
    hashes.flat_map(|hash| hash.0).collect()
}

/// The slices of ranges of these lengths, in bytes, from their starts or from both ends.
pub fn decode_slices(
    encoded: &[u8],
    lens: impl IntoIterator<Item = u64>,
    from_both: bool,
) -> Result<Vec<GapSlices>, RangedFault> {
    let (hashes, rest) = encoded.as_chunks::<HASH_LEN>();
    let mut hashes = hashes.iter().map(|hash| SliceHash(*hash));
    let mut ranges = Vec::new();
    for len in lens {
        let count = len.div_ceil(SLICE_LEN as u64) as usize;
        let from_start: Vec<SliceHash> = hashes.by_ref().take(count).collect();
        let from_end: Vec<SliceHash> = hashes.by_ref().take(if from_both { count } else { 0 }).collect();
        if from_start.len() < count || (from_both && from_end.len() < count) {
            return Err(RangedFault::Length(encoded.len()));
        }
        ranges.push(GapSlices { from_start, from_end });
    }
    if hashes.next().is_none() && rest.is_empty() {
        Ok(ranges)
    } else {
        Err(RangedFault::Length(encoded.len()))
    }
}

const HASH_LEN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delta::made::random;

    fn lens() -> [u64; 3] {
        [1, 200_000, 4096]
    }

    fn recipes() -> Vec<Recipe> {
        lens().map(|len| Recipe::of(&random(len, len as usize))).to_vec()
    }

    fn slices(from_both: bool) -> Vec<GapSlices> {
        let slices = |len: u64| {
            let bytes = random(len, len as usize);
            GapSlices::new(&bytes, if from_both { &bytes } else { &[] })
        };
        lens().map(slices).to_vec()
    }

    #[test]
    fn what_was_told_of_ranges_is_what_is_heard() {
        assert_eq!(decode_recipes(&encode_recipes(&recipes()), lens()), Ok(recipes()));
        for from_both in [false, true] {
            let encoded = encode_slices(&slices(from_both));
            assert_eq!(encoded.len(), if from_both { 2 * 8 * 51 } else { 8 * 51 });
            assert_eq!(decode_slices(&encoded, lens(), from_both), Ok(slices(from_both)));
        }
    }

    #[test]
    fn an_answer_to_another_question_is_refused() {
        let encoded = encode_recipes(&recipes());
        let shorter = [&[1, 200_000][..], &[1, 200_000, 4096, 5]];
        for lens in shorter {
            let decoded = decode_recipes(&encoded, lens.iter().copied());
            assert_eq!(decoded, Err(RangedFault::Length(encoded.len())));
        }
        let decoded = decode_recipes(&encoded, [1, 200_001, 4096]);
        assert_eq!(decoded, Err(RangedFault::Range { asked: 200_001, told: 200_000 }));
        let cut = &encoded[..encoded.len() - 1];
        assert_eq!(decode_recipes(cut, lens()), Err(RangedFault::Length(cut.len())));

        let encoded = encode_slices(&slices(false));
        for (lens, from_both) in
            [(&[1, 200_000][..], false), (&[1, 200_000, 4096], true), (&[1, 200_000, 4097], false)]
        {
            let decoded = decode_slices(&encoded, lens.iter().copied(), from_both);
            assert_eq!(decoded, Err(RangedFault::Length(encoded.len())));
        }
        let cut = &encoded[..encoded.len() - 1];
        assert_eq!(decode_slices(cut, lens(), false), Err(RangedFault::Length(cut.len())));
    }
}
