//! Several daemons that trust each other and have one library: the first keeps it, the others subscribe.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::{PATIENCE, POLL, try_ask, until};
use crate::support::{Host, Node, Process, Signal, Stopwatch, World};

/// The daemons, by number.
pub(super) struct Crew {
    pub(super) nodes: Vec<Node>,
    running: RefCell<Vec<Option<Process>>>,
}

const GUID: &str = "jdfhdhdbe484746";

impl Crew {
    /// One daemon a host; none runs. Nobody knows anybody.
    pub(super) fn new(world: &World, hosts: &[Host]) -> Self {
        let nodes: Vec<Node> = hosts.iter().map(|host| world.node(host)).collect();
        let crew = Self { running: RefCell::new(nodes.iter().map(|_| None).collect()), nodes };
        for number in 0..crew.nodes.len() {
            std::fs::create_dir_all(crew.path(number, "lib")).expect("a folder");
            crew.set(number, "config.json", &json!({"port": PORT, "lan": false}));
            if number == 0 {
                let mounts = json!([{"dir": "lib", "libpath": "/", "sync": true}]);
                crew.set(number, "libraries.json", &json!({"Lib 1": {"guid": GUID, "mounts": mounts}}));
            } else {
                crew.set(number, "subscriptions.json", &json!([{"guid": GUID, "localSyncDir": "lib"}]));
            }
        }
        crew
    }

    /// All know and trust all, by their addresses.
    pub(super) fn introduce(&self) {
        let address = |node: &Node| format!("{}:{PORT}", node.host.address());
        for (number, me) in self.nodes.iter().enumerate() {
            let others = self.nodes.iter().map(address).filter(|other| *other != address(me));
            let peers: Vec<Value> = others.map(|other| json!({"address": other, "trusted": true})).collect();
            self.set(number, "peers.json", &json!(peers));
        }
    }

    /// A path in the folder of a daemon.
    pub(super) fn path(&self, number: usize, name: &str) -> PathBuf {
        self.nodes[number].path("daemon").join(name)
    }

    pub(super) fn set(&self, number: usize, file: &str, value: &Value) {
        let text = serde_json::to_string_pretty(value).expect("it is JSON");
        std::fs::write(self.path(number, file), text).expect("a place");
    }

    /// Starts a daemon and waits until it answers.
    pub(super) fn start(&self, number: usize) {
        let process =
            self.nodes[number].run(&["daemon".into(), "--dir".into(), self.path(number, "").into()]);
        self.running.borrow_mut()[number] = Some(process);
        until(PATIENCE, "the daemon answers", || self.status(number).is_some());
    }

    pub(super) fn start_all(&self) {
        (0..self.nodes.len()).for_each(|number| self.start(number));
    }

    pub(super) fn kill(&self, number: usize) {
        self.running.borrow_mut()[number].take().expect("it runs").kill();
    }

    /// Ends all in order.
    pub(super) fn stop(&self) {
        for mut process in self.running.borrow_mut().drain(..).flatten() {
            process.signal(Signal::Terminate);
            process.end().expect_code(0);
        }
    }

    pub(super) fn status(&self, number: usize) -> Option<Value> {
        try_ask(&self.path(number, ""), &json!({"request": "status"}))
    }

    /// How the library stands at a daemon.
    pub(super) fn library(&self, number: usize) -> Value {
        self.status(number).map(|status| status["libraries"][0].clone()).unwrap_or_default()
    }

    /// Peers that a daemon is linked with.
    pub(super) fn linked(&self, number: usize) -> usize {
        let status = self.status(number).unwrap_or_default();
        let peers = status["peers"].as_array().cloned().unwrap_or_default();
        peers.iter().filter(|peer| peer["connected"] == true).count()
    }

    /// Waits until every daemon is linked with every other.
    pub(super) fn until_linked(&self) {
        let others = self.nodes.len() - 1;
        let are_linked = || (0..self.nodes.len()).all(|number| self.linked(number) == others);
        until(PATIENCE, "all are linked", are_linked);
    }

    /// Waits until a daemon has so many files of the library, for so long at most.
    pub(super) fn until_has(&self, number: usize, files: u64, limit: Duration) {
        let clock = Stopwatch::start();
        let has_all = |library: &Value| {
            library["percent"] == "100.0" && library["files"] == files && library["state"] == "up to date"
        };
        while !has_all(&self.library(number)) {
            let story = || format!("{:#}", self.status(number).unwrap_or_default());
            assert!(clock.elapsed() < limit, "daemon {number} has not all within {limit:?}: {}", story());
            std::thread::sleep(POLL);
        }
    }
}

const PORT: u16 = 8000;
