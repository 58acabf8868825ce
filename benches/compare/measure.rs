//! The cost of a process and its descendants: seconds of user and system CPU time, and their peak memory. Read from Linux's
//! /proc, in ticks of 10 ms.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde::Serialize;

use crate::{now, pause};

/// CPU time, seconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Cpu {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

/// One fetch.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sample {
    /// From the start of the process to its end, seconds.
    pub(crate) wall: f64,
    pub(crate) receiver: Cpu,
    pub(crate) sender: Cpu,
    /// Resident memory of the receiver and its descendants, the most of each added up, bytes.
    pub(crate) receiver_peak_len: u64,
    /// Peak memory of the sender that held most, with its descendants, bytes.
    pub(crate) sender_peak_len: u64,
}

impl Cpu {
    pub(crate) fn sum(self) -> f64 {
        self.user + self.system
    }

    fn minus(self, before: Self) -> Self {
        Self { user: self.user - before.user, system: self.system - before.system }
    }

    fn plus(self, other: Self) -> Self {
        Self { user: self.user + other.user, system: self.system + other.system }
    }
}

/// Runs a fetch to its end while `senders` serve it. `Err` says how it failed.
pub(crate) fn run(mut command: Command, senders: &[Child]) -> Result<Sample, String> {
    let senders_before = all(senders);
    let own_before = waited_for();
    let start = now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot be started: {error}"))?;
    let mut peaks = BTreeMap::new();
    let mut sender_peaks = vec![BTreeMap::new(); senders.len()];
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            break status;
        }
        note_peaks(child.id(), &mut peaks);
        for (sender, peaks) in senders.iter().zip(&mut sender_peaks) {
            note_peaks(sender.id(), peaks);
        }
        pause(SAMPLE_INTERVAL);
    };
    let wall = start.elapsed().as_secs_f64();
    if !status.success() {
        return Err(format!("ended with {status}"));
    }
    Ok(Sample {
        wall,
        receiver: waited_for().minus(own_before),
        sender: all(senders).minus(senders_before),
        receiver_peak_len: peaks.values().sum(),
        sender_peak_len: sender_peaks.iter().map(|peaks| peaks.values().sum()).max().unwrap_or(0),
    })
}

/// CPU time of these processes and all their descendants, dead ones that were waited for among them.
pub(crate) fn all(processes: &[Child]) -> Cpu {
    processes.iter().map(|process| of_tree(process.id())).fold(Cpu::default(), Cpu::plus)
}

fn of_tree(pid: u32) -> Cpu {
    let own = fields(pid).map_or(Cpu::default(), |fields| cpu(&fields, 11).plus(cpu(&fields, 13)));
    children(pid).into_iter().map(of_tree).fold(own, Cpu::plus)
}

/// CPU time of the children of this process that have ended.
fn waited_for() -> Cpu {
    fields(std::process::id()).map_or(Cpu::default(), |fields| cpu(&fields, 13))
}

fn note_peaks(pid: u32, peaks: &mut BTreeMap<u32, u64>) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    if let Some(kib) = peak.and_then(|peak| peak.trim().trim_end_matches("kB").trim().parse::<u64>().ok()) {
        peaks.insert(pid, kib << 10);
    }
    children(pid).into_iter().for_each(|child| note_peaks(child, peaks));
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// The numbers of /proc/PID/stat from the third field on; the name before them may hold anything.
fn fields(pid: u32) -> Option<Vec<u64>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let numbers = stat.rsplit_once(')')?.1.split_whitespace();
    Some(numbers.map(|field| field.parse().unwrap_or(0)).collect())
}

fn cpu(fields: &[u64], at: usize) -> Cpu {
    let seconds = |at: usize| fields.get(at).copied().unwrap_or(0) as f64 / TICKS_PER_SEC;
    Cpu { user: seconds(at), system: seconds(at + 1) }
}

/// Short compared with any fetch, long compared with the cost of reading /proc.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(20);
/// `USER_HZ` is 100 on every Linux.
const TICKS_PER_SEC: f64 = 100.0;
