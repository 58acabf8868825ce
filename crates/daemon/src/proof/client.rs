//! Who shows a password, as far as that is known before it is compared.

use std::net::{IpAddr, Ipv6Addr};

use swarm_core::base::NodeId;

/// Who shows a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// A client of the API.
    Web(IpAddr),
    /// A node that nobody here knows: keys are free, so its address stands for it.
    Stranger(NodeId, IpAddr),
    /// A node of peers.json. Its key is proven: what it does wrong is no affair of others behind its address.
    Peer(NodeId, IpAddr),
}

impl Client {
    /// Where it is.
    pub(super) fn address(&self) -> IpAddr {
        match self {
            Self::Web(address) | Self::Stranger(_, address) | Self::Peer(_, address) => *address,
        }
    }

    /// What waits after wrong passwords.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Web(address) | Self::Stranger(_, address) => format!("address {}", of_one_client(*address)),
            Self::Peer(node, _) => format!("peer {node}"),
        }
    }

    /// How the audit log names it beside its address.
    pub(super) fn named(&self) -> String {
        match self {
            Self::Web(_) => String::new(),
            Self::Stranger(node, _) | Self::Peer(node, _) => format!("peer {node}"),
        }
    }
}

/// A client of IPv6 has a network of its own (RFC 6177): all of it counts as one.
pub fn of_one_client(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX))),
        from @ IpAddr::V4(_) => from,
    }
}
