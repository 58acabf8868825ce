//! How far a plan is: the figures, the bars that show them, and the table at the end.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};

use super::super::bars::{RecentRate, style};
use super::super::text;
use super::words::Names;
use swarm_core::base::{ByteLen, Instant, Rate, Shown};
use swarm_pair::{SideSummary, Summary};
use swarm_sync::{PerSide, RunId, Side};

/// A plan that is being carried out.
pub(super) struct Work {
    pub(super) began_at: Instant,
    pub(super) planned: Summary,
    pub(super) done: PerSide<SideSummary>,
    /// Operations that were performed or refused.
    pub(super) ops: u64,
    /// Bytes that were copied.
    pub(super) len: u64,
    /// The side that was written to last.
    pub(super) side: Side,
    pub(super) len_rate: RecentRate,
    pub(super) ops_rate: RecentRate,
}

/// Bars on stderr.
pub(super) struct Bars {
    pub(super) all: MultiProgress,
    pub(super) lines: PerSide<ProgressBar>,
    pub(super) why: ProgressBar,
}

impl Work {
    pub(super) fn of(planned: Summary, began_at: Instant) -> Self {
        Self {
            began_at,
            planned,
            done: PerSide::default(),
            ops: 0,
            len: 0,
            side: Side::Remote,
            len_rate: RecentRate::default(),
            ops_rate: RecentRate::default(),
        }
    }

    pub(super) fn ops_total(&self) -> u64 {
        Side::BOTH.into_iter().map(|side| self.planned.sides.of(side).count_all()).sum()
    }

    /// Whether anything was done to a side.
    pub(super) fn has_done(&self) -> bool {
        Side::BOTH.into_iter().any(|side| self.done.of(side).count_all() > 0)
    }

    pub(super) fn len_total(&self) -> u64 {
        Side::BOTH.into_iter().map(|side| self.planned.sides.of(side).copied_len).sum()
    }

    /// Why it is not faster, where that is known.
    pub(super) fn slow_because(
        &self,
        rate: Rate,
        ops_per_sec: u64,
        limit: Option<Rate>,
    ) -> Option<&'static str> {
        if limit.is_some_and(|limit| rate.0 >= limit.0 / 10 * 9) {
            return Some(match self.side {
                Side::Local => "--limit-down is reached",
                Side::Remote => "--limit-up is reached",
            });
        }
        if self.len < self.len_total() && rate == Rate(0) && ops_per_sec == 0 {
            return Some("the disk is writing out what was copied");
        }
        let is_small = ops_per_sec > 0 && rate.0 / ops_per_sec < SMALL_FILE_LEN;
        (is_small && self.len_total() > 0).then_some("many small files")
    }
}

impl Bars {
    pub(super) fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8));
        let line = || {
            let bar = all.add(ProgressBar::new(0));
            bar.set_style(style("{msg}"));
            bar
        };
        let (lines, why) = (PerSide::each(|_| line()), line());
        Self { all, lines, why }
    }

    pub(super) fn print(&self, text: &str) {
        // A bar that cannot be drawn is no reason to stop.
        drop(self.all.println(Shown(text).to_string()));
    }

    /// Nothing but what stays.
    pub(super) fn blank(&self) {
        self.lines.local.set_style(style("{msg}"));
        [&self.lines.local, &self.lines.remote, &self.why].into_iter().for_each(|line| line.set_message(""));
    }

    pub(super) fn progress(&self, work: &Work, rate: Rate, ops_per_sec: u64, slow: Option<&str>) {
        let bar = &self.lines.local;
        // Without bytes to copy, operations are what is left.
        let len_total = work.len_total();
        let (done, total) = if len_total > 0 { (work.len, len_total) } else { (work.ops, work.ops_total()) };
        bar.set_length(total.max(1));
        bar.set_position(done);
        bar.set_prefix(if len_total > 0 { "copying" } else { "changing" });
        bar.set_style(style("{prefix} [{wide_bar}] {msg}"));
        if len_total == 0 {
            let total = text::count(work.ops_total() as usize, "path");
            bar.set_message(format!("{} of {total}", work.ops));
            return self.why.set_message("");
        }
        let left = match rate {
            Rate(0) => "ETA unknown".to_owned(),
            rate => format!("ETA {}", text::duration(rate.time_for(len_total.saturating_sub(work.len)))),
        };
        let (len, len_total) = (ByteLen(work.len), ByteLen(len_total));
        // Files take their places a group at a time.
        let files = if ops_per_sec > 0 {
            format!("  {}/s", text::count(ops_per_sec as usize, "file"))
        } else {
            String::new()
        };
        bar.set_message(format!("{len} of {len_total}  {rate}  {left}{files}"));
        self.why.set_message(slow.map(|slow| format!("slow: {slow}")).unwrap_or_default());
    }
}

/// What was done, by side, and how long it took.
pub(super) fn table(work: &Work, elapsed: Duration, run: RunId, names: &Names) -> String {
    let mut table = format!("{:>8}{:>9}{:>8}{:>9}{:>12}\n", "new", "changed", "moved", "deleted", "copied");
    for side in [Side::Remote, Side::Local] {
        let SideSummary { created, changed, moved, deleted, folders, copied_len } = *work.done.of(side);
        let [new, changed, moved, deleted] = [created + folders, changed, moved, deleted].map(some);
        let (len, name) = (ByteLen(copied_len), names.of(side));
        if work.done.of(side).count_all() > 0 {
            table += &format!("{new:>8}{changed:>9}{moved:>8}{deleted:>9}{len:>12}  -> {name}\n");
        }
    }
    // The rate of a moment says nothing.
    let took = match elapsed.as_secs() {
        0 => format!("in {:.1} s", elapsed.as_secs_f64()),
        _ if work.len == 0 => format!("in {}", text::duration(elapsed)),
        _ => format!("in {}, {}", text::duration(elapsed), Rate::over(work.len, elapsed)),
    };
    table + &format!("{took}; `swarm undo {run}` takes it back\n")
}

/// A number that says something.
fn some(number: u64) -> String {
    if number == 0 { "-".to_owned() } else { number.to_string() }
}

/// Below this mean length, opening and naming files takes longer than copying their bytes.
const SMALL_FILE_LEN: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn work(len: u64, copied_len: u64) -> Work {
        let remote = SideSummary { created: 10, copied_len, ..SideSummary::default() };
        let planned =
            Summary { sides: PerSide { local: SideSummary::default(), remote }, ..Summary::default() };
        Work { len, ..Work::of(planned, Instant::ZERO) }
    }

    #[test]
    fn the_reason_for_slowness_is_the_limit_the_disk_or_small_files() {
        let check = |rate: u64, ops: u64, limit: Option<Rate>, why: Option<&str>| {
            assert_eq!(work(5, 1 << 30).slow_because(Rate(rate), ops, limit), why, "{rate} {ops}");
        };
        check(95, 1, Some(Rate(100)), Some("--limit-up is reached"));
        check(0, 0, None, Some("the disk is writing out what was copied"));
        check(4096 * 500, 500, None, Some("many small files"));
        check(100 << 20, 3, None, None);
        assert_eq!(work(0, 0).slow_because(Rate(0), 500, None), None, "deletions copy nothing");
    }
}
