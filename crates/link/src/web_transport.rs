//! WebTransport sessions of pages in browsers, on the node's own UDP port: told apart from links by ALPN (`h3`). Each session
//! gives one channel of messages, over the first bidirectional stream that the page opens.
//!
//! Invariant: a page that arrives has proved nothing. Its admission is by key, as that of native peers: whoever takes the channel
//! has the page sign a challenge that names [`WebTransportChannel::certificate_hash`], and closes the channel otherwise. For that
//! reason a page's origin counts for nothing unless [`WebTransportOptions::origins`] says so. Absent here: messages, keys
//! of pages, and who publishes the certificates' hashes.

use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::SystemTime;

use quinn::{Connection, VarInt};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use web_transport_quinn::Request;
use web_transport_quinn::http::StatusCode;
use web_transport_quinn::http::header::ORIGIN;

use super::accepting::Accepting;
use super::config::Transports;
use super::identity::Identity;
use super::origins::Origins;
use super::web_certificate::{WebCertificateError, WebCertificates};
use super::web_channel::{WebTransportChannel, WebTransportSession};
use crate::limits::{LINK_FINISH_TIMEOUT, WEB_CHANNELS_WAITING_MAX, WEB_RECEIVE_WINDOW_LEN};
use swarm_core::wire::CloseCode;

/// The path of sessions; other paths are refused with 404.
pub const WEB_TRANSPORT_PATH: &str = "/swarm";

/// How an endpoint serves pages.
#[derive(Clone, Debug)]
pub struct WebTransportOptions {
    /// Reads the time of day: certificates are made for it.
    pub clock: fn() -> SystemTime,
    /// Pages that are let in; others are refused with 403.
    pub origins: Origins,
}

/// What an endpoint needs to let pages in, once that is turned on.
pub(super) struct WebAcceptor {
    options: Arc<WebTransportOptions>,
    identity: Identity,
    transports: Transports,
    rotation: StdMutex<Rotation>,
    /// `None` once the endpoint is closed.
    arrived: StdMutex<Option<mpsc::Sender<WebTransportChannel>>>,
    waiting: Mutex<mpsc::Receiver<WebTransportChannel>>,
    /// One task for each session, which holds its HTTP/3 streams until its connection is closed.
    open: StdMutex<JoinSet<()>>,
}

/// The certificates, and the settings that serve the current one.
struct Rotation {
    certificates: WebCertificates,
    serving: Arc<Serving>,
}

/// Settings of a handshake that shows pages one certificate, and nodes the node's own.
pub(super) struct Serving {
    pub(super) accepting: Accepting,
    /// SHA-256 of the certificate for pages.
    pub(super) certificate_hash: [u8; 32],
    pub(super) options: Arc<WebTransportOptions>,
}

impl WebAcceptor {
    /// # Errors
    /// If no certificate can be made.
    pub(super) fn new(
        options: WebTransportOptions,
        identity: Identity,
        transports: Transports,
    ) -> Result<Self, WebCertificateError> {
        let certificates = WebCertificates::new((options.clock)())?;
        let options = Arc::new(options);
        let serving = Serving::new(&certificates, &identity, &transports, &options);
        let rotation = StdMutex::new(Rotation { certificates, serving: Arc::new(serving) });
        let (sender, receiver) = mpsc::channel(WEB_CHANNELS_WAITING_MAX);
        let (arrived, waiting) = (StdMutex::new(Some(sender)), Mutex::new(receiver));
        let open = StdMutex::new(JoinSet::new());
        Ok(Self { options, identity, transports, rotation, arrived, waiting, open })
    }

    /// The settings for a handshake that starts now.
    pub(super) fn serving(&self) -> Arc<Serving> {
        self.rotated(|rotation| Arc::clone(&rotation.serving))
    }

    /// SHA-256 of the current certificate and of the next one.
    pub(super) fn hashes(&self) -> Vec<[u8; 32]> {
        self.rotated(|rotation| rotation.certificates.hashes())
    }

    /// Queues a channel for [`Self::next`]; a page that finds the queue full is sent away.
    pub(super) fn put(&self, channel: WebTransportChannel) {
        self.hold_streams(&channel.session);
        let arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        // A closed endpoint has closed the channel, too.
        let Some(sender) = &*arrived else { return };
        if let Err(error) = sender.try_send(channel) {
            let channel = error.into_inner();
            tracing::info!(address = %channel.remote_address(), "too many pages wait");
            channel.close(CloseCode::TooManyLinks.code(), "too many pages wait: try again later");
        }
    }

