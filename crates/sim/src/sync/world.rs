//! A world: replicas, pairs, and a script that is written while it happens or replayed. At the end everything is mended, passes go on until
//! nothing changes, and the checkers look at what is left.

use std::collections::{BTreeMap, BTreeSet};

use swarm_core::base::Rng;
use swarm_sync::{
    Choice, Direction, Index, IndexStep, Kind, Op, OpKind, PerSide, RunId, Side, Strategy, TreePath,
};

use super::bug::Bug;
use super::disk::{Body, Disk, Node};
use super::edit::{Edit, any_edit, any_path};
use super::hub::{Director, Hub, Running, Shared};
use super::index::SimIndex;
use super::pass::{Passed, Settings, pass, undo_run};
use super::script::{Act, Event, Script, Setup, Step, any_event};

pub(super) struct World {
    pub(super) hub: Shared,
    pub(super) setup: Setup,
    pub(super) indexes: Vec<SimIndex>,
    pub(super) steps: Vec<Step>,
    pub(super) is_ignoring: bool,
    /// Somebody decided a conflict or took a run back: what lost is a kept version from then on, and under no name.
    pub(super) has_decided: bool,
    /// When the next run begins, in milliseconds.
    next_run_ms: u64,
    /// Replicas that were edited since all were equal last.
    editors: BTreeSet<usize>,
}

/// What came of a world.
pub(super) struct End {
    pub(super) script: Script,
    pub(super) findings: Vec<String>,
    pub(super) trace: u64,
    pub(super) ticks: u64,
    pub(super) counts: BTreeMap<&'static str, u64>,
    pub(super) lines: Vec<String>,
}

/// How a world is run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mode {
    pub(super) bug: Option<Bug>,
    /// The trace is kept in words.
    pub(super) is_told: bool,
    /// Effects after which it ends without a last look.
    pub(super) until: Option<u64>,
}

/// A world of this seed, written while it happens.
pub(super) fn generate(seed: u64, mode: Mode) -> End {
    let mut rng = Rng::seeded(seed);
    let setup = Setup::any(&mut rng);
    let director = Director::Chance { rng: Rng::seeded(rng.next_u64()), one_in: 0, edits_only: false };
    let mut world = World::new(setup, director, mode);
    world.write(&mut rng);
    world.end(mode)
}

/// The world of a script.
pub(super) fn replay(script: &Script, mode: Mode) -> End {
    let mut world = World::new(script.setup.clone(), Director::Script(Vec::new()), mode);
    for step in &script.steps {
        if world.is_over() {
            break;
        }
        world.hub.lock().director = Director::Script(step.during.clone());
        world.act(step.act.clone());
    }
    world.end(mode)
}

impl World {
    fn new(setup: Setup, director: Director, mode: Mode) -> Self {
        let disks = setup.names.iter().map(|names| Disk::new(*names)).collect();
        let mut hub = Hub::new(disks, director, mode.bug, mode.is_told);
        hub.until = mode.until.unwrap_or(u64::MAX);
        setup.words().into_iter().for_each(|word| hub.count(word));
        let hub = Shared::new(hub);
        let indexes = setup.pairs.iter().map(|pair| SimIndex::new(hub.clone(), *pair)).collect();
        Self {
            hub,
            setup,
            indexes,
            steps: Vec::new(),
            is_ignoring: false,
            has_decided: false,
            next_run_ms: 1000,
            editors: BTreeSet::new(),
        }
    }

    /// Writes a script while it happens.
    fn write(&mut self, rng: &mut Rng) {
        self.write_beginning(rng);
        let steps = 4 + rng.below(12);
        for _ in 0..steps {
            if self.is_over() {
                return;
            }
            if self.setup.is_calm { self.write_calm(rng) } else { self.write_wild(rng) }
        }
    }

