//! Deltas: which bytes of a new version are in old files already, and which have to be fetched.
//!
//! A *recipe* names the content-defined pieces of a file, with a hash each. The *fill plan* builds the new file out of pieces that local
//! files hold. Its *gaps* are then refined by slices of 4 KiB: a piece in which one byte changed is not fetched whole. Where space is
//! short, the plan gets an order in which it can be carried out over the old file itself.
//!
//! Invariant: hashes here are hints of where bytes are, never proof of what they are. Whoever fills a file verifies the result by its
//! content hash. Absent here: files, and the messages in which recipes and slices travel.

mod chunker;
mod fill;
mod gap;
mod in_place;
mod ranged;
mod recipe;

#[cfg(test)]
mod figures;
#[cfg(test)]
mod made;

pub use chunker::{CHUNKER_VERSION, Chunker, PIECE_LEN_AVERAGE, PIECE_LEN_MAX, PIECE_LEN_MIN};
pub use fill::{FileIndex, FillPlan, HeldPieces, Step, fill_plan};
pub use gap::{Gap, GapSlices, Place, SLICE_LEN, SliceHash, equal_slices, refine};
pub use in_place::in_place_order;
pub use ranged::{RangedFault, decode_recipes, decode_slices, encode_recipes, encode_slices};
pub use recipe::{Piece, PieceHash, Recipe, RecipeBuilder, RecipeFault};
