//! The files of a test, and `swarm` on the hosts of a laboratory: one node a host, with a key and a port that are known before it
//! starts, so that all can be told of all.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use swarm_link::Identity;
use tempfile::TempDir;

use super::host::Host;
use crate::data::random_file;
use crate::{Build, Process};

/// A folder of a test's own.
pub struct World {
    dir: TempDir,
}

/// The node of a host, running or not.
pub struct Node {
    pub host: Host,
    /// For `--peer`.
    pub peer: String,
    dir: PathBuf,
    is_on_lan: bool,
}

impl World {
    pub fn new() -> Self {
        Self { dir: tempfile::Builder::new().prefix("swarm-net-").tempdir().expect("a temporary folder") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file of random bytes, and its manifest with chunks of this length.
    pub fn film(&self, len: u64, chunk_len: u64) -> (PathBuf, PathBuf) {
        let (film, manifest) = (self.path("film.bin"), self.path("film.swarm"));
        random_file(&film, len, "film.bin");
        let chunk_len = format!("{chunk_len}B");
        let words = ["manifest", "create", "--chunk-len", &chunk_len, "-o"].map(OsString::from);
        let args: Vec<OsString> =
            words.into_iter().chain([manifest.clone().into(), film.clone().into()]).collect();
        let mut command = Build::under_test().command(&args);
        command.env("SWARM_STATE_DIR", self.path("state"));
        Process::start(&mut command, b"").end().expect_code(0);
        (film, manifest)
    }

    /// A file of random bytes.
    pub fn file(&self, name: &str, len: u64) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        random_file(&path, len, name);
        path
    }

    /// A node for a host, with a key of its own.
    pub fn node(&self, host: &Host) -> Node {
        let dir = self.path(&host.address().to_string());
        std::fs::create_dir_all(&dir).expect("a folder");
        let key = Identity::from_file(&dir.join("key")).expect("a place for a key");
        let peer = format!("{}@{}:{PORT}", key.node_id(), host.address());
        Node { host: host.clone(), peer, dir, is_on_lan: false }
    }
}

impl Node {
    /// Its folder; fetches go to `out` in there.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The same node with announcements on its network.
    pub fn on_lan(self) -> Self {
        Self { is_on_lan: true, ..self }
    }

    /// An argument for `--peer` of a node that reaches it by this address.
    pub fn peer_at(&self, address: SocketAddr) -> String {
        let node = self.peer.split('@').next().expect("its key");
        format!("{node}@{address}")
    }

    /// The address that it listens on.
    pub fn listens_at(&self) -> SocketAddr {
        (self.host.address(), PORT).into()
    }

    /// A seed that is ready.
    pub fn seed(&self, manifest: &Path, data: &Path, more: &[&str]) -> Process {
        self.seed_and_ticket(manifest, data, more).0
    }

    /// Starts a seed and waits until it is ready; returns its ticket, too.
    pub fn seed_and_ticket(&self, manifest: &Path, data: &Path, more: &[&str]) -> (Process, String) {
        let mut args: Vec<OsString> = vec!["seed".into(), "--manifest".into(), manifest.into(), data.into()];
        args.extend(more.iter().map(OsString::from));
        let mut process = self.start(&args);
        let ticket = process.wait_json(|line: &Value| {
            (line["event"] == "ready").then(|| line["ticket"].as_str().unwrap_or_default().to_owned())
        });
        (process, ticket)
    }

    /// A coordinator that is ready; others reach it at `peer`.
    pub fn coordinator(&self) -> Process {
        let mut process = self.start(&["coordinator".into(), "--state".into(), self.path("known").into()]);
        process.wait_json(|line: &Value| (line["event"] == "coordinating").then_some(()));
        process
    }

    /// A fetch from these peers.
    pub fn fetch(&self, manifest: &Path, peers: &[&str], more: &[&str]) -> Process {
        let mut args: Vec<OsString> =
            vec!["fetch".into(), manifest.into(), "-o".into(), self.path("out").into()];
        for peer in peers {
            args.extend(["--peer".into(), peer.into()]);
        }
        args.extend(more.iter().map(OsString::from));
        self.start(&args)
    }

    /// Starts an aggregator that collects into `store` and accepts offers of every node.
    pub fn aggregate(&self) -> Process {
        let mut process = self.start(&[
            "aggregate".into(),
            "--store".into(),
            self.path("store").into(),
            "--accept".into(),
            "any".into(),
        ]);
        process.wait_json(|line: &Value| (line["event"] == "coordinating").then_some(()));
        process
    }

    /// Starts a node that offers its data to an aggregator, and ends when the aggregator has it on disk.
    pub fn join(&self, manifest: &Path, data: &Path, aggregator: &str) -> Process {
        let words = ["join", "--until-replicated", "--manifest"].map(OsString::from);
        let args: Vec<OsString> =
            words.into_iter().chain([manifest.into(), aggregator.into(), data.into()]).collect();
        self.start(&args)
    }

    /// Starts a command that is no node of its own, or one that keeps libraries: in the node's folder, with its state.
    pub fn run(&self, args: &[OsString]) -> Process {
        let mut command = Build::under_test().command(args);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env("SWARM_STATE_DIR", self.path("state")).env("PATH", path).current_dir(&self.dir);
        self.start_on_host(command)
    }

    /// UDP payload that a running service received, from its status, bytes.
    pub fn wire_received_bytes(&self) -> u64 {
        let mut command = Build::under_test().command(&["status".into(), "--json".into()]);
        command.env("SWARM_STATE_DIR", self.path("state"));
        let status = Process::start(&mut command, b"").end().expect_code(0).json().remove(0);
        status["wire_received_bytes"].as_u64().expect("a number")
    }

    fn start(&self, args: &[OsString]) -> Process {
        let mut command = Build::under_test().command(args);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.args(["--json", "--listen"]).arg(format!("0.0.0.0:{PORT}"));
        command
            .arg("--key")
            .arg(self.path("key"))
            .env("SWARM_STATE_DIR", self.path("state"))
            .env("PATH", path);
        if self.is_on_lan {
            command.env_remove("SWARM_NO_LAN");
        }
        self.start_on_host(command)
    }

    fn start_on_host(&self, mut command: Command) -> Process {
        // For a closer look at one scenario: SWARM_NET_LOG=swarm=debug,quinn_proto=debug.
        if let Some(filter) = std::env::var_os("SWARM_NET_LOG") {
            command.env("RUST_LOG", filter);
        }
        Process::start(&mut self.host.command(&command), b"")
    }
}

const PORT: u16 = 4433;
