//! What a node is called, and for what: a fetch from one peer that promises and does not give.

use super::living::{LINK, Pair, id};
use super::*;
use swarm_core::wire::{DeclineReason, RejectReason};

/// The first fetches from the second, which has everything and sends nothing: uploads are not carried out here.
fn fetching() -> (Pair, ContentId) {
    let manifest = one_file(8);
    let (mut pair, content) = (Pair::new(), manifest.id());
    let nothing = Bitfield::new(manifest.geometry().chunk_count());
    let wanted = Bitfield::full(manifest.geometry().chunk_count());
    let join = Join { content, manifest: Some(manifest.clone()), order: Order::RarestFirst, patience: None };
    pair.input(0, Input::Join(Box::new(join)));
    pair.input(0, Input::StoreOpened { content, durable: nothing, wanted, kept: Kept::new() });
    pair.join(1, &manifest);
    pair.link();
    (pair, content)
}

fn totals(pair: &Pair) -> PeerTotals {
    let peers = pair.engines[0].survey().snapshot().peers;
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
    let peers = pair.engines[0].survey().snapshot().peers;
    assert_eq!(peers[0].standing, PeerStanding::Banned(Violation::Remembered));
}

/// Both fetch from an honest seed and a liar; the first remembers a wrong chunk of the liar's, half forgiven.
#[test]
fn a_second_wrong_chunk_is_told_to_all_and_bans_nobody_there() {
    let mut world = World::new(one_file(64));
    let seed = world.node(1_000_000, |_| true);
    let liar = world.node(1_000_000, |_| true);
    let (first, second) = (world.node(1_000_000, |_| false), world.node(1_000_000, |_| false));
    world.nodes[liar].lies = true;
    let (liar_id, first_id) = (world.nodes[liar].id, world.nodes[first].id);
    let past = Reputation { bad_chunks: 0.4, ..Reputation::default() };
    world.nodes[first].engine.remember(liar_id, past);
    let (content, purpose) = (world.manifest.id(), Purpose::Fetch);
    let source = Input::AddSource { content, node: liar_id, addresses: Vec::new(), purpose };
    world.input(second, source);
    for (a, b) in [(first, seed), (second, seed), (first, second), (first, liar)] {
        world.link(a, b);
    }
    world.run(MINUTE);
    assert!(world.has_all(first) && world.has_all(second));
    let accusation = |(who, event): &(usize, Event)| match event {
        Event::PeerAccused { node, by, .. } => Some((*who, *node, *by)),
        _ => None,
    };
    let accused: Vec<_> = world.log.iter().filter_map(accusation).collect();
    assert_eq!(accused, [(second, liar_id, first_id)]);
    let peers = world.nodes[second].engine.survey().snapshot().peers;
    let heard = peers.iter().find(|peer| peer.node == liar_id).expect("it was named");
    assert_eq!((heard.accusers, &heard.standing), (1, &PeerStanding::Away(None)));
}

#[test]
fn a_first_wrong_chunk_is_told_to_nobody() {
    let mut world = World::new(one_file(64));
    let (seed, liar) = (world.node(1_000_000, |_| true), world.node(1_000_000, |_| true));
    let (first, second) = (world.node(1_000_000, |_| false), world.node(1_000_000, |_| false));
    world.nodes[liar].lies = true;
    for (a, b) in [(first, liar), (first, seed), (second, seed), (first, second), (second, liar)] {
        world.link(a, b);
    }
    world.run(MINUTE);
    assert!(world.has_all(first) && world.has_all(second));
    assert!(!world.log.iter().any(|(_, event)| matches!(event, Event::PeerAccused { .. })));
}

#[test]
fn one_that_accuses_everybody_is_heard_for_a_while() {
    let (mut pair, content) = fetching();
    let accused = |byte| NodeId::from_bytes([byte; 32]);
    for byte in 10..100 {
        let (node, purpose) = (accused(byte), Purpose::Fetch);
        pair.input(0, Input::AddSource { content, node, addresses: Vec::new(), purpose });
    }
    // Accusations of itself, of the listener and of an unknown node are ignored.
    for node in [id(1), id(0), accused(200)].into_iter().chain((10..100).map(accused)) {
        let message = Message::BadPeer { handle: Handle(1), node };
        pair.input(0, Input::Message { link: LINK, message: message.clone() });
        pair.input(0, Input::Message { link: LINK, message });
    }
    let peers = pair.engines[0].survey().snapshot().peers;
    let heard: usize = peers.iter().map(|peer| peer.accusers).sum();
    assert_eq!(heard, (32 - 6) / 2);
    assert!(peers.iter().all(|peer| peer.node != accused(200)));
}
