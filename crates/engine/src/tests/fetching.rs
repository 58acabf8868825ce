//! One engine fetches from peers whose words the test speaks: which chunks are requested of which peer, and which events tell of it.

use std::collections::BTreeSet;

use super::living::id;
use super::single::{Single, has_all, link_of, sent};
use super::*;
use crate::limits::REQUESTS_OPEN_MAX;
use swarm_core::wire::{Hello, RejectReason};

/// What a peer was asked for.
fn asked(outputs: &[Output], peer: usize) -> Vec<(RequestId, Run)> {
    let receive = |output: &Output| match output {
        Output::Receive(RunRequest { link, request, run, .. }) if *link == link_of(peer) => {
            Some((*request, *run))
        }
        _ => None,
    };
    outputs.iter().filter_map(receive).collect()
}

fn is_closed(outputs: &[Output]) -> bool {
    outputs.iter().any(|output| matches!(output, Output::Close { .. }))
}

/// A fetch with one peer that has everything and serves it; and what it is asked for.
fn fetch(manifest: &Manifest) -> (Single, Vec<(RequestId, Run)>) {
    let mut single = Single::new();
    single.join(manifest, Order::RarestFirst, 0);
    let requests = serve(&mut single, manifest, 1);
    (single, requests)
}

fn serve(single: &mut Single, manifest: &Manifest, peer: usize) -> Vec<(RequestId, Run)> {
    let mut outputs = single.link(peer, Hello::ours());
    outputs.extend(single.take_part(peer, manifest));
    outputs.extend(single.hear(peer, has_all(manifest.geometry().chunk_count())));
    outputs.extend(single.hear(peer, Message::Choke { choked: false }));
    asked(&outputs, peer)
}

/// The whole of a run comes from a peer and is right; returns what follows.
fn bring(
    single: &mut Single,
    manifest: &Manifest,
    peer: usize,
    (request, run): (RequestId, Run),
) -> Vec<Output> {
    let link = link_of(peer);
    let mut outputs = single.input(Input::Received { link, request, len: run.len() });
    let chunks: Vec<ChunkIndex> = manifest.geometry().pieces(run).map(|piece| piece.chunk).collect();
    for chunk in &chunks {
        outputs.extend(single.input(Input::ChunkArrived { link, request, chunk: *chunk }));
    }
    outputs.extend(single.input(Input::StreamEnded { link, request }));
    for chunk in chunks {
        let (content, from, verdict) = (manifest.id(), Some(id(peer)), ChunkVerdict::Verified);
        outputs.extend(single.input(Input::ChunkChecked { content, chunk, from, verdict }));
    }
    outputs
}

#[test]
fn a_peer_that_breaks_off_every_stream_loses_its_link_and_one_that_sends_a_chunk_between_does_not() {
    let manifest = one_file(400);
    for is_honest in [false, true] {
        let (mut single, mut requests) = fetch(&manifest);
        let mut broken = 0;
        let mut is_gone = false;
        while broken < 40 && !is_gone {
            if is_honest && broken % 10 == 9 {
                let one = requests.remove(0);
                let outputs = bring(&mut single, &manifest, 1, one);
                requests.extend(asked(&outputs, 1));
            }
            let (request, _) = requests.remove(0);
            let outputs = single.input(Input::StreamEnded { link: link_of(1), request });
            requests.extend(asked(&outputs, 1));
            broken += 1;
            is_gone = is_closed(&outputs);
        }
        assert_eq!((is_gone, broken), if is_honest { (false, 40) } else { (true, 16) });
    }
}

#[test]
fn streams_that_end_whole_are_not_held_against_anybody() {
    let manifest = one_file(100);
    let (mut single, mut requests) = fetch(&manifest);
    let mut brought = 0;
    while let Some(request) = requests.pop() {
        let outputs = bring(&mut single, &manifest, 1, request);
        assert!(!is_closed(&outputs));
        requests.extend(asked(&outputs, 1));
        brought += manifest.geometry().pieces(request.1).count();
    }
    assert_eq!(brought, 100);
    let snapshot = single.engine.survey().snapshot();
    let totals = &snapshot.contents[0].totals;
    assert_eq!((totals.fetched_len, totals.duplicate_len, totals.corrupt_len), (100 << 14, 0, 0));
    let peer = &snapshot.peers[0].totals;
    assert_eq!((peer.verified_chunks, peer.verified_len, peer.received_len), (100, 100 << 14, 100 << 14));
    assert_eq!(snapshot.contents[0].verified_len, 100 << 14);
}

