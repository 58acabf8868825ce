//! How much is kept of authors that do not count here: their commits are carried for others, and nothing of them is looked at. Invariant: an author
//! takes no more than its share of the disk, and all of them together no more than theirs; what is kept of an author has no gap, so that others
//! can go on from there with what somebody else has.

use std::collections::{BTreeMap, BTreeSet};

use swarm_core::base::NodeId;

/// Bytes of the commits that are carried, by author.
#[derive(Debug, Default)]
pub(super) struct Carrying {
    lens: BTreeMap<NodeId, u64>,
    /// Authors of which no more is kept.
    full: BTreeSet<NodeId>,
    /// Fewer, for a test.
    author_len_max: Option<u64>,
}

impl Carrying {
    /// With what is kept already.
    pub(super) fn of(lens: impl IntoIterator<Item = (NodeId, u64)>, author_len_max: Option<u64>) -> Self {
        Self { lens: lens.into_iter().collect(), full: BTreeSet::new(), author_len_max }
    }

    /// Whether one more commit of this length is kept. Once it is not, none is: a shorter one that comes later would follow a gap.
    pub(super) fn takes(&mut self, author: NodeId, len: u64) -> bool {
        let of_author = self.lens.get(&author).copied().unwrap_or(0);
        let all: u64 = self.lens.values().sum();
        let author_len_max = self.author_len_max.unwrap_or(CARRIED_AUTHOR_LEN_MAX);
        let has_room = of_author + len <= author_len_max && all + len <= CARRIED_LEN_MAX;
        if has_room && !self.full.contains(&author) {
            *self.lens.entry(author).or_default() += len;
            return true;
        }
        self.full.insert(author);
        false
    }

    /// Counts anew: some of what was noted as taken is not here.
    pub(super) fn recount(&mut self, lens: impl IntoIterator<Item = (NodeId, u64)>) {
        self.lens = lens.into_iter().collect();
    }

    /// The commits of these authors count: they are no longer carried for others alone.
    pub(super) fn forget(&mut self, authors: &BTreeSet<NodeId>) {
        self.lens.retain(|author, _| !authors.contains(author));
        // There is room for others, too.
        self.full.clear();
    }

    /// Authors of which no more is kept.
    pub(super) fn full(&self) -> &BTreeSet<NodeId> {
        &self.full
    }
}

/// Records of some eight hundred thousand files.
const CARRIED_AUTHOR_LEN_MAX: u64 = 128 << 20;
/// Of all of them together, in one library.
const CARRIED_LEN_MAX: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8) -> NodeId {
        NodeId::from_bytes([number; 32])
    }

    #[test]
    fn an_author_takes_no_more_than_its_share_and_leaves_no_gap() {
        let mut carrying = Carrying::of([(node(1), CARRIED_AUTHOR_LEN_MAX - 10)], None);
        assert!(carrying.takes(node(1), 4));
        assert!(!carrying.takes(node(1), 7));
        // It would fit, and would follow the one that was left out.
        assert!(!carrying.takes(node(1), 1));
        assert!(carrying.takes(node(2), 7));
        assert_eq!(carrying.full(), &BTreeSet::from([node(1)]));
    }

    #[test]
    fn all_together_take_no_more_than_theirs() {
        let authors = CARRIED_LEN_MAX / CARRIED_AUTHOR_LEN_MAX;
        let mut carrying = Carrying::default();
        for author in 0..authors {
            assert!(carrying.takes(node(author as u8), CARRIED_AUTHOR_LEN_MAX), "{author}");
        }
        assert!(!carrying.takes(node(100), 1));
        // One of them counts from now on.
        carrying.forget(&BTreeSet::from([node(0)]));
        assert!(carrying.takes(node(100), 1));
    }
}
