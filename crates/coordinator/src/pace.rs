//! Rate limits for the messages of a node and of an address. Invariant: the tables hold only keys that sent messages lately.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use swarm_core::base::NodeId;

/// Rate limits by node and by address.
pub(super) struct Pace {
    by_node: DefaultKeyedRateLimiter<NodeId>,
    by_address: DefaultKeyedRateLimiter<IpAddr>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            by_node: RateLimiter::dashmap(Quota::per_second(NODE_PER_SEC).allow_burst(NODE_BURST)),
            by_address: RateLimiter::dashmap(Quota::per_second(ADDRESS_PER_SEC).allow_burst(ADDRESS_BURST)),
        }
    }

    /// Whether one more message of this node and address is accepted.
    pub(super) fn admits(&self, node: NodeId, address: IpAddr) -> bool {
        self.by_node.check_key(&node).is_ok() && self.by_address.check_key(&network_of(address)).is_ok()
    }

    /// Removes keys that were idle long enough to have their whole allowance again.
    pub(super) fn tidy(&self) {
        self.by_node.retain_recent();
        self.by_address.retain_recent();
        self.by_node.shrink_to_fit();
        self.by_address.shrink_to_fit();
    }
}

/// The owner of one IPv6 address usually has 2^64 of them (RFC 6177), so that a /64 counts as one.
pub(super) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

/// A node with 4096 contents announces each of them every 100 s; a new node announces all of them at once.
const NODE_PER_SEC: NonZeroU32 = NonZeroU32::new(64).expect("not zero");
/// Twice the contents that one node may announce: all of them at once pass, and a repetition after a new link.
const NODE_BURST: NonZeroU32 = NonZeroU32::new(8192).expect("not zero");
/// Enough for a university behind one address: a thousand nodes.
const ADDRESS_PER_SEC: NonZeroU32 = NonZeroU32::new(2048).expect("not zero");
const ADDRESS_BURST: NonZeroU32 = NonZeroU32::new(32 << 10).expect("not zero");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_node_is_limited_and_others_are_admitted() {
        let (pace, home) = (Pace::new(), IpAddr::from([192, 0, 2, 1]));
        let [noisy, other] = [1, 2].map(|byte| NodeId::from_bytes([byte; 32]));
        let taken = (0..20_000).filter(|_| pace.admits(noisy, home)).count();
        assert!((8192..10_000).contains(&taken), "{taken}");
        assert!(pace.admits(other, home));
    }

    #[test]
    fn nodes_at_one_address_share_its_limit() {
        let (pace, network) = (Pace::new(), "2001:db8:1:2::");
        let crowd = (0..40_000u32).filter(|number| {
            let mut node = [0; 32];
            node[..4].copy_from_slice(&number.to_le_bytes());
            let address = format!("{network}{number:x}").parse().expect("an address");
            pace.admits(NodeId::from_bytes(node), address)
        });
        assert!(crowd.count() < 38_000);
    }
}
