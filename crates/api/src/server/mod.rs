//! One TCP port for HTTP and HTTPS: the first byte of a client tells which. Invariant: plain HTTP is answered for this machine alone, unless the
//! settings allow it, and others are sent to HTTPS; each wait of a client has an end; when all places are taken, the client that has been there
//! longest without proving a user gives way.

mod certificate;
mod guests;
mod hosts;
mod lingering;
mod patience;

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use swarm_web_server::WebServer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::app::App;
use crate::error::ApiError;
use crate::limits::{
    ACCEPT_PAUSE, HEAD_LEN_MAX, HEAD_TIMEOUT, KEEP_ALIVE, LAST_ANSWERS, RESETS_MAX, STREAMS_MAX, WRITE_IDLE,
};

pub(crate) use certificate::Certificate;
pub(crate) use guests::{Connection, Guests};
pub(crate) use hosts::{is_own_host, is_own_origin};
use lingering::{Lingering, Unread};
use patience::Patient;

/// Whether a request came over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IsTls(pub(crate) bool);

/// Listens; `listen` is `None` for all addresses. A port that is taken is an error if it `is_wanted`; otherwise any free one will do.
pub(crate) fn bind(listen: Option<IpAddr>, port: u16, is_wanted: bool) -> Result<TcpListener, ApiError> {
    let address = SocketAddr::new(listen.unwrap_or(Ipv6Addr::UNSPECIFIED.into()), port);
    let any_v4 = SocketAddr::new(std::net::Ipv4Addr::UNSPECIFIED.into(), port);
    let bound = match std::net::TcpListener::bind(address) {
        // A machine without IPv6.
        Err(error) if listen.is_none() && error.kind() != io::ErrorKind::AddrInUse => {
            std::net::TcpListener::bind(any_v4)
        }
        bound => bound,
    };
    let bound = match bound {
        Err(_) if !is_wanted => std::net::TcpListener::bind(SocketAddr::new(address.ip(), 0)),
        bound => bound,
    };
    let listening = bound.and_then(|listener| {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    });
    listening.map_err(|source| ApiError::Listen { address, source })
}

/// Serves clients.
#[derive(Clone)]
pub(crate) struct Server {
    /// Answers pages and programs that are to become peers.
    pub(crate) peers: WebServer,
    pub(crate) router: Router,
    pub(crate) app: Arc<App>,
    pub(crate) tls: TlsAcceptor,
    pub(crate) guests: Arc<Guests>,
}

