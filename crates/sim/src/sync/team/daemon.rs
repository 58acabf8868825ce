//! One daemon: takes commits by its own trust and policy, tallies votes, and makes passes between its folder and the view. Put together from
//! the product's parts, transaction by transaction. Absent here: what is checked about it.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use swarm_core::base::NodeId;
use swarm_core::manifest::SigningKey;
use swarm_library::{
    Commit, CommitId, Guid, LibraryKey, Need, Outcome, Permission, Policy, Proposal, Record, Role,
    SignedVote, Subject, Trust, Verdict, VoteTaken, counts,
};
use swarm_sync::TreePath;

use super::super::hub::Shared;
use super::book::{Book, Ended, Place, SharedBook, Waiting};
use super::bug::TeamBug;
use super::setup::{Part, policy};
use super::view::{Author, needs, now_ms};

/// A daemon of a world.
pub(super) struct Daemon {
    pub(super) at: usize,
    pub(super) part: Part,
    pub(super) key: Arc<SigningKey>,
    pub(super) id: NodeId,
    pub(super) book: SharedBook,
    /// Its policy now.
    pub(super) policy: usize,
    /// All policies that it ever had.
    pub(super) policies: BTreeSet<usize>,
    pub(super) trusted: BTreeSet<NodeId>,
    /// Authors that it no longer trusts, and the last commit of each that may have counted.
    pub(super) revoked: BTreeMap<NodeId, u64>,
    /// Whether it takes part.
    pub(super) is_here: bool,
}

/// What became of a commit that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    Taken,
    Carried,
    Known,
    Gap,
    /// It is not taken yet.
    Future,
    /// Its author has two histories.
    Forked,
    /// Its records are none.
    Bad,
}

impl Daemon {
    pub(super) fn new(at: usize, part: Part, policy: usize, bug: Option<TeamBug>) -> Self {
        let key = SigningKey::from_seed(&[at as u8 + 1; 32]);
        let id = key.public();
        Self {
            at,
            part,
            id,
            book: SharedBook::new(Book::new(id, bug)),
            key: Arc::new(key),
            policy,
            policies: BTreeSet::from([policy]),
            trusted: BTreeSet::from([id]),
            revoked: BTreeMap::new(),
            is_here: true,
        }
    }

    pub(super) fn author(&self) -> Author {
        let policy = policy(self.policy);
        Author { at: self.at, key: self.key.clone(), me: self.id, library: library(), policy }
    }

    /// Whether what an author signed may have counted here at some time.
    pub(super) fn may_count(&self, author: &NodeId, seq: u64) -> bool {
        self.trusted.contains(author) || self.revoked.get(author).is_some_and(|last| seq <= *last)
    }

    /// Whether what an author signs counts here, whoever passed it on.
    fn counts(&self, author: &NodeId, relay: &NodeId, permission: Permission) -> bool {
        let trust = |node| if self.trusted.contains(node) { Trust::Trusted } else { Trust::Untrusted };
        let by_author = counts(trust(author), trust(relay), Role::Editor, permission);
        let bug = self.book.lock().bug;
        by_author
            || match bug {
                Some(TeamBug::UntrustedCounts) => permission == Permission::Write,
                Some(TeamBug::UntrustedVotesCount) => permission == Permission::Vote,
                Some(TeamBug::RelayCounts) => self.trusted.contains(relay),
                Some(TeamBug::RevokedCounts) => self.revoked.contains_key(author),
                _ => false,
            }
    }

    /// Takes a commit that a peer passed on.
    pub(super) fn on_commit(&self, commit: &Commit, relay: &NodeId, now_ms: u64, others: &Policy) -> Came {
        let author = commit.header().author;
        let does_count = self.counts(&author, relay, Permission::Write);
        let mut book = self.book.lock();
        if book.forked.contains(&author) {
            return Came::Forked;
        }
        match book.place_of(commit) {
            Place::Known if book.has(TeamBug::CommitsTakenTwice) => {}
            Place::Known => return Came::Known,
            Place::Gap if book.has(TeamBug::GapsIgnored) => {}
            Place::Gap => return Came::Gap,
            Place::Equivocation if book.has(TeamBug::ForkFollowed) => return Came::Known,
            Place::Equivocation => {
                book.forked.insert(author);
                return Came::Forked;
            }
            Place::Next if commit.is_of_the_future(now_ms) => return Came::Future,
            Place::Next => {}
        }
        if !does_count {
            book.carry(commit);
            return Came::Carried;
        }
        let Ok(records) = commit.records() else {
            book.carry(commit);
            return Came::Bad;
        };
        let votes = self.needs(&book, &records, others);
        book.take_peer(commit, &records, &votes, now_ms);
        Came::Taken
    }

