use std::collections::BTreeSet;

use proptest::prelude::*;
use swarm_core::manifest::SigningKey;

use super::*;
use crate::{CommitId, Guid};

fn key(name: char) -> SigningKey {
    SigningKey::from_seed(&[name as u8; 32])
}

fn subject(library: &str, commit: u8, records: u8) -> Subject {
    let library = Guid::new(library).expect("a GUID").key();
    Subject { library, commit: CommitId([commit; 32]), records_hash: [records; 32] }
}

/// The proposal of `a` that needs so many yes.
fn proposal(needed: u32, refused_by_one: bool) -> Proposal {
    let author = key('a').public();
    let subject = subject("lib", 1, 1);
    Proposal { subject, author, needed, refused_by_one, made_at_ms: 0, waits_ms: Some(8) }
}

/// `b+3` is the yes of b at 3, `-` a no, `~` a withdrawal.
fn vote(text: &str) -> SignedVote {
    let letters: Vec<char> = text.chars().collect();
    let verdict = match letters[1] {
        '+' => Verdict::Yes,
        '-' => Verdict::No,
        '~' => Verdict::Withdrawn,
        other => panic!("no verdict: {other}"),
    };
    let at = u64::from(letters[2].to_digit(10).expect("a digit"));
    SignedVote::sign(&key(letters[0]), subject("lib", 1, 1), verdict, text, at)
}

fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Waiting { yes, needed } => format!("{yes}/{needed}"),
        Outcome::Approved => "approved".to_owned(),
        Outcome::Refused { why, .. } => format!("refused {why}"),
        Outcome::Expired => "expired".to_owned(),
        Outcome::Withdrawn => "withdrawn".to_owned(),
    }
}

fn tally(proposal: &Proposal, votes: &[SignedVote], trusted: &str, now_ms: u64) -> Outcome {
    let trusted: BTreeSet<NodeId> = trusted.chars().map(|name| key(name).public()).collect();
    proposal.tally(votes, &|node| trusted.contains(node), now_ms, 100)
}

/// What comes of votes about a change of `a`, if these nodes are trusted: with three yes needed, and one no enough or not.
fn check(trusted: &str, votes: &str, one_refuses: &str, none_refuses: &str) {
    let votes: Vec<SignedVote> = votes.split_whitespace().map(vote).collect();
    for (refused_by_one, expected) in [(true, one_refuses), (false, none_refuses)] {
        let outcome = tally(&proposal(3, refused_by_one), &votes, trusted, 105);
        assert_eq!(shown(&outcome), expected, "{trusted}: {votes:?}");
    }
}

#[test]
fn distinct_trusted_voters_count_and_the_author_is_one() {
    check("abcd", "", "1/3", "1/3");
    check("abcd", "b+1", "2/3", "2/3");
    check("abcd", "b+1 c+1", "approved", "approved");
    check("abcd", "b+1 b+2 b+3", "2/3", "2/3");
    check("abcd", "a+1 a+2 b+1", "2/3", "2/3");
    check("bcd", "b+1 c+1", "2/3", "2/3");
    check("bcd", "a+1 b+1 c+1", "2/3", "2/3");
    check("a", "b+1 c+1 d+1", "1/3", "1/3");
    check("", "a+1 b+1 c+1 d+1", "0/3", "0/3");
}

#[test]
fn a_no_refuses_if_the_policy_says_so_and_an_untrusted_one_never_does() {
    check("abcd", "b-1", "refused b-1", "1/3");
    check("abcd", "b-1 c+1 d+1", "refused b-1", "approved");
    check("acd", "b-1 c+1 d+1", "approved", "approved");
    check("abcd", "a-1 b+1 c+1", "refused a-1", "2/3");
}

#[test]
fn the_last_vote_of_a_voter_counts_and_of_two_at_once_the_no() {
    check("abcd", "b-1 b+2 c+1", "approved", "approved");
    check("abcd", "b+2 b-1 c+1", "approved", "approved");
    check("abcd", "b+1 b-2 c+2", "refused b-2", "2/3");
    check("abcd", "b-2 b+2 c+1", "refused b-2", "2/3");
    check("abcd", "b-1 c+1 b+2", "approved", "approved");
}

