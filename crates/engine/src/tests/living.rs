//! Swarms that live: contents that are offered, declined, joined later. Two engines back to back, message by message.

use super::*;
use swarm_core::manifest::{Address, Source};
use swarm_core::wire::DeclineReason;

/// Two engines and one link between them, which the first dialed.
pub(super) struct Pair {
    pub(super) engines: [Engine; 2],
    pub(super) is_up: bool,
    events: Vec<(usize, Event)>,
    dials: [u32; 2],
    messages: VecDeque<(usize, Message)>,
}

pub(super) const LINK: LinkId = LinkId(1);

pub(super) fn id(index: usize) -> NodeId {
    NodeId::from_bytes([index as u8 + 1; 32])
}

pub(super) fn address(host: usize) -> Address {
    format!("192.0.2.{host}:1").parse().expect("an address")
}

impl Pair {
    pub(super) fn new() -> Self {
        let engines = [Engine::new(id(0), 1), Engine::new(id(1), 2)];
        Self { engines, is_up: false, events: Vec::new(), dials: [0; 2], messages: VecDeque::new() }
    }

    pub(super) fn link(&mut self) {
        self.is_up = true;
        for index in [0, 1] {
            let (node, address) = (id(1 - index), Some(address(1 - index)));
            let up = Input::LinkUp { link: LINK, node, role: Role::Full, dialed: index == 0, address };
            self.engines[index].handle(Instant::ZERO, up);
        }
        (0..2).for_each(|index| self.drain(index));
        self.pump();
    }

    /// One fact for one engine, and every message that follows from it.
    pub(super) fn input(&mut self, index: usize, input: Input) {
        self.engines[index].handle(Instant::ZERO, input);
        self.drain(index);
        self.pump();
    }

    fn pump(&mut self) {
        while let Some((to, message)) = self.messages.pop_front() {
            self.engines[to].handle(Instant::ZERO, Input::Message { link: LINK, message });
            self.drain(to);
        }
    }

    fn drain(&mut self, index: usize) {
        while let Some(output) = self.engines[index].poll() {
            match output {
                Output::Send { message, .. } if self.is_up => self.messages.push_back((1 - index, message)),
                Output::Close { .. } => {
                    self.is_up = false;
                    let down = Input::LinkDown { link: LINK, reason: "closed".to_owned() };
                    self.engines[1 - index].handle(Instant::ZERO, down);
                }
                Output::Dial { .. } => self.dials[index] += 1,
                Output::Event(event) => self.events.push((index, event)),
                _ => {}
            }
        }
    }

    pub(super) fn join(&mut self, index: usize, manifest: &Manifest) {
        let (content, count) = (manifest.id(), manifest.geometry().chunk_count());
        let join =
            Join { content, manifest: Some(manifest.clone()), order: Order::RarestFirst, patience: None };
        self.input(index, Input::Join(Box::new(join)));
        let all = Bitfield::full(count);
        self.input(
            index,
            Input::StoreOpened { content, durable: all.clone(), wanted: all, kept: Kept::new() },
        );
        self.input(index, Input::Finished { content });
    }

    /// Without the manifest, which comes from the other if it may; then nothing is there.
    fn join_unknown(&mut self, index: usize, content: ContentId) -> bool {
        let join = Join { content, manifest: None, order: Order::RarestFirst, patience: None };
        self.input(index, Input::Join(Box::new(join)));
        let complete = self.events.iter().find_map(|(who, event)| match event {
            Event::ManifestComplete { manifest } if *who == index => Some(manifest.clone()),
            _ => None,
        });
        let Some(manifest) = complete else { return false };
        let count = manifest.geometry().chunk_count();
        let (durable, wanted) = (Bitfield::new(count), Bitfield::full(count));
        self.input(index, Input::StoreOpened { content, durable, wanted, kept: Kept::new() });
        true
    }

    fn add(&mut self, index: usize, content: ContentId, purpose: Purpose) {
        let (node, addresses) = (id(1 - index), vec![address(1 - index)]);
        self.input(index, Input::AddSource { content, node, addresses, purpose });
    }

