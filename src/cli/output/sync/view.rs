//! The picture of a sync: bars on a terminal, lines of JSON for a reader of those, and elsewhere warnings alone.

use std::io::IsTerminal as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::super::text;
use super::json::{self, ConflictJson, SyncJson};
use super::plan;
use super::progress::{Bars, Work, table};
use super::words::{self, Names};
use swarm_core::base::{ByteLen, Category, Instant, Rate, Shown};
use swarm_node::clock::Clock;
use swarm_pair::{ConflictView, Report, Summary, SyncEvent};
use swarm_sync::{BlindWhy, Op, PerSide, Plan, ReplicaError, RunEvent, RunId, Side, TreePath};

/// Shows what happens, and remembers what the end of the command depends on. Events come from several threads.
pub(in crate::cli) struct SyncView {
    names: Names,
    /// `--limit-up` and `--limit-down`, by the side that is written to.
    limits: PerSide<Option<Rate>>,
    is_json: bool,
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    bars: Option<Bars>,
    shown_at: Instant,
    scanned: PerSide<Scanned>,
    work: Work,
    troubles: Troubles,
}

#[derive(Clone, Copy, Default)]
struct Scanned {
    entries: u64,
    read_files: u64,
    read_len: u64,
}

/// What did not go as it should.
#[derive(Default)]
struct Troubles {
    /// The first operation that was refused, of the cause that matters most.
    worst: Option<(Category, String)>,
    refused: u64,
    left_out: u64,
    /// Those of them that a user would expect to be synced.
    unseen: u64,
    told: u64,
}

/// Operations that were refused.
pub(in crate::cli) struct Refused {
    pub(in crate::cli) count: u64,
    /// Of the cause that matters most.
    pub(in crate::cli) category: Category,
    /// In words.
    pub(in crate::cli) worst: String,
}

impl SyncView {
    /// A view that has shown nothing.
    pub(in crate::cli) fn new(names: Names, limits: PerSide<Option<Rate>>, is_json: bool) -> Self {
        let is_terminal = std::io::stderr().is_terminal() && !is_json;
        let state = State {
            bars: is_terminal.then(Bars::new),
            shown_at: Instant::ZERO,
            scanned: PerSide::default(),
            work: Work::of(Summary::default(), Instant::ZERO),
            troubles: Troubles::default(),
        };
        Self { names, limits, is_json, clock: Clock::start(), state: Mutex::new(state) }
    }

    /// Something happened.
    pub(in crate::cli) fn on_event(&self, event: SyncEvent) {
        match event {
            SyncEvent::Scanning { side, found, hashed, hashed_len, expected: _ } => {
                let scanned = Scanned { entries: found, read_files: hashed, read_len: hashed_len };
                *self.state().scanned.of_mut(side) = scanned;
                self.show(|| self.scan(side));
            }
            SyncEvent::Planned(summary) => self.begin(summary),
            SyncEvent::Carried { side, len } => self.carried(side, len),
            SyncEvent::Run(RunEvent::Performed { side, op }) => self.performed(side, &op),
            SyncEvent::Run(RunEvent::Refused { side, op, error }) => self.refuse(side, &op, &error),
            SyncEvent::Stays { side, path, holds } => self.stays(side, &path, holds.as_ref()),
            SyncEvent::Blind { side, path, why } => {
                let is_expected = matches!(why, BlindWhy::Special | BlindWhy::Mount);
                self.leave_out(side, path.as_str(), &why.to_string(), is_expected);
            }
            SyncEvent::Unnamed { side, shown, why } => {
                self.leave_out(side, &shown, &why.to_string(), false);
            }
            SyncEvent::Waiting { pid } if self.is_json => SyncJson::Waiting { pid }.print(),
            SyncEvent::Waiting { pid } => {
                let who = pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
                self.note(&format!("another swarm{who} works on these folders: waiting for it"));
            }
            SyncEvent::NotWatched { side, why: message } if self.is_json => {
                SyncJson::NotWatched { side: json::name(side), message }.print();
            }
            SyncEvent::NotWatched { side, why } => {
                self.note(&format!(
                    "{} is not watched, and looked at every minute: {why}",
                    self.names.of(side)
                ));
            }
            SyncEvent::Warning { message } if self.is_json => SyncJson::Warning { message }.print(),
            SyncEvent::Warning { message } => self.note(&message),
            SyncEvent::Idle if self.is_json => SyncJson::Idle {}.print(),
            SyncEvent::Idle => {
                if let Some(bars) = &self.state().bars {
                    bars.blank();
                }
            }
        }
    }

