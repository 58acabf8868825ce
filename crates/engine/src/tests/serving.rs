//! One engine serves peers whose words the test speaks: who hears of what, who is served, what becomes of what cannot be read.

use std::collections::{BTreeMap, BTreeSet};

use super::single::{Single, has_all, link_of, sent};
use super::*;
use swarm_core::wire::{Hello, RejectReason};

/// A seed, and so many peers that take part and have nothing.
fn seed(chunk_count: u32, peers: usize) -> (Single, Manifest, Vec<Output>) {
    let manifest = one_file(chunk_count as usize);
    let mut single = Single::new();
    single.join(&manifest, Order::RarestFirst, chunk_count);
    single.input(Input::Finished { content: manifest.id() });
    let mut outputs = Vec::new();
    for peer in 1..=peers {
        outputs.extend(single.link(peer, Hello::ours()));
        outputs.extend(single.take_part(peer, &manifest));
    }
    (single, manifest, outputs)
}

fn request(manifest: &Manifest, request: u64, chunk: u32) -> Message {
    let len = manifest.geometry().chunk_len(manifest.geometry().chunk(chunk).expect("there is one"));
    Message::Request { request: RequestId(request), handle: Handle(1), chunk, offset: 0, len }
}

fn ended(peer: usize, request: u64, sent_len: u64, end: UploadEnd) -> Input {
    Input::UploadEnded { link: link_of(peer), request: RequestId(request), sent_len, end }
}

/// Uploads that begin.
fn uploads(outputs: &[Output]) -> Vec<(LinkId, u64, u32)> {
    let upload = |output: &Output| match output {
        Output::Upload(RunRequest { link, request, run, .. }) => Some((*link, request.0, run.first().get())),
        _ => None,
    };
    outputs.iter().filter_map(upload).collect()
}

/// Why requests are rejected.
fn rejected(outputs: &[Output], peer: usize) -> Vec<(u64, RejectReason)> {
    let reject = |message: &Message| match message {
        Message::Reject { request, reason } => Some((request.0, *reason)),
        _ => None,
    };
    sent(outputs, peer).into_iter().filter_map(reject).collect()
}

/// What a peer knows to be here, after these messages too.
fn note_haves(outputs: &[Output], peer: usize, count: u32, seen: &mut BTreeSet<u32>) {
    for message in sent(outputs, peer) {
        match message {
            Message::Have { chunks, .. } => seen.extend(chunks.chunks(count).expect("within")),
            Message::Lost { chunks, .. } => {
                for chunk in chunks.chunks(count).expect("within") {
                    seen.remove(&chunk);
                }
            }
            _ => {}
        }
    }
}

#[test]
fn a_chunk_that_cannot_be_read_is_taken_back_from_everybody() {
    let (mut single, manifest, _) = seed(4, 3);
    single.hear(1, request(&manifest, 10, 0));
    // A fourth at a time waits for its turn.
    for (number, chunk) in [(20, 1), (21, 2), (22, 3), (23, 0)] {
        single.hear(2, request(&manifest, number, chunk));
    }
    single.hear(3, request(&manifest, 30, 0));
    let outputs = single.input(ended(1, 10, 0, UploadEnd::Lost(manifest.geometry().chunk(0).unwrap())));
    for peer in [1, 2, 3] {
        let taken_back = |message: &&&Message| match message {
            Message::Lost { chunks, .. } => chunks.chunks(4).expect("within").eq([0]),
            _ => false,
        };
        assert_eq!(sent(&outputs, peer).iter().filter(taken_back).count(), 1, "{peer}");
    }
    assert_eq!(rejected(&outputs, 1), [(10, RejectReason::Unreadable)]);
    assert_eq!(rejected(&outputs, 2), [(23, RejectReason::NotHeld)], "what waited");
    assert_eq!(rejected(&outputs, 3), [], "what is being sent goes on");
    let is_told = |output: &&Output| matches!(output, Output::Event(Event::ChunkLost { .. }));
    assert_eq!(outputs.iter().filter(is_told).count(), 1);
    // Once more of the same chunk is no news.
    let outputs = single.input(ended(3, 30, 0, UploadEnd::Lost(manifest.geometry().chunk(0).unwrap())));
    assert_eq!(rejected(&outputs, 3), [(30, RejectReason::Unreadable)]);
    assert_eq!(outputs.iter().filter(is_told).count(), 0);
    assert!(!sent(&outputs, 1).iter().any(|message| matches!(message, Message::Lost { .. })));
    // And it is served no more.
    assert_eq!(rejected(&single.hear(1, request(&manifest, 11, 0)), 1), [(11, RejectReason::NotHeld)]);
    assert_eq!(uploads(&single.hear(1, request(&manifest, 12, 1))), [(link_of(1), 12, 1)]);
}

