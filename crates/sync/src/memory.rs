//! An index in memory, for the simulator and for tests. It forgets all when it is dropped; nothing in it fails.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use crate::{
    BaseEntry, Choice, Conflict, ConflictId, ContentHash, Deed, Difference, Entry, Index, IndexStep, Known,
    PerSide, Rebase, RunId, Side, TreePath,
};

/// The memory of a pair, in maps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryIndex {
    sides: PerSide<BTreeMap<TreePath, Entry>>,
    base: BTreeMap<TreePath, BaseEntry>,
    conflicts: Vec<Conflict>,
    choices: BTreeMap<ConflictId, Choice>,
    texts: BTreeMap<ContentHash, Vec<u8>>,
    deeds: BTreeMap<(RunId, u64), Deed>,
}

impl MemoryIndex {
    /// The base.
    pub fn base(&self) -> &BTreeMap<TreePath, BaseEntry> {
        &self.base
    }

    /// A side, as it was last seen.
    pub fn side(&self, side: Side) -> &BTreeMap<TreePath, Entry> {
        self.sides.of(side)
    }

    /// The open conflicts.
    pub fn conflicts(&self) -> &[Conflict] {
        &self.conflicts
    }

    fn step(&mut self, step: IndexStep) {
        match step {
            IndexStep::Observe(side, seen) => {
                match seen.entry {
                    Some(entry) => self.sides.of_mut(side).insert(seen.path, entry),
                    None => self.sides.of_mut(side).remove(&seen.path),
                };
            }
            IndexStep::Moved { side, from, to } => {
                let rows = std::mem::take(self.sides.of_mut(side));
                let moved = |path: TreePath| {
                    let stays = || (!path.is_at_or_below(&to)).then(|| path.clone());
                    path.moved(&from, &to).or_else(stays)
                };
                *self.sides.of_mut(side) =
                    rows.into_iter().filter_map(|(path, entry)| Some((moved(path)?, entry))).collect();
            }
            IndexStep::Agree(path) => self.agree(path),
            IndexStep::Rebase(entries) => {
                let left = |entry: &Rebase| Some((entry.to.clone(), self.base.remove(&entry.from)?));
                let left: Vec<_> = entries.iter().filter_map(left).collect();
                self.base.extend(left.into_iter().filter_map(|(to, base)| Some((to?, base))));
            }
            IndexStep::KeepText(hash, text) => {
                self.texts.insert(hash, text);
            }
            IndexStep::Deed(run, deed) => {
                self.deeds.insert((run, deed.number), *deed);
            }
            IndexStep::Conflicts(conflicts) => {
                self.choices.retain(|id, _| conflicts.iter().any(|conflict| conflict.id == *id));
                self.conflicts = conflicts;
            }
            IndexStep::Choose(id, Some(choice)) => {
                self.choices.insert(id, choice);
            }
            IndexStep::Choose(id, None) => {
                self.choices.remove(&id);
            }
        }
    }

    fn agree(&mut self, path: TreePath) {
        match (self.sides.local.get(&path), self.sides.remote.get(&path)) {
            (Some(local), Some(remote)) if local.agrees(remote) => {
                self.base.insert(path, BaseEntry::of(local, remote));
            }
            (None, None) => {
                self.base.remove(&path);
            }
            (Some(_) | None, Some(_)) | (Some(_), None) => {}
        }
    }

    /// Agrees on what needs no decision: paths at which all three trees have the same, and all equal paths of an empty base.
    fn agree_on_equals(&mut self) {
        let is_first = self.base.is_empty();
        for (path, local) in &self.sides.local {
            let Some(remote) = self.sides.remote.get(path).filter(|remote| remote.agrees(local)) else {
                continue;
            };
            if is_first || self.base.get(path).is_some_and(|base| base.kind == local.kind) {
                self.base.insert(path.clone(), BaseEntry::of(local, remote));
            }
        }
    }
}

impl Index for MemoryIndex {
    type Error = Infallible;

    fn known(&self, side: Side, place: Option<&TreePath>) -> Result<Known<'_, Infallible>, Infallible> {
        let place = place.cloned();
        let is_there = move |path: &TreePath| place.as_ref().is_none_or(|place| path.is_at_or_below(place));
        let rows = self.sides.of(side).iter().filter(move |(path, _)| is_there(path));
        Ok(Box::new(rows.map(|(path, entry)| Ok((path.clone(), entry.clone())))))
    }

    fn apply(&mut self, steps: Vec<IndexStep>) -> Result<(), Infallible> {
        steps.into_iter().for_each(|step| self.step(step));
        Ok(())
    }

    fn differences(&mut self) -> Result<Vec<Difference>, Infallible> {
        self.agree_on_equals();
        let sides = self.sides.local.keys().chain(self.sides.remote.keys());
        let paths: BTreeSet<&TreePath> = sides.chain(self.base.keys()).collect();
        let difference = |path: &TreePath| Difference {
            path: path.clone(),
            now: PerSide::each(|side| self.sides.of(side).get(path).cloned()),
            base: self.base.get(path).cloned().map(Box::new),
        };
        let is_open =
            |difference: &Difference| !Side::BOTH.into_iter().all(|side| difference.is_unchanged(side));
        Ok(paths.into_iter().map(difference).filter(is_open).collect())
    }

    fn has_base(&self) -> Result<bool, Infallible> {
        Ok(!self.base.is_empty())
    }

    fn totals(&self) -> Result<PerSide<u64>, Infallible> {
        Ok(PerSide::each(|side| self.sides.of(side).len() as u64))
    }

    fn choices(&self) -> Result<Vec<(ConflictId, Choice)>, Infallible> {
        Ok(self.choices.iter().map(|(id, choice)| (*id, *choice)).collect())
    }

    fn text(&self, hash: &ContentHash) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.texts.get(hash).cloned())
    }

    fn deeds(&self, run: RunId) -> Result<Vec<Deed>, Infallible> {
        Ok(self.deeds.range((run, 0)..=(run, u64::MAX)).map(|(_, deed)| deed.clone()).collect())
    }
}
