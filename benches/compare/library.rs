//! Libraries of many small files: two daemons over loopback, beside an rsync daemon. `make bench-library`, or
//! `cargo bench --bench compare -- library [--dir DIR] [--count 100000] [--rounds 3] [--cases new,join,rest]`.
//!
//! `new`: files are copied into the folder of one daemon while the other is linked. `join`: a daemon subscribes to a library that stands.
//! `rest`: memory, a restart, and what two daemons cost while nothing happens. A run is over when the other daemon says that all is there,
//! which it says of what a flush has put on the disk; rsync writes to the page cache, and what it has not paid yet stands beside it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::contenders::{Contender, Scene, Senders, swarm};
use crate::data::{Data, World};
use crate::named::Named;
use crate::{measure, now, pause};

struct Options {
    dir: PathBuf,
    count: u64,
    rounds: usize,
    cases: Vec<String>,
}

/// A daemon that runs.
struct Daemon {
    /// Ends it when dropped.
    senders: Senders,
    dir: PathBuf,
    port: u16,
}

pub(crate) fn run(args: &[String]) {
    let options = Options::parse(args);
    let world = World::new(&options.dir);
    let data = world.small_files(options.count);
    println!("{} files of 4 KiB in folders of a thousand, two daemons over loopback", options.count);
    floors(&world);
    for case in &options.cases {
        match case.as_str() {
            "new" => (0..options.rounds).for_each(|_| new(&world, &data, options.count)),
            "join" => (0..options.rounds).for_each(|_| join(&world, &data, options.count)),
            "rest" => rest(&world, &data, options.count),
            other => panic!("no case {other}: new, join, rest"),
        }
    }
    world.clean();
}

impl Options {
    fn parse(args: &[String]) -> Self {
        let named = Named::of(args);
        Self {
            dir: named.dir(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("compare-library")),
            count: named.number("--count", 100_000),
            rounds: named.number("--rounds", 3) as usize,
            cases: named.list("--cases", "new,join,rest"),
        }
    }
}

/// What the disk takes: files of 4 KiB that one thread writes beside their folder, and renames into it.
fn floors(world: &World) {
    let out = world.fresh_out();
    let [beside, folder] = ["beside", "folder"].map(|name| out.join(name));
    for dir in [&beside, &folder] {
        fs::create_dir_all(dir).expect("room on the disk");
    }
    let start = now();
    for at in 0..FLOOR_COUNT {
        let new = beside.join(at.to_string());
        fs::write(&new, [7; 4096]).expect("room on the disk");
        fs::rename(&new, folder.join(format!("{at:06}.bin"))).expect("one file system");
    }
    let made = start.elapsed().as_secs_f64();
    let _ = Command::new("sync").arg("-f").arg(&folder).status();
    let synced = start.elapsed().as_secs_f64() - made;
    println!(
        "floors: {FLOOR_COUNT} files written and renamed by one thread {made:.2} s, then {synced:.2} s until they are on the disk"
    );
}

/// Files are copied into the folder of one daemon.
fn new(world: &World, data: &Data, count: u64) {
    let out = world.fresh_out();
    let ports = [free_port(), free_port()];
    let [seed, other] = pair(world, &out, ports, ports);
    other.until("it is linked", |status| status["peers"][0]["connected"] == true);
    let copying = now();
    copy(data, &out.join("a"));
    let start = now();
    other.until_complete(count);
    let (waited, whole) = (start.elapsed().as_secs_f64(), copying.elapsed().as_secs_f64());
    println!(
        "new: complete {waited:.2} s after cp ended ({:.2} s for cp); {}; {}",
        whole - waited,
        seed.cost("first"),
        other.cost("second")
    );
}

/// A daemon subscribes to a library that stands, in turn with an rsync daemon.
fn join(world: &World, data: &Data, count: u64) {
    let rsync = Contender::RSYNC_DAEMON;
    if rsync.is_there() {
        let scene = Scene::new(rsync, world, data, 1, None);
        let senders = rsync.start(&scene);
        let out = world.fresh_out();
        let mut fetch = rsync.fetch(&scene, &senders);
        fetch.current_dir(&out);
        let sample = measure::run(fetch, &senders.processes).unwrap_or_else(|error| panic!("rsync: {error}"));
        let start = now();
        let _ = Command::new("sync").status();
        println!(
            "join: rsync daemon {:.2} s, then {:.2} s until it is on the disk; receiver {:.2} CPU s",
            sample.wall,
            start.elapsed().as_secs_f64(),
            sample.receiver.sum()
        );
    } else {
        println!("join: rsync NOT RUN: it is not installed");
    }
    let out = world.fresh_out();
    let ports = [free_port(), free_port()];
    let seed = Daemon::seed(world, &out.join("a"), ports);
    copy(data, &out.join("a"));
    seed.until_complete(count);
    let _ = Command::new("sync").status();
    let start = now();
    let other = Daemon::subscriber(world, &out.join("b"), ports);
    other.until_complete(count);
    println!(
        "join: swarm {:.2} s from the start of its process; {}; {}",
        start.elapsed().as_secs_f64(),
        seed.cost("seed"),
        other.cost("subscriber")
    );
}

