//! Chooses the addresses of a node that another node is told of. A node may claim any address: passed on unchecked, a claim would
//! direct a swarm's dials at an uninvolved machine.

use std::net::{IpAddr, SocketAddr};

use swarm_core::base::limits::NEIGHBOUR_ADDRESSES_MAX;
use swarm_core::manifest::Address;

/// Addresses of a node for one that asks, best first: `observed` is where the coordinator sees the node, `claimed` what the node
/// announced, `reached` where a probe reached it, `asker` where the coordinator sees the node that asks.
pub(super) fn handed_out(
    observed: SocketAddr,
    claimed: &[Address],
    reached: &[Address],
    asker: SocketAddr,
) -> Vec<Address> {
    let is_same_network = asker.ip() == observed.ip() || (is_inner(asker.ip()) && is_inner(observed.ip()));
    // A node on the coordinator's own machine or network is believed.
    let is_believed = observed.ip().is_loopback() && !asker.ip().is_loopback();
    let mut addresses: Vec<Address> = Vec::new();
    let mut add = |address: Address| {
        if !addresses.contains(&address) && addresses.len() < NEIGHBOUR_ADDRESSES_MAX {
            addresses.push(address);
        }
    };
    // Behind one NAT the inner address is the shorter way, and often the only one.
    let is_near = |address: &&Address| ip(address).is_some_and(is_inner) && is_same_network;
    claimed.iter().filter(is_near).cloned().for_each(&mut add);
    if !is_believed {
        add(observed.into());
    }
    reached.iter().cloned().for_each(&mut add);
    let is_its_own = |address: &&Address| is_believed || ip(address) == Some(observed.ip());
    claimed.iter().filter(is_its_own).cloned().for_each(&mut add);
    addresses
}

/// Whether a node sees itself at another address than the coordinator does: then a NAT is between them.
pub(super) fn is_translated(observed: SocketAddr, claimed: &[Address]) -> bool {
    !observed.ip().is_loopback() && !claimed.iter().any(|address| ip(address) == Some(observed.ip()))
}

/// Claimed addresses that may belong to another machine; only a probe can tell.
pub(super) fn doubtful(observed: SocketAddr, claimed: &[Address]) -> Vec<Address> {
    let is_doubtful = |address: &&Address| match ip(address) {
        Some(ip) => ip != observed.ip() && !is_inner(ip),
        None => true,
    };
    claimed.iter().filter(is_doubtful).take(DOUBTFUL_MAX).cloned().collect()
}

/// The IP address; `None` for a host name.
fn ip(address: &Address) -> Option<IpAddr> {
    address.as_str().parse::<SocketAddr>().ok().map(|address| address.ip().to_canonical())
}

/// Whether the address has a meaning only within one network.
fn is_inner(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local(),
    }
}

/// Host names and foreign addresses of one node that are probed.
const DOUBTFUL_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> Vec<Address> {
        text.split_whitespace().map(|address| address.parse().expect("an address")).collect()
    }

    fn check(observed: &str, claimed: &str, reached: &str, asker: &str, expected: &str) {
        let [observed, asker] = [observed, asker].map(|text| text.parse().expect("a socket address"));
        let handed = handed_out(observed, &addresses(claimed), &addresses(reached), asker);
        let handed: Vec<&str> = handed.iter().map(Address::as_str).collect();
        assert_eq!(handed.join(" "), expected);
    }

    #[test]
    fn an_observed_address_is_passed_on_and_a_claimed_foreign_one_is_not() {
        check(
            "203.0.113.1:5",
            "203.0.113.1:6 198.51.100.9:1",
            "",
            "192.0.2.1:1",
            "203.0.113.1:5 203.0.113.1:6",
        );
    }

    #[test]
    fn a_foreign_address_or_name_is_passed_on_once_a_probe_reached_it() {
        let claimed = "seed.example.org:7 198.51.100.9:1";
        check(
            "203.0.113.1:5",
            claimed,
            "seed.example.org:7",
            "192.0.2.1:1",
            "203.0.113.1:5 seed.example.org:7",
        );
    }

    #[test]
    fn inner_addresses_are_passed_on_behind_the_same_nat_alone() {
        check("203.0.113.1:5", "192.168.1.4:7", "", "192.0.2.1:1", "203.0.113.1:5");
        check("203.0.113.1:5", "192.168.1.4:7", "", "203.0.113.1:8", "192.168.1.4:7 203.0.113.1:5");
    }

    #[test]
    fn in_a_private_network_private_addresses_are_passed_on_to_every_node() {
        check("10.0.0.4:7", "10.0.0.4:7 172.16.0.1:7", "", "10.0.0.9:1", "10.0.0.4:7 172.16.0.1:7");
    }

    #[test]
    fn a_node_on_the_coordinators_machine_is_believed() {
        check("127.0.0.1:7", "203.0.113.1:7 127.0.0.1:7", "", "192.0.2.1:1", "203.0.113.1:7 127.0.0.1:7");
        check("127.0.0.1:7", "203.0.113.1:7 127.0.0.1:7", "", "127.0.0.1:9", "127.0.0.1:7");
    }

    #[test]
    fn a_nat_shows_in_the_addresses() {
        let check = |observed: &str, claimed: &str, expected| {
            let observed = observed.parse().expect("a socket address");
            assert_eq!(is_translated(observed, &addresses(claimed)), expected, "{observed} {claimed}");
        };
        check("203.0.113.1:5", "192.168.1.4:7", true);
        check("203.0.113.1:5", "203.0.113.1:7 192.168.1.4:7", false);
        check("127.0.0.1:5", "192.168.1.4:7", false);
    }
}
