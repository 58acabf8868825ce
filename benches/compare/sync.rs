//! Folders kept the same: `swarm sync` beside rsync, Unison and rclone bisync. `make bench-sync`, or
//! `cargo bench --bench compare -- sync [--dir DIR] [--files 1000000] [--small 100000] [--big 10737418240] [--rounds 3] [--cases equal,again,..]`.
//!
//! Every run is a whole process. Contenders of a case are interleaved. What the machine itself can do (making files, reading them, one
//! flush of the file system) is printed first; figures of two machines are compared as ratios to it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::measure::{self, Sample};
use crate::named::Named;
use crate::{now, pause};

struct Options {
    dir: PathBuf,
    /// Files of the large tree, in 1000 folders.
    files: u64,
    /// Files of 4 KiB that are copied into an empty folder.
    small: u64,
    /// Bytes of the file that is changed in places.
    big: u64,
    rounds: usize,
    cases: Vec<String>,
}

pub(crate) fn run(args: &[String]) {
    let options = Options::parse(args);
    fs::create_dir_all(&options.dir).expect("a folder for the data");
    floors(&options);
    for case in &options.cases {
        match case.as_str() {
            "equal" => equal(&options),
            "fresh" => fresh(&options),
            "delta" => delta(&options),
            "rename" => rename(&options),
            "latency" => latency(&options),
            other => panic!("no case {other}: equal, fresh, delta, rename, latency"),
        }
    }
}

impl Options {
    fn parse(args: &[String]) -> Self {
        let named = Named::of(args);
        Self {
            dir: named.dir(std::env::temp_dir().join("swarm-bench-sync")),
            files: named.number("--files", 1_000_000),
            small: named.number("--small", 100_000),
            big: named.number("--big", 10 << 30),
            rounds: named.number("--rounds", 3) as usize,
            cases: named.list("--cases", "equal,fresh,delta,rename,latency"),
        }
    }
}

/// What the machine can do.
fn floors(options: &Options) {
    let dir = clean(&options.dir, "floor");
    let start = now();
    let mut file = File::create(dir.join("written")).expect("a file");
    let block = vec![7; 1 << 20];
    (0..512).for_each(|_| file.write_all(&block).expect("it can be written"));
    let cached = start.elapsed();
    file.sync_all().expect("it can be synced");
    let synced = start.elapsed();
    let start = now();
    let mut read = File::open(dir.join("written")).expect("it was written");
    let mut buf = vec![0; 1 << 20];
    while read.read(&mut buf).expect("it can be read") > 0 {}
    let reading = start.elapsed();
    let start = now();
    (0..10_000).for_each(|at| fs::write(dir.join(at.to_string()), [0; 4096]).expect("a file"));
    let files = start.elapsed();
    let rate = |time: Duration| f64::from(512 << 20) / time.as_secs_f64() / 1e6;
    println!(
        "floors in {}: written to the page cache {:.0} MB/s, to the disk {:.0} MB/s, read from the page cache {:.0} MB/s, \
         files of 4 KiB made {:.0} a second",
        swarm_core::base::Shown(&options.dir),
        rate(cached),
        rate(synced),
        rate(reading),
        10_000.0 / files.as_secs_f64(),
    );
    let _ = fs::remove_dir_all(&dir);
}

/// The first comparison of two equal trees, and another one without changes.
fn equal(options: &Options) {
    let root = clean(&options.dir, "equal");
    let (a, b) = (root.join("a"), root.join("b"));
    make_tree(&a, options.files);
    shell(Command::new("cp").arg("-a").arg(&a).arg(&b));
    let mut table = Table::new(format!("{} equal files in 1000 folders", options.files));
    for round in 0..options.rounds {
        for contender in [Contender::Swarm, Contender::Unison, Contender::Rclone] {
            let state = clean(&root, &format!("state-{contender:?}"));
            table.take(contender, "first scan and plan", contender.first(&state, &a, &b));
            table.take(contender, "again, nothing changed", contender.again(&state, &a, &b));
            println!("round {round}: {contender:?} done");
        }
    }
    table.print();
    remove(&root);
}

