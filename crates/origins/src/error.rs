//! Why a server did not give what it was asked for.

use std::time::Duration;

use swarm_core::base::{ByteLen, Shown};

use crate::limits::SHOWN_LEN_MAX;

/// Why a server did not give what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Its address is none.
    #[error("`{0}` is no address of a server: write https://host:port")]
    Address(String),
    /// TLS cannot be used here.
    #[error("cannot use TLS: {0}")]
    Tls(String),
    /// It does not answer.
    #[error("it does not answer: {0}")]
    Unreachable(String),
    /// Nothing more came.
    #[error("nothing came for {} s", .0.as_secs())]
    Silent(Duration),
    /// Next to nothing came.
    #[error("only {len} came in {} s", .time.as_secs())]
    Slow {
        /// So much.
        len: ByteLen,
        /// In this time.
        time: Duration,
    },
    /// Another certificate than the one that is pinned.
    #[error(
        "its certificate changed: {expected} is pinned and it shows {found}: if that is right, take \"fingerprint\" out of its entry in peers.json"
    )]
    CertificateChanged {
        /// What is pinned.
        expected: String,
        /// What the server showed.
        found: String,
    },
    /// It wants another user, or a password.
    #[error(
        "it refuses this user (status {0}): check \"username\" and \"password\" of its entry in peers.json"
    )]
    Denied(u16),
    /// It does not have that.
    #[error("it does not have it (status {0})")]
    Missing(u16),
    /// It has no time now.
    #[error("it cannot answer now (status {status})")]
    Busy {
        /// What it answered.
        status: u16,
        /// When to ask again.
        after: Option<Duration>,
    },
    /// It leads elsewhere.
    #[error("it leads to `{0}`, and redirects are not followed: write the address that it leads to")]
    Redirects(String),
    /// Something else.
    #[error("its answer is none that is understood: {0}")]
    Odd(String),
    /// It has another version of the file than the one that was asked for.
    #[error("the file changed there meanwhile")]
    Changed,
    /// The library is sealed there.
    #[error(
        "the library is sealed there, and its names and bytes go between daemons alone: add that daemon by its NODEID@host:port"
    )]
    Sealed,
    /// It gives files whole.
    #[error("it gives files only whole")]
    NoRange,
    /// It lists more than is read.
    #[error("its list is longer than {0} files or bytes")]
    TooLong(usize),
}

impl OriginError {
    /// Whether the same request may succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Silent(_) | Self::Slow { .. } | Self::Busy { .. } => true,
            Self::Address(_)
            | Self::Tls(_)
            | Self::CertificateChanged { .. }
            | Self::Denied(_)
            | Self::Missing(_)
            | Self::Redirects(_)
            | Self::Odd(_)
            | Self::Changed
            | Self::NoRange
            | Self::Sealed
            | Self::TooLong(_) => false,
        }
    }

    /// Whether it is so of all that the server has: then nothing else of it is asked for now.
    pub fn is_of_server(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::Address(_)
            | Self::Tls(_)
            | Self::CertificateChanged { .. }
            | Self::Denied(401)
            | Self::Busy { after: Some(_), .. } => true,
            Self::Silent(_)
            | Self::Slow { .. }
            | Self::Denied(_)
            | Self::Busy { after: None, .. }
            | Self::Missing(_)
            | Self::Redirects(_)
            | Self::Odd(_)
            | Self::Changed
            | Self::NoRange
            | Self::Sealed
            | Self::TooLong(_) => false,
        }
    }

    /// How long the server asks to be left alone.
    pub fn after(&self) -> Option<Duration> {
        if let Self::Busy { after, .. } = self { *after } else { None }
    }
}

/// A text of a server, for people: its first letters, escaped.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_LEN_MAX) {
        Some((end, _)) => format!("{}…", Shown(&text[..end])),
        None => Shown(text).to_string(),
    }
}
