//! Messages of both control streams, and the header of a chunk stream.

use bytes::Bytes;
use swarm_core::base::limits::{
    ANNOUNCE_LEN_MAX, ANNOUNCE_LINKS_MAX, CHUNK_LEN_LOG2_MAX, CHUNK_LEN_LOG2_MIN, CHUNKS_MAX, FEATURES_MAX,
    FRAME_LEN_MAX, MANIFEST_BODY_LEN_MAX, MANIFEST_PAGE_LEN, NAME_LEN_MAX, NEIGHBOUR_ADDRESSES_MAX,
    NEIGHBOURS_TARGET, PEX_ADDRESSES_MAX, PEX_SOURCES_MAX, RUN_CHUNKS_MAX, RUN_LEN_TARGET,
    SOURCE_ADDRESSES_MAX, ZONE_LEN_MAX,
};
use swarm_core::base::{Bitfield, Rate, Zone};
use swarm_core::manifest::Geometry;
use swarm_core::wire::{
    AnnounceBody, CHUNK_STREAM_HEADER_LEN, ChunkRuns, ChunkStreamHeader, Coordination, DeclineReason, Handle,
    Hello, Message, Neighbour, RejectReason, RequestId, SignedAnnounce, Welcome,
};

use super::pieces::{address, content, field, key, node, source};
use super::{SLACK_LEN, Samples, assert_told, bounded};

/// A frame is refused, or it is a message within every cap that survives being written.
pub(super) fn message(bytes: &[u8]) {
    let frame = Bytes::copy_from_slice(bytes);
    match bounded(bytes.len(), (MESSAGE_TIMES, SLACK_LEN), || Message::decode(frame)) {
        Err(error) => assert_told(&error),
        Ok(None) => {}
        Ok(Some(message)) => {
            let written = message.encode();
            assert_eq!(written.len(), message.encoded_len());
            assert!(written.len() <= bytes.len() && written.len() <= FRAME_LEN_MAX);
            check_message(&message);
            assert_eq!(Message::decode(written), Ok(Some(message)));
        }
    }
}

fn check_message(message: &Message) {
    match message {
        Message::Hello(hello) => check_hello(hello),
        Message::ManifestPage { body_len, data, .. } => {
            assert!((1..=MANIFEST_BODY_LEN_MAX as u64).contains(body_len));
            assert!((1..=MANIFEST_PAGE_LEN).contains(&data.len()));
        }
        Message::Have { chunks, .. } | Message::Lost { chunks, .. } => check_runs(chunks),
        Message::Peers { sources, .. } => {
            assert!(sources.len() <= PEX_SOURCES_MAX);
            assert!(sources.iter().all(|source| source.addresses.len() <= PEX_ADDRESSES_MAX));
        }
        Message::Open { .. }
        | Message::Decline { .. }
        | Message::ManifestRequest { .. }
        | Message::Request { .. }
        | Message::Cancel { .. }
        | Message::Reject { .. }
        | Message::Choke { .. }
        | Message::Durable { .. }
        | Message::BadChunk { .. }
        | Message::BadPeer { .. } => {}
    }
}

fn check_hello(hello: &Hello) {
    let is_name = |name: &String| name.len() <= NAME_LEN_MAX && !name.chars().any(char::is_control);
    assert!(
        is_name(&hello.agent) && hello.features.len() <= FEATURES_MAX && hello.features.iter().all(is_name)
    );
}

/// For every content the chunks are its own, rising, and survive being written.
fn check_runs(runs: &ChunkRuns) {
    for chunk_count in [0, 1, 64, 1000] {
        let Some(chunks) = runs.chunks(chunk_count) else { continue };
        let chunks: Vec<u32> = chunks.collect();
        assert!(chunks.is_sorted_by(|a, b| a < b) && chunks.last().is_none_or(|last| *last < chunk_count));
        let mut set = Bitfield::new(chunk_count);
        assert!(chunks.iter().all(|chunk| set.insert(*chunk)));
        let again = ChunkRuns::of(&set);
        let again: Vec<u32> = again.iter().flat_map(|runs| runs.chunks(chunk_count).expect("ours")).collect();
        assert_eq!(again, chunks);
    }
    let largest = runs.chunks(CHUNKS_MAX).map_or(0, Iterator::count);
    assert!(largest <= CHUNKS_MAX as usize);
}

