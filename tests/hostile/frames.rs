//! Frames and messages that no honest peer sends, sent to a seed and to a fetch.

use swarm_core::base::ContentId;
use swarm_core::base::limits::{FEATURES_MAX, FRAME_LEN_MAX, NAME_LEN_MAX};
use swarm_core::wire::{Handle, Hello, Message, RequestId};
use swarm_engine::limits::HANDLES_PER_LINK_MAX;

use crate::support::{
    FetchVictim, Film, HANDLE, Hostile, SeedVictim, Talk, answer_well, framed, opened, raw_message, varint,
};

/// A violation: its name, its bytes, and the victim's reason.
struct Wrong {
    what: &'static str,
    /// If false, the bytes are sent in place of the greeting.
    is_greeted: bool,
    bytes: Vec<u8>,
    why: &'static str,
}

fn wrong(what: &'static str, bytes: Vec<u8>, why: &'static str) -> Wrong {
    Wrong { what, is_greeted: true, bytes, why }
}

fn first(what: &'static str, bytes: Vec<u8>, why: &'static str) -> Wrong {
    Wrong { what, is_greeted: false, bytes, why }
}

fn said(message: &Message) -> Vec<u8> {
    framed(&message.encode())
}

fn hello() -> Hello {
    Hello::ours()
}

/// Violations that a seed of the film answers with a ban.
fn all_wrong(film: &Film) -> Vec<Wrong> {
    let open = |after: Vec<Vec<u8>>| [vec![said(&opened(film, HANDLE))], after].concat().concat();
    let request =
        |chunk, offset, len| Message::Request { request: RequestId(1), handle: HANDLE, chunk, offset, len };
    let other = |number: u32| Message::Open {
        handle: Handle(number),
        content: ContentId::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes()),
        knows_manifest: false,
        is_offer: false,
    };
    let long = "x".repeat(NAME_LEN_MAX + 1);
    vec![
        wrong("an oversized frame", varint(FRAME_LEN_MAX as u64 + 1), "announced a frame of"),
        wrong("a frame of 4 GiB", varint(u64::from(u32::MAX)), "announced a frame of"),
        wrong("a length that does not end", vec![0xff; 16], "length that does not end"),
        wrong("a frame that is cut short inside", framed(&[0x0a, 0x7f, 1]), "does not follow the schema"),
        wrong("a frame of noise", framed(&[0xa5; 4000]), "does not follow the schema"),
        first("a request before Hello", said(&request(0, 0, 1)), "something before Hello"),
        first(
            "another major version",
            said(&Message::Hello(Hello { major: 2, ..hello() })),
            "speaks protocol version 2",
        ),
        wrong("a second Hello", said(&Message::Hello(hello())), "a second Hello"),
        first("a long name", said(&Message::Hello(Hello { agent: long.clone(), ..hello() })), "out of range"),
        first(
            "many features",
            said(&Message::Hello(Hello { features: vec![String::from("x"); FEATURES_MAX + 1], ..hello() })),
            "out of range",
        ),
        wrong("a handle that was never opened", said(&request(0, 0, 1)), "a handle that was not opened"),
        wrong(
            "one handle for two contents",
            open(vec![said(&Message::Open {
                handle: HANDLE,
                content: ContentId::from_bytes([9; 32]),
                knows_manifest: true,
                is_offer: false,
            })]),
            "a handle that was not opened",
        ),
        wrong(
            "more handles than allowed",
            (0..=HANDLES_PER_LINK_MAX as u32).flat_map(|number| said(&other(number))).collect(),
            "a handle that was not opened",
        ),
        wrong("a chunk beyond the end", open(vec![said(&request(film.chunk_count(), 0, 1))]), "a byte range"),
        wrong("a range that overflows", open(vec![said(&request(0, u32::MAX, u32::MAX))]), "a byte range"),
        wrong("a request of nothing", open(vec![said(&request(0, 0, 0))]), "a byte range"),
        wrong(
            "blame of no chunk",
            open(vec![said(&Message::BadChunk { handle: HANDLE, chunk: u32::MAX })]),
            "a chunk",
        ),
        wrong(
            "a manifest page beyond the end",
            open(vec![said(&Message::ManifestRequest { handle: HANDLE, page: u32::MAX })]),
            "a manifest page",
        ),
        // Frame 6 is Have, here with gap and run numbers whose sum overflows.
        wrong("runs that overflow", open(vec![have_of(&[0, u32::MAX, u32::MAX, 7])]), "a chunk"),
        wrong("an empty run", open(vec![have_of(&[0, 0])]), "chunk runs"),
        wrong("half a run", open(vec![have_of(&[0, 1, 1])]), "chunk runs"),
        wrong("an unknown reason", raw_message(10, &[8, 1, 16, 77]), "reason"),
        wrong("an id of 31 bytes", raw_message(2, &[&[8, 1, 18, 31][..], &[1; 31]].concat()), "out of range"),
    ]
}

/// A Have of these numbers, valid or not.
fn have_of(numbers: &[u32]) -> Vec<u8> {
    let packed: Vec<u8> = numbers.iter().flat_map(|number| varint(u64::from(*number))).collect();
    raw_message(6, &[vec![8, HANDLE.0 as u8, 18], varint(packed.len() as u64), packed].concat())
}