impl Server {
    /// Takes clients until the end. Each has a task in `tasks`.
    pub(crate) async fn run(self, listener: TcpListener, ending: CancellationToken, tasks: TaskTracker) {
        while let Some(accepted) = ending.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, from)) => {
                    let (server, ending) = (self.clone(), ending.clone());
                    let connection = self.guests.came(from.ip());
                    tasks.spawn(async move { server.client(stream, from, connection, ending).await });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot take a client of the page");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn client(
        self,
        stream: TcpStream,
        from: SocketAddr,
        connection: Connection,
        ending: CancellationToken,
    ) {
        let _ = stream.set_nodelay(true);
        let leave = connection.token();
        let talk = async {
            let mut first = [0];
            match until(&ending, stream.peek(&mut first)).await {
                Some(Ok(1)) if first[0] == TLS_HANDSHAKE => {
                    let (bodies, stream) = unread(stream);
                    if let Some(Ok(stream)) = until(&ending, self.tls.accept(stream)).await {
                        // In a box: a client that only waits is not to hold room for everything that another may do.
                        let served =
                            self.serve((stream, bodies), from, IsTls(true), connection.clone(), &ending);
                        Box::pin(served).await;
                    }
                }
                Some(Ok(1)) => {
                    let (bodies, stream) = unread(stream);
                    let served =
                        self.serve((stream, bodies), from, IsTls(false), connection.clone(), &ending);
                    Box::pin(served).await;
                }
                // It said nothing, or is gone, or this process ends.
                _ => {}
            }
        };
        let _ = leave.run_until_cancelled(talk).await;
    }

    async fn serve(
        &self,
        (stream, bodies): (impl AsyncRead + AsyncWrite + Unpin + Send + 'static, Unread),
        from: SocketAddr,
        is_tls: IsTls,
        connection: Connection,
        ending: &CancellationToken,
    ) {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let is_open = is_tls.0 || from.ip().is_loopback() || self.app.known().allows_plain;
        let (router, peers) = (self.router.clone(), self.peers.clone());
        // Readers of heads have their own clock only once it is known which version of HTTP a client speaks.
        let asked = CancellationToken::new();
        let first = asked.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            first.cancel();
            let router = router.clone();
            // A link is encrypted and proven by itself; the page of peers needs a browser that trusts the way it came.
            let of_peers =
                peers.is_for_peers(&request, is_open).then(|| peers.answer(&mut request)).flatten();
            request.extensions_mut().insert(ConnectInfo(from));
            request.extensions_mut().insert(is_tls);
            request.extensions_mut().insert(connection.clone());
            let bodies = bodies.clone();
            async move {
                if let Some(answer) = of_peers {
                    return Ok(answer.map(Body::new));
                }
                // Of HTTP/2, a body that nobody reads ends with its stream.
                let is_one = request.version() < Version::HTTP_2;
                let request = request.map(|body| if is_one { bodies.watch(body) } else { Body::new(body) });
                if is_open { router.oneshot(request).await } else { Ok(to_https(&request)) }
            }
        });
        let builder = builder();
        let served = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        tokio::pin!(served);
        let asked_nothing = async {
            if timeout(HEAD_TIMEOUT, asked.cancelled()).await.is_ok() {
                std::future::pending::<()>().await;
            }
        };
        let ended = tokio::select! {
            ended = served.as_mut() => ended,
            () = asked_nothing => return,
            () = ending.cancelled() => {
                if !asked.is_cancelled() {
                    // No answer is owed to it.
                    return;
                }
                served.as_mut().graceful_shutdown();
                match timeout(LAST_ANSWERS, served).await {
                    Ok(ended) => ended,
                    Err(_) => return,
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error, "a client of the page");
        }
    }
}

/// A stream that is as patient as this server, and what it knows of the bodies that come by it.
fn unread(stream: TcpStream) -> (Unread, Lingering<Patient<TcpStream>>) {
    let bodies = Unread::default();
    (bodies.clone(), Lingering::new(Patient::new(stream, WRITE_IDLE), bodies))
}

/// What a client does before it asks anything: in time, and not beyond the end.
async fn until<T>(ending: &CancellationToken, what: impl Future<Output = T>) -> Option<T> {
    ending.run_until_cancelled(timeout(HEAD_TIMEOUT, what)).await?.ok()
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_LEN_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_LEN_MAX as u32)
        .max_pending_accept_reset_streams(Some(RESETS_MAX))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .keep_alive_timeout(HEAD_TIMEOUT);
    builder
}

/// Where the same is said over HTTPS. The host is what the client named: it is sent nowhere else. A secret that came without a seal is told to be one no
/// more: a program that was sent on would tell it to everybody each time, and nobody would notice.
fn to_https<B>(request: &Request<B>) -> Response<Body> {
    let path = request.uri().path();
    let has_secret = request.headers().contains_key(header::AUTHORIZATION)
        || request.headers().contains_key(header::COOKIE)
        || !matches!(*request.method(), Method::GET | Method::HEAD)
        || path.starts_with("/link/");
    if has_secret {
        let message = "use https:// in the address: what was sent just now was not encrypted; if a password was among it, choose another one\n";
        let mut refused = Response::new(Body::from(message));
        *refused.status_mut() = StatusCode::FORBIDDEN;
        let kind = HeaderValue::from_static("text/plain; charset=utf-8");
        refused.headers_mut().insert(header::CONTENT_TYPE, kind);
        return refused;
    }
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let is_of_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    let host = host.filter(|host| !host.is_empty() && host.bytes().all(is_of_host));
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let answer = Response::builder().header(header::CONTENT_TYPE, "text/plain; charset=utf-8");
    let built = match host {
        Some(host) => answer
            .status(StatusCode::PERMANENT_REDIRECT)
            .header(header::LOCATION, format!("https://{host}{path}"))
            .body(Body::from("use HTTPS\n")),
        None => answer.status(StatusCode::BAD_REQUEST).body(Body::from("use HTTPS, and name the host\n")),
    };
    built.unwrap_or_default()
}

/// The first byte of a TLS record that begins a handshake (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 22;
