//! Answers, and connections that become links. Decides nothing but what a path means and whose page may link.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::files;
use crate::limits::{
    CLIENT_TIMEOUT, CLIENTS_MAX, HEAD_LEN_MAX, HEAD_TIMEOUT, WEB_SOCKETS_MAX, WEB_SOCKETS_UNPROVEN_MAX,
};
use crate::secure::{self, TLS_HANDSHAKE};
use swarm_link::{Endpoint, Origins, WEB_TRANSPORT_PATH, WebCertificateError, WebTransportOptions};

/// What a node shows over HTTP. Clones are the same.
#[derive(Clone)]
pub struct WebServer {
    shared: Arc<Shared>,
}

struct Shared {
    endpoint: Endpoint,
    origins: Origins,
    sockets: Arc<Semaphore>,
    unproven: Arc<Semaphore>,
    ending: CancellationToken,
    tasks: TaskTracker,
}

impl WebServer {
    /// Lets pages link to the node of this endpoint, by WebTransport from now on, and by WebSockets as they ask [`Self::answer`]. Links
    /// live in `tasks`, until `ending` at the latest.
    ///
    /// # Errors
    /// If no certificate for WebTransport can be made.
    pub fn new(
        endpoint: Endpoint,
        origins: Origins,
        clock: fn() -> SystemTime,
        (ending, tasks): (CancellationToken, TaskTracker),
    ) -> Result<Self, WebCertificateError> {
        endpoint.serve_web_transport(WebTransportOptions { clock, origins: origins.clone() })?;
        let [sockets, unproven] =
            [WEB_SOCKETS_MAX, WEB_SOCKETS_UNPROVEN_MAX].map(|max| Arc::new(Semaphore::new(max)));
        Ok(Self { shared: Arc::new(Shared { endpoint, origins, sockets, unproven, ending, tasks }) })
    }

