//! Passes during which nothing happens, and what has to hold after them: they come to an end, find nothing to do a second time, remember
//! what stands there, and a run that is taken back leaves what was there before.

use std::collections::{BTreeMap, BTreeSet};

use swarm_sync::{Direction, Kind, Op, OpKind, PerSide, RunId, Side, Strategy, TreePath};

use super::disk::{Body, Node};
use super::hub::Director;
use super::pass::{Passed, undo_run};
use super::world::World;

impl World {
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
    pub(super) fn spread(&mut self, writer: usize) {
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

    /// A run that is taken back leaves what was there before it.
    pub(super) fn undo(&mut self, pair: usize) {
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
        // What was refused was not undone either.
        if !refused {
            self.check_not_carried(pair, &passed.proposal.plan.ops);
        }
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
