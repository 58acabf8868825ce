//! One engine whose peers speak by the test's own mouth: what it answers, message by message.

use super::living::{address, id};
use super::*;
use crate::limits::LINKS_MAX;
use swarm_core::manifest::Source;
use swarm_core::wire::{DeclineReason, Hello};

/// The engine, and what time it is.
pub(super) struct Single {
    pub(super) engine: Engine,
    now: Instant,
}

pub(super) fn link_of(index: usize) -> LinkId {
    LinkId(index as u64)
}

impl Single {
    pub(super) fn new() -> Self {
        Self::of(0)
    }

    /// The node with this id.
    pub(super) fn of(index: usize) -> Self {
        Self { engine: Engine::new(id(index), 1), now: Instant::ZERO }
    }

    /// What follows from a fact.
    pub(super) fn input(&mut self, input: Input) -> Vec<Output> {
        self.engine.handle(self.now, input);
        std::iter::from_fn(|| self.engine.poll()).collect()
    }

    /// The same, of a message from a peer.
    pub(super) fn hear(&mut self, peer: usize, message: Message) -> Vec<Output> {
        self.input(Input::Message { link: link_of(peer), message })
    }

    /// A peer's link is up; it has greeted.
    pub(super) fn link(&mut self, peer: usize, hello: Hello) -> Vec<Output> {
        let node = id(peer);
        let up = Input::LinkUp {
            link: link_of(peer),
            node,
            role: Role::Full,
            dialed: false,
            address: Some(address(peer)),
        };
        let mut outputs = self.input(up);
        outputs.extend(self.hear(peer, Message::Hello(hello)));
        outputs
    }

    /// It takes part: handle 1.
    pub(super) fn take_part(&mut self, peer: usize, manifest: &Manifest) -> Vec<Output> {
        let open = Message::Open {
            handle: Handle(1),
            content: manifest.id(),
            knows_manifest: true,
            is_offer: false,
        };
        self.hear(peer, open)
    }

    /// This engine has so many of the content's chunks, the first ones.
    pub(super) fn join(&mut self, manifest: &Manifest, order: Order, have_count: u32) {
        let (content, count) = (manifest.id(), manifest.geometry().chunk_count());
        let join = Join { content, manifest: Some(manifest.clone()), order, patience: None };
        self.input(Input::Join(Box::new(join)));
        let durable = (0..count).map(|chunk| chunk < have_count).collect();
        self.input(Input::StoreOpened { content, durable, wanted: Bitfield::full(count), kept: Kept::new() });
    }

    /// What falls due within so long.
    pub(super) fn pass(&mut self, time: Duration) -> Vec<Output> {
        let end = self.now + time;
        let mut outputs = Vec::new();
        while let Some((at, _)) = self.engine.next_wakeup().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            outputs.extend(self.input(Input::Wakeup));
        }
        self.now = end;
        outputs
    }
}

/// What a peer was sent.
pub(super) fn sent(outputs: &[Output], peer: usize) -> Vec<&Message> {
    let mut messages = Vec::new();
    for output in outputs {
        if let Output::Send { link, message } = output
            && *link == link_of(peer)
        {
            messages.push(message);
        }
    }
    messages
}

pub(super) fn has_all(count: u32) -> Message {
    Message::Have { handle: Handle(1), chunks: ChunkRuns::of(&Bitfield::full(count)).remove(0) }
}

pub(super) fn sources(outputs: &[Output], peer: usize) -> Vec<Source> {
    let told = |message: &&Message| match message {
        Message::Peers { sources, .. } => sources.clone(),
        _ => Vec::new(),
    };
    sent(outputs, peer).iter().flat_map(told).collect()
}

