//! Which hosts are likely to fail together: dials are spread over networks by this. Knows no peers.

use std::net::{IpAddr, SocketAddr};

use swarm_core::manifest::Address;

/// Hosts that are likely to be up or down together, and to belong to one operator.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Network {
    /// The first 24 bits of the addresses.
    V4([u8; 3]),
    /// The first 48 bits of the addresses.
    V6([u16; 3]),
    /// A name, which stands for addresses that are not known here.
    Name(String),
}

impl Network {
    pub(super) fn of(address: &Address) -> Self {
        let Ok(socket) = address.as_str().parse::<SocketAddr>() else {
            let host = address.as_str().rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
            return Self::Name(host.to_ascii_lowercase());
        };
        match socket.ip().to_canonical() {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(ip) => {
                let [a, b, c, ..] = ip.segments();
                Self::V6([a, b, c])
            }
        }
    }
}
