//! Lets the fuzz targets and their replay reach the decoders of this crate. No other code uses it.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};

use mdns_sd::TxtProperties;

use super::dht::addresses::{Addresses, is_worth_asking};
use super::lan::record::{Announcement, ShortId};
use super::port_map::gateway;
use swarm_core::base::{ContentId, Instant, NodeId};

/// A node's announcement on the local network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanRecord {
    /// The node that announces itself.
    pub node: NodeId,
    /// Short ids of its contents.
    pub contents: BTreeSet<[u8; 8]>,
}

impl LanRecord {
    /// Reads the data of a TXT record.
    pub fn decode(txt: &[u8]) -> Option<Self> {
        let Announcement { node, contents } = Announcement::from_txt(&TxtProperties::from(txt))?;
        Some(Self { node, contents: contents.into_iter().map(|ShortId(id)| id).collect() })
    }

    /// The data of a TXT record: strings, each after a byte with its length.
    pub fn encode(&self) -> Vec<u8> {
        let contents = self.contents.iter().map(|id| ShortId(*id)).collect();
        let txt = Announcement { node: self.node, contents }.to_txt();
        let strings = txt.iter().map(|property| [property.key(), "=", property.val_str()].concat());
        strings.flat_map(|string| [vec![string.len() as u8], string.into_bytes()].concat()).collect()
    }
}

/// The gateway in a routing table as the Linux kernel prints it.
pub fn gateway_in_routes(table: &str) -> Option<Ipv4Addr> {
    gateway::in_routes(table)
}

/// The addresses that the DHT named.
#[derive(Default)]
pub struct DhtAddresses(Addresses);

impl DhtAddresses {
    /// The DHT names an address for a content; true if the address is to be asked for its node.
    pub fn hear(&mut self, now: Instant, address: SocketAddrV4, content: ContentId) -> bool {
        self.0.hear(now, address, content)
    }

    /// Sets the node at an address.
    pub fn on_probed(&mut self, address: SocketAddrV4, node: Option<NodeId>) {
        self.0.on_probed(address, node);
    }

    /// Reports the node at an address for each content that it was named for; each pair once.
    pub fn report(&mut self, address: SocketAddrV4) -> Vec<(ContentId, NodeId)> {
        self.0.report(address)
    }
}

/// Whether an address that the DHT named is asked at all.
pub fn is_asked(address: SocketAddrV4, is_private: bool) -> bool {
    is_worth_asking(address, is_private)
}
