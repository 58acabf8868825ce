//! Many leeches at one seed: the real binary, a process each, on loopback. `cargo bench --bench crowd [-- LEECHES MIB RATE]`.
//!
//! Prints one line: how many finished, the slowest leech's rate as a share of the mean, and the seed's peak memory. A leech knows
//! the seed alone; that leeches find each other is part of what is measured.

#![expect(clippy::print_stdout, reason = "figures are its work")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let number = |at: usize, usual: usize| args.get(at).map_or(usual, |arg| arg.parse().expect("a number"));
    let (leeches, mib) = (number(0, 200), number(1, 32));
    let rate = args.get(2).map_or("40MB/s", String::as_str);
    let dir = tempfile::tempdir().expect("a folder");
    let film = dir.path().join("film.bin");
    let mut bytes = vec![0; mib << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    std::fs::write(&film, bytes).expect("room on the disk");

    let (mut seed, ticket) = start_seed(dir.path(), &film, rate);
    let start = now();
    let fetches: Vec<Child> = (0..leeches).map(|number| start_fetch(dir.path(), number, &ticket)).collect();
    let waiting: Vec<_> = fetches
        .into_iter()
        .map(|mut fetch| {
            let began = now();
            std::thread::spawn(move || {
                let status = fetch.wait().expect("it is ours");
                (status.success(), began.elapsed().as_secs_f64())
            })
        })
        .collect();
    let ended: Vec<(bool, f64)> =
        waiting.into_iter().map(|thread| thread.join().expect("no panic")).collect();
    let wall = start.elapsed().as_secs_f64();
    let peak_mib = peak_memory_mib(seed.id());
    seed.kill().expect("it runs");
    seed.wait().expect("it is ours");

    let finished = ended.iter().filter(|(is_well, _)| *is_well).count();
    let rates: Vec<f64> = ended.iter().map(|(_, seconds)| mib as f64 / seconds).collect();
    let mean = rates.iter().sum::<f64>() / rates.len() as f64;
    let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
    println!(
        "{leeches} leeches of {mib} MiB, seed at {rate}: {finished} finished in {wall:.1} s, min/mean rate {:.2}, seed's peak {peak_mib} MiB",
        least / mean
    );
    assert_eq!(finished, leeches, "not all finished");
}

fn swarm(dir: &Path, state: PathBuf) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swarm"));
    command.current_dir(dir).env("SWARM_STATE_DIR", state).env("SWARM_NO_LAN", "1");
    command.stdin(Stdio::null()).stderr(Stdio::null());
    command
}

fn start_seed(dir: &Path, film: &Path, rate: &str) -> (Child, String) {
    let mut command = swarm(dir, dir.join("seed"));
    command.args(["seed", "--listen", "127.0.0.1:0", "--limit-up", rate]).arg(film).stdout(Stdio::piped());
    let mut seed = command.spawn().expect("the binary starts");
    let mut ticket = String::new();
    let stdout = seed.stdout.take().expect("stdout is piped");
    BufReader::new(stdout).read_line(&mut ticket).expect("a ticket");
    (seed, ticket.trim().to_owned())
}

fn start_fetch(dir: &Path, number: usize, ticket: &str) -> Child {
    let mut command = swarm(dir, dir.join(format!("state-{number}")));
    command.args(["fetch", ticket, "-o", &format!("out-{number}")]).stdout(Stdio::null());
    command.spawn().expect("the binary starts")
}

/// The highest resident memory so far; zero where the system does not tell as Linux does.
fn peak_memory_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) >> 10
}

#[expect(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]
fn now() -> Instant {
    Instant::now()
}