#[test]
fn the_round_trip_time_that_was_measured_is_told() {
    let mut single = Single::new();
    single.link(1, Hello::ours());
    single.input(Input::Measured { link: link_of(1), rtt: Duration::from_millis(42) });
    single.input(Input::Measured { link: link_of(2), rtt: Duration::from_secs(1) });
    let peer = single.engine.survey().snapshot().peers.remove(0);
    assert_eq!(peer.link.map(|link| link.rtt), Some(Duration::from_millis(42)));
}

#[test]
fn what_is_offered_to_a_linked_node_is_opened_there_and_nowhere_else() {
    let mut single = Single::new();
    for peer in [1, 2, 3] {
        single.link(peer, Hello::ours());
    }
    let manifest = one_file(4);
    single.join(&manifest, Order::RarestFirst, 4);
    let (content, node, addresses) = (manifest.id(), id(2), vec![address(2)]);
    let outputs = single.input(Input::AddSource { content, node, addresses, purpose: Purpose::Push });
    let is_offer = |message: &&Message| matches!(message, Message::Open { is_offer: true, .. });
    let offers = |peer| sent(&outputs, peer).iter().filter(|message| is_offer(message)).count();
    assert_eq!([1, 2, 3].map(offers), [0, 1, 0]);
}

#[test]
fn a_manifest_is_sent_sixteen_times_and_then_no_more() {
    let mut single = Single::new();
    let manifest = one_file(4);
    single.join(&manifest, Order::RarestFirst, 4);
    single.link(1, Hello::ours());
    single.take_part(1, &manifest);
    let request = || Message::ManifestRequest { handle: Handle(1), page: 0 };
    for round in 0..16 {
        let outputs = single.hear(1, request());
        let is_page = sent(&outputs, 1).iter().any(|message| matches!(message, Message::ManifestPage { .. }));
        assert!(is_page, "{round}");
    }
    let outputs = single.hear(1, request());
    assert!(sent(&outputs, 1).is_empty());
    assert!(outputs.iter().any(|output| matches!(output, Output::Close { .. })));
}

/// Chunks that came and were found good.
fn receive(single: &mut Single, manifest: &Manifest, chunks: std::ops::Range<u32>) -> Vec<Output> {
    let check = |chunk| Input::ChunkChecked {
        content: manifest.id(),
        chunk: manifest.geometry().chunk(chunk).expect("there is one"),
        from: Some(id(1)),
        verdict: ChunkVerdict::Verified,
    };
    chunks.flat_map(|chunk| single.input(check(chunk))).collect()
}

#[test]
fn one_flush_is_under_way_at_a_time_and_none_for_nothing() {
    let is_flush = |output: &&Output| matches!(output, Output::Flush { .. });
    let mut idle = Single::new();
    let manifest = one_file(40);
    idle.join(&manifest, Order::RarestFirst, 1);
    assert_eq!(idle.input(Input::Stop).iter().filter(is_flush).count(), 0, "nothing to write");

    let mut single = Single::new();
    single.join(&manifest, Order::RarestFirst, 0);
    single.link(1, Hello::ours());
    single.take_part(1, &manifest);
    single.hear(1, has_all(40));
    receive(&mut single, &manifest, 0..2);
    let due = single.pass(Duration::from_secs(10));
    assert_eq!(due.iter().filter(is_flush).count(), 1, "within the window");
    receive(&mut single, &manifest, 2..3);
    let outputs = single.input(Input::Stop);
    assert_eq!(outputs.iter().filter(is_flush).count(), 0, "one is under way");
    let chunks = [0, 1].map(|chunk| manifest.geometry().chunk(chunk).expect("there is one")).to_vec();
    let outputs = single.input(Input::Flushed { content: manifest.id(), chunks });
    assert_eq!(outputs.iter().filter(is_flush).count(), 1, "what came meanwhile");
}

