//! One QUIC connection to a node that proved its key. Another transport could offer the same: one control stream
//! of frames, chunk streams each way, a close with a code and a reason. Decides nothing; does not read frames.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quinn::crypto::rustls::HandshakeData;
use quinn::{Connection, ConnectionError, Side, VarInt};
use rustls::pki_types::CertificateDer;
use tokio::time::timeout;

use super::chunk_stream::{ChunkReceiver, ChunkSender};
use super::control::{FrameReader, FrameWriter};
use super::interfaces::canonical;
use super::protocol::Protocol;
use super::tls;
use crate::limits::{
    CLOSE_REASON_LEN_MAX, COORDINATOR_RECEIVE_WINDOW_LEN, LIBRARY_RECEIVE_WINDOW_LEN, LINK_FINISH_TIMEOUT,
    LOCAL_SEND_WINDOW_LEN,
};
use swarm_core::base::NodeId;
use swarm_core::trust::Denial;
use swarm_core::wire::CloseCode;

/// A link to a peer. Clones are the same link. It closes, with code 0, when all clones and streams are dropped.
#[derive(Clone, Debug)]
pub struct QuicLink {
    connection: Connection,
    peer: NodeId,
    certificate: CertificateDer<'static>,
    protocol: Protocol,
    is_control_taken: Arc<AtomicBool>,
    /// Whether the peer is on this machine.
    is_local: bool,
}

/// Why a link is closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// The peer closed it.
    #[error("the peer closed the link: {reason} (code {code})")]
    ClosedByPeer {
        /// The peer's code; `u32::MAX` stands for any greater one.
        code: u32,
        /// The peer's text, cut to [`CLOSE_REASON_LEN_MAX`] and without control characters.
        reason: String,
    },
    /// Nothing arrived for [`LINK_IDLE_TIMEOUT`].
    ///
    /// [`LINK_IDLE_TIMEOUT`]: swarm_core::base::limits::LINK_IDLE_TIMEOUT
    #[error("the link timed out: the peer sent nothing")]
    TimedOut,
    /// The peer was restarted and does not know the link.
    #[error("the peer was restarted")]
    Reset,
    /// QUIC or TLS failed, with this text.
    #[error("the connection failed: {0}")]
    Transport(String),
    /// This node closed it.
    #[error("the link was closed here")]
    ClosedHere,
}

/// Traffic of a link so far, and the state of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkStats {
    /// UDP payload sent, bytes.
    pub sent_len: u64,
    /// UDP payload received, bytes.
    pub received_len: u64,
    /// Packets sent.
    pub sent_packets: u64,
    /// Packets sent and then declared lost.
    pub lost_packets: u64,
    /// Bytes in flight that congestion control allows.
    pub congestion_window_len: u64,
    /// Longest UDP payload that the path carries, bytes.
    pub datagram_len: u16,
    /// Smoothed round-trip time.
    pub rtt: Duration,
}

impl QuicLink {
    /// `None` if the other side showed no node's key or agreed on no protocol. The handshake rules both out, unless the endpoint
    /// serves pages, too.
    pub(super) fn new(connection: Connection, is_local: bool) -> Option<Self> {
        let certificates = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
        let certificate = certificates.first()?.clone();
        let peer = tls::node_of(&certificate).ok()?;
        let handshake = connection.handshake_data()?.downcast::<HandshakeData>().ok()?;
        let protocol = Protocol::of_alpn(handshake.protocol.as_deref()?)?;
        match protocol {
            Protocol::Peer => {}
            // A link to a coordinator carries frames alone.
            Protocol::Coordinator => {
                connection.set_max_concurrent_uni_streams(VarInt::from_u32(0));
                connection.set_receive_window(VarInt::from_u32(COORDINATOR_RECEIVE_WINDOW_LEN));
            }
            // Frames alone, too, but commits and recipes are megabytes.
            Protocol::Library => {
                connection.set_max_concurrent_uni_streams(VarInt::from_u32(0));
                connection.set_receive_window(VarInt::from_u32(LIBRARY_RECEIVE_WINDOW_LEN));
            }
        }
        Some(Self { connection, peer, certificate, protocol, is_control_taken: Arc::default(), is_local })
    }

    /// The node at the other end, proved by its key.
    pub fn peer(&self) -> NodeId {
        self.peer
    }

    /// The certificate (DER) that holds the peer's key.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Closes the link because the peer may not have one, and tells the peer the reason.
    pub fn turn_away(&self, denial: &Denial) {
        self.close(CloseCode::TurnedAway.code(), &denial.to_string());
    }

    /// The protocol that both ends agreed on.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The peer's current address; it may change.
    pub fn remote_address(&self) -> SocketAddr {
        canonical(self.connection.remote_address())
    }

    /// Whether this node dialed the link; otherwise the peer did.
    pub fn is_dialer(&self) -> bool {
        self.connection.side() == Side::Client
    }

    /// Smoothed round-trip time.
    pub fn rtt(&self) -> Duration {
        self.connection.rtt()
    }

    /// Traffic so far, and the state of the path.
    pub fn stats(&self) -> LinkStats {
        LinkStats::of(&self.connection)
    }

