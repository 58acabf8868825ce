//! A world: replicas, pairs, and a script that is written while it happens or replayed. At the end everything is mended, passes go on until
//! nothing changes, and the checkers look at what is left.

use std::collections::{BTreeMap, BTreeSet};

use swarm_core::base::Rng;
use swarm_sync::{Choice, Index, IndexStep, Kind, RunId, TreePath};

use super::bug::Bug;
use super::disk::Disk;
use super::hub::{Director, Hub, Running, Shared};
use super::index::SimIndex;
use super::pass::{Passed, Settings, pass};
use super::script::{Act, Event, Script, Setup, Step};

pub(super) struct World {
    pub(super) hub: Shared,
    pub(super) setup: Setup,
    pub(super) indexes: Vec<SimIndex>,
    pub(super) steps: Vec<Step>,
    pub(super) is_ignoring: bool,
    /// Somebody decided a conflict or took a run back: what lost is a kept version from then on, and under no name.
    pub(super) has_decided: bool,
    /// When the next run begins, in milliseconds.
    pub(super) next_run_ms: u64,
    /// Replicas that were edited since all were equal last.
    pub(super) editors: BTreeSet<usize>,
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

    pub(super) fn is_over(&self) -> bool {
        let hub = self.hub.lock();
        !hub.oracle.findings.is_empty() || hub.ticks >= hub.until
    }

    /// One step.
    pub(super) fn act(&mut self, act: Act) {
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
    pub(super) fn watched(&mut self, pair: usize, act: impl FnOnce(&mut Self)) -> Vec<(u32, Event)> {
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
    pub(super) fn pass(&mut self, pair: usize, thorough: bool, approved: bool) -> Passed {
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

    pub(super) fn next_run(&mut self) -> RunId {
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
}
