//! The index of a pair: the product's own, in memory, watched by a checker. A dead process applies nothing. Planted bugs change what is
//! applied or told.

use std::collections::BTreeSet;

use swarm_sync::{
    Choice, ConflictId, ContentHash, Deed, DeedEnd, Difference, Entry, Index, IndexStep, Kind, Known,
    MemoryIndex, Observation, PerSide, Rebase, RunId, Side, TreePath,
};

use super::bug::Bug;
use super::hub::{Hub, Shared};

/// Why an index did not do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum IndexFault {
    /// The process was killed.
    #[error("the process was killed")]
    Dead,
}

/// A pair's index.
pub(super) struct SimIndex {
    pub(super) hub: Shared,
    pub(super) pair: (usize, usize),
    pub(super) memory: MemoryIndex,
    /// Moves so far: what stood below a moved folder was there under another path.
    moves: Vec<(Side, TreePath, TreePath)>,
}

impl SimIndex {
    pub(super) fn new(hub: Shared, pair: (usize, usize)) -> Self {
        Self { hub, pair, memory: MemoryIndex::default(), moves: Vec::new() }
    }

    fn replica(&self, side: Side) -> usize {
        match side {
            Side::Local => self.pair.0,
            Side::Remote => self.pair.1,
        }
    }

    /// The base may become what both sides had, and what no power cut can take from either.
    fn check_agreed(&self, hub: &mut Hub, path: &TreePath) {
        let base: Option<Kind> = self.memory.base().get(path).map(|base| base.kind.clone());
        for side in Side::BOTH {
            let at = self.replica(side);
            let mut paths = vec![path.clone()];
            for (_, from, to) in self.moves.iter().rev().filter(|(of, ..)| *of == side) {
                paths.extend(paths.iter().filter_map(|path| path.moved(to, from)).collect::<Vec<_>>());
            }
            let was_durable = |path: TreePath| hub.disks[at].was_durable(&(path, base.clone()));
            if base.is_some() && !paths.into_iter().any(was_durable) {
                hub.find(format!(
                    "the base has {base:?} at {path}, which replica {at} never had, or might lose again"
                ));
            }
        }
    }

    fn apply_all(&mut self, hub: &mut Hub, steps: Vec<IndexStep>) {
        let agreed: Vec<TreePath> = steps
            .iter()
            .filter_map(|step| if let IndexStep::Agree(path) = step { Some(path.clone()) } else { None })
            .collect();
        let before = self.memory.base().clone();
        for step in steps {
            if let IndexStep::Moved { side, from, to } = &step {
                self.moves.push((*side, from.clone(), to.clone()));
            }
            let is_merged = matches!(&step, IndexStep::KeepText(hash, _) if !hub.oracle.unknown(&BTreeSet::from([*hash])).is_empty());
            if let IndexStep::KeepText(hash, text) = &step
                && ContentHash::of(text) == *hash
            {
                hub.oracle.on_merge(*hash);
            }
            self.memory.apply(self.mutated(hub, step, is_merged)).unwrap_or_else(|never| match never {});
        }
        let agreed: BTreeSet<TreePath> = agreed.into_iter().collect();
        let has_moved = |path: &&TreePath| before.get(*path) != self.memory.base().get(*path);
        agreed.iter().filter(has_moved).for_each(|path| self.check_agreed(hub, path));
    }

