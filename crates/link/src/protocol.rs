//! What a link is for: the two ends agree on it in the handshake (ALPN, RFC 7301), so that roles of one endpoint stay apart.

/// What is spoken on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Chunks between peers.
    Peer,
    /// Announcing to a coordinator, and hearing of others from it.
    Coordinator,
}

impl Protocol {
    /// Every one, for the side that accepts.
    pub(super) const ALL: [Self; 2] = [Self::Peer, Self::Coordinator];

    /// Its name on the wire.
    pub(super) const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Peer => b"swarm/1",
            Self::Coordinator => b"swarm-coordinator/1",
        }
    }

    /// The one with this name.
    pub(super) fn of_alpn(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.alpn() == name)
    }
}