    fn write_beginning(&mut self, rng: &mut Rng) {
        // The same on all replicas, on one alone, or on each something else.
        let manner = if self.setup.is_calm { 1 } else { rng.below(3) };
        for _ in 0..3 + rng.below(5) {
            let (edit, at) = (self.first_edit(rng), rng.below(self.setup.names.len() as u64) as usize);
            let replicas = match manner {
                0 => (0..self.setup.names.len()).collect(),
                1 => vec![0],
                _ => vec![at],
            };
            for at in replicas {
                self.act(Act::Event(Event::Edit(at, edit.clone())));
            }
        }
        if rng.below(4) > 0 {
            self.pace(rng, false);
            (0..self.setup.pairs.len()).for_each(|pair| self.act(Act::Pass { pair, thorough: false }));
        }
    }

    fn first_edit(&self, rng: &mut Rng) -> Edit {
        let mut hub = self.hub.lock();
        hub.token += 1;
        let token = hub.token;
        match rng.below(3) {
            0 => Edit::Folder(any_path(rng)),
            _ => Edit::Write(any_path(rng), token),
        }
    }

    fn write_calm(&mut self, rng: &mut Rng) {
        let writer = rng.below(self.setup.names.len() as u64) as usize;
        for _ in 0..=rng.below(4) {
            let edit = {
                let mut hub = self.hub.lock();
                hub.token += 1;
                let token = hub.token;
                any_edit(rng, &hub.disks[writer], token)
            };
            // What cannot be seen cannot spread.
            if !matches!(edit, Edit::Lock(_) | Edit::Special(_)) {
                self.act(Act::Event(Event::Edit(writer, edit)));
            }
        }
        self.pace(rng, false);
        self.act(Act::Spread { writer });
    }

    fn write_wild(&mut self, rng: &mut Rng) {
        let pairs = self.setup.pairs.len() as u64;
        let pair = rng.below(pairs) as usize;
        let one_in = if self.setup.strategy == Strategy::AutoMerge { 2 } else { 6 };
        if rng.below(one_in) == 0 {
            self.write_both(rng, pair);
        }
        let act = match rng.below(32) {
            0..=13 => {
                let mut hub = self.hub.lock();
                let mut token = hub.token;
                let event = any_event(rng, &hub.disks, None, &mut token, false);
                hub.token = token;
                Act::Event(event)
            }
            14..=25 => Act::Pass { pair, thorough: rng.below(8) == 0 },
            26 => Act::DropIndex(pair),
            27..=28 => Act::Decide { pair, conflict: rng.below(4), choice: rng.below(3) },
            29 => Act::Ignore(!self.is_ignoring),
            _ => Act::Undo(pair),
        };
        self.pace(rng, true);
        self.act(act);
    }

    /// Both users of a pair do something to the same file: they move it, or change lines that may be far enough from each other.
    fn write_both(&mut self, rng: &mut Rng, pair: usize) {
        let (local, remote) = self.setup.pairs[pair];
        let (one, other) = (self.tree(local), self.tree(remote));
        let is_shared = |path: &TreePath, kind: &Kind| kind.file().is_some() && other.get(path) == Some(kind);
        let shared: Vec<&TreePath> =
            one.iter().filter(|(path, kind)| is_shared(path, kind)).map(|(path, _)| path).collect();
        if shared.is_empty() {
            return;
        }
        let path = shared[rng.below(shared.len() as u64) as usize].clone();
        let manner = if self.setup.strategy == Strategy::AutoMerge { 9 } else { rng.below(4) };
        for (at, line) in [(local, 0), (remote, 1 + rng.below(2) as u8)] {
            let token = {
                let mut hub = self.hub.lock();
                hub.token += 1;
                hub.token
            };
            let edit = match (manner, line) {
                (1, 0) => Edit::Remove(path.clone()),
                (0 | 1, _) => Edit::Rename(path.clone(), any_path(rng)),
                (_, _) => Edit::Line(path.clone(), line, token),
            };
            self.act(Act::Event(Event::Edit(at, edit)));
        }
    }

    /// How often something happens during the next pass.
    fn pace(&self, rng: &mut Rng, may_be_wild: bool) {
        let one_in = if may_be_wild { [0, 60, 25, 12, 6][rng.below(5) as usize] } else { 0 };
        let only = rng.below(3) == 0;
        if let Director::Chance { one_in: is, edits_only, .. } = &mut self.hub.lock().director {
            (*is, *edits_only) = (one_in, only);
        }
    }

