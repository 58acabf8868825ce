//! The peer book: which peers are dialed when, which are forgotten, and which of them others are told of.

use super::super::refusal::RefusalCause;
use super::peer::BACKOFF_MIN;
use super::*;

const CONTENT: ContentId = ContentId::from_bytes([1; 32]);
const NODE: NodeId = NodeId::from_bytes([2; 32]);

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

fn book() -> PeerBook {
    let mut book = PeerBook::default();
    book.add_source(Instant::ZERO, CONTENT, NODE, vec![address("127.0.0.1:1")], (Tie::Fetch, Rank::Last));
    book
}

#[test]
fn each_failure_doubles_the_wait_up_to_a_minute() {
    let (mut book, mut rng, mut now) = (book(), Rng::seeded(1), Instant::ZERO);
    for failure in 0..12u32 {
        assert!(book.pop_due(now, |_, _| true).is_some());
        book.on_failed(now, NODE, "no answer", &mut rng);
        let at = book.next_dial_at(|_, _| true).expect("it is tried again");
        let full = (BACKOFF_MIN * 2u32.pow(failure)).min(BACKOFF_MAX);
        assert!(
            (full.mul_f64(0.74)..=full.mul_f64(1.26)).contains(&(at - now)),
            "{:?} after {failure}",
            at - now
        );
        assert!(book.pop_due(now, |_, _| true).is_none());
        now = at;
    }
}

#[test]
fn a_banned_node_is_never_due_again() {
    let (mut book, mut rng) = (book(), Rng::seeded(1));
    book.ban(NODE, Violation::Corrupt(1));
    book.on_failed(Instant::ZERO, NODE, "gone", &mut rng);
    book.add_source(Instant::ZERO, CONTENT, NODE, vec![address("127.0.0.1:2")], (Tie::Push, Rank::Last));
    book.on_linked(NODE);
    assert!(book.pop_due(Instant::ZERO + BACKOFF_MAX * 2, |_, _| true).is_none());
    assert!(book.is_banned(NODE) && book.is_given_up(CONTENT));
}

#[test]
fn whoever_something_is_offered_to_is_dialed_for_ever_and_others_once_refused_are_not() {
    for (tie, is_due) in [(Tie::Fetch, false), (Tie::Push, true)] {
        let (mut book, mut rng) = (book(), Rng::seeded(1));
        book.add_source(Instant::ZERO, CONTENT, NODE, Vec::new(), (tie, Rank::Last));
        book.on_refused(Instant::ZERO, NODE, &Refusal::new(RefusalCause::NotHere, "no"), &mut rng);
        assert_eq!(book.pop_due(Instant::ZERO + BACKOFF_MAX, |_, _| true).is_some(), is_due);
    }
}

#[test]
fn whoever_refused_or_was_away_is_due_once_it_says_that_it_has_the_content() {
    let (mut book, mut rng) = (book(), Rng::seeded(1));
    for round in 0..3u32 {
        assert!(book.pop_due(Instant::ZERO, |_, _| true).is_some(), "round {round}");
        if round % 2 == 0 {
            book.on_refused(Instant::ZERO, NODE, &Refusal::new(RefusalCause::NotHere, "not here"), &mut rng);
        } else {
            book.on_failed(Instant::ZERO, NODE, "no answer", &mut rng);
        }
        assert!(book.pop_due(Instant::ZERO, |_, _| true).is_none());
        book.forgive(Instant::ZERO, NODE);
    }
    book.ban(NODE, Violation::Corrupt(1));
    book.forgive(Instant::ZERO, NODE);
    assert!(book.pop_due(Instant::ZERO, |_, _| true).is_none(), "a ban stands");
}

#[test]
fn a_refusal_that_overtakes_or_follows_the_word_that_a_node_has_the_content_is_not_the_last() {
    let refusal = Refusal::new(RefusalCause::NotHere, "not here");
    let (mut book, mut rng) = (book(), Rng::seeded(1));
    let is_due = |book: &mut PeerBook| book.pop_due(Instant::ZERO + BACKOFF_MAX, |_, _| true).is_some();
    assert!(is_due(&mut book));
    book.on_linked(NODE);
    book.forgive(Instant::ZERO, NODE);
    let refuse = |book: &mut PeerBook, rng: &mut Rng| {
        book.on_refused(Instant::ZERO, NODE, &refusal, rng);
        book.on_unlinked(Instant::ZERO, NODE, (BACKOFF_MIN, None), rng);
    };
    refuse(&mut book, &mut rng);
    assert!(is_due(&mut book), "it refused before it said so");
    book.on_linked(NODE);
    refuse(&mut book, &mut rng);
    assert!(!is_due(&mut book), "it refuses still");
    // What it gave is proof enough: what it refuses after that it has no more.
    book.forgive(Instant::ZERO, NODE);
    assert!(is_due(&mut book));
    book.on_linked(NODE);
    book.forgive(Instant::ZERO, NODE);
    book.on_useful(NODE);
    refuse(&mut book, &mut rng);
    assert!(!is_due(&mut book));
}

