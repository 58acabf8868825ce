//! Peers that lie about chunks to a fetch that also has an honest seed.

use std::sync::atomic::{AtomicU64, Ordering};

use quinn::Connection;
use swarm_core::wire::{ChunkStreamHeader, Message, RejectReason, RequestId};

use crate::support::{Asked, FetchVictim, Film, HANDLE, Hostile, answer_well, begin, stream};

/// A peer that claims every chunk and answers each request by this function.
fn answers<F>(film: &Film, answer: impl Fn(Connection, Film, Asked) -> F + Send + Copy + 'static) -> Hostile
where
    F: Future<Output = ()> + Send + 'static,
{
    let (hostile, film) = (Hostile::new(1), film.clone());
    hostile.serve(move |mut talk| {
        let film = film.clone();
        async move {
            if talk.offer(&film).await {
                while let Some(asked) = talk.hear_request().await {
                    answer(talk.connection.clone(), film.clone(), asked).await;
                }
            }
        }
    });
    hostile
}

/// A whole run with one wrong byte.
fn with_a_wrong_byte(film: &Film, asked: Asked) -> Vec<u8> {
    let mut bytes = film.run(asked).to_vec();
    bytes[asked.len as usize / 2] ^= 1;
    bytes
}

#[test]
fn wrong_bytes_cost_one_chunk_and_get_their_sender_banned() {
    let victim = FetchVictim::new();
    let hostile = answers(&victim.film, |link, film, asked| async move {
        stream(&link, asked.header(), &with_a_wrong_byte(&film, asked)).await;
    });
    let settled = victim.fetch("wrong bytes", &[&hostile]);
    settled.banned(hostile.node(), "failed verification");
    assert!(settled.outcome().done().corrupt_bytes <= 1 << 20);
}

#[test]
fn the_right_bytes_of_another_chunk_get_their_sender_banned() {
    let victim = FetchVictim::new();
    let hostile = answers(&victim.film, |link, film, asked| async move {
        let other = (asked.chunk + 1) % film.chunk_count();
        stream(&link, asked.header(), film.bytes_at(other, asked.offset, asked.len)).await;
    });
    victim
        .fetch("right bytes for the wrong chunk", &[&hostile])
        .banned(hostile.node(), "failed verification");
}

#[test]
fn a_stream_that_says_it_is_another_chunk_gets_its_sender_banned() {
    let victim = FetchVictim::new();
    let hostile = answers(&victim.film, |link, film, asked| async move {
        let header = ChunkStreamHeader { chunk: (asked.chunk + 1) % film.chunk_count(), ..asked.header() };
        stream(&link, header, film.run(asked)).await;
    });
    victim.fetch("header of another chunk", &[&hostile]).banned(hostile.node(), "not what was asked for");
}

#[test]
fn a_stream_of_another_length_than_was_asked_for_gets_its_sender_banned() {
    let victim = FetchVictim::new();
    let hostile = answers(&victim.film, |link, film, asked| async move {
        stream(&link, ChunkStreamHeader { len: u32::MAX, ..asked.header() }, film.run(asked)).await;
    });
    victim.fetch("header of 4 GiB", &[&hostile]).banned(hostile.node(), "not what was asked for");
}

#[test]
fn streams_that_end_too_soon_cost_their_sender_the_link() {
    let victim = FetchVictim::new();
    let hostile = answers(&victim.film, |link, film, asked| async move {
        stream(&link, asked.header(), &film.run(asked)[..1000.min(asked.len as usize - 1)]).await;
    });
    let settled = victim.fetch("truncated streams", &[&hostile]);
    settled.banned_no_node();
    settled.logged(Some(hostile.node()), "breaks off every stream");
}

#[test]
fn streams_without_any_bytes_cost_their_sender_the_link() {
    let victim = FetchVictim::new();
    let hostile = answers(&victim.film, |link, _, asked| async move {
        stream(&link, asked.header(), &[]).await;
    });
    let settled = victim.fetch("empty streams", &[&hostile]);
    settled.banned_no_node();
    settled.logged(Some(hostile.node()), "breaks off every stream");
}

#[test]
fn the_received_part_of_a_reset_stream_is_kept() {
    let victim = FetchVictim::new();
    let hostile = answers(&victim.film, |link, film, asked| async move {
        let Some(mut stream) = begin(&link, asked.header()).await else { return };
        // At a different place each time: 97 is prime.
        let part = (asked.request.0 * 97 * 1024) as usize % asked.len as usize;
        let _ = stream.write_all(&film.run(asked)[..part]).await;
        let _ = stream.reset(9u32.into());
    });
    let settled = victim.fetch("streams reset at any byte", &[&hostile]);
    settled.banned_no_node();
    assert_eq!(settled.outcome().done().corrupt_bytes, 0);
    settled.passed("what came is kept, the rest asked of others");
}

#[test]
fn bytes_after_a_run_are_not_read() {
    let victim = FetchVictim::new();
    let hostile = answers(&victim.film, |link, film, asked| async move {
        let Some(mut stream) = begin(&link, asked.header()).await else { return };
        let _ = stream.write_all(film.run(asked)).await;
        // The victim stops the stream.
        while stream.write_all(&[0; 64 << 10]).await.is_ok() {}
    });
    let settled = victim.fetch("endless streams", &[&hostile]);
    let done = settled.outcome().done();
    let took = done.peers.iter().find(|peer| peer.node == hostile.node().to_string()).expect("it was linked");
    assert!(took.bytes > 0 && took.bytes <= done.bytes, "{done:#?}");
    settled.banned_no_node();
    settled.passed("run taken, rest stopped");
}

#[test]
fn streams_without_a_request_are_stopped() {
    let victim = FetchVictim::new();
    let (hostile, film) = (Hostile::new(1), victim.film.clone());
    hostile.serve(move |mut talk| {
        let film = film.clone();
        async move {
            talk.offer(&film).await;
            let link = talk.connection.clone();
            let flood = async {
                for request in 1_000_000.. {
                    let header =
                        ChunkStreamHeader { request: RequestId(request), chunk: 0, offset: 0, len: 1 << 20 };
                    let Some(mut stream) = begin(&link, header).await else { return };
                    let _ = stream.write_all(&[7; 100_000]).await;
                    let _ = stream.finish();
                }
            };
            tokio::join!(flood, talk.idle());
        }
    });
    let settled = victim.fetch("flood of streams without a request", &[&hostile]);
    assert_eq!(settled.outcome().done().corrupt_bytes, 0);
    settled.passed("streams stopped");
}

#[test]
fn the_second_answer_to_a_request_is_not_read() {
    static ASKED_LEN: AtomicU64 = AtomicU64::new(0);
    let victim = FetchVictim::new();
    let hostile = answers(&victim.film, |link, film, asked| async move {
        ASKED_LEN.fetch_add(asked.len.into(), Ordering::Relaxed);
        answer_well(&link, &film, asked).await;
        stream(&link, asked.header(), &with_a_wrong_byte(&film, asked)).await;
    });
    let settled = victim.fetch("each run twice, the second wrong", &[&hostile]);
    // The stream that is read first answers the request; the other one is not read. Several chunks may be proven at once.
    match settled.outcome().done().corrupt_bytes {
        0 => settled.passed("second stream stopped"),
        len if len % (1 << 20) == 0 && len <= ASKED_LEN.load(Ordering::Relaxed) => {
            settled.banned(hostile.node(), "failed verification");
        }
        other => panic!("{other} corrupt bytes, more than was asked for or no whole chunks"),
    }
}

#[test]
fn requests_of_a_stalled_peer_are_reassigned() {
    let victim = FetchVictim::new();
    let hostile = answers(&victim.film, |_, _, _| async {});
    let settled = victim.fetch("accepts and never sends", &[&hostile]);
    let done = settled.outcome().done();
    assert!(done.peers.iter().all(|peer| peer.node != hostile.node().to_string() || peer.bytes == 0));
    settled.banned_no_node();
    settled.passed("requests taken over");
}

#[test]
fn requests_of_a_peer_that_trickles_are_reassigned() {
    let victim = FetchVictim::new();
    let hostile = answers(&victim.film, |link, film, asked| async move {
        let Some(mut stream) = begin(&link, asked.header()).await else { return };
        for byte in film.run(asked) {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    let settled = victim.fetch("trickles a byte at a time", &[&hostile]);
    settled.banned_no_node();
    settled.passed("requests taken over");
}

#[test]
fn a_peer_that_rejects_announced_chunks_is_given_up() {
    let victim = FetchVictim::new();
    let (hostile, film) = (Hostile::new(1), victim.film.clone());
    hostile.serve(move |mut talk| {
        let film = film.clone();
        async move {
            talk.offer(&film).await;
            while let Some(asked) = talk.hear_request().await {
                talk.say(&Message::Reject { request: asked.request, reason: RejectReason::NotHeld }).await;
                talk.say_have(&film).await;
            }
        }
    });
    let settled = victim.fetch("announces, rejects, announces again", &[&hostile]);
    settled.banned_no_node();
    settled.logged(Some(hostile.node()), "rejects what it offers");
}

#[test]
fn endless_choking_and_unchoking_costs_little() {
    let victim = FetchVictim::new();
    let (hostile, film) = (Hostile::new(1), victim.film.clone());
    hostile.serve(move |mut talk| {
        let film = film.clone();
        async move {
            talk.offer(&film).await;
            while let Some(asked) = talk.hear_request().await {
                talk.say(&Message::Reject { request: asked.request, reason: RejectReason::Choked }).await;
                talk.say(&Message::Choke { choked: false }).await;
            }
        }
    });
    let settled = victim.fetch("rejects as choked, unchokes at once", &[&hostile]);
    settled.banned_no_node();
    settled.logged(Some(hostile.node()), "rejects what it offers");
}

#[test]
fn a_false_accusation_does_not_change_how_other_peers_are_treated() {
    let victim = FetchVictim::new();
    let (hostile, film) = (Hostile::new(1), victim.film.clone());
    hostile.serve(move |mut talk| {
        let film = film.clone();
        async move {
            talk.take_part(&film).await;
            for round in 0..10_000u32 {
                let chunk = round % film.chunk_count();
                if !talk.say(&Message::BadChunk { handle: HANDLE, chunk }).await {
                    return;
                }
            }
            talk.idle().await;
        }
    });
    let settled = victim.fetch("false blame", &[&hostile]);
    settled.banned_no_node();
    let blames =
        settled.outcome().events("peer").into_iter().filter(|line| line["state"] == "blames us").count();
    assert!((1..=8).contains(&blames), "{blames}");
    settled.told(hostile.node(), "blames us", "was corrupt");
    settled.passed("told 8 times at most, no peer banned");
}

#[test]
fn a_peer_that_links_anew_for_every_chunk_is_still_used() {
    let victim = FetchVictim::new();
    let hostile = answers(&victim.film, |link, film, asked| async move {
        answer_well(&link, &film, asked).await;
        link.close(0u32.into(), b"restart");
    });
    let settled = victim.fetch("restarts mid-transfer", &[&hostile]);
    settled.told(hostile.node(), "left", "restart");
    settled.banned_no_node();
    settled.passed("redialed with patience");
}
