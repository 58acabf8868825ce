//! Addresses that the DHT named, and the nodes found there. Invariant: at most [`DHT_ADDRESSES_MAX`], each asked once in
//! [`DHT_ADDRESS_LIFE`]. Time is an argument.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::limits::{DHT_ADDRESS_LIFE, DHT_ADDRESSES_MAX};
use swarm_core::base::{ContentId, Instant, NodeId};

#[derive(Default)]
pub(in super::super) struct Addresses {
    entries: BTreeMap<SocketAddrV4, Entry>,
    /// Sorted by age, oldest first: those are dropped when there are too many.
    by_age: BTreeSet<(Instant, SocketAddrV4)>,
}

struct Entry {
    asked_at: Instant,
    /// `None` until the address has answered.
    node: Option<NodeId>,
    /// Contents that the address was named for and not yet reported for.
    waiting: BTreeSet<ContentId>,
    reported: BTreeSet<ContentId>,
}

impl Addresses {
    /// Notes that the DHT names an address for a content; true if the address is to be asked for its node.
    pub(in super::super) fn hear(&mut self, now: Instant, address: SocketAddrV4, content: ContentId) -> bool {
        self.expire(now);
        let is_new = !self.entries.contains_key(&address);
        if is_new {
            self.make_room();
            self.by_age.insert((now, address));
        }
        let (waiting, reported) = (BTreeSet::new(), BTreeSet::new());
        let fresh = Entry { asked_at: now, node: None, waiting, reported };
        let entry = self.entries.entry(address).or_insert(fresh);
        if !entry.reported.contains(&content) {
            entry.waiting.insert(content);
        }
        is_new
    }

    /// Notes the node at an address; `None` if none answered, or it is not to be reported.
    pub(in super::super) fn on_probed(&mut self, address: SocketAddrV4, node: Option<NodeId>) {
        if let Some(entry) = self.entries.get_mut(&address) {
            entry.node = node;
        }
    }

    /// Reports the node at an address for each content that it was named for; each pair once.
    pub(in super::super) fn report(&mut self, address: SocketAddrV4) -> Vec<(ContentId, NodeId)> {
        let Some(entry) = self.entries.get_mut(&address) else { return Vec::new() };
        let Some(node) = entry.node else { return Vec::new() };
        let waiting = std::mem::take(&mut entry.waiting);
        entry.reported.extend(&waiting);
        waiting.into_iter().map(|content| (content, node)).collect()
    }

    fn expire(&mut self, now: Instant) {
        while let Some(&(asked_at, address)) = self.by_age.first()
            && now - asked_at >= DHT_ADDRESS_LIFE
        {
            self.forget(asked_at, address);
        }
    }

    fn make_room(&mut self) {
        while self.entries.len() >= DHT_ADDRESSES_MAX
            && let Some(&(asked_at, address)) = self.by_age.first()
        {
            self.forget(asked_at, address);
        }
    }

    fn forget(&mut self, asked_at: Instant, address: SocketAddrV4) {
        self.by_age.remove(&(asked_at, address));
        let entry = self.entries.remove(&address);
        debug_assert!(entry.is_none_or(|entry| entry.asked_at == asked_at), "each has one age");
    }
}

/// Any node of the DHT may announce any address. One that no host has, or that is not public, is not asked.
pub(in super::super) fn is_worth_asking(address: SocketAddrV4, is_private: bool) -> bool {
    let ip = *address.ip();
    let is_no_host = ip.octets()[0] == 0 || ip.is_multicast() || ip.octets()[0] >= 240;
    address.port() != 0 && !is_no_host && (is_private || is_public(ip))
}

fn is_public(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    let is_shared = a == 100 && (64..128).contains(&b);
    !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_documentation() || is_shared)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn content(number: u8) -> ContentId {
        ContentId::from_bytes([number; 32])
    }

    fn at(text: &str) -> SocketAddrV4 {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_is_asked_once_in_a_while_and_reported_once_for_each_content() {
        let (start, node) = (Instant::ZERO, NodeId::from_bytes([1; 32]));
        let (mut addresses, place) = (Addresses::default(), at("192.0.2.1:7"));
        assert!(addresses.hear(start, place, content(1)));
        assert!(!addresses.hear(start, place, content(2)));
        assert_eq!(addresses.report(place), []);
        addresses.on_probed(place, Some(node));
        assert_eq!(addresses.report(place), [(content(1), node), (content(2), node)]);
        assert!(!addresses.hear(start + Duration::from_secs(60), place, content(1)));
        assert!(!addresses.hear(start + Duration::from_secs(60), place, content(3)));
        assert_eq!(addresses.report(place), [(content(3), node)]);
        assert!(addresses.hear(start + DHT_ADDRESS_LIFE, place, content(1)));
    }

    #[test]
    fn the_oldest_addresses_go_when_there_are_too_many() {
        let (start, mut addresses) = (Instant::ZERO, Addresses::default());
        for number in 0..=DHT_ADDRESSES_MAX {
            let place = SocketAddrV4::new(Ipv4Addr::from(u32::try_from(number).expect("few")), 7);
            assert!(addresses.hear(start + Duration::from_millis(number as u64), place, content(1)));
        }
        assert_eq!(addresses.entries.len(), DHT_ADDRESSES_MAX);
        assert_eq!(addresses.by_age.len(), DHT_ADDRESSES_MAX);
        assert!(addresses.hear(start + Duration::from_secs(9), at("0.0.0.0:7"), content(1)));
    }

    #[test]
    fn a_private_address_is_asked_in_a_private_dht_alone() {
        let check = |address: &str, in_public: bool, in_private: bool| {
            let found = (is_worth_asking(at(address), false), is_worth_asking(at(address), true));
            assert_eq!(found, (in_public, in_private), "{address}");
        };
        check("8.8.8.8:7", true, true);
        check("8.8.8.8:0", false, false);
        for private in ["10.1.2.3:7", "127.0.0.1:7", "192.168.1.1:7", "100.64.0.1:7", "169.254.1.1:7"] {
            check(private, false, true);
        }
        for no_host in ["0.1.2.3:7", "224.0.0.1:7", "255.255.255.255:7", "240.0.0.1:7"] {
            check(no_host, false, false);
        }
    }
}
