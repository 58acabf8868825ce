//! Peers that send nothing, stop in the middle, or never finish a handshake or message.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc::sync_channel};
use std::time::Duration;

use swarm_core::wire::Message;

use crate::support::{FetchVictim, HANDLE, HalfHandshakes, Hostile, SeedVictim, answer_well, begin, opened};

#[test]
fn a_link_without_hello_is_closed_by_a_seed() {
    let mut victim = SeedVictim::new();
    let (hostile, address) = (Hostile::new(1), victim.address());
    let silent = hostile.dialer();
    let half = hostile.dialer().with_key(2);
    let (silent_node, half_node) = (silent.node(), half.node());
    let ends = hostile.run(async {
        // One peer opens no control stream; the other starts a frame on it and never finishes it.
        let connection = silent.connect(address).await.expect("a link");
        let mut talk = half.dial(address).await.expect("a link");
        talk.say_bytes(&[90]).await;
        let drain = talk.halves().1;
        tokio::join!(drain, connection.closed())
    });
    assert!(ends.1.to_string().contains("control stream"), "{ends:?}");
    victim.serves_well();
    let settled = victim.settle("no control stream, and no Hello on it");
    settled.has_logged(Some(silent_node), "no control stream");
    settled.logged(Some(half_node), "does not greet");
}

#[test]
fn a_fetch_gives_up_a_source_that_never_greets() {
    let victim = FetchVictim::new();
    let (mute, listener) = (Hostile::new(1), Hostile::new(2));
    mute.serve_bare(|link| async move {
        link.closed().await;
    });
    listener.serve(|mut talk| async move { talk.idle().await });
    let settled = victim.fetch("sources that never say Hello", &[&mute, &listener]);
    settled.banned_no_node();
    settled.passed("fetched from the honest seed meanwhile");
}

#[test]
fn a_fetch_gives_up_a_source_that_never_answers_a_handshake() {
    let victim = FetchVictim::new();
    let hostile = Hostile::new(1);
    hostile.hold_handshakes();
    let settled = victim.fetch("a source that answers no handshake", &[&hostile]);
    settled.banned_no_node();
    settled.passed("fetched from the honest seed meanwhile");
}

#[test]
fn unfinished_handshakes_do_not_keep_others_out() {
    let mut victim = SeedVictim::new();
    let hostile = Hostile::new(1);
    let held = hostile.run(HalfHandshakes::begin(&hostile, victim.address(), 400));
    victim.serves_well();
    drop(held);
    victim.settle("400 handshakes that never finish").passed("leech served");
}

#[test]
fn a_manifest_that_one_peer_never_sends_is_requested_from_another() {
    let victim = FetchVictim::new();
    let (hostile, film) = (Hostile::new(1), victim.film.clone());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    hostile.serve(move |mut talk| {
        let (film, count) = (film.clone(), Arc::clone(&count));
        async move {
            talk.greet().await;
            talk.say(&opened(&film, HANDLE)).await;
            while let Some(message) = talk.hear().await {
                count.fetch_add(
                    usize::from(matches!(message, Message::ManifestRequest { .. })),
                    Ordering::Relaxed,
                );
            }
        }
    });
    let settled = victim.fetch_by_ticket("a manifest that never comes", &[&hostile]);
    if asked.load(Ordering::Relaxed) > 0 {
        settled.has_logged(Some(hostile.node()), "did not send the manifest");
    }
    settled.banned_no_node();
    settled.passed("asked of the honest seed");
}

#[test]
fn a_link_that_closes_at_any_step_costs_a_fetch_that_link_alone() {
    let victim = FetchVictim::new();
    let (hostile, film) = (Hostile::new(1), victim.film.clone());
    let links = Arc::new(AtomicUsize::new(0));
    // Six sources, each of which gets one step further than the last before it closes the link.
    let others: Vec<Hostile> = (0..STEPS).map(|step| Hostile::new(300 + step)).collect();
    for (step, other) in (0..STEPS).zip(&others) {
        let (film, links) = (film.clone(), Arc::clone(&links));
        other.serve_bare(move |connection| {
            let (film, links) = (film.clone(), Arc::clone(&links));
            async move {
                links.fetch_add(1, Ordering::Relaxed);
                go_as_far_as(step, connection.clone(), film).await;
                connection.close(0u32.into(), b"gone");
            }
        });
    }
    let all: Vec<&Hostile> = others.iter().chain([&hostile]).collect();
    hostile.hold_handshakes();
    let settled = victim.fetch("links that close at each step of the protocol", &all);
    assert!(links.load(Ordering::Relaxed) >= STEPS as usize);
    settled.banned_no_node();
    others.iter().skip(2).for_each(|other| settled.told(other.node(), "left", "gone"));
    settled.passed("each reason told");
}

async fn go_as_far_as(step: u32, connection: quinn::Connection, film: crate::support::Film) {
    if step == 0 {
        return;
    }
    let Some(mut talk) = crate::support::Talk::accept(connection).await else { return };
    if step > 1 {
        talk.greet().await;
    }
    if step > 2 {
        talk.say(&opened(&film, HANDLE)).await;
        while !matches!(talk.hear().await, None | Some(Message::Open { knows_manifest: true, .. })) {}
    }
    if step > 3 {
        talk.say_have(&film).await;
        let Some(asked) = talk.hear_request().await else { return };
        if step == 5 {
            let Some(mut stream) = begin(&talk.connection, asked.header()).await else { return };
            let _ = stream.write_all(&film.run(asked)[..300_001]).await;
        }
        if step > 5 {
            answer_well(&talk.connection, &film, asked).await;
            let _ = talk.hear_request().await;
        }
    }
    if step > 1 {
        // Gives the messages time to arrive before the close does.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn a_leech_that_closes_at_any_step_costs_a_seed_nothing() {
    let mut victim = SeedVictim::new();
    let (hostile, film, address) = (Hostile::new(1), victim.film.clone(), victim.address());
    let (enough, wait) = sync_channel(1);
    let dialer = hostile.dialer();
    hostile.spawn(async move {
        for round in 0..60u32 {
            let dialer = dialer.with_key(400 + round);
            let Some(connection) = dialer.connect(address).await else { continue };
            if round % 6 > 0 {
                let Some(mut talk) = crate::support::Talk::open(connection.clone()).await else { continue };
                talk.greet().await;
                if round % 6 > 2 {
                    talk.take_part(&film).await;
                }
                for request in 0..u64::from(round % 6) {
                    let request = swarm_core::wire::RequestId(request);
                    talk.say(&Message::Request {
                        request,
                        handle: HANDLE,
                        chunk: 1,
                        offset: 0,
                        len: 1 << 20,
                    })
                    .await;
                }
                if round % 6 == 5
                    && let Ok(mut stream) = connection.accept_uni().await
                {
                    let _ = stream.read_exact(&mut vec![0; 1 + round as usize * 997]).await;
                }
            }
            connection.close(round.into(), b"gone");
        }
        let _ = enough.send(());
    });
    victim.serves_well();
    wait.recv_timeout(Duration::from_mins(2)).expect("links are taken");
    victim.settle("60 leeches that drop at each step").passed("leech served");
}

/// Steps: nothing, a control stream, Hello, Open, Have and a request, a part of a stream, a whole one.
const STEPS: u32 = 7;
