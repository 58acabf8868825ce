//! `swarm-sim sync` and `swarm-sim team`: run worlds of replicas that are kept the same, or of daemons that keep a library, on all cores, and
//! print what they did. Part of the command: it alone has threads and a clock.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use swarm_sim::{
    Bug, Shrunken, SyncWorld, TeamBug, shrink_sync_world, shrink_team_world, sync_world, team_world,
    team_worlds_to_catch, worlds_to_catch,
};

/// Which worlds are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Replicas.
    Sync,
    /// Daemons.
    Team,
}

impl Kind {
    fn world(self, seed: u64, is_told: bool, until: Option<u64>) -> SyncWorld {
        match self {
            Self::Sync => sync_world(seed, None, is_told, until),
            Self::Team => team_world(seed, None, is_told, until),
        }
    }

    fn shrink(self, seed: u64) -> Option<Shrunken> {
        match self {
            Self::Sync => shrink_sync_world(seed, None),
            Self::Team => shrink_team_world(seed, None),
        }
    }

    /// How many bugs can be planted.
    fn bug_count(self) -> usize {
        match self {
            Self::Sync => Bug::ALL.len(),
            Self::Team => TeamBug::ALL.len(),
        }
    }

    /// The name of a planted bug, and what it is.
    fn bug(self, at: usize) -> (String, &'static str) {
        match self {
            Self::Sync => (format!("{:?}", Bug::ALL[at]), Bug::ALL[at].words()),
            Self::Team => (format!("{:?}", TeamBug::ALL[at]), TeamBug::ALL[at].words()),
        }
    }

    fn worlds_to_catch(self, bug: usize, seed: u64, worlds_max: u64) -> Option<u64> {
        match self {
            Self::Sync => worlds_to_catch(Bug::ALL[bug], seed, worlds_max),
            Self::Team => team_worlds_to_catch(TeamBug::ALL[bug], seed, worlds_max),
        }
    }
}

/// Runs worlds, each of its own seed.
#[derive(Debug, clap::Args)]
pub(crate) struct WorldsArgs {
    /// Worlds to run, each of its own seed.
    #[arg(long, default_value_t = 2000)]
    worlds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Runs the world of the seed alone and prints what happens in it, up to this step.
    #[arg(long)]
    until: Option<u64>,
    /// Plants each bug in turn, and prints how many worlds it takes to find it.
    #[arg(long)]
    bugs: bool,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// What is to be printed, and whether all is well.
pub(crate) struct Told {
    pub(crate) text: String,
    pub(crate) is_well: bool,
}

impl WorldsArgs {
    /// Runs what the arguments ask for.
    pub(crate) fn run(&self, kind: Kind) -> Told {
        match (self.until, self.bugs) {
            (Some(until), _) => self.one(kind, until),
            (None, true) => self.catch_bugs(kind),
            (None, false) => self.all(kind),
        }
    }

    fn one(&self, kind: Kind, until: u64) -> Told {
        let world = kind.world(self.seed, true, Some(until));
        let is_well = world.findings.is_empty();
        let text = if self.json {
            format!(
                "{}\n",
                serde_json::json!({ "seed": self.seed, "trace": world.lines, "findings": world.findings })
            )
        } else {
            lines(&world.lines)
        };
        Told { text, is_well }
    }

    fn all(&self, kind: Kind) -> Told {
        let began = now();
        let (sum, failed) = on_all_cores(self.worlds, Sum::default, |sum, at| {
            sum.add(kind.world(self.seed.wrapping_add(at), false, None));
        })
        .into_iter()
        .fold((BTreeMap::new(), Vec::new()), Sum::into);
        let secs = now().saturating_sub(began).as_secs_f64();
        let rate = self.worlds as f64 / secs.max(0.001);
        let is_well = failed.is_empty();
        if self.json {
            let failed: Vec<_> = failed
                .iter()
                .map(|(seed, what)| serde_json::json!({ "seed": seed, "finding": what }))
                .collect();
            let figures = serde_json::json!({
                "worlds": self.worlds, "seed": self.seed, "worlds_per_sec": rate, "counts": sum, "failed": failed,
            });
            return Told { text: format!("{figures}\n"), is_well };
        }
        let mut text = String::new();
        for (word, count) in &sum {
            let _ = writeln!(text, "{count:>10}  {word}");
        }
        let _ = writeln!(text, "{:>10}  worlds, {rate:.0} a second, {} failed", self.worlds, failed.len());
        for (seed, what) in failed.iter().take(FAILED_SHOWN) {
            let _ = writeln!(text, "seed {seed}: {what}");
        }
        if let Some(shrunken) = failed.first().and_then(|(seed, _)| kind.shrink(*seed)) {
            let _ = write!(
                text,
                "\nthe first of them, shortened:\n{}\nits trace:\n{}\nwhat was found:\n{}",
                lines(&shrunken.script),
                lines(&shrunken.lines),
                lines(&shrunken.findings)
            );
        }
        Told { text, is_well }
    }

