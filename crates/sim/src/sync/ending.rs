//! The end of a world: everything is mended, passes go on until nothing changes, every conflict is decided; then the checkers look at what is
//! left.

use std::collections::BTreeSet;

use swarm_sync::{Conflict, Direction, Side, Strategy, TreePath};

use super::disk::{Body, Disk, Node};
use super::edit::Edit;
use super::quiet::first_unlike;
use super::script::{Event, Script};
use super::world::{End, Mode, World};

impl World {
    /// Mends everything, makes passes until nothing changes, and looks.
    pub(super) fn end(mut self, mode: Mode) -> End {
        let is_cut = self.hub.lock().ticks >= mode.until.unwrap_or(u64::MAX);
        if self.hub.lock().oracle.findings.is_empty() && !is_cut {
            self.hub.lock().tell(format_args!("the end: everything is mended"));
            self.mend();
            self.finish();
        }
        let hub = self.hub.lock();
        End {
            script: Script { setup: self.setup.clone(), steps: std::mem::take(&mut self.steps) },
            findings: hub.oracle.findings.clone(),
            trace: hub.trace,
            ticks: hub.ticks,
            counts: hub.counts.clone(),
            lines: hub.lines.clone().unwrap_or_default(),
        }
    }

    fn mend(&mut self) {
        self.is_ignoring = false;
        let mut hub = self.hub.lock();
        hub.ticks += 20;
        hub.mend();
        for at in 0..hub.disks.len() {
            let broken = |(path, node): (&TreePath, &Node)| match node.body {
                Body::Special => Some(Edit::Remove(path.clone())),
                _ if node.locked => Some(Edit::Unlock(path.clone())),
                _ => None,
            };
            let edits: Vec<Edit> = hub.disks[at].live().iter().filter_map(broken).collect();
            for edit in edits {
                hub.happen(&Event::Edit(at, edit));
            }
        }
    }

    fn finish(&mut self) {
        if !self.round_up() {
            return;
        }
        self.check_equal();
        if self.is_over() {
            return;
        }
        if self.setup.direction == Direction::Both {
            self.check_live();
            self.decide_all();
        }
        self.check_thorough();
        self.check_wanted();
    }

    /// What nobody removed and nobody decided against stands under a name.
    fn check_live(&self) {
        let keeps_all = matches!(self.setup.strategy, Strategy::Manual | Strategy::KeepBoth);
        if self.has_decided || !keeps_all {
            return;
        }
        let hub = self.hub.lock();
        let live: BTreeSet<_> = hub.disks.iter().flat_map(Disk::live_contents).collect();
        let missing = hub.oracle.missing(&live);
        drop(hub);
        if let Some(missing) = missing.first() {
            self.find(format!("nobody removed {missing:?}, and it stands nowhere"));
        }
    }

    /// What nobody removed stands under a name or is a kept version.
    fn check_wanted(&self) {
        let hub = self.hub.lock();
        let there: BTreeSet<_> = hub.disks.iter().flat_map(Disk::contents).collect();
        let missing = hub.oracle.missing(&there);
        drop(hub);
        if let Some(missing) = missing.first() {
            self.find(format!("nobody removed {missing:?}, and it is nowhere, not even a kept version"));
        }
    }

    /// Both replicas of each pair are equal, but for what a conflict holds.
    fn check_equal(&self) {
        for (at, index) in self.indexes.iter().enumerate() {
            let conflicts = index.memory.conflicts();
            let is_held = |path: &TreePath| conflicts.iter().any(|conflict| holds(conflict, path));
            let (local, remote) = index.pair;
            if let Some(path) = first_unlike(&self.tree(local), &self.tree(remote), is_held) {
                self.find(format!("pair {at} has nothing left to do, and its replicas differ at {path}"));
            }
        }
    }

    /// Decides conflicts until none is left: then all replicas are equal.
    fn decide_all(&mut self) {
        for turn in 0..DECISIONS_MAX {
            let open = self.indexes.iter().position(|index| !index.memory.conflicts().is_empty());
            let Some(pair) = open else { return };
            if turn + 1 == DECISIONS_MAX {
                self.find("decisions do not end the conflicts".to_owned());
            }
            let count = self.indexes[pair].memory.conflicts().len();
            (0..count).for_each(|conflict| self.decide(pair, conflict, turn));
            if self.is_over() || !self.round_up() {
                return;
            }
            self.check_equal();
        }
    }

    /// Reading every file finds nothing that was overlooked.
    fn check_thorough(&mut self) {
        for pair in 0..self.setup.pairs.len() {
            if self.is_over() {
                return;
            }
            let passed = self.quiet_pass(pair, true);
            if !passed.is_idle() {
                self.find(format!("reading every file of pair {pair} found what was overlooked before"));
            }
        }
    }
}

/// Whether a conflict holds what stands at a path.
fn holds(conflict: &Conflict, path: &TreePath) -> bool {
    let versions = Side::BOTH.into_iter().filter_map(|side| conflict.versions.of(side).as_ref());
    let mut places = versions.map(|version| &version.path).chain([&conflict.path]).chain(&conflict.holds);
    // A folder that holds one is held with it.
    places.any(|place| path.is_at_or_below(place) || place.is_below(path))
}

/// Turns of decisions after which no conflict may be left.
const DECISIONS_MAX: u64 = 12;
