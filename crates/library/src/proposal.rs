//! Commits that are held, and whether the votes about them suffice. Invariant: the outcome depends on the set of votes, not on the order in
//! which they came, and only distinct trusted voters count. A change that this node has made is not undone by a vote: the caller stores that.

use std::collections::BTreeMap;

use swarm_core::base::NodeId;

use crate::limits::VOTES_PER_PROPOSAL_MAX;
use crate::{Commit, Need, Policy, SignedVote, Subject, Verdict};

/// A commit of which records are held, and what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// What votes have to name.
    pub subject: Subject,
    /// Who signed the commit: one yes.
    pub author: NodeId,
    /// Yes in all.
    pub needed: u32,
    /// Whether one no refuses it.
    pub refused_by_one: bool,
    /// Milliseconds for which it waits on this node; `None`: for ever.
    pub waits_ms: Option<u64>,
}

/// Where a proposal stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It waits for more yes.
    Waiting {
        /// Yes of trusted voters.
        yes: u32,
        /// Yes in all.
        needed: u32,
    },
    /// Enough trusted voters agree.
    Approved,
    /// A trusted voter refused it, and the policy lets one do so.
    Refused {
        /// Who; of several, the one with the least id.
        by: NodeId,
        /// For people.
        why: String,
    },
    /// It did not get its votes in time.
    Expired,
    /// Its author does not want it any more.
    Withdrawn,
}

/// Who said what, of the voters that count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ballots {
    /// Those that agree, by id.
    pub yes: Vec<NodeId>,
    /// Those that do not, by id, with their reasons.
    pub no: Vec<(NodeId, String)>,
    /// Whether the author withdrew it.
    pub is_withdrawn: bool,
}

/// The votes about one proposal, one of each voter: those of untrusted ones are carried for peers that trust them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VoteSet(BTreeMap<NodeId, SignedVote>);

/// What became of a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoteTaken {
    /// It is kept, and to be passed on.
    New,
    /// It says no more than a vote of its voter that was known.
    Known,
    /// It is about something else, or withdraws a commit of another author.
    Void,
    /// There is no room for another voter.
    Full,
}

impl Proposal {
    /// The proposal of a commit of which a record has this need: the greatest need of its records.
    pub fn of(commit: &Commit, need: Need, policy: &Policy) -> Self {
        Self {
            subject: Subject::of(commit),
            author: commit.header().author,
            needed: need.votes,
            refused_by_one: policy.refused_by_one,
            waits_ms: (policy.expiry_days > 0).then_some(u64::from(policy.expiry_days) * DAY_MS),
        }
    }

    /// Whether a vote says something about it, whoever is trusted.
    pub fn concerns(&self, vote: &SignedVote) -> bool {
        let vote = vote.vote();
        let is_allowed = vote.verdict != Verdict::Withdrawn || vote.voter == self.author;
        vote.subject == self.subject && is_allowed
    }

    /// Who said what. Of the votes of one voter the last one counts.
    pub fn ballots<'a>(
        &self,
        votes: impl IntoIterator<Item = &'a SignedVote>,
        trusted: &dyn Fn(&NodeId) -> bool,
    ) -> Ballots {
        let mut last: BTreeMap<NodeId, Option<&SignedVote>> = BTreeMap::new();
        // Its author signed the commit, and need not vote for it.
        if trusted(&self.author) {
            last.insert(self.author, None);
        }
        for vote in votes.into_iter().filter(|vote| self.concerns(vote) && trusted(&vote.vote().voter)) {
            let slot = last.entry(vote.vote().voter).or_default();
            if slot.is_none_or(|known| is_after(vote, known)) {
                *slot = Some(vote);
            }
        }
        let mut ballots = Ballots::default();
        for (voter, vote) in last {
            ballots.add(voter, vote);
        }
        ballots
    }

    /// Where it stands at `now_ms`. This node saw it first at `seen_at_ms`, by its own clock: the clocks of others decide nothing.
    pub fn tally<'a>(
        &self,
        votes: impl IntoIterator<Item = &'a SignedVote>,
        trusted: &dyn Fn(&NodeId) -> bool,
        now_ms: u64,
        seen_at_ms: u64,
    ) -> Outcome {
        let ballots = self.ballots(votes, trusted);
        let yes = ballots.yes.len() as u32;
        let refusal = ballots.no.into_iter().next().filter(|_| self.refused_by_one);
        match refusal {
            _ if ballots.is_withdrawn => Outcome::Withdrawn,
            Some((by, why)) => Outcome::Refused { by, why },
            None if self.is_expired(now_ms, seen_at_ms) => Outcome::Expired,
            None if yes >= self.needed => Outcome::Approved,
            None => Outcome::Waiting { yes, needed: self.needed },
        }
    }

    fn is_expired(&self, now_ms: u64, seen_at_ms: u64) -> bool {
        self.waits_ms.is_some_and(|waits_ms| now_ms.saturating_sub(seen_at_ms) >= waits_ms)
    }
}

impl Ballots {
    fn add(&mut self, voter: NodeId, vote: Option<&SignedVote>) {
        match vote.map(SignedVote::vote) {
            None => self.yes.push(voter),
            Some(vote) => match vote.verdict {
                Verdict::Yes => self.yes.push(voter),
                Verdict::No => self.no.push((voter, vote.why.clone())),
                Verdict::Withdrawn => self.is_withdrawn = true,
            },
        }
    }
}

impl VoteSet {
    /// Takes a vote about a proposal. Where there is no room, a trusted voter takes the place of an untrusted one.
    pub fn take(
        &mut self,
        proposal: &Proposal,
        vote: SignedVote,
        trusted: &dyn Fn(&NodeId) -> bool,
    ) -> VoteTaken {
        if !proposal.concerns(&vote) {
            return VoteTaken::Void;
        }
        let voter = vote.vote().voter;
        let known = self.0.get(&voter);
        if known.is_some_and(|known| !is_after(&vote, known)) {
            return VoteTaken::Known;
        }
        let is_room = known.is_some() || self.0.len() < VOTES_PER_PROPOSAL_MAX;
        if !(is_room || trusted(&voter) && self.evict(trusted)) {
            return VoteTaken::Full;
        }
        self.0.insert(voter, vote);
        VoteTaken::New
    }

    /// All votes, by voter.
    pub fn iter(&self) -> impl Iterator<Item = &SignedVote> {
        self.0.values()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn evict(&mut self, trusted: &dyn Fn(&NodeId) -> bool) -> bool {
        let last = self.0.keys().rfind(|voter| !trusted(voter)).copied();
        last.is_some_and(|voter| self.0.remove(&voter).is_some())
    }
}

/// Whether a vote takes the place of another one by the same voter. Of two with one time the stricter one stands, everywhere.
fn is_after(vote: &SignedVote, known: &SignedVote) -> bool {
    let key = |vote: &SignedVote| (vote.vote().made_at_ms, vote.vote().verdict, vote.id());
    key(vote) > key(known)
}

const DAY_MS: u64 = 24 * 3600 * 1000;

#[cfg(test)]
mod tests;