pub(super) fn message_samples() -> Samples {
    let handle = Handle(7);
    let runs = |bits: u32| {
        let set: Bitfield = (0..64).map(|bit| bits >> (bit % 32) & 1 == 1).collect();
        ChunkRuns::of(&set).pop().expect("not empty")
    };
    let page = Bytes::from_static(b"a page of a manifest");
    let messages = [
        ("hello", Message::Hello(Hello::ours())),
        ("open", Message::Open { handle, content: content(1), knows_manifest: true, is_offer: true }),
        ("decline", Message::Decline { content: content(1), reason: DeclineReason::NoRoom }),
        ("manifest_request", Message::ManifestRequest { handle, page: 3 }),
        ("manifest_page", Message::ManifestPage { handle, page: 1, body_len: 99, data: page }),
        ("have", Message::Have { handle, chunks: runs(0xf0f0_0ff1) }),
        ("lost", Message::Lost { handle, chunks: runs(1) }),
        ("request", Message::Request { request: RequestId(9), handle, chunk: 3, offset: 5, len: 1 << 20 }),
        ("cancel", Message::Cancel { request: RequestId(u64::MAX) }),
        ("reject", Message::Reject { request: RequestId(1), reason: RejectReason::TooMany }),
        ("choke", Message::Choke { choked: true }),
        ("durable", Message::Durable { handle }),
        ("bad_chunk", Message::BadChunk { handle, chunk: 3 }),
        ("bad_peer", Message::BadPeer { handle, node: node(3) }),
        ("peers", Message::Peers { handle, sources: vec![source(1), source(2)] }),
    ];
    let mut samples: Samples =
        messages.into_iter().map(|(name, message)| (name, message.encode().to_vec())).collect();
    samples.extend([
        ("nothing", Vec::new()),
        ("later_kind", field(16, b"what a later version says")),
        ("runs_past_the_end", field(6, &field(2, &[0xff, 0xff, 0xff, 0xff, 0x0f, 1]))),
        ("run_of_nothing", field(6, &field(2, &[1, 0]))),
        ("tiny_features", field(1, &field(3, b"").repeat(200))),
        ("tiny_sources", field(13, &field(2, b"").repeat(200))),
        ("cut", field(13, &field(2, &[1; 40]))[..20].to_vec()),
    ]);
    samples
}

/// Every 20 bytes are a header; if a content has its run, the pieces of the run add up to it.
pub(super) fn header(bytes: &[u8]) {
    let Some((header, lens)) = bytes.split_first_chunk::<CHUNK_STREAM_HEADER_LEN>() else { return };
    let read = ChunkStreamHeader::decode(header);
    assert_eq!(&read.encode(), header);
    let logs = u64::from(CHUNK_LEN_LOG2_MAX - CHUNK_LEN_LOG2_MIN) + 1;
    let files = lens.chunks_exact(4).map(|bytes| {
        let [a, b, c, d] = [bytes[0], bytes[1], bytes[2], bytes[3]].map(u64::from);
        // Lengths of every magnitude, up to 8.5 TB.
        ((a | b << 8) << (c % 28), CHUNK_LEN_LOG2_MIN + (d % logs) as u8)
    });
    let Some(geometry) = Geometry::new(files) else { return };
    assert!(geometry.chunk_count() <= CHUNKS_MAX && i64::try_from(geometry.content_len()).is_ok());
    let Some(run) = geometry.run(read.chunk, read.offset, read.len) else { return };
    let (mut at, mut count) = (geometry.span(run.first()).content_offset + u64::from(run.offset()), 0);
    let start = at;
    for piece in geometry.pieces(run) {
        let span = geometry.span(piece.chunk);
        assert_eq!(span.content_offset + u64::from(piece.offset), at);
        assert!(piece.len > 0 && piece.offset + piece.len <= span.len);
        (at, count) = (at + u64::from(piece.len), count + 1);
    }
    assert_eq!(at - start, u64::from(read.len));
    assert!(at <= geometry.content_len() && count <= RUN_CHUNKS_MAX);
    assert!(count == 1 || read.len <= RUN_LEN_TARGET);
}

pub(super) fn header_samples() -> Samples {
    let header = |chunk, offset, len| {
        ChunkStreamHeader { request: RequestId(7), chunk, offset, len }.encode().to_vec()
    };
    let files = [[0, 16, 4, 0], [1, 0, 0, 0], [0, 0, 0, 3], [255, 255, 12, 8]].concat();
    let of = |header: Vec<u8>| [header, files.clone()].concat();
    vec![
        ("whole_chunk", of(header(0, 0, 16 << 10))),
        ("across_files", of(header(3, 16_000, 400))),
        ("past_the_end", of(header(u32::MAX, u32::MAX, u32::MAX))),
        ("nothing", of(header(0, 0, 0))),
        ("no_content", header(0, 0, 1)),
    ]
}

/// The first byte selects the rest: a frame, the signed part of an announcement, or a body that is signed here so that it passes.
pub(super) fn coordination(bytes: &[u8]) {
    let [mode, rest @ ..] = bytes else { return };
    match mode % 4 {
        0 => check_coordination(rest),
        1 => check_signed(rest),
        2 => check_coordination(&field(
            3,
            &[field(1, &signed(rest)), vec![0x10, 9], field(3, &[5; 32])].concat(),
        )),
        _ => {
            let neighbour = [field(1, &signed(rest)), field(2, b"192.0.2.1:4433")].concat();
            check_coordination(&field(5, &[field(1, &[1; 32]), field(2, &neighbour).repeat(2)].concat()));
        }
    }
}

/// A SignedAnnounce of `proto/`.
fn signed(body: &[u8]) -> Vec<u8> {
    let signature = key().sign_bytes(b"swarm announce v1", body);
    [field(1, body), field(2, &signature)].concat()
}

