//! Why the API does not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use swarm_core::base::{Category, Shown};
use swarm_daemon_files::OpenError;
use swarm_web_server::WebCertificateError;

/// The failure of a start.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Its port cannot be listened at.
    #[error("cannot listen at {address} (TCP): {source}; free the port, or name another in config.json")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be used.
    #[error("cannot {op} `{}`: {source}", Shown(path))]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried.
        op: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The certificate or its key is none.
    #[error(
        "`{}` is no certificate or key that HTTPS can use: {why}; see \"tls\" in config.json",
        Shown(path)
    )]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// No certificate for pages that become peers can be made.
    #[error(transparent)]
    Pages(#[from] WebCertificateError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoChance,
    /// The files of the daemon cannot be used.
    #[error(transparent)]
    Files(#[from] OpenError),
}

impl ApiError {
    /// The category of the cause.
    pub fn category(&self) -> Category {
        match self {
            Self::Listen { source, .. } | Self::File { source, .. } => Category::of_io(source.kind()),
            Self::NoChance | Self::Pages(_) => Category::Other,
            Self::Certificate { .. } | Self::Files(_) => Category::Usage,
        }
    }
}
