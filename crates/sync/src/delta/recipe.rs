//! What a file is made of: its pieces in order, with a hash each.
//!
//! Invariant: the pieces are those that [`Chunker`] could have cut (lengths within its bounds, only the last may be shorter), and their
//! lengths add up to the length of the file. What comes from another machine is checked for that before it is believed.

use std::fmt;

use super::chunker::{CHUNKER_VERSION, Chunker, PIECE_LEN_MAX, PIECE_LEN_MIN};
use crate::limits::RECIPE_PIECES_MAX;

/// The pieces of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipe {
    pieces: Vec<Piece>,
    len: u64,
}

/// A piece of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Piece {
    /// Of its bytes.
    pub hash: PieceHash,
    /// In bytes, at least 1.
    pub len: u32,
}

/// The first 16 bytes of the BLAKE3 of a piece. It finds a piece and does not prove it: a content hash proves the whole file. By chance
/// two of 2^40 pieces share 16 bytes once in 2^49 trials; 32 bytes would make a recipe longer by three quarters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PieceHash(pub [u8; 16]);

/// Why bytes are no recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipeFault {
    /// Shorter than a header, or not as long as the header says.
    #[error("a recipe of {pieces} pieces does not have {encoded_len} bytes")]
    Length {
        /// As the header says; 0 if there is no whole header.
        pieces: u32,
        /// In bytes.
        encoded_len: usize,
    },
    /// Cut by a rule that is not known here.
    #[error("it was cut by version {0} of the chunker, here is version {CHUNKER_VERSION}")]
    Version(u32),
    /// More pieces than [`RECIPE_PIECES_MAX`].
    #[error("it has {0} pieces, the limit is {RECIPE_PIECES_MAX}")]
    TooMany(u32),
    /// Shorter than the chunker cuts, or longer.
    #[error("piece {index} has {len} bytes")]
    PieceLen {
        /// Counted from 0.
        index: u32,
        /// In bytes.
        len: u32,
    },
    /// The pieces do not add up.
    #[error("its pieces have {sum} bytes together, not {len}")]
    Sum {
        /// Of the lengths of all pieces, in bytes.
        sum: u64,
        /// As the header says, in bytes.
        len: u64,
    },
}

/// Makes the recipe of a file as it is read.
#[derive(Clone, Debug, Default)]
pub struct RecipeBuilder {
    chunker: Chunker,
    /// Of the piece so far.
    hasher: blake3::Hasher,
    recipe: Recipe,
    /// Length of the piece so far, in bytes.
    piece_len: u32,
}

impl Recipe {
    /// Of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        let mut builder = RecipeBuilder::new();
        builder.push(bytes);
        builder.finish()
    }

    /// The pieces in the order of the file.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The pieces, each with its offset in the file.
    pub fn placed(&self) -> impl Iterator<Item = (u64, Piece)> + '_ {
        self.pieces.iter().scan(0, |next, &piece| {
            let at = *next;
            *next += u64::from(piece.len);
            Some((at, piece))
        })
    }

    /// Length of the file, in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the file has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Version, length, number of pieces; then length and hash of each piece. All numbers are little-endian.
    pub fn encode(&self) -> Vec<u8> {
        let mut encoded = Vec::with_capacity(HEADER_LEN + self.pieces.len() * PIECE_ENCODED_LEN);
        encoded.extend_from_slice(&CHUNKER_VERSION.to_le_bytes());
        encoded.extend_from_slice(&self.len.to_le_bytes());
        encoded.extend_from_slice(&(self.pieces.len() as u32).to_le_bytes());
        for piece in &self.pieces {
            encoded.extend_from_slice(&piece.len.to_le_bytes());
            encoded.extend_from_slice(&piece.hash.0);
        }
        encoded
    }

    /// Allocates no more than the input's own length.
    pub fn decode(encoded: &[u8]) -> Result<Self, RecipeFault> {
        let wrong_length = |pieces| RecipeFault::Length { pieces, encoded_len: encoded.len() };
        let (version, rest) = encoded.split_first_chunk().ok_or(wrong_length(0))?;
        let (len, rest) = rest.split_first_chunk().ok_or(wrong_length(0))?;
        let (count, rest) = rest.split_first_chunk().ok_or(wrong_length(0))?;
        let (version, len, count) =
            (u32::from_le_bytes(*version), u64::from_le_bytes(*len), u32::from_le_bytes(*count));
        if version != CHUNKER_VERSION {
            return Err(RecipeFault::Version(version));
        }
        if count > RECIPE_PIECES_MAX {
            return Err(RecipeFault::TooMany(count));
        }
        if rest.len() != count as usize * PIECE_ENCODED_LEN {
            return Err(wrong_length(count));
        }
        let pieces = rest.chunks_exact(PIECE_ENCODED_LEN).map(decoded_piece).collect::<Vec<_>>();
        check_pieces(&pieces, len)?;
        Ok(Self { pieces, len })
    }
}

impl RecipeBuilder {
    /// At the beginning of a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the file.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while let Some(taken) = self.chunker.next_cut(bytes) {
            self.take(&bytes[..taken]);
            self.end_piece();
            bytes = &bytes[taken..];
        }
        self.take(bytes);
    }

    /// The file ends here.
    pub fn finish(mut self) -> Recipe {
        if self.piece_len > 0 {
            self.end_piece();
        }
        self.recipe
    }

    fn take(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.piece_len += bytes.len() as u32;
    }

    fn end_piece(&mut self) {
        let hash = PieceHash(leading(self.hasher.finalize()));
        self.recipe.pieces.push(Piece { hash, len: self.piece_len });
        self.recipe.len += u64::from(self.piece_len);
        self.hasher.reset();
        self.piece_len = 0;
    }
}