#[test]
fn where_all_places_are_taken_a_link_goes_that_has_nothing_more_to_do() {
    let mut single = Single::new();
    let manifest = one_file(4);
    single.join(&manifest, Order::RarestFirst, 4);
    single.input(Input::Finished { content: manifest.id() });
    let other = one_file(9);
    single.join(&other, Order::RarestFirst, 0);
    let node_of = |index: usize| {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&(index as u64).to_le_bytes());
        NodeId::from_bytes(bytes)
    };
    let up = |index: usize| Input::LinkUp {
        link: link_of(index),
        node: node_of(index),
        role: Role::Full,
        dialed: false,
        address: None,
    };
    let closed = |outputs: Vec<Output>| -> Vec<LinkId> {
        let link = |output| match output {
            Output::Close { link, .. } => Some(link),
            _ => None,
        };
        outputs.into_iter().filter_map(link).collect()
    };
    // All of them lack something, so that each may want it still.
    for index in 0..LINKS_MAX {
        single.input(up(index));
        single.hear(index, Message::Hello(Hello::ours()));
        single.take_part(index, &manifest);
    }
    let newcomer = LINKS_MAX;
    assert_eq!(closed(single.input(up(newcomer))), [link_of(newcomer)], "no place");
    // One has all of it, and nothing of what else is fetched here.
    single.hear(100, has_all(4));
    single.hear(100, Message::Decline { content: other.id(), reason: DeclineReason::NotHere });
    assert_eq!(closed(single.input(up(newcomer))), [link_of(100)]);
}

#[test]
fn peers_are_told_of_each_other_once_by_addresses_that_they_can_reach() {
    let mut single = Single::new();
    let manifest = one_file(4);
    single.join(&manifest, Order::RarestFirst, 4);
    let mute = Hello { features: Vec::new(), ..Hello::ours() };
    for (peer, hello) in [(1, Hello::ours()), (2, Hello::ours()), (3, mute)] {
        single.link(peer, hello);
        single.take_part(peer, &manifest);
    }
    let outputs = single.pass(Duration::from_secs(2));
    let told_of = |outputs: &[Output], peer| -> Vec<NodeId> {
        let mut nodes: Vec<NodeId> = sources(outputs, peer).iter().map(|source| source.node).collect();
        nodes.sort_unstable();
        nodes
    };
    assert_eq!(told_of(&outputs, 1), [id(2), id(3)]);
    assert_eq!(told_of(&outputs, 2), [id(1), id(3)]);
    assert_eq!(told_of(&outputs, 3), [], "it does not speak of peers");
    assert_eq!(sources(&outputs, 1)[0].addresses.len(), 1);
    // A fourth comes: the others hear of it alone.
    single.link(4, Hello::ours());
    single.take_part(4, &manifest);
    let outputs = single.pass(Duration::from_mins(2));
    assert_eq!(told_of(&outputs, 1), [id(4)]);
    assert_eq!(told_of(&outputs, 4), [id(1), id(2), id(3)]);
}

#[test]
fn of_a_peer_that_was_dialed_all_its_addresses_are_told() {
    let mut single = Single::new();
    let manifest = one_file(4);
    single.join(&manifest, Order::RarestFirst, 0);
    let named = [address(77), "10.0.0.1:1".parse().expect("an address")];
    let (content, addresses) = (manifest.id(), named.to_vec());
    single.input(Input::AddSource { content, node: id(2), addresses, purpose: Purpose::Fetch });
    single.link(1, Hello::ours());
    single.take_part(1, &manifest);
    let (link, node, address) = (link_of(2), id(2), Some(address(2)));
    single.input(Input::LinkUp { link, node, role: Role::Full, dialed: true, address });
    single.hear(2, Message::Hello(Hello::ours()));
    single.take_part(2, &manifest);
    let outputs = single.pass(Duration::from_secs(2));
    let told = sources(&outputs, 1).remove(0);
    let (here, elsewhere) = (super::living::address(2), super::living::address(77));
    assert_eq!(told.addresses, [here, elsewhere], "not those of its own network");
}