    pub(super) fn is_over(&self) -> bool {
        let hub = self.hub.lock();
        !hub.oracle.findings.is_empty() || hub.ticks >= hub.until
    }

    /// One step.
    fn act(&mut self, act: Act) {
        self.hub.lock().tell(format_args!("step {}: {act:?}", self.steps.len()));
        let during = match act.clone() {
            Act::Event(event) => {
                let mut hub = self.hub.lock();
                hub.ticks += 20;
                if let Event::Edit(at, _) = &event {
                    self.editors.insert(*at);
                }
                hub.happen(&event);
                Vec::new()
            }
            Act::Pass { pair, thorough } => self.watched(pair, |world| {
                world.pass(pair, thorough, false);
            }),
            Act::Spread { writer } => {
                self.spread(writer);
                Vec::new()
            }
            Act::DropIndex(pair) => {
                self.hub.lock().count("index deleted");
                self.indexes[pair] = SimIndex::new(self.hub.clone(), self.setup.pairs[pair]);
                Vec::new()
            }
            Act::Decide { pair, conflict, choice } => {
                self.decide(pair, conflict as usize, choice);
                Vec::new()
            }
            Act::Ignore(is_so) => {
                self.hub.lock().count("paths left out or taken in");
                self.is_ignoring = is_so;
                Vec::new()
            }
            Act::Undo(pair) => {
                self.undo(pair);
                Vec::new()
            }
        };
        self.steps.push(Step { act, during });
    }

    /// Lets things happen during an act, and tells which did.
    fn watched(&mut self, pair: usize, act: impl FnOnce(&mut Self)) -> Vec<(u32, Event)> {
        let running = Running {
            pair: self.setup.pairs[pair],
            effects: 0,
            is_dead: false,
            is_stopped: false,
            events: Vec::new(),
        };
        self.hub.lock().running = Some(running);
        act(self);
        self.hub.lock().running.take().map(|running| running.events).unwrap_or_default()
    }

    /// A pass, whatever happens during it.
    fn pass(&mut self, pair: usize, thorough: bool, approved: bool) -> Passed {
        let run = self.next_run();
        let settings =
            Settings { setup: &self.setup, run, thorough, approved, is_ignoring: self.is_ignoring };
        let mut hub = self.hub.lock();
        hub.tell(format_args!("pass over pair {pair}"));
        hub.count("pass");
        let (local, remote) = self.setup.pairs[pair];
        hub.tell_disk(local, "has");
        hub.tell_disk(remote, "has");
        drop(hub);
        let passed = pass(&self.hub, &mut self.indexes[pair], settings);
        self.check_conflicts(pair, &passed);
        passed
    }

    /// A pass during which nothing happens.
    pub(super) fn quiet_pass(&mut self, pair: usize, thorough: bool) -> Passed {
        let mut before = Director::Script(Vec::new());
        std::mem::swap(&mut self.hub.lock().director, &mut before);
        self.hub.lock().refusals.clear();
        let mut passed = Passed::default();
        self.watched(pair, |world| passed = world.pass(pair, thorough, true));
        self.hub.lock().director = before;
        self.check_quiet(pair, &passed);
        passed
    }

    fn next_run(&mut self) -> RunId {
        self.next_run_ms += 1000;
        RunId::at_ms(self.next_run_ms)
    }

    pub(super) fn find(&self, what: String) {
        self.hub.lock().find(what);
    }

    /// What a pass that was performed leaves open is what it reported.
    fn check_conflicts(&self, pair: usize, passed: &Passed) {
        let is_done = passed.error.is_none() && passed.proposal.plan.held.is_none();
        if is_done && self.indexes[pair].memory.conflicts() != passed.proposal.plan.conflicts {
            self.find(format!("pair {pair} remembers other conflicts than its last pass reported"));
        }
    }

    /// Whether both disks of a pair can be read and written everywhere.
    fn is_well(&self, pair: usize) -> bool {
        let hub = self.hub.lock();
        let is_well = |at: usize| {
            let disk = &hub.disks[at];
            let is_odd = |node: &Node| node.locked || node.body == Body::Special;
            !disk.away && !disk.full && !disk.read_only && !disk.live().values().any(is_odd)
        };
        let (local, remote) = self.setup.pairs[pair];
        is_well(local) && is_well(remote)
    }

