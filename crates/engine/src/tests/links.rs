//! One engine, and links that come and go: which of two stays, how long no link is enough, how many are looked for.

use super::living::{address, id};
use super::single::{Single, dialed, has_all, link_of, sources};
use super::*;
use crate::limits::{NEIGHBOURS_DIALED_MAX, PEX_INTERVAL};
use swarm_core::base::limits::LINK_IDLE_TIMEOUT;
use swarm_core::manifest::Source;
use swarm_core::wire::{DeclineReason, Hello};

fn closed(outputs: &[Output]) -> Vec<LinkId> {
    let link = |output: &Output| match output {
        Output::Close { link, .. } => Some(*link),
        _ => None,
    };
    outputs.iter().filter_map(link).collect()
}

#[test]
fn of_two_links_the_one_stays_that_the_smaller_key_dialed_and_of_two_alike_the_newer() {
    // Our index, theirs, who dialed the first and the second link: this node or not, and which of the two goes.
    for (ours, theirs, first, second, gone) in [
        (0, 5, true, false, 2),
        (0, 5, false, true, 1),
        (5, 0, true, false, 1),
        (5, 0, false, true, 2),
        (0, 5, true, true, 1),
        (5, 0, false, false, 1),
    ] {
        let mut single = Single::of(ours);
        let up = |link, dialed| Input::LinkUp {
            link: LinkId(link),
            node: id(theirs),
            role: Role::Full,
            dialed,
            address: None,
        };
        assert_eq!(closed(&single.input(up(1, first))), []);
        assert_eq!(closed(&single.input(up(2, second))), [LinkId(gone)], "{ours} {theirs} {first} {second}");
    }
}

/// A fetch that gives up after 30 s without anything.
fn impatient(manifest: &Manifest, is_opened: bool) -> Single {
    let mut single = Single::new();
    let patience = Some(Patience { idle: Duration::from_secs(30), search: Duration::from_mins(60) });
    let content = manifest.id();
    let join = Join { content, manifest: Some(manifest.clone()), order: Order::RarestFirst, patience };
    single.input(Input::Join(Box::new(join)));
    if is_opened {
        open_store(&mut single, manifest);
    }
    single
}

fn open_store(single: &mut Single, manifest: &Manifest) {
    let count = manifest.geometry().chunk_count();
    let (durable, wanted) = (Bitfield::new(count), Bitfield::full(count));
    single.input(Input::StoreOpened { content: manifest.id(), durable, wanted, kept: Kept::new() });
}

fn failures(outputs: &[Output]) -> usize {
    outputs.iter().filter(|output| matches!(output, Output::Event(Event::Failed { .. }))).count()
}

#[test]
fn a_fetch_gives_up_when_nothing_comes_and_not_while_this_node_is_busy_itself() {
    let manifest = one_file(4);
    let mut single = impatient(&manifest, true);
    assert_eq!(failures(&single.pass(Duration::from_secs(29))), 0);
    assert_eq!(failures(&single.pass(Duration::from_secs(2))), 1);

    let mut opening = impatient(&manifest, false);
    assert_eq!(failures(&opening.pass(Duration::from_mins(5))), 0, "what is there is being looked at");
    open_store(&mut opening, &manifest);
    assert_eq!(failures(&opening.pass(Duration::from_secs(29))), 0, "that was progress");
    assert_eq!(failures(&opening.pass(Duration::from_secs(40))), 1);

    let mut checking = impatient(&manifest, true);
    checking.link(1, Hello::ours());
    checking.take_part(1, &manifest);
    checking.hear(1, has_all(4));
    let outputs = checking.hear(1, Message::Choke { choked: false });
    let asked = |output: &Output| match output {
        Output::Receive(RunRequest { request, run, .. }) => Some((*request, run.first())),
        _ => None,
    };
    let (request, chunk) = outputs.iter().find_map(asked).expect("it serves and has all");
    let link = link_of(1);
    checking.input(Input::Received { link, request, len: 16_384 });
    checking.input(Input::ChunkArrived { link, request, chunk });
    checking.input(Input::LinkDown { link, reason: "gone".to_owned() });
    assert_eq!(failures(&checking.pass(Duration::from_mins(5))), 0, "the disk is slow");
    let (content, from, verdict) = (manifest.id(), Some(id(1)), ChunkVerdict::Verified);
    checking.input(Input::ChunkChecked { content, chunk, from, verdict });
    assert_eq!(failures(&checking.pass(Duration::from_mins(2))), 1);
}

