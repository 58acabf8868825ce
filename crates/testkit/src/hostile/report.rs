//! The table: a line a case, as it ends.

use std::io::Write as _;
use std::time::Duration;

/// What a victim spent.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    /// Highest resident memory, bytes.
    pub peak_len: u64,
    /// User and system time.
    pub cpu: Duration,
}

impl Spent {
    /// Of a process that runs.
    pub fn of(pid: u32, peak_len: u64) -> Self {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the victim runs");
        // After the name, which is in brackets and may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
        let ticks: u64 = [11, 12].iter().map(|at| fields[*at].parse::<u64>().expect("ticks")).sum();
        Self { peak_len, cpu: Duration::from_millis(ticks * 1000 / TICKS_PER_SEC) }
    }
}

/// Prints a line of the table. Not by println, which shows nothing of tests that pass.
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