    fn declines(&self, index: usize) -> Vec<DeclineReason> {
        let reason = |(who, event): &(usize, Event)| match event {
            Event::PeerDeclined { reason, .. } if *who == index => Some(*reason),
            _ => None,
        };
        self.events.iter().filter_map(reason).collect()
    }

    fn offers(&self, index: usize) -> usize {
        let is_offer =
            |(who, event): &&(usize, Event)| *who == index && matches!(event, Event::Offered { .. });
        self.events.iter().filter(is_offer).count()
    }

    /// Chunks that an engine knows its peer to have.
    fn seen(&self, index: usize) -> u32 {
        let link = self.engines[index].survey().snapshot().peers.into_iter().find_map(|peer| peer.link);
        link.map_or(0, |link| link.have_count)
    }
}

#[test]
fn what_is_offered_is_declined_and_taken_up_when_it_is_joined() {
    let manifest = one_file(4);
    let content = manifest.id();
    let mut pair = Pair::new();
    pair.join(0, &manifest);
    pair.add(0, content, Purpose::Push);
    assert_eq!(pair.dials, [1, 0]);
    pair.link();
    assert_eq!((pair.offers(1), pair.is_up), (1, true));
    assert!(pair.join_unknown(1, content));
    assert_eq!(pair.seen(1), 4);
    let is_asked = pair.engines[0].survey().snapshot().peers.iter().any(|peer| peer.link.is_some());
    assert!(is_asked && pair.is_up);
}

#[test]
fn a_content_that_the_declined_side_takes_up_first_is_opened_by_both_again() {
    let manifest = one_file(4);
    let content = manifest.id();
    let mut pair = Pair::new();
    // The side that is dialed wants it, the dialing side offers something else.
    let other = one_file(2);
    pair.join(0, &other);
    pair.add(0, other.id(), Purpose::Push);
    assert!(!pair.join_unknown(1, content));
    pair.link();
    let declined = |(who, event): &(usize, Event)| *who == 1 && matches!(event, Event::PeerDeclined { .. });
    assert!(pair.events.iter().any(declined) && pair.is_up);
    pair.join(0, &manifest);
    let has_come = pair.events.iter().any(
        |(who, event)| matches!(event, Event::ManifestComplete { manifest } if *who == 1 && manifest.id() == content),
    );
    assert!(has_come);
}

#[test]
fn an_offer_is_dialed_for_also_when_nothing_is_to_be_fetched_and_a_source_is_not() {
    let manifest = one_file(4);
    for (purpose, dials) in [(Purpose::Fetch, 0), (Purpose::Push, 1), (Purpose::Meet, 1)] {
        let mut pair = Pair::new();
        pair.join(0, &manifest);
        pair.add(0, manifest.id(), purpose);
        assert_eq!(pair.dials[0], dials, "{purpose:?}");
        let failure = DialFailure::Refused(Refusal::new(RefusalCause::WrongKey, "another key"));
        pair.input(0, Input::DialFailed { node: id(1), failure });
        let is_told = pair.events.iter().any(|(_, event)| matches!(event, Event::PeerUnreachable { .. }));
        assert_eq!(is_told, purpose != Purpose::Meet);
        assert_eq!(pair.engines[0].next_wakeup().is_some(), purpose == Purpose::Push);
    }
}

#[test]
fn what_is_left_is_offered_no_more() {
    let manifest = one_file(4);
    let mut pair = Pair::new();
    pair.join(0, &manifest);
    pair.add(0, manifest.id(), Purpose::Push);
    pair.input(0, Input::Leave { content: manifest.id(), reason: DeclineReason::NotHere });
    let failure = DialFailure::Unreachable("no answer".to_owned());
    pair.input(0, Input::DialFailed { node: id(1), failure });
    assert_eq!(pair.engines[0].next_wakeup(), None);
}