fn add_source(single: &mut Single, manifest: &Manifest, peer: usize) -> Vec<Output> {
    let (content, node, addresses) = (manifest.id(), id(peer), vec![address(peer)]);
    single.input(Input::AddSource { content, node, addresses, purpose: Purpose::Fetch })
}

/// What was dialed is linked, greets and has everything.
fn answer(single: &mut Single, manifest: &Manifest, nodes: &[NodeId]) {
    for node in nodes {
        let peer = (1..255).find(|peer| id(*peer) == *node).expect("it was named");
        let (link, address) = (link_of(peer), Some(address(peer)));
        single.input(Input::LinkUp { link, node: *node, role: Role::Full, dialed: true, address });
        single.hear(peer, Message::Hello(Hello::ours()));
        single.take_part(peer, manifest);
    }
}

#[test]
fn the_net_is_cast_wider_while_that_brings_more() {
    let manifest = one_file(4);
    let mut single = Single::new();
    single.join(&manifest, Order::RarestFirst, 0);
    let mut first = Vec::new();
    for peer in 1..=100 {
        first.extend(dialed(&add_source(&mut single, &manifest, peer)));
    }
    assert_eq!(first.len(), NEIGHBOURS_DIALED_MAX);
    answer(&mut single, &manifest, &first);
    // Nothing comes: twice as many are tried each time.
    let second = dialed(&single.pass(Duration::from_millis(1100)));
    assert_eq!(second.len(), NEIGHBOURS_DIALED_MAX);
    answer(&mut single, &manifest, &second);
    let third = dialed(&single.pass(Duration::from_secs(1)));
    assert!(third.len() > NEIGHBOURS_DIALED_MAX, "as many as may be dialed at a time: {}", third.len());
    // No peer is dialed for a content that was left.
    single.input(Input::Leave { content: manifest.id(), reason: DeclineReason::NotHere });
    assert_eq!(dialed(&single.pass(Duration::from_secs(10))), []);
}

#[test]
fn what_a_peer_tells_of_others_too_often_is_passed_over() {
    let manifest = one_file(4);
    let mut single = Single::new();
    single.join(&manifest, Order::RarestFirst, 0);
    for peer in 1..=2 {
        single.link(peer, Hello::ours());
        single.take_part(peer, &manifest);
    }
    let tell = |peer: usize| {
        let source = Source { node: id(peer), addresses: vec![address(peer)] };
        Message::Peers { handle: Handle(1), sources: vec![source] }
    };
    let mut told = |wait: Duration, informer: usize, peer: usize| {
        let mut outputs = single.pass(wait);
        outputs.extend(single.hear(informer, tell(peer)));
        outputs.extend(single.pass(Duration::from_secs(3)));
        dialed(&outputs)
    };
    assert_eq!(told(Duration::ZERO, 1, 30), [id(30)]);
    assert_eq!(told(Duration::ZERO, 1, 31), [], "a moment later");
    assert_eq!(told(Duration::ZERO, 2, 32), [id(32)], "another peer");
    assert_eq!(told(PEX_INTERVAL / 2, 1, 33), [id(33)]);
    assert_eq!(told(PEX_INTERVAL, 1, 0), [], "this node itself");
}

#[test]
fn of_many_peers_each_is_told_of_some_that_others_were_not_told_of() {
    let manifest = one_file(4);
    let mut single = Single::new();
    single.join(&manifest, Order::RarestFirst, 4);
    let count = 60;
    for peer in 1..=count {
        single.link(peer, Hello::ours());
        single.take_part(peer, &manifest);
    }
    let outputs = single.pass(Duration::from_secs(2));
    let told: Vec<NodeId> =
        (1..=count).flat_map(|peer| sources(&outputs, peer)).map(|source| source.node).collect();
    assert_eq!(told.len(), count * swarm_core::base::limits::PEX_SOURCES_MAX);
    // By chance alone some would be named twice and others forty times.
    for peer in 1..=count {
        let times = told.iter().filter(|node| **node == id(peer)).count();
        assert!((8..=24).contains(&times), "{peer}: {times}");
    }
}