/// What daemons hold and do when all is there.
fn rest(world: &World, data: &Data, count: u64) {
    let out = world.fresh_out();
    let ports = [free_port(), free_port()];
    let [seed, other] = pair(world, &out, ports, ports);
    copy(data, &out.join("a"));
    other.until_complete(count);
    println!("rest: made; {}; {}", seed.cost("seed"), other.cost("subscriber"));
    for daemon in [seed, other] {
        let (dir, port) = (daemon.dir.clone(), daemon.port);
        drop(daemon);
        let start = now();
        let again = Daemon::start(dir, port);
        again.until_complete(count);
        let restarted = start.elapsed().as_secs_f64();
        pause(SETTLE);
        let before = measure::all(&again.senders.processes).sum();
        pause(WATCHED);
        let share = (measure::all(&again.senders.processes).sum() - before) / WATCHED.as_secs_f64();
        println!(
            "rest: up to date {restarted:.2} s after its restart; idle {:.2} % of a core; {}",
            share * 100.0,
            again.cost("it")
        );
    }
}

fn copy(data: &Data, into: &Path) {
    let copied = Command::new("cp").arg("-r").arg(data.path()).arg(into).status();
    assert!(copied.is_ok_and(|status| status.success()), "cp failed");
}

/// A daemon with an empty library, and one that subscribes to it.
fn pair(world: &World, out: &Path, seed: [u16; 2], other: [u16; 2]) -> [Daemon; 2] {
    [Daemon::seed(world, &out.join("a"), seed), Daemon::subscriber(world, &out.join("b"), other)]
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").port()
}

fn set(dir: &Path, name: &str, value: &Value) {
    fs::write(dir.join(name), value.to_string()).expect("room on the disk");
}

impl Daemon {
    /// One whose library has this folder.
    fn seed(world: &World, folder: &Path, [own, peer]: [u16; 2]) -> Self {
        let dir = world.state("seed");
        fs::create_dir_all(folder).expect("room on the disk");
        let mount = json!({"dir": folder, "libpath": "/", "sync": true});
        set(&dir, "libraries.json", &json!({"Small": {"guid": GUID, "mounts": [mount]}}));
        Self::of(dir, own, peer)
    }

    /// One that fetches the library into this folder.
    fn subscriber(world: &World, folder: &Path, [peer, own]: [u16; 2]) -> Self {
        let dir = world.state("subscriber");
        fs::create_dir_all(folder).expect("room on the disk");
        set(&dir, "subscriptions.json", &json!([{"guid": GUID, "localSyncDir": folder}]));
        Self::of(dir, own, peer)
    }

    fn of(dir: PathBuf, port: u16, peer: u16) -> Self {
        set(&dir, "config.json", &json!({"port": port, "listen": "127.0.0.1", "lan": false}));
        set(&dir, "peers.json", &json!([{"address": format!("127.0.0.1:{peer}"), "trusted": true}]));
        Self::start(dir, port)
    }

    fn start(dir: PathBuf, port: u16) -> Self {
        let mut daemon = swarm(&dir.join("state"), None);
        daemon.args(["daemon", "--dir"]).arg(&dir);
        let process = daemon.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let senders = Senders::listening(vec![process.expect("the binary starts")], &[port], Vec::new());
        Self { senders, dir, port }
    }

    /// How it stands; nothing before it answers.
    fn status(&self) -> Option<Value> {
        let mut stream = UnixStream::connect(self.dir.join(".swarm/control.sock")).ok()?;
        writeln!(stream, "{}", json!({"request": "status"})).ok()?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).ok()?;
        serde_json::from_str(&line).ok()
    }

    fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        let start = now();
        loop {
            let status = self.status();
            if status.as_ref().is_some_and(&is_so) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "not in time: {what}: {status:?}");
            pause(POLL_INTERVAL);
        }
    }

    /// Until all files are there, and it has nothing to do.
    fn until_complete(&self, count: u64) {
        self.until("all is there", |status| {
            let library = &status["libraries"][0];
            library["files"] == count && library["files_here"] == count && library["state"] == "up to date"
        });
    }

    /// Its CPU time so far and the most memory it held.
    fn cost(&self, name: &str) -> String {
        let cpu = measure::all(&self.senders.processes);
        let held = |key: &str| {
            let status = fs::read_to_string(format!("/proc/{}/status", self.senders.processes[0].id()));
            let status = status.expect("it runs");
            let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("Linux tells it");
            line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
        };
        format!(
            "{name} {:.2} user + {:.2} sys s, holds {} MiB (most {})",
            cpu.user,
            cpu.system,
            held("VmRSS:"),
            held("VmHWM:")
        )
    }
}

/// Enough to tell how long one takes.
const FLOOR_COUNT: u64 = 20_000;
const GUID: &str = "0123456789abcdef0123456789abcdef";
/// Short beside any run, and long beside the answer.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_mins(30);
/// A daemon looks at its folders again soon after its start.
const SETTLE: Duration = Duration::from_secs(20);
const WATCHED: Duration = Duration::from_secs(60);