    fn catch_bugs(&self, kind: Kind) -> Told {
        let rows = on_all_cores(kind.bug_count() as u64, Vec::new, |rows, at| {
            let at = at as usize;
            rows.push((at, kind.worlds_to_catch(at, self.seed, self.worlds)));
        });
        let mut rows: Vec<(usize, Option<u64>)> = rows.into_iter().flatten().collect();
        rows.sort_unstable();
        let caught = rows.iter().filter(|(_, after)| after.is_some()).count();
        let is_well = caught == rows.len();
        if self.json {
            let rows: BTreeMap<String, Option<u64>> =
                rows.iter().map(|(bug, after)| (kind.bug(*bug).0, *after)).collect();
            return Told { text: format!("{}\n", serde_json::json!({ "worlds_to_catch": rows })), is_well };
        }
        let mut text = String::new();
        for (bug, after) in &rows {
            let (name, words) = kind.bug(*bug);
            let after = after.map_or("never".to_owned(), |after| after.to_string());
            let _ = writeln!(text, "{after:>6}  {name:<24} {words}");
        }
        let _ = writeln!(
            text,
            "{caught} of {} planted bugs found, each within {} worlds at most",
            rows.len(),
            self.worlds
        );
        Told { text, is_well }
    }
}

/// What one thread has seen.
#[derive(Default)]
struct Sum {
    counts: BTreeMap<&'static str, u64>,
    failed: Vec<(u64, String)>,
}

impl Sum {
    fn add(&mut self, world: SyncWorld) {
        for (word, count) in world.counts {
            *self.counts.entry(word).or_default() += count;
        }
        self.failed.extend(world.findings.into_iter().next().map(|what| (world.seed, what)));
    }

    fn into(
        (mut counts, mut failed): (BTreeMap<&'static str, u64>, Vec<(u64, String)>),
        sum: Self,
    ) -> (BTreeMap<&'static str, u64>, Vec<(u64, String)>) {
        for (word, count) in sum.counts {
            *counts.entry(word).or_default() += count;
        }
        failed.extend(sum.failed);
        failed.sort();
        (counts, failed)
    }
}

/// Does numbered work on all cores; gives what each thread made of its part. Work that does not end is named, and ends the process: a
/// thread cannot be stopped from outside.
fn on_all_cores<T: Send>(
    count: u64,
    begin: impl Fn() -> T + Sync,
    work: impl Fn(&mut T, u64) + Sync,
) -> Vec<T> {
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let present: Vec<AtomicU64> = (0..threads).map(|_| AtomicU64::new(DONE)).collect();
    let part = |present: &AtomicU64| {
        let mut mine = begin();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                present.store(DONE, Ordering::Relaxed);
                return mine;
            }
            present.store(at, Ordering::Relaxed);
            work(&mut mine, at);
        }
    };
    let part = &part;
    std::thread::scope(|scope| {
        let threads: Vec<_> = present.iter().map(|present| scope.spawn(move || part(present))).collect();
        let is_done = || threads.iter().all(std::thread::ScopedJoinHandle::is_finished);
        watch(&present, is_done);
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    })
}

/// Waits for the end of all work, and ends the process if one piece takes far too long.
fn watch(present: &[AtomicU64], is_done: impl Fn() -> bool) {
    let mut before: Vec<(u64, Duration)> = present.iter().map(|_| (DONE, now())).collect();
    while !is_done() {
        std::thread::sleep(Duration::from_millis(10));
        for (present, (at, since)) in present.iter().zip(&mut before) {
            let is = present.load(Ordering::Relaxed);
            if is != *at {
                (*at, *since) = (is, now());
            } else if is != DONE && now().saturating_sub(*since) > STUCK_AFTER {
                crate::note(format_args!("number {is} from the first seed on does not end"));
                std::process::exit(1);
            }
        }
    }
}

/// For the rate alone.
#[expect(clippy::disallowed_methods, reason = "the command measures itself; worlds have no clock")]
fn now() -> Duration {
    let began = std::time::SystemTime::now();
    began.duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}

fn lines(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

/// No work is under way.
const DONE: u64 = u64::MAX;
/// A world takes milliseconds; a thousand of them, for one planted bug, take seconds.
const STUCK_AFTER: Duration = Duration::from_secs(60);
/// Failing seeds that are printed.
const FAILED_SHOWN: usize = 20;