#[test]
fn who_rejects_all_it_offers_is_left_alone_and_one_rejection_is_no_matter() {
    let manifest = one_file(1000);
    let (mut single, mut requests) = fetch(&manifest);
    let mut rejected = 0;
    loop {
        let (request, _) = requests.remove(0);
        let outputs = single.hear(1, Message::Reject { request, reason: RejectReason::TooMany });
        single.input(Input::StreamEnded { link: link_of(1), request });
        rejected += 1;
        if is_closed(&outputs) {
            break;
        }
        assert_eq!(asked(&outputs, 1), [], "not at once");
        requests.extend(asked(&single.hear(1, Message::Choke { choked: false }), 1));
    }
    assert_eq!(rejected, 4 * REQUESTS_OPEN_MAX);
}

#[test]
fn whoever_lacks_a_chunk_is_not_asked_for_it_again_and_for_others_it_is() {
    let manifest = one_file(3);
    let (mut single, mut requests) = fetch(&manifest);
    let (request, run) = requests.remove(0);
    let lacking = run.first();
    let mut outputs = single.hear(1, Message::Reject { request, reason: RejectReason::NotHeld });
    outputs.extend(single.input(Input::StreamEnded { link: link_of(1), request }));
    let mut chunks = Vec::new();
    let mut requests = asked(&outputs, 1);
    while let Some((request, run)) = requests.pop() {
        chunks.extend(manifest.geometry().pieces(run).map(|piece| piece.chunk));
        requests.extend(asked(&bring(&mut single, &manifest, 1, (request, run)), 1));
    }
    assert_eq!(chunks.len(), 2);
    assert!(!chunks.contains(&lacking));
    assert_eq!(single.engine.survey().snapshot().contents[0].bottleneck, Bottleneck::NoPeerHas(lacking));
    // Another brings it.
    let requests = serve(&mut single, &manifest, 2);
    assert_eq!(requests.iter().map(|(_, run)| run.first()).collect::<Vec<_>>(), [lacking]);
}

#[test]
fn a_peer_has_no_more_requests_open_than_the_limit_however_fast_it_is() {
    // Chunks too far apart to go in one run: every second is here.
    let manifest = one_file(4000);
    let mut single = Single::new();
    let (content, count) = (manifest.id(), 4000);
    let (order, patience) = (Order::RarestFirst, None);
    single.input(Input::Join(Box::new(Join { content, manifest: Some(manifest.clone()), order, patience })));
    let durable = (0..count).map(|chunk| chunk % 2 == 0).collect();
    single.input(Input::StoreOpened { content, durable, wanted: Bitfield::full(count), kept: Kept::new() });
    let mut open = serve(&mut single, &manifest, 1);
    single.input(Input::Measured { link: link_of(1), rtt: Duration::from_millis(200) });
    let mut most = open.len();
    for _ in 0..1500 {
        let one = open.remove(0);
        let mut outputs = bring(&mut single, &manifest, 1, one);
        outputs.extend(single.pass(Duration::from_micros(50)));
        open.extend(asked(&outputs, 1));
        most = most.max(open.len());
    }
    assert_eq!(most, REQUESTS_OPEN_MAX);
}

