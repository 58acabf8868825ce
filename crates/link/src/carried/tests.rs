//! Links over WebSockets, on streams within this process.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{DuplexStream, duplex};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::channel::{ChannelReceive as _, ChannelSend as _};
use super::handshake::{CarriedError, accept_web_socket, dial_web_socket};
use super::link::CarriedLink;
use super::sealing::{SealedReceiver, SealedSender};
use super::web_socket;
use crate::limits::{EARLY_RECEIVE_WINDOW_LEN, HANDSHAKE_TIMEOUT};
use crate::{CloseReason, Identity, ReceiveError, SendError};
use swarm_carrier::limits::{LINK_WINDOW_LEN, STREAM_WINDOW_LEN, STREAMS_MAX};
use swarm_carrier::{Binding, Dialer, NoiseDialer, ProofError, Record};
use swarm_core::base::limits::LINK_IDLE_TIMEOUT;
use swarm_core::wire::FramingError;

const URL: &str = "ws://node.invalid/swarm";

fn identity(number: u8) -> Identity {
    Identity::from_seed([number; 32])
}

/// The server's end of a stream, once it has upgraded the dialer's request.
async fn upgraded(stream: DuplexStream) -> DuplexStream {
    tokio_tungstenite::accept_async(stream).await.expect("a request").into_inner()
}

/// The two ends of a link between nodes 1 and 2, and the tasks that move its bytes.
async fn linked() -> (CarriedLink, CarriedLink, JoinSet<()>) {
    let (ours, theirs) = duplex(1 << 20);
    let (one, other) = (identity(1), identity(2));
    let (dialed, accepted) = tokio::join!(dial_web_socket(ours, URL, &one, other.node_id(), None), async {
        accept_web_socket(upgraded(theirs).await, &other, None).await
    },);
    let ((dialer, here), (acceptor, there)) = (dialed.expect("linked"), accepted.expect("linked"));
    let mut tasks = JoinSet::new();
    tasks.spawn(here);
    tasks.spawn(there);
    (dialer, acceptor, tasks)
}

#[tokio::test]
async fn frames_and_chunk_streams_pass_both_ways() {
    let (one, other, _tasks) = linked().await;
    assert_eq!((one.peer(), other.peer()), (identity(2).node_id(), identity(1).node_id()));
    assert_eq!((one.is_dialer(), other.is_dialer()), (true, false));
    let (one_writer, one_reader) = one.control().expect("the first time");
    let (other_writer, other_reader) = other.control().expect("the first time");
    assert!(one.control().is_err(), "a link has one control stream");
    for (from, to, mut writer, mut reader) in
        [(&one, &other, one_writer, other_reader), (&other, &one, other_writer, one_reader)]
    {
        let frames = [Bytes::from_static(b"short"), Bytes::from(vec![4; 100_000])];
        writer.write_frames(&frames).await.expect("linked");
        for frame in &frames {
            assert_eq!(reader.next().await.expect("linked").as_ref(), Some(frame));
        }
        let sending = async {
            let mut stream = from.open_chunk_stream().await.expect("linked");
            stream.write_all(Bytes::from(vec![5; 9_000_000])).await.expect("read");
            stream.finish().expect("open");
            stream.stopped().await
        };
        let receiving = async {
            let mut stream = to.accept_chunk_stream().await.expect("linked");
            let mut bytes = vec![0; 9_000_000];
            stream.read_exact(&mut bytes).await.expect("whole");
            let end = stream.read_some(&mut [0]).await;
            (bytes.iter().all(|byte| *byte == 5), end)
        };
        let (stopped, received) = tokio::join!(sending, receiving);
        assert_eq!((stopped, received), (Ok(None), (true, Ok(0))));
    }
}

