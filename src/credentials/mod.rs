//! Files that say who belongs: lists of nodes, an authority's certificate, what it took back. And the authority itself, a
//! folder with its key. Every change of these files is seen while a node runs. Knows no network.

mod authority;
mod book;
mod files;

use std::io;
use std::path::PathBuf;

use crate::base::{Category, NodeId};
use crate::trust::MembersError;

pub use authority::{Authority, certificate_of};
pub use book::{AuthorityBook, Issued};
pub use files::{TrustFiles, Watched};

/// Why a file that says who belongs is not taken, or not made.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The system refused.
    #[error("cannot {op} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        op: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Longer than such a file may be.
    #[error("`{}` is longer than such a file may be: check the path", .0.display())]
    TooLong(PathBuf),
    /// Not a file of that kind.
    #[error("`{}` holds no {what} in PEM: check the path", path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// A certificate that makes no authority, or a broken list.
    #[error("`{}` cannot be used: {why}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A certificate that may sign no others.
    #[error("`{}` cannot be used: it is no authority's, but a node's; name the authority's", .0.display())]
    NotAnAuthority(PathBuf),
    /// Revocations of somebody else.
    #[error("`{}` is the revocation list of another authority: name the one that belongs to it", .0.display())]
    ForeignList(PathBuf),
    /// The authority's key is no secret.
    #[error("`{}` can be read by others: chmod 600 it, and think whether somebody did", .0.display())]
    Readable(PathBuf),
    /// Anybody has the key of this one.
    #[error("`{}` is the authority for development, whose key everybody has: make an authority of your own", .0.display())]
    Development(PathBuf),
    /// A list of nodes with something else in it.
    #[error("`{}`: {source}", path.display())]
    Members {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: MembersError,
    },
    /// There is an authority in the folder.
    #[error("`{}` holds an authority already: name another folder", .0.display())]
    Exists(PathBuf),
    /// A certificate for another key.
    #[error("the certificate in `{}` is for node {}, and this is node {}", path.display(), found.short(), node.short())]
    WrongNode {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: NodeId,
        /// Who was to use it.
        node: NodeId,
    },
    /// Nothing to revoke.
    #[error("no certificate of node {} is known to `{}`: check the id and the folder", node.short(), path.display())]
    NotIssued {
        /// The authority's folder.
        path: PathBuf,
        /// Whose certificates were to be revoked.
        node: NodeId,
    },
    /// Revocations without an authority.
    #[error("a revocation list takes its authority: name that, too")]
    NoAuthority,
}

impl CredentialsError {
    /// Its category.
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
            | Self::Readable(_)
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