#[test]
fn what_is_said_after_enough_agreed_matters_nowhere() {
    check("abcd", "b+1 c+1 b-2", "approved", "approved");
    check("abcd", "b+1 c+1 d-2", "approved", "approved");
    check("abcd", "b+1 c+1 a~2", "approved", "approved");
    check("abcd", "b+1 c+1 a-2", "approved", "approved");
    // It was said before, or at once.
    check("abcd", "b+1 d-2 c+3", "refused d-2", "approved");
    check("abcd", "b+1 b-2 c+3", "refused b-2", "2/3");
    check("abcd", "b+1 a~2 c+3", "withdrawn", "withdrawn");
    check("abcd", "b+1 c+2 d-2", "refused d-2", "approved");
    // An untrusted voter neither agrees nor stops it.
    check("abc", "b+1 d-1 c+2", "approved", "approved");
}

#[test]
fn only_its_author_withdraws_a_change() {
    check("abcd", "a~1", "withdrawn", "withdrawn");
    check("abcd", "b+1 c+1 a~1", "withdrawn", "withdrawn");
    check("abcd", "a~1 a+2", "1/3", "1/3");
    check("abcd", "a~2 a+2", "withdrawn", "withdrawn");
    check("abcd", "b~1", "1/3", "1/3");
    check("abcd", "b+1 b~2 c+1", "approved", "approved");
    check("bcd", "a~1 b+1", "1/3", "1/3");
}

#[test]
fn a_change_expires_by_the_clock_of_this_node_unless_enough_had_agreed_in_time() {
    let check = |proposal: Proposal, votes: &str, now_ms, expected: &str| {
        let votes: Vec<SignedVote> = votes.split_whitespace().map(vote).collect();
        assert_eq!(shown(&tally(&proposal, &votes, "abc", now_ms)), expected, "{votes:?} {now_ms}");
    };
    check(proposal(3, true), "b+1", 107, "2/3");
    check(proposal(3, true), "b+1", 108, "expired");
    check(proposal(3, true), "b+1 c+9", 107, "approved");
    check(proposal(3, true), "b+1 c+9", 108, "expired");
    check(proposal(3, true), "b+1 c+8", 108, "expired");
    // The votes are heard of late.
    check(proposal(3, true), "b+1 c+7", 108, "approved");
    check(proposal(3, true), "b+1 c+7", u64::MAX, "approved");
    // The clock was set back.
    check(proposal(3, true), "b+1", 0, "2/3");
    check(Proposal { waits_ms: None, ..proposal(3, true) }, "b+1", u64::MAX, "2/3");
    check(proposal(3, true), "b-1", 110, "refused b-1");
}

#[test]
fn a_vote_for_something_else_is_no_vote() {
    let check = |subject, expected: &str| {
        let votes = [SignedVote::sign(&key('b'), subject, Verdict::Yes, "", 1)];
        assert_eq!(shown(&tally(&proposal(2, true), &votes, "ab", 105)), expected);
    };
    check(subject("lib", 1, 1), "approved");
    check(subject("lib", 1, 2), "1/2");
    check(subject("lib", 2, 1), "1/2");
    check(subject("other", 1, 1), "1/2");
}

/// Voters are numbers, the first ones trusted.
fn numbered(number: u16, verdict: Verdict) -> SignedVote {
    let mut seed = [0; 32];
    seed[..2].copy_from_slice(&number.to_le_bytes());
    SignedVote::sign(&SigningKey::from_seed(&seed), subject("lib", 1, 1), verdict, "", 1)
}

#[test]
fn a_flood_of_strangers_does_not_keep_trusted_voters_out() {
    let proposal = proposal(3, true);
    let friends: BTreeSet<NodeId> =
        (1..=3).map(|number| numbered(number, Verdict::Yes).vote().voter).collect();
    let trusted = |node: &NodeId| friends.contains(node);
    let mut set = VoteSet::default();
    for number in 1000..1000 + VOTES_PER_PROPOSAL_MAX as u16 {
        assert_eq!(set.take(&proposal, numbered(number, Verdict::No), &trusted), VoteTaken::New);
    }
    assert_eq!(set.take(&proposal, numbered(2000, Verdict::No), &trusted), VoteTaken::Full);
    for number in 1..=3 {
        assert_eq!(set.take(&proposal, numbered(number, Verdict::Yes), &trusted), VoteTaken::New);
    }
    assert_eq!(set.voters(), VOTES_PER_PROPOSAL_MAX);
    assert_eq!(proposal.tally(set.iter(), &trusted, 105, 100), Outcome::Approved);
}

