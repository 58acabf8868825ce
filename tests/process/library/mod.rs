//! Daemons that keep libraries together, as their operators see them: folders, files of settings, and what the control socket tells.
//!
//! Every daemon of a [`Team`] runs on loopback. A test changes folders and files, and waits until something holds; it never waits for a
//! fixed time.

mod approvals;
mod commands;
mod compression;
mod conflicts;
mod deltas;
mod elsewhere;
mod finding;
mod integrity;
mod limits;
mod metrics;
mod mounts;
mod origins;
mod peers;
mod reload;
mod restarts;
mod schedule;
mod sealed;
mod sharing;
mod trust;
mod ways_out;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Outcome, Process, Signal, World, args};
use crate::sync::tree;

/// Daemons, each with a letter and a folder of that name.
pub(super) struct Team {
    world: World,
    members: BTreeMap<char, Member>,
    /// Keys that were asked for.
    nodes: RefCell<BTreeMap<char, String>>,
}

struct Member {
    port: u16,
    process: RefCell<Option<Process>>,
}

/// What all daemons call the library of a test.
pub(super) const GUID: &str = "jdfhdhdbe484746";

impl Team {
    /// Daemons that trust each other, and keep nothing yet. None runs.
    pub(super) fn new(letters: &str) -> Self {
        let members =
            letters.chars().map(|letter| (letter, Member { port: free_port(), process: None.into() }));
        let team = Self { world: World::new(), members: members.collect(), nodes: RefCell::default() };
        for letter in letters.chars() {
            fs::create_dir(team.path(&letter.to_string())).expect("a place");
            let config = json!({"port": team.members[&letter].port, "listen": "127.0.0.1", "lan": false});
            team.set(letter, "config.json", &config);
            let others: Vec<char> = letters.chars().filter(|other| *other != letter).collect();
            let peers: Vec<Value> = others.iter().map(|other| team.peer(*other, true)).collect();
            team.set(letter, "peers.json", &json!(peers));
        }
        team
    }

    /// Daemons that trust each other and have one library in a folder `lib` of their own: the first keeps it, the others subscribe.
    /// All run.
    pub(super) fn sharing(letters: &str) -> Self {
        Self::sharing_with(letters, &json!({}))
    }

    /// As [`sharing`](Self::sharing), with these settings of the library at each.
    pub(super) fn sharing_with(letters: &str, settings: &Value) -> Self {
        let team = Self::new(letters);
        for (number, letter) in letters.chars().enumerate() {
            if number == 0 {
                team.keep(letter, settings)
            } else {
                team.subscribe(letter, settings)
            }
            team.start(letter);
        }
        team
    }

    /// A daemon keeps the library, in its folder `lib`.
    pub(super) fn keep(&self, letter: char, settings: &Value) {
        let mut library = json!({"guid": GUID, "mounts": [{"dir": "lib", "libpath": "/", "sync": true}]});
        merge(&mut library, settings);
        self.set(letter, "libraries.json", &json!({"Lib 1": library}));
    }

    /// A daemon subscribes to it, with its folder `lib`.
    pub(super) fn subscribe(&self, letter: char, settings: &Value) {
        let mut subscription = json!({"guid": GUID, "localSyncDir": "lib"});
        merge(&mut subscription, settings);
        self.set(letter, "subscriptions.json", &json!([subscription]));
    }

    /// The entry of a daemon in the peers.json of others.
    pub(super) fn peer(&self, letter: char, trusted: bool) -> Value {
        json!({"address": format!("127.0.0.1:{}", self.members[&letter].port), "trusted": trusted})
    }

    /// Writes a file of settings.
    pub(super) fn set(&self, letter: char, file: &str, value: &Value) {
        let text = serde_json::to_string_pretty(value).expect("it is JSON");
        self.write(&format!("{letter}/{file}"), &text);
    }

    /// A file of settings, as it stands.
    pub(super) fn settings(&self, letter: char, file: &str) -> Value {
        serde_json::from_str(&self.read(&format!("{letter}/{file}"))).expect("it is JSON")
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.world.path(name)
    }