    fn needs(&self, book: &Book, records: &[Record], others: &Policy) -> Vec<u32> {
        match book.bug {
            Some(TeamBug::NothingIsHeld) => Vec::new(),
            Some(TeamBug::AuthorsPolicy) => needs(book, others, records),
            Some(TeamBug::DisguisedMoves) => {
                let named: BTreeSet<&TreePath> =
                    records.iter().filter_map(|record| record.moved_from.as_ref()).collect();
                let needs = needs(book, &policy(self.policy), records).into_iter();
                let is_named = |record: &Record| named.contains(&record.path);
                needs.zip(records).map(|(need, record)| if is_named(record) { 0 } else { need }).collect()
            }
            _ => needs(book, &policy(self.policy), records),
        }
    }

    /// Takes what was carried of an author that is trusted now.
    pub(super) fn trust(&mut self, whom: NodeId, now_ms: u64) {
        self.trusted.insert(whom);
        self.revoked.remove(&whom);
        let mut book = self.book.lock();
        if book.has(TeamBug::CarriedForgotten) {
            return;
        }
        for commit in book.carried_of(&whom) {
            let Ok(records) = commit.records() else { continue };
            let votes = needs(&book, &policy(self.policy), &records);
            book.take_carried(&commit, &records, &votes, now_ms);
        }
    }

    /// Believes an author nothing more.
    pub(super) fn distrust(&mut self, whom: NodeId) {
        if self.trusted.remove(&whom) {
            let last = self.book.lock().last_of(&whom).map_or(0, |(seq, _)| seq);
            self.revoked.insert(whom, last);
        }
    }

    /// Takes another policy. What waits is judged anew; what was taken stays.
    pub(super) fn set_policy(&mut self, which: usize) {
        self.policy = which;
        self.policies.insert(which);
        let mut book = self.book.lock();
        let open: Vec<CommitId> = open(&book);
        for id in open {
            let Some(commit) = book.proposals.get(&id).map(|waiting| waiting.commit.clone()) else {
                continue;
            };
            let Ok(records) = commit.records() else { continue };
            let votes = needs(&book, &policy(which), &records);
            let most = book.held_of(&commit).iter().map(|(index, _)| votes[*index as usize]).max();
            if let Some(waiting) = book.proposals.get_mut(&id) {
                waiting.votes = most.unwrap_or(0);
            }
            if book.has(TeamBug::PolicyForgetsHeld) {
                book.end_proposal(&id, Ended::Approved, false);
            }
        }
    }

    /// What a vote about a commit says about; the number of votes matters to a tally alone.
    fn proposal(&self, commit: &Commit, votes: u32) -> Proposal {
        let need = Need { votes, cause: swarm_library::Cause::Deletion };
        Proposal::of(commit, need, &policy(self.policy))
    }

    /// Keeps votes about commits that are known. Tells how many were new.
    pub(super) fn on_votes(&self, votes: &[SignedVote]) -> usize {
        let mut book = self.book.lock();
        let is_new = |vote: &&SignedVote| self.take_vote(&mut book, vote) == VoteTaken::New;
        votes.iter().filter(is_new).count()
    }

    fn take_vote(&self, book: &mut Book, vote: &SignedVote) -> VoteTaken {
        let Some(commit) = book.commit_by_id(&vote.vote().subject.commit) else { return VoteTaken::Void };
        let proposal = self.proposal(&commit, 0);
        let is_first = book.has(TeamBug::FirstVoteStands);
        let votes = book.votes.entry(commit.id()).or_default();
        if is_first && votes.iter().any(|known| known.vote().voter == vote.vote().voter) {
            return VoteTaken::Known;
        }
        votes.take(&proposal, vote.clone(), &|node| self.trusted.contains(node))
    }

    /// Signs a vote about a proposal that waits here.
    pub(super) fn vote(&self, id: &CommitId, verdict: Verdict, now_ms: u64) -> Option<SignedVote> {
        let mut book = self.book.lock();
        let commit = book.proposals.get(id)?.commit.clone();
        let own = book.votes.get(id).into_iter().flat_map(swarm_library::VoteSet::iter);
        let last = own.filter(|vote| vote.vote().voter == self.id).map(|vote| vote.vote().made_at_ms).max();
        let made_at_ms = last.map_or(now_ms, |last| now_ms.max(last + 1));
        let vote = SignedVote::sign(&self.key, Subject::of(&commit), verdict, "", made_at_ms);
        let _ = self.take_vote(&mut book, &vote);
        Some(vote)
    }