async fn do_wrong(mut talk: Talk, wrong: &Wrong) {
    let is_heard = !wrong.is_greeted || talk.say_hello().await;
    if is_heard && talk.say_bytes(&wrong.bytes).await {
        talk.idle().await;
    }
}

#[test]
fn a_seed_bans_peers_that_break_the_protocol_and_serves_the_others() {
    let mut victim = SeedVictim::new();
    let (hostile, address) = (Hostile::new(1), victim.address());
    let all = all_wrong(&victim.film);
    assert_eq!(all.len(), 23);
    let mut culprits = Vec::new();
    for (number, wrong) in (100..).zip(&all) {
        let dialer = hostile.dialer().with_key(number);
        culprits.push((dialer.node(), wrong.what, wrong.why));
        hostile.run(async { do_wrong(dialer.dial(address).await.expect("a link"), wrong).await });
    }
    victim.serves_well();
    let settled = victim.settle("23 kinds of malformed frames, to a seed");
    for (node, what, why) in culprits {
        assert!(!what.is_empty());
        settled.told(node, "banned", why);
    }
    settled.passed("each banned by name");
}

#[test]
fn a_fetch_bans_peers_that_break_the_protocol_and_completes() {
    let victim = FetchVictim::new();
    let all = all_wrong(&victim.film);
    let kinds = [
        "an oversized frame",
        "a frame of noise",
        "a request before Hello",
        "another major version",
        "a second Hello",
    ];
    let mut culprits = Vec::new();
    for (number, wrong) in (200..).zip(all.into_iter().filter(|wrong| kinds.contains(&wrong.what))) {
        let (hostile, why) = (Hostile::new(number), wrong.why);
        let wrong = std::sync::Arc::new(wrong);
        hostile.serve(move |talk| {
            let wrong = std::sync::Arc::clone(&wrong);
            async move { do_wrong(talk, &wrong).await }
        });
        culprits.push((hostile, why));
    }
    let hostile: Vec<&Hostile> = culprits.iter().map(|(hostile, _)| hostile).collect();
    let settled = victim.fetch("malformed frames, from five sources of a fetch", &hostile);
    for (hostile, why) in &culprits {
        settled.told(hostile.node(), "banned", why);
    }
    settled.passed("each banned by name");
}

#[test]
fn a_control_stream_that_ends_inside_a_frame_or_is_reset_gets_its_sender_banned() {
    let mut victim = SeedVictim::new();
    let (hostile, address) = (Hostile::new(1), victim.address());
    let (cut, reset) = (hostile.dialer().with_key(2), hostile.dialer().with_key(3));
    hostile.run(async {
        let mut talk = cut.dial(address).await.expect("a link");
        talk.say_hello().await;
        talk.say_bytes(&[100, 1, 2, 3]).await;
        let _ = talk.send.finish();
        talk.idle().await;
        let mut talk = reset.dial(address).await.expect("a link");
        talk.say_hello().await;
        assert!(talk.hear().await.is_some(), "it has read Hello");
        let _ = talk.send.reset(5u32.into());
        talk.idle().await;
    });
    victim.serves_well();
    let settled = victim.settle("control stream cut inside a frame, and reset");
    settled.told(cut.node(), "banned", "ended inside a frame");
    settled.banned(reset.node(), "reset the control stream");
}

#[test]
fn unknown_messages_are_skipped() {
    let victim = FetchVictim::new();
    let (hostile, film) = (Hostile::new(1), victim.film.clone());
    hostile.serve(move |mut talk| {
        let film = film.clone();
        async move {
            let features = ["pex", "teleport", "x-42"].map(str::to_owned).to_vec();
            talk.say(&Message::Hello(Hello {
                minor: 99,
                features,
                agent: "tomorrow/9.0".to_owned(),
                ..hello()
            }))
            .await;
            // Unknown messages, empty frames, and known messages with unknown fields.
            let noise = [
                raw_message(99, &[1; 5000]),
                framed(&[]),
                raw_message(536_870_911, &[]),
                raw_message(11, &[8, 0, 0x7a, 1, 1]),
            ];
            let noise = noise.concat();
            talk.say_bytes(&noise).await;
            talk.say(&Message::Choke { choked: false }).await;
            talk.say(&opened(&film, HANDLE)).await;
            loop {
                match talk.hear().await {
                    Some(Message::Open { knows_manifest: true, .. }) => break,
                    Some(_) => {}
                    None => return,
                }
            }
            talk.say_bytes(&noise).await;
            talk.say_have(&film).await;
            while let Some(asked) = talk.hear_request().await {
                talk.say_bytes(&noise).await;
                answer_well(&talk.connection, &film, asked).await;
            }
        }
    });
    let settled = victim.fetch("unknown messages and a later minor version", &[&hostile]);
    settled.banned_no_node();
    let done = settled.outcome().done();
    let ours = done.peers.iter().find(|peer| peer.node == hostile.node().to_string()).expect("it was linked");
    assert!(ours.bytes > 0, "{done:#?}");
    settled.passed("passed over; its chunks were taken");
}
