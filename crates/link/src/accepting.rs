//! The accepting side of a handshake: its settings, and what comes of it. A dialer of links gives a link, a page a channel: ALPN
//! tells them apart. Invariant: a link comes only of a handshake that proved a key. Knows no admission rules and no limits of
//! number.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{HandshakeData, QuicServerConfig};
use quinn::{
    Connecting, Connection, ConnectionError, NoneTokenLog, ServerConfig, ValidationTokenConfig, VarInt,
};
use tokio::time::timeout;

use super::config::Transports;
use super::identity::Identity;
use super::link::QuicLink;
use super::protocol::HTTP3_ALPN;
use super::tls;
use super::web_certificate::WebCertificate;
use super::web_channel::WebTransportChannel;
use super::web_transport::{self, Serving};
use crate::limits::{HANDSHAKE_WAITING_LEN_MAX, HANDSHAKES_WAITING_LEN_MAX, HANDSHAKES_WAITING_MAX};
use swarm_core::wire::CloseCode;

/// Server settings for peers across a network and on this machine.
pub(super) struct Accepting {
    network: Arc<ServerConfig>,
    local: Arc<ServerConfig>,
}

/// The outcome of a handshake.
pub(super) enum Arrival {
    Link(QuicLink),
    Page(WebTransportChannel),
}

impl Accepting {
    pub(super) fn new(identity: &Identity, web: Option<&WebCertificate>, transports: &Transports) -> Self {
        let tls = tls::accepting(identity, web);
        let tls = QuicServerConfig::try_from(tls).expect("AES-128 is among the suites");
        // No tokens for later connections: each handshake proves its address by itself.
        let mut tokens = ValidationTokenConfig::default();
        tokens.sent(0).log(Arc::new(NoneTokenLog));
        let mut config = ServerConfig::with_crypto(Arc::new(tls));
        config
            .max_incoming(HANDSHAKES_WAITING_MAX)
            .incoming_buffer_size(HANDSHAKE_WAITING_LEN_MAX)
            .incoming_buffer_size_total(HANDSHAKES_WAITING_LEN_MAX)
            .validation_token_config(tokens)
            .transport_config(Arc::clone(&transports.network));
        let mut local = config.clone();
        local.transport_config(Arc::clone(&transports.local));
        Self { network: Arc::new(config), local: Arc::new(local) }
    }

    pub(super) fn config(&self, is_local: bool) -> Arc<ServerConfig> {
        Arc::clone(if is_local { &self.local } else { &self.network })
    }
}

/// Finishes a handshake; `None` if it fails, or is not done within `limit`. A page has also to open its session and its stream in
/// that time.
pub(super) async fn handshake(
    connecting: Connecting,
    (remote, is_local): (SocketAddr, bool),
    serving: Option<Arc<Serving>>,
    limit: Duration,
) -> Option<Arrival> {
    let arriving = async {
        let connection = connecting.await?;
        Ok(match serving {
            Some(serving) if is_page(&connection) => {
                web_transport::accept(connection, &serving).await.map(Arrival::Page)
            }
            Some(_) | None => arrived(connection, is_local).map(Arrival::Link),
        })
    };
    match timeout(limit, arriving).await {
        Ok(Ok(arrival)) => arrival,
        Ok(Err(error)) => {
            let error: ConnectionError = error;
            tracing::debug!(%remote, %error, "handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!(%remote, "handshake timed out");
            None
        }
    }
}

fn is_page(connection: &Connection) -> bool {
    let data = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    data.is_some_and(|data| data.protocol.as_deref() == Some(HTTP3_ALPN))
}

/// A link, unless the dialer showed no key: where pages are served, the handshake lets it through.
fn arrived(connection: Connection, is_local: bool) -> Option<QuicLink> {
    let link = QuicLink::new(connection.clone(), is_local);
    if link.is_none() {
        let code = VarInt::from_u32(CloseCode::TurnedAway.code());
        connection.close(code, b"a link needs a certificate that holds a key");
    }
    link
}
