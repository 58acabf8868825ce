//! What a node is to do, checked. `file` reads it from TOML. Invariant: every key that is taken has an effect.

pub(super) mod file;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::contents::Spec;
pub use super::policy::{Allowed, AnyOr, AnyOrError, Collecting};
pub use super::schedule::{Rates, TimeOfDay, Window};
use crate::base::Category;
use crate::base::limits::CONFIG_LEN_MAX;
use crate::credentials::TrustFiles;
use crate::discovery::Finders;
use crate::manifest::{Address, Source};

/// What a node is to do.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// UDP address to listen on; all addresses and the port of last time if `None`.
    pub listen: Option<SocketAddr>,
    /// Addresses in tickets instead of this machine's own.
    pub advertise: Vec<Address>,
    /// Folder for keys, remembered hashes and the list of what was added at run time.
    pub state_dir: Option<PathBuf>,
    /// Path of the control socket.
    pub control: Option<PathBuf>,
    /// Told of every content, and asked for others who have it.
    pub coordinators: Vec<Source>,
    /// Where this node stands.
    pub zone: Option<String>,
    /// Announce to this network, and listen there for others.
    pub lan: bool,
    /// The command line forbids it, whatever the file says.
    pub no_lan: bool,
    /// Announce to the Mainline DHT, and look there for others.
    pub dht: bool,
    /// Nodes of a DHT of one's own.
    pub dht_bootstrap: Vec<Address>,
    /// Ask the router for a port.
    pub map_port: bool,
    /// Limits of all peers together.
    pub rates: Rates,
    /// Limits of each peer.
    pub per_peer: Rates,
    /// Links at once.
    pub max_peers: Option<usize>,
    /// Times of day with limits of their own.
    pub schedule: Vec<Window>,
    /// How log lines look.
    pub log: LogFormat,
    /// TCP address of the metrics page.
    pub metrics_listen: Option<SocketAddr>,
    /// Whether others may use this node as a coordinator.
    pub is_coordinator: bool,
    /// How contents are collected that others offer, if they are.
    pub collecting: Option<Collecting>,
    /// Who belongs.
    pub trust: TrustFiles,
    /// This node's certificate, PEM.
    pub cert: Option<PathBuf>,
    /// What to serve.
    pub contents: Vec<Spec>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why a configuration is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Longer than a configuration may be.
    #[error("`{}` is longer than {CONFIG_LEN_MAX} bytes: name the configuration", .0.display())]
    TooLong(PathBuf),
    /// Something in it is wrong.
    #[error("{}:{line}: {key}: {message}", path.display())]
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
        Finders {
            coordinators: self.coordinators.clone(),
            zone: self.zone.clone(),
            lan: self.lan && !self.no_lan,
            dht: self.dht,
            dht_bootstrap: self.dht_bootstrap.clone(),
            map_port: self.map_port,
        }
    }

    /// Whether another configuration differs in something that a running node does not take.
    pub(super) fn needs_restart(&self, other: &Self) -> bool {
        self.listen != other.listen
            || self.advertise != other.advertise
            || self.state_dir != other.state_dir
            || self.control != other.control
            || self.per_peer != other.per_peer
            || self.max_peers != other.max_peers
            || self.log != other.log
            || self.coordinators != other.coordinators
            || self.zone != other.zone
            || self.lan != other.lan
            || self.dht != other.dht
            || self.dht_bootstrap != other.dht_bootstrap
            || self.map_port != other.map_port
            || self.metrics_listen != other.metrics_listen
            || self.is_coordinator != other.is_coordinator
            || self.collecting != other.collecting
            || self.cert != other.cert
    }

    /// The JSON schema of the file.
    pub fn schema() -> serde_json::Value {
        file::schema()
    }
}
