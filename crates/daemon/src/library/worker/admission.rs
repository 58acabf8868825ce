//! Which commits are taken, and of whom: those of authors that count here change the view, those of others are carried within their share.
//! What changes who counts is here, too: trust, keys and the policy. Invariant: nothing more is taken of an author that signed two histories,
//! and a commit only if it follows the last known one of its author. Absent here: what a commit changes (`swarm-index`).

use std::collections::BTreeSet;

use swarm_core::base::NodeId;
use swarm_index::Stored;
use swarm_library::Commit;
use swarm_library::limits::AUTHORS_MAX;

use super::Worker;
use super::due::Due;
use crate::clock;
use crate::library::error::LibraryError;

impl Worker {
    pub(super) fn take_commit(&mut self, commit: &Commit, due: &mut Due) -> Result<(), LibraryError> {
        let (author, seq) = (commit.header().author, commit.header().seq);
        let admitted = self.admit(commit, due);
        if matches!(admitted, Ok(true)) {
            self.known.passed_over.remove(&author);
        } else {
            if self.known.passed_over.len() >= AUTHORS_MAX {
                self.known.passed_over.pop_first();
            }
            self.known.passed_over.insert(author, seq);
        }
        admitted.map(drop)
    }

    /// Makes the commits that were taken last one transaction. If that fails they are not here, and are asked for again.
    pub(super) fn end_batch(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        let Err(error) = self.session.book.end_batch() else { return };
        self.known.passed_over.extend(batch);
        match self.session.book.carried_lens() {
            Ok(lens) => {
                let strangers = lens.into_iter().filter(|(author, _)| !self.authors.contains(author));
                self.carrying.recount(strangers);
            }
            Err(error) => tracing::warn!(%error, "what is carried cannot be counted"),
        }
        self.is_complete_look_due = true;
        self.trouble(&error.into());
    }

    /// Returns whether the commit is here now.
    fn admit(&mut self, commit: &Commit, due: &mut Due) -> Result<bool, LibraryError> {
        let author = commit.header().author;
        match self.session.book.place_of(commit)? {
            Stored::Next => {}
            Stored::Known => return Ok(true),
            Stored::Gap => return Ok(false),
            Stored::Equivocation => {
                if self.known.equivocators.insert(author) {
                    tracing::warn!(
                        author = author.short(),
                        seq = commit.header().seq,
                        "an author signed two histories: nothing more is taken from it"
                    );
                }
                return Ok(false);
            }
        }
        if self.known.equivocators.contains(&author) {
            return Ok(false);
        }
        if commit.is_of_the_future(clock::now_ms()) {
            tracing::debug!(author = author.short(), "a commit is of the far future: it is not taken yet");
            return Ok(false);
        }
        let counts = self.authors.contains(&author);
        if !counts && commit.header().seq == 1 && self.has_all_strangers()? {
            tracing::debug!(
                author = author.short(),
                "a commit of a stranger is not kept: there are as many as may be"
            );
            return Ok(false);
        }
        if !counts && !self.carrying.takes(author, commit.encoded_len() as u64) {
            if self.known.full.insert(author) {
                tracing::warn!(
                    author = author.short(),
                    "no more commits of an author that does not count here are kept"
                );
            }
            return Ok(false);
        }
        self.session.book.begin_batch()?;
        let taken = self.session.take(commit, counts)?;
        self.batch.insert(author, commit.header().seq);
        self.has_new_versions |= counts;
        due.pass |= taken.changed > 0 || taken.disputed > 0;
        due.tally |= taken.held > 0;
        Ok(true)
    }

    /// Whether no further author that does not count is carried: those that count find room in any case.
    fn has_all_strangers(&self) -> Result<bool, LibraryError> {
        let known = self.session.book.frontier()?;
        Ok(known.iter().filter(|(author, ..)| !self.authors.contains(author)).count()
            >= STRANGERS_CARRIED_MAX)
    }

    pub(super) fn set_authors(
        &mut self,
        authors: BTreeSet<NodeId>,
        due: &mut Due,
    ) -> Result<(), LibraryError> {
        due.tally = true;
        self.carrying.forget(&authors);
        self.known.full.clone_from(self.carrying.full());
        self.is_carried_due |= !authors.is_subset(&self.authors);
        self.authors = authors;
        self.set_policy(due)?;
        self.look_after_keys(due)
    }

    /// Takes and gives keys, and takes the commits that a new key opens.
    pub(super) fn look_after_keys(&mut self, due: &mut Due) -> Result<(), LibraryError> {
        if self.session.look_after_keys(&self.authors)? {
            self.is_carried_due = true;
            due.pass = true;
        }
        Ok(())
    }

    /// Takes what was only carried so far, of authors that count. What cannot be taken now is taken by the next work.
    pub(super) fn take_all_carried(&mut self, due: &mut Due) -> Result<(), LibraryError> {
        let mut failed = None;
        for author in self.authors.clone() {
            match self.session.take_carried(&author) {
                Ok(taken) => {
                    (due.pass, due.tally) = (due.pass || taken > 0, due.tally || taken > 0);
                    self.has_new_versions |= taken > 0;
                }
                // It holds up no other author, and nothing of this disk.
                Err(error) => failed = Some(error),
            }
        }
        self.is_carried_due = failed.is_some();
        failed.map_or(Ok(()), Err)
    }

    pub(super) fn set_policy(&mut self, due: &mut Due) -> Result<(), LibraryError> {
        let has_changed = self.session.set_policy(&self.authors)?;
        (due.tally, due.pass) = (due.tally || has_changed, due.pass || has_changed);
        self.known.policy = self.session.signer.policy;
        self.known.is_policy_taken_over = self.session.settings.policy.is_none();
        Ok(())
    }
}

/// Authors that do not count and whose commits are carried for others: half of those that peers can be told of.
const STRANGERS_CARRIED_MAX: usize = swarm_library::limits::AUTHORS_MAX / 2;