#[test]
fn how_far_a_fetch_is_and_what_holds_it_up_is_told() {
    let manifest = one_file(4);
    let (content, count) = (manifest.id(), 4);
    let mut single = Single::new();
    let of = |single: &Single| {
        let snapshot = single.engine.survey().snapshot();
        (snapshot.contents[0].phase, snapshot.contents[0].bottleneck.clone())
    };
    let (order, patience) = (Order::RarestFirst, None);
    single.input(Input::Join(Box::new(Join { content, manifest: None, order, patience })));
    assert_eq!(of(&single), (FetchPhase::Connecting, Bottleneck::NoPeer(None)));
    single.link(1, Hello::ours());
    assert_eq!(of(&single), (FetchPhase::Manifest, Bottleneck::NoManifest));
    single.hear(1, Message::Decline { content, reason: swarm_core::wire::DeclineReason::NotHere });
    single.link(2, Hello::ours());
    single.take_part(2, &manifest);
    let page = Message::ManifestPage {
        handle: Handle(1),
        page: 0,
        body_len: manifest.body().len() as u64,
        data: manifest.body().clone(),
    };
    single.hear(2, page);
    assert_eq!(of(&single), (FetchPhase::Opening, Bottleneck::None));
    let (durable, wanted) = (Bitfield::new(count), Bitfield::full(count));
    single.input(Input::StoreOpened { content, durable, wanted, kept: Kept::new() });
    let first = manifest.geometry().chunk(0).unwrap();
    assert_eq!(of(&single).0, FetchPhase::Fetching);
    assert!(matches!(of(&single).1, Bottleneck::NoPeerHas(_)));
    single.hear(2, has_all(count));
    assert_eq!(of(&single).1, Bottleneck::AllChoked);
    let mut requests = asked(&single.hear(2, Message::Choke { choked: false }), 2);
    assert_eq!(of(&single), (FetchPhase::Fetching, Bottleneck::None), "{first:?}");
    while let Some(request) = requests.pop() {
        requests.extend(asked(&bring(&mut single, &manifest, 2, request), 2));
    }
    assert_eq!(of(&single), (FetchPhase::Finishing, Bottleneck::None));
    let chunks = manifest.geometry().chunks().collect();
    single.input(Input::Flushed { content, chunks });
    single.input(Input::Finished { content });
    assert_eq!(of(&single), (FetchPhase::Complete, Bottleneck::None));
    assert_eq!(single.engine.survey().snapshot().contents[0].durable_len, 4 << 14);
    assert_eq!(single.engine.survey().snapshot().contents[0].lacking_peers, 0);
}

#[test]
fn a_disk_that_is_behind_is_named() {
    let manifest = one_file(2100);
    let (mut single, mut requests) = fetch(&manifest);
    let mut checking_len = 0;
    while let Some((request, run)) = requests.pop() {
        let link = link_of(1);
        let mut outputs = single.input(Input::Received { link, request, len: run.len() });
        for piece in manifest.geometry().pieces(run) {
            outputs.extend(single.input(Input::ChunkArrived { link, request, chunk: piece.chunk }));
            checking_len += u64::from(piece.len);
            let bottleneck = single.engine.survey().snapshot().contents[0].bottleneck.clone();
            let is_behind = checking_len >= 32 << 20;
            assert_eq!(bottleneck == Bottleneck::Disk, is_behind, "{checking_len}");
        }
        outputs.extend(single.input(Input::StreamEnded { link, request }));
        requests.extend(asked(&outputs, 1));
        if requests.is_empty() && checking_len == u64::from(run.len()) {
            // It is asked for more than one at a time when the first was right.
            for piece in manifest.geometry().pieces(run) {
                let (content, chunk) = (manifest.id(), piece.chunk);
                let verdict = ChunkVerdict::Verified;
                let checked = Input::ChunkChecked { content, chunk, from: Some(id(1)), verdict };
                requests.extend(asked(&single.input(checked), 1));
                checking_len -= u64::from(piece.len);
            }
        }
    }
    assert!(checking_len > 32 << 20);
}