#[test]
fn whoever_refused_is_tried_again_for_another_content_and_not_for_the_same() {
    let there = || vec![address("127.0.0.1:1")];
    let other = ContentId::from_bytes([3; 32]);
    for (content, tie, is_due) in [
        (CONTENT, Tie::Fetch, false),
        (other, Tie::Fetch, true),
        (CONTENT, Tie::Push, true),
        (other, Tie::Push, true),
    ] {
        let (mut book, mut rng) = (book(), Rng::seeded(1));
        let refusal = Refusal::new(RefusalCause::NotHere, "it lacks it");
        book.on_refused(Instant::ZERO, NODE, &refusal, &mut rng);
        assert_eq!(book.refusal(CONTENT), Some(refusal));
        assert_eq!(book.refusal(other), None);
        book.add_source(Instant::ZERO, content, NODE, there(), (tie, Rank::Last));
        assert_eq!(book.pop_due(Instant::ZERO, |_, _| true).is_some(), is_due, "{content:?} {tie:?}");
    }
}

#[test]
fn of_several_refusals_the_one_is_told_that_a_right_would_mend_whichever_key_comes_first() {
    for (first, second) in [(1, 2), (2, 1)] {
        let (mut book, mut rng) = (PeerBook::default(), Rng::seeded(1));
        for (byte, cause) in [(first, RefusalCause::NotHere), (second, RefusalCause::NotAuthorised)] {
            let node = NodeId::from_bytes([byte; 32]);
            book.add_source(Instant::ZERO, CONTENT, node, Vec::new(), (Tie::Fetch, Rank::Last));
            book.on_refused(Instant::ZERO, node, &Refusal::new(cause, "no"), &mut rng);
        }
        assert_eq!(book.refusal(CONTENT).map(|refusal| refusal.cause), Some(RefusalCause::NotAuthorised));
    }
}

#[test]
fn what_is_offered_no_more_is_no_tie() {
    let mut book = book();
    let offered = ContentId::from_bytes([3; 32]);
    book.add_source(Instant::ZERO, offered, NODE, Vec::new(), (Tie::Push, Rank::Last));
    assert!(book.has_pushes(NODE) && book.is_pushed(NODE, offered) && !book.is_pushed(NODE, CONTENT));
    book.end_pushes(CONTENT);
    assert!(book.has_pushes(NODE));
    book.end_pushes(offered);
    assert!(!book.has_pushes(NODE) && !book.is_source(NODE, offered) && book.is_source(NODE, CONTENT));
}

#[test]
fn the_last_thing_that_went_wrong_is_told() {
    let (mut book, mut rng) = (book(), Rng::seeded(1));
    assert_eq!(book.last_failure(CONTENT), None);
    book.on_failed(Instant::ZERO, NODE, "no answer", &mut rng);
    assert_eq!(book.last_failure(CONTENT).as_deref(), Some("no answer"));
    assert_eq!(book.last_failure(ContentId::from_bytes([3; 32])), None);
    book.on_linked(NODE);
    book.on_unlinked(Instant::ZERO, NODE, (BACKOFF_MAX, None), &mut rng);
    assert_eq!(book.last_failure(CONTENT), None, "an orderly end is no failure");
    book.ban(NODE, Violation::Corrupt(7));
    let told = book.last_failure(CONTENT).expect("it was banned");
    assert!(told.starts_with("banned a source"), "{told}");
    assert_eq!(book.iter().map(|(node, ..)| node).collect::<Vec<_>>(), [NODE]);
}

#[test]
fn a_link_that_stood_for_long_makes_the_next_failure_the_first() {
    let wait = |stood| {
        let (mut book, mut rng) = (book(), Rng::seeded(1));
        (0..7).for_each(|_| book.on_failed(Instant::ZERO, NODE, "no answer", &mut rng));
        book.on_linked(NODE);
        book.on_unlinked(Instant::ZERO, NODE, (stood, Some("gone")), &mut rng);
        book.next_dial_at(|_, _| true).expect("it is tried again") - Instant::ZERO
    };
    assert!(wait(BACKOFF_MAX / 2) > BACKOFF_MAX / 2);
    assert!(wait(BACKOFF_MAX * 2) < BACKOFF_MIN * 2);
}