impl fmt::Debug for PieceHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The first bytes of a hash.
pub(super) fn leading<const N: usize>(hash: blake3::Hash) -> [u8; N] {
    *hash.as_bytes().first_chunk().expect("a hash has 32 bytes")
}

/// `encoded` has [`PIECE_ENCODED_LEN`] bytes.
fn decoded_piece(encoded: &[u8]) -> Piece {
    let (len, hash) = encoded.split_first_chunk().expect("a piece begins with its length");
    let hash = hash.first_chunk().expect("a hash follows the length");
    Piece { hash: PieceHash(*hash), len: u32::from_le_bytes(*len) }
}

fn check_pieces(pieces: &[Piece], len: u64) -> Result<(), RecipeFault> {
    for (index, piece) in pieces.iter().enumerate() {
        let is_last = index + 1 == pieces.len();
        let len_min = if is_last { 1 } else { PIECE_LEN_MIN };
        if !(len_min..=PIECE_LEN_MAX).contains(&piece.len) {
            return Err(RecipeFault::PieceLen { index: index as u32, len: piece.len });
        }
    }
    // The limits of count and length keep the sum below 2^40.
    let sum = pieces.iter().map(|piece| u64::from(piece.len)).sum();
    if sum == len { Ok(()) } else { Err(RecipeFault::Sum { sum, len }) }
}

const HEADER_LEN: usize = 16;
const PIECE_ENCODED_LEN: usize = 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::delta::made;

    fn encoded(version: u32, len: u64, piece_lens: &[u32]) -> Vec<u8> {
        let mut encoded =
            [&version.to_le_bytes()[..], &len.to_le_bytes(), &(piece_lens.len() as u32).to_le_bytes()]
                .concat();
        for len in piece_lens {
            encoded.extend_from_slice(&len.to_le_bytes());
            encoded.extend_from_slice(&[0; 16]);
        }
        encoded
    }

    #[test]
    fn hashes_are_those_of_the_pieces() {
        let bytes = made::random(1, 1 << 20);
        let mut builder = RecipeBuilder::new();
        bytes.chunks(10_007).for_each(|part| builder.push(part));
        let recipe = builder.finish();
        assert_eq!(recipe, Recipe::of(&bytes));
        assert_eq!(recipe.len(), 1 << 20);
        for (at, piece) in recipe.placed() {
            let hash = blake3::hash(&bytes[at as usize..][..piece.len as usize]);
            assert_eq!(piece.hash.0, hash.as_bytes()[..16]);
        }
    }

    #[test]
    fn an_empty_file_has_no_pieces() {
        assert_eq!(Recipe::decode(&Recipe::of(b"").encode()), Ok(Recipe::default()));
    }

    #[test]
    fn refuses_what_no_chunker_cut() {
        let check = |encoded: Vec<u8>, fault: RecipeFault| assert_eq!(Recipe::decode(&encoded), Err(fault));
        check(vec![], RecipeFault::Length { pieces: 0, encoded_len: 0 });
        check(encoded(1, 0, &[])[..15].to_vec(), RecipeFault::Length { pieces: 0, encoded_len: 15 });
        check(encoded(2, 0, &[]), RecipeFault::Version(2));
        check(encoded(1, 0, &[0]), RecipeFault::PieceLen { index: 0, len: 0 });
        check(encoded(1, 5, &[4, 1]), RecipeFault::PieceLen { index: 0, len: 4 });
        check(encoded(1, 262_145, &[262_145]), RecipeFault::PieceLen { index: 0, len: 262_145 });
        check(encoded(1, u64::MAX, &[5]), RecipeFault::Sum { sum: 5, len: u64::MAX });
        check([encoded(1, 5, &[5]), vec![0]].concat(), RecipeFault::Length { pieces: 1, encoded_len: 37 });
        let mut many = encoded(1, 5, &[5]);
        many[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        check(many, RecipeFault::TooMany(u32::MAX));
    }

    proptest! {
        #[test]
        fn a_recipe_is_what_it_was_before_it_was_encoded(seed: u64, len in 0_usize..500_000) {
            let recipe = Recipe::of(&made::random(seed, len));
            prop_assert_eq!(Recipe::decode(&recipe.encode()), Ok(recipe));
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), header: bool, count in 0_u32..12) {
            let mut bytes = bytes;
            if header && bytes.len() >= 16 {
                bytes[..4].copy_from_slice(&CHUNKER_VERSION.to_le_bytes());
                bytes[12..16].copy_from_slice(&count.to_le_bytes());
            }
            if let Ok(recipe) = Recipe::decode(&bytes) {
                prop_assert_eq!(recipe.encode(), bytes);
            }
        }

        #[test]
        fn a_damaged_recipe_is_refused_or_another_recipe(seed: u64, at: prop::sample::Index, bit in 0_u32..8) {
            let mut bytes = Recipe::of(&made::random(seed, 200_000)).encode();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(recipe) = Recipe::decode(&bytes) {
                prop_assert_eq!(recipe.encode(), bytes);
            }
        }
    }
}
