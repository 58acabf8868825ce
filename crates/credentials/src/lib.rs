//! Credential files: lists of nodes, an authority's certificate, its revocation list. Also the authority itself, a folder with
//! its key. A running node notices every change of these files. Knows no network.

pub mod limits;

mod authority;
mod book;
mod files;

use std::io;
use std::path::PathBuf;

use swarm_core::base::{Category, NodeId, Shown};
use swarm_core::trust::MembersError;

pub use authority::{Authority, certificate_of};
pub use book::{AuthorityBook, Issued};
pub use files::{TrustFiles, WatchedFiles};

/// Why a credential file is not accepted, or cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A system call failed.
    #[error("cannot {op} `{}`: {source}", Shown(path))]
    Io {
        /// The operation that failed.
        op: &'static str,
        /// Its file or folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file exceeds the length limit.
    #[error("`{}` is longer than such a file may be: check the path", Shown(.0))]
    TooLong(PathBuf),
    /// The file holds no PEM block of the wanted kind.
    #[error("`{}` holds no {what} in PEM: check the path", Shown(path))]
    NotPem {
        /// The file.
        path: PathBuf,
        /// The wanted kind: a certificate, a revocation list.
        what: &'static str,
    },
    /// A certificate that cannot be an authority's, or a malformed list.
    #[error("`{}` cannot be used: {why}", Shown(path))]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The fault in it.
        why: String,
    },
    /// A node's certificate stands where an authority's is needed.
    #[error("`{}` cannot be used: it is the certificate of a node; name that of the authority", Shown(.0))]
    NotAnAuthority(PathBuf),
    /// Another authority signed the revocation list.
    #[error("`{}` is the revocation list of another authority: name the one that belongs to it", Shown(.0))]
    ForeignList(PathBuf),
    /// Other users may open the authority's key.
    #[error(
        "{} is open to other users (mode {mode:04o}): run chmod 600 {}, and replace the authority if one of them may have read it",
        Shown(path),
        Shown(path)
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The authority is the one for development, whose key is public.
    #[error("`{}` is the authority for development, whose key is public: make an authority of your own", Shown(.0))]
    Development(PathBuf),
    /// A list of nodes has a malformed line.
    #[error("`{}`: {source}", Shown(path))]
    Members {
        /// The file.
        path: PathBuf,
        /// The line and its fault.
        source: MembersError,
    },
    /// The folder already holds an authority.
    #[error("`{}` holds an authority already: name another folder", Shown(.0))]
    Exists(PathBuf),
    /// The certificate is for another key.
    #[error("the certificate in `{}` is for node {}, and this is node {}", Shown(path), found.short(), node.short())]
    WrongNode {
        /// The file.
        path: PathBuf,
        /// The node that the certificate names.
        found: NodeId,
        /// The node that was to show it.
        node: NodeId,
    },
    /// The authority issued no certificate for the node.
    #[error("no certificate of node {} is known to `{}`: check the id and the folder", node.short(), Shown(path))]
    NotIssued {
        /// The authority's folder.
        path: PathBuf,
        /// The node to revoke.
        node: NodeId,
    },
    /// A revocation list was given without an authority.
    #[error("a revocation list needs the certificate of its authority: name that as well")]
    NoAuthority,
}

impl CredentialsError {
    /// The category of the cause: it decides the exit code.
    pub fn category(&self) -> Category {
        match self {
            Self::Io { source, .. } => Category::of_io(source.kind()),
            Self::Exists(_) => Category::TargetDiffers,
            Self::TooLong(_)
            | Self::NotPem { .. }
            | Self::Unusable { .. }
            | Self::NotAnAuthority(_)
            | Self::ForeignList(_)
            | Self::Development(_)
            | Self::Exposed { .. }
            | Self::Members { .. }
            | Self::WrongNode { .. }
            | Self::NotIssued { .. }
            | Self::NoAuthority => Category::Usage,
        }
    }
}

impl CredentialsError {
    fn io(op: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { op, path, source }
    }
}
