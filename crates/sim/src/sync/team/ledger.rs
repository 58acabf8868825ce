//! All that anybody in a world signed, for checkers: they judge by it, and not by what a daemon made of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use swarm_core::base::NodeId;
use swarm_library::{Commit, CommitId, Record, SignedVote, Verdict};

/// Shared by the daemons of a world.
#[derive(Clone, Default)]
pub(super) struct SharedLedger(Arc<Mutex<Ledger>>);

impl SharedLedger {
    pub(super) fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A commit that somebody signed.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    pub(super) author: NodeId,
    pub(super) seq: u64,
    pub(super) records: Vec<Record>,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) commits: BTreeMap<CommitId, Signed>,
    /// Who ever said yes to what.
    pub(super) yes: BTreeMap<CommitId, BTreeSet<NodeId>>,
    /// Commits that were read from their bytes once.
    pub(super) read: BTreeSet<CommitId>,
    /// All votes, for who sends them again.
    pub(super) votes: Vec<SignedVote>,
}

impl Ledger {
    pub(super) fn note(&mut self, commit: &Commit, records: &[Record]) {
        let (author, seq) = (commit.header().author, commit.header().seq);
        self.commits.insert(commit.id(), Signed { author, seq, records: records.to_vec() });
    }

    pub(super) fn note_vote(&mut self, vote: &SignedVote) {
        if vote.vote().verdict == Verdict::Yes {
            self.yes.entry(vote.vote().subject.commit).or_default().insert(vote.vote().voter);
        }
        self.votes.push(vote.clone());
    }

    /// Distinct nodes of these that ever said yes, the author included.
    pub(super) fn yes_of(&self, id: &CommitId, counts: impl Fn(&NodeId) -> bool) -> u32 {
        let Some(signed) = self.commits.get(id) else { return 0 };
        let mut all = self.yes.get(id).cloned().unwrap_or_default();
        all.insert(signed.author);
        all.iter().filter(|node| counts(node)).count() as u32
    }
}
