//! One process at work on a pair. It holds the pair's lock: a second one waits. Steps are called one by one, so that a product can
//! show the plan, or ask, before anything is done.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use swarm_files::{FolderOptions, FolderReplica, FolderTurn, OnTwoThreads, RootIdentity};
use swarm_index::{IndexError, IndexLock, SqliteIndex};
use swarm_sync::{
    Blind, Choice, ConflictId, Index as _, IndexStep, Op, PerSide, Plan, Policy, Proposal, Replica as _,
    ReplicaError, Rules, Run, RunError, RunEvent, RunId, Side, StrategyRules, Tally, TreePath, keep_texts,
    propose,
};

use crate::pace::Pace;
use crate::purpose::{Ended, Purpose};
use crate::rules::SharedRules;
use crate::scan::{SideScan, scan_both};
use crate::store::Pair;
use crate::telling::Teller;
use crate::{Options, PairError, Summary, SyncEvent, clock, history, plan_file};

/// A pair that this process works on.
pub struct Session {
    pub(crate) pair: Pair,
    pub(crate) options: Options,
    pub(crate) index: SqliteIndex,
    _lock: IndexLock,
    pub(crate) sides: PerSide<FolderReplica>,
    pub(crate) ignore: Arc<SharedRules>,
    strategies: StrategyRules,
    pub(crate) run: RunId,
    /// Where nothing can be said of a side.
    pub(crate) blind: PerSide<Vec<Blind>>,
    pace: PerSide<Pace>,
    stop: Arc<AtomicBool>,
    /// When expired versions were looked for last.
    pruned_at: Option<Instant>,
}

/// What a session did with a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What the plan was to do.
    pub planned: Summary,
    /// Operations that were performed.
    pub performed: u64,
    /// Operations that were refused. The next run tries again.
    pub refused: u64,
    /// Conflicts that are open.
    pub conflicts: u64,
    /// Places that could not be looked at.
    pub blind: u64,
}

impl Pair {
    /// Starts to work on the pair: takes its lock and opens both folders. Waits while another process works on it.
    pub fn begin(
        mut self,
        options: Options,
        stop: &Arc<AtomicBool>,
        on_event: &(dyn Fn(SyncEvent) + Sync),
    ) -> Result<Session, PairError> {
        std::fs::create_dir_all(&self.folder).map_err(PairError::state(&self.folder, "make"))?;
        let path = self.index_path();
        let lock = match IndexLock::try_lock(&path) {
            Err(IndexError::HeldBy { pid, .. }) => {
                on_event(SyncEvent::Waiting { pid });
                self.wait_for_lock(stop)?
            }
            other => other?,
        };
        // Only who has the lock writes the record. Another process may have written it since it was read.
        self.register()?;
        if self.record.last_run.is_some() && !path.exists() {
            let path = swarm_core::base::Shown(&path);
            let message = format!("`{path}` is gone: both folders are merged, and nothing is deleted");
            on_event(SyncEvent::Warning { message });
        }
        let index = SqliteIndex::open(&path)?;
        // A root that cannot be opened is told of before what stands in it.
        Side::BOTH.into_iter().try_for_each(|side| self.replica(side).map(drop))?;
        let ignore = self.rules(&options)?;
        let strategies =
            StrategyRules::parse(&options.strategies).map_err(|error| PairError::Usage(error.to_string()))?;
        let open = |side: Side| {
            let rules = ignore.reader();
            // The walk asks from the root down, and does not enter what is ignored.
            let is_ignored =
                move |path: &TreePath, is_folder: bool| rules.is_ignored_in_folder(path, is_folder);
            let how = FolderOptions {
                ignore: Some(Arc::new(is_ignored)),
                stop: Arc::clone(stop),
                chunk_values: Some(self.folder.join(CHUNK_VALUES)),
                digests: None,
            };
            let root = self.root(side);
            FolderReplica::open(root, how)
                .map_err(|error| PairError::Replica { root: root.to_owned(), error })
        };
        let sides = PerSide { local: open(Side::Local)?, remote: open(Side::Remote)? };
        self.check_roots(&sides, &options)?;
        self.record.options = options.clone();
        self.save()?;
        let last = self.record.last_run.map_or(0, RunId::ms);
        let run = RunId::at_ms(clock::now_ms().max(last + 1));
        let pace = PerSide::each(|side| Pace::new(*options.rates.of(side), stop));
        let blind = PerSide::default();
        Ok(Session {
            pair: self,
            options,
            index,
            _lock: lock,
            sides,
            ignore,
            strategies,
            run,
            blind,
            pace,
            stop: Arc::clone(stop),
            pruned_at: None,
        })
    }

