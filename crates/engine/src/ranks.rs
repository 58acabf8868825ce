//! Which chunks of a content are fetched before others, and which are held back for now. A product ranks the files of a content; the picker and the
//! turns of contents go by it. Invariant: a chunk that was ranked by nobody is normal. Pure.

use std::ops::Range;

/// The turn of a chunk. The smallest comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Before all others.
    High,
    /// As it comes.
    #[default]
    Normal,
    /// After all others.
    Low,
    /// Not asked for until it is ranked otherwise; what is here of it stays and is served.
    Held,
}

/// The ranks of ranges of chunks, by index; where two meet, the later one counts.
pub type Ranks = Vec<(Range<u32>, Rank)>;

/// The rank of each chunk of a content; empty while all are normal, as most are.
pub(super) fn by_chunk(ranks: &Ranks, chunk_count: u32) -> Vec<Rank> {
    if ranks.iter().all(|(_, rank)| *rank == Rank::Normal) {
        return Vec::new();
    }
    let mut of = vec![Rank::Normal; chunk_count as usize];
    for (range, rank) in ranks {
        let range = range.start.min(chunk_count) as usize..range.end.min(chunk_count) as usize;
        if let Some(ranked) = of.get_mut(range) {
            ranked.fill(*rank);
        }
    }
    of
}
