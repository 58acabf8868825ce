//! What users change in read-only mounts where the library shows something else: a file that others changed, or deleted. It is shown again, and
//! planned as a change of what the file was when it was hidden: so it is a conflict with what others made of it, and never lost.
//!
//! Absent here: what is hidden, and whether it changed (`swarm-mounts`).

use swarm_mounts::Changed;
use swarm_sync::{BaseEntry, Blind, BlindWhy, Entry, PerSide, ReplicaError, RunId, Side, TreePath};

use super::error::LibraryError;
use super::session::Session;
use crate::sentence::Sentence;

impl Session {
    /// Shows what users changed where it is hidden, at these places or everywhere. Returns where something is shown again: it is to be looked at.
    pub(super) fn uncover_edits(
        &mut self,
        places: Option<&[TreePath]>,
    ) -> Result<Vec<TreePath>, LibraryError> {
        if self.index.meta(HIDDEN_IS_KNOWN)?.is_none() {
            self.overlay.remember_hidden().map_err(LibraryError::Mounts)?;
            self.index.set_meta(HIDDEN_IS_KNOWN, "")?;
        }
        let everywhere = [None];
        let at: Vec<_> = places.unwrap_or_default().iter().map(Some).collect();
        let looked_at = if places.is_none() { &everywhere[..] } else { &at };
        let mut changed = Vec::new();
        for place in looked_at {
            let edits = self.overlay.changed_hidden(*place).map_err(LibraryError::Mounts)?;
            changed.extend(edits.changed);
            for Blind { path, why } in edits.blind.into_iter().filter(|blind| blind.why != BlindWhy::Changing)
            {
                self.note_unseen_at(&path, unshown(&why.to_string()).because((&why).into()));
            }
            self.covered.retain(|path| place.is_some_and(|place| !path.is_at_or_below(place)));
        }
        self.overlay.remember_shadowed().map_err(LibraryError::Mounts)?;
        let mut uncovered = Vec::new();
        for changed in changed {
            if self.uncover(&changed)? {
                uncovered.push(changed.path);
            } else {
                self.covered.insert(changed.path);
            }
        }
        Ok(uncovered)
    }

    /// Shows one file again; not while what covers it has changes that nobody was told of.
    fn uncover(&mut self, changed: &Changed) -> Result<bool, LibraryError> {
        let Changed { path, was } = changed;
        let shown = self.index.entry(Side::Local, path)?;
        let kind_of = |entry: &Option<Entry>| entry.as_ref().map(|entry| entry.kind.clone());
        let agreed = self.index.base(path)?;
        if kind_of(&shown) != agreed.as_ref().map(|agreed| agreed.kind.clone()) {
            let why = "it changed in a read-only folder, and so did what is shown in its place: it is shown once others have that change";
            self.note_unseen_at(path, Sentence::new("both-covered", [], why));
            return Ok(false);
        }
        let ids = PerSide { local: None, remote: None };
        let base =
            was.as_ref().map(|was| BaseEntry { kind: was.kind.clone(), modified_ns: was.modified_ns, ids });
        // Until it is looked at: what the index knows of it is from before.
        self.blind.local.push(Blind { path: path.clone(), why: BlindWhy::Changing });
        // First: without it, what others made of the file would be overwritten by this one.
        self.book.set_agreed(path, base.as_ref())?;
        let run: RunId = self.next_run();
        match self.overlay.uncover(run, path, shown.as_ref()) {
            Ok(kept) => {
                let hash = shown.as_ref().and_then(Entry::file).map(|file| file.hash);
                if let (Some(kept), Some(hash)) = (kept, hash) {
                    self.arrivals.insert_kept(hash, kept);
                }
                tracing::info!(library = %self.settings.name, %path, "a file of a read-only folder that was hidden has changed: it is shown again");
                Ok(true)
            }
            Err(error) if error.ends_run() => Err(LibraryError::Mounts(error)),
            Err(error) => {
                self.book.set_agreed(path, agreed.as_ref())?;
                self.blind.local.pop();
                self.note_covered(path, &error);
                Ok(false)
            }
        }
    }

    fn note_covered(&mut self, path: &TreePath, error: &ReplicaError) {
        let why = match error {
            ReplicaError::Changed { .. } | ReplicaError::NotEmpty { .. } => {
                let why = "it changed in a read-only folder, and something else stands at its place or above it: move one of the two";
                Sentence::new("covered", [], why)
            }
            other => unshown(&format!("cannot be shown: {other}")).because(other.into()),
        };
        self.note_unseen_at(path, why);
    }
}

fn unshown(why: &str) -> Sentence {
    Sentence::new("covered-unshown", [], format!("it changed in a read-only folder, and {why}"))
}

/// A setting: all that was hidden before is remembered.
const HIDDEN_IS_KNOWN: &str = "hidden files are known";
