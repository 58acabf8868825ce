//! Prints the table of results: one line for each case.

use std::io::Write as _;
use std::time::Duration;

/// The resources that a victim used.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    /// Highest resident memory, bytes.
    pub peak_len: u64,
    /// User and system time.
    pub cpu: Duration,
}

impl Spent {
    /// The resources of a running process so far.
    pub fn of(pid: u32, peak_len: u64) -> Self {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the victim runs");
        // The fields after the process name, which is in brackets and may contain any character.
        let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
        let ticks: u64 = [11, 12].iter().map(|at| fields[*at].parse::<u64>().expect("ticks")).sum();
        Self { peak_len, cpu: Duration::from_millis(ticks * 1000 / TICKS_PER_SEC) }
    }
}

/// Prints a line of the table. Not by println, because that hides the output of passed tests.
pub(crate) fn report(case: &str, spent: Spent, honest: Spent, outcome: &str) {
    let ratio = spent.peak_len as f64 / honest.peak_len as f64;
    let (mib, cpu, usual) = (spent.peak_len >> 20, spent.cpu.as_secs_f64(), honest.cpu.as_secs_f64());
    let _ = writeln!(
        std::io::stderr(),
        "hostile: {case:<58} | memory x{ratio:.2} ({mib} MiB) | cpu {cpu:.2} s (honest {usual:.2}) | {outcome}"
    );
}

/// USER_HZ, which Linux keeps at 100 for programs.
const TICKS_PER_SEC: u64 = 100;
