//! The index of a daemon's pass: the trees of its book. A dead process applies nothing. Paths whose bytes nobody who is reached has are parked:
//! no plan sees them.

use std::collections::BTreeSet;

use swarm_sync::{
    Choice, ConflictId, ContentHash, Deed, Difference, Index, IndexStep, Known, PerSide, RunId, Side,
    TreePath,
};

use super::super::hub::Shared;
use super::super::index::IndexFault;
use super::book::SharedBook;
use super::bug::TeamBug;

pub(super) struct TeamIndex {
    pub(super) hub: Shared,
    pub(super) book: SharedBook,
    /// Contents that can be fetched.
    pub(super) available: BTreeSet<ContentHash>,
}

impl TeamIndex {
    /// Nothing is fetched where the folder alone has changed: the bytes of a version that its author replaced may be nowhere any more.
    fn is_parked(&self, difference: &Difference) -> bool {
        if difference.agrees() || difference.is_unchanged(Side::Remote) {
            return false;
        }
        let file = difference.now.remote.as_ref().and_then(|entry| entry.file());
        file.is_some_and(|file| !self.available.contains(&file.hash))
    }
}

impl Index for TeamIndex {
    type Error = IndexFault;

    fn known(&self, side: Side, place: Option<&TreePath>) -> Result<Known<'_, IndexFault>, IndexFault> {
        let book = self.book.lock();
        let is_there = |path: &&TreePath| place.is_none_or(|place| path.is_at_or_below(place));
        let rows = book.index.side(side).iter().filter(|(path, _)| is_there(path));
        let rows: Vec<_> = rows.map(|(path, entry)| Ok((path.clone(), entry.clone()))).collect();
        Ok(Box::new(rows.into_iter()))
    }

    fn apply(&mut self, steps: Vec<IndexStep>) -> Result<(), IndexFault> {
        let mut hub = self.hub.lock();
        hub.advance();
        if hub.running.as_ref().is_some_and(|running| running.is_dead) {
            return Err(IndexFault::Dead);
        }
        for step in &steps {
            if let IndexStep::KeepText(hash, text) = step
                && ContentHash::of(text) == *hash
            {
                hub.oracle.on_merge(*hash);
            }
        }
        drop(hub);
        let mut book = self.book.lock();
        steps.into_iter().for_each(|step| book.step(step));
        Ok(())
    }

    fn differences(&mut self) -> Result<Vec<Difference>, IndexFault> {
        let mut book = self.book.lock();
        let all = book.index.differences().unwrap_or_else(|never| match never {});
        let is_parking = !book.has(TeamBug::NothingIsParked);
        drop(book);
        let (parked, open): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|difference| is_parking && self.is_parked(difference));
        let mut hub = self.hub.lock();
        parked.iter().for_each(|_| hub.count("path parked"));
        Ok(open)
    }

    fn has_base(&self) -> Result<bool, IndexFault> {
        Ok(!self.book.lock().index.base().is_empty())
    }

    fn totals(&self) -> Result<PerSide<u64>, IndexFault> {
        let book = self.book.lock();
        Ok(PerSide::each(|side| book.index.side(side).len() as u64))
    }

    fn choices(&self) -> Result<Vec<(ConflictId, Choice)>, IndexFault> {
        Ok(self.book.lock().index.choices().unwrap_or_else(|never| match never {}))
    }

    fn text(&self, hash: &ContentHash) -> Result<Option<Vec<u8>>, IndexFault> {
        Ok(self.book.lock().index.text(hash).unwrap_or_else(|never| match never {}))
    }

    fn deeds(&self, run: RunId) -> Result<Vec<Deed>, IndexFault> {
        Ok(self.book.lock().index.deeds(run).unwrap_or_else(|never| match never {}))
    }
}
