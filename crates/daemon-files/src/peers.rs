//! `peers.json`: the nodes that this one knows, and which of them it trusts. Invariant: addresses and pinned nodes are distinct;
//! a mirror is not trusted; a peer without an address has a node.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use swarm_core::base::NodeId;
use swarm_core::manifest::{Address, Source};

use crate::key_path::KeyPath;
use crate::limits::PEERS_MAX;
use crate::origin::{Fingerprint, OriginUrl};
use crate::read::Wrong;
use crate::values::{Parsed, Secret, name_fault, plain};

/// A node that this one knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where it is reached; `None` for a node that has to be found, and for an origin.
    pub address: Option<Address>,
    /// Where it lists files and gives their bytes, if it speaks HTTP(S) alone. Such a peer has no key.
    pub origin: Option<OriginUrl>,
    /// What the certificate of an origin is checked by, pinned at first contact; `None` before that.
    pub fingerprint: Option<Fingerprint>,
    /// Whether its versions and votes count.
    pub trusted: bool,
    /// What this node shows to it in place of what `config.json` says; empty for that.
    pub username: String,
    /// The password that goes with it.
    pub password: Secret,
    /// Its key, pinned at first contact; `None` before that.
    pub node: Option<NodeId>,
    /// Whether it only carries contents onward.
    pub is_mirror: bool,
    /// What people call it.
    pub name: Option<String>,
}

/// Where a peer is.
#[derive(Clone, Debug)]
pub(crate) enum PeerAddress {
    /// A node, with its key or without.
    Node(Address, Option<NodeId>),
    /// A server.
    Origin(OriginUrl),
}

/// The peers of this node.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(title = "peers.json", transparent)]
#[serde(transparent)]
pub(crate) struct FilePeers(Vec<FilePeer>);

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "peer")]
struct FilePeer {
    /// Where the peer is reached: "host:port", or "NODEID@host:port". Without it, and with "node", the peer is looked for on the local
    /// network, at coordinators and in the DHT, as far as config.json has them on. "https://host:port" is an origin: a server that
    /// lists files and gives their bytes, or a node whose UDP does not get through.
    address: Option<Parsed<PeerAddress>>,
    /// Whether the peer's versions, votes and list of peers count here. Without it: false.
    #[serde(default)]
    trusted: bool,
    /// The user name that this node shows to this peer. Without it: the one of config.json.
    #[serde(default)]
    username: String,
    /// The password that goes with it.
    #[serde(default)]
    password: Secret,
    /// The peer's NodeId. The daemon writes it at first contact, and from then on accepts no other.
    node: Option<Parsed<NodeId>>,
    /// Of an origin alone: the SHA-256 of its certificate, or "authority" for one that an authority vouches for. The daemon writes it at
    /// first contact, and from then on accepts no other.
    fingerprint: Option<Parsed<Fingerprint>>,
    /// "mirror": carries contents onward, and sees neither users, peers nor votes. Only if it is not trusted.
    role: Option<PeerRole>,
    /// What you call this peer, for lists and messages.
    name: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum PeerRole {
    Mirror,
}

impl std::str::FromStr for PeerAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if OriginUrl::is_meant(text) {
            return text.parse().map(Self::Origin);
        }
        if !text.contains('@') {
            return text.parse().map(|address| Self::Node(address, None)).map_err(|error| format!("{error}"));
        }
        let mut source: Source = text.parse().map_err(|error| format!("{error}"))?;
        Ok(Self::Node(source.addresses.remove(0), Some(source.node)))
    }
}

/// Whether a text is where a peer is, or which node it is: `host:port`, `NODEID@host:port`, `NODEID`, or
/// `https://host:port` for an origin.
pub fn is_peer_address(text: &str) -> bool {
    text.parse::<PeerAddress>().is_ok() || text.parse::<NodeId>().is_ok()
}