#[test]
fn each_reason_to_close_has_its_own_code_and_words() {
    let reasons = [
        CloseReason::Done,
        CloseReason::Duplicate,
        CloseReason::TooManyLinks,
        CloseReason::Banned,
        CloseReason::OfNoUse("idle"),
        CloseReason::AccessChanged,
        CloseReason::Violation(Violation::Manifest),
    ];
    // Peers of other versions read them.
    let codes: Vec<u32> = reasons.iter().map(CloseReason::code).collect();
    assert_eq!(codes[..6], [0, 1, 2, 3, 4, 5]);
    assert!(codes[6] > 5);
    let words: std::collections::BTreeSet<String> = reasons.iter().map(ToString::to_string).collect();
    assert_eq!(words.len(), reasons.len());
    assert!(words.iter().all(|words| !words.is_empty()));
}

#[test]
fn a_manifest_is_asked_of_another_when_the_one_that_was_asked_is_gone() {
    let manifest = one_file(4);
    let requested = |outputs: &[Output], peer: usize| {
        let is_request = |message: &&&Message| matches!(message, Message::ManifestRequest { .. });
        super::single::sent(outputs, peer).iter().filter(is_request).count()
    };
    let mut single = Single::new();
    let (content, order, patience) = (manifest.id(), Order::RarestFirst, None);
    single.input(Input::Join(Box::new(Join { content, manifest: None, order, patience })));
    for (peer, is_asked) in [(1, 1), (2, 0), (3, 0)] {
        let mut outputs = single.link(peer, Hello::ours());
        outputs.extend(single.take_part(peer, &manifest));
        assert_eq!(requested(&outputs, peer), is_asked, "{peer}");
    }
    let mut lose =
        |peer: usize| single.input(Input::LinkDown { link: link_of(peer), reason: "gone".to_owned() });
    // One that was not asked is no loss.
    let outputs = lose(2);
    assert_eq!([1, 3].map(|peer| requested(&outputs, peer)), [0, 0]);
    let outputs = lose(1);
    assert_eq!(requested(&outputs, 3), 1);
}

#[test]
fn a_fetch_without_hope_ends_at_once_and_one_whose_last_chunk_is_being_checked_does_not() {
    let manifest = one_file(1);
    for is_checking in [false, true] {
        let mut single = Single::new();
        let patience = Some(Patience { idle: Duration::from_mins(60), search: Duration::ZERO });
        let (content, order) = (manifest.id(), Order::RarestFirst);
        let join = Join { content, manifest: Some(manifest.clone()), order, patience };
        single.input(Input::Join(Box::new(join)));
        open_store(&mut single, &manifest);
        assert_eq!(failures(&single.pass(Duration::from_secs(1))), 0, "no peer was named yet");
        assert_eq!(dialed(&add_source(&mut single, &manifest, 1)), [id(1)]);
        answer(&mut single, &manifest, &[id(1)]);
        single.hear(1, has_all(1));
        single.hear(1, Message::Choke { choked: false });
        let (link, request) = (link_of(1), RequestId(1));
        if is_checking {
            single.input(Input::Received { link, request, len: 16_384 });
            let chunk = manifest.geometry().chunk(0).expect("the one");
            single.input(Input::ChunkArrived { link, request, chunk });
        }
        single.input(Input::LinkDown { link, reason: "gone".to_owned() });
        let refused = Input::DialFailed {
            node: id(1),
            failure: DialFailure::Refused(Refusal::new(RefusalCause::WrongKey, "another key")),
        };
        let outputs = single.input(refused);
        assert_eq!(failures(&outputs), usize::from(!is_checking));
    }
}

#[test]
fn a_node_that_stops_waits_for_what_is_being_flushed() {
    let manifest = one_file(400);
    let mut single = Single::new();
    single.join(&manifest, Order::RarestFirst, 0);
    let chunk = manifest.geometry().chunk(0).expect("the first");
    let (content, from, verdict) = (manifest.id(), Some(id(1)), ChunkVerdict::Verified);
    single.input(Input::ChunkChecked { content, chunk, from, verdict });
    let is_stopped =
        |outputs: &[Output]| outputs.iter().any(|output| matches!(output, Output::Event(Event::Stopped)));
    assert!(!is_stopped(&single.input(Input::Stop)));
    assert!(!is_stopped(&single.pass(Duration::from_secs(60))));
    assert!(is_stopped(&single.input(Input::Flushed { content, chunks: vec![chunk] })));
}

