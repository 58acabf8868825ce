//! A source of a content: a node and the addresses at which it may be reached.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use crate::base::NodeId;
use crate::base::limits::{ADDRESS_LEN_MAX, SOURCE_ADDRESSES_MAX};
use crate::proto;

/// `host:port`, where the host is an IPv4 address, an IPv6 address in brackets, or a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Box<str>);

/// A string that is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address: write host:port, as in 192.0.2.1:4433 or [2001:db8::1]:4433")]
pub struct AddressError(pub String);

/// A string that is not a node with an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a node: write NODEID@HOST:PORT, with the 64 hex digits of its key before the @")]
pub struct SourceError(pub String);

/// A node that has (some of) a content, and the addresses to dial.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// The key its connection must prove.
    pub node: NodeId,
    /// In the order in which they are tried.
    pub addresses: Vec<Address>,
}

impl Address {
    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The port.
    pub fn port(&self) -> u16 {
        let port = self.0.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        port.expect("parsing has seen it")
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let bad = || AddressError(text.chars().filter(|c| !c.is_control()).take(80).collect());
        let (host, digits) = text.rsplit_once(':').ok_or_else(bad)?;
        let port: u16 = digits.parse().map_err(|_| bad())?;
        // One port has one text (no sign, no leading zeros): equal addresses must be equal strings.
        let is_plain = digits.starts_with(|first: char| matches!(first, '1'..='9'));
        let is_name = !host.is_empty()
            && !host.starts_with('-')
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.' || b == b'_');
        let is_address = text.parse::<SocketAddr>().is_ok();
        if port == 0 || !is_plain || text.len() > ADDRESS_LEN_MAX || !(is_address || is_name) {
            return Err(bad());
        }
        Ok(Self(text.into()))
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self(address.to_string().into())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Source {
    pub(crate) fn to_proto(&self) -> proto::Source {
        proto::Source {
            node: self.node.as_bytes().to_vec().into(),
            addresses: self.addresses.iter().map(|a| a.as_str().to_owned()).collect(),
        }
    }

    /// `None` if the node's key or an address is invalid, or there are more than [`SOURCE_ADDRESSES_MAX`] addresses.
    pub(crate) fn from_proto(source: &proto::Source) -> Option<Self> {
        if source.addresses.len() > SOURCE_ADDRESSES_MAX {
            return None;
        }
        let addresses = source.addresses.iter().map(|a| a.parse().ok()).collect::<Option<_>>()?;
        Some(Self { node: NodeId::from_slice(&source.node)?, addresses })
    }
}

/// `NODEID@HOST:PORT`.
impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let bad = || SourceError(text.chars().filter(|c| !c.is_control()).take(160).collect());
        let (node, address) = text.split_once('@').ok_or_else(bad)?;
        let address = address.parse().map_err(|_| bad())?;
        Ok(Self { node: node.parse().map_err(|_| bad())?, addresses: vec![address] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hosts_with_ports() {
        for text in ["192.0.2.1:4433", "[2001:db8::1]:1", "seed.example.org:65535", "localhost:80"] {
            assert!(text.parse::<Address>().is_ok(), "{text}");
        }
        for text in [
            "",
            "a",
            "a:",
            ":1",
            "a:0",
            "a:+1",
            "192.0.2.1:080",
            "a:70000",
            "::1:80x",
            "2001:db8::1:80",
            "a b:1",
            "a\n:1",
            "-x:1",
            "[::1:1",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
