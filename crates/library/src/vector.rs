//! Version vectors (Parker et al. 1983): which versions a version was made from. A counter is the greater of the old one plus one and the
//! author's time in seconds, so that an author that lost its memory does not count from the beginning; nothing is decided by the time in it.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use swarm_core::base::NodeId;

use crate::limits::VECTOR_AUTHORS_MAX;

/// The last version by each author that a version includes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vector(BTreeMap<NodeId, u64>);

impl Vector {
    /// Counts one author alone.
    pub fn of(author: NodeId, counter: u64) -> Self {
        Self(BTreeMap::from([(author, counter)]))
    }

    /// Takes counters; `None` if they are too many, or one is zero or named twice.
    pub fn from_counters(counters: impl IntoIterator<Item = (NodeId, u64)>) -> Option<Self> {
        let mut vector = Self::default();
        for (author, counter) in counters {
            let is_new = counter > 0 && vector.0.insert(author, counter).is_none();
            if !is_new || vector.0.len() > VECTOR_AUTHORS_MAX {
                return None;
            }
        }
        Some(vector)
    }

    /// Authors and counters, by author.
    pub fn iter(&self) -> impl Iterator<Item = (&NodeId, u64)> {
        self.0.iter().map(|(author, counter)| (author, *counter))
    }

    /// The counter of an author; zero if it is not counted.
    pub fn counter(&self, author: &NodeId) -> u64 {
        self.0.get(author).copied().unwrap_or(0)
    }

    /// The greatest counter; zero if no author is counted.
    pub fn greatest(&self) -> u64 {
        self.0.values().copied().max().unwrap_or(0)
    }

    /// Equal, before, after, or `None`: neither was made from the other.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        let is_within = |one: &Self, other: &Self| one.iter().all(|(author, n)| other.counter(author) >= n);
        match (is_within(self, other), is_within(other, self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Less),
            (false, true) => Some(Ordering::Greater),
            (false, false) => None,
        }
    }

    /// Whether it includes all of the other.
    pub fn includes(&self, other: &Self) -> bool {
        matches!(self.compare(other), Some(Ordering::Equal | Ordering::Greater))
    }

    /// Whether both count some author: there is a version that both include.
    pub fn meets(&self, other: &Self) -> bool {
        self.0.keys().any(|author| other.0.contains_key(author))
    }

    /// The least vector that includes both. The longest counted authors stay if they are too many.
    #[must_use]
    pub fn joined(mut self, other: &Self) -> Self {
        for (author, counter) in other.iter() {
            let here = self.0.entry(*author).or_insert(0);
            *here = (*here).max(counter);
        }
        self
    }

    /// The vector of a version that `author` makes from this one at `now_s`, in seconds since 1970. Authors with the least counters are no
    /// longer counted where there would be too many: a library has fewer people than that.
    #[must_use]
    pub fn next(mut self, author: NodeId, now_s: u64) -> Self {
        let counter = self.counter(&author).saturating_add(1).max(now_s);
        self.0.insert(author, counter);
        while self.0.len() > VECTOR_AUTHORS_MAX {
            let least = self.0.iter().filter(|(one, _)| **one != author).min_by_key(|(_, counter)| **counter);
            let Some(least) = least.map(|(author, _)| *author) else { break };
            self.0.remove(&least);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: char) -> NodeId {
        NodeId::from_bytes([name as u8; 32])
    }

    /// `a1b2` counts a once and b twice.
    fn vector(text: &str) -> Vector {
        let letters: Vec<char> = text.chars().collect();
        let counters =
            letters.chunks(2).map(|pair| (node(pair[0]), u64::from(pair[1].to_digit(10).expect("a digit"))));
        Vector::from_counters(counters).expect("valid")
    }

    #[test]
    fn a_version_is_newer_only_if_it_includes_the_other() {
        let check = |one: &str, other: &str, expected: Option<Ordering>| {
            assert_eq!(vector(one).compare(&vector(other)), expected, "{one} {other}");
            assert_eq!(vector(other).compare(&vector(one)), expected.map(Ordering::reverse), "{other} {one}");
        };
        check("", "", Some(Ordering::Equal));
        check("a1", "", Some(Ordering::Greater));
        check("a2", "a1", Some(Ordering::Greater));
        check("a1b1", "a1", Some(Ordering::Greater));
        check("a1", "b1", None);
        check("a2b1", "a1b2", None);
    }

    #[test]
    fn a_next_version_includes_what_it_was_made_from_whatever_the_clock_says() {
        let before = vector("a5b2");
        let next = before.clone().next(node('b'), 0);
        assert_eq!(next, vector("a5b3"));
        assert_eq!(before.clone().next(node('c'), 7).counter(&node('c')), 7);
        assert!(next.includes(&before));
        assert_eq!(vector("a1b9").joined(&vector("a3")), vector("a3b9"));
    }

    #[test]
    fn counters_that_no_author_makes_are_refused() {
        assert_eq!(Vector::from_counters([(node('a'), 0)]), None);
        assert_eq!(Vector::from_counters([(node('a'), 1), (node('a'), 2)]), None);
        let many = (0..=VECTOR_AUTHORS_MAX as u8).map(|n| (NodeId::from_bytes([n; 32]), 1));
        assert_eq!(Vector::from_counters(many), None);
    }
}