    /// Shows what is to be done.
    pub(in crate::cli) fn planned(&self, plan: &Plan) {
        self.begin(Summary::of(plan));
        if self.is_json {
            plan.conflicts
                .iter()
                .for_each(|conflict| SyncJson::Conflict(ConflictJson::from(conflict)).print());
        }
    }

    /// The figures at the end of a run.
    pub(in crate::cli) fn done(&self, report: &Report, run: RunId) {
        let state = self.state();
        let (work, elapsed) = (&state.work, self.clock.now() - state.work.began_at);
        if self.is_json {
            let PerSide { local, remote } = PerSide::each(|side| json::counts(work.done.of(side)));
            SyncJson::Done {
                run: run.to_string(),
                local,
                remote,
                bytes: work.len,
                conflicts: report.conflicts,
                refused: report.refused,
                left_out: state.troubles.left_out,
                seconds: elapsed.as_secs_f64(),
            }
            .print();
        } else if state.bars.is_some() {
            let table = work.has_done().then(|| table(work, elapsed, run, &self.names));
            drop(state);
            self.clear();
            super::super::notes(&table.unwrap_or_default());
        }
    }

    /// What was refused so far.
    pub(in crate::cli) fn refused(&self) -> Option<Refused> {
        let Troubles { worst, refused, .. } = &self.state().troubles;
        worst.clone().map(|(category, worst)| Refused { count: *refused, category, worst })
    }

    /// Number of paths that were left out although they should be synced.
    pub(in crate::cli) fn unseen(&self) -> u64 {
        self.state().troubles.unseen
    }

    /// Says that it goes on, on a terminal.
    pub(in crate::cli) fn watching(&self) {
        let (local, remote) = (self.names.of(Side::Local), self.names.of(Side::Remote));
        self.line(&format!("watching {local} and {remote}; Ctrl-C ends it"));
    }

    /// Says that these are open, while it goes on.
    pub(in crate::cli) fn conflicts(&self, open: &[ConflictView]) {
        if self.is_json {
            return open.iter().for_each(|view| SyncJson::Conflict(ConflictJson::from(view)).print());
        }
        let (count, name) = (text::count(open.len(), "conflict"), self.names.word(Side::Local));
        self.note(&format!("{count} to decide: `swarm conflicts {name}` shows what there is"));
    }

    /// A line that stays, wherever stderr leads.
    pub(in crate::cli) fn note(&self, text: &str) {
        match &self.state().bars {
            Some(bars) => bars.print(text),
            None if self.is_json => {}
            None => super::super::note(text),
        }
    }