#[test]
fn a_source_that_lacks_the_content_is_let_go_and_offers_of_one_link_are_bounded() {
    let mut pair = Pair::new();
    let content = one_file(4).id();
    assert!(!pair.join_unknown(0, content));
    pair.link();
    assert!(!pair.is_up);
    let mut pair = Pair::new();
    pair.link();
    for round in 0..3000u32 {
        let content = ContentId::from_bytes([(round % 7) as u8; 32]);
        let open = Message::Open { handle: Handle(round % 7), content, knows_manifest: true, is_offer: true };
        pair.input(1, Input::Message { link: LINK, message: open });
        pair.input(
            1,
            Input::Message {
                link: LINK,
                message: Message::Decline { content, reason: DeclineReason::NotHere },
            },
        );
    }
    assert_eq!(pair.offers(1), crate::limits::HANDLES_PER_LINK_MAX);
}

fn told(hosts: impl Iterator<Item = (u8, String)>) -> Message {
    let source = |(node, host): (u8, String)| Source {
        node: NodeId::from_bytes([node; 32]),
        addresses: vec![format!("{host}:1").parse().expect("an address")],
    };
    Message::Peers { handle: Handle(1), sources: hosts.map(source).collect() }
}

/// A leech or a seed, linked to a seed that then speaks by the test's own mouth.
fn linked(is_leech: bool) -> Pair {
    let manifest = one_file(4);
    let mut pair = Pair::new();
    pair.join(1, &manifest);
    if is_leech {
        pair.join_unknown(0, manifest.id());
    } else {
        pair.join(0, &manifest);
    }
    pair.link();
    if is_leech {
        let (durable, wanted) = (Bitfield::new(4), Bitfield::full(4));
        pair.input(0, Input::StoreOpened { content: manifest.id(), durable, wanted, kept: Kept::new() });
    } else {
        let open = Message::Open {
            handle: Handle(1),
            content: manifest.id(),
            knows_manifest: true,
            is_offer: false,
        };
        pair.input(0, Input::Message { link: LINK, message: open });
    }
    pair
}

#[test]
fn a_leech_dials_half_of_the_neighbours_it_lacks_and_believes_nobody_too_often() {
    let mut pair = linked(true);
    let message = told((10..26).map(|node| (node, format!("198.51.100.{node}"))));
    pair.input(0, Input::Message { link: LINK, message: message.clone() });
    assert_eq!(pair.dials[0], 5);
    let found =
        pair.events.iter().filter(|(_, event)| matches!(event, Event::PeerFound { by, .. } if *by == id(1)));
    assert_eq!(found.count(), 5);
    // What fails is forgotten, and no news.
    let found = |pair: &Pair| -> Vec<NodeId> {
        let node = |(_, event): &(usize, Event)| match event {
            Event::PeerFound { node, .. } => Some(*node),
            _ => None,
        };
        pair.events.iter().filter_map(node).collect()
    };
    let mut failed = 0;
    while let Some(node) = found(&pair).get(failed).copied() {
        let failure = DialFailure::Unreachable("no answer".to_owned());
        pair.input(0, Input::DialFailed { node, failure });
        failed += 1;
    }
    assert!(!pair.events.iter().any(|(_, event)| matches!(event, Event::PeerUnreachable { .. })));
    let before = pair.dials[0];
    assert!(before <= 16);
    let others = told((40..56).map(|node| (node, format!("198.51.100.{node}"))));
    pair.input(0, Input::Message { link: LINK, message: others });
    pair.engines[0].handle(Instant::ZERO + Duration::from_secs(10), Input::Wakeup);
    pair.drain(0);
    assert!(pair.is_up && pair.dials[0] <= 16, "{}", pair.dials[0]);
}

