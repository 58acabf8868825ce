//! Trees in memory, for tests and simulations: a performer that refuses what a disk would refuse, random trees and random edits, and a
//! notation in which a tree is one line of text.

mod edits;
mod notation;
mod pair;
mod tree;

pub use edits::{random_edits, random_tree};
pub use notation::{describe, describe_kind, read_tree};
pub use pair::Pair;
pub use tree::{Fault, Tree};