#[tokio::test]
async fn a_stream_that_is_not_read_holds_its_sender_up_and_no_other_stream() {
    let (one, other, _tasks) = linked().await;
    let _control = other.control().expect("the first time");
    let mut slow = one.open_chunk_stream().await.expect("linked");
    let mut written = 0;
    let bytes = Bytes::from(vec![1; 100_000]);
    let stuck = async {
        loop {
            let mut piece = bytes.clone();
            slow.write_some(&mut piece).await.expect("open");
            written += bytes.len() - piece.len();
        }
    };
    assert!(tokio::time::timeout(Duration::from_millis(300), stuck).await.is_err());
    assert_eq!(written, STREAM_WINDOW_LEN as usize);
    let unread = other.accept_chunk_stream().await.expect("linked");
    let mut quick = one.open_chunk_stream().await.expect("linked");
    quick.write_all(Bytes::from(vec![2; 1000])).await.expect("open");
    quick.finish().expect("open");
    let mut bytes = vec![0; 1000];
    other.accept_chunk_stream().await.expect("linked").read_exact(&mut bytes).await.expect("whole");
    drop(unread);
    assert_eq!(slow.stopped().await, Ok(Some(0)));
    assert_eq!(slow.write_all(Bytes::from_static(b"x")).await, Err(SendError::Stopped(0)));
}

#[tokio::test]
async fn a_peer_that_breaks_the_framing_is_told_of_and_not_read_any_more() {
    let (ours, theirs) = duplex(1 << 16);
    let (one, other) = (identity(1), identity(2));
    let hostile = async {
        let (mut sender, mut receiver) = web_socket::asked_for(ours, URL).await.expect("upgraded");
        let (noise, first) = NoiseDialer::start(&[1; 32]);
        sender.send(first).await.expect("it listens");
        sender.flush().await.expect("it listens");
        let keys =
            noise.finish(&receiver.next().await.expect("a message").expect("it is open")).expect("Noise");
        let mut sender = SealedSender::new(sender, &keys.sending);
        let mut receiver = SealedReceiver::new(receiver, &keys.receiving);
        let binding = Binding::Noise(keys.hash);
        let (dialer, first) = Dialer::start(binding, one.node_id(), other.node_id(), [2; 32]);
        sender.send(first).await.expect("it listens");
        sender.flush().await.expect("it listens");
        let answer = receiver.next().await.expect("a message").expect("it is open");
        let last = dialer.finish(&one.signing_key(), &answer).expect("proven");
        sender.send(last).await.expect("it listens");
        let endless = Record::Control(Bytes::from_static(&[0xff; 5]));
        let flood = Record::Control(Bytes::from(vec![7; 60_000]));
        let mut sent_len = 0;
        for record in std::iter::once(endless).chain(std::iter::repeat_n(flood, 1000)) {
            let mut message = BytesMut::new();
            record.encode(&mut message);
            sent_len += message.len();
            let sent = sender.send(message.freeze()).await;
            if sent.is_err() || tokio::time::timeout(Duration::from_secs(1), sender.flush()).await.is_err() {
                break;
            }
        }
        (sent_len, receiver)
    };
    let accepting = async { accept_web_socket(upgraded(theirs).await, &other, None).await };
    let mut tasks = JoinSet::new();
    let watched = async {
        let (link, carrying) = accepting.await.expect("linked");
        tasks.spawn(carrying);
        let (_writer, mut reader) = link.control().expect("the first time");
        let fault = reader.next().await;
        (fault, link)
    };
    let ((sent_len, _receiver), (fault, link)) = tokio::join!(hostile, watched);
    assert_eq!(fault, Err(FramingError::EndlessLen.into()));
    assert!(sent_len < 1 << 20, "{sent_len} bytes were taken after the fault");
    assert!(link.stats().received_len < 1000);
}

#[tokio::test]
async fn little_is_kept_of_a_peer_before_the_link_is_taken() {
    let (one, other, _tasks) = linked().await;
    let mut stream = one.open_chunk_stream().await.expect("linked");
    let writing = async {
        stream.write_all(Bytes::from(vec![1; 3_000_000])).await.expect("open");
    };
    assert!(tokio::time::timeout(Duration::from_millis(300), writing).await.is_err());
    assert!(other.stats().received_len < 4 * u64::from(EARLY_RECEIVE_WINDOW_LEN));
    let _control = other.control().expect("the first time");
    let mut received = other.accept_chunk_stream().await.expect("linked");
    received.read_exact(&mut vec![0; 500_000]).await.expect("it goes on");
}

