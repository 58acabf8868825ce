//! Commits that are held, and whether the votes about them suffice. Invariant: the outcome depends on the set of votes, not on the order in
//! which they came, and only distinct trusted voters count. Votes are judged by the times that they name: once enough agree at one of them, the
//! change is approved everywhere, and what anybody says later matters nowhere. A change that this node has made is not undone by a vote: the
//! caller stores that.

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
    /// Milliseconds since 1970, when its commit was made by its author's clock.
    pub made_at_ms: u64,
    /// Milliseconds for which it waits; `None`: for ever.
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

/// The votes about one proposal: of each voter the first yes and the last vote. Those of untrusted ones are carried for peers that trust them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VoteSet(BTreeMap<NodeId, Said>);

/// What one voter said.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    /// From this one on it agreed, until the last vote if that is none.
    first_yes: Option<SignedVote>,
    last: SignedVote,
}

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
            made_at_ms: commit.header().made_at_ms,
            waits_ms: policy.waits_ms(),
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
        let mut ballots = Ballots::default();
        for (voter, said) in self.said(votes, trusted) {
            ballots.add(voter, said.as_ref().map(|said| &said.last));
        }
        ballots
    }

    /// Where it stands at `now_ms`. This node saw it first at `seen_at_ms`, by its own clock.
    pub fn tally<'a>(
        &self,
        votes: impl IntoIterator<Item = &'a SignedVote>,
        trusted: &dyn Fn(&NodeId) -> bool,
        now_ms: u64,
        seen_at_ms: u64,
    ) -> Outcome {
        let said = self.said(votes, trusted);
        let is_expired = self.is_expired(now_ms, seen_at_ms);
        if self.agreed_at_ms(&said).is_some_and(|at_ms| !is_expired || self.is_in_time(at_ms)) {
            return Outcome::Approved;
        }
        let mut ballots = Ballots::default();
        for (voter, said) in &said {
            ballots.add(*voter, said.as_ref().map(|said| &said.last));
        }
        let yes = ballots.yes.len() as u32;
        match ballots.no.into_iter().next().filter(|_| self.refused_by_one) {
            _ if ballots.is_withdrawn => Outcome::Withdrawn,
            Some((by, why)) => Outcome::Refused { by, why },
            None if is_expired => Outcome::Expired,
            None => Outcome::Waiting { yes, needed: self.needed },
        }
    }

    /// What each trusted voter said; nothing of the author that did not vote, whose signature is a yes.
    fn said<'a>(
        &self,
        votes: impl IntoIterator<Item = &'a SignedVote>,
        trusted: &dyn Fn(&NodeId) -> bool,
    ) -> BTreeMap<NodeId, Option<Said>> {
        let mut all: BTreeMap<NodeId, Option<Said>> = BTreeMap::new();
        if trusted(&self.author) {
            all.insert(self.author, None);
        }
        for vote in votes.into_iter().filter(|vote| self.concerns(vote) && trusted(&vote.vote().voter)) {
            let slot = all.entry(vote.vote().voter).or_default();
            *slot = Some(match slot.take() {
                None => Said::of(vote.clone()),
                Some(said) => said.with(vote.clone()),
            });
        }
        all
    }

    /// The first time at which enough agreed, before anybody stopped it.
    fn agreed_at_ms(&self, said: &BTreeMap<NodeId, Option<Said>>) -> Option<u64> {
        let spans: Vec<(u64, u64)> =
            said.iter().filter_map(|(voter, said)| self.agrees_in(voter, said.as_ref())).collect();
        let stops = said.values().flatten().map(|said| said.last.vote()).filter(|last| match last.verdict {
            Verdict::Yes => false,
            Verdict::No => self.refused_by_one,
            Verdict::Withdrawn => true,
        });
        let stopped_at_ms = stops.map(|last| last.made_at_ms).min().unwrap_or(u64::MAX);
        let count =
            |at_ms: u64| spans.iter().filter(|(from, until)| (*from..*until).contains(&at_ms)).count();
        let times = spans.iter().map(|(from, _)| *from).filter(|at_ms| *at_ms < stopped_at_ms);
        times.filter(|at_ms| count(*at_ms) >= self.needed as usize).min()
    }

    /// From when on a voter agrees, and until when.
    fn agrees_in(&self, voter: &NodeId, said: Option<&Said>) -> Option<(u64, u64)> {
        let Some(said) = said else { return Some((0, u64::MAX)) };
        let first_ms = said.first_yes.as_ref().map(|vote| vote.vote().made_at_ms);
        // Its author signed it.
        let from_ms = if *voter == self.author { Some(0) } else { first_ms };
        let last = said.last.vote();
        Some((from_ms?, if last.verdict == Verdict::Yes { u64::MAX } else { last.made_at_ms }))
    }

    fn is_expired(&self, now_ms: u64, seen_at_ms: u64) -> bool {
        self.waits_ms.is_some_and(|waits_ms| now_ms.saturating_sub(seen_at_ms) >= waits_ms)
    }

    /// Whether an agreement that is heard of late came before the change had waited too long.
    fn is_in_time(&self, at_ms: u64) -> bool {
        self.waits_ms.is_none_or(|waits_ms| at_ms < self.made_at_ms.saturating_add(waits_ms))
    }
}

impl Said {
    fn of(vote: SignedVote) -> Self {
        let first_yes = Some(vote.clone()).filter(|vote| vote.vote().verdict == Verdict::Yes);
        Self { first_yes, last: vote }
    }

    /// With another vote of the same voter.
    fn with(self, vote: SignedVote) -> Self {
        let other = Self::of(vote);
        let key = |vote: &SignedVote| (vote.vote().made_at_ms, vote.id());
        let first_yes = [self.first_yes, other.first_yes].into_iter().flatten().min_by_key(key);
        let last = if is_after(&other.last, &self.last) { other.last } else { self.last };
        Self { first_yes, last }
    }

    /// One vote, or two.
    fn votes(&self) -> impl Iterator<Item = &SignedVote> {
        self.first_yes.iter().filter(|first| **first != self.last).chain([&self.last])
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
        if let Some(known) = self.0.get(&voter) {
            let said = known.clone().with(vote);
            let is_new = said != *known;
            self.0.insert(voter, said);
            return if is_new { VoteTaken::New } else { VoteTaken::Known };
        }
        let is_room = self.0.len() < VOTES_PER_PROPOSAL_MAX;
        if !(is_room || trusted(&voter) && self.evict(trusted)) {
            return VoteTaken::Full;
        }
        self.0.insert(voter, Said::of(vote));
        VoteTaken::New
    }

    /// All votes, by voter.
    pub fn iter(&self) -> impl Iterator<Item = &SignedVote> {
        self.0.values().flat_map(Said::votes)
    }

    /// The votes of one voter.
    pub fn of(&self, voter: &NodeId) -> impl Iterator<Item = &SignedVote> {
        self.0.get(voter).into_iter().flat_map(Said::votes)
    }

    /// How many voters there are.
    pub fn voters(&self) -> usize {
        self.0.len()
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

#[cfg(test)]
mod tests;