fn check_signed(bytes: &[u8]) {
    match bounded(bytes.len(), (MESSAGE_TIMES, SLACK_LEN), || SignedAnnounce::decode(bytes)) {
        Err(error) => assert_told(&error),
        Ok(announce) => {
            check_announce(&announce);
            assert!(announce.encode().len() <= bytes.len());
            assert_eq!(SignedAnnounce::decode(&announce.encode()), Ok(announce));
        }
    }
}

fn check_coordination(bytes: &[u8]) {
    let frame = Bytes::copy_from_slice(bytes);
    match bounded(bytes.len(), (MESSAGE_TIMES, SLACK_LEN), || Coordination::decode(frame)) {
        Err(error) => assert_told(&error),
        Ok(None) => {}
        Ok(Some(message)) => {
            check_caps(&message);
            let written = message.encode();
            assert!(written.len() <= bytes.len() && written.len() <= FRAME_LEN_MAX);
            assert_eq!(Coordination::decode(written), Ok(Some(message)));
        }
    }
}

fn check_caps(message: &Coordination) {
    match message {
        Coordination::Hello(hello) => check_hello(hello),
        Coordination::Welcome(welcome) => check_hello(&welcome.hello),
        Coordination::Announce { announce, links, .. } => {
            check_announce(announce);
            assert!(links.len() <= ANNOUNCE_LINKS_MAX);
        }
        Coordination::Neighbours { neighbours, .. } => {
            assert!(neighbours.len() <= NEIGHBOURS_TARGET as usize);
            neighbours.iter().for_each(check_neighbour);
        }
        Coordination::Meet { neighbour, .. } => check_neighbour(neighbour),
        Coordination::Refused { reason, .. } => assert!(!reason.chars().any(char::is_control)),
        Coordination::Withdraw { .. } => {}
    }
}

fn check_neighbour(neighbour: &Neighbour) {
    check_announce(&neighbour.announce);
    assert!(neighbour.addresses.len() <= NEIGHBOUR_ADDRESSES_MAX);
}

fn check_announce(announce: &SignedAnnounce) {
    let body = announce.body();
    assert!(announce.encode().len() <= ANNOUNCE_LEN_MAX + 80);
    assert!(body.addresses.len() <= SOURCE_ADDRESSES_MAX && body.have_count <= body.chunk_count);
    let is_zone = |zone: &Zone| (1..=ZONE_LEN_MAX).contains(&zone.as_str().len());
    assert!(body.zone.as_ref().is_none_or(is_zone));
}

pub(super) fn coordination_samples() -> Samples {
    let body = AnnounceBody {
        content: content(1),
        node: key().public(),
        addresses: vec![address("192.0.2.1:4433"), address("seed.example:1")],
        have_count: 3,
        chunk_count: 7,
        up: Rate(1_000_000),
        zone: Some("lab".parse().expect("a zone")),
    };
    let announce = SignedAnnounce::sign(&key(), body);
    let neighbour = Neighbour { announce: announce.clone(), addresses: vec![address("192.0.2.1:4433")] };
    let welcome = Welcome {
        hello: Hello::ours(),
        observed: address("203.0.113.7:9"),
        interval_s: 100,
        time_to_live_s: 300,
    };
    let links = vec![node(1), node(2)];
    let messages = [
        ("hello", Coordination::Hello(Hello::ours())),
        ("welcome", Coordination::Welcome(welcome)),
        ("announce", Coordination::Announce { announce: announce.clone(), wanted: 10, links }),
        ("withdraw", Coordination::Withdraw { content: content(1) }),
        ("neighbours", Coordination::Neighbours { content: content(1), neighbours: vec![neighbour.clone()] }),
        ("refused", Coordination::Refused { content: content(1), reason: "full".to_owned() }),
        ("meet", Coordination::Meet { content: content(1), neighbour }),
    ];
    let raw = |mode: u8, bytes: &[u8]| [&[mode], bytes].concat();
    let (signed_bytes, body_len) = (announce.encode(), announce.encode().len() - 66 - 2);
    // A SignedAnnounce is its body, a key and a length before it, and 66 bytes of signature.
    let body = &signed_bytes[signed_bytes.len() - 66 - body_len..signed_bytes.len() - 66];
    assert_eq!(signed(body), signed_bytes);
    let mut samples: Samples =
        messages.iter().map(|(name, message)| (*name, raw(0, &message.encode()))).collect();
    samples.extend([
        ("signed", raw(1, &signed_bytes)),
        ("body_announced", raw(2, body)),
        ("body_of_a_neighbour", raw(3, body)),
        ("body_without_words", raw(2, &body[..68])),
        ("tiny_links", raw(0, &field(3, &field(3, b"").repeat(200)))),
        ("tiny_neighbours", raw(0, &field(5, &field(2, b"").repeat(200)))),
    ]);
    samples
}

/// Lists of small structs: an empty entry of two bytes stands for up to 120, in a list that doubles while the old one is there.
const MESSAGE_TIMES: u64 = 192;