    /// Answers clients until the node ends, over HTTP and HTTPS on one port: the first byte of a client tells which.
    pub async fn serve(self, listener: TcpListener) {
        let names =
            self.shared.endpoint.local_addresses().into_iter().map(|address| address.ip().to_string());
        let tls = secure::acceptor(names.chain(["localhost".to_owned()]).collect());
        let slots = Arc::new(Semaphore::new(CLIENTS_MAX));
        let ending = self.shared.ending.clone();
        while let Some(Ok(slot)) = ending.run_until_cancelled(Arc::clone(&slots).acquire_owned()).await {
            match ending.run_until_cancelled(listener.accept()).await {
                None => break,
                Some(Ok((stream, _))) => {
                    let (server, tls, ending) = (self.clone(), tls.clone(), ending.clone());
                    self.shared.tasks.spawn(async move {
                        // A client that is slow, or gone, is its own affair.
                        let client = timeout(CLIENT_TIMEOUT, Box::pin(server.client(stream, tls)));
                        let _ = ending.run_until_cancelled(client).await;
                        drop(slot);
                    });
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "cannot take a client of the page");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Whether a request may be answered here that came in the clear, or not: what leads to links may, files of the page may not, except on
    /// the machine itself.
    pub fn is_for_peers<B>(&self, request: &Request<B>, is_open: bool) -> bool {
        is_open || matches!(request.uri().path(), "/node" | WEB_TRANSPORT_PATH)
    }

    /// The answer to a request for what this server has; `None` for any other path.
    pub fn answer<B>(&self, request: &mut Request<B>) -> Option<Response<Full<Bytes>>> {
        let path = request.uri().path().to_owned();
        let is_own = path == "/node" || path == WEB_TRANSPORT_PATH || files::file(&path).is_some();
        if !is_own {
            return None;
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Some(text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n"));
        }
        Some(match path.as_str() {
            "/node" => self.describe(request.headers()),
            WEB_TRANSPORT_PATH => self.upgrade(request),
            path => page_file(path, request.headers()),
        })
    }

    async fn client(&self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // Messages are gathered by the layers above: what is sent is to leave at once.
        let _ = stream.set_nodelay(true);
        let mut first = [0];
        match (timeout(HEAD_TIMEOUT, stream.peek(&mut first)).await, tls) {
            (Ok(Ok(1)), Some(tls)) if first[0] == TLS_HANDSHAKE => {
                if let Ok(Ok(stream)) = timeout(HEAD_TIMEOUT, tls.accept(stream)).await {
                    self.requests(stream).await;
                }
            }
            (Ok(Ok(1)), _) => self.requests(stream).await,
            // It said nothing, or is gone.
            _ => {}
        }
    }

    async fn requests(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = service_fn(async |mut request| {
            let answer = self.answer(&mut request);
            Ok::<_, Infallible>(answer.unwrap_or_else(|| text(StatusCode::NOT_FOUND, NOT_FOUND)))
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_LEN_MAX)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
            .await;
        if let Err(error) = served {
            tracing::debug!(%error, "a client of the page");
        }
    }

    /// Who this node is. A page of any site may read it: it is what any dialer learns.
    fn describe(&self, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let hashes = self.shared.endpoint.web_certificate_hashes();
        let hashes: Vec<_> = hashes.iter().map(|hash| format!("\"{}\"", HEXLOWER.encode(hash))).collect();
        let body = format!(
            "{{\"node\":\"{}\",\"agent\":\"swarm/{}\",\"admitsOrigin\":{},\"certificateHashes\":[{}]}}\n",
            self.shared.endpoint.node_id(),
            env!("CARGO_PKG_VERSION"),
            self.admits(headers),
            hashes.join(","),
        );
        let mut response = answer(StatusCode::OK, "application/json", body);
        set(&mut response, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        set(&mut response, header::CACHE_CONTROL, "no-store");
        response
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        // A value that is no text is that of no site.
        let value = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("null"));
        self.shared.origins.admit(value(header::ORIGIN), value(header::HOST))
    }

    /// Begins a link by WebSocket.
    fn upgrade<B>(&self, request: &mut Request<B>) -> Response<Full<Bytes>> {
        let headers = request.headers();
        let has = |name: HeaderName, word: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
            value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word))
        };
        let is_upgrade = has(header::CONNECTION, "upgrade") && has(header::UPGRADE, "websocket");
        let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| is_upgrade).cloned();
        let Some(key) = key.filter(|_| has(header::SEC_WEBSOCKET_VERSION, "13")) else {
            let mut response =
                text(StatusCode::UPGRADE_REQUIRED, "a link by WebSocket: ask for an upgrade\n");
            set(&mut response, header::UPGRADE, "websocket");
            set(&mut response, header::SEC_WEBSOCKET_VERSION, "13");
            return response;
        };
        if !self.admits(headers) {
            tracing::info!(origin = ?headers.get(header::ORIGIN), "a page of another site was refused a link");
            return text(
                StatusCode::FORBIDDEN,
                "this node lets no page of that site link: see --web-origin\n",
            );
        }
        let Shared { sockets, unproven, .. } = &*self.shared;
        let (slot, unproven) =
            (Arc::clone(sockets).try_acquire_owned(), Arc::clone(unproven).try_acquire_owned());
        let (Ok(slot), Ok(unproven)) = (slot, unproven) else {
            return text(StatusCode::SERVICE_UNAVAILABLE, "too many links: try again later\n");
        };
        let upgrading = hyper::upgrade::on(request);
        let (endpoint, ending) = (self.shared.endpoint.clone(), self.shared.ending.clone());
        self.shared.tasks.spawn(async move {
            let link = async {
                let upgraded = match upgrading.await {
                    Ok(upgraded) => upgraded,
                    Err(error) => return tracing::debug!(%error, "no upgrade to a WebSocket"),
                };
                let proven = endpoint.accept_web_socket(TokioIo::new(upgraded)).await;
                drop(unproven);
                match proven {
                    Ok((link, carrying)) => endpoint.run_link(link, carrying).await,
                    Err(error) => tracing::debug!(%error, "no link"),
                }
            };
            let _ = ending.run_until_cancelled(Box::pin(link)).await;
            drop(slot);
        });
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        set(&mut response, header::CONNECTION, "Upgrade");
        set(&mut response, header::UPGRADE, "websocket");
        set(&mut response, header::SEC_WEBSOCKET_ACCEPT, &derive_accept_key(key.as_bytes()));
        response
    }
}

fn page_file(path: &str, headers: &HeaderMap) -> Response<Full<Bytes>> {
    let Some((kind, bytes)) = files::file(path) else { return text(StatusCode::NOT_FOUND, NOT_FOUND) };
    if !files::has_wasm() && kind.starts_with("text/html") {
        return text(StatusCode::NOT_FOUND, NO_WASM);
    }
    let accepts = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    if !accepts.is_some_and(|accepts| accepts.contains("gzip")) {
        return text(StatusCode::NOT_ACCEPTABLE, "the page is there for clients that accept gzip\n");
    }
    let mut response = answer(StatusCode::OK, kind, bytes);
    set(&mut response, header::CONTENT_ENCODING, "gzip");
    set(&mut response, header::CACHE_CONTROL, "no-cache");
    set(&mut response, header::CONTENT_SECURITY_POLICY, POLICY);
    set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(&mut response, header::REFERRER_POLICY, "no-referrer");
    response
}

fn text(status: StatusCode, words: &'static str) -> Response<Full<Bytes>> {
    answer(status, "text/plain; charset=utf-8", words)
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    set(&mut response, header::CONTENT_TYPE, kind);
    response
}

fn set(response: &mut Response<Full<Bytes>>, name: HeaderName, value: &str) {
    // Values are ours, and are ASCII.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// The page runs its own code alone, and links to whatever nodes a ticket names.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; \
    img-src 'self' blob: data:; media-src 'self' blob:; manifest-src 'self'; connect-src * ws: wss:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const NOT_FOUND: &str = "there are /get, /node and /swarm\n";
const NO_WASM: &str = "this build has no page: run `cargo xtask web` before it is built\n";
/// After an error that says nothing of a single client, as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use swarm_link::{Identity, LinkOptions};

    use super::*;

    fn server(origins: Origins) -> WebServer {
        let (identity, any) = (Identity::from_seed([1; 32]), "127.0.0.1:0".parse().expect("an address"));
        let endpoint = Endpoint::bind(Some(any), &identity, LinkOptions::default()).expect("a free port");
        let in_2027 = || SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let ends = (CancellationToken::new(), TaskTracker::new());
        WebServer::new(endpoint, origins, in_2027, ends).expect("a certificate")
    }

    /// The status and the text of the answer; `None` if the path is not this server's.
    async fn check(
        server: &WebServer,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Option<(u16, String)> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = server.answer(&mut request.body(()).expect("a request"))?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("it is whole").to_bytes();
        Some((status, String::from_utf8_lossy(&body).into_owned()))
    }

    const ASKING: [(&str, &str); 5] = [
        ("host", "127.0.0.1:4433"),
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    #[tokio::test]
    async fn a_node_says_who_it_is_and_whom_it_lets_in() {
        let server = server(Origins::OwnAnd(Vec::new()));
        let (status, told) = check(&server, "GET", "/node", &ASKING[..1]).await.expect("its path");
        let node = Identity::from_seed([1; 32]).node_id();
        assert!(status == 200 && told.contains(&format!("\"node\":\"{node}\"")), "{told}");
        assert!(told.contains("\"admitsOrigin\":true") && told.matches("\",\"").count() >= 2, "{told}");
        let foreign = [ASKING[0], ("origin", "https://evil.example")];
        let (_, told) = check(&server, "GET", "/node", &foreign).await.expect("its path");
        assert!(told.contains("\"admitsOrigin\":false"), "{told}");
    }

    #[tokio::test]
    async fn a_link_needs_an_upgrade_and_an_origin_that_is_let_in() {
        let server = server(Origins::OwnAnd(Vec::new()));
        let status = async |headers: &[(&str, &str)]| {
            check(&server, "GET", "/swarm", headers).await.expect("its path").0
        };
        assert_eq!(status(&ASKING).await, 101);
        assert_eq!(status(&[&ASKING[..], &[("origin", "http://127.0.0.1:4433")]].concat()).await, 101);
        assert_eq!(status(&[&ASKING[..], &[("origin", "https://evil.example")]].concat()).await, 403);
        for (name, _) in &ASKING[1..] {
            let headers: Vec<_> = ASKING.into_iter().filter(|(other, _)| other != name).collect();
            assert_eq!(status(&headers).await, 426, "without {name}");
        }
    }

    #[tokio::test]
    async fn other_methods_are_refused_and_other_paths_are_not_its_own() {
        let server = server(Origins::Any);
        assert_eq!(check(&server, "POST", "/node", &[]).await.map(|(status, _)| status), Some(405));
        assert_eq!(check(&server, "GET", "/", &[]).await, None);
        assert_eq!(check(&server, "GET", "/swarm/../node", &[]).await, None);
        let accepts = [("accept-encoding", "gzip")];
        let page = check(&server, "GET", "/get", &accepts).await.expect("its path");
        assert_eq!(page.0, if files::has_wasm() { 200 } else { 404 });
        assert_eq!(
            check(&server, "GET", "/swarm/src/index.js", &[]).await.map(|(status, _)| status),
            Some(406)
        );
    }
}