    /// A file of random bytes.
    pub(super) fn file(&self, name: &str, len: u64) -> PathBuf {
        self.world.file(name, len)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        fs::write(path, text).expect("a place");
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(super) fn is_there(&self, name: &str) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    /// Starts a daemon and waits until it answers.
    pub(super) fn start(&self, letter: char) {
        self.start_ahead(letter, Duration::ZERO);
    }

    /// Starts one whose clock is ahead.
    pub(super) fn start_ahead(&self, letter: char, ahead: Duration) {
        self.start_with(letter, "SWARM_TEST_CLOCK_AHEAD", &ahead.as_secs().to_string());
    }

    /// Starts one that logs so much.
    pub(super) fn start_logging(&self, letter: char, levels: &str) {
        self.start_with(letter, "RUST_LOG", levels);
    }

    /// Starts one with a variable that tests alone set.
    pub(super) fn start_with(&self, letter: char, variable: &str, value: &str) {
        let mut command = self.world.command(&args!["daemon", "--dir", self.path(&letter.to_string())]);
        command.env(variable, value);
        let process = Process::start(&mut command, b"");
        self.members[&letter].process.replace(Some(process));
        self.until("the daemon answers", || self.try_ask(letter, &json!({"request": "status"})).is_some());
    }

    /// The first line of a daemon's log for which `pick` returns a value.
    pub(super) fn wait_log<T>(&self, letter: char, pick: impl Fn(&str) -> Option<T>) -> T {
        self.members[&letter].process.borrow().as_ref().expect("it runs").wait_stderr_line(pick)
    }

    /// Ends a daemon in order.
    pub(super) fn stop(&self, letter: char) -> Outcome {
        let mut process = self.members[&letter].process.take().expect("it runs");
        process.signal(Signal::Terminate);
        let outcome = process.end().expect_code(0);
        let is_late = outcome.err.iter().any(|line| line.contains("did not end in time"));
        assert!(!is_late, "{outcome:?}");
        outcome
    }

    /// Ends a daemon at once.
    pub(super) fn kill(&self, letter: char) {
        self.members[&letter].process.take().expect("it runs").kill();
    }

    /// Removes the memory of the library, as if its disk had lost it. The daemon does not run.
    pub(super) fn lose_index(&self, letter: char) {
        for file in ["library.db", "library.db-wal", "library.db-shm"] {
            let removed = fs::remove_file(self.path(&format!("{letter}/.swarm/libraries/{GUID}/{file}")));
            assert!(removed.is_ok() || file != "library.db", "{removed:?}");
        }
    }

    /// Where the API of a daemon is.
    pub(super) fn address(&self, letter: char) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.members[&letter].port).into()
    }

    /// Those that run.
    pub(super) fn runs(&self) -> Vec<char> {
        let runs = |member: &Member| member.process.borrow().is_some();
        self.members.iter().filter(|(_, member)| runs(member)).map(|(letter, _)| *letter).collect()
    }

    /// What the daemon replies; `None` if it does not answer.
    fn try_ask(&self, letter: char, request: &Value) -> Option<Value> {
        let socket = self.path(&format!("{letter}/.swarm/control.sock"));
        let mut stream = UnixStream::connect(socket).ok()?;
        stream.set_read_timeout(Some(LIMIT)).ok()?;
        writeln!(stream, "{request}").ok()?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).ok()?;
        serde_json::from_str(&line).ok()
    }

    pub(super) fn ask(&self, letter: char, request: &Value) -> Value {
        self.try_ask(letter, request).unwrap_or_else(|| panic!("{letter} does not answer {request}"))
    }

    /// How everything stands at a daemon.
    pub(super) fn status(&self, letter: char) -> Value {
        self.ask(letter, &json!({"request": "status"}))
    }

    /// What a daemon tells of another.
    pub(super) fn peer_status(&self, letter: char, of: char) -> Value {
        let address = &self.peer(of, true)["address"];
        let status = self.status(letter);
        let peers = status["peers"].as_array().expect("a list");
        peers.iter().find(|peer| peer["address"] == *address).cloned().unwrap_or(Value::Null)
    }

    /// How the library stands there.
    pub(super) fn library(&self, letter: char) -> Value {
        let status = self.status(letter);
        let libraries = status["libraries"].as_array().expect("a list");
        libraries.iter().find(|library| library["guid"] == GUID).cloned().unwrap_or(Value::Null)
    }

    /// Proposals that a daemon knows: those that wait, or all.
    pub(super) fn proposals(&self, letter: char, with_ended: bool) -> Vec<Value> {
        let reply = self.ask(letter, &json!({"request": "approvals", "library": GUID, "all": with_ended}));
        let answers = reply["answers"].as_object().unwrap_or_else(|| panic!("{reply}"));
        let lists = answers.values().map(|answer| answer["proposals"].as_array().expect("a list"));
        lists.flatten().cloned().collect()
    }

    /// Votes about all proposals that wait at a daemon.
    pub(super) fn vote(&self, letter: char, verdict: &str) {
        for proposal in self.proposals(letter, false) {
            let request =
                json!({"request": "vote", "id": proposal["id"], "verdict": verdict, "why": "for a test"});
            let reply = self.ask(letter, &request);
            assert!(!reply.to_string().contains("failed"), "{reply}");
        }
    }

    /// Whether the state of a folder keeps this text in some file: versions that were replaced or deleted.
    pub(super) fn keeps(&self, folder: &str, text: &str) -> bool {
        let state = self.path(folder).join(".swarm");
        let files = walkdir::WalkDir::new(state).into_iter().filter_map(Result::ok);
        files
            .filter(|entry| entry.file_type().is_file())
            .any(|entry| fs::read(entry.path()).is_ok_and(|bytes| bytes == text.as_bytes()))
    }

    /// The node of a daemon.
    pub(super) fn node(&self, letter: char) -> String {
        self.status(letter)["node"].as_str().expect("a key").to_owned()
    }

    /// The same of one that ran before, and may be away.
    pub(super) fn node_of(&self, letter: char) -> String {
        let known = self.nodes.borrow().get(&letter).cloned();
        let node = known.unwrap_or_else(|| self.node(letter));
        self.nodes.borrow_mut().insert(letter, node.clone());
        node
    }

    /// What a folder holds, by path, without the state of the daemon.
    pub(super) fn tree(&self, folder: &str) -> BTreeMap<String, String> {
        tree(&self.path(folder))
    }

    /// Waits until something holds.
    pub(super) fn until(&self, what: &str, holds: impl Fn() -> bool) {
        self.within(LIMIT, what, holds);
    }

    /// Waits until what is looked at is as it should be; tells what it was last.
    pub(super) fn until_shown<T: std::fmt::Debug>(
        &self,
        what: &str,
        look: impl Fn() -> T,
        holds: impl Fn(&T) -> bool,
    ) {
        let last = RefCell::new(None);
        let is_right = || {
            let seen = look();
            let is_right = holds(&seen);
            last.replace(Some(seen));
            is_right
        };
        let began = now();
        while !is_right() {
            assert!(now().duration_since(began) < LIMIT, "not: {what}, but {last:?}\n{}", self.story());
            std::thread::sleep(POLL);
        }
    }

    /// Waits until something holds, for so long at most; returns how long it took.
    pub(super) fn within(&self, limit: Duration, what: &str, holds: impl Fn() -> bool) -> Duration {
        let began = now();
        while !holds() {
            assert!(now().duration_since(began) < limit, "not within {limit:?}: {what}\n{}", self.story());
            std::thread::sleep(POLL);
        }
        now().duration_since(began)
    }

    /// Waits until the folders `lib` of these daemons hold the same, and none has anything to do.
    pub(super) fn until_same(&self, letters: &str) -> BTreeMap<String, String> {
        let is_done = |letter: char| self.library(letter)["state"] == "up to date";
        let trees = || letters.chars().map(|letter| self.try_tree(letter)).collect::<Vec<_>>();
        let same = RefCell::new(BTreeMap::new());
        self.until("the same everywhere", || {
            let trees = trees();
            let are_same = trees[0].is_some() && trees.iter().all(|tree| *tree == trees[0]);
            same.replace(trees.into_iter().next().flatten().unwrap_or_default());
            are_same && letters.chars().all(is_done)
        });
        same.into_inner()
    }

    /// `None` while something changes in it.
    fn try_tree(&self, letter: char) -> Option<BTreeMap<String, String>> {
        let root = self.path(&format!("{letter}/lib"));
        std::panic::catch_unwind(|| tree(&root)).ok()
    }

    /// Waits until a file has this text at each of these daemons.
    pub(super) fn until_text(&self, letters: &str, name: &str, text: &str) {
        self.until(&format!("{name} is {text:?} at {letters}"), || {
            let has = |letter| {
                fs::read_to_string(self.path(&format!("{letter}/lib/{name}")))
                    .is_ok_and(|found| found == text)
            };
            letters.chars().all(has)
        });
    }

    /// Waits until a path is gone at each of these daemons.
    pub(super) fn until_gone(&self, letters: &str, name: &str) {
        self.until(&format!("{name} is gone at {letters}"), || {
            letters.chars().all(|letter| !self.is_there(&format!("{letter}/lib/{name}")))
        });
    }

    /// Everything that is known, for a test that fails.
    fn story(&self) -> String {
        let mut lines = Vec::new();
        for letter in self.runs() {
            lines.push(format!(
                "{letter}: {:#}",
                self.try_ask(letter, &json!({"request": "status"})).unwrap_or_default()
            ));
        }
        for letter in self.members.keys() {
            let Some(tree) = self.try_tree(*letter) else { continue };
            let shown: Vec<String> =
                tree.iter().take(30).map(|(name, what)| format!("  {name}: {what}")).collect();
            lines.push(format!("{letter}/lib has {} entries\n{}", tree.len(), shown.join("\n")));
        }
        lines.join("\n")
    }
}