#[test]
fn what_came_of_a_broken_stream_is_kept_and_the_rest_is_asked_for() {
    let manifest = one_file(3);
    let (mut single, mut requests) = fetch(&manifest);
    let (request, run) = requests.remove(0);
    let (link, chunk) = (link_of(1), run.first());
    single.input(Input::Received { link, request, len: 6000 });
    single.input(Input::SliceKept { link, request, chunk, offset: 0, len: 6000 });
    let outputs = single.input(Input::StreamEnded { link, request });
    let rest = asked(&outputs, 1).remove(0);
    assert_eq!((rest.1.first(), rest.1.offset(), rest.1.len()), (chunk, 6000, 16_384 - 6000));
    single.input(Input::Received { link, request: rest.0, len: 10_384 });
    let (offset, len) = (6000, 10_384);
    let outputs = single.input(Input::SliceKept { link, request: rest.0, chunk, offset, len });
    let is_checked =
        |output: &&Output| matches!(output, Output::VerifyKept { chunk: of, .. } if *of == chunk);
    assert_eq!(outputs.iter().filter(is_checked).count(), 1);
    single.input(Input::StreamEnded { link, request: rest.0 });
    assert_eq!(single.engine.survey().snapshot().contents[0].totals.duplicate_len, 0);
}

#[test]
fn a_silent_peer_loses_its_requests_to_the_others_and_is_called_silent() {
    let manifest = one_file(40);
    let (mut single, mut requests) = fetch(&manifest);
    for _ in 0..4 {
        let one = requests.remove(0);
        requests.extend(asked(&bring(&mut single, &manifest, 1, one), 1));
    }
    assert!(requests.len() > 1);
    let outputs = single.pass(Duration::from_secs(20));
    let cancelled =
        sent(&outputs, 1).iter().filter(|message| matches!(message, Message::Cancel { .. })).count();
    assert!(cancelled >= requests.len() - 1, "{cancelled} of {}", requests.len());
    let peer = single.engine.survey().snapshot().peers.remove(0);
    assert!(peer.link.expect("it stands").is_stalled);
    assert!(peer.totals.stalls >= 1);
}

#[test]
fn what_a_peer_declines_is_cancelled_there_and_what_else_it_gives_goes_on() {
    let (film, song) = (one_file(40), one_file(41));
    let mut single = Single::new();
    for manifest in [&film, &song] {
        single.join(manifest, Order::RarestFirst, 0);
    }
    single.link(1, Hello::ours());
    let mut outputs = Vec::new();
    for (handle, manifest) in [(1, &film), (2, &song)] {
        let (handle, content) = (Handle(handle), manifest.id());
        single.hear(1, Message::Open { handle, content, knows_manifest: true, is_offer: false });
        let all = Bitfield::full(manifest.geometry().chunk_count());
        outputs.extend(single.hear(1, Message::Have { handle, chunks: ChunkRuns::of(&all).remove(0) }));
    }
    outputs.extend(single.hear(1, Message::Choke { choked: false }));
    // Until chunks of both are asked for.
    let mut requests = asked_of(&outputs);
    let mut last = outputs;
    for _ in 0..30 {
        let Some((request, content, run)) = requests.first().copied() else { break };
        if requests.iter().any(|(_, other, _)| *other != content) {
            break;
        }
        requests.remove(0);
        let manifest = if content == film.id() { &film } else { &song };
        last = bring(&mut single, manifest, 1, (request, run));
        requests.extend(asked_of(&last));
    }
    let of = |content: ContentId| {
        let of = requests.iter().filter(|(_, other, _)| *other == content);
        of.map(|(request, ..)| *request).collect::<Vec<_>>()
    };
    assert!(!of(film.id()).is_empty() && !of(song.id()).is_empty(), "{last:?}");
    let reason = swarm_core::wire::DeclineReason::NotHere;
    let outputs = single.hear(1, Message::Decline { content: film.id(), reason });
    let cancel = |message: &Message| match message {
        Message::Cancel { request } => Some(*request),
        _ => None,
    };
    let cancelled: Vec<RequestId> = sent(&outputs, 1).into_iter().filter_map(cancel).collect();
    assert_eq!(cancelled, of(film.id()));
    assert!(!is_closed(&outputs));
}

fn asked_of(outputs: &[Output]) -> Vec<(RequestId, ContentId, Run)> {
    let receive = |output: &Output| match output {
        Output::Receive(RunRequest { request, content, run, .. }) => Some((*request, *content, *run)),
        _ => None,
    };
    outputs.iter().filter_map(receive).collect()
}

