//! `config.json`: what this node is and how it reaches others.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;
use swarm_core::base::limits::COORDINATORS_MAX;
use swarm_core::base::{ByteLen, Rate, Zone};
use swarm_core::manifest::{Address, Source};

use crate::json::quoted;
use crate::key_path::KeyPath;
use crate::limits::{DHT_BOOTSTRAP_MAX, HOSTS_MAX, SCHEDULE_MAX};
use crate::read::Wrong;
use crate::schedule::{FileWindow, Window};
use crate::values::{Limits, Parsed, Secret, Within, plain};

/// What this node is and how it reaches others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// TCP for HTTP(S) and UDP for QUIC; 0 for any free port.
    pub port: u16,
    /// The address to listen on; `None` for all.
    pub listen: Option<IpAddr>,
    /// What this node shows to other peers; empty for nothing.
    pub username: String,
    /// The password that goes with it.
    pub password: Secret,
    /// Where a sync target is made for a library that has none. Absolute.
    pub default_sync_root: PathBuf,
    /// Whether to announce on the local network.
    pub lan: bool,
    /// Whether to announce to the DHT.
    pub dht: bool,
    /// Where the DHT is entered; none for the public one.
    pub dht_bootstrap: Vec<Address>,
    /// Coordinators to announce to.
    pub coordinators: Vec<Source>,
    /// The site or provider of this node.
    pub zone: Option<Zone>,
    /// All libraries together.
    pub limits: Limits,
    /// When other limits hold: see [`Limits::at`].
    pub schedule: Vec<Window>,
    /// Bytes that stay free on each disk; 0 for no such reserve.
    pub min_free: u64,
    /// Address of the metrics page; `None` for no page.
    pub metrics: Option<SocketAddr>,
    /// Whether other machines may use plain HTTP.
    pub allow_plain_http: bool,
    /// The certificate of HTTPS; `None` for one that the node makes.
    pub tls: Option<Tls>,
    /// Names under which browsers may ask for the page, besides addresses, `localhost` and the name of this machine.
    pub hosts: Vec<String>,
}

/// A certificate and its key. Both paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Certificates in PEM, the node's own first.
    pub cert: PathBuf,
    /// Its private key in PEM.
    pub key: PathBuf,
}

/// The settings of this node.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "config.json")]
pub(crate) struct FileConfig {
    /// TCP port of HTTP(S), and UDP port of QUIC. 0 takes any free port. Without it: 8000.
    port: Option<Within<0, 65535>>,
    /// IP address to listen on, as in "127.0.0.1". Without it: all addresses.
    listen: Option<Parsed<Listen>>,
    /// The user name that this node shows to other peers.
    #[serde(default)]
    username: String,
    /// The password that this node shows to other peers.
    #[serde(default)]
    password: Secret,
    /// Folder in which a folder is made for each library that has nowhere to put files. Without it: "./libraries".
    default_sync_root: Option<String>,
    /// Announce on the local network, and look there for peers. Without it: true.
    lan: Option<bool>,
    /// Announce to BitTorrent's Mainline DHT and look there for peers; the DHT learns this node's address.
    #[serde(default)]
    dht: bool,
    /// Nodes of a DHT of your own, "host:port", by which it is entered. Without it: the public DHT.
    #[serde(default)]
    #[schemars(length(max = 8))]
    dht_bootstrap: Vec<Parsed<Address>>,
    /// Coordinators that this node announces its libraries to and asks for peers: "NODEID@host:port".
    #[serde(default)]
    #[schemars(length(max = 8))]
    coordinators: Vec<Parsed<Source>>,
    /// Name of this node's site or provider, chosen by you: coordinators name peers of the same zone first.
    zone: Option<Parsed<Zone>>,
    /// Rates of all libraries together.
    #[serde(default)]
    limits: FileNodeLimits,
    /// Bytes that stay free on each disk that libraries are written to, as in "1GB".
    min_free: Option<Parsed<ByteLen>>,
    /// TCP address of the pages /metrics and /health, as in "127.0.0.1:9433". Without it there are none.
    metrics: Option<Parsed<Metrics>>,
    /// Let other machines use plain HTTP: their passwords can be read on the way. Without it they are sent to HTTPS.
    #[serde(default)]
    allow_plain_http: bool,
    /// Certificate for HTTPS. Without it the node makes one by itself.
    tls: Option<FileTls>,
    /// Names under which browsers may ask for this node's page, as in "swarm.example.org". Addresses, "localhost" and the name of this
    /// machine are allowed without it.
    #[serde(default)]
    #[schemars(length(max = 32))]
    hosts: Vec<String>,
}

