//! Two real endpoints on loopback.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use bytes::Bytes;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, ConnectionError};

use super::*;
use crate::limits::{CHUNK_STREAMS_PER_LINK_MAX, CLOSE_REASON_LEN_MAX, DATAGRAM_LEN_MAX_LOCAL, DIAL_TIMEOUT};
use swarm_core::base::limits::FRAME_LEN_MAX;
use swarm_core::base::{ContentId, NodeId};
use swarm_core::manifest::Address;
use swarm_core::wire::FramingError;

mod long_path;
mod web;

fn endpoint_at(listen: &str, seed: u8) -> Endpoint {
    let identity = Identity::from_seed([seed; 32]);
    Endpoint::bind(Some(listen.parse().expect("an address")), &identity, LinkOptions::default())
        .expect("bound")
}

fn endpoint(seed: u8) -> Endpoint {
    endpoint_at("127.0.0.1:0", seed)
}

fn at(text: &str) -> Vec<Address> {
    vec![text.parse().expect("an address")]
}

fn loopback_of(endpoint: &Endpoint) -> Vec<Address> {
    at(&format!("127.0.0.1:{}", endpoint.port()))
}

/// Links at their dialers and at their acceptors, and the endpoints, which must outlive them.
struct Pair {
    dialed: QuicLink,
    accepted: QuicLink,
    endpoints: [Endpoint; 2],
}

async fn pair() -> Pair {
    link(endpoint(1), endpoint(2)).await
}

async fn link(dialer: Endpoint, acceptor: Endpoint) -> Pair {
    let addresses = loopback_of(&acceptor);
    let (dialed, accepted) =
        tokio::join!(dialer.dial(acceptor.node_id(), Protocol::Peer, &addresses), acceptor.accept());
    let (dialed, accepted) = (dialed.expect("dialed"), accepted.expect("accepted"));
    // As a node does once a link's control stream stands.
    for link in [&dialed, &accepted] {
        let options = LinkOptions::default();
        link.set_windows(options.receive_window_len, options.send_window_len);
    }
    Pair { dialed, accepted, endpoints: [dialer, acceptor] }
}

/// The control streams of both ends, which the dialer's first frame opens.
async fn controls(pair: &Pair) -> ((FrameWriter, FrameReader), (FrameWriter, FrameReader)) {
    let mut dialer = pair.dialed.control().await.expect("opened");
    dialer.0.write_frames(&[Bytes::from_static(b"hello")]).await.expect("written");
    let mut acceptor = pair.accepted.control().await.expect("accepted");
    assert_eq!(acceptor.1.next().await, Ok(Some(Bytes::from_static(b"hello"))));
    (dialer, acceptor)
}

/// A chunk stream at its sender and at its receiver, opened with `first`.
async fn chunk_stream(pair: &Pair, first: &'static [u8]) -> (ChunkSender, ChunkReceiver) {
    let mut sender = pair.dialed.open_chunk_stream().await.expect("opened");
    sender.write_all(Bytes::from_static(first)).await.expect("written");
    (sender, pair.accepted.accept_chunk_stream().await.expect("accepted"))
}

/// A connection whose TLS settings are `config`, not those of the protocol.
async fn connect_raw(to: &Endpoint, config: rustls::ClientConfig) -> Result<Connection, ConnectionError> {
    let config = QuicClientConfig::try_from(config).expect("a suite");
    let raw = quinn::Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).expect("bound");
    let address = SocketAddr::from(([127, 0, 0, 1], to.port()));
    let config = quinn::ClientConfig::new(Arc::new(config));
    raw.connect_with(config, address, tls::SERVER_NAME).expect("begun").await
}

/// The node that is accepted first when `stranger` connects before a proper one.
async fn first_accepted(
    acceptor: &Endpoint,
    stranger: impl Future<Output = Result<Connection, ConnectionError>>,
) -> QuicLink {
    let proper = endpoint(1);
    let strange_then_proper = async {
        if let Ok(connection) = stranger.await {
            connection.closed().await;
        }
        proper.dial(acceptor.node_id(), Protocol::Peer, &loopback_of(acceptor)).await.expect("dialed")
    };
    let (_dialed, accepted) = tokio::join!(strange_then_proper, acceptor.accept());
    accepted.expect("accepted")
}

