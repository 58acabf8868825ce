//! What a node that collects lets in, and where to. Decides by ids alone.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;

use swarm_core::base::{ContentId, NodeId};

/// How contents are collected that others offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collecting {
    /// The folder that each content gets a folder in.
    pub store: PathBuf,
    /// Bytes of content that it may hold.
    pub quota_len: Option<u64>,
    /// Who may offer.
    pub nodes: Allowed<NodeId>,
    /// What may be offered. What is named here is never evicted.
    pub contents: Allowed<ContentId>,
}

/// Some ids, or any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed<T> {
    is_any: bool,
    named: BTreeSet<T>,
}

/// One id, or the word `any`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnyOr<T> {
    /// `any`.
    Any,
    /// An id.
    One(T),
}

/// A string that is neither.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an id of 64 hex digits nor the word any: copy the whole id, or write any")]
pub struct AnyOrError(String);

impl Collecting {
    /// Whether this content is taken from that node.
    pub(super) fn admits(&self, node: NodeId, content: ContentId) -> bool {
        self.nodes.admits(node) && self.contents.admits(content)
    }

    /// Whether a content stays whatever else wants its room.
    pub(super) fn is_pinned(&self, content: ContentId) -> bool {
        self.contents.named.contains(&content)
    }
}

impl<T: Ord> Allowed<T> {
    /// Those that are named; none if none is.
    pub fn of(list: impl IntoIterator<Item = AnyOr<T>>) -> Self {
        let mut allowed = Self { is_any: false, named: BTreeSet::new() };
        for item in list {
            match item {
                AnyOr::Any => allowed.is_any = true,
                AnyOr::One(id) => {
                    allowed.named.insert(id);
                }
            }
        }
        allowed
    }

    /// Every node.
    pub fn any() -> Self {
        Self::of([AnyOr::Any])
    }

    /// No node is let in.
    pub fn is_empty(&self) -> bool {
        !self.is_any && self.named.is_empty()
    }

    fn admits(&self, id: T) -> bool {
        self.is_any || self.named.contains(&id)
    }
}

impl<T: FromStr> FromStr for AnyOr<T> {
    type Err = AnyOrError;

    fn from_str(text: &str) -> Result<Self, AnyOrError> {
        if text.eq_ignore_ascii_case("any") {
            return Ok(Self::Any);
        }
        let shown = || text.chars().filter(|c| !c.is_control()).take(64).collect();
        text.parse().map(Self::One).map_err(|_| AnyOrError(shown()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_and_what_both_have_to_be_allowed() {
        let (node, content) = (NodeId::from_bytes([1; 32]), ContentId::from_bytes([2; 32]));
        let (other_node, other_content) = (NodeId::from_bytes([3; 32]), ContentId::from_bytes([4; 32]));
        let check = |nodes: &[AnyOr<NodeId>], contents: &[AnyOr<ContentId>], expected: [bool; 3]| {
            let (nodes, contents) = (nodes.iter().copied(), contents.iter().copied());
            let (nodes, contents) = (Allowed::of(nodes), Allowed::of(contents));
            let collecting = Collecting { store: PathBuf::new(), quota_len: None, nodes, contents };
            let pairs = [(node, content), (other_node, content), (node, other_content)];
            assert_eq!(pairs.map(|(node, content)| collecting.admits(node, content)), expected);
        };
        check(&[AnyOr::Any], &[AnyOr::Any], [true, true, true]);
        check(&[AnyOr::One(node)], &[AnyOr::Any], [true, false, true]);
        check(&[AnyOr::Any], &[AnyOr::One(content)], [true, true, false]);
        check(&[AnyOr::One(node)], &[AnyOr::One(content)], [true, false, false]);
        check(&[], &[AnyOr::Any], [false, false, false]);
    }

    #[test]
    fn a_typo_in_an_id_is_told() {
        assert_eq!("any".parse(), Ok(AnyOr::<NodeId>::Any));
        let id = NodeId::from_bytes([7; 32]);
        assert_eq!(id.to_string().parse(), Ok(AnyOr::One(id)));
        let message = "abc".parse::<AnyOr<NodeId>>().expect_err("too short").to_string();
        assert!(message.starts_with("`abc` is neither"), "{message}");
    }
}