impl FilePeers {
    pub(crate) fn checked(self) -> Result<Vec<Peer>, Wrong> {
        if self.0.len() > PEERS_MAX {
            let message = format!("expected at most {PEERS_MAX} peers, found {}", self.0.len());
            return Err(Wrong::new(KeyPath::default(), message));
        }
        let at = |index| KeyPath::default().index(index);
        let peers = self.0.into_iter().enumerate().map(|(index, peer)| peer.checked(&at(index)));
        let peers = peers.collect::<Result<Vec<_>, _>>()?;
        distinct(peers.iter().map(Peer::place), "address")?;
        distinct(peers.iter().map(|peer| peer.node), "node")?;
        distinct(peers.iter().map(|peer| peer.name.as_deref()), "name")?;
        Ok(peers)
    }
}

impl FilePeer {
    fn checked(self, at: &KeyPath) -> Result<Peer, Wrong> {
        let (address, own, origin) = match plain(self.address) {
            Some(PeerAddress::Node(address, own)) => (Some(address), own, None),
            Some(PeerAddress::Origin(origin)) => (None, None, Some(origin)),
            None => (None, None, None),
        };
        let (node, fingerprint) = (plain(self.node), plain(self.fingerprint));
        if origin.is_some() {
            check_origin(at, node.is_some(), self.role.is_some())?;
        } else if fingerprint.is_some() {
            let message = "expected no such key: only an origin, \"https://host:port\", has a certificate";
            return Err(Wrong::new(at.key("fingerprint"), message));
        } else if address.is_none() && node.is_none() {
            return Err(Wrong::new(
                at.clone(),
                "expected a key \"address\", or \"node\" for a peer that is to be found",
            ));
        }
        if let (Some(own), Some(node)) = (own, node)
            && own != node
        {
            let message = format!("expected {own}, the node that the address names, or no key \"node\"");
            return Err(Wrong::new(at.key("node"), message));
        }
        if self.trusted && self.role.is_some() {
            let message = "a mirror is never trusted: expected false, or no key \"role\"";
            return Err(Wrong::new(at.key("trusted"), message));
        }
        if let Some(fault) = self.name.as_deref().and_then(name_fault) {
            return Err(Wrong::new(at.key("name"), fault));
        }
        Ok(Peer {
            address,
            origin,
            fingerprint,
            trusted: self.trusted,
            username: self.username,
            password: self.password,
            node: node.or(own),
            is_mirror: self.role.is_some(),
            name: self.name,
        })
    }
}

/// What an origin does not have.
fn check_origin(at: &KeyPath, has_node: bool, has_role: bool) -> Result<(), Wrong> {
    let message = "expected no such key: an origin speaks HTTP(S) alone";
    match (has_node, has_role) {
        (true, _) => Err(Wrong::new(at.key("node"), message)),
        (false, true) => Err(Wrong::new(at.key("role"), message)),
        (false, false) => Ok(()),
    }
}

/// That no two entries of a list have the same value.
pub(crate) fn distinct<T: Ord>(values: impl Iterator<Item = Option<T>>, key: &str) -> Result<(), Wrong> {
    let mut first = BTreeMap::new();
    for (index, value) in values.enumerate() {
        let Some(value) = value else { continue };
        if let Some(other) = first.insert(value, index) {
            let message = format!("[{other}] has the same one: take one out");
            return Err(Wrong::new(KeyPath::default().index(index).key(key), message));
        }
    }
    Ok(())
}

impl Peer {
    /// Where it is, as its file has it: an address or the URL of an origin.
    pub fn place(&self) -> Option<&str> {
        self.address.as_ref().map(Address::as_str).or(self.origin.as_ref().map(OriginUrl::as_str))
    }

    /// What the peer is called in other files: its address, node and name.
    pub(crate) fn names(&self) -> Vec<String> {
        let node = self.node.map(|node| node.to_string());
        let address = self.place().map(str::to_owned);
        let full = node.as_ref().zip(address.as_ref()).map(|(node, address)| format!("{node}@{address}"));
        [address, node, full, self.name.clone()].into_iter().flatten().collect()
    }
}
