//! The protocol of a link: both ends agree on it in the handshake (ALPN, RFC 7301), so that the roles of one endpoint stay apart.

/// The protocol that a link carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Chunks and control messages between peers.
    Peer,
    /// Announcements to a coordinator, and its answers.
    Coordinator,
    /// Commits and votes of libraries.
    Library,
}

impl Protocol {
    /// All protocols, for the accepting side.
    pub(super) const ALL: [Self; 3] = [Self::Peer, Self::Coordinator, Self::Library];

    /// The name of the protocol on the wire.
    pub(super) const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Peer => b"swarm/1",
            Self::Coordinator => b"swarm-coordinator/1",
            Self::Library => b"swarm-library/1",
        }
    }

    /// The protocol with this name.
    pub(super) fn of_alpn(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.alpn() == name)
    }
}

/// HTTP/3, which carries the sessions of pages. It is no protocol of links.
pub(super) const HTTP3_ALPN: &[u8] = b"h3";