#[test]
fn no_trusted_voter_makes_room_for_another() {
    let proposal = proposal(3, true);
    let stranger = numbered(0, Verdict::No);
    let trusted = |node: &NodeId| *node != stranger.vote().voter;
    let mut set = VoteSet::default();
    let _ = set.take(&proposal, stranger.clone(), &trusted);
    for number in 1..=VOTES_PER_PROPOSAL_MAX as u16 {
        assert_eq!(set.take(&proposal, numbered(number, Verdict::Yes), &trusted), VoteTaken::New);
    }
    assert!(set.iter().all(|vote| trusted(&vote.vote().voter)));
    assert_eq!(set.take(&proposal, numbered(9999, Verdict::Yes), &trusted), VoteTaken::Full);
    assert_eq!(set.take(&proposal, stranger.clone(), &trusted), VoteTaken::Full);
}

#[test]
fn votes_that_say_nothing_new_are_not_passed_on() {
    let mut set = VoteSet::default();
    let mut check = |text: &str, expected| {
        assert_eq!(set.take(&proposal(3, true), vote(text), &|_| true), expected, "{text}");
    };
    check("b+2", VoteTaken::New);
    check("b+2", VoteTaken::Known);
    check("b-1", VoteTaken::Known);
    check("b-2", VoteTaken::New);
    check("b+1", VoteTaken::New);
    check("b+3", VoteTaken::New);
    check("b+2", VoteTaken::Known);
    check("b~4", VoteTaken::Void);
    check("a~4", VoteTaken::New);
}

fn votes() -> impl Strategy<Value = Vec<String>> {
    let one =
        (prop::sample::select(vec!['a', 'b', 'c', 'd']), prop::sample::select(vec!['+', '-', '~']), 0..4u8);
    prop::collection::vec(one.prop_map(|(voter, verdict, at)| format!("{voter}{verdict}{at}")), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_of_votes_makes_no_difference(
        (votes, shuffled) in votes().prop_flat_map(|votes| (Just(votes.clone()), Just(votes).prop_shuffle())),
        trusted in prop::sample::subsequence(vec!['a', 'b', 'c', 'd'], 0..=4),
        needed in 1..5u32,
        refused_by_one: bool,
    ) {
        let proposal = proposal(needed, refused_by_one);
        let names: String = trusted.iter().collect();
        let trusted: BTreeSet<NodeId> = trusted.iter().map(|name| key(*name).public()).collect();
        let is_trusted = |node: &NodeId| trusted.contains(node);
        let signed: Vec<SignedVote> = votes.iter().map(|text| vote(text)).collect();
        let expected = tally(&proposal, &signed, &names, 105);
        let other: Vec<SignedVote> = shuffled.iter().map(|text| vote(text)).collect();
        prop_assert_eq!(&tally(&proposal, &other, &names, 105), &expected);

        // Kept one by one, whatever was replaced on the way, they come to the same, and so do their ids.
        let kept = |votes: &[SignedVote]| {
            let mut set = VoteSet::default();
            for vote in votes {
                let _ = set.take(&proposal, vote.clone(), &is_trusted);
            }
            set
        };
        let (one, two) = (kept(&signed), kept(&other));
        prop_assert_eq!(&one, &two);
        prop_assert_eq!(proposal.tally(one.iter(), &is_trusted, 105, 100), expected.clone());

        // Nothing is approved with fewer trusted yes than are needed.
        if expected == Outcome::Approved {
            let mut yes: BTreeSet<NodeId> = signed
                .iter()
                .filter(|vote| vote.vote().verdict == Verdict::Yes && is_trusted(&vote.vote().voter))
                .map(|vote| vote.vote().voter)
                .collect();
            if is_trusted(&proposal.author) {
                yes.insert(proposal.author);
            }
            prop_assert!(yes.len() >= needed as usize);
        }
    }
}