fn trouble(manifest: &Manifest, chunk: u32, extent: Extent) -> UploadEnd {
    let chunk = manifest.geometry().chunk(chunk).expect("there is one");
    UploadEnd::Unreadable { chunk, extent, reason: "cannot read".to_owned() }
}

/// What a peer is told to be lost, and to be here.
fn told(outputs: &[Output], peer: usize, count: u32) -> (Vec<u32>, Vec<u32>) {
    let (mut lost, mut here) = (Vec::new(), Vec::new());
    for message in sent(outputs, peer) {
        match message {
            Message::Lost { chunks, .. } => lost.extend(chunks.chunks(count).expect("within")),
            Message::Have { chunks, .. } => here.extend(chunks.chunks(count).expect("within")),
            _ => {}
        }
    }
    (lost, here)
}

/// Chunks that are read again.
fn reread(outputs: &[Output]) -> Vec<u32> {
    let chunk = |output: &Output| match output {
        Output::Reread { chunk, .. } => Some(chunk.get()),
        _ => None,
    };
    outputs.iter().filter_map(chunk).collect()
}

fn events(outputs: &[Output]) -> Vec<String> {
    let event = |output: &Output| match output {
        Output::Event(Event::ReadTrouble { chunk, reason, .. }) => {
            Some(format!("trouble {}: {reason}", chunk.get()))
        }
        Output::Event(Event::ReadAgain { chunk, .. }) => Some(format!("again {}", chunk.get())),
        Output::Event(Event::ChunkLost { chunk, .. }) => Some(format!("lost {}", chunk.get())),
        _ => None,
    };
    outputs.iter().filter_map(event).collect()
}

/// A seed of which peer 1 was refused chunk 1, and what it said then.
fn in_trouble(extent: Extent) -> (Single, Manifest, Vec<Output>) {
    let (mut single, manifest, _) = seed(4, 2);
    single.hear(1, request(&manifest, 10, 1));
    let outputs = single.input(ended(1, 10, 0, trouble(&manifest, 1, extent)));
    (single, manifest, outputs)
}

#[test]
fn what_cannot_be_read_now_is_not_offered_until_it_can_be_and_is_then_served() {
    for (extent, concerned) in
        [(Extent::Chunk, vec![1]), (Extent::File, vec![0, 1, 2, 3]), (Extent::Content, vec![0, 1, 2, 3])]
    {
        let (mut single, manifest, outputs) = in_trouble(extent);
        assert_eq!(rejected(&outputs, 1), [(10, RejectReason::Unreadable)]);
        assert_eq!(events(&outputs), ["trouble 1: cannot read"]);
        assert_eq!(told(&outputs, 2, 4).0, concerned);
        // It is no news from others, and nothing is lost of what counts as here.
        single.hear(2, request(&manifest, 20, 1));
        let tally = single.engine.survey().snapshot().contents[0].clone();
        assert_eq!((tally.verified_len, tally.durable_len), (tally.wanted_len, tally.wanted_len));
        let content = manifest.id();
        let chunk = manifest.geometry().chunk(1).expect("there is one");
        let mut waited = Duration::ZERO;
        for _ in 0..8 {
            let asked = loop {
                waited += Duration::from_millis(500);
                let outputs = single.pass(Duration::from_millis(500));
                if !reread(&outputs).is_empty() {
                    break reread(&outputs);
                }
                assert!(waited < Duration::from_mins(5), "it is not read again");
            };
            assert_eq!(asked, [1]);
            let outputs = single.input(Input::Reread { content, chunk, found: Reread::Trouble });
            assert_eq!(events(&outputs), Vec::<String>::new(), "it is said once");
        }
        assert!(waited > Duration::from_mins(1), "later and later: {waited:?}");
        assert_eq!(reread(&single.pass(Duration::from_secs(31))), [1]);
        let outputs = single.input(Input::Reread { content, chunk, found: Reread::Readable });
        assert_eq!(events(&outputs), ["again 1"]);
        for peer in [1, 2] {
            assert_eq!(told(&outputs, peer, 4), (vec![], concerned.clone()));
        }
        assert_eq!(uploads(&single.hear(1, request(&manifest, 11, 1))), [(link_of(1), 11, 1)]);
        assert_eq!(reread(&single.pass(Duration::from_mins(2))), Vec::<u32>::new());
    }
}