    /// Waits until no other process works on the pair, or until it is told to stop.
    fn wait_for_lock(&self, stop: &AtomicBool) -> Result<IndexLock, PairError> {
        loop {
            match IndexLock::try_lock(&self.index_path()) {
                Err(IndexError::HeldBy { .. }) if stop.load(Ordering::Relaxed) => {
                    let root = self.root(Side::Local).to_owned();
                    return Err(PairError::Replica { root, error: ReplicaError::Stopped });
                }
                Err(IndexError::HeldBy { .. }) => std::thread::sleep(LOCK_PAUSE),
                other => return Ok(other?),
            }
        }
    }

    /// A root that is another folder than last time may be an empty mount point, or the wrong disk.
    fn check_roots(&mut self, sides: &PerSide<FolderReplica>, options: &Options) -> Result<(), PairError> {
        for side in Side::BOTH {
            let now = sides.of(side).identity();
            let known = self.record.identities.of_mut(side);
            // The number of a device may be another one after a restart.
            let is_other =
                |known: &RootIdentity| (known.inode, known.file_system) != (now.inode, now.file_system);
            if !options.accept_root && known.as_ref().is_some_and(is_other) {
                return Err(PairError::OtherRoot(self.root(side).to_owned()));
            }
            *known = Some(now);
        }
        Ok(())
    }

    /// What is left out.
    pub(crate) fn rules(&self, options: &Options) -> Result<Arc<SharedRules>, PairError> {
        SharedRules::of(self.record.roots.clone(), options)
    }
}

impl Session {
    /// Both roots.
    pub fn roots(&self) -> PerSide<&Path> {
        PerSide { local: self.pair.root(Side::Local), remote: self.pair.root(Side::Remote) }
    }

    /// The name of this run.
    pub fn run_id(&self) -> RunId {
        self.run
    }

    /// Takes over what the files of rules say now.
    pub(crate) fn reload_rules(&mut self) -> Result<(), PairError> {
        self.ignore.reload(&self.options)
    }

    /// Puts in order what an interrupted run left, and looks at both sides as they are now.
    pub fn scan(&mut self, on_event: &(dyn Fn(SyncEvent) + Sync)) -> Result<(), PairError> {
        for side in Side::BOTH {
            self.sides.of_mut(side).recover().map_err(|error| self.refused(side, error))?;
        }
        let expected = self.index.totals()?;
        let readers = PerSide { local: self.index.reader()?, remote: self.index.reader()? };
        let rules = PerSide::each(|_| self.ignore.reader());
        let PerSide { local, remote } = &mut self.sides;
        let sides = PerSide {
            local: SideScan {
                side: Side::Local,
                replica: local,
                known: readers.local,
                expected: expected.local,
                root: self.pair.root(Side::Local),
                rules: rules.local,
            },
            remote: SideScan {
                side: Side::Remote,
                replica: remote,
                known: readers.remote,
                expected: expected.remote,
                root: self.pair.root(Side::Remote),
                rules: rules.remote,
            },
        };
        let tallies = scan_both(sides, &mut self.index, self.options.thorough, on_event)?;
        if self.stop.load(Ordering::Relaxed) {
            // Files that were not read any more are no files that cannot be read.
            return Err(self.refused(Side::Local, ReplicaError::Stopped));
        }
        for message in self.ignore.take_warnings() {
            on_event(SyncEvent::Warning { message });
        }
        for side in Side::BOTH {
            self.take_tally(side, tallies.of(side), on_event)?;
        }
        Ok(())
    }

    fn take_tally(
        &mut self,
        side: Side,
        tally: &Tally,
        on_event: &(dyn Fn(SyncEvent) + Sync),
    ) -> Result<(), PairError> {
        if tally.found == 0
            && !self.options.accept_empty
            && self.index.has_base()?
            && is_bare(self.pair.root(side))
        {
            let known = self.index.counts()?.base;
            let (root, index) = (self.pair.root(side).to_owned(), self.pair.index_path());
            return Err(PairError::Emptied { root, known, index });
        }
        for Blind { path, why } in tally.blind.iter().cloned() {
            on_event(SyncEvent::Blind { side, path, why });
        }
        for (shown, why) in tally.unnamed.iter().cloned() {
            on_event(SyncEvent::Unnamed { side, shown, why });
        }
        self.blind.of_mut(side).clone_from(&tally.blind);
        Ok(())
    }

