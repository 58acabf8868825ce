//! The access table: which nodes may have which content, as plain data. Invariant: a table only ever narrows, [`AccessTable::and`]
//! grants nothing that either of its sides refuses. Absent: admission to links, certificates and their end, files, time.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{ContentId, NodeId};

/// Grants of one moment. The default grants everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessTable {
    /// Counted up by the side that builds tables, so that a late one replaces no newer one.
    epoch: u64,
    /// Nodes that may have anything at all; `None`: every node that is linked.
    nodes: Option<BTreeSet<NodeId>>,
    /// Contents with a list of their own; a content without one has no further condition.
    readers: BTreeMap<ContentId, BTreeSet<NodeId>>,
}

impl AccessTable {
    /// Every linked node may have every content that it can name: a ticket is the capability.
    pub fn open() -> Self {
        Self::default()
    }

    /// These nodes alone may have anything.
    pub fn of_nodes(nodes: impl IntoIterator<Item = NodeId>) -> Self {
        Self { nodes: Some(nodes.into_iter().collect()), ..Self::default() }
    }

    /// The same table, with `content` for these readers alone.
    #[must_use]
    pub fn restrict(mut self, content: ContentId, readers: impl IntoIterator<Item = NodeId>) -> Self {
        self.readers.insert(content, readers.into_iter().collect());
        self
    }

    /// The same table as the `epoch`th of its node.
    #[must_use]
    pub fn at_epoch(self, epoch: u64) -> Self {
        Self { epoch, ..self }
    }

    /// What both tables grant; the epoch is the later one.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.epoch = self.epoch.max(other.epoch);
        self.nodes = match (self.nodes, other.nodes) {
            (Some(own), Some(others)) => Some(own.intersection(&others).copied().collect()),
            (own, others) => own.or(others),
        };
        for (content, others) in other.readers {
            match self.readers.get_mut(&content) {
                Some(own) => own.retain(|node| others.contains(node)),
                None => {
                    self.readers.insert(content, others);
                }
            }
        }
        self
    }

    /// Whether this table replaces `other`.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        self.epoch > other.epoch
    }

    /// Whether a linked node may have a content: its manifest, its chunks, the word of who has it.
    pub fn grants(&self, node: NodeId, content: ContentId) -> bool {
        self.nodes.as_ref().is_none_or(|nodes| nodes.contains(&node))
            && self.readers.get(&content).is_none_or(|readers| readers.contains(&node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(byte: u8) -> NodeId {
        NodeId::from_bytes([byte; 32])
    }

    /// Which of nodes 1 to 3 may have content 1, and which content 2, as `123 123`.
    fn check(table: &AccessTable, expected: &str) {
        let of = |content: u8| -> String {
            let content = ContentId::from_bytes([content; 32]);
            (1..=3).filter(|byte| table.grants(node(*byte), content)).map(|byte| byte.to_string()).collect()
        };
        assert_eq!(format!("{} {}", of(1), of(2)), expected);
    }

    fn readers(nodes: &[u8]) -> AccessTable {
        let nodes = nodes.iter().map(|byte| node(*byte));
        AccessTable::open().restrict(ContentId::from_bytes([1; 32]), nodes)
    }

    #[test]
    fn a_list_binds_its_content_alone_and_nodes_bind_all() {
        check(&AccessTable::open(), "123 123");
        check(&readers(&[2]), "2 123");
        check(&readers(&[]), " 123");
        check(&AccessTable::of_nodes([node(1), node(2)]), "12 12");
        check(&AccessTable::of_nodes([]), " ");
    }

    #[test]
    fn two_tables_together_grant_what_both_grant() {
        check(&readers(&[1, 2]).and(readers(&[2, 3])), "2 123");
        let nodes = AccessTable::of_nodes([node(1), node(2)]);
        check(&nodes.clone().and(readers(&[2, 3])), "2 12");
        check(&readers(&[2, 3]).and(nodes.clone()), "2 12");
        check(&nodes.and(AccessTable::of_nodes([node(2), node(3)])), "2 2");
        check(&AccessTable::open().and(AccessTable::open()), "123 123");
    }

    #[test]
    fn a_table_replaces_only_an_older_one() {
        let table = |epoch| AccessTable::open().at_epoch(epoch);
        assert!(table(2).is_newer_than(&table(1)));
        assert!(!table(1).is_newer_than(&table(1)) && !table(1).is_newer_than(&table(2)));
    }
}
