//! A folder of a test's own, and `swarm` run in it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tempfile::TempDir;

use super::builds::Build;
use super::data::random_file;
use super::outcome::Outcome;
use super::process::Process;

/// The world of one test.
pub struct World {
    /// Shared with worlds of other builds.
    dir: Arc<TempDir>,
    build: Build,
}

/// A seed that is ready.
pub struct Seed {
    pub process: Process,
    pub ready: Value,
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("swarm-test-").tempdir().expect("a temporary folder");
        Self { dir: Arc::new(dir), build: Build::under_test() }
    }

    /// The same folder and state, where another build runs.
    pub fn with_build(&self, build: &Build) -> Self {
        Self { dir: Arc::clone(&self.dir), build: build.clone() }
    }

    /// A place in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file of random bytes in it.
    pub fn file(&self, name: &str, len: u64) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        random_file(&path, len, name);
        path
    }

    /// `swarm` with these arguments, in this folder, with this world's state folder.
    pub fn command(&self, args: &[OsString]) -> Command {
        let mut command = self.build.command(args);
        command.current_dir(self.dir.path()).env("SWARM_STATE_DIR", self.path("state"));
        command
    }

    /// Starts it.
    pub fn start(&self, args: &[OsString]) -> Process {
        Process::start(&mut self.command(args), b"")
    }

    /// `swarm` that may have so many files and sockets open.
    pub fn start_with_descriptors(&self, descriptors: u32, args: &[OsString]) -> Process {
        self.start_limited(&format!("ulimit -n {descriptors}"), args)
    }

    /// `swarm` after a shell has set these limits.
    pub fn start_limited(&self, limits: &str, args: &[OsString]) -> Process {
        let plain = self.command(args);
        let mut command = Command::new("/bin/sh");
        command.env_clear().args(["-c", &format!("{limits}; exec \"$0\" \"$@\"")]);
        command.arg(plain.get_program()).args(plain.get_args()).current_dir(self.dir.path());
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Process::start(&mut command, b"")
    }

    /// Runs `swarm` in its own network namespace after `setup`. `None`, with a line on stderr, where that is not possible.
    #[expect(clippy::print_stderr, reason = "a test that did not run says so")]
    pub fn start_in_own_network(&self, setup: &str, args: &[OsString]) -> Option<Process> {
        let tools = format!("/usr/sbin:/sbin:{}", std::env::var("PATH").unwrap_or_default());
        let is_there = Command::new("unshare").args(["-n", "ip", "link"]).env("PATH", &tools).output();
        if !is_there.is_ok_and(|output| output.status.success()) {
            eprintln!("NOT RUN: a network of its own takes root, unshare and ip");
            return None;
        }
        let plain = self.command(args);
        let mut command = Command::new("unshare");
        command.env_clear().env("PATH", tools).args(["-n", "/bin/sh", "-c"]);
        command.arg(format!("{setup} && exec \"$0\" \"$@\"")).arg(plain.get_program()).args(plain.get_args());
        command.current_dir(self.dir.path());
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Some(Process::start(&mut command, b""))
    }

    /// Starts it and waits for its end.
    pub fn run(&self, args: &[OsString]) -> Outcome {
        self.start(args).end()
    }

    /// A seed on loopback that is ready.
    pub fn seed(&self, args: Vec<OsString>) -> Seed {
        self.seed_at("127.0.0.1:0", args)
    }

    /// A seed that is ready, at this address.
    pub fn seed_at(&self, address: &str, mut args: Vec<OsString>) -> Seed {
        args.extend(["--listen".into(), address.into()]);
        self.seed_anywhere(args)
    }

    /// A seed that is ready, where it chooses to listen.
    pub fn seed_anywhere(&self, mut args: Vec<OsString>) -> Seed {
        args.splice(0..0, ["seed".into(), "--json".into()]);
        let mut process = self.start(&args);
        let ready = process.wait_json(|line| (line["event"] == "ready").then(|| line.clone()));
        Seed { process, ready }
    }

    /// Starts a fetch with JSON.
    pub fn fetch(&self, mut args: Vec<OsString>) -> Process {
        args.splice(0..0, ["fetch".into(), "--json".into()]);
        self.start(&args)
    }

    /// Makes a manifest.
    pub fn manifest(&self, data: &Path, name: &str) -> PathBuf {
        let out = self.path(name);
        let args = ["manifest", "create", "-o"].map(OsString::from).into_iter();
        let args: Vec<OsString> = args.chain([out.clone().into(), data.into()]).collect();
        self.run(&args).expect_code(0);
        out
    }
}

impl Seed {
    pub fn ticket(&self) -> &str {
        self.ready["ticket"].as_str().expect("a seed has a ticket")
    }

    pub fn node(&self) -> &str {
        self.ready["node"].as_str().expect("a seed has a key")
    }

    /// The first address of its ticket.
    pub fn address(&self) -> String {
        let ticket: swarm_core::manifest::Ticket =
            self.ticket().parse().expect("a seed prints a good ticket");
        ticket.sources[0].addresses[0].to_string()
    }
}

/// Kills of one test; `SWARM_KILLS` for a longer run.
pub fn kill_count() -> u64 {
    std::env::var("SWARM_KILLS").map_or(20, |count| count.parse().expect("a number"))
}

/// Held by tests that need much disk space, memory or time, so that they run one at a time.
pub fn heavy() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
