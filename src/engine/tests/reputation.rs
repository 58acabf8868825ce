//! What a node is called, and for what: a fetch from one peer that promises and does not give.

use super::living::{LINK, Pair, id};
use super::*;
use crate::wire::{DeclineReason, RejectReason};

/// The first fetches from the second, which has everything and sends nothing: uploads are not carried out here.
fn fetching() -> (Pair, ContentId) {
    let manifest = one_file(8);
    let (mut pair, content) = (Pair::new(), manifest.id());
    let nothing = Bitfield::new(manifest.geometry().chunk_count());
    let wanted = Bitfield::full(manifest.geometry().chunk_count());
    let join = Join { content, manifest: Some(manifest.clone()), order: Order::RarestFirst, patience: None };
    pair.input(0, Input::Join(Box::new(join)));
    pair.input(0, Input::StoreOpened { content, durable: nothing, wanted });
    pair.join(1, &manifest);
    pair.link();
    (pair, content)
}

fn totals(pair: &Pair) -> PeerTotals {
    let peers = pair.engines[0].snapshot().peers;
    peers.into_iter().find(|peer| peer.node == id(1)).expect("it was linked").totals
}

#[test]
fn whoever_lacks_what_it_said_it_had_lied() {
    let (mut pair, _) = fetching();
    assert_eq!(totals(&pair).lies, 0);
    let (request, reason) = (RequestId(1), RejectReason::NotHeld);
    pair.input(0, Input::Message { link: LINK, message: Message::Reject { request, reason } });
    assert_eq!(totals(&pair).lies, 1);
}

#[test]
fn whoever_leaves_did_not_lie() {
    let (mut pair, content) = fetching();
    pair.input(1, Input::Leave { content, reason: DeclineReason::NotHere });
    assert_eq!(totals(&pair).lies, 0);
}

#[test]
fn whoever_takes_a_request_and_sends_nothing_fell_silent() {
    let (mut pair, _) = fetching();
    for (secs, stalls) in [(9, 0), (11, 1), (29, 1), (32, 2)] {
        pair.engines[0].handle(Instant::ZERO + Duration::from_secs(secs), Input::Wakeup);
        assert_eq!(totals(&pair).stalls, stalls, "after {secs} s");
    }
}

#[test]
fn whoever_gave_a_wrong_chunk_at_an_earlier_run_is_banned() {
    let mut pair = Pair::new();
    pair.engines[0].remember(id(1), Reputation { bad_chunks: 0.6, ..Reputation::default() });
    pair.link();
    assert!(!pair.is_up);
    let peers = pair.engines[0].snapshot().peers;
    assert_eq!(peers[0].standing, PeerStanding::Banned(Violation::Remembered));
}