#[test]
fn a_manifest_is_asked_of_who_said_that_it_knows_it_also_before_it_was_wanted_here() {
    let manifest = one_file(4);
    for (said, is_asked) in
        [(&[false][..], false), (&[true], true), (&[true, false], true), (&[false, true], true)]
    {
        let mut single = Single::new();
        single.link(1, Hello::ours());
        for &knows_manifest in said {
            let (handle, content) = (Handle(1), manifest.id());
            single.hear(1, Message::Open { handle, content, knows_manifest, is_offer: false });
        }
        let (content, order, patience) = (manifest.id(), Order::RarestFirst, None);
        let outputs = single.input(Input::Join(Box::new(Join { content, manifest: None, order, patience })));
        let is_request = |message: &&Message| matches!(message, Message::ManifestRequest { .. });
        assert_eq!(sent(&outputs, 1).into_iter().any(|message| is_request(&message)), is_asked, "{said:?}");
    }
}

#[test]
fn an_offer_is_told_once_and_when_its_manifest_is_known_there() {
    let content = one_file(4).id();
    let mut single = Single::new();
    single.engine.take_offers();
    single.link(1, Hello::ours());
    let mut told = |knows_manifest, is_offer| {
        let outputs = single.hear(1, Message::Open { handle: Handle(1), content, knows_manifest, is_offer });
        outputs.iter().filter(|output| matches!(output, Output::Event(Event::Offered { .. }))).count()
    };
    assert_eq!(told(false, true), 0);
    assert_eq!(told(true, true), 1);
    assert_eq!(told(true, true), 0);
    assert_eq!(told(false, true), 0);
}

#[test]
fn whoever_takes_part_and_lacks_something_is_counted() {
    let manifest = one_file(4);
    let mut single = Single::new();
    single.join(&manifest, Order::RarestFirst, 4);
    let lacking = |single: &Single| single.engine.survey().snapshot().contents[0].lacking_peers;
    single.link(1, Hello::ours());
    assert_eq!(lacking(&single), 0, "it takes no part");
    single.take_part(1, &manifest);
    single.link(2, Hello::ours());
    single.take_part(2, &manifest);
    assert_eq!(lacking(&single), 2);
    single.hear(1, has_all(4));
    assert_eq!(lacking(&single), 1);
    single.hear(
        2,
        Message::Decline { content: manifest.id(), reason: swarm_core::wire::DeclineReason::NoRoom },
    );
    assert_eq!(lacking(&single), 0);
}

#[test]
fn one_chunk_is_asked_of_a_stranger_and_more_once_it_was_right() {
    let manifest = one_file(400);
    let (mut single, requests) = fetch(&manifest);
    assert_eq!(requests.len(), 1);
    assert_eq!(manifest.geometry().pieces(requests[0].1).count(), 1);
    let outputs = bring(&mut single, &manifest, 1, requests[0]);
    let more: usize =
        asked(&outputs, 1).iter().map(|(_, run)| manifest.geometry().pieces(*run).count()).sum();
    assert!(more > 4, "{more}");
}

#[test]
fn whoever_sends_no_page_of_a_manifest_for_twenty_seconds_loses_its_link() {
    // Three pages.
    let manifest = one_file(6000);
    let mut single = Single::new();
    let (content, order, patience) = (manifest.id(), Order::RarestFirst, None);
    single.input(Input::Join(Box::new(Join { content, manifest: None, order, patience })));
    single.link(1, Hello::ours());
    single.take_part(1, &manifest);
    assert!(!is_closed(&single.pass(Duration::from_secs(15))));
    let (handle, body_len) = (Handle(1), manifest.body().len() as u64);
    assert!(body_len > 2 << 16);
    let data = manifest.body().slice(..1 << 16);
    single.hear(1, Message::ManifestPage { handle, page: 0, body_len, data });
    assert!(!is_closed(&single.pass(Duration::from_secs(19))), "a page came 19 s ago");
    assert!(is_closed(&single.pass(Duration::from_secs(2))));
}