/// Many small files into an empty folder.
fn fresh(options: &Options) {
    let root = clean(&options.dir, "fresh");
    let a = root.join("a");
    make_files(&a, options.small, 4096);
    let mut table = Table::new(format!("{} files of 4 KiB into an empty folder", options.small));
    for round in 0..options.rounds {
        for contender in [Contender::Rsync, Contender::Swarm, Contender::Unison] {
            let state = clean(&root, &format!("state-{contender:?}"));
            let b = root.join(format!("b-{contender:?}-{round}"));
            fs::create_dir(&b).expect("a folder");
            shell(&mut Command::new("sync"));
            table.take(contender, "copied", contender.copy(&state, &a, &b));
            let start = now();
            shell(&mut Command::new("sync"));
            table.note(contender, "and until it is on the disk", start.elapsed());
        }
    }
    table.print();
    remove(&root);
}

/// A large file of which one percent changes at a thousand places; then a byte in front, too.
fn delta(options: &Options) {
    let root = clean(&options.dir, "delta");
    let mut table = Table::new(format!("a file of {} bytes, 1 % changed at 1000 places", options.big));
    for round in 0..options.rounds {
        for contender in [Contender::Rsync, Contender::Swarm] {
            let state = clean(&root, &format!("state-{contender:?}"));
            let (a, b) = (clean(&root, "a"), clean(&root, "b"));
            make_big(&a.join("film"), options.big);
            contender.copy(&state, &a, &b).expect("the first copy");
            change_places(&a.join("film"), options.big, round as u64);
            shell(&mut Command::new("sync"));
            let before = written_len(&root);
            table.take(contender, "changed in place", contender.delta(&state, &a, &b));
            shell(&mut Command::new("sync"));
            println!("{contender:?} wrote {} MB to the disk", (written_len(&root) - before) / 1_000_000);
            assert_same(&a.join("film"), &b.join("film"));
        }
    }
    table.print();
    remove(&root);
}

/// A folder of 10 000 files gets another name.
fn rename(options: &Options) {
    let root = clean(&options.dir, "rename");
    let mut table = Table::new("a folder of 10000 files of 64 KiB is renamed".to_owned());
    for _ in 0..options.rounds {
        for contender in [Contender::Swarm, Contender::Unison, Contender::Rsync] {
            let state = clean(&root, &format!("state-{contender:?}"));
            let (a, b) = (clean(&root, "a"), clean(&root, "b"));
            make_files(&a.join("old"), 10_000, 65_536);
            contender.copy(&state, &a, &b).expect("the first copy");
            fs::rename(a.join("old"), a.join("new")).expect("a rename");
            table.take(contender, "carried over", contender.again(&state, &a, &b));
        }
    }
    table.print();
    remove(&root);
}

