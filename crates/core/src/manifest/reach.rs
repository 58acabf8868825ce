//! How far an address reaches, and thus which peers may be told of it. Judges the address alone, without the host's interfaces.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::source::Address;

/// The part of the network from which an address can be dialed; the nearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Machine,
    Segment,
    Network,
    World,
}

impl Address {
    /// Whether a third node may tell the peer seen at `peer` of this address, and is believed when it tells of it: the address
    /// must reach at least as far as the peer's own. So a peer never learns the inside of a network that it is not in, and a peer
    /// from outside cannot direct a node into that node's own network, or to itself. Names, whose owner might point them
    /// anywhere, and addresses that no node can have are never passed on.
    pub fn may_be_told_to(&self, peer: &Self) -> bool {
        let (own, other) = (self.reach(), peer.reach());
        own.is_some() && other.is_some() && own >= other
    }

    fn reach(&self) -> Option<Reach> {
        let address: SocketAddr = self.as_str().parse().ok()?;
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => reach_v4(ip),
            IpAddr::V6(ip) => reach_v6(ip),
        }
    }
}

fn reach_v4(ip: Ipv4Addr) -> Option<Reach> {
    let [a, b, ..] = ip.octets();
    // 100.64/10 is the inner network of a provider (RFC 6598).
    let is_shared = a == 100 && (64..128).contains(&b);
    if a == 0 || a >= 240 || ip.is_multicast() {
        None
    } else if ip.is_loopback() {
        Some(Reach::Machine)
    } else if ip.is_link_local() {
        Some(Reach::Segment)
    } else if ip.is_private() || is_shared {
        Some(Reach::Network)
    } else {
        Some(Reach::World)
    }
}

fn reach_v6(ip: Ipv6Addr) -> Option<Reach> {
    let first = ip.segments()[0];
    let is_local = first & 0xfe00 == 0xfc00;
    if ip.is_unspecified() || ip.is_multicast() {
        None
    } else if ip.is_loopback() {
        Some(Reach::Machine)
    } else if first & 0xffc0 == 0xfe80 {
        Some(Reach::Segment)
    } else if is_local {
        Some(Reach::Network)
    } else {
        Some(Reach::World)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str) -> Address {
        format!("{host}:4433").parse().expect("an address")
    }

    #[test]
    fn an_address_is_told_to_those_whose_own_reaches_no_further() {
        let rings = [
            ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"],
            ["169.254.1.1", "[fe80::1]", "169.254.9.9"],
            ["10.0.0.1", "[fd00::1]", "100.64.0.1"],
            ["203.0.113.1", "[2001:db8::1]", "[::ffff:203.0.113.1]"],
        ];
        for (far, told) in rings.iter().enumerate() {
            for (near, peers) in rings.iter().enumerate() {
                for (told, peer) in told.iter().flat_map(|told| peers.iter().map(move |peer| (told, peer))) {
                    let may = address(told).may_be_told_to(&address(peer));
                    assert_eq!(may, far >= near, "{told} to {peer}");
                }
            }
        }
    }

    #[test]
    fn names_and_impossible_addresses_are_never_passed_on() {
        for host in
            ["localhost", "seed.example", "0.0.0.0", "[::]", "224.0.0.1", "[ff02::1]", "255.255.255.255"]
        {
            assert!(!address(host).may_be_told_to(&address("127.0.0.1")), "{host}");
        }
    }

    #[test]
    fn private_networks_of_all_kinds_stay_inside() {
        for host in ["192.168.1.1", "172.16.0.1", "172.31.255.1", "10.255.0.1"] {
            assert!(!address(host).may_be_told_to(&address("8.8.8.8")), "{host}");
            assert!(address(host).may_be_told_to(&address("192.168.7.7")), "{host}");
        }
        assert!(address("172.32.0.1").may_be_told_to(&address("8.8.8.8")));
    }
}
