//! `swarm://NODEID@HOST:PORT/NAME#SECRET`: where a shared library is, and what lets one node in. Invariant: what is printed is read back.

use std::fmt;
use std::str::FromStr;

use super::super::failure::Failure;
use swarm_core::base::{Category, Shown};
use swarm_core::manifest::Source;
use swarm_daemon::{PeerStatus, Status};
use swarm_daemon_files::{NewPeer, Secret};

/// A shared library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Invitation {
    /// `NODEID@host:port`.
    pub(super) source: String,
    /// What the library is called there.
    pub(super) name: String,
    /// What lets one node in.
    pub(super) secret: Option<String>,
}

impl fmt::Display for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/", self.source)?;
        for byte in self.name.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    write!(f, "{}", char::from(byte))?;
                }
                byte => write!(f, "%{byte:02X}")?,
            }
        }
        self.secret.as_ref().map_or(Ok(()), |secret| write!(f, "#{secret}"))
    }
}

impl FromStr for Invitation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{}` is no address of a library: expected {SCHEME}NODEID@HOST:PORT/NAME, as `swarm share` prints it",
                text.escape_debug()
            )
        };
        let rest = text.strip_prefix(SCHEME).ok_or_else(wrong)?;
        let (rest, secret) = match rest.split_once('#') {
            Some((rest, secret)) => (rest, Some(secret.to_owned())),
            None => (rest, None),
        };
        let (source, name) = rest.split_once('/').ok_or_else(wrong)?;
        source.parse::<Source>().map_err(|error| format!("{}: {error}", wrong()))?;
        let name = decoded(name.trim_end_matches('/')).filter(|name| !name.is_empty()).ok_or_else(wrong)?;
        Ok(Self { source: source.to_owned(), name, secret })
    }
}

impl Invitation {
    /// The peer that it names, which is trusted: who joins takes what it has.
    pub(super) fn peer(&self) -> NewPeer {
        let mut peer = NewPeer { address: self.source.clone(), trusted: true, ..NewPeer::default() };
        if let Some(secret) = &self.secret {
            peer.username = user_of(&self.name, secret);
            peer.password = Secret::from(secret.clone());
        }
        peer
    }

    /// The node that it names.
    pub(super) fn node(&self) -> &str {
        self.source.split_once('@').map_or("", |(node, _)| node)
    }

    /// The same with its place, for people.
    pub(super) fn shown_source(&self) -> String {
        let (node, place) = self.source.split_once('@').unwrap_or_default();
        format!("{}@{}", node.get(..8).unwrap_or(node), Shown(place))
    }

    /// That node, as a daemon sees it.
    pub(super) fn peer_in<'a>(&self, status: &'a Status) -> Option<&'a PeerStatus> {
        status.peers.iter().find(|peer| peer.node.as_deref() == Some(self.node()))
    }

    /// The GUID, once the peer offers the library to this node.
    pub(super) fn offered(&self, status: &Status) -> Option<String> {
        let of_it = self.peer_in(status).into_iter();
        let mut named = of_it.flat_map(|peer| &peer.libraries).filter(|library| library.name == self.name);
        named.find(|library| !library.guid.is_empty()).map(|library| library.guid.clone())
    }

    pub(super) fn not_offered(&self, trouble: Option<String>) -> Failure {
        let why = trouble.map(|why| format!(" ({why})")).unwrap_or_default();
        let message = format!(
            "`{}` does not offer `{}` to this node{why}: `swarm share` has to run there, and an address lets in once",
            self.shown_source(),
            self.name
        );
        Failure::new(Category::NoSource, message)
    }
}

/// The user that an invitation to a library is: each has its own, so that one who used an earlier one is not taken for a newcomer.
pub(super) fn user_of(name: &str, secret: &str) -> String {
    let number = blake3::hash(secret.as_bytes()).to_hex();
    format!("{}{}", users_of(name), &number.as_str()[..8])
}

/// What the users of all invitations to a library begin with.
pub(super) fn users_of(name: &str) -> String {
    format!("invited to {name} ")
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// What the address of a shared library begins with.
pub(super) const SCHEME: &str = "swarm://";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_back() {
        let node = "11".repeat(32);
        let check = |name: &str, secret: Option<&str>, shown: &str| {
            let invitation = Invitation {
                source: format!("{node}@[::1]:8000"),
                name: name.to_owned(),
                secret: secret.map(str::to_owned),
            };
            let text = invitation.to_string();
            assert_eq!(text, format!("swarm://{node}@[::1]:8000/{shown}"));
            assert_eq!(text.parse(), Ok(invitation));
        };
        check("films", None, "films");
        check("Lib 1", Some("abc"), "Lib%201#abc");
        check("a/b#ü%", Some("0"), "a%2Fb%23%C3%BC%25#0");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "swarm://", "swarm://x/y", "http://a@b:1/c", "swarm://11@h:1"] {
            assert!(text.parse::<Invitation>().is_err(), "{text}");
        }
    }
}
