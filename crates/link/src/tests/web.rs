//! Pages, played by a client of WebTransport, and an endpoint that serves them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring as ring_provider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use url::Url;
use web_transport_quinn::http::header::ORIGIN;
use web_transport_quinn::http::{HeaderValue, StatusCode};
use web_transport_quinn::proto::{self, ConnectRequest};
use web_transport_quinn::{
    ClientError, ConnectError, RecvStream, SendStream, Session, SessionError, WebTransportError,
};

use super::*;
use crate::limits::{CHANNEL_MESSAGE_LEN_MAX, WEB_CERTIFICATE_ROTATION, WEB_CHANNELS_WAITING_MAX};
use swarm_core::wire::CloseCode;

/// An endpoint that serves pages of any origin, in 2027.
fn serving(seed: u8) -> Endpoint {
    serving_with(seed, WebTransportOptions { clock: in_2027, origins: Origins::Any })
}

fn serving_with(seed: u8, options: WebTransportOptions) -> Endpoint {
    let endpoint = endpoint(seed);
    endpoint.serve_web_transport(options).expect("certificates");
    endpoint
}

fn in_2027() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// The session and the stream of a page; the QUIC endpoint must outlive them.
struct Page {
    session: Session,
    sender: SendStream,
    receiver: RecvStream,
    quinn: quinn::Endpoint,
}

/// A request for the path that pages use.
fn request(to: &Endpoint) -> ConnectRequest {
    request_for(to, WEB_TRANSPORT_PATH)
}

fn request_for(to: &Endpoint, path: &str) -> ConnectRequest {
    let url: Url = format!("https://127.0.0.1:{}{path}", to.port()).parse().expect("a URL");
    ConnectRequest::new(url)
}

/// Opens a session to an endpoint whose certificate has one of the hashes.
async fn open_session(
    to: &Endpoint,
    hashes: Vec<[u8; 32]>,
    request: ConnectRequest,
) -> Result<(Session, quinn::Endpoint), ClientError> {
    let provider = Arc::new(ring_provider::default_provider());
    let pinned = Pinned { hashes, provider: Arc::clone(&provider) };
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pinned))
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).expect("a suite")));
    let quinn = quinn::Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).expect("bound");
    let address = SocketAddr::from(([127, 0, 0, 1], to.port()));
    let connection = quinn.connect_with(config, address, "localhost")?.await?;
    Ok((Session::connect(connection, request).await?, quinn))
}

/// The status with which a session was refused; `None` if it was opened.
fn refusal(opened: Result<(Session, quinn::Endpoint), ClientError>) -> Option<StatusCode> {
    match opened {
        Ok(_) => None,
        Err(ClientError::HttpError(ConnectError::ProtoError(proto::ConnectError::WrongStatus(status)))) => {
            status
        }
        Err(other) => panic!("{other:?}"),
    }
}

/// What `page` gives while the endpoint lets pages and links in; no link comes.
async fn while_served<T>(acceptor: &Endpoint, page: impl Future<Output = T>) -> T {
    tokio::select! {
        link = acceptor.accept() => panic!("{link:?}"),
        done = page => done,
    }
}

async fn page(acceptor: &Endpoint) -> Page {
    let opened = open_session(acceptor, acceptor.web_certificate_hashes(), request(acceptor)).await;
    let (session, quinn) = opened.expect("a session");
    let (sender, receiver) = session.open_bi().await.expect("a stream");
    Page { session, sender, receiver, quinn }
}

/// A page and its channel at the endpoint.
async fn page_and_channel(acceptor: &Endpoint) -> (Page, WebTransportChannel) {
    let (page, channel) =
        while_served(acceptor, async { tokio::join!(page(acceptor), acceptor.accept_web()) }).await;
    (page, channel.expect("a channel"))
}

impl Page {
    async fn send(&mut self, message: &[u8]) {
        let len = u32::try_from(message.len()).expect("short");
        self.sender.write_all(&len.to_be_bytes()).await.expect("written");
        self.sender.write_all(message).await.expect("written");
    }