    /// The next channel; `None` when the endpoint is closed.
    pub(super) async fn next(&self) -> Option<WebTransportChannel> {
        self.waiting.lock().await.recv().await
    }

    /// Lets [`Self::next`] end.
    pub(super) fn end(&self) {
        *self.arrived.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Browsers take the end of an HTTP/3 stream for a broken connection, and would not see why their session was closed.
    fn hold_streams(&self, session: &WebTransportSession) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        while open.try_join_next().is_some() {}
        open.spawn(session.hold_streams());
    }

    fn rotated<T>(&self, read: impl FnOnce(&Rotation) -> T) -> T {
        let mut rotation = self.rotation.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = rotation.certificates.advance((self.options.clock)()) {
            tracing::warn!(%error, "the certificate for browsers was not replaced");
        }
        if rotation.certificates.current().hash() != rotation.serving.certificate_hash {
            let serving =
                Serving::new(&rotation.certificates, &self.identity, &self.transports, &self.options);
            rotation.serving = Arc::new(serving);
        }
        read(&rotation)
    }
}

impl Serving {
    fn new(
        certificates: &WebCertificates,
        identity: &Identity,
        transports: &Transports,
        options: &Arc<WebTransportOptions>,
    ) -> Self {
        let current = certificates.current();
        let accepting = Accepting::new(identity, Some(current), transports);
        Self { accepting, certificate_hash: current.hash(), options: Arc::clone(options) }
    }
}

/// The channel of a page whose QUIC handshake is done; `None` if it is refused. The caller limits the time.
pub(super) async fn accept(connection: Connection, serving: &Serving) -> Option<WebTransportChannel> {
    let remote = connection.remote_address();
    match accept_stream(&connection, serving).await {
        Ok(channel) => {
            connection.set_receive_window(VarInt::from_u32(WEB_RECEIVE_WINDOW_LEN));
            Some(channel)
        }
        Err(refusal) => {
            tracing::debug!(%remote, %refusal, "page refused");
            None
        }
    }
}

async fn accept_stream(connection: &Connection, serving: &Serving) -> Result<WebTransportChannel, String> {
    connection.set_max_concurrent_bi_streams(VarInt::from_u32(BIDI_STREAMS));
    connection.set_max_concurrent_uni_streams(VarInt::from_u32(UNI_STREAMS));
    let request = Request::accept(connection.clone()).await.map_err(|error| error.to_string())?;
    if let Err(status) = may_enter(&request, &serving.options) {
        let refusal = format!("{status} for {}", request.url.path().escape_debug());
        refuse(request, status).await;
        return Err(refusal);
    }
    let session = request.ok().await.map_err(|error| error.to_string())?;
    let session = WebTransportSession::new(session, serving.certificate_hash);
    let streams = session.accept_stream().await.map_err(|reason| reason.to_string())?;
    Ok(WebTransportChannel::new(session, streams))
}

fn may_enter(request: &Request, options: &WebTransportOptions) -> Result<(), StatusCode> {
    if request.url.path() != WEB_TRANSPORT_PATH {
        return Err(StatusCode::NOT_FOUND);
    }
    let origin = request.headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or("null"));
    let host = request.url.host_str().map(|host| match request.url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    });
    let is_admitted = options.origins.admit(origin, host.as_deref());
    if is_admitted { Ok(()) } else { Err(StatusCode::FORBIDDEN) }
}

/// Answers with `status`, and waits for the page to go: a connection that is dropped at once would take the answer with it.
async fn refuse(request: Request, status: StatusCode) {
    // No session to the page, but it holds the control stream of HTTP/3, which must not end before the connection does.
    if let Ok(refused) = request.respond(status).await {
        let _ = timeout(LINK_FINISH_TIMEOUT, refused.closed()).await;
        refused.close(0, b"");
    }
}

/// Streams of a page: that of the session, and that of its channel.
const BIDI_STREAMS: u32 = 2;

/// HTTP/3 has three streams each way: control, and two of QPACK. Browsers add one of a reserved type now and then.
const UNI_STREAMS: u32 = 8;
