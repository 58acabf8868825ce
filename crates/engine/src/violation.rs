//! What a peer can do wrong. Each has a close code that the peer gets to see.

use std::fmt;

use swarm_core::wire::CloseCode;

/// A peer's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A frame or message that does not follow the wire format.
    Malformed(String),
    /// Another major version.
    Version(u32),
    /// Something before Hello, or a second Hello.
    OutOfOrder(&'static str),
    /// A handle that was not opened, or too many of them.
    Handle,
    /// A chunk or byte range that the content does not have.
    Range(&'static str),
    /// A manifest that is not the content's.
    Manifest,
    /// A manifest page that was not asked for.
    UnexpectedPage,
    /// A chunk stream that answers nothing that was asked, or not as asked.
    ChunkStream(&'static str),
    /// A chunk that failed verification.
    Corrupt(u32),
    /// The same, at an earlier run.
    Remembered,
}

impl Violation {
    /// The QUIC application error code.
    pub fn close_code(&self) -> u32 {
        let code = match self {
            Self::Malformed(_) => CloseCode::Malformed,
            Self::Version(_) => CloseCode::Version,
            Self::OutOfOrder(_) => CloseCode::OutOfOrder,
            Self::Handle => CloseCode::Handle,
            Self::Range(_) => CloseCode::Range,
            Self::Manifest => CloseCode::Manifest,
            Self::UnexpectedPage => CloseCode::UnexpectedPage,
            Self::ChunkStream(_) => CloseCode::ChunkStream,
            Self::Corrupt(_) | Self::Remembered => CloseCode::Corrupt,
        };
        code.code()
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(f, "sent a malformed message: {what}"),
            Self::Version(major) => write!(f, "speaks protocol version {major}, this node speaks 1"),
            Self::OutOfOrder(what) => write!(f, "sent a message out of order: {what}"),
            Self::Handle => f.write_str("a handle that was not opened"),
            Self::Range(what) => write!(f, "{what} that the content does not have"),
            Self::Manifest => f.write_str("sent a manifest that is not the content's"),
            Self::UnexpectedPage => f.write_str("sent a manifest page that was not asked for"),
            Self::ChunkStream(what) => write!(f, "chunk stream: {what}"),
            Self::Corrupt(chunk) => write!(f, "chunk {chunk} failed verification"),
            Self::Remembered => f.write_str("a chunk failed verification at an earlier run"),
        }
    }
}