#[tokio::test]
async fn two_nodes_talk_both_ways_and_know_each_other() {
    let pair = pair().await;
    assert_eq!(pair.dialed.peer(), Identity::from_seed([2; 32]).node_id());
    assert_eq!(pair.accepted.peer(), Identity::from_seed([1; 32]).node_id());
    assert!(pair.dialed.is_dialer() && !pair.accepted.is_dialer());
    let ((_writer, mut reader), (mut writer, _reader)) = controls(&pair).await;
    let frames = [Bytes::from_static(b"one"), Bytes::new(), Bytes::from(vec![7; FRAME_LEN_MAX])];
    let (written, ()) = tokio::join!(writer.write_frames(&frames), async {
        for frame in &frames {
            assert_eq!(reader.next().await, Ok(Some(frame.clone())));
        }
    });
    written.expect("written");
}

#[tokio::test]
async fn chunk_bytes_arrive_whole_and_end() {
    let pair = pair().await;
    let (mut sender, mut receiver) = chunk_stream(&pair, b"head").await;
    let body = vec![5; 3 << 20];
    let (sent, received) = tokio::join!(
        async {
            sender.write_all_pieces(&mut [Bytes::from(body.clone()), Bytes::from_static(b"tail")]).await?;
            sender.finish()
        },
        async {
            let mut received = vec![0; 4 + body.len()];
            receiver.read_exact(&mut received).await?;
            assert_eq!(&received[..4], b"head");
            assert_eq!(received[4..], body);
            let mut rest = [0; 16];
            receiver.read_exact(&mut rest[..4]).await?;
            assert_eq!(&rest[..4], b"tail");
            receiver.read_some(&mut rest).await
        }
    );
    assert_eq!((sent, received), (Ok(()), Ok(0)));
    assert_eq!(sender.stopped().await, Ok(None));
    assert_eq!(sender.finish(), Err(SendError::Ended));
}

#[tokio::test]
async fn a_stream_that_ends_inside_a_piece_says_how_far_it_came() {
    let pair = pair().await;
    let (mut sender, mut receiver) = chunk_stream(&pair, b"head").await;
    sender.finish().expect("finished");
    assert_eq!(receiver.read_exact(&mut [0; 16]).await, Err(ReceiveError::EndedEarly(4)));
}

#[tokio::test]
async fn another_key_than_the_pinned_one_is_told() {
    let (dialer, acceptor) = (endpoint(1), endpoint(2));
    let expected = Identity::from_seed([3; 32]).node_id();
    let addresses = loopback_of(&acceptor);
    let error = tokio::select! {
        dialed = dialer.dial(expected, Protocol::Peer, &addresses) => dialed.expect_err("another node"),
        _ = acceptor.accept() => panic!("accepted"),
    };
    let address = SocketAddr::from(([127, 0, 0, 1], acceptor.port()));
    assert_eq!(error, DialError::WrongKey { address, expected, found: acceptor.node_id() });
    expect_test::expect![[r"the node at PLACE shows key 8139770e, not the expected ed4928c6: the ticket is old or someone else listens there"]]
        .assert_eq(&error.to_string().replace(&address.to_string(), "PLACE"));
}

#[tokio::test]
async fn the_right_node_is_found_among_wrong_addresses() {
    let (dialer, other, acceptor) = (endpoint(1), endpoint(3), endpoint(2));
    let silent = UdpSocket::bind("127.0.0.1:0").expect("bound").local_addr().expect("an address");
    let mut addresses = vec![silent.into()];
    addresses.extend(loopback_of(&other));
    addresses.extend(at(&format!("localhost:{}", acceptor.port())));
    let dialed = tokio::select! {
        (dialed, accepted) = async { tokio::join!(dialer.dial(acceptor.node_id(), Protocol::Peer, &addresses), acceptor.accept()) } => {
            assert!(accepted.is_some());
            dialed
        }
        _ = other.accept() => panic!("accepted"),
    };
    assert_eq!(dialed.expect("dialed").peer(), acceptor.node_id());
}