    /// What is to be done about what was seen. Changes nothing in the folders.
    pub fn propose(&mut self) -> Result<Proposal, PairError> {
        let strategies = self.strategies.clone();
        let (ignore, shared) = (self.ignore.reader(), Arc::clone(&self.ignore));
        let policy = Policy {
            strategy: self.options.strategy,
            direction: self.options.direction,
            guard: self.options.guard,
            copy_label: self.run.to_string(),
            ..Policy::default()
        };
        let rules = Rules {
            policy,
            strategy_of: &|path: &TreePath| strategies.strategy_of(path),
            is_ignored: &|path: &TreePath, is_folder: bool| ignore.is_ignored(path, is_folder),
        };
        let blind = self.blind.clone();
        let proposed = propose(&mut self.bare_run(&mut |_| {}), &rules, &blind);
        // Without all rules, what is left out could be taken for something to sync.
        shared.check()?;
        proposed.map_err(|error| self.ended(error))
    }

    /// Notes what somebody decided about a conflict; `None` takes it back. The next proposal goes by it.
    pub fn choose(&mut self, conflict: ConflictId, choice: Option<Choice>) -> Result<(), PairError> {
        Ok(self.index.apply(vec![IndexStep::Choose(conflict, choice)])?)
    }

    /// Performs a plan, held or not: who calls this has seen it.
    pub fn carry_out(
        &mut self,
        proposal: &Proposal,
        on_event: &(dyn Fn(SyncEvent) + Sync),
    ) -> Result<Report, PairError> {
        self.carry_out_for(Purpose::default(), proposal, on_event, &mut |_| {})
    }

    /// The same for a run with a purpose; `on_performed` is told of operations as they are, with detours.
    pub(crate) fn carry_out_for(
        &mut self,
        purpose: Purpose,
        proposal: &Proposal,
        on_event: &(dyn Fn(SyncEvent) + Sync),
        on_performed: &mut (dyn FnMut(&Op) + Send),
    ) -> Result<Report, PairError> {
        let planned = Summary::of(&proposal.plan);
        let mut report = Report { planned, conflicts: planned.conflicts, ..Report::default() };
        report.blind = Side::BOTH.into_iter().map(|side| self.blind.of(side).len() as u64).sum();
        self.index.begin_run(self.run, clock::now_ms())?;
        let (rules, pair) = (self.ignore.reader(), self.pair.clone());
        let roots = PerSide::each(|side| pair.root(side));
        let mut teller = Teller::new(&proposal.plan, roots, &rules);
        let mut count = |event: RunEvent| {
            match &event {
                RunEvent::Performed { op, .. } => {
                    report.performed += 1;
                    on_performed(op);
                }
                // A folder with entries that are left out stays for as long as they do: trying again does not help.
                RunEvent::Refused { error, .. } => {
                    report.refused += u64::from(!matches!(error, ReplicaError::NotEmpty { .. }));
                }
            }
            if let Some(event) = teller.told(event) {
                on_event(event);
            }
        };
        let done = self.perform(proposal, &mut count, on_event);
        self.end_run(&report, purpose, done)?;
        Ok(report)
    }

    fn perform(
        &mut self,
        proposal: &Proposal,
        on_run_event: &mut (dyn FnMut(RunEvent) + Send),
        on_event: &(dyn Fn(SyncEvent) + Sync),
    ) -> Result<(), PairError> {
        let _turns = self.take_turns(&proposal.plan, on_event)?;
        let Self { sides, index, run, pace, .. } = self;
        let carried = |side: Side, len: u64| {
            on_event(SyncEvent::Carried { side, len });
            pace.of(side).spend(len);
        };
        let mut run = Run {
            id: *run,
            sides: PerSide { local: &sides.local, remote: &sides.remote },
            index,
            on_event: on_run_event,
            carried: &carried,
            beside: &OnTwoThreads,
            group_ops_max: GROUP_OPS_MAX,
        };
        let done = run.carry_out(&proposal.plan, &proposal.differences);
        let done = done.and_then(|()| keep_texts(&mut run, proposal));
        done.map_err(|error| self.ended(error))
    }