#[test]
fn somebody_heard_of_is_tried_once_and_nothing_is_kept_of_whoever_did_not_answer() {
    let there = [address("192.0.2.1:1")];
    let mut book = PeerBook::default();
    assert!(book.begin_trial(NODE, CONTENT, &there));
    assert!(!book.begin_trial(NODE, CONTENT, &there), "it is in hand");
    assert!(book.end_trial(NODE) && !book.end_trial(NODE));
    assert_eq!(book.iter().count(), 0);
    // A peer that was of use, is accused, or is being met is kept, and dialed by its own word alone.
    let cases: [fn(&mut PeerBook); 3] = [
        |book| book.totals(NODE).expect("it is known").verified_len = 1,
        |book| assert!(book.on_accused(NODE, NodeId::from_bytes([7; 32]))),
        |book| assert!(book.begin_meeting(NODE, vec!["192.0.2.9:9".parse().expect("an address")]).is_some()),
    ];
    for note in cases {
        let mut book = PeerBook::default();
        assert!(book.begin_trial(NODE, CONTENT, &there));
        note(&mut book);
        assert!(book.end_trial(NODE));
        assert_eq!(book.iter().count(), 1);
        assert!(book.addresses(NODE).is_empty() && book.pop_due(Instant::ZERO, |_, _| true).is_none());
    }
    // A peer that answered is one like any other.
    let mut book = PeerBook::default();
    assert!(book.begin_trial(NODE, CONTENT, &there));
    book.on_linked(NODE);
    assert!(!book.end_trial(NODE));
}

#[test]
fn no_more_are_dialed_or_met_at_a_time_than_the_limits() {
    let there = || vec![address("127.0.0.1:1")];
    let node = |index: usize| NodeId::from_bytes([index as u8; 32]);
    let mut book = PeerBook::default();
    for index in 0..150 {
        book.add_source(Instant::ZERO, CONTENT, node(index), there(), (Tie::Fetch, Rank::Last));
    }
    let due = std::iter::from_fn(|| book.pop_due(Instant::ZERO, |_, _| true)).count();
    assert_eq!((due, book.dialing(CONTENT)), (DIALS_AT_ONCE, DIALS_AT_ONCE));
    assert!(!book.begin_trial(node(200), CONTENT, &there()));
    let met = (150..250).filter(|index| book.begin_meeting(node(*index), there()).is_some()).count();
    assert_eq!(met, MEETINGS_AT_ONCE as usize);
    assert!(!book.is_given_up(CONTENT));
}

#[test]
fn whoever_is_accused_is_believed_by_what_it_gave_here() {
    let dialed_first = |accusers: u8, verified_chunks: u64| {
        let mut book = book();
        let other = NodeId::from_bytes([3; 32]);
        let there = vec![address("127.0.0.1:3")];
        book.add_source(Instant::ZERO, CONTENT, other, there, (Tie::Fetch, Rank::Last));
        book.totals(NODE).expect("it is known").verified_chunks = verified_chunks;
        for by in 0..accusers {
            book.on_accused(NODE, NodeId::from_bytes([100 + by; 32]));
        }
        book.pop_due(Instant::ZERO, |_, _| true).map(|(node, _)| node == NODE)
    };
    assert_eq!(dialed_first(0, 0), Some(true));
    assert_eq!(dialed_first(1, 0), Some(false));
    assert_eq!(dialed_first(1, 1), Some(true));
    assert_eq!(dialed_first(3, 2), Some(false));
}

#[test]
fn a_meeting_is_one_more_dial_that_changes_nothing_when_it_fails() {
    let (mut book, mut rng) = (book(), Rng::seeded(1));
    book.on_failed(Instant::ZERO, NODE, "no answer", &mut rng);
    let due_at = book.next_dial_at(|_, _| true);
    let there = vec![address("192.0.2.7:7")];
    assert_eq!(book.begin_meeting(NODE, there.clone()), Some(there.clone()));
    assert!(book.end_meeting(NODE) && !book.end_meeting(NODE));
    assert_eq!(book.next_dial_at(|_, _| true), due_at);
    book.on_linked(NODE);
    assert_eq!(book.begin_meeting(NODE, there), None);
}

