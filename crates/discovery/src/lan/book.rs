//! Nodes heard on the local network, and for which contents each was reported. Invariant: at most [`LAN_NODES_MAX`] nodes.

use std::collections::{BTreeMap, BTreeSet};

use super::record::{Announcement, ShortId};
use crate::limits::{LAN_ADDRESSES_MAX, LAN_LISTED_MAX, LAN_NODES_MAX};
use swarm_core::base::{ContentId, NodeId};
use swarm_core::manifest::{Address, Source};
use swarm_core::presence::Presence;

/// A node's announcement, and its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) announcement: Announcement,
    /// Addresses to dial, best first.
    pub(super) addresses: Vec<Address>,
}

pub(super) struct Book {
    own: NodeId,
    /// By the name of the announced service.
    entries: BTreeMap<String, Entry>,
}

struct Entry {
    seen: Seen,
    reported: BTreeSet<ContentId>,
}

impl Book {
    pub(super) fn new(own: NodeId) -> Self {
        Self { own, entries: BTreeMap::new() }
    }

    pub(super) fn hear(&mut self, name: String, seen: Seen) {
        if seen.announcement.node == self.own {
            return;
        }
        let is_full = self.entries.len() >= LAN_NODES_MAX;
        match self.entries.get_mut(&name) {
            Some(entry) => {
                let is_moved = entry.seen.addresses != seen.addresses
                    || entry.seen.announcement.node != seen.announcement.node;
                if is_moved {
                    entry.reported.clear();
                }
                entry.seen = seen;
            }
            None if !is_full => {
                self.entries.insert(name, Entry { seen, reported: BTreeSet::new() });
            }
            None => tracing::debug!(name, "too many nodes on the local network: one is not heard"),
        }
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.entries.remove(name);
    }

    /// Whether another node announced this content.
    pub(super) fn is_asked_for(&self, content: ContentId) -> bool {
        let id = ShortId::of(content);
        self.entries.values().any(|entry| entry.seen.announcement.contents.contains(&id))
    }

    /// The nodes, sorted by their keys: those that come first.
    pub(super) fn nodes(&self) -> Vec<Source> {
        let mut nodes: BTreeMap<NodeId, BTreeSet<&Address>> = BTreeMap::new();
        for Entry { seen, .. } in self.entries.values() {
            nodes.entry(seen.announcement.node).or_default().extend(&seen.addresses);
        }
        let listed = nodes.into_iter().take(LAN_LISTED_MAX);
        let source = |(node, addresses): (NodeId, BTreeSet<&Address>)| Source {
            node,
            addresses: addresses.into_iter().take(LAN_ADDRESSES_MAX).cloned().collect(),
        };
        listed.map(source).collect()
    }

    /// Nodes that have a wanted content and were not reported for it since their addresses changed.
    pub(super) fn report(&mut self, presences: &[Presence]) -> Vec<(ContentId, Source)> {
        let wanted: BTreeMap<ContentId, ShortId> = presences
            .iter()
            .filter(|presence| presence.is_wanting)
            .map(|presence| (presence.content, ShortId::of(presence.content)))
            .collect();
        let mut found = Vec::new();
        for entry in self.entries.values_mut() {
            entry.reported.retain(|content| wanted.contains_key(content));
            let Announcement { node, contents } = &entry.seen.announcement;
            for (&content, id) in &wanted {
                if contents.contains(id) && entry.reported.insert(content) {
                    found.push((content, Source { node: *node, addresses: entry.seen.addresses.clone() }));
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(number: u8) -> ContentId {
        ContentId::from_bytes([number; 32])
    }

    fn wanting(number: u8) -> Presence {
        let links = Vec::new();
        Presence { content: content(number), have_count: 0, chunk_count: 9, is_wanting: true, links }
    }

    fn seen(node: u8, contents: &[u8], address: &str) -> Seen {
        let contents = contents.iter().map(|&number| ShortId::of(content(number))).collect();
        let announcement = Announcement { node: NodeId::from_bytes([node; 32]), contents };
        Seen { announcement, addresses: vec![address.parse().expect("an address")] }
    }

    fn reported(book: &mut Book, presences: &[Presence]) -> String {
        let found = book.report(presences);
        let shown = found.iter().map(|(content, source)| {
            format!("{} {}@{}", &content.short()[..2], &source.node.short()[..2], source.addresses[0])
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_node_is_reported_once_for_each_wanted_content_until_it_moves_or_is_gone() {
        let mut book = Book::new(NodeId::from_bytes([1; 32]));
        book.hear("a".to_owned(), seen(2, &[7, 8], "10.0.0.2:4"));
        assert_eq!(reported(&mut book, &[]), "");
        assert_eq!(reported(&mut book, &[wanting(7), wanting(9)]), "07 02@10.0.0.2:4");
        assert_eq!(reported(&mut book, &[wanting(7), wanting(8)]), "08 02@10.0.0.2:4");
        book.hear("a".to_owned(), seen(2, &[7, 8], "10.0.0.2:4"));
        assert_eq!(reported(&mut book, &[wanting(7), wanting(8)]), "");
        book.hear("a".to_owned(), seen(2, &[7], "10.0.0.3:4"));
        assert_eq!(reported(&mut book, &[wanting(7), wanting(8)]), "07 02@10.0.0.3:4");
        book.forget("a");
        book.hear("a".to_owned(), seen(2, &[7], "10.0.0.3:4"));
        assert_eq!(reported(&mut book, &[wanting(7)]), "07 02@10.0.0.3:4");
    }

    #[test]
    fn nodes_are_listed_once_each_with_all_their_addresses_and_no_more_than_so_many() {
        let mut book = Book::new(NodeId::from_bytes([1; 32]));
        book.hear("own".to_owned(), seen(1, &[7], "10.0.0.1:4"));
        book.hear("b".to_owned(), seen(3, &[], "10.0.0.3:4"));
        book.hear("a".to_owned(), seen(2, &[7], "10.0.0.2:4"));
        book.hear("a again".to_owned(), seen(2, &[8], "10.0.0.9:4"));
        let listed = |book: &Book| {
            let node = |source: &Source| {
                let addresses: Vec<String> = source.addresses.iter().map(ToString::to_string).collect();
                format!("{} {}", &source.node.short()[..2], addresses.join(" "))
            };
            book.nodes().iter().map(node).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(listed(&book), "02 10.0.0.2:4 10.0.0.9:4, 03 10.0.0.3:4");
        book.forget("a");
        assert_eq!(listed(&book), "02 10.0.0.9:4, 03 10.0.0.3:4");
        for number in 0..200 {
            book.hear(format!("{number}"), seen(number, &[7], "10.0.0.4:4"));
        }
        assert_eq!(book.nodes().len(), LAN_LISTED_MAX);
        for number in 0..200 {
            book.hear(format!("of one {number}"), seen(2, &[7], &format!("10.0.1.{number}:4")));
        }
        assert_eq!(book.nodes()[1].addresses.len(), LAN_ADDRESSES_MAX);
    }

    #[test]
    fn a_nodes_own_announcement_is_ignored_and_the_book_is_bounded() {
        let mut book = Book::new(NodeId::from_bytes([2; 32]));
        book.hear("own".to_owned(), seen(2, &[7], "10.0.0.2:4"));
        assert!(!book.is_asked_for(content(7)));
        for number in 0..=LAN_NODES_MAX {
            book.hear(format!("{number}"), seen(3, &[7], "10.0.0.3:4"));
        }
        assert_eq!(book.entries.len(), LAN_NODES_MAX);
        assert!(book.is_asked_for(content(7)));
    }
}