    /// The right to change each folder that the plan changes. Everybody asks in the same order, so that no two wait for each other.
    fn take_turns(
        &self,
        plan: &Plan,
        on_event: &(dyn Fn(SyncEvent) + Sync),
    ) -> Result<Vec<FolderTurn>, PairError> {
        let mut sides: Vec<Side> =
            Side::BOTH.into_iter().filter(|side| !plan.ops.of(*side).is_empty()).collect();
        sides.sort_by_key(|side| {
            let identity = self.sides.of(*side).identity();
            (identity.device, identity.inode)
        });
        let waiting = || on_event(SyncEvent::Waiting { pid: None });
        let take =
            |side: Side| self.sides.of(side).take_turn(&waiting).map_err(|error| self.refused(side, error));
        sides.into_iter().map(take).collect()
    }

    fn end_run(
        &mut self,
        report: &Report,
        purpose: Purpose,
        done: Result<(), PairError>,
    ) -> Result<(), PairError> {
        let ended = Ended { planned: report.planned, purpose };
        let summary = serde_json::to_string(&ended).unwrap_or_default();
        self.index.end_run(self.run, clock::now_ms(), &summary)?;
        done?;
        // Listing all versions after each edit of a watched pair would take longer than carrying the edit over.
        if self.pruned_at.is_none_or(|at| clock::moment() - at >= PRUNE_INTERVAL) {
            history::prune(self)?;
            self.index.prune_runs(RUNS_KEPT)?;
            self.pruned_at = Some(clock::moment());
        }
        self.pair.record.last_run = Some(self.run);
        self.pair.record.conflicts = report.conflicts;
        self.pair.save()?;
        // The next plan of this session is a run of its own.
        self.run = RunId::at_ms(clock::now_ms().max(self.run.ms() + 1));
        Ok(())
    }

    /// Writes a plan to a file that does not exist yet.
    pub fn write_plan(&self, path: &Path, plan: &Plan) -> Result<(), PairError> {
        plan_file::write(path, &self.pair.record.roots, plan)
    }

    /// A plan from a file, with what is seen now: its operations are performed where what they expect still stands.
    pub fn read_plan(&mut self, path: &Path) -> Result<Proposal, PairError> {
        let reviewed = plan_file::read(path, &self.pair.record.roots)?;
        let mut proposal = self.propose()?;
        let conflicts = std::mem::take(&mut proposal.plan.conflicts);
        let agreed = std::mem::take(&mut proposal.plan.agreed);
        proposal.plan = Plan { ops: reviewed.ops, agreed, conflicts, ..Plan::default() };
        Ok(proposal)
    }

    pub(crate) fn bare_run<'a>(
        &'a mut self,
        on_event: &'a mut (dyn FnMut(RunEvent) + Send),
    ) -> Run<'a, SqliteIndex> {
        Run {
            id: self.run,
            sides: PerSide { local: &self.sides.local, remote: &self.sides.remote },
            index: &mut self.index,
            on_event,
            carried: &|_, _| {},
            beside: &OnTwoThreads,
            group_ops_max: GROUP_OPS_MAX,
        }
    }

    pub(crate) fn refused(&self, side: Side, error: ReplicaError) -> PairError {
        PairError::Replica { root: self.pair.root(side).to_owned(), error }
    }

    pub(crate) fn ended(&self, error: RunError<swarm_index::IndexError>) -> PairError {
        match error {
            RunError::Replica { side, error } => self.refused(side, error),
            RunError::Index(error) => error.into(),
        }
    }
}

/// Whether a root has nothing but the state of sync. One of which all is left out is not bare.
fn is_bare(root: &Path) -> bool {
    let is_ours = |entry: &std::fs::DirEntry| entry.file_name() == swarm_sync::STATE_FOLDER_NAME;
    std::fs::read_dir(root)
        .is_ok_and(|mut entries| entries.all(|entry| entry.is_ok_and(|entry| is_ours(&entry))))
}

/// How often a process that waits for another one looks whether that is done.
const LOCK_PAUSE: Duration = Duration::from_millis(100);
/// Runs that can be undone and listed.
const RUNS_KEPT: u32 = 10_000;
/// How often a session that watches removes expired versions.
const PRUNE_INTERVAL: Duration = Duration::from_secs(600);
/// The folder of a pair for the values of long files' chunks.
const CHUNK_VALUES: &str = "chunk-values";
/// Operations of one group: both sides are folders.
const GROUP_OPS_MAX: PerSide<usize> =
    PerSide { local: swarm_sync::limits::GROUP_OPS_MAX, remote: swarm_sync::limits::GROUP_OPS_MAX };