#[test]
fn addresses_of_other_networks_are_not_dialed_and_a_seed_dials_nobody() {
    let mut pair = linked(true);
    let inside = ["127.0.0.1", "10.0.0.1", "192.168.1.1", "[fe80::1]", "seed.example"];
    let message = told((10..).zip(inside.map(str::to_owned)));
    pair.input(0, Input::Message { link: LINK, message });
    assert_eq!((pair.dials[0], pair.is_up), (0, true));
    let mut pair = linked(false);
    let message = told([(10, "198.51.100.1".to_owned())].into_iter());
    pair.input(0, Input::Message { link: LINK, message });
    assert_eq!((pair.dials[0], pair.is_up), (0, true));
}

#[test]
fn whoever_did_not_name_the_feature_may_not_use_it() {
    let mut engine = Engine::new(id(0), 1);
    engine.handle(
        Instant::ZERO,
        Input::LinkUp { link: LINK, node: id(1), role: Role::Full, dialed: true, address: None },
    );
    let hello = swarm_core::wire::Hello { features: Vec::new(), ..swarm_core::wire::Hello::ours() };
    engine.handle(Instant::ZERO, Input::Message { link: LINK, message: Message::Hello(hello) });
    engine.handle(Instant::ZERO, Input::Message { link: LINK, message: told(std::iter::empty()) });
    let is_banned = |output| matches!(output, Output::Event(Event::PeerBanned { .. }));
    assert!(std::iter::from_fn(|| engine.poll()).any(is_banned));
}

#[test]
fn presences_say_what_is_here_and_who_takes_part() {
    let pair = linked(true);
    let [leech, seed] = [0, 1].map(|index| pair.engines[index].survey().presences().remove(0));
    assert_eq!((leech.have_count, leech.chunk_count, leech.is_wanting), (0, 4, true));
    assert_eq!((seed.have_count, seed.chunk_count, seed.is_wanting), (4, 4, false));
    assert_eq!((leech.links, seed.links), (vec![id(1)], vec![id(0)]));
    assert_eq!(pair.engines[1].survey().upload_capacity(), swarm_core::base::Rate(0));
}

#[test]
fn where_offers_are_taken_each_is_answered_once_and_by_the_product() {
    for reason in [DeclineReason::NotHere, DeclineReason::NotAccepted, DeclineReason::NoRoom] {
        let manifest = one_file(4);
        let content = manifest.id();
        let mut pair = Pair::new();
        pair.engines[1].take_offers();
        pair.join(0, &manifest);
        pair.add(0, content, Purpose::Push);
        pair.link();
        assert_eq!((pair.offers(1), pair.declines(0)), (1, vec![]));
        pair.input(1, Input::Refuse { node: id(0), content, reason });
        assert_eq!((pair.declines(0), pair.is_up), (vec![reason], true));
        // It may change its mind.
        assert!(pair.join_unknown(1, content));
        assert_eq!(pair.seen(1), 4);
        pair.input(1, Input::Refuse { node: id(0), content, reason });
        pair.input(1, Input::Leave { content, reason: DeclineReason::NoRoom });
        assert_eq!(pair.declines(0), [reason, DeclineReason::NoRoom]);
    }
}

#[test]
fn what_is_not_offered_is_declined_at_once_also_where_offers_are_taken() {
    let manifest = one_file(4);
    let mut pair = Pair::new();
    pair.engines[1].take_offers();
    assert!(!pair.join_unknown(0, manifest.id()));
    pair.link();
    assert_eq!((pair.offers(1), pair.declines(0)), (0, vec![DeclineReason::NotHere]));
}

#[test]
fn whoever_offers_hears_that_all_of_it_is_on_disk_and_nobody_else_does() {
    for (purpose, told) in [(Purpose::Push, 1), (Purpose::Fetch, 0)] {
        let manifest = one_file(4);
        let mut pair = Pair::new();
        pair.join(0, &manifest);
        pair.add(0, manifest.id(), purpose);
        pair.join(1, &manifest);
        pair.link();
        let is_durable =
            |(who, event): &&(usize, Event)| *who == 0 && matches!(event, Event::PeerDurable { .. });
        assert_eq!(pair.events.iter().filter(is_durable).count(), told, "{purpose:?}");
    }
}