#[tokio::test]
async fn a_node_does_not_dial_itself_or_nowhere() {
    let node = endpoint(1);
    let addresses = loopback_of(&node);
    assert_eq!(
        node.dial(node.node_id(), Protocol::Peer, &addresses).await.err(),
        Some(DialError::Myself(node.node_id()))
    );
    let other = Identity::from_seed([2; 32]).node_id();
    assert_eq!(node.dial(other, Protocol::Peer, &[]).await.err(), Some(DialError::NoAddress(other)));
}

#[tokio::test]
async fn what_cannot_be_dialed_is_listed() {
    let (node, other) = (endpoint(1), Identity::from_seed([2; 32]).node_id());
    let error = node.dial(other, Protocol::Peer, &at("[2001:db8::1]:1")).await.expect_err("no IPv6 here");
    expect_test::expect![
        "no way to node 8139770e: [2001:db8::1]:1 cannot be dialed from here; check that it runs and that UDP gets through"
    ]
    .assert_eq(&error.to_string());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_answer_is_given_up() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let silent = socket.local_addr().expect("an address");
    let (node, other) = (endpoint(1), Identity::from_seed([2; 32]).node_id());
    let clock = Clock::start();
    let error = node.dial(other, Protocol::Peer, &[silent.into(), silent.into()]).await.expect_err("silence");
    let attempts = vec![Attempt { address: silent.into(), error: AttemptError::NoAnswer }];
    assert_eq!(error, DialError::Unreachable { node: other, attempts });
    assert_eq!((clock.now() - swarm_core::base::Instant::ZERO).as_secs(), DIAL_TIMEOUT.as_secs());
}

#[tokio::test]
async fn a_dialer_without_a_certificate_is_refused() {
    let acceptor = endpoint(2);
    let with_key = tls::dialing(
        &Identity::from_seed([9; 32]),
        acceptor.node_id(),
        Protocol::Peer,
        &tls::FoundKey::default(),
    );
    let mut without = with_key.clone();
    without.client_auth_cert_resolver = Arc::new(NoCertificate);
    let accepted = first_accepted(&acceptor, connect_raw(&acceptor, without)).await;
    assert_eq!(accepted.peer(), Identity::from_seed([1; 32]).node_id());
    let (connected, accepted) = tokio::join!(connect_raw(&acceptor, with_key), acceptor.accept());
    assert!(connected.is_ok() && accepted.is_some(), "it was the certificate that was missing");
}

#[tokio::test]
async fn a_dialer_of_another_protocol_is_refused() {
    let acceptor = endpoint(2);
    let mut config = tls::dialing(
        &Identity::from_seed([9; 32]),
        acceptor.node_id(),
        Protocol::Peer,
        &tls::FoundKey::default(),
    );
    config.alpn_protocols = vec![b"h3".to_vec()];
    let accepted = first_accepted(&acceptor, connect_raw(&acceptor, config)).await;
    assert_eq!(accepted.peer(), Identity::from_seed([1; 32]).node_id());
}

#[tokio::test]
async fn the_sender_learns_that_the_receiver_stopped() {
    let pair = pair().await;
    let (mut sender, mut receiver) = chunk_stream(&pair, b"head").await;
    receiver.stop(42);
    assert_eq!(sender.stopped().await, Ok(Some(42)));
    assert_eq!(sender.write_all(Bytes::from_static(b"more")).await, Err(SendError::Stopped(42)));
    assert_eq!(receiver.read_some(&mut [0; 4]).await, Err(ReceiveError::Ended));
}

#[tokio::test]
async fn what_came_before_a_reset_can_be_kept() {
    let pair = pair().await;
    let (mut sender, mut receiver) = chunk_stream(&pair, b"head").await;
    let mut buffer = [0; 16];
    assert_eq!(receiver.read_some(&mut buffer).await, Ok(4));
    assert_eq!(&buffer[..4], b"head");
    sender.reset(7);
    assert_eq!(receiver.read_some(&mut buffer).await, Err(ReceiveError::Reset(7)));
    assert_eq!(sender.write_all(Bytes::from_static(b"more")).await, Err(SendError::Ended));
}