#[test]
fn what_proves_changed_when_it_is_read_again_is_withdrawn_and_the_rest_comes_back() {
    let (mut single, manifest, _) = in_trouble(Extent::File);
    assert_eq!(reread(&single.pass(Duration::from_secs(2))), [1]);
    let (content, chunk) = (manifest.id(), manifest.geometry().chunk(1).expect("there is one"));
    let outputs = single.input(Input::Reread { content, chunk, found: Reread::Changed });
    assert_eq!(events(&outputs), ["again 1", "lost 1"]);
    assert_eq!(told(&outputs, 2, 4), (vec![1], vec![0, 1, 2, 3]));
    assert_eq!(uploads(&single.hear(1, request(&manifest, 11, 2))), [(link_of(1), 11, 2)]);
    assert_eq!(rejected(&single.hear(1, request(&manifest, 12, 1)), 1), [(12, RejectReason::NotHeld)]);
}

#[test]
fn a_second_trouble_does_not_wait_for_the_first_to_be_read_again() {
    let (mut single, manifest, _) = in_trouble(Extent::Chunk);
    let (content, chunk) = (manifest.id(), manifest.geometry().chunk(1).expect("there is one"));
    for _ in 0..6 {
        single.pass(Duration::from_secs(31));
        single.input(Input::Reread { content, chunk, found: Reread::Trouble });
    }
    single.hear(1, request(&manifest, 11, 2));
    single.input(ended(1, 11, 0, trouble(&manifest, 2, Extent::Chunk)));
    assert_eq!(reread(&single.pass(Duration::from_secs(2))), [2]);
}

#[test]
fn who_comes_in_the_middle_of_a_trouble_is_told_of_what_can_be_read() {
    let (mut single, manifest, _) = in_trouble(Extent::Chunk);
    single.link(3, Hello::ours());
    let outputs = single.take_part(3, &manifest);
    assert_eq!(told(&outputs, 3, 4), (vec![], vec![0, 2, 3]));
}

#[test]
fn what_was_sent_is_counted_and_who_reads_nothing_loses_its_link() {
    let (mut single, manifest, _) = seed(4, 2);
    single.hear(1, request(&manifest, 10, 0));
    single.hear(2, request(&manifest, 20, 1));
    single.input(ended(1, 10, 16_384, UploadEnd::Sent));
    let outputs = single.input(ended(2, 20, 5000, UploadEnd::Stalled));
    let snapshot = single.engine.survey().snapshot();
    assert_eq!(snapshot.contents[0].totals.sent_len, 21_384);
    let sent_to: Vec<u64> = snapshot.peers.iter().map(|peer| peer.totals.sent_len).collect();
    assert_eq!(sent_to, [16_384, 5000]);
    let closed = |output: &Output| match output {
        Output::Close { link, .. } => Some(*link),
        _ => None,
    };
    assert_eq!(outputs.iter().filter_map(closed).collect::<Vec<_>>(), [link_of(2)]);
    // An end of what never began is nothing.
    single.input(ended(1, 10, 16_384, UploadEnd::Sent));
    assert_eq!(single.engine.survey().snapshot().contents[0].totals.sent_len, 21_384);
}

#[test]
fn when_no_chunk_hangs_on_one_peer_everybody_sees_everything() {
    let count = 12;
    let (mut single, manifest, outputs) = seed(count, 3);
    let mut seen: BTreeMap<usize, BTreeSet<u32>> = (1..=3).map(|peer| (peer, BTreeSet::new())).collect();
    for (peer, seen) in &mut seen {
        note_haves(&outputs, *peer, count, seen);
    }
    assert!(seen[&3].len() < count as usize, "it is offered a part: {seen:?}");
    // Two pass everything on; the third has asked for what it was offered, and waits.
    let mut out: BTreeSet<u32> = seen[&3].clone();
    for chunk in out.clone() {
        single.hear(3, request(&manifest, 900 + u64::from(chunk), chunk));
    }
    let spread = |single: &mut Single, chunk: u32| {
        let one: Bitfield = (0..count).map(|other| other == chunk).collect();
        let have = Message::Have { handle: Handle(1), chunks: ChunkRuns::of(&one).remove(0) };
        [1, 2].into_iter().flat_map(|peer| single.hear(peer, have.clone())).collect::<Vec<Output>>()
    };
    for chunk in out.clone() {
        let outputs = spread(&mut single, chunk);
        for (peer, seen) in &mut seen {
            note_haves(&outputs, *peer, count, seen);
        }
    }
    for number in 0..2 * u64::from(count) {
        let next = seen.iter().filter(|(peer, _)| **peer < 3).find_map(|(peer, seen)| {
            seen.iter().find(|chunk| !out.contains(*chunk)).map(|chunk| (*peer, *chunk))
        });
        let Some((peer, chunk)) = next else { break };
        out.insert(chunk);
        let mut outputs = single.hear(peer, request(&manifest, number, chunk));
        outputs.extend(single.input(ended(peer, number, 16_384, UploadEnd::Sent)));
        outputs.extend(spread(&mut single, chunk));
        for (peer, seen) in &mut seen {
            note_haves(&outputs, *peer, count, seen);
        }
    }
    assert_eq!(out.len(), count as usize, "all went out");
    assert_eq!(seen[&3].len(), count as usize);
}

