//! A home router: hosts behind it share its address, and nobody outside reaches them unasked.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU8, Ordering};

use super::host::Host;
use super::lab::{HOST_INTERFACE, add_switch, bring_up, join, plug_in};
use super::shell::{load_rules, run, try_run};

/// The router. Its mappings keep ports where they are free; filtering is by the other end's address and port.
pub(crate) struct Nat {
    outside: Host,
    /// The switch on its inner side; its name begins those of the hosts there, too.
    inside: String,
    hosts: AtomicU8,
}

impl Nat {
    pub(super) fn new(outside: Host, prefix: String) -> Self {
        let inside = format!("{prefix}{}", outside.address.octets()[3]);
        add_switch(&inside);
        let router = &outside.netns;
        join((router, INNER_INTERFACE), (&inside, INNER_PORT));
        plug_in((&inside, INNER_PORT));
        run(&format!("ip -n {router} address add {INNER_ADDRESS}/24 dev {INNER_INTERFACE}"));
        run(&format!("ip -n {router} link set {INNER_INTERFACE} addrgenmode none up"));
        let forward = format!("ip netns exec {router} tee /proc/sys/net/ipv4/ip_forward");
        try_run(&forward, "1").unwrap_or_else(|error| panic!("{error}"));
        load_rules(router, RULES);
        Self { outside, inside, hosts: AtomicU8::new(0) }
    }

    /// A host behind it, on a fast line.
    pub(crate) fn host(&self) -> Host {
        let number = self.hosts.fetch_add(1, Ordering::Relaxed) + 2;
        let address = Ipv4Addr::new(192, 168, 1, number);
        let (netns, port) = (format!("{}-{number}", self.inside), format!("p{number}"));
        run(&format!("ip netns add {netns}"));
        join((&netns, HOST_INTERFACE), (&self.inside, &port));
        plug_in((&self.inside, &port));
        bring_up(&netns, &format!("{address}/24"));
        run(&format!("ip -n {netns} route add default via {INNER_ADDRESS}"));
        Host { netns, address, port: (self.inside.clone(), port) }
    }

    /// As the world sees all hosts behind it.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.outside.address
    }
}

const INNER_INTERFACE: &str = "inner";
const INNER_PORT: &str = "router";
const INNER_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
const RULES: &str = r#"
table ip nat {
    chain leaving { type nat hook postrouting priority srcnat; oifname "eth0" masquerade; }
}
table ip guard {
    chain passing {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept;
        iifname "inner" accept;
    }
    chain arriving {
        type filter hook input priority filter; policy accept;
        iifname "eth0" ct state new drop;
    }
}
"#;
