//! Why a link between peers ends, as a QUIC application error code: the one table of codes. The text that comes with a code is for
//! people; no decision depends on it.

/// A close code that this build knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CloseCode {
    /// Nothing is left to do.
    Done,
    /// Another link to the same node is kept.
    Duplicate,
    /// The node has as many links as it may.
    TooManyLinks,
    /// The peer is banned.
    Banned,
    /// The peer stalled: it may link again.
    OfNoUse,
    /// The rights of the peer changed: it may link again under the new ones.
    AccessChanged,
    /// The peer is not allowed to link.
    TurnedAway,
    /// A frame or message that does not follow the wire format.
    Malformed,
    /// The peer speaks another major version.
    Version,
    /// A message that is not allowed at this point of the protocol.
    OutOfOrder,
    /// A message named a handle that was not opened.
    Handle,
    /// A message named a chunk or byte range that the content does not have.
    Range,
    /// The manifest does not have the content's id.
    Manifest,
    /// A manifest page that was not requested.
    UnexpectedPage,
    /// A chunk stream that matches no request.
    ChunkStream,
    /// A chunk that failed verification.
    Corrupt,
    /// The peer does not read its control stream.
    ControlStuck,
    /// The peer opened no control stream, or sent no Hello on it.
    ControlSilent,
    /// The node is no coordinator.
    NoCoordinator,
    /// The node keeps no libraries.
    NoLibraries,
}

impl CloseCode {
    /// Every code there is.
    pub const ALL: [Self; 20] = [
        Self::Done,
        Self::Duplicate,
        Self::TooManyLinks,
        Self::Banned,
        Self::OfNoUse,
        Self::AccessChanged,
        Self::TurnedAway,
        Self::Malformed,
        Self::Version,
        Self::OutOfOrder,
        Self::Handle,
        Self::Range,
        Self::Manifest,
        Self::UnexpectedPage,
        Self::ChunkStream,
        Self::Corrupt,
        Self::ControlStuck,
        Self::ControlSilent,
        Self::NoCoordinator,
        Self::NoLibraries,
    ];

    /// The code on the wire.
    pub const fn code(self) -> u32 {
        match self {
            Self::Done => 0,
            Self::Duplicate => 1,
            Self::TooManyLinks => 2,
            Self::Banned => 3,
            Self::OfNoUse => 4,
            Self::AccessChanged => 5,
            Self::TurnedAway => 6,
            Self::Malformed => 16,
            Self::Version => 17,
            Self::OutOfOrder => 18,
            Self::Handle => 19,
            Self::Range => 20,
            Self::Manifest => 21,
            Self::UnexpectedPage => 22,
            Self::ChunkStream => 23,
            Self::Corrupt => 24,
            Self::ControlStuck => 25,
            Self::ControlSilent => 26,
            Self::NoCoordinator => 27,
            Self::NoLibraries => 28,
        }
    }

    /// The meaning of a peer's code; `None` for one of a later build.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_means_one_thing_and_those_of_later_builds_nothing() {
        for known in CloseCode::ALL {
            assert_eq!(CloseCode::from_code(known.code()), Some(known));
        }
        assert_eq!(CloseCode::from_code(7), None);
        assert_eq!(CloseCode::from_code(u32::MAX), None);
    }
}
