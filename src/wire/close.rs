//! Why a link between peers ends, as the QUIC application error code says it: the one table of codes. The words that go along are
//! for people, and nothing follows from them.

/// A close code that means something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CloseCode {
    /// Nothing more to do.
    Done,
    /// Another link to the same node is kept.
    Duplicate,
    /// The node has as many links as it may.
    TooManyLinks,
    /// The peer is banned.
    Banned,
    /// The peer holds things up; it may come again.
    OfNoUse,
    /// What the peer may have has changed.
    AccessChanged,
    /// The peer may have no link.
    TurnedAway,
    /// A frame or message that does not follow the wire format.
    Malformed,
    /// Another major version.
    Version,
    /// A message out of its order.
    OutOfOrder,
    /// A handle that was not opened.
    Handle,
    /// A chunk or byte range that the content does not have.
    Range,
    /// A manifest that is not the content's.
    Manifest,
    /// A manifest page that was not asked for.
    UnexpectedPage,
    /// A chunk stream that answers nothing that was asked.
    ChunkStream,
    /// A chunk that failed verification.
    Corrupt,
    /// The control stream is not read.
    ControlStuck,
    /// No control stream, or no Hello on it.
    ControlSilent,
    /// The node is no coordinator.
    NoCoordinator,
}

impl CloseCode {
    /// Every code there is.
    pub const ALL: [Self; 19] = [
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
    ];

    /// As it goes on the wire.
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
        }
    }

    /// What a code from a peer means; `None` for one of a later build.
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