#[tokio::test]
async fn streams_come_and_go_without_end() {
    let (one, other, _tasks) = linked().await;
    for round in 0..3 * STREAMS_MAX {
        let mut stream = one.open_chunk_stream().await.expect("linked");
        stream.write_all(Bytes::from(vec![3; 40_000])).await.expect("open");
        let mut received = other.accept_chunk_stream().await.expect("linked");
        let mut bytes = vec![0; 40_000];
        match round % 4 {
            0 => {
                stream.finish().expect("open");
                drop(stream);
                received.read_exact(&mut bytes).await.expect("whole");
                assert_eq!(received.read_some(&mut bytes).await, Ok(0));
            }
            1 => {
                stream.reset(7);
                let end = received.read_exact(&mut vec![0; 50_000]).await;
                assert_eq!(end, Err(ReceiveError::Reset(7)));
            }
            2 => drop(received),
            _ => drop(stream),
        }
    }
    let all = 4 * u64::from(LINK_WINDOW_LEN);
    assert!(one.stats().sent_len < all && one.stats().sent_len == other.stats().received_len);
}

#[tokio::test]
async fn the_other_side_hears_why_a_link_is_closed_after_what_was_said_before() {
    let (one, other, mut tasks) = linked().await;
    let (mut writer, _) = one.control().expect("the first time");
    let (_, mut reader) = other.control().expect("the first time");
    writer.write_frames(&[Bytes::from_static(b"bye")]).await.expect("linked");
    one.finish(writer, 3, "enough").await;
    assert_eq!(reader.next().await.expect("it came before"), Some(Bytes::from_static(b"bye")));
    let reason = CloseReason::ClosedByPeer { code: 3, reason: "enough".to_owned() };
    assert_eq!(other.closed().await, reason);
    assert_eq!(one.closed().await, CloseReason::ClosedHere);
    assert!(one.is_closed_here() && !other.is_closed_here());
    assert!(one.open_chunk_stream().await.is_err());
    while tasks.join_next().await.is_some() {}
}