    /// A plan that is performed on replicas that nobody touches is performed as a whole.
    fn check_quiet(&self, pair: usize, passed: &Passed) {
        if !self.is_well(pair) || self.is_ignoring || passed.blind_count > 0 {
            return;
        }
        if passed.error.is_none() && passed.proposal.plan.held.is_none() {
            self.check_known(pair);
        }
        if let Some(refused) = passed.refused.first() {
            self.find(format!("pair {pair}: nothing happened, and an operation was refused: {refused}"));
        }
        if let Some(error) = &passed.error {
            self.find(format!("pair {pair}: nothing happened, and a pass ended early: {error}"));
        }
    }

    /// Whether an entry has the name of a detour that could not end. It may end at the beginning of the next pass.
    fn has_detour(&self, pair: usize) -> bool {
        let (local, remote) = self.setup.pairs[pair];
        [local, remote]
            .into_iter()
            .any(|at| self.tree(at).keys().any(|path| path.as_str().contains(".swarm-move-")))
    }

    /// What an index remembers of its sides is what stands there.
    fn check_known(&self, pair: usize) {
        let (index, (local, remote)) = (&self.indexes[pair], self.setup.pairs[pair]);
        for (side, at) in [(Side::Local, local), (Side::Remote, remote)] {
            let known =
                index.memory.side(side).iter().map(|(path, entry)| (path.clone(), entry.kind.clone()));
            if let Some(path) = first_unlike(&known.collect(), &self.tree(at), |_| false) {
                self.find(format!(
                    "nothing happened, and pair {pair} remembers something else of replica {at} at {path}"
                ));
            }
        }
    }

    /// Makes passes over all pairs in turn until nothing changes. Tells whether it came to that.
    pub(super) fn round_up(&mut self) -> bool {
        let pairs = self.setup.pairs.len();
        for round in 0..ROUNDS_MAX {
            let mut is_idle = true;
            for turn in 0..pairs {
                // Once in this order, once in the other.
                let pair = if round % 2 == 0 { turn } else { pairs - 1 - turn };
                is_idle &= self.settled_pass(pair);
                if self.is_over() {
                    return false;
                }
            }
            if is_idle {
                return true;
            }
        }
        self.find(format!("after {ROUNDS_MAX} rounds without an edit there is still something to do"));
        false
    }

    /// A pass and another one, which has nothing to do, unless the first left a conflict: what that holds may be free afterwards. Tells
    /// whether the first one had nothing to do.
    fn settled_pass(&mut self, pair: usize) -> bool {
        let first = self.quiet_pass(pair, false);
        if self.is_over() {
            return false;
        }
        let is_open = !first.proposal.plan.conflicts.is_empty();
        let has_detour = self.has_detour(pair);
        let second = self.quiet_pass(pair, false);
        if !second.is_quiet(&first) && !is_open && !has_detour && self.is_well(pair) {
            self.find(format!("nothing happened, and a second pass over pair {pair} has something to do"));
        }
        first.is_idle() && second.is_idle()
    }

    /// All replicas become what this one is: nobody else changed anything since the last time.
    fn spread(&mut self, writer: usize) {
        let wanted = self.tree(writer);
        self.hub.lock().ticks += 20;
        let is_alone = self.editors.iter().all(|editor| *editor == writer);
        if !self.round_up() {
            return;
        }
        let trees: Vec<_> = (0..self.setup.names.len()).map(|at| self.tree(at)).collect();
        if trees.iter().all(|tree| *tree == trees[0]) {
            self.editors.clear();
        }
        if !is_alone || self.setup.names.iter().any(|names| names.ignores_case || names.ignores_form) {
            return;
        }
        self.hub.lock().count("spread from one replica");
        for at in 0..self.setup.names.len() {
            if let Some(path) = first_unlike(&self.tree(at), &wanted, |_| false) {
                self.find(format!(
                    "only replica {writer} was edited, and replica {at} has something else at {path}"
                ));
            }
        }
        if self.indexes.iter().any(|index| !index.memory.conflicts().is_empty()) {
            self.find(format!("only replica {writer} was edited, and there is a conflict"));
        }
    }