#[test]
fn news_of_peers_makes_no_haste_where_a_look_is_due_already() {
    let mut single = Single::new();
    let manifest = one_file(4);
    single.join(&manifest, Order::RarestFirst, 0);
    // Half of the neighbours a node wants, and one more.
    for peer in 1..=6 {
        single.link(peer, Hello::ours());
        single.take_part(peer, &manifest);
    }
    let source = |peer: usize| Source { node: id(peer), addresses: vec![address(peer)] };
    let dials =
        |outputs: Vec<Output>| outputs.iter().filter(|output| matches!(output, Output::Dial { .. })).count();
    let peers = Message::Peers { handle: Handle(1), sources: (20..30).map(source).collect() };
    assert_eq!(dials(single.hear(1, peers)), 0, "it waits a moment");
    assert!(dials(single.pass(Duration::from_secs(2))) > 0);
}

#[test]
fn what_goes_to_a_stream_is_on_nobodys_disk() {
    for (order, told) in [(Order::RarestFirst, 1), (Order::Sequential { window_len: Some(1 << 20) }, 0)] {
        let mut single = Single::new();
        let manifest = one_file(4);
        single.join(&manifest, order, 4);
        single.input(Input::Finished { content: manifest.id() });
        single.link(1, Hello::ours());
        let open =
            Message::Open { handle: Handle(1), content: manifest.id(), knows_manifest: true, is_offer: true };
        let mut outputs = single.hear(1, open);
        outputs.extend(single.hear(1, has_all(4)));
        let is_durable = |message: &&&Message| matches!(message, Message::Durable { .. });
        assert_eq!(sent(&outputs, 1).iter().filter(is_durable).count(), told, "{order:?}");
    }
}

/// The nodes that are dialed, in order.
pub(super) fn dialed(outputs: &[Output]) -> Vec<NodeId> {
    let node = |output: &Output| match output {
        Output::Dial { node, .. } => Some(*node),
        _ => None,
    };
    outputs.iter().filter_map(node).collect()
}

#[test]
fn whoever_turns_this_node_away_is_dialed_no_more_and_whoever_is_lost_is() {
    for is_turned_away in [true, false] {
        let mut single = Single::new();
        let manifest = one_file(4);
        single.join(&manifest, Order::RarestFirst, 0);
        let (content, link, node, reason) = (manifest.id(), link_of(2), id(2), "not on the list".to_owned());
        let named = Input::AddSource { content, node, addresses: vec![address(2)], purpose: Purpose::Fetch };
        assert_eq!(dialed(&single.input(named)), [node]);
        single.input(Input::LinkUp { link, node, role: Role::Full, dialed: true, address: None });
        let end = if is_turned_away {
            Input::TurnedAway { link, reason }
        } else {
            Input::LinkDown { link, reason }
        };
        let mut outputs = single.input(end);
        outputs.extend(single.pass(Duration::from_mins(10)));
        assert_eq!(dialed(&outputs).is_empty(), is_turned_away);
    }
}

#[test]
fn sources_are_dialed_in_the_order_in_which_they_were_named() {
    let mut single = Single::new();
    let manifest = one_file(4);
    single.join(&manifest, Order::RarestFirst, 0);
    (1..=10).for_each(|peer| {
        single.link(peer, Hello::ours());
        single.take_part(peer, &manifest);
    });
    let mut outputs = Vec::new();
    // More than there is room for; the last has the smallest id.
    for peer in (20..36).rev() {
        let (content, node, addresses) = (manifest.id(), id(peer), vec![address(peer)]);
        outputs.extend(single.input(Input::AddSource { content, node, addresses, purpose: Purpose::Fetch }));
    }
    let first = dialed(&outputs);
    for node in first.clone() {
        let failure = DialFailure::Refused(Refusal::new(RefusalCause::WrongKey, "another key"));
        outputs.extend(single.input(Input::DialFailed { node, failure }));
    }
    assert!(first.len() < 16, "{}", first.len());
    assert_eq!(dialed(&outputs), (20..36).rev().map(id).collect::<Vec<_>>());
}