    /// The step as it is applied: itself, unless a bug is planted.
    fn mutated(&self, hub: &Hub, step: IndexStep, is_merged: bool) -> Vec<IndexStep> {
        match (hub.bug, step) {
            (Some(Bug::AgreeLooksAtNothing), IndexStep::Agree(path)) => self.forced(path),
            (Some(Bug::AgreeDoesNothing), IndexStep::Agree(_))
            | (Some(Bug::MovedForgotten), IndexStep::Moved { .. })
            | (Some(Bug::VanishedForgotten), IndexStep::Observe(_, Observation { entry: None, .. }))
            | (Some(Bug::ConflictsForgotten), IndexStep::Conflicts(_))
            | (Some(Bug::ChoicesForgotten), IndexStep::Choose(..)) => Vec::new(),
            (Some(Bug::SomeObservationsLost), IndexStep::Observe(..)) if hub.ticks.is_multiple_of(8) => {
                Vec::new()
            }
            (Some(Bug::ObservedOnWrongSide), IndexStep::Observe(side, seen))
                if hub.ticks.is_multiple_of(8) =>
            {
                vec![IndexStep::Observe(side.other(), seen)]
            }
            (Some(Bug::MovedTopAlone), IndexStep::Moved { side, from, to }) => {
                let below = self.memory.side(side).keys().filter(|path| path.is_below(&from));
                let gone = |path: &TreePath| {
                    IndexStep::Observe(side, Observation { path: path.clone(), entry: None })
                };
                let mut steps: Vec<IndexStep> = below.map(gone).collect();
                steps.push(IndexStep::Moved { side, from, to });
                steps
            }
            (Some(Bug::DeedsForgotten), IndexStep::Deed(_, deed))
                if matches!(deed.end, DeedEnd::Done { .. }) =>
            {
                Vec::new()
            }
            (Some(Bug::DeedsOnWrongSide), IndexStep::Deed(run, mut deed)) => {
                deed.side = deed.side.other();
                vec![IndexStep::Deed(run, deed)]
            }
            (Some(Bug::TextsCut), IndexStep::KeepText(hash, mut text)) if is_merged => {
                text.pop();
                vec![IndexStep::KeepText(hash, text)]
            }
            (Some(Bug::BaseForgotten), IndexStep::Agree(path)) if hub.ticks.is_multiple_of(8) => {
                let sides = PerSide::each(|side| self.memory.side(side).get(&path).cloned());
                let mut steps = vec![
                    IndexStep::Rebase(vec![Rebase { from: path.clone(), to: None }]),
                    IndexStep::Observe(Side::Local, Observation { path: path.clone(), entry: None }),
                    IndexStep::Observe(Side::Remote, Observation { path: path.clone(), entry: None }),
                ];
                steps.extend(Side::BOTH.map(|side| {
                    IndexStep::Observe(
                        side,
                        Observation { path: path.clone(), entry: sides.of(side).clone() },
                    )
                }));
                steps
            }
            (_, step) => vec![step],
        }
    }

    /// Agrees on what the local side has, whatever the remote one has.
    fn forced(&self, path: TreePath) -> Vec<IndexStep> {
        let [local, remote] = Side::BOTH.map(|side| self.memory.side(side).get(&path).cloned());
        let see = |entry: Option<Entry>| {
            IndexStep::Observe(Side::Remote, Observation { path: path.clone(), entry })
        };
        vec![see(local), IndexStep::Agree(path.clone()), see(remote)]
    }
}

impl Index for SimIndex {
    type Error = IndexFault;

    fn known(&self, side: Side, place: Option<&TreePath>) -> Result<Known<'_, IndexFault>, IndexFault> {
        let known = self.memory.known(side, place).unwrap_or_else(|never| match never {});
        Ok(Box::new(known.map(|row| Ok(row.unwrap_or_else(|never| match never {})))))
    }

    fn apply(&mut self, steps: Vec<IndexStep>) -> Result<(), IndexFault> {
        let shared = self.hub.clone();
        let mut hub = shared.lock();
        hub.advance();
        if hub.running.as_ref().is_some_and(|running| running.is_dead) {
            return Err(IndexFault::Dead);
        }
        let count = if hub.has(Bug::HalfIsApplied) { steps.len().div_ceil(2) } else { steps.len() };
        let steps = steps.into_iter().take(count).collect();
        self.apply_all(&mut hub, steps);
        Ok(())
    }

    fn differences(&mut self) -> Result<Vec<Difference>, IndexFault> {
        let had_base = !self.memory.base().is_empty();
        let mut all = self.memory.differences().unwrap_or_else(|never| match never {});
        if !had_base {
            let agreed: Vec<TreePath> = self.memory.base().keys().cloned().collect();
            let mut hub = self.hub.lock();
            agreed.iter().for_each(|path| self.check_agreed(&mut hub, path));
        }
        if self.hub.lock().has(Bug::LastDifferenceMissing) && all.len() > 1 {
            all.pop();
        }
        Ok(all)
    }

    fn has_base(&self) -> Result<bool, IndexFault> {
        Ok(self.memory.has_base().unwrap_or_else(|never| match never {}))
    }

    fn totals(&self) -> Result<PerSide<u64>, IndexFault> {
        Ok(self.memory.totals().unwrap_or_else(|never| match never {}))
    }

    fn choices(&self) -> Result<Vec<(ConflictId, Choice)>, IndexFault> {
        if self.hub.lock().has(Bug::ChoicesIgnored) {
            return Ok(Vec::new());
        }
        Ok(self.memory.choices().unwrap_or_else(|never| match never {}))
    }

    fn text(&self, hash: &ContentHash) -> Result<Option<Vec<u8>>, IndexFault> {
        Ok(self.memory.text(hash).unwrap_or_else(|never| match never {}))
    }

    fn deeds(&self, run: RunId) -> Result<Vec<Deed>, IndexFault> {
        Ok(self.memory.deeds(run).unwrap_or_else(|never| match never {}))
    }
}
