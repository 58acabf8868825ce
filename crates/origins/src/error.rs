//! Why a server did not give what it was asked for.

use std::time::Duration;

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
            Self::Unreachable(_) | Self::Silent(_) | Self::Busy { .. } => true,
            Self::Address(_)
            | Self::Tls(_)
            | Self::CertificateChanged { .. }
            | Self::Denied(_)
            | Self::Missing(_)
            | Self::Redirects(_)
            | Self::Odd(_)
            | Self::Changed
            | Self::NoRange
            | Self::TooLong(_) => false,
        }
    }
}
