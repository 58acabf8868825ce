//! How far a node is with the commits of each author. Invariant: at most `AUTHORS_MAX` authors, each with a number of at least one. Whether an
//! author counts is not decided here: signed commits are carried for everybody.

use std::collections::BTreeMap;

use swarm_core::base::NodeId;

use crate::CommitId;
use crate::limits::{AUTHORS_MAX, SEQ_MAX};

/// How far somebody is with the commits of an author.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Whose commits.
    pub author: NodeId,
    /// The number of the last commit without a gap before it.
    pub seq: u64,
    /// The id of that commit.
    pub id: CommitId,
}

/// From which commit of an author on others are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct After {
    /// Whose commits.
    pub author: NodeId,
    /// The number of the last one that is here; zero if there is none.
    pub seq: u64,
}

/// Proof, together with both commits, that an author signed two histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Equivocation {
    /// Who signed both.
    pub author: NodeId,
    /// The number of both.
    pub seq: u64,
    /// The commit that is here.
    pub ours: CommitId,
    /// The commit that the other node has.
    pub theirs: CommitId,
}

/// The positions of all authors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier(BTreeMap<NodeId, (u64, CommitId)>);

impl Frontier {
    /// Takes positions; `None` if they are too many, or one has no number or its author is named twice.
    pub fn from_positions(positions: impl IntoIterator<Item = Position>) -> Option<Self> {
        let mut frontier = Self::default();
        for Position { author, seq, id } in positions {
            let is_good = (1..=SEQ_MAX).contains(&seq) && frontier.0.insert(author, (seq, id)).is_none();
            if !is_good || frontier.0.len() > AUTHORS_MAX {
                return None;
            }
        }
        Some(frontier)
    }

    /// Takes the next commit of an author; false if it does not follow the last one, or there are too many authors.
    #[must_use]
    pub fn advance(&mut self, to: Position) -> bool {
        let is_room = self.0.len() < AUTHORS_MAX || self.0.contains_key(&to.author);
        let follows = self.seq(&to.author) + 1 == to.seq && to.seq <= SEQ_MAX;
        if is_room && follows {
            self.0.insert(to.author, (to.seq, to.id));
        }
        is_room && follows
    }

    /// All positions, by author.
    pub fn positions(&self) -> impl ExactSizeIterator<Item = Position> {
        self.0.iter().map(|(author, (seq, id))| Position { author: *author, seq: *seq, id: *id })
    }

    /// The number of the last commit of an author; zero without one.
    pub fn seq(&self, author: &NodeId) -> u64 {
        self.0.get(author).map_or(0, |(seq, _)| *seq)
    }

    /// What to ask the other node for: its authors of which it has more commits.
    pub fn lacking(&self, other: &Self) -> Vec<After> {
        let ours = |position: Position| (self.seq(&position.author), position);
        let more = other.positions().map(ours).filter(|(seq, position)| *seq < position.seq);
        more.map(|(seq, position)| After { author: position.author, seq }).collect()
    }

    /// Authors of which the other node has another commit under a number than this one. `id_at` names the commits that are here; one that was
    /// compacted away proves nothing.
    pub fn equivocations(
        &self,
        other: &Self,
        id_at: &dyn Fn(&NodeId, u64) -> Option<CommitId>,
    ) -> Vec<Equivocation> {
        let differs = |Position { author, seq, id: theirs }| {
            let ours = match self.0.get(&author) {
                Some((last, id)) if *last == seq => Some(*id),
                Some((last, _)) if *last > seq => id_at(&author, seq),
                Some(_) | None => None,
            };
            ours.filter(|ours| *ours != theirs).map(|ours| Equivocation { author, seq, ours, theirs })
        };
        other.positions().filter_map(differs).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a3x` is the third commit of a, and its id is made of x.
    fn frontier(text: &str) -> Frontier {
        let position = |word: &str| {
            let letters: Vec<char> = word.chars().collect();
            let [author, seq, id] = letters[..] else { panic!("three letters") };
            let seq = u64::from(seq.to_digit(10).expect("a digit"));
            Position { author: node(author), seq, id: CommitId([id as u8; 32]) }
        };
        Frontier::from_positions(text.split_whitespace().map(position)).expect("valid")
    }

    fn node(name: char) -> NodeId {
        NodeId::from_bytes([name as u8; 32])
    }

    fn name(node: &NodeId) -> char {
        char::from(node.as_bytes()[0])
    }

    #[test]
    fn asks_for_what_the_other_has_more_of() {
        let check = |ours: &str, theirs: &str, expected: &str| {
            let after = frontier(ours).lacking(&frontier(theirs));
            let shown: Vec<String> =
                after.iter().map(|after| format!("{}>{}", name(&after.author), after.seq)).collect();
            assert_eq!(shown.join(" "), expected, "{ours} | {theirs}");
        };
        check("", "a2x b1y", "a>0 b>0");
        check("a2x", "a2x b1y", "b>0");
        check("a1z b1y", "a2x b1y", "a>1");
        check("a3x b1y", "a2x", "");
    }

    #[test]
    fn two_commits_with_one_number_are_seen() {
        // Before its last commit, each author has the commits `o`.
        let here = |_: &NodeId, seq: u64| (seq > 1).then_some(CommitId([b'o'; 32]));
        let check = |ours: &str, theirs: &str, expected: &str| {
            let found = frontier(ours).equivocations(&frontier(theirs), &here);
            let shown: Vec<String> = found
                .iter()
                .map(|one| {
                    let [ours, theirs] = [one.ours, one.theirs].map(|id| char::from(id.0[0]));
                    format!("{}{}:{ours}/{theirs}", name(&one.author), one.seq)
                })
                .collect();
            assert_eq!(shown.join(" "), expected, "{ours} | {theirs}");
        };
        check("a2x", "a2x", "");
        check("a2x", "a2y", "a2:x/y");
        check("a4x", "a3o", "");
        check("a4x", "a3y", "a3:o/y");
        check("a4x", "a1y", "");
        check("a2x", "a3y b1z", "");
    }

    #[test]
    fn an_author_goes_on_by_one() {
        let mut ours = frontier("a1x");
        let position = |author, seq| Position { author: node(author), seq, id: CommitId([1; 32]) };
        assert!(!ours.advance(position('a', 1)) && !ours.advance(position('a', 3)));
        assert!(ours.advance(position('a', 2)) && ours.advance(position('b', 1)));
        assert!(!ours.advance(position('c', 2)));
        assert_eq!([ours.seq(&node('a')), ours.seq(&node('b')), ours.seq(&node('c'))], [2, 1, 0]);
    }

    #[test]
    fn positions_that_no_node_has_are_refused() {
        let position = |author: u16, seq| {
            let mut bytes = [0; 32];
            bytes[..2].copy_from_slice(&author.to_le_bytes());
            Position { author: NodeId::from_bytes(bytes), seq, id: CommitId([0; 32]) }
        };
        let is_good = |positions: Vec<Position>| Frontier::from_positions(positions).is_some();
        assert!(is_good((0..AUTHORS_MAX as u16).map(|author| position(author, 1)).collect()));
        assert!(!is_good((0..=AUTHORS_MAX as u16).map(|author| position(author, 1)).collect()));
        assert!(!is_good(vec![position(1, 0)]));
        assert!(!is_good(vec![position(1, SEQ_MAX + 1)]));
        assert!(!is_good(vec![position(1, 1), position(1, 2)]));
    }
}