    pub(super) fn tree(&self, at: usize) -> BTreeMap<TreePath, Kind> {
        let hub = self.hub.lock();
        let kinds = hub.disks[at].live().iter();
        kinds.filter_map(|(path, node)| Some((path.clone(), node.kind()?))).collect()
    }

    pub(super) fn decide(&mut self, pair: usize, conflict: usize, choice: u64) {
        let index = &mut self.indexes[pair];
        let Some(conflict) = index.memory.conflicts().get(conflict).map(|conflict| conflict.id) else {
            return;
        };
        let choice = [Choice::KeepLocal, Choice::KeepRemote, Choice::KeepBoth][choice as usize % 3];
        if index.apply(vec![IndexStep::Choose(conflict, Some(choice))]).is_ok() {
            self.has_decided = true;
            self.hub.lock().count("conflict decided");
        }
    }

    /// A run that is taken back leaves what was there before it.
    fn undo(&mut self, pair: usize) {
        let (local, remote) = self.setup.pairs[pair];
        let before = [self.tree(local), self.tree(remote)];
        let has_detour = self.has_detour(pair);
        let passed = self.quiet_pass(pair, false);
        let run = RunId::at_ms(self.next_run_ms);
        if passed.error.is_some() || self.is_over() {
            return;
        }
        let by = self.next_run();
        let refused = !passed.refused.is_empty() || has_detour;
        if !self.is_well(pair) {
            return;
        }
        let mut director = Director::Script(Vec::new());
        std::mem::swap(&mut self.hub.lock().director, &mut director);
        let mut end = Ok(());
        self.watched(pair, |world| end = undo_run(&world.hub, &mut world.indexes[pair], run, by));
        self.hub.lock().director = director;
        self.has_decided = true;
        self.hub.lock().count("run undone");
        if let Err(error) = end {
            self.find(format!("undoing a run of pair {pair}: {error}"));
            return;
        }
        for (at, before) in [local, remote].into_iter().zip(before) {
            let path = first_unlike(&self.tree(at), &before, |_| false);
            if let Some(path) = path.filter(|_| !refused) {
                self.find(format!(
                    "undoing a run of pair {pair} left replica {at} with something else at {path}"
                ));
            }
        }
        self.check_not_carried(pair, &passed.proposal.plan.ops);
    }

    /// After a run was taken back, the next one removes and moves nothing because of that.
    fn check_not_carried(&mut self, pair: usize, undone: &PerSide<Vec<Op>>) {
        if self.is_over()
            || self.setup.strategy != Strategy::Manual
            || self.setup.direction != Direction::Both
        {
            return;
        }
        let froms = |op: &Op| if let OpKind::Move { from } = &op.kind { Some(from.clone()) } else { None };
        let ops = undone.local.iter().chain(&undone.remote);
        let touched: Vec<TreePath> =
            ops.flat_map(|op| froms(op).into_iter().chain([op.path.clone()])).collect();
        let next = self.quiet_pass(pair, false).proposal.plan.ops;
        let gone = next.local.iter().chain(&next.remote).filter_map(|op| match &op.kind {
            OpKind::Remove => Some(&op.path),
            OpKind::Move { from } => Some(from),
            OpKind::MakeFolder | OpKind::Put { .. } | OpKind::SetExecutable { .. } => None,
        });
        for path in gone.filter(|path| touched.iter().any(|place| path.is_at_or_below(place))) {
            self.find(format!("a run of pair {pair} was undone, and the next one takes away {path}"));
        }
    }
}

/// The first path at which two trees differ.
pub(super) fn first_unlike(
    one: &BTreeMap<TreePath, Kind>,
    other: &BTreeMap<TreePath, Kind>,
    is_excused: impl Fn(&TreePath) -> bool,
) -> Option<TreePath> {
    let paths: BTreeSet<&TreePath> = one.keys().chain(other.keys()).collect();
    paths.into_iter().find(|path| one.get(path) != other.get(path) && !is_excused(path)).cloned()
}

/// Rounds of passes over all pairs after which nothing may be left to do: a change crosses the longest chain of five replicas in two rounds, a
/// conflict copy comes back the same way.
const ROUNDS_MAX: u32 = 12;