/// Peers that may ask.
fn note_chokes(outputs: &[Output], peers: usize, unchoked: &mut BTreeSet<usize>) {
    for peer in 1..=peers {
        for message in sent(outputs, peer) {
            match message {
                Message::Choke { choked: false } => unchoked.insert(peer),
                Message::Choke { choked: true } => unchoked.remove(&peer),
                _ => false,
            };
        }
    }
}

#[test]
fn a_lone_seed_serves_more_at_once_as_long_as_that_brings_more() {
    for (growth, settled) in [(2, 48), (1, 12)] {
        let (mut single, manifest, outputs) = seed(200, 60);
        let mut unchoked = BTreeSet::new();
        note_chokes(&outputs, 60, &mut unchoked);
        assert_eq!(unchoked.len(), 12);
        let mut rate = 1_000_000;
        for number in 0..4 {
            let asking = *unchoked.first().expect("one peer is unchoked");
            let mut outputs = single.hear(asking, request(&manifest, number, number as u32));
            outputs.extend(single.input(ended(asking, number, rate, UploadEnd::Sent)));
            outputs.extend(single.pass(Duration::from_secs(4)));
            note_chokes(&outputs, 60, &mut unchoked);
            rate *= growth;
            // A peer that has a slot makes use of it.
            for peer in unchoked.clone() {
                let outputs = single.hear(peer, request(&manifest, 1000 + number, 190));
                note_chokes(&outputs, 60, &mut unchoked);
            }
        }
        assert!(unchoked.len() >= settled, "{growth}: {}", unchoked.len());
        assert!(growth > 1 || unchoked.len() <= 24, "{growth}: {}", unchoked.len());
    }
}

#[test]
fn who_has_everything_needs_no_turn_and_is_told_when_it_is_done() {
    let (mut single, manifest, _) = seed(4, 1);
    single.hear(1, request(&manifest, 10, 0));
    single.input(ended(1, 10, 16_384, UploadEnd::Sent));
    let completed = |outputs: &[Output]| {
        outputs.iter().filter(|output| matches!(output, Output::Event(Event::PeerCompleted { .. }))).count()
    };
    assert_eq!(completed(&single.hear(1, has_all(4))), 1);
    assert_eq!(completed(&single.hear(1, has_all(4))), 0, "once");
    // One that had everything before it was sent anything has not taken it from here.
    single.link(2, Hello::ours());
    single.take_part(2, &manifest);
    assert_eq!(completed(&single.hear(2, has_all(4))), 0);
}

#[test]
fn a_request_that_is_taken_back_is_stopped_where_it_may_be_on_its_way() {
    let (mut single, manifest, _) = seed(8, 1);
    for number in 0..4 {
        single.hear(1, request(&manifest, number, number as u32));
    }
    let stopped = |outputs: Vec<Output>| {
        outputs.iter().filter(|output| matches!(output, Output::StopUpload { .. })).count()
    };
    let mut cancel = |number| stopped(single.hear(1, Message::Cancel { request: RequestId(number) }));
    assert_eq!(cancel(3), 0, "it waited");
    assert_eq!(cancel(0), 1, "it is being sent");
    assert_eq!(cancel(77), 1, "it may have been handed over whole");
}

#[test]
fn what_the_uplink_carries_is_known_after_seconds_in_which_somebody_always_waited() {
    let (mut single, manifest, _) = seed(200, 2);
    // Four requests of each stand at any time, and three are being sent.
    for peer in [1, 2] {
        (0..4).for_each(|number| drop(single.hear(peer, request(&manifest, number, number as u32))));
    }
    assert_eq!(single.engine.survey().upload_capacity(), swarm_core::base::Rate(0));
    for number in 0..44 {
        single.pass(Duration::from_millis(500));
        for peer in [1, 2] {
            single.hear(peer, request(&manifest, number + 4, number as u32 + 4));
            single.input(ended(peer, number, 500_000, UploadEnd::Sent));
        }
    }
    let rate = single.engine.survey().upload_capacity().0;
    assert!((1_900_000..=2_200_000).contains(&rate), "{rate}");
}