#[test]
fn a_source_whose_link_this_node_closed_is_dialed_again_though_others_are_linked() {
    let manifest = one_file(400);
    let mut single = Single::new();
    single.join(&manifest, Order::RarestFirst, 0);
    for peer in [1, 2] {
        add_source(&mut single, &manifest, peer);
        answer(&mut single, &manifest, &[id(peer)]);
    }
    single.hear(1, has_all(400));
    // It takes requests and breaks every stream off.
    let mut outputs = single.hear(1, Message::Choke { choked: false });
    let request = |output: &Output| match output {
        Output::Receive(RunRequest { request, .. }) => Some(*request),
        _ => None,
    };
    while closed(&outputs).is_empty() {
        let request = outputs.iter().find_map(request).expect("it is asked again");
        outputs = single.input(Input::StreamEnded { link: link_of(1), request });
    }
    assert_eq!(closed(&outputs), [link_of(1)]);
    assert_eq!(dialed(&single.pass(Duration::from_secs(2))), [id(1)]);
}

#[test]
fn after_standing_still_patience_and_backoff_begin_anew() {
    let manifest = one_file(4);
    let mut single = impatient(&manifest, true);
    add_source(&mut single, &manifest, 1);
    let fail = |single: &mut Single| {
        let failure = DialFailure::Unreachable("no answer".to_owned());
        single.input(Input::DialFailed { node: id(1), failure });
    };
    fail(&mut single);
    while dialed(&single.pass(Duration::from_secs(1))) == [id(1)] {
        fail(&mut single);
    }
    single.pass(Duration::from_secs(20));
    fail(&mut single);
    let outputs = single.input(Input::Woke { slept: Duration::from_secs(70) });
    assert_eq!(dialed(&outputs), [id(1)]);
    assert_eq!(failures(&single.pass(Duration::from_secs(29))), 0);
    assert_eq!(failures(&single.pass(Duration::from_secs(2))), 1);
}

#[test]
fn links_that_the_other_end_has_given_up_meanwhile_are_made_anew() {
    let manifest = one_file(4);
    for (slept, is_closed) in [(LINK_IDLE_TIMEOUT / 2, false), (LINK_IDLE_TIMEOUT * 2, true)] {
        let mut single = impatient(&manifest, true);
        add_source(&mut single, &manifest, 1);
        answer(&mut single, &manifest, &[id(1)]);
        let outputs = single.input(Input::Woke { slept });
        assert_eq!(closed(&outputs).len(), usize::from(is_closed), "{slept:?}");
        assert_eq!(dialed(&outputs).len(), usize::from(is_closed), "{slept:?}");
    }
}

/// Dials that come to nothing, each after ten seconds, until so many nodes were dialed. How long that took.
fn time_to_dial(single: &mut Single, mut outputs: Vec<Output>, count: usize) -> Duration {
    let (mut ends, mut tried) = (VecDeque::new(), std::collections::BTreeSet::new());
    let mut time = Duration::ZERO;
    loop {
        assert_eq!(failures(&outputs), 0, "after {time:?}");
        for node in dialed(&outputs) {
            tried.insert(node);
            ends.push_back((time + Duration::from_secs(10), node));
        }
        if tried.len() == count {
            return time;
        }
        time += Duration::from_millis(500);
        outputs = single.pass(Duration::from_millis(500));
        while let Some((_, node)) = ends.pop_front_if(|(at, _)| *at <= time) {
            let failure = DialFailure::Unreachable("no answer".to_owned());
            outputs.extend(single.input(Input::DialFailed { node, failure }));
        }
    }
}

#[test]
fn patience_does_not_run_out_while_sources_are_untried() {
    // As many as engines of these tests can tell apart: whichever is dialed last may be the one that lives.
    let (manifest, count) = (one_file(4), 250);
    let mut single = Single::new();
    let patience = Some(Patience { idle: Duration::from_secs(3), search: Duration::ZERO });
    let (content, order) = (manifest.id(), Order::RarestFirst);
    let join = Join { content, manifest: Some(manifest.clone()), order, patience };
    single.input(Input::Join(Box::new(join)));
    open_store(&mut single, &manifest);
    let named: Vec<Output> = (1..=count).flat_map(|peer| add_source(&mut single, &manifest, peer)).collect();
    let time = time_to_dial(&mut single, named, count);
    assert!(time < Duration::from_secs(15), "{time:?}");
    // It has its time, too; then it is over.
    assert_eq!(failures(&single.pass(Duration::from_millis(2_900))), 0);
    assert_eq!(failures(&single.pass(Duration::from_secs(60))), 1);
}