    /// Takes the bars away, before something else is written.
    pub(in crate::cli) fn clear(&self) {
        if let Some(bars) = self.state().bars.take() {
            let _ = bars.all.clear();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line that stays, on a terminal.
    fn line(&self, text: &str) {
        if let Some(bars) = &self.state().bars {
            bars.print(text);
        }
    }

    /// Counts from here on, against this plan.
    fn begin(&self, summary: Summary) {
        if self.is_json {
            Side::BOTH.into_iter().for_each(|side| self.scan(side));
            SyncJson::plan(&summary).print();
        }
        let mut state = self.state();
        state.work = Work::of(summary, self.clock.now());
        if let Some(bars) = &state.bars {
            bars.blank();
            bars.print(&words::summary(&summary, &self.names));
        }
    }

    fn carried(&self, side: Side, len: u64) {
        let mut state = self.state();
        state.work.len += len;
        state.work.side = side;
        drop(state);
        self.show(|| self.progress());
    }

    fn performed(&self, side: Side, op: &Op) {
        let mut state = self.state();
        state.work.ops += 1;
        state.work.side = side;
        state.work.done.of_mut(side).count(op);
        drop(state);
        self.show(|| self.progress());
    }

    fn refuse(&self, side: Side, op: &Op, error: &ReplicaError) {
        let message = format!("cannot {} in {}: {error}", plan::task(op), self.names.of(side));
        let mut state = self.state();
        state.work.ops += 1;
        state.troubles.add(error.category(), &message);
        drop(state);
        if self.is_json {
            let (side, path) = (json::name(side), op.path.as_str().to_owned());
            SyncJson::Refused { side, path, message: error.to_string() }.print();
        } else {
            self.warn(&message);
        }
    }

    fn stays(&self, side: Side, path: &TreePath, holds: Option<&TreePath>) {
        let mut state = self.state();
        state.work.ops += 1;
        state.troubles.left_out += 1;
        drop(state);
        let why = match holds {
            Some(held) => format!(
                "it holds `{held}`, which is left out of sync (`swarm explain` says why): delete or move that, and the next run deletes the folder"
            ),
            None => "it holds something new, which the next run looks at".to_owned(),
        };
        if self.is_json {
            let path = path.as_str().to_owned();
            SyncJson::LeftOut { side: json::name(side), path, message: format!("the folder stays: {why}") }
                .print();
        } else {
            let (name, other) = (self.names.of(side), self.names.of(side.other()));
            self.warn(&format!("`{path}` was deleted in {other} and stays in {name}: {why}"));
        }
    }

    fn leave_out(&self, side: Side, path: &str, why: &str, is_expected: bool) {
        let mut state = self.state();
        state.troubles.left_out += 1;
        state.troubles.unseen += u64::from(!is_expected);
        drop(state);
        if self.is_json {
            let (path, message) = (path.to_owned(), why.to_owned());
            SyncJson::LeftOut { side: json::name(side), path, message }.print();
        } else {
            self.warn(&format!("left out `{}` in {}: {why}", Shown(path), self.names.of(side)));
        }
    }

    /// Says no more than a person reads.
    fn warn(&self, text: &str) {
        let mut state = self.state();
        state.troubles.told += 1;
        let told = state.troubles.told;
        drop(state);
        if told <= WARNINGS_MAX {
            self.note(text);
        } else if told == WARNINGS_MAX + 1 {
            self.note("there is more of this: --json names all of it");
        }
    }

    /// Shows something, not more often than it can be read.
    fn show(&self, how: impl FnOnce()) {
        let interval = if self.is_json { JSON_INTERVAL } else { BARS_INTERVAL };
        let now = self.clock.now();
        let mut state = self.state();
        if (self.is_json || state.bars.is_some()) && now - state.shown_at >= interval {
            state.shown_at = now;
            drop(state);
            how();
        }
    }

    fn scan(&self, side: Side) {
        let state = self.state();
        if self.is_json {
            let Scanned { entries, read_files, read_len } = *state.scanned.of(side);
            return SyncJson::Scan { side: json::name(side), entries, read_files, read_bytes: read_len }
                .print();
        }
        let Some(bars) = &state.bars else { return };
        let elapsed = self.clock.now() - Instant::ZERO;
        for side in Side::BOTH {
            let Scanned { entries, read_len, .. } = *state.scanned.of(side);
            let (name, per_sec) = (self.names.of(side), Rate::over(entries, elapsed).0);
            let noun = if entries == 1 { "entry" } else { "entries" };
            let line =
                format!("looking at {name}: {entries} {noun}, {per_sec}/s, read {}", ByteLen(read_len));
            bars.lines.of(side).set_message(line);
        }
    }

    fn progress(&self) {
        let now = self.clock.now();
        let State { work, bars, .. } = &mut *self.state();
        let rate = work.len_rate.sample(now, work.len);
        let ops_per_sec = work.ops_rate.sample(now, work.ops).0;
        let is_begun = now - work.began_at >= RATE_TIME_MIN;
        let limit = *self.limits.of(work.side);
        let slow = is_begun.then(|| work.slow_because(rate, ops_per_sec, limit)).flatten();
        if self.is_json {
            return SyncJson::Progress {
                operations: work.ops,
                total_operations: work.ops_total(),
                bytes: work.len,
                total_bytes: work.len_total(),
                bytes_per_sec: rate.0,
                operations_per_sec: ops_per_sec,
                slow_because: slow.map(str::to_owned),
            }
            .print();
        }
        if let Some(bars) = bars {
            bars.progress(work, rate, ops_per_sec, slow);
        }
    }
}

impl Troubles {
    /// Of several causes, the one that comes first in the list of categories matters most.
    fn add(&mut self, category: Category, message: &str) {
        self.refused += 1;
        if self.worst.as_ref().is_none_or(|(worst, _)| category < *worst) {
            self.worst = Some((category, message.to_owned()));
        }
    }
}

/// JSON readers are told about every second.
const JSON_INTERVAL: Duration = Duration::from_secs(1);
/// As often as the bars are drawn.
const BARS_INTERVAL: Duration = Duration::from_millis(125);
/// Before that, a rate says little.
const RATE_TIME_MIN: Duration = Duration::from_secs(2);
/// A person reads no more of them; a reader of JSON gets all.
const WARNINGS_MAX: u64 = 20;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_matters_more_than_a_file_that_changed() {
        let mut troubles = Troubles::default();
        troubles.add(Category::Partial, "first");
        troubles.add(Category::Disk, "second");
        troubles.add(Category::Partial, "third");
        assert_eq!(troubles.worst, Some((Category::Disk, "second".to_owned())));
    }
}