    /// Sets the windows from now on: bytes received and not yet read, and bytes written and not yet acknowledged. Bytes that are
    /// already there stay. Before the first call a link receives at most [`EARLY_RECEIVE_WINDOW_LEN`]. Within one machine at most
    /// [`LOCAL_SEND_WINDOW_LEN`] is written ahead.
    ///
    /// [`EARLY_RECEIVE_WINDOW_LEN`]: crate::limits::EARLY_RECEIVE_WINDOW_LEN
    /// [`LOCAL_SEND_WINDOW_LEN`]: crate::limits::LOCAL_SEND_WINDOW_LEN
    pub fn set_windows(&self, receive_len: u32, send_len: u32) {
        let send_len = if self.is_local { send_len.min(LOCAL_SEND_WINDOW_LEN) } else { send_len };
        self.connection.set_receive_window(VarInt::from_u32(receive_len));
        self.connection.set_send_window(send_len.into());
    }

    /// The control stream, once. The dialer opens it, and the acceptor sees it with the dialer's first frame: so the dialer must
    /// speak first. A peer that never speaks keeps the acceptor waiting until the caller gives up.
    ///
    /// # Errors
    /// If the link is closed.
    ///
    /// # Panics
    /// If it is called twice.
    pub async fn control(&self) -> Result<(FrameWriter, FrameReader), CloseReason> {
        let is_again = self.is_control_taken.swap(true, Ordering::Relaxed);
        assert!(!is_again, "a link has one control stream, and it is taken");
        let (sender, receiver) = match self.connection.side() {
            Side::Client => self.connection.open_bi().await?,
            Side::Server => self.connection.accept_bi().await?,
        };
        Ok((FrameWriter::new(sender), FrameReader::new(receiver)))
    }

    /// Opens a stream for one run of chunk bytes. Waits while the peer has [`CHUNK_STREAMS_PER_LINK_MAX`] of them open.
    ///
    /// # Errors
    /// If the link is closed.
    ///
    /// [`CHUNK_STREAMS_PER_LINK_MAX`]: crate::limits::CHUNK_STREAMS_PER_LINK_MAX
    pub async fn open_chunk_stream(&self) -> Result<ChunkSender, CloseReason> {
        Ok(ChunkSender::new(self.connection.open_uni().await?))
    }

    /// The next chunk stream that the peer opened and wrote to. Dropping the future cancels it without loss.
    ///
    /// # Errors
    /// If the link is closed.
    pub async fn accept_chunk_stream(&self) -> Result<ChunkReceiver, CloseReason> {
        Ok(ChunkReceiver::new(self.connection.accept_uni().await?))
    }

    /// Closes at once: bytes that are not yet acknowledged may be lost. The reason is cut to [`CLOSE_REASON_LEN_MAX`].
    pub fn close(&self, code: u32, reason: &str) {
        let reason = &reason.as_bytes()[..reason.len().min(CLOSE_REASON_LEN_MAX)];
        self.connection.close(VarInt::from_u32(code), reason);
    }

    /// Closes after the frames written so far have reached the peer, or after [`LINK_FINISH_TIMEOUT`].
    ///
    /// The peer reads them, and then [`CloseReason::ClosedByPeer`]. Open chunk streams are cut off.
    pub async fn finish(&self, control: FrameWriter, code: u32, reason: &str) {
        let _ = timeout(LINK_FINISH_TIMEOUT, control.delivered()).await;
        self.close(code, reason);
    }

    /// Waits until either side closes the link.
    pub async fn closed(&self) -> CloseReason {
        self.connection.closed().await.into()
    }

    /// True once this node has closed the link.
    pub fn is_closed_here(&self) -> bool {
        matches!(self.connection.close_reason(), Some(ConnectionError::LocallyClosed))
    }

    /// The reason, if the link is closed.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.connection.close_reason().map(Into::into)
    }
}

impl LinkStats {
    pub(super) fn of(connection: &Connection) -> Self {
        let stats = connection.stats();
        Self {
            sent_len: stats.udp_tx.bytes,
            received_len: stats.udp_rx.bytes,
            sent_packets: stats.path.sent_packets,
            lost_packets: stats.path.lost_packets,
            congestion_window_len: stats.path.cwnd,
            datagram_len: stats.path.current_mtu,
            rtt: stats.path.rtt,
        }
    }
}

impl From<ConnectionError> for CloseReason {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::ApplicationClosed(close) => Self::ClosedByPeer {
                code: u32::try_from(close.error_code.into_inner()).unwrap_or(u32::MAX),
                reason: printable(&close.reason),
            },
            ConnectionError::TimedOut => Self::TimedOut,
            ConnectionError::Reset => Self::Reset,
            ConnectionError::LocallyClosed => Self::ClosedHere,
            ConnectionError::ConnectionClosed(_)
            | ConnectionError::TransportError(_)
            | ConnectionError::VersionMismatch
            | ConnectionError::CidsExhausted => Self::Transport(printable(error.to_string().as_bytes())),
        }
    }
}

impl CloseReason {
    /// The peer's text, if it closed the link because this node may not have one.
    pub fn denial(&self) -> Option<&str> {
        match self {
            Self::ClosedByPeer { code, reason } => {
                (CloseCode::from_code(*code) == Some(CloseCode::TurnedAway)).then_some(reason)
            }
            Self::TimedOut | Self::Reset | Self::Transport(_) | Self::ClosedHere => None,
        }
    }
}

/// Removes control characters from the peer's text, because it may reach a terminal.
pub(super) fn printable(words: &[u8]) -> String {
    let words = String::from_utf8_lossy(&words[..words.len().min(CLOSE_REASON_LEN_MAX)]);
    words.chars().filter(|c| !c.is_control()).collect()
}
