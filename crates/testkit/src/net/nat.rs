//! A home router: hosts behind it share its address, and datagrams from outside reach them only in answer to theirs.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use super::host::{Host, within};
use super::lab::{HOST_INTERFACE, add_switch, bring_up, join, plug_in};
use super::shell::{load_rules, run, try_run};

/// The router. Its mappings keep ports where they are free; filtering is by the other end's address and port.
pub struct Nat {
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
    pub fn host(&self) -> Host {
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

    /// A NAT-PMP server on it, as home routers have one; run it on a thread of its own. It maps every port to itself, opens
    /// the way in, and ends with the laboratory.
    pub fn serve_nat_pmp(&self) {
        let netns = self.outside.netns.clone();
        let socket = within(&netns, || UdpSocket::bind((INNER_ADDRESS, NAT_PMP_PORT)).expect("a free port"));
        socket.set_read_timeout(Some(NAT_PMP_SILENCE_MAX)).expect("it is a socket");
        let outside = self.outside.address;
        std::thread::spawn(move || {
            let mut request = [0; 1100];
            while let Ok((len, from)) = socket.recv_from(&mut request) {
                let answer = nat_pmp(&request[..len], outside, |port, is_open| {
                    let inside = from.ip();
                    let rules = if is_open { open(port, inside) } else { SHUT.to_owned() };
                    load_rules(&netns, &rules);
                });
                let _ = socket.send_to(&answer, from);
            }
        });
    }

    /// The address of all hosts behind it, as seen from outside.
    pub fn address(&self) -> Ipv4Addr {
        self.outside.address
    }
}

/// RFC 6886. Requests of other versions, such as PCP, are answered with "unsupported version".
fn nat_pmp(request: &[u8], outside: Ipv4Addr, map: impl Fn(u16, bool)) -> Vec<u8> {
    let epoch = [0, 0, 0, 1];
    match request {
        [0, 0] => [&[0, 0x80, 0, 0], &epoch[..], &outside.octets()].concat(),
        [0, 1, _, _, high, low, _, _, lifetime @ ..] if lifetime.len() == 4 => {
            let is_open = lifetime != [0; 4];
            map(u16::from_be_bytes([*high, *low]), is_open);
            let outer = if is_open { [*high, *low] } else { [0, 0] };
            [&[0, 0x81, 0, 0], &epoch[..], &[*high, *low], &outer, lifetime].concat()
        }
        _ => [&[0, 0x80, 0, 1], &epoch[..]].concat(),
    }
}

fn open(port: u16, inside: IpAddr) -> String {
    format!(
        r#"
table ip mapped {{
    chain arriving {{
        type nat hook prerouting priority dstnat; iifname "eth0" udp dport {port} dnat to {inside}:{port};
    }}
}}
insert rule ip guard passing iifname "eth0" ip daddr {inside} udp dport {port} accept
"#
    )
}

const SHUT: &str = "delete table ip mapped";
const NAT_PMP_PORT: u16 = 5351;
/// Longer than any test: the thread ends soon after its test.
const NAT_PMP_SILENCE_MAX: Duration = Duration::from_secs(120);
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