/// From the end of a write in one folder to the same bytes under the same name in the other one, while both are watched.
fn latency(options: &Options) {
    let root = clean(&options.dir, "latency");
    let (a, b, state) = (clean(&root, "a"), clean(&root, "b"), clean(&root, "state"));
    make_tree(&a, options.files);
    shell(Command::new("cp").arg("-a").arg(&a).arg(&b));
    let mut watching = swarm(&state);
    watching.args(["sync", "--watch"]).arg(&a).arg(&b).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = watching.spawn().expect("swarm starts");
    wait_until(|| edit(&a, &b, u64::MAX).is_some(), Duration::from_secs(600));
    let mut times: Vec<f64> = (0..200)
        .map(|number| {
            pause(Duration::from_millis(100 + number % 7 * 30));
            edit(&a, &b, number).expect("it arrives").as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let cpu_before = measure::all(std::slice::from_ref(&child)).sum();
    pause(Duration::from_secs(30));
    let idle = (measure::all(std::slice::from_ref(&child)).sum() - cpu_before) / 30.0;
    println!(
        "one edit among {} files, watched: p50 {:.0} ms, p99 {:.0} ms, most {:.0} ms; idle {:.2} % of a core",
        options.files,
        times[times.len() / 2],
        times[times.len() * 99 / 100],
        times[times.len() - 1],
        idle * 100.0
    );
    let _ = child.kill();
    let _ = child.wait();
    remove(&root);
}

/// Writes a file in `a` and waits for it in `b`.
fn edit(a: &Path, b: &Path, number: u64) -> Option<Duration> {
    let name = format!("{}/edited", number % 1000);
    let (from, to) = (a.join(&name), b.join(&name));
    let text = format!("edit {number}").into_bytes();
    fs::create_dir_all(from.parent()?).ok()?;
    fs::write(&from, &text).expect("a file");
    let start = now();
    while start.elapsed() < Duration::from_secs(5) {
        if fs::read(&to).is_ok_and(|found| found == text) {
            return Some(start.elapsed());
        }
        pause(Duration::from_millis(1));
    }
    None
}

fn wait_until(mut is_so: impl FnMut() -> bool, patience: Duration) {
    let start = now();
    while !is_so() {
        assert!(start.elapsed() < patience, "it does not begin to watch");
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Contender {
    Swarm,
    Rsync,
    Unison,
    Rclone,
}

impl Contender {
    /// Compares two trees that were never compared before, and changes nothing.
    fn first(self, state: &Path, a: &Path, b: &Path) -> Result<Sample, String> {
        let mut command = self.command(state);
        match self {
            Self::Swarm => command.arg("sync").arg(a).arg(b),
            Self::Rsync => command.args(["-a", "--dry-run"]).arg(slash(a)).arg(b),
            Self::Unison => command.args(["-batch", "-ui", "text", "-silent"]).arg(a).arg(b),
            Self::Rclone => command.args(["bisync", "--resync"]).arg(a).arg(b).arg("--workdir").arg(state),
        };
        measured(command)
    }

    /// Compares them once more.
    fn again(self, state: &Path, a: &Path, b: &Path) -> Result<Sample, String> {
        let mut command = self.command(state);
        match self {
            Self::Swarm => command.arg("sync").arg(a).arg(b),
            Self::Rsync => command.args(["-a", "--delete"]).arg(slash(a)).arg(b),
            Self::Unison => command.args(["-batch", "-ui", "text", "-silent"]).arg(a).arg(b),
            Self::Rclone => command.arg("bisync").arg(a).arg(b).arg("--workdir").arg(state),
        };
        measured(command)
    }

    /// Copies a tree into an empty folder.
    fn copy(self, state: &Path, a: &Path, b: &Path) -> Result<Sample, String> {
        let mut command = self.command(state);
        match self {
            Self::Swarm => command.arg("sync").arg(a).arg(b),
            Self::Rsync => command.arg("-a").arg(slash(a)).arg(b),
            Self::Unison => command.args(["-batch", "-ui", "text", "-silent"]).arg(a).arg(b),
            Self::Rclone => command.arg("copy").arg(a).arg(b),
        };
        measured(command)
    }

    /// Carries over a changed file, by its differences alone where the tool can.
    fn delta(self, state: &Path, a: &Path, b: &Path) -> Result<Sample, String> {
        let mut command = self.command(state);
        match self {
            Self::Rsync => command.args(["-a", "--no-whole-file"]).arg(slash(a)).arg(b),
            Self::Swarm | Self::Unison | Self::Rclone => return self.again(state, a, b),
        };
        measured(command)
    }

    fn command(self, state: &Path) -> Command {
        let mut command = match self {
            Self::Swarm => swarm(state),
            Self::Rsync => Command::new("rsync"),
            Self::Unison => Command::new("unison"),
            Self::Rclone => Command::new("rclone"),
        };
        // Archives of Unison and settings of rclone go there, too.
        command.env("UNISON", state).env("RCLONE_CONFIG", state.join("rclone.conf")).env("HOME", state);
        command.stderr(Stdio::null());
        command
    }
}

fn swarm(state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swarm"));
    command.arg("--state-dir").arg(state);
    command
}

fn measured(command: Command) -> Result<Sample, String> {
    measure::run(command, &[])
}

/// rsync copies what is in a folder whose name ends so.
fn slash(path: &Path) -> PathBuf {
    path.join("")
}

/// Figures of one case.
struct Table {
    title: String,
    rows: BTreeMap<(String, Contender), Vec<Result<Sample, String>>>,
    notes: BTreeMap<(String, Contender), Vec<f64>>,
}

impl Table {
    fn new(title: String) -> Self {
        Self { title, rows: BTreeMap::new(), notes: BTreeMap::new() }
    }

    fn take(&mut self, contender: Contender, what: &str, sample: Result<Sample, String>) {
        self.rows.entry((what.to_owned(), contender)).or_default().push(sample);
    }

    fn note(&mut self, contender: Contender, what: &str, time: Duration) {
        self.notes.entry((what.to_owned(), contender)).or_default().push(time.as_secs_f64());
    }

    fn print(&self) {
        println!("\n{}\n", self.title);
        println!("| what | tool | seconds, median | CPU s | memory, MiB |");
        println!("|---|---|---|---|---|");
        for ((what, contender), samples) in &self.rows {
            let good: Vec<&Sample> = samples.iter().flatten().collect();
            if good.is_empty() {
                let why = samples.iter().find_map(|sample| sample.as_ref().err());
                println!("| {what} | {contender:?} | failed: {} | | |", why.map_or("", String::as_str));
                continue;
            }
            let median = |of: &dyn Fn(&Sample) -> f64| {
                let mut values: Vec<f64> = good.iter().map(|sample| of(sample)).collect();
                values.sort_by(f64::total_cmp);
                values[values.len() / 2]
            };
            println!(
                "| {what} | {contender:?} | {:.2} | {:.2} | {:.0} |",
                median(&|sample| sample.wall),
                median(&|sample| sample.receiver.sum()),
                median(&|sample| sample.receiver_peak_len as f64 / f64::from(1 << 20)),
            );
        }
        for ((what, contender), times) in &self.notes {
            let mut times = times.clone();
            times.sort_by(f64::total_cmp);
            println!("| {what} | {contender:?} | {:.2} | | |", times[times.len() / 2]);
        }
    }
}

/// A tree of files of a few hundred bytes in 1000 folders.
fn make_tree(root: &Path, files: u64) {
    for at in 0..files {
        let folder = root.join((at % 1000).to_string());
        if at < 1000 {
            fs::create_dir_all(&folder).expect("a folder");
        }
        fs::write(folder.join(format!("file-{at}.txt")), format!("{at:0>200}")).expect("a file");
    }
}

/// Files of one length and different bytes.
fn make_files(root: &Path, count: u64, len: usize) {
    for at in 0..count {
        let folder = root.join((at / 1000).to_string());
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(format!("{at}.bin")), noise(at, len)).expect("a file");
    }
}

fn make_big(path: &Path, len: u64) {
    let mut file = File::create(path).expect("a file");
    for at in 0..len / BLOCK_LEN as u64 {
        file.write_all(&noise(at, BLOCK_LEN)).expect("it can be written");
    }
}

/// Overwrites one percent of a file at a thousand places.
fn change_places(path: &Path, len: u64, round: u64) {
    let file = File::options().write(true).open(path).expect("a file");
    let change_len = len / 100 / 1000;
    for at in 0..1000 {
        let bytes = noise(1 << 40 | round << 20 | at, change_len as usize);
        // Spread evenly, each at a place of its own within its thousandth.
        let offset = at * (len / 1000) + u64::from(bytes[0]) * 512;
        file.write_all_at(&bytes, offset.min(len - change_len)).expect("it can be written");
    }
}

/// Bytes that do not compress, the same for the same seed.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn assert_same(a: &Path, b: &Path) {
    let hash = |path: &Path| {
        let mut file = File::open(path).expect("a file");
        file.seek(SeekFrom::Start(0)).expect("it is a file");
        let mut hasher = blake3::Hasher::new();
        std::io::copy(&mut file, &mut hasher).expect("it can be read");
        hasher.finalize()
    };
    assert_eq!(hash(a), hash(b), "{} was not carried over", swarm_core::base::Shown(a));
}

/// Bytes that were written to the disk that a folder is on, since the machine started.
fn written_len(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let device = fs::metadata(folder).expect("it exists").dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let stat = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).unwrap_or_default();
    stat.split_whitespace().nth(6).and_then(|sectors| sectors.parse::<u64>().ok()).unwrap_or(0) * 512
}

fn clean(dir: &Path, name: &str) -> PathBuf {
    let folder = dir.join(name);
    remove(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn remove(folder: &Path) {
    let _ = fs::remove_dir_all(folder);
}

fn shell(command: &mut Command) {
    assert!(command.status().is_ok_and(|status| status.success()), "{command:?} failed");
}

const BLOCK_LEN: usize = 1 << 20;