/// `limits` of all libraries together.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "nodeLimits")]
struct FileNodeLimits {
    /// Upload no faster than this: "20MB/s", "100mbit". Without it: no limit.
    up: Option<Parsed<Rate>>,
    /// Download no faster than this. Without it: no limit.
    down: Option<Parsed<Rate>>,
    /// Other limits at certain times, by the clock of this machine. Of several entries whose time it is, the first one counts.
    #[serde(default)]
    #[schemars(length(max = 64))]
    schedule: Vec<FileWindow>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "tls")]
struct FileTls {
    /// File with the certificates (PEM), the node's own first.
    cert: PathBuf,
    /// File with the private key (PEM).
    key: PathBuf,
}

#[derive(Debug)]
struct Listen(IpAddr);

#[derive(Debug)]
struct Metrics(SocketAddr);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            |_| format!("expected an IP address, as in \"127.0.0.1\" or \"::1\", found {}", quoted(text));
        text.parse().map(Self).map_err(wrong)
    }
}

impl FromStr for Metrics {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |_| {
            format!("expected an IP address and a port, as in \"127.0.0.1:9433\", found {}", quoted(text))
        };
        text.parse().map(Self).map_err(wrong)
    }
}

/// What a new folder has.
pub(crate) const DEFAULT: &str = r#"{
  "port": 8000,
  "username": "",
  "password": "",
  "defaultSyncRoot": "./libraries"
}
"#;

impl FileConfig {
    /// Relative paths start at `folder`.
    pub(crate) fn checked(self, folder: &Path) -> Result<Config, Wrong> {
        if self.coordinators.len() > COORDINATORS_MAX {
            let message = format!("expected at most {COORDINATORS_MAX}, found {}", self.coordinators.len());
            return Err(Wrong::new(KeyPath::default().key("coordinators"), message));
        }
        if self.dht_bootstrap.len() > DHT_BOOTSTRAP_MAX {
            let message = format!("expected at most {DHT_BOOTSTRAP_MAX}, found {}", self.dht_bootstrap.len());
            return Err(Wrong::new(KeyPath::default().key("dhtBootstrap"), message));
        }
        if self.hosts.len() > HOSTS_MAX {
            let message = format!("expected at most {HOSTS_MAX}, found {}", self.hosts.len());
            return Err(Wrong::new(KeyPath::default().key("hosts"), message));
        }
        if self.limits.schedule.len() > SCHEDULE_MAX {
            let message = format!("expected at most {SCHEDULE_MAX}, found {}", self.limits.schedule.len());
            return Err(Wrong::new(KeyPath::default().key("limits").key("schedule"), message));
        }
        let root = self.default_sync_root.as_deref().unwrap_or("./libraries");
        let ByteLen(min_free) = plain(self.min_free).unwrap_or_default();
        Ok(Config {
            port: self.port.map_or(8000, Within::get),
            listen: plain(self.listen).map(|Listen(address)| address),
            username: self.username,
            password: self.password,
            default_sync_root: crate::folders::absolute(folder, root)
                .map_err(|message| Wrong::new(KeyPath::default().key("defaultSyncRoot"), message))?,
            lan: self.lan.unwrap_or(true),
            dht: self.dht,
            dht_bootstrap: self.dht_bootstrap.into_iter().map(|Parsed(address)| address).collect(),
            coordinators: self.coordinators.into_iter().map(|Parsed(source)| source).collect(),
            zone: plain(self.zone),
            limits: Limits { up: plain(self.limits.up), down: plain(self.limits.down) },
            schedule: self.limits.schedule.into_iter().map(FileWindow::window).collect(),
            min_free,
            metrics: plain(self.metrics).map(|Metrics(address)| address),
            allow_plain_http: self.allow_plain_http,
            tls: self.tls.map(|FileTls { cert, key }| Tls { cert: folder.join(cert), key: folder.join(key) }),
            hosts: self.hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect(),
        })
    }
}