#[tokio::test]
async fn a_link_that_nobody_holds_is_closed_and_its_tasks_end() {
    let (one, other, mut tasks) = linked().await;
    let stream = one.open_chunk_stream().await.expect("linked");
    drop(one);
    assert!(!other.is_closed_here());
    drop(stream);
    let reason = CloseReason::ClosedByPeer { code: 0, reason: "done".to_owned() };
    assert_eq!(other.closed().await, reason);
    while tasks.join_next().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn a_link_lives_while_both_sides_do_and_no_longer() {
    let (one, other, tasks) = linked().await;
    tokio::time::sleep(4 * LINK_IDLE_TIMEOUT).await;
    assert!(one.rtt() < Duration::from_secs(1));
    assert!(!one.is_closed_here() && !other.is_closed_here());
    drop(tasks);
    let (ours, theirs) = duplex(1 << 20);
    drop((one, other));
    let (here, there) = (identity(1), identity(2));
    let (dialed, accepted) = tokio::join!(dial_web_socket(ours, URL, &here, there.node_id(), None), async {
        accept_web_socket(upgraded(theirs).await, &there, None).await
    },);
    let ((link, carrying), _silent) = (dialed.expect("linked"), accepted.expect("linked"));
    carrying.await;
    assert_eq!(link.closed().await, CloseReason::TimedOut);
}

/// What both sides of a handshake end with, where the dialer asks for node `wanted`.
async fn handshake(dialer: u8, wanted: u8, acceptor: u8) -> (Option<CarriedError>, Option<CarriedError>) {
    let (ours, theirs) = duplex(1 << 20);
    let (one, other) = (identity(dialer), identity(acceptor));
    let (dialed, accepted) =
        tokio::join!(dial_web_socket(ours, URL, &one, identity(wanted).node_id(), None), async {
            accept_web_socket(upgraded(theirs).await, &other, None).await
        },);
    (dialed.err(), accepted.err())
}

#[tokio::test]
async fn only_the_node_that_was_dialed_gets_a_link() {
    assert_eq!(handshake(1, 2, 2).await, (None, None));
    let wrong = CarriedError::Proof(ProofError::WrongKey(identity(3).node_id()));
    assert!(matches!(handshake(1, 2, 3).await, (Some(error), Some(_)) if error == wrong));
    let (_, accepted) = handshake(2, 2, 2).await;
    assert_eq!(accepted, Some(CarriedError::Proof(ProofError::Myself)));
}

#[tokio::test]
async fn a_relay_that_flips_a_bit_ends_the_link() {
    let (ours, relayed) = duplex(1 << 20);
    let (relaying, theirs) = duplex(1 << 20);
    let (one, other) = (identity(1), identity(2));
    // It has no key, so it passes whole messages on, and changes the fifth: after the handshake and the first that the link says.
    let relay = async move {
        let (mut to_dialer, mut from_dialer) =
            web_socket::on_upgraded(upgraded(relayed).await, Role::Server).await;
        let (mut to_acceptor, mut from_acceptor) =
            web_socket::asked_for(relaying, URL).await.expect("upgraded");
        let back = async {
            while let Ok(Some(message)) = from_acceptor.next().await {
                to_dialer.send(message).await.expect("it listens");
                to_dialer.flush().await.expect("it listens");
            }
        };
        let forth = async {
            for number in 0.. {
                let Ok(Some(message)) = from_dialer.next().await else { break };
                let mut message = message.to_vec();
                if number == 5 {
                    message[0] ^= 1;
                }
                let sent = to_acceptor.send(message.into()).await;
                if sent.is_err() || to_acceptor.flush().await.is_err() {
                    break;
                }
            }
        };
        tokio::join!(back, forth);
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(relay);
    let (dialed, accepted) = tokio::join!(dial_web_socket(ours, URL, &one, other.node_id(), None), async {
        accept_web_socket(upgraded(theirs).await, &other, None).await
    },);
    let ((dialer, here), (acceptor, there)) = (dialed.expect("linked"), accepted.expect("linked"));
    tasks.spawn(here);
    tasks.spawn(there);
    let _control = acceptor.control().expect("the first time");
    let (mut writer, _reader) = dialer.control().expect("the first time");
    for _ in 0..3 {
        // The last ones find the link closed.
        let _ = writer.write_frames(&[Bytes::from_static(b"hello")]).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let reason = CloseReason::Transport("a message was changed on its way".to_owned());
    assert_eq!(acceptor.closed().await, reason);
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_or_something_else_gets_no_link() {
    let other = identity(2);
    let (silent, theirs) = duplex(1 << 20);
    assert_eq!(accept_web_socket(theirs, &other, None).await.err(), Some(CarriedError::TooLong));
    drop(silent);
    for message in [vec![], vec![0; 32], vec![0; 300], NoiseDialer::start(&[1; 32]).1.to_vec()] {
        // Any 32 bytes are an X25519 key; such a peer still has to prove its own.
        let is_noise = message.len() == 32;
        let (ours, theirs) = duplex(1 << 20);
        let talking = async {
            let (mut sender, receiver) = web_socket::on_upgraded(ours, Role::Client).await;
            sender.send(message.into()).await.expect("it listens");
            sender.flush().await.expect("it listens");
            tokio::time::sleep(2 * HANDSHAKE_TIMEOUT).await;
            drop(receiver);
        };
        let ((), accepted) = tokio::join!(talking, accept_web_socket(theirs, &other, None));
        match accepted.err() {
            Some(CarriedError::TooLong) => assert!(is_noise),
            Some(CarriedError::Noise(_)) => assert!(!is_noise),
            other => panic!("{other:?}"),
        }
    }
}