/// Puts the keys of one object into another.
fn merge(into: &mut Value, from: &Value) {
    let from = from.as_object().expect("an object").clone();
    into.as_object_mut().expect("an object").extend(from);
}

/// A number that is free for UDP and for TCP: a daemon listens at both.
fn free_port() -> u16 {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("it is bound");
    if std::net::TcpListener::bind(address).is_ok() { address.port() } else { free_port() }
}

/// Links of the file system that a path has below it, and what `stat` says of each.
pub(super) fn stats(root: &Path) -> BTreeMap<PathBuf, (i64, i64, i64, i64)> {
    use std::os::unix::fs::MetadataExt as _;
    let walk = walkdir::WalkDir::new(root).into_iter().map(|entry| entry.expect("it can be read"));
    let stat = |path: &Path| {
        let stat = path.symlink_metadata().expect("it is there");
        (stat.mtime(), stat.mtime_nsec(), stat.ctime(), stat.ctime_nsec())
    };
    walk.map(|entry| (entry.path().to_owned(), stat(entry.path()))).collect()
}

#[expect(clippy::disallowed_methods, reason = "a test waits for processes")]
fn now() -> Instant {
    Instant::now()
}

/// Only a hang takes so long.
const LIMIT: Duration = Duration::from_mins(3);
const POLL: Duration = Duration::from_millis(50);