    async fn next(&mut self) -> Bytes {
        let mut prefix = [0; 4];
        self.receiver.read_exact(&mut prefix).await.expect("a length");
        let mut message = vec![0; u32::from_be_bytes(prefix) as usize];
        self.receiver.read_exact(&mut message).await.expect("a message");
        message.into()
    }

    /// The code and the reason with which the endpoint closed the session.
    async fn closed(&self) -> (u32, String) {
        match self.session.closed().await {
            SessionError::WebTransportError(WebTransportError::Closed(code, reason)) => (code, reason),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn messages_go_both_ways_whole_and_in_order() {
    let acceptor = serving(2);
    let (mut page, mut channel) = page_and_channel(&acceptor).await;
    let messages = [Bytes::from_static(b"one"), Bytes::new(), Bytes::from(vec![7; CHANNEL_MESSAGE_LEN_MAX])];
    let to_node = async {
        for message in &messages {
            page.send(message).await;
        }
        for message in &messages {
            assert_eq!(page.next().await, message);
        }
    };
    let echo = async {
        for message in &messages {
            let taken = channel.next().await.expect("received").expect("a message");
            assert_eq!(taken, message);
            channel.send(taken).await.expect("sent");
        }
    };
    tokio::join!(to_node, echo);
    assert!(channel.remote_address().ip().is_loopback());
}

#[tokio::test]
async fn a_channel_knows_the_certificate_that_its_page_was_shown() {
    let acceptor = serving(2);
    let (_page, channel) = page_and_channel(&acceptor).await;
    assert_eq!(channel.certificate_hash(), acceptor.web_certificate_hashes()[0]);
}

#[tokio::test]
async fn an_end_of_either_side_is_told_from_a_break() {
    let acceptor = serving(2);
    let (mut page, channel) = page_and_channel(&acceptor).await;
    let WebTransportChannel { sender, mut receiver, session } = channel;
    page.send(b"last").await;
    page.sender.finish().expect("finished");
    assert_eq!(receiver.next().await, Ok(Some(Bytes::from_static(b"last"))));
    assert_eq!(receiver.next().await, Ok(None));
    let mut rest = [0; 1];
    let (ended, ()) = tokio::join!(page.receiver.read(&mut rest), sender.finish());
    assert!(matches!(ended, Ok(None)), "{ended:?}");
    page.session.close(7, b"seen enough");
    let reason = "seen enough".to_owned();
    assert_eq!(session.closed().await, CloseReason::ClosedByPeer { code: 7, reason });
}

#[tokio::test]
async fn a_channel_that_ends_inside_a_message_says_so() {
    let acceptor = serving(2);
    let (mut page, mut channel) = page_and_channel(&acceptor).await;
    page.sender.write_all(&[0, 0, 0, 9, 1, 2]).await.expect("written");
    page.sender.finish().expect("finished");
    assert_eq!(channel.next().await, Err(ChannelError::CutShort));
}

#[tokio::test]
async fn a_wait_for_a_message_can_be_cancelled() {
    let acceptor = serving(2);
    let (mut page, mut channel) = page_and_channel(&acceptor).await;
    page.sender.write_all(&[0, 0, 0, 4, 1, 2]).await.expect("written");
    let waited = tokio::time::timeout(Duration::from_millis(20), channel.next()).await;
    assert!(waited.is_err(), "{waited:?}");
    page.sender.write_all(&[3, 4]).await.expect("written");
    assert_eq!(channel.next().await, Ok(Some(Bytes::from_static(&[1, 2, 3, 4]))));
}

#[tokio::test]
async fn a_message_that_is_announced_too_long_ends_the_channel() {
    let acceptor = serving(2);
    let (mut page, mut channel) = page_and_channel(&acceptor).await;
    let len = CHANNEL_MESSAGE_LEN_MAX as u32 + 1;
    page.sender.write_all(&len.to_be_bytes()).await.expect("written");
    let too_long = Err(ChannelError::TooLong(len.into()));
    assert_eq!(channel.next().await, too_long);
    assert_eq!(channel.next().await, too_long);
    let sent = channel.send(vec![0; len as usize].into()).await;
    assert_eq!(sent, Err(ChannelError::TooLong(len.into())));
    drop(channel);
    assert_eq!(page.closed().await, (0, String::new()));
}

#[tokio::test]
async fn a_page_learns_why_its_session_was_closed() {
    let acceptor = serving(2);
    let (page, mut channel) = page_and_channel(&acceptor).await;
    channel.close(CloseCode::TurnedAway.code(), "not a reader");
    assert_eq!(page.closed().await, (CloseCode::TurnedAway.code(), "not a reader".to_owned()));
    assert_eq!(channel.next().await, Err(CloseReason::ClosedHere.into()));
}

#[tokio::test]
async fn a_page_that_vanishes_did_not_close_from_here() {
    let acceptor = serving(2);
    let (page, mut channel) = page_and_channel(&acceptor).await;
    page.quinn.close(quinn::VarInt::from_u32(0), b"");
    let lost = channel.next().await.expect_err("lost");
    assert!(matches!(lost, ChannelError::SessionLost(CloseReason::ClosedByPeer { .. })), "{lost:?}");
}

#[tokio::test]
async fn a_page_that_pins_another_certificate_gets_no_session() {
    let acceptor = serving(2);
    let opened = while_served(&acceptor, open_session(&acceptor, vec![[9; 32]], request(&acceptor))).await;
    assert!(matches!(opened.err(), Some(ClientError::Connection(ConnectionError::TransportError(_)))));
}

#[tokio::test]
async fn another_path_is_not_found() {
    let acceptor = serving(2);
    for path in ["/", "/swarm/", "/swarmed"] {
        let hashes = acceptor.web_certificate_hashes();
        let opened =
            while_served(&acceptor, open_session(&acceptor, hashes, request_for(&acceptor, path))).await;
        assert_eq!(refusal(opened), Some(StatusCode::NOT_FOUND), "{path}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_can_be_kept_out() {
    let origins = Origins::OwnAnd(vec!["https://example.org".to_owned()]);
    let acceptor = serving_with(2, WebTransportOptions { clock: in_2027, origins });
    for (origin, is_let_in) in [
        (Some("https://example.org"), true),
        (Some("https://example.org.invalid"), false),
        (Some("null"), false),
        // A program.
        (None, true),
    ] {
        let mut request = request(&acceptor);
        if let Some(origin) = origin {
            request = request.with_header(ORIGIN, HeaderValue::from_static(origin));
        }
        let hashes = acceptor.web_certificate_hashes();
        let opened = while_served(&acceptor, open_session(&acceptor, hashes, request)).await;
        let expected = (!is_let_in).then_some(StatusCode::FORBIDDEN);
        assert_eq!(refusal(opened), expected, "{origin:?}");
    }
}

#[tokio::test]
async fn links_and_pages_come_in_on_one_port() {
    let acceptor = serving(2);
    let (mut page, mut channel) = page_and_channel(&acceptor).await;
    let pair = link(endpoint(1), acceptor).await;
    let (mut sender, mut receiver) = chunk_stream(&pair, b"head").await;
    sender.write_all(Bytes::from_static(b"chunk")).await.expect("written");
    page.send(b"message").await;
    assert_eq!(channel.next().await, Ok(Some(Bytes::from_static(b"message"))));
    let mut received = [0; 9];
    receiver.read_exact(&mut received).await.expect("received");
    assert_eq!(&received, b"headchunk");
    assert_eq!(pair.dialed.peer(), Identity::from_seed([2; 32]).node_id());
}

#[tokio::test]
async fn a_dialer_without_a_certificate_gets_no_link_where_pages_are_served() {
    let acceptor = serving(2);
    let mut without = tls::dialing(
        &Identity::from_seed([9; 32]),
        acceptor.node_id(),
        Protocol::Peer,
        &tls::FoundKey::default(),
    );
    without.client_auth_cert_resolver = Arc::new(NoCertificate);
    let end = while_served(&acceptor, async {
        match connect_raw(&acceptor, without).await {
            Ok(connection) => connection.closed().await,
            Err(error) => error,
        }
    });
    match CloseReason::from(end.await) {
        CloseReason::ClosedByPeer { code, .. } => assert_eq!(code, CloseCode::TurnedAway.code()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn who_offers_links_and_sessions_sees_the_key_of_the_node() {
    let acceptor = serving(2);
    let mut config = tls::dialing(
        &Identity::from_seed([9; 32]),
        acceptor.node_id(),
        Protocol::Peer,
        &tls::FoundKey::default(),
    );
    config.alpn_protocols = vec![b"h3".to_vec(), b"swarm/1".to_vec()];
    let (connected, accepted) = tokio::join!(connect_raw(&acceptor, config), acceptor.accept());
    connected.expect("the pinned key");
    assert_eq!(accepted.expect("a link").peer(), Identity::from_seed([9; 32]).node_id());
}

#[tokio::test]
async fn no_page_is_served_until_that_is_turned_on() {
    let acceptor = endpoint(2);
    assert!(acceptor.web_certificate_hashes().is_empty());
    assert!(acceptor.accept_web().await.is_none());
    let opened = while_served(&acceptor, open_session(&acceptor, Vec::new(), request(&acceptor))).await;
    let Err(ClientError::Connection(ConnectionError::ConnectionClosed(close))) = opened else {
        panic!("{:?}", opened.err())
    };
    assert!(close.to_string().contains("120"), "no_application_protocol: {close}");
}

#[tokio::test]
async fn a_session_outlives_the_rotation_of_certificates() {
    static NOW: AtomicU64 = AtomicU64::new(1_800_000_000);
    let clock = || UNIX_EPOCH + Duration::from_secs(NOW.load(Ordering::Relaxed));
    let acceptor = serving_with(2, WebTransportOptions { clock, origins: Origins::Any });
    let [current, next] = acceptor.web_certificate_hashes()[..] else { panic!("two") };
    let (mut page, mut channel) = page_and_channel(&acceptor).await;
    NOW.fetch_add(WEB_CERTIFICATE_ROTATION.as_secs(), Ordering::Relaxed);

    let opened = open_session(&acceptor, vec![next], request(&acceptor));
    while_served(&acceptor, opened).await.expect("the hash was published a week ahead");
    let opened = open_session(&acceptor, vec![current], request(&acceptor));
    assert!(while_served(&acceptor, opened).await.is_err(), "no longer served");

    assert_eq!(channel.certificate_hash(), current);
    page.send(b"still here").await;
    assert_eq!(channel.next().await, Ok(Some(Bytes::from_static(b"still here"))));
    assert_eq!(acceptor.web_certificate_hashes()[0], next);
}

#[tokio::test]
async fn pages_that_nobody_takes_are_sent_away() {
    let acceptor = serving(2);
    let mut pages = Vec::new();
    for _ in 0..WEB_CHANNELS_WAITING_MAX {
        pages.push(while_served(&acceptor, page(&acceptor)).await);
    }
    let one_more = while_served(&acceptor, async {
        let page = page(&acceptor).await;
        page.closed().await
    });
    assert_eq!(one_more.await.0, CloseCode::TooManyLinks.code());
    assert!(acceptor.accept_web().await.is_some());
}

#[tokio::test]
async fn a_closed_endpoint_has_no_more_pages() {
    let acceptor = serving(2);
    let (_page, mut channel) = page_and_channel(&acceptor).await;
    let (taken, ()) = tokio::join!(acceptor.accept_web(), acceptor.close(5, "shutting down"));
    assert!(taken.is_none());
    assert!(channel.next().await.is_err());
}

/// Accepts the certificates that have these hashes, as a page does.
#[derive(Debug)]
struct Pinned {
    hashes: Vec<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let digest = ring::digest::digest(&ring::digest::SHA256, end_entity);
        if self.hashes.iter().any(|hash| hash == digest.as_ref()) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
