//! Addresses of this machine at which others can reach it. Order: public, then private, then loopback, which serves nodes on the
//! same machine; of equal ones the learned come first. Link-local addresses are left out: they mean nothing on another machine.

use std::io;
use std::net::{IpAddr, SocketAddr};

use swarm_core::base::limits::SOURCE_ADDRESSES_MAX;

/// The addresses of all interfaces of this machine that are up, the widest reach first, loopback last.
pub fn addresses() -> io::Result<Vec<IpAddr>> {
    let interfaces = if_addrs::get_if_addrs()?;
    let up = interfaces.iter().filter(|interface| interface.is_oper_up() || interface.is_loopback());
    Ok(by_reach(up.map(if_addrs::Interface::ip)))
}

/// Addresses of a socket bound to `bound`, given those of this machine and the learned ones that lead to it from outside.
pub(super) fn reachable_at(bound: SocketAddr, own: &[IpAddr], learned: &[SocketAddr]) -> Vec<SocketAddr> {
    let is_dual_stack = bound.is_ipv6();
    let candidates = if bound.ip().is_unspecified() { own } else { &[bound.ip()] };
    let own = candidates
        .iter()
        .filter(|ip| is_dual_stack || ip.is_ipv4())
        .map(|&ip| SocketAddr::new(ip, bound.port()))
        .filter(|address| !learned.contains(address));
    let mut all: Vec<SocketAddr> = learned.iter().rev().copied().chain(own).collect();
    // The sort is stable: learned addresses stay first among those of equal reach.
    all.sort_by_key(|address| reach(address.ip()));
    all.truncate(SOURCE_ADDRESSES_MAX);
    all
}

/// A dual-stack socket shows IPv4 peers as `::ffff:a.b.c.d`; this gives the IPv4 address.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whether packets to or from `ip` stay within this machine.
pub(super) fn is_local(ip: IpAddr, own: &[IpAddr]) -> bool {
    ip.is_loopback() || own.contains(&ip)
}

fn by_reach(ips: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut ips: Vec<(Reach, IpAddr)> = ips.filter_map(|ip| Some((reach(ip)?, ip))).collect();
    ips.sort_unstable();
    ips.dedup();
    ips.into_iter().map(|(_, ip)| ip).collect()
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Public,
    Private,
    Loopback,
}

fn reach(ip: IpAddr) -> Option<Reach> {
    let (is_link_local, is_private) = match ip {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.is_private()),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.is_unique_local()),
    };
    if ip.is_loopback() {
        Some(Reach::Loopback)
    } else if is_link_local || ip.is_unspecified() || ip.is_multicast() {
        None
    } else {
        Some(if is_private { Reach::Private } else { Reach::Public })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(own: &str, bound: &str, expected: &str) {
        let own = by_reach(own.split(' ').map(|ip| ip.parse().expect("an address")));
        let shown: Vec<String> =
            reachable_at(bound.parse().expect("bound"), &own, &[]).iter().map(ToString::to_string).collect();
        assert_eq!(shown.join(" "), expected);
    }

    #[test]
    fn the_widest_reach_comes_first_and_link_local_is_left_out() {
        check(
            "127.0.0.1 ::1 10.0.0.2 fe80::1 169.254.1.1 192.0.2.7 2001:db8::1 fd00::1",
            "[::]:5",
            "192.0.2.7:5 [2001:db8::1]:5 10.0.0.2:5 [fd00::1]:5 127.0.0.1:5 [::1]:5",
        );
    }

    #[test]
    fn a_socket_is_reached_where_it_is_bound() {
        check("127.0.0.1 ::1 10.0.0.2", "0.0.0.0:5", "10.0.0.2:5 127.0.0.1:5");
        check("127.0.0.1 ::1 10.0.0.2", "127.0.0.1:5", "127.0.0.1:5");
        check("127.0.0.1 ::1 10.0.0.2", "[::1]:5", "[::1]:5");
    }

    #[test]
    fn a_learned_address_stands_before_its_equals() {
        let own = ["192.0.2.7", "10.0.0.2", "127.0.0.1"].map(|ip| ip.parse().expect("an address"));
        let learned =
            ["198.51.100.9:7", "10.9.9.9:8", "192.0.2.7:5"].map(|at| at.parse().expect("an address"));
        let all = reachable_at("[::]:5".parse().expect("bound"), &own, &learned);
        let shown: Vec<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(shown.join(" "), "192.0.2.7:5 198.51.100.9:7 10.9.9.9:8 10.0.0.2:5 127.0.0.1:5");
    }
}
