//! The configuration of a service: `settings` and where they come from. `file` reads it from TOML. Invariant: every key that is
//! taken has an effect.

pub(super) mod file;

use std::path::{Path, PathBuf};

pub use super::policy::{Allowed, AnyOr, AnyOrError, Collecting};
pub use super::schedule::{Rates, TimeOfDay, Window};
use super::settings::{Fixed, Live};
use crate::limits::CONFIG_LEN_MAX;
use swarm_core::base::{Category, Shown};
use swarm_discovery::Finders;

/// What a node is to do.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// What a restart changes.
    pub fixed: Fixed,
    /// What a running node takes anew.
    pub live: Live,
    /// The command line forbids the local network, whatever the file says.
    pub no_lan: bool,
}

/// Why a configuration is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read `{}`: {source}", Shown(path))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Longer than a configuration may be.
    #[error("`{}` is longer than {CONFIG_LEN_MAX} bytes: name the configuration", Shown(.0))]
    TooLong(PathBuf),
    /// Something in it is wrong.
    #[error("{}:{line}: {key}: {message}", Shown(path))]
    Wrong {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// The key, with the table that holds it.
        key: String,
        /// What is wrong, and the way out.
        message: String,
    },
}

impl ConfigError {
    /// Its category.
    pub fn category(&self) -> Category {
        match self {
            Self::Read { .. } | Self::TooLong(_) | Self::Wrong { .. } => Category::Usage,
        }
    }
}

impl Config {
    /// Reads a configuration. Relative paths in it start at its own folder.
    ///
    /// # Errors
    /// If it cannot be read, or anything in it is not what it should be.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        file::load(path)
    }

    /// How this node finds others.
    pub(super) fn finders(&self) -> Finders {
        let finders = self.fixed.finders.clone();
        Finders { lan: finders.lan && !self.no_lan, ..finders }
    }

    /// Whether another configuration differs in something that a running node does not take.
    pub(super) fn needs_restart(&self, other: &Self) -> bool {
        self.fixed != other.fixed
    }

    /// The JSON schema of the file.
    pub fn schema() -> serde_json::Value {
        file::schema()
    }
}
