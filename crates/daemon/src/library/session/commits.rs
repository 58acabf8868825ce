//! Commits of peers in the memory of a library: taken, carried for others, or held until enough voted for them. Invariant: what is held changes
//! nothing in the view; a commit whose records cannot be read is carried alone. Absent here: whose commits count (`worker/admission`).

use std::collections::BTreeSet;

use swarm_core::base::NodeId;
use swarm_index::KnownProposal;
use swarm_library::{Commit, CommitError, CommitId, Record};

use super::Session;
use crate::clock;
use crate::library::error::LibraryError;
use crate::library::view_side::votes_of;

impl Session {
    /// Takes a commit that a peer sent and that follows its author's last one.
    pub(crate) fn take(&mut self, commit: &Commit, counts: bool) -> Result<swarm_index::Taken, LibraryError> {
        use swarm_index::Acceptance;
        let (me, now_ms) = (self.signer.key.public(), clock::now_ms());
        if counts && commit.header().key_epoch != 0 {
            self.signer.keys.require();
        }
        self.is_heard |= counts;
        let records = if counts && !self.settings.is_mirror { self.records_of(commit) } else { None };
        let Some(records) = records else {
            return Ok(self.book.take(commit, &Acceptance::CarryOnly, &me, now_ms)?);
        };
        let votes = votes_of(&self.signer.policy, &records, &self.book)?;
        let acceptance = Acceptance::Take { records: &records, votes: &votes };
        Ok(self.book.take(commit, &acceptance, &me, now_ms)?)
    }

    /// Takes commits of an author that were only carried so far. Returns how many.
    pub(crate) fn take_carried(&mut self, author: &NodeId) -> Result<usize, LibraryError> {
        if self.settings.is_mirror {
            return Ok(0);
        }
        let mut taken = 0;
        let (me, now_ms) = (self.signer.key.public(), clock::now_ms());
        let carried = self.book.carried_of(author)?;
        for seq in &carried {
            let Some(bytes) = self.book.commit(author, *seq)? else { continue };
            let commit = Commit::decode(bytes)?;
            let Some(records) = self.records_of(&commit) else { continue };
            let votes = votes_of(&self.signer.policy, &records, &self.book)?;
            self.book.take_carried(&commit, &records, &votes, &me, now_ms)?;
            taken += 1;
        }
        self.is_heard |= taken > 0;
        Ok(taken)
    }

    /// Goes by the policy of the library's file, or else by the strictest of the trusted peers'. What waits needs as many votes as it says
    /// now. Returns whether it changed.
    pub(crate) fn set_policy(&mut self, authors: &BTreeSet<NodeId>) -> Result<bool, LibraryError> {
        let told = || self.told_policies.strictest(&|node| authors.contains(node));
        let policy = self.settings.policy.unwrap_or_else(told);
        if policy == self.signer.policy {
            return Ok(false);
        }
        self.signer.policy = policy;
        for known in self.book.proposals(false)? {
            let Some(bytes) = self.book.commit_by_id(&known.id)? else { continue };
            let Some(records) = self.records_of(&Commit::decode(bytes)?) else { continue };
            let votes = votes_of(&policy, &records, &self.book)?;
            // The author alone is enough where nothing is held any more.
            let needed = votes.into_iter().max().unwrap_or(0).max(1);
            self.book.set_needed_votes(&known.id, needed)?;
        }
        Ok(true)
    }

    /// Records of a proposal that would change nothing any more wait no longer. Returns whether nothing is left that waits.
    pub(crate) fn drop_void(&mut self, known: &KnownProposal) -> Result<bool, LibraryError> {
        let me = self.signer.key.public();
        let Some(bytes) = self.book.commit_by_id(&known.id)? else { return Ok(false) };
        let Some(records) = self.records_of(&Commit::decode(bytes)?) else { return Ok(false) };
        let held = self.book.held_of(&known.author, known.seq, swarm_library::limits::COMMIT_RECORDS_MAX)?;
        let all = held.len();
        let mut void = Vec::new();
        for waiting in held {
            let Some(record) = records.get(waiting.place as usize) else { continue };
            if self.book.heads(&record.path)?.makes_void(&record.state, &record.vector) {
                void.push(waiting);
            }
        }
        if !void.is_empty() {
            self.book.drop_held(known, &void, &me)?;
        }
        Ok(void.len() == all)
    }

    /// The records of a proposal hold now.
    pub(crate) fn take_held(&mut self, id: &CommitId) -> Result<(), LibraryError> {
        let me = self.signer.key.public();
        let Some(bytes) = self.book.commit_by_id(id)? else { return Ok(()) };
        let commit = Commit::decode(bytes)?;
        let Some(records) = self.records_of(&commit) else { return Ok(()) };
        self.book.take_held(&commit, &records, &me)?;
        Ok(())
    }

    /// The records of a commit; `None` if they are sealed and cannot be opened, or its author signed something that no node can read: it counts
    /// for nothing then.
    pub(crate) fn records_of(&self, commit: &Commit) -> Option<Vec<Record>> {
        match self.signer.keys.records_of(commit) {
            Ok(records) => Some(records),
            Err(CommitError::Sealed) => None,
            Err(error) => {
                tracing::warn!(author = commit.header().author.short(), seq = commit.header().seq, %error, "a commit is not taken");
                None
            }
        }
    }

    /// How many commits this node signed that its index has not: it was lost. A commit that is signed before they are back would be one that
    /// nobody can take who lacks them.
    pub(crate) fn lacking_history(&self) -> Result<u64, LibraryError> {
        let memory = &self.signer.memory;
        let remembered = memory.read().map_err(LibraryError::state(memory.path(), "read"))?;
        let known = self.book.last_of(&self.signer.key.public())?;
        let seq_of = |last: Option<u64>| last.unwrap_or(0);
        Ok(seq_of(remembered.map(|last| last.seq)).saturating_sub(seq_of(known.map(|(seq, _)| seq))))
    }
}