    /// Looks whether the votes about each proposal suffice; takes or drops its records. A kill may come between two transactions, and does
    /// after so many of them.
    pub(super) fn tally(&self, hub: &Shared, transactions: u32) -> usize {
        let open: Vec<CommitId> = unsettled(&self.book.lock());
        let (is_over, mut count) = (Cell::new(false), 0);
        let is_dead = || {
            is_over.set(is_dead(hub, transactions));
            is_over.get()
        };
        for id in open {
            count += usize::from(!is_over.get() && self.tally_one(hub, &id, &is_dead));
        }
        count
    }

    fn tally_one(&self, hub: &Shared, id: &CommitId, is_dead: &dyn Fn() -> bool) -> bool {
        let Some((end, commit)) = self.outcome(id, now_ms(hub, self.at)) else { return false };
        let before = self.book.lock().proposals.get(id).and_then(|waiting| waiting.ended);
        if before.is_some() && end != Ended::Approved {
            return false;
        }
        if before.is_some() {
            hub.lock().count("proposal approved after it had come to nothing");
        }
        hub.lock().count(word_of(end));
        hub.lock().tell(format_args!("  daemon {} ends a proposal: {end:?}", self.at));
        let mut book = self.book.lock();
        let bug = book.bug;
        if end == Ended::Approved || bug == Some(TeamBug::RefusedIsTaken) {
            book.take_held(&commit);
        }
        drop(book);
        if is_dead() {
            return true;
        }
        let is_whole = !matches!(bug, Some(TeamBug::RowsNotRestored | TeamBug::EndedBeforeRestored));
        let paths = self.book.lock().end_proposal(id, end, is_whole);
        if bug == Some(TeamBug::EndedBeforeRestored) && !is_dead() {
            paths.iter().for_each(|path| self.book.lock().restore_row(path));
        }
        true
    }

    fn outcome(&self, id: &CommitId, now_ms: u64) -> Option<(Ended, Commit)> {
        let book = self.book.lock();
        let waiting = book.proposals.get(id)?.clone();
        let bug = book.bug;
        let mut needed = waiting.votes;
        let mut votes: Vec<SignedVote> =
            book.votes.get(id).into_iter().flat_map(|votes| votes.iter().cloned()).collect();
        if bug == Some(TeamBug::VotesOfOtherCommits) {
            let all: BTreeSet<NodeId> =
                book.votes.values().flat_map(|votes| votes.iter().map(|vote| vote.vote().voter)).collect();
            needed =
                needed.saturating_sub(all.iter().filter(|node| self.trusted.contains(*node)).count() as u32);
        }
        if bug == Some(TeamBug::OneVoteLess) {
            needed -= 1;
        }
        let is_by_author = |vote: &SignedVote| vote.vote().voter == waiting.commit.header().author;
        if bug == Some(TeamBug::AuthorCountsTwice) && votes.iter().any(is_by_author) {
            needed -= 1;
        }
        if bug == Some(TeamBug::NoIsYes) {
            let noes = votes.iter().filter(|vote| vote.vote().verdict == Verdict::No).count() as u32;
            votes.retain(|vote| vote.vote().verdict != Verdict::No);
            needed = needed.saturating_sub(noes);
        }
        drop(book);
        let proposal = self.proposal(&waiting.commit, needed);
        let trusted = |node: &NodeId| self.counts(node, node, Permission::Vote);
        let end = match proposal.tally(&votes, &trusted, now_ms, waiting.seen_at_ms) {
            Outcome::Waiting { .. } => return None,
            Outcome::Approved => Ended::Approved,
            Outcome::Refused { .. } => Ended::Refused,
            Outcome::Expired => Ended::Expired,
            Outcome::Withdrawn => Ended::Withdrawn,
        };
        Some((end, waiting.commit))
    }
}

/// Proposals that wait.
pub(super) fn open(book: &Book) -> Vec<CommitId> {
    book.proposals.iter().filter(|(_, waiting)| waiting.ended.is_none()).map(|(id, _)| *id).collect()
}

/// Proposals of which votes may still change something.
fn unsettled(book: &Book) -> Vec<CommitId> {
    let is_so = |waiting: &Waiting| waiting.ended != Some(Ended::Approved);
    book.proposals.iter().filter(|(_, waiting)| is_so(waiting)).map(|(id, _)| *id).collect()
}

/// Between two transactions something may happen.
fn is_dead(hub: &Shared, transactions: u32) -> bool {
    let mut hub = hub.lock();
    hub.advance();
    hub.running.as_ref().is_some_and(|running| running.is_dead || running.effects > transactions)
}

fn word_of(end: Ended) -> &'static str {
    match end {
        Ended::Approved => "proposal approved",
        Ended::Refused => "proposal refused",
        Ended::Expired => "proposal expired",
        Ended::Withdrawn => "proposal withdrawn",
    }
}

/// The one library of a world.
pub(super) fn library() -> LibraryKey {
    Guid::new("team").unwrap_or_else(|fault| unreachable!("{fault}")).key()
}
