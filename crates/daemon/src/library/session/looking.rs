//! What stands in the folders is looked at, at some places or everywhere. Invariant: what a look could not read is blind to the plan, and is
//! named; it is never taken for deleted. Absent here: how a folder is compared with what is known of it (`swarm-sync`).

use std::collections::BTreeSet;

use swarm_core::base::Shown;
use swarm_index::{IndexReader, LibraryBook, SqliteIndex};
use swarm_mounts::Overlay;
use swarm_sync::{
    Blind, BlindWhy, Entry, Found, IgnoreRules, Index as _, IndexStep, Observation, Observer, Replica as _,
    Side, Tally, TreePath, observe,
};

use super::Session;
use crate::library::digests::DigestQueue;
use crate::library::error::LibraryError;
use crate::sentence::Sentence;

impl Session {
    /// Looks at the mounts, at these places or everywhere; everywhere after a look that was cut off.
    pub(crate) fn look(&mut self, places: Option<&[TreePath]>, thorough: bool) -> Result<(), LibraryError> {
        let places = places.filter(|_| !self.is_half_seen);
        // Any error on the way leaves it so.
        self.is_half_seen = true;
        self.overlay.recover().map_err(LibraryError::Mounts)?;
        let known = self.index.reader()?;
        match places {
            None => {
                let tally = self.observe(&known, None, thorough)?;
                self.unseen.clear();
                self.note_unseen(&tally);
                self.blind.local = tally.blind;
            }
            Some(places) => self.look_at(&known, places, thorough)?,
        }
        let before = self.unseen.clone();
        let uncovered = self.uncover_edits(places)?;
        let noted = self.unseen.iter().filter(|(path, _)| !before.contains_key(*path));
        let noted: Vec<_> = noted.map(|(path, why)| (path.clone(), why.clone())).collect();
        // The folders above may have been hidden with them.
        let tops: BTreeSet<TreePath> =
            uncovered.into_iter().map(|path| path.ancestors().last().unwrap_or(path)).collect();
        self.look_at(&known, &Vec::from_iter(tops), false)?;
        // Another look at the folders above says nothing of what is hidden there.
        self.unseen.extend(noted);
        self.digests.store(&mut self.book)?;
        self.is_half_seen = false;
        Ok(())
    }

    /// Looks at these places, all in one observation. What is known of other places stays.
    fn look_at(
        &mut self,
        known: &IndexReader,
        places: &[TreePath],
        thorough: bool,
    ) -> Result<(), LibraryError> {
        let places = outermost(places);
        let tally = self.observe(known, Some(&places), thorough)?;
        let shown: BTreeSet<String> = places.iter().map(|place| Shown(place.as_str()).to_string()).collect();
        self.unseen.retain(|path, _| {
            let above = path.match_indices('/').map(|(end, _)| &path[..end]);
            !above.chain([path.as_str()]).any(|at| shown.contains(at))
        });
        self.note_unseen(&tally);
        self.blind.local.retain(|blind| {
            let is_in = |path: &TreePath| places.binary_search(path).is_ok();
            !is_in(&blind.path) && !blind.path.ancestors().any(|above| is_in(&above))
        });
        self.blind.local.extend(tally.blind);
        Ok(())
    }

    /// What is written to at this moment is seen by the next look.
    fn note_unseen(&mut self, tally: &Tally) {
        let blind = tally.blind.iter().filter(|blind| blind.why != BlindWhy::Changing);
        let blind = blind.map(|blind| (blind.path.to_string(), Sentence::from(&blind.why)));
        let unnamed = tally.unnamed.iter().map(|(path, why)| (path.clone(), Sentence::from(*why)));
        for (path, why) in blind.chain(unnamed) {
            if self.unseen.len() < UNSEEN_MAX {
                self.unseen.insert(path, why);
            }
        }
    }

    /// Notes one entry that is no part of the library.
    pub(in crate::library) fn note_unseen_at(&mut self, path: &TreePath, why: Sentence) {
        if self.unseen.len() < UNSEEN_MAX {
            self.unseen.insert(path.to_string(), why);
        }
    }

    /// What is known is read, and what was seen is written, while the walk goes on: memory does not depend on the tree.
    fn observe(
        &mut self,
        known: &IndexReader,
        places: Option<&[TreePath]>,
        thorough: bool,
    ) -> Result<Tally, LibraryError> {
        let forgets_unseen = !self.index.has_base()?;
        let overlay = &self.overlay;
        let mut observer = ToIndex {
            overlay,
            index: &mut self.index,
            book: &mut self.book,
            digests: &self.digests,
            ignore: &self.ignore,
            forgets_unseen,
        };
        let known_at = |place| known.known(Side::Local, place).map(|row| row.map_err(LibraryError::from));
        match places {
            None => observe(overlay.walk(None)?, known_at(None), thorough, &mut observer),
            Some(places) => {
                let known = places.iter().flat_map(|place| known_at(Some(place)));
                observe(overlay.walk_each(places), known, thorough, &mut observer)
            }
        }
    }
}

/// These places in the order of paths, without those below others.
fn outermost(places: &[TreePath]) -> Vec<TreePath> {
    let mut sorted = places.to_vec();
    sorted.sort_unstable();
    sorted.dedup_by(|place, above| place.is_at_or_below(above));
    sorted
}

/// Writes what was seen to the index, a batch at a time.
struct ToIndex<'a> {
    overlay: &'a Overlay,
    index: &'a mut SqliteIndex,
    book: &'a mut LibraryBook,
    digests: &'a DigestQueue,
    ignore: &'a IgnoreRules,
    forgets_unseen: bool,
}

impl Observer for ToIndex<'_> {
    type Error = LibraryError;

    fn keeps_executable(&self) -> bool {
        self.overlay.keeps_executable()
    }

    fn is_ignored(&self, path: &TreePath, is_folder: bool) -> bool {
        self.ignore.is_ignored(path, is_folder)
    }

    fn forgets_unseen(&self) -> bool {
        self.forgets_unseen
    }

    fn hash(&mut self, files: Vec<Found>) -> Vec<Result<(TreePath, Entry), Blind>> {
        self.overlay.hash(files)
    }

    fn remember(&mut self, batch: Vec<Observation>) -> Result<(), LibraryError> {
        // Before the rows: what is known of a file is not read again.
        self.digests.store(self.book)?;
        let steps = batch.into_iter().map(|seen| IndexStep::Observe(Side::Local, seen)).collect();
        Ok(self.index.apply(steps)?)
    }

    fn progress(&mut self, _: &Tally) {}
}

/// Entries that could not be taken up and are named.
const UNSEEN_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_below_another_is_looked_at_once() {
        let places = ["b", "a/x", "a!", "a/x/y", "a", "b"].map(|place| TreePath::new(place).expect("a path"));
        let shown: Vec<_> = outermost(&places).iter().map(TreePath::to_string).collect();
        assert_eq!(shown, ["a", "a!", "b"]);
    }
}