#[test]
fn a_silent_peer_keeps_one_request_at_first_and_loses_it_too_when_it_stays_silent() {
    let manifest = one_file(400);
    let (mut single, mut requests) = fetch(&manifest);
    for _ in 0..3 {
        let one = requests.remove(0);
        requests.extend(asked(&bring(&mut single, &manifest, 1, one), 1));
    }
    let open = requests.len();
    let cancelled = |outputs: &[Output]| {
        sent(outputs, 1).iter().filter(|message| matches!(message, Message::Cancel { .. })).count()
    };
    let mut first = 0;
    while first == 0 {
        first = cancelled(&single.pass(Duration::from_millis(100)));
    }
    assert_eq!(first, open - 1);
    assert!(cancelled(&single.pass(Duration::from_secs(30))) >= 1);
}

#[test]
fn a_chunk_that_is_not_there_is_a_lie_and_one_that_cannot_be_read_is_none() {
    for (reason, lies) in
        [(RejectReason::NotHeld, 1), (RejectReason::Unreadable, 0), (RejectReason::Choked, 0)]
    {
        let manifest = one_file(4);
        let (mut single, requests) = fetch(&manifest);
        single.hear(1, Message::Reject { request: requests[0].0, reason });
        assert_eq!(single.engine.survey().snapshot().peers[0].totals.lies, lies, "{reason:?}");
    }
}

#[test]
fn the_last_chunk_is_flushed_as_soon_as_the_flush_before_it_has_ended() {
    let manifest = one_file(3);
    let mut single = Single::new();
    single.join(&manifest, Order::RarestFirst, 1);
    let chunk = |index| manifest.geometry().chunk(index).expect("below 3");
    let checked = |index| Input::ChunkChecked {
        content: manifest.id(),
        chunk: chunk(index),
        from: None,
        verdict: ChunkVerdict::Verified,
    };
    let flushes =
        |outputs: &[Output]| outputs.iter().filter(|output| matches!(output, Output::Flush { .. })).count();
    single.input(checked(1));
    assert_eq!(flushes(&single.pass(Duration::from_secs(3))), 1);
    assert_eq!(flushes(&single.input(checked(2))), 0, "one at a time");
    let content = manifest.id();
    assert_eq!(flushes(&single.input(Input::Flushed { content, chunks: vec![chunk(1)] })), 1);
    let outputs = single.input(Input::Flushed { content, chunks: vec![chunk(2)] });
    assert!(outputs.iter().any(|output| matches!(output, Output::Finish { .. })));
}

#[test]
fn a_rate_is_shown_while_something_is_asked_for() {
    let manifest = one_file(2);
    let (mut single, mut requests) = fetch(&manifest);
    let rate =
        |single: &Single| single.engine.survey().snapshot().peers[0].link.clone().expect("it stands").rate.0;
    single.pass(Duration::from_millis(100));
    let (request, run) = requests.remove(0);
    single.input(Input::Received { link: link_of(1), request, len: run.len() / 2 });
    assert!(rate(&single) > 0);
    let outputs = bring(&mut single, &manifest, 1, (request, run));
    for request in asked(&outputs, 1) {
        bring(&mut single, &manifest, 1, request);
    }
    assert_eq!(rate(&single), 0);
}

fn rank(single: &mut Single, manifest: &Manifest, ranks: Ranks) -> Vec<Output> {
    single.input(Input::Rank { content: manifest.id(), ranks })
}

