//! Votes about changes that a policy holds: which are kept, what they come to, and this node's own. Invariant: a proposal ends once, and what
//! was approved holds before it is noted as ended. Absent here: the counting itself (`swarm-library`).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use swarm_core::base::NodeId;
use swarm_index::{KnownProposal, ProposalEnd};
use swarm_library::{
    Cause, Commit, CommitId, Need, Outcome, Proposal, SignedVote, Subject, Verdict, VoteSet, VoteTaken,
};

use super::Worker;
use super::due::Due;
use crate::clock;
use crate::library::ask::Answer;
use crate::library::error::LibraryError;

impl Worker {
    pub(super) fn take_votes(&mut self, votes: &[SignedVote], due: &mut Due) -> Result<(), LibraryError> {
        let mut by_commit: BTreeMap<CommitId, Vec<&SignedVote>> = BTreeMap::new();
        for signed in votes {
            by_commit.entry(signed.vote().subject.commit).or_default().push(signed);
        }
        for (id, votes) in by_commit {
            due.tally |= self.keep_votes(&id, &votes)?;
        }
        Ok(())
    }

    /// Keeps votes about a commit that is known. Returns whether they say anything new. The commit and what is kept about it are read once
    /// for all of them: the signature of the commit is checked each time.
    fn keep_votes(&mut self, id: &CommitId, votes: &[&SignedVote]) -> Result<bool, LibraryError> {
        let Some(bytes) = self.session.book.commit_by_id(id)? else { return Ok(false) };
        let need = Need { votes: 0, cause: Cause::Bulk };
        let proposal = Proposal::of(&Commit::decode(bytes)?, need, &self.session.signer.policy);
        let trusted = |node: &NodeId| self.authors.contains(node);
        let known = self.votes_about(id)?;
        let mut set = VoteSet::default();
        for vote in known.iter().cloned() {
            let _ = set.take(&proposal, vote, &trusted);
        }
        let mut changed = BTreeSet::new();
        for &signed in votes {
            if set.take(&proposal, signed.clone(), &trusted) == VoteTaken::New {
                changed.insert(signed.vote().voter);
            }
        }
        if changed.is_empty() {
            return Ok(false);
        }
        // One that made room goes.
        let voters = known.iter().map(|vote| vote.vote().voter);
        changed.extend(voters.filter(|voter| set.of(voter).next().is_none()));
        for voter in changed {
            let kept: Vec<Bytes> = set.of(&voter).map(SignedVote::encode).collect();
            self.session.book.put_votes(id, &voter, &kept)?;
        }
        self.has_new_votes = true;
        Ok(true)
    }

    fn votes_about(&self, id: &CommitId) -> Result<Vec<SignedVote>, LibraryError> {
        // Two of each voter at most.
        let votes = self.session.book.votes(Some(id), 2 * swarm_library::limits::VOTES_PER_PROPOSAL_MAX)?;
        Ok(votes.into_iter().filter_map(|bytes| SignedVote::decode_kept(bytes.into()).ok()).collect())
    }

    /// Counts the votes about what is held, and does what they come to. Returns whether any of it ended.
    pub(super) fn tally(&mut self) -> Result<bool, LibraryError> {
        let mut has_ended = self.end_void()?;
        let (me, now_ms) = (self.session.signer.key.public(), clock::now_ms());
        let policy = self.session.signer.policy;
        // One that came to nothing is looked at again when votes come: they may have been signed in time.
        let with_ended = self.has_new_votes;
        for known in self.session.book.proposals(with_ended)? {
            if known.ended.is_some_and(|(end, _)| end == ProposalEnd::Approved) {
                continue;
            }
            let proposal = known.proposal(self.library, &policy);
            let mut votes = self.votes_about(&known.id)?;
            let trusted = |node: &NodeId| self.authors.contains(node);
            let mut outcome = proposal.tally(&votes, &trusted, now_ms, known.seen_at_ms);
            if matches!(outcome, Outcome::Approved) {
                // A damaged index approves nothing.
                votes.retain(SignedVote::is_signed);
                outcome = proposal.tally(&votes, &trusted, now_ms, known.seen_at_ms);
            }
            let end = match outcome {
                Outcome::Waiting { .. } => continue,
                Outcome::Approved => ProposalEnd::Approved,
                Outcome::Refused { .. } => ProposalEnd::Refused,
                Outcome::Expired => ProposalEnd::Expired,
                Outcome::Withdrawn => ProposalEnd::Withdrawn,
            };
            if end == ProposalEnd::Approved {
                self.session.take_held(&known.id)?;
                self.has_new_versions = true;
            } else if known.ended.is_some() {
                continue;
            }
            // What this disk shows may not be what the view says any more: the next pass brings it back.
            self.session.book.end_proposal(&known.id, end, &me, now_ms)?;
            has_ended = true;
        }
        self.has_new_votes = false;
        Ok(has_ended)
    }

    /// Ends proposals that would change nothing any more. Returns whether there were any.
    fn end_void(&mut self) -> Result<bool, LibraryError> {
        let mut has_ended = false;
        if !self.has_new_versions {
            return Ok(false);
        }
        let (me, now_ms) = (self.session.signer.key.public(), clock::now_ms());
        for known in self.session.book.proposals(false)? {
            if self.session.drop_void(&known)? {
                self.session.book.end_proposal(&known.id, ProposalEnd::Superseded, &me, now_ms)?;
                has_ended = true;
            }
        }
        self.has_new_versions = false;
        Ok(has_ended)
    }

    pub(super) fn vote(
        &mut self,
        prefix: &str,
        verdict: Verdict,
        why: &str,
        due: &mut Due,
    ) -> Result<Answer, LibraryError> {
        // What has ended here may still wait elsewhere for a yes of this node; and where it is void here, as what it is about changed or is done
        // already by versions that others do not take, for any word of it.
        let is_meant = |known: &KnownProposal| match known.ended {
            None | Some((ProposalEnd::Superseded, _)) => true,
            Some(_) => verdict == Verdict::Yes,
        };
        let proposals = self.session.book.proposals(true)?;
        let found: Vec<_> = proposals
            .iter()
            .filter(|known| is_meant(known) && known.id.to_string().starts_with(prefix))
            .collect();
        let [known] = found.as_slice() else {
            let count = found.len();
            return Ok(Answer::refused(format!(
                "{count} proposals begin with `{prefix}`: see `swarm approvals`"
            )));
        };
        let me = self.session.signer.key.public();
        if verdict == Verdict::Withdrawn && known.author != me {
            return Ok(Answer::refused("only its author withdraws a proposal: refuse it instead".to_owned()));
        }
        let subject = Subject { library: self.library, commit: known.id, records_hash: known.records_hash };
        let votes = self.votes_about(&known.id)?;
        let mine = votes.iter().map(SignedVote::vote).filter(|vote| vote.voter == me);
        let after = mine.map(|vote| vote.made_at_ms + 1).max().unwrap_or(0);
        let vote =
            SignedVote::sign(&self.session.signer.key, subject, verdict, why, clock::now_ms().max(after));
        due.tally |= self.keep_votes(&vote.vote().subject.commit, &[&vote])?;
        Ok(Answer::Done)
    }
}