#[test]
fn who_has_all_that_is_here_gives_its_turn_to_who_lacks_it() {
    let (mut single, _, outputs) = seed(100, 14);
    let mut unchoked = BTreeSet::new();
    note_chokes(&outputs, 14, &mut unchoked);
    assert_eq!(unchoked.len(), 12);
    let waiting: Vec<usize> = (1..=14).filter(|peer| !unchoked.contains(peer)).collect();
    single.hear(waiting[0], has_all(100));
    for &peer in &unchoked.clone() {
        let outputs = single.hear(peer, has_all(100));
        note_chokes(&outputs, 14, &mut unchoked);
    }
    let outputs = single.pass(Duration::from_secs(15));
    note_chokes(&outputs, 14, &mut unchoked);
    assert!(unchoked.contains(&waiting[1]) && !unchoked.contains(&waiting[0]), "{unchoked:?}");
}

#[test]
fn whoever_gets_a_turn_is_offered_something_and_the_last_one_left_sees_everything() {
    let (mut single, _, outputs) = seed(200, 14);
    let mut unchoked = BTreeSet::new();
    note_chokes(&outputs, 14, &mut unchoked);
    let waiting: Vec<usize> = (1..=14).filter(|peer| !unchoked.contains(peer)).collect();
    let mut seen = BTreeSet::new();
    note_haves(&outputs, waiting[0], 200, &mut seen);
    assert!(seen.is_empty(), "it could take nothing of it");
    let outputs = single.pass(Duration::from_secs(15));
    note_chokes(&outputs, 14, &mut unchoked);
    assert!(unchoked.contains(&waiting[0]));
    note_haves(&outputs, waiting[0], 200, &mut seen);
    assert!(!seen.is_empty());

    let (mut single, _, outputs) = seed(200, 2);
    let mut seen = BTreeSet::new();
    note_haves(&outputs, 1, 200, &mut seen);
    assert!(seen.len() < 200);
    let outputs = single.input(Input::LinkDown { link: link_of(2), reason: "gone".to_owned() });
    note_haves(&outputs, 1, 200, &mut seen);
    assert_eq!(seen.len(), 200);
}

#[test]
fn complaints_of_a_peer_are_passed_on_a_few_times() {
    let (mut single, _, _) = seed(4, 1);
    let told = |outputs: &[Output]| {
        outputs.iter().filter(|output| matches!(output, Output::Event(Event::BlamedByPeer { .. }))).count()
    };
    let blame = Message::BadChunk { handle: Handle(1), chunk: 3 };
    let first = told(&single.hear(1, blame.clone()));
    let all: usize = (0..20).map(|_| told(&single.hear(1, blame.clone()))).sum();
    assert_eq!((first, all), (1, 7));
}

#[test]
fn what_this_node_says_of_itself() {
    let manifest = one_file(4);
    let presence = |single: &Single| {
        let presence = single.engine.survey().presences().remove(0);
        (presence.have_count, presence.chunk_count, presence.is_wanting, presence.links)
    };
    let (single, _, _) = seed(4, 2);
    assert_eq!(presence(&single), (4, 4, false, vec![super::living::id(1), super::living::id(2)]));
    let mut single = Single::new();
    single.join(&manifest, Order::RarestFirst, 3);
    assert_eq!(presence(&single), (3, 4, true, Vec::new()));
    // All is verified, and not yet on disk for good.
    let chunk = manifest.geometry().chunk(3).expect("the last");
    let (content, verdict) = (manifest.id(), ChunkVerdict::Verified);
    single.input(Input::ChunkChecked { content, chunk, from: None, verdict });
    assert_eq!(presence(&single), (4, 4, false, Vec::new()));
}

#[test]
fn who_says_and_takes_back_without_end_what_it_has_loses_its_link() {
    for (pause, is_gone) in [(Duration::ZERO, true), (Duration::from_secs(2), false)] {
        let (mut single, _, _) = seed(2000, 1);
        let all = ChunkRuns::of(&Bitfield::full(2000)).remove(0);
        let mut is_closed = false;
        for _ in 0..40 {
            let (have, lost) = (Message::Have { handle: Handle(1), chunks: all.clone() }, Handle(1));
            let mut outputs = single.hear(1, have);
            outputs.extend(single.hear(1, Message::Lost { handle: lost, chunks: all.clone() }));
            outputs.extend(single.pass(pause));
            is_closed |= outputs.iter().any(|output| matches!(output, Output::Close { .. }));
        }
        assert_eq!(is_closed, is_gone, "{pause:?}");
    }
}