#[test]
fn who_was_named_first_is_dialed_first_and_the_rest_by_chance() {
    let mut book = PeerBook::default();
    let there = || vec![address("127.0.0.1:1")];
    for (node, rank) in [(1, Rank::Last), (2, Rank::Chance(7)), (3, Rank::Chance(5)), (4, Rank::Named(1))] {
        let node = NodeId::from_bytes([node; 32]);
        book.add_source(Instant::ZERO, CONTENT, node, there(), (Tie::Fetch, rank));
    }
    book.add_source(Instant::ZERO, CONTENT, NodeId::from_bytes([5; 32]), there(), (Tie::Push, Rank::Last));
    let order = std::iter::from_fn(|| book.pop_due(Instant::ZERO, |_, _| true));
    assert_eq!(order.map(|(node, _)| node.as_bytes()[0]).collect::<Vec<_>>(), [5, 4, 3, 2, 1]);
}

#[test]
fn whoever_promised_more_than_it_gave_is_dialed_last_and_whoever_gave_a_wrong_chunk_never() {
    let mut book = PeerBook::default();
    let node = |byte| NodeId::from_bytes([byte; 32]);
    let doubtful = Reputation { stalls: 9.0, ..Reputation::default() };
    let bad = Reputation { bad_chunks: 1.0, ..Reputation::default() };
    book.remember(node(1), doubtful);
    book.remember(node(2), bad);
    for (byte, rank) in [(1, 0), (2, 1), (3, 2)] {
        let there = vec![address("127.0.0.1:1")];
        book.add_source(Instant::ZERO, CONTENT, node(byte), there, (Tie::Fetch, Rank::Named(rank)));
    }
    let order = std::iter::from_fn(|| book.pop_due(Instant::ZERO, |_, _| true));
    assert_eq!(order.map(|(node, _)| node.as_bytes()[0]).collect::<Vec<_>>(), [3, 1]);
    assert!(book.is_banned(node(2)));
}

#[test]
fn a_full_book_forgets_whoever_failed_most_and_never_a_ban() {
    let (mut book, mut rng) = (PeerBook::default(), Rng::seeded(1));
    let node = |index: u32| {
        let mut bytes = [9; 32];
        bytes[..4].copy_from_slice(&index.to_be_bytes());
        NodeId::from_bytes(bytes)
    };
    for index in 0..PEERS_MAX as u32 {
        book.add_source(
            Instant::ZERO,
            CONTENT,
            node(index),
            vec![address("127.0.0.1:1")],
            (Tie::Fetch, Rank::Last),
        );
    }
    (0..9).for_each(|_| book.on_failed(Instant::ZERO, node(3), "no answer", &mut rng));
    book.on_failed(Instant::ZERO, node(4), "no answer", &mut rng);
    book.ban(node(3), Violation::Manifest);
    book.on_linked(NODE);
    assert!(book.is_banned(node(3)) && !book.is_source(node(4), CONTENT));
    assert_eq!(book.iter().count(), PEERS_MAX);
}

#[test]
fn dials_are_spread_over_networks_and_go_to_the_untried_first() {
    let mut book = PeerBook::default();
    let named = |book: &mut PeerBook, index: u8, at: &str| {
        let (node, rank) = (NodeId::from_bytes([index; 32]), Rank::Named(index.into()));
        book.add_source(Instant::ZERO, CONTENT, node, vec![address(at)], (Tie::Fetch, rank));
    };
    for index in 1..=40 {
        named(&mut book, index, &format!("192.0.2.{index}:1"));
    }
    named(&mut book, 41, "198.51.100.1:1");
    named(&mut book, 42, "[2001:db8:1::1]:1");
    named(&mut book, 43, "[2001:db8:1:2::2]:1");
    named(&mut book, 44, "seed.example:1");
    let mut order = Vec::new();
    while let Some((node, _)) = book.pop_due(Instant::ZERO, |_, _| true) {
        order.push(node.as_bytes()[0]);
    }
    assert_eq!(order[..9], [1, 2, 3, 4, 41, 42, 43, 44, 5], "{order:?}");

    let (mut rng, first) = (Rng::seeded(1), NodeId::from_bytes([1; 32]));
    assert!(book.on_tried(first));
    book.on_failed(Instant::ZERO, first, "no answer", &mut rng);
    named(&mut book, 45, "192.0.2.45:1");
    assert!(book.has_untried(CONTENT));
    let (next, _) = book.pop_due(Instant::ZERO + BACKOFF_MAX, |_, _| true).expect("both are due");
    assert_eq!(next, NodeId::from_bytes([45; 32]));
    assert!(book.on_tried(next) && !book.on_tried(next) && !book.has_untried(CONTENT));
}
