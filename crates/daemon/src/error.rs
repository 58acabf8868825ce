//! Why a daemon does not start.

use std::io;
use std::path::PathBuf;

use swarm_core::base::{Category, Shown};
use swarm_daemon_files::OpenError;
use swarm_link::{BindError, IdentityError};

/// Why a daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// Its files are wrong.
    #[error(transparent)]
    Files(#[from] OpenError),
    /// Another daemon has the folder.
    #[error("a daemon runs already for `{}`: stop it, or name another folder by --dir", Shown(.0))]
    InUse(PathBuf),
    /// No random bytes.
    #[error("the system gives no random bytes")]
    NoChance,
    /// It has no key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// It has no socket.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The system refused something.
    #[error("cannot {op} `{}`: {source}", Shown(path))]
    Io {
        /// What was tried.
        op: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl DaemonError {
    /// The category of the cause.
    pub fn category(&self) -> Category {
        match self {
            Self::Files(OpenError::Files(_)) => Category::Usage,
            Self::InUse(_) => Category::Held,
            Self::NoChance => Category::Other,
            Self::Identity(error) => error.category(),
            Self::Bind(error) => error.category(),
            Self::Files(OpenError::Io { source, .. }) | Self::Io { source, .. } => {
                Category::of_io(source.kind())
            }
        }
    }
}
