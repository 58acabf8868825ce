//! Addresses under which other machines open the page of this node, for links that people send each other. Knows the settings and the interfaces of
//! this machine; whether a firewall lets anybody in is not looked at.

use std::net::{IpAddr, SocketAddr};

use crate::limits::PAGE_ADDRESSES_MAX;

/// `https://HOST:PORT`, names that the settings give first, then addresses by how far they reach; none if this machine alone is answered.
pub(crate) fn page_addresses(listening: SocketAddr, names: &[String], own: &[IpAddr]) -> Vec<String> {
    let ip = listening.ip();
    if ip.is_loopback() {
        return Vec::new();
    }
    let bound = [ip];
    let candidates = if ip.is_unspecified() { own } else { &bound };
    let reachable =
        candidates.iter().filter(|own| !own.is_loopback() && (listening.is_ipv6() || own.is_ipv4()));
    let reachable = reachable.map(|&own| SocketAddr::new(own, listening.port()).to_string());
    let named = names.iter().map(|name| format!("{name}:{}", listening.port()));
    named.chain(reachable).take(PAGE_ADDRESSES_MAX).map(|place| format!("https://{place}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(listening: &str, names: &[&str], expected: &str) {
        let own = ["192.0.2.7", "10.0.0.2", "fd00::1", "127.0.0.1", "::1"];
        let own = own.map(|ip| ip.parse().expect("an address"));
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let shown = page_addresses(listening.parse().expect("an address"), &names, &own);
        assert_eq!(shown.join(" "), expected, "{listening}");
    }

    #[test]
    fn other_machines_are_given_no_loopback_address() {
        let all = "https://192.0.2.7:80 https://10.0.0.2:80 https://[fd00::1]:80";
        check("[::]:80", &[], all);
        check("[::]:80", &["swarm.example.org"], &format!("https://swarm.example.org:80 {all}"));
        check("0.0.0.0:80", &[], "https://192.0.2.7:80 https://10.0.0.2:80");
        check("10.0.0.2:80", &[], "https://10.0.0.2:80");
        check("127.0.0.1:80", &["swarm.example.org"], "");
        check("[::1]:80", &[], "");
    }
}