#[tokio::test]
async fn a_sender_dropped_unfinished_does_not_look_like_the_end() {
    let pair = pair().await;
    let (sender, mut receiver) = chunk_stream(&pair, b"head").await;
    drop(sender);
    let mut buffer = [0; 16];
    let end = loop {
        match receiver.read_some(&mut buffer).await {
            Ok(0) => panic!("a clean end"),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(end, ReceiveError::Reset(0));
}

#[tokio::test]
async fn one_peer_opens_no_more_chunk_streams_than_the_limit() {
    let pair = pair().await;
    let mut open = Vec::new();
    for _ in 0..CHUNK_STREAMS_PER_LINK_MAX {
        open.push(chunk_stream(&pair, b"head").await);
    }
    let next = tokio::select! {
        biased;
        next = pair.dialed.open_chunk_stream() => Some(next),
        () = tokio::task::yield_now() => None,
    };
    assert!(next.is_none(), "one above the limit");
    open.clear();
    pair.dialed.open_chunk_stream().await.expect("free again");
}

#[tokio::test]
async fn broken_framing_is_told_apart_from_a_lost_link() {
    for (bytes, expected) in [
        (&[0xff, 0xff, 0xff, 0xff, 0x0f][..], FramingError::TooLong(u64::from(u32::MAX)).into()),
        (&[0x80; 9], FramingError::EndlessLen.into()),
        (&[5, 1, 2], FrameError::CutShort),
    ] {
        let acceptor = endpoint(2);
        let config = tls::dialing(
            &Identity::from_seed([9; 32]),
            acceptor.node_id(),
            Protocol::Peer,
            &tls::FoundKey::default(),
        );
        let (connection, link) = tokio::join!(connect_raw(&acceptor, config), acceptor.accept());
        let (connection, link) = (connection.expect("connected"), link.expect("accepted"));
        let (mut raw, _) = connection.open_bi().await.expect("opened");
        raw.write_all(bytes).await.expect("written");
        raw.finish().expect("finished");
        let (_writer, mut reader) = link.control().await.expect("accepted");
        assert_eq!(reader.next().await, Err(expected));
    }
}

#[tokio::test]
async fn a_finished_link_delivers_its_last_frames() {
    let pair = pair().await;
    let ((mut writer, _), (_, mut reader)) = controls(&pair).await;
    let last: Vec<Bytes> = (0..200u8).map(|n| Bytes::from(vec![n; 1000])).collect();
    writer.write_frames(&last).await.expect("written");
    let reading = async {
        for frame in &last {
            assert_eq!(reader.next().await.as_ref(), Ok(&Some(frame.clone())));
        }
    };
    tokio::join!(pair.dialed.finish(writer, 3, "all done"), reading);
    let reason = "all done".to_owned();
    assert_eq!(pair.accepted.closed().await, CloseReason::ClosedByPeer { code: 3, reason });
    assert_eq!(pair.dialed.close_reason(), Some(CloseReason::ClosedHere));
    assert_eq!(pair.dialed.open_chunk_stream().await.err(), Some(CloseReason::ClosedHere));
}

#[tokio::test]
async fn frames_that_came_before_a_close_are_read_after_it() {
    let pair = pair().await;
    let ((mut writer, _), (_, mut reader)) = controls(&pair).await;
    writer.write_frames(&[Bytes::from_static(b"last")]).await.expect("written");
    pair.dialed.finish(writer, 3, "done").await;
    pair.accepted.closed().await;
    assert_eq!(reader.next().await, Ok(Some(Bytes::from_static(b"last"))));
}

#[tokio::test]
async fn a_close_reason_is_cut_and_harmless_on_a_terminal() {
    let pair = pair().await;
    pair.dialed.close(u32::MAX, &"\u{1b}[31m".repeat(CLOSE_REASON_LEN_MAX));
    match pair.accepted.closed().await {
        CloseReason::ClosedByPeer { code, reason } => {
            assert_eq!(code, u32::MAX);
            assert!(reason.starts_with("[31m[31m") && reason.len() <= CLOSE_REASON_LEN_MAX, "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_closed_endpoint_says_so_everywhere() {
    let Pair { dialed, accepted, endpoints: [dialer, acceptor] } = pair().await;
    acceptor.close(5, "shutting down").await;
    let reason = "shutting down".to_owned();
    assert_eq!(dialed.closed().await, CloseReason::ClosedByPeer { code: 5, reason });
    assert_eq!(accepted.closed().await, CloseReason::ClosedHere);
    assert!(acceptor.accept().await.is_none());
    let addresses = loopback_of(&dialer);
    assert_eq!(
        acceptor.dial(dialer.node_id(), Protocol::Peer, &addresses).await.err(),
        Some(DialError::Closed)
    );
}

#[tokio::test]
async fn an_ipv4_node_reaches_one_that_listens_on_all_addresses() {
    let identity = Identity::from_seed([2; 32]);
    let anywhere = Endpoint::bind(None, &identity, LinkOptions::default()).expect("bound");
    let pair = link(endpoint(1), anywhere).await;
    assert!(pair.accepted.remote_address().ip().is_ipv4(), "{}", pair.accepted.remote_address());
    assert!(!pair.endpoints[1].local_addresses().is_empty());
    let back = link(pair.endpoints[1].clone(), endpoint(4)).await;
    assert!(back.dialed.remote_address().is_ipv4());
}

#[tokio::test]
async fn a_taken_port_is_told_with_the_way_out() {
    let first = endpoint(1);
    let address = first.bound_address();
    let second = Endpoint::bind(Some(address), &Identity::from_seed([2; 32]), LinkOptions::default());
    match second {
        Err(error @ BindError::PortTaken(_)) => {
            let expected = "UDP port PORT is taken on 127.0.0.1: stop what listens there, or take another port, or 0 for any";
            assert_eq!(error.to_string().replace(&address.port().to_string(), "PORT"), expected);
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("bound twice"),
    }
}

/// Starts a seed, returns its node and port, and stops it with its runtime, as at the end of a process.
fn start_seed(store: &IdentityStore) -> (NodeId, u16) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let identity = store.acquire(Some(ContentId::from_bytes([1; 32]))).expect("acquired");
        let endpoint = Endpoint::bind(None, &identity, LinkOptions::default()).expect("bound");
        identity.remember_port(endpoint.port()).expect("noted");
        (endpoint.node_id(), endpoint.port())
    })
}

#[test]
fn a_restarted_seed_listens_where_it_did_if_that_is_free() {
    let state = tempfile::tempdir().expect("a folder");
    let store = IdentityStore::open(state.path()).expect("opened");
    let (node, port) = start_seed(&store);
    let (node_again, port_again) = start_seed(&store);
    assert_eq!(node_again, node);
    // Another test may have taken the port meanwhile.
    let is_taken = || UdpSocket::bind(("0.0.0.0", port)).is_err();
    assert!(port_again == port || is_taken());

    let _blocker = UdpSocket::bind(("0.0.0.0", port_again));
    let (node_elsewhere, port_elsewhere) = start_seed(&store);
    assert_eq!(node_elsewhere, node);
    assert_ne!(port_elsewhere, port_again);
}

#[tokio::test]
async fn longer_datagrams_are_found_within_one_machine() {
    let pair = pair().await;
    let (mut sender, mut receiver) = chunk_stream(&pair, b"head").await;
    let (sent, received) = tokio::join!(
        async {
            while pair.dialed.stats().datagram_len < DATAGRAM_LEN_MAX_LOCAL {
                sender.write_all(Bytes::from(vec![0; 64 << 10])).await?;
            }
            sender.finish()
        },
        async {
            let mut buffer = vec![0; 64 << 10];
            while receiver.read_some(&mut buffer).await? > 0 {}
            Ok::<_, ReceiveError>(())
        }
    );
    assert_eq!((sent, received), (Ok(()), Ok(())));
    let stats = pair.dialed.stats();
    assert!(stats.sent_len > 64 << 10 && stats.sent_packets > 0);
}

#[derive(Debug)]
struct NoCertificate;

impl rustls::client::ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn who_is_at_an_address_is_found_out_without_a_link() {
    let (asking, asked) = (endpoint(1), endpoint(2));
    let address = SocketAddr::from(([127, 0, 0, 1], asked.port()));
    tokio::select! {
        identified = asking.identify(address) => assert_eq!(identified, Ok(asked.node_id())),
        link = asked.accept() => panic!("{link:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_without_an_answer_has_no_node() {
    let silent = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let found = endpoint(1).identify(silent.local_addr().expect("bound")).await;
    assert_eq!(found, Err(AttemptError::NoAnswer));
}
