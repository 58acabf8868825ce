//! What stands in the folders is looked at, at some places or everywhere. Invariant: what a look could not read is blind to the plan, and is
//! named; it is never taken for deleted. Absent here: how a folder is compared with what is known of it (`swarm-sync`).

use std::collections::BTreeSet;

use swarm_core::base::Shown;
use swarm_sync::{BlindWhy, Replica as _, Side, Tally, TreePath, observe_side};

use super::Session;
use crate::library::error::LibraryError;

impl Session {
    /// Looks at the mounts, at these places or everywhere.
    pub(crate) fn look(&mut self, places: Option<&[TreePath]>, thorough: bool) -> Result<(), LibraryError> {
        self.overlay.recover().map_err(LibraryError::Mounts)?;
        match places {
            None => {
                let tally = self.observe(None, thorough)?;
                self.unseen.clear();
                self.note_unseen(&tally);
                self.blind.local = tally.blind;
            }
            Some(places) => {
                for place in places {
                    self.look_at_one(place, thorough)?;
                }
            }
        }
        let before = self.unseen.clone();
        let uncovered = self.uncover_edits(places)?;
        let noted = self.unseen.iter().filter(|(path, _)| !before.contains_key(*path));
        let noted: Vec<_> = noted.map(|(path, why)| (path.clone(), why.clone())).collect();
        // The folders above may have been hidden with them.
        let tops: BTreeSet<TreePath> =
            uncovered.into_iter().map(|path| path.ancestors().last().unwrap_or(path)).collect();
        for top in tops {
            self.look_at_one(&top, false)?;
        }
        // Another look at the folders above says nothing of what is hidden there.
        self.unseen.extend(noted);
        self.digests.store(&mut self.book)?;
        Ok(())
    }

    /// What is known of other places stays.
    fn look_at_one(&mut self, place: &TreePath, thorough: bool) -> Result<(), LibraryError> {
        let tally = self.observe(Some(place), thorough)?;
        let at = Shown(place.as_str()).to_string();
        self.unseen.retain(|path, _| {
            path.strip_prefix(&at).is_none_or(|rest| !rest.is_empty() && !rest.starts_with('/'))
        });
        self.note_unseen(&tally);
        self.blind.local.retain(|blind| !blind.path.is_at_or_below(place));
        self.blind.local.extend(tally.blind);
        Ok(())
    }

    /// What is written to at this moment is seen by the next look.
    fn note_unseen(&mut self, tally: &Tally) {
        let blind = tally.blind.iter().filter(|blind| blind.why != BlindWhy::Changing);
        let blind = blind.map(|blind| (blind.path.to_string(), blind.why.to_string()));
        let unnamed = tally.unnamed.iter().map(|(path, why)| (path.clone(), why.to_string()));
        for (path, why) in blind.chain(unnamed) {
            if self.unseen.len() < UNSEEN_MAX {
                self.unseen.insert(path, why);
            }
        }
    }

    /// Notes one entry that is no part of the library.
    pub(in crate::library) fn note_unseen_at(&mut self, path: &TreePath, why: String) {
        if self.unseen.len() < UNSEEN_MAX {
            self.unseen.insert(path.to_string(), why);
        }
    }

    fn observe(&mut self, place: Option<&TreePath>, thorough: bool) -> Result<Tally, LibraryError> {
        let rules = self.ignore.clone();
        let is_ignored = move |path: &TreePath, is_folder: bool| rules.is_ignored(path, is_folder);
        self.with_run(&mut |_| {}, |run| {
            observe_side(run, Side::Local, place, thorough, &is_ignored).map_err(LibraryError::from)
        })
        .map(|(tally, _)| tally)
    }
}

/// Entries that could not be taken up and are named.
const UNSEEN_MAX: usize = 100;
