//! The client against servers that tests script: each connection gets one answer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use swarm_origins::{Check, Listing, Options, Origin, OriginError, Seen, Version};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};

/// A server, and what it was asked.
struct Server {
    origin: Origin,
    asked: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Gives these answers, one a connection, and then none.
    async fn start(answers: &[&str]) -> Self {
        let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let (asked, mut tasks) = (Arc::new(Mutex::new(Vec::new())), JoinSet::new());
        let noted = Arc::clone(&asked);
        tasks.spawn(async move {
            for answer in answers {
                let (stream, _) = listener.accept().await.expect("it listens");
                answer_on(stream, &answer, &noted).await;
            }
        });
        let origin =
            Origin::new(Options { url, user: None, check: Check::FirstContact }).expect("an address");
        Self { origin, asked, _tasks: tasks }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nothing panicked").clone()
    }
}

async fn answer_on(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &str,
    asked: &Mutex<Vec<String>>,
) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        request.push(byte);
    }
    asked.lock().expect("nothing panicked").push(String::from_utf8_lossy(&request).into_owned());
    // A client that has enough may be gone.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// An answer whose connection ends with it.
fn answer(status: &str, headers: &str, body: &str) -> String {
    let len = body.len();
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {len}\r\n{headers}\r\n{body}")
}

const LIST: &str = r#"[{"path": "/a", "length": 3}]"#;

#[tokio::test]
async fn a_list_is_read_once_while_its_tag_stays() {
    let first = answer("200 OK", "ETag: \"1\"\r\n", LIST);
    let server = Server::start(&[&first, "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"]).await;
    let Ok(Listing::Files { files, tag, unread: 0 }) = server.origin.list("a b", None).await else {
        panic!("it is a list")
    };
    assert_eq!((files[0].path.as_str(), tag.as_deref()), ("/a", Some("\"1\"")));
    assert_eq!(server.origin.list("a b", tag.as_deref()).await, Ok(Listing::Same));
    let asked = server.asked();
    assert!(asked[0].starts_with("GET /files?guid=a%20b HTTP/1.1\r\n"), "{asked:?}");
    assert!(asked[1].contains("if-none-match: \"1\"\r\n"), "{asked:?}");
}

#[tokio::test]
async fn a_sealed_library_is_refused_by_what_its_list_or_its_files_say() {
    let by_header = answer("200 OK", "swarm-sealed: true\r\n", "[]");
    let by_file = answer("200 OK", "", r#"[{"path": "/a", "length": 3, "sealed": true}]"#);
    let server = Server::start(&[&by_header, &by_file]).await;
    for _ in 0..2 {
        assert_eq!(server.origin.list("a", None).await, Err(OriginError::Sealed));
    }
}

#[tokio::test]
async fn a_server_that_asks_for_a_pause_is_not_asked_meanwhile() {
    let busy = answer("503 Service Unavailable", "Retry-After: 100\r\n", "");
    let server = Server::start(&[&busy, &answer("200 OK", "", LIST)]).await;
    let after = |error: OriginError| error.after().expect("a pause");
    let first = server.origin.list("a", None).await.expect_err("it is busy");
    assert_eq!(after(first), Duration::from_secs(100));
    let second = server.origin.range("a", "b", 0..1, &Version { len: 1, tag: None }).await;
    assert!(after(second.expect_err("it rests")) <= Duration::from_secs(100));
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn what_the_server_cannot_do_now_is_tried_again() {
    let broken = answer("500 Internal Server Error", "", "");
    let partial = |body: &str| {
        let head = "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nContent-Length: 3";
        format!("{head}\r\nContent-Range: bytes 1-3/9\r\nETag: \"x\"\r\n\r\n{body}")
    };
    let server = Server::start(&[&broken, &partial("ab"), &partial("abc")]).await;
    let read = server.origin.range("a", "/b/c d", 1..4, &Version { len: 9, tag: None }).await;
    assert_eq!(read, Ok((b"abc".to_vec(), Some("\"x\"".to_owned()))));
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked[0].starts_with("GET /file/a/b/c%20d HTTP/1.1\r\n"), "{asked:?}");
    assert!(asked[0].contains("range: bytes=1-3\r\n"), "{asked:?}");
}

#[tokio::test]
async fn an_error_that_stays_is_told_at_once() {
    for (status, expected) in [
        ("404 Not Found", OriginError::Missing(404)),
        ("403 Forbidden", OriginError::Denied(403)),
        ("412 Precondition Failed", OriginError::Changed),
        ("200 OK", OriginError::NoRange),
    ] {
        let server = Server::start(&[&answer(status, "", "123456789")]).await;
        let read = server.origin.range("a", "b", 1..4, &Version { len: 9, tag: None }).await;
        assert_eq!(read, Err(expected), "{status}");
    }
}

/// Shows a certificate, and proves a key.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesServerCert for Shows {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

fn tls(certificate: &rcgen::CertifiedKey<rcgen::KeyPair>, key: &rcgen::KeyPair) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let key = ring::sign::any_supported_type(&key).expect("a key");
    let shown = CertifiedKey::new(vec![certificate.cert.der().clone()], key);
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Shows(Arc::new(shown))));
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn a_certificate_is_seen_only_when_the_server_proves_that_it_has_its_key() {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let other = rcgen::KeyPair::generate().expect("a key");
    let (lies, honest) = (tls(&own, &other), tls(&own, &own.signing_key));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let mut tasks = JoinSet::new();
    // A request is tried three times before it is given up.
    tasks.spawn(async move {
        let asked = Mutex::new(Vec::new());
        for accepts in [&lies, &lies, &lies, &honest] {
            let (stream, _) = listener.accept().await.expect("it listens");
            if let Ok(stream) = accepts.accept(stream).await {
                answer_on(stream, &answer("200 OK", "", LIST), &asked).await;
            }
        }
    });
    let url = format!("https://127.0.0.1:{port}");
    let origin = Origin::new(Options { url, user: None, check: Check::FirstContact }).expect("an address");
    origin.list("a", None).await.expect_err("it has another key");
    assert_eq!(origin.seen(), None);
    // It is left alone for a moment first.
    let listed = loop {
        match origin.list("a", None).await {
            Err(OriginError::Unreachable(_)) => tokio::task::yield_now().await,
            listed => break listed,
        }
    };
    assert!(matches!(listed, Ok(Listing::Files { .. })), "{listed:?}");
    assert!(matches!(origin.seen(), Some(Seen::Sha256(_))));
}