#[test]
fn what_is_held_back_is_taken_back_and_asked_of_nobody_until_it_is_not() {
    let manifest = manifest_of(&[("a", 400 << 14), ("b", 400 << 14)]);
    let (mut single, requests) = fetch(&manifest);
    assert!(!requests.is_empty());
    let mut outputs = rank(&mut single, &manifest, vec![(0..400, Rank::Held), (400..800, Rank::Held)]);
    let cancelled: BTreeSet<RequestId> = sent(&outputs, 1)
        .into_iter()
        .filter_map(|message| match message {
            Message::Cancel { request } => Some(*request),
            _ => None,
        })
        .collect();
    assert_eq!(cancelled, requests.iter().map(|(request, _)| *request).collect());
    for (request, _) in &requests {
        outputs.extend(single.input(Input::StreamEnded { link: link_of(1), request: *request }));
    }
    outputs.extend(single.input(Input::Wakeup));
    assert_eq!(asked(&outputs, 1), [], "nothing is asked for");
    let outputs = rank(&mut single, &manifest, vec![(400..800, Rank::Held)]);
    let requests = asked(&outputs, 1);
    assert!(!requests.is_empty() && requests.iter().all(|(_, run)| run.first().get() < 400), "{requests:?}");
}

#[test]
fn chunks_of_a_higher_rank_are_asked_for_first() {
    let manifest = manifest_of(&[("a", 30 << 14), ("b", 30 << 14), ("c", 30 << 14)]);
    let mut single = Single::new();
    single.join(&manifest, Order::RarestFirst, 0);
    rank(&mut single, &manifest, vec![(0..30, Rank::Low), (60..90, Rank::High)]);
    let mut waiting = serve(&mut single, &manifest, 1);
    let mut order = Vec::new();
    while !waiting.is_empty() {
        let one = waiting.remove(0);
        order.extend(manifest.geometry().pieces(one.1).map(|piece| piece.chunk.get() / 30));
        let outputs = bring(&mut single, &manifest, 1, one);
        waiting.extend(asked(&outputs, 1));
    }
    // A run may reach into the file that follows.
    let first = |file| order.iter().position(|of| *of == file).expect("it was asked for");
    assert!(first(2) < first(1) && first(1) < first(0) + 30, "{order:?}");
    assert_eq!((order.len(), order[0]), (90, 2));
}

#[test]
fn a_map_says_which_chunks_are_here_and_which_a_peer_has_and_is_asked_for() {
    let manifest = one_file(400);
    let (mut single, mut requests) = fetch(&manifest);
    let query = |chunks, cells_max| MapQuery { content: manifest.id(), chunks, cells_max, peers_max: 8 };
    let all = |cells_max| query(std::iter::once(0..u32::MAX).collect(), cells_max);
    let map = |single: &Single, query| single.engine.survey().chunk_map(&query).expect("a map");
    let before = map(&single, all(400));
    assert_eq!((before.chunk_count, before.here_count, before.wanted_len), (400, 0, 400 << 14));
    assert_eq!((before.here.clone(), before.peers.len()), (vec![0; 400], 1));
    let peer = &before.peers[0];
    assert_eq!((peer.node, peer.has_count, peer.has.clone()), (id(1), 400, vec![100; 400]));
    let run = requests[0].1;
    let len = run.len() >> 14;
    let in_run = |cell: &u32| (run.first().get()..run.first().get() + len).contains(cell);
    assert!((0..400).filter(in_run).all(|cell| peer.asked[cell as usize] == 100));
    assert_eq!(peer.asked_len, requests.iter().map(|(_, run)| u64::from(run.len())).sum::<u64>());

    // A part of what is asked for has come; then all of the first run.
    let (request, link) = (requests[0].0, link_of(1));
    single.input(Input::Received { link, request, len: 1000 });
    assert_eq!(map(&single, all(0)).coming_len, 1000);
    let snapshot = single.engine.survey().snapshot();
    assert_eq!(snapshot.contents[0].received, BTreeMap::from([(id(1), 1000)]));
    bring(&mut single, &manifest, 1, requests.remove(0));
    let after = map(&single, all(4));
    assert_eq!((after.here_count, after.here_len), (len, u64::from(len) << 14));
    assert_eq!((after.here.len(), after.peers[0].has.clone()), (4, vec![100; 4]));
    let part = map(&single, query(vec![0..100, 300..400], 400));
    assert_eq!((part.chunk_count, part.here.len()), (200, 200));
    assert!(
        single
            .engine
            .survey()
            .chunk_map(&MapQuery { content: ContentId::from_bytes([9; 32]), ..all(4) })
            .is_none()
    );
}
