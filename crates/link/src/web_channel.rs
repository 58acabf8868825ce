//! A channel of messages over one stream of a WebTransport session. Another transport could offer the same: whole messages in order,
//! a close with a code and a reason. Invariant: a session is closed when all handles to it are gone, because the library that carries
//! it would keep it open. Decides nothing; does not read messages.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use quinn::{Connection, ConnectionError, VarInt};
use tokio::time::timeout;
use web_transport_quinn::proto::error_from_http3;
use web_transport_quinn::{
    ReadError, RecvStream, SendStream, Session, SessionError, WebTransportError, WriteError,
};

use super::interfaces::canonical;
use super::link::{CloseReason, LinkStats, printable};
use super::message::{self, MessageBuffer, TooLong};
use crate::limits::{CHANNEL_MESSAGE_LEN_MAX, CLOSE_REASON_LEN_MAX, LINK_FINISH_TIMEOUT};

/// An ordered, reliable channel of messages over one stream of a WebTransport session. Its parts may be taken apart; the session
/// closes, with code 0, when all of them and their clones are dropped.
#[derive(Debug)]
pub struct WebTransportChannel {
    /// Sends messages to the page.
    pub sender: MessageSender,
    /// Receives messages of the page.
    pub receiver: MessageReceiver,
    /// The session that carries the channel.
    pub session: WebTransportSession,
}

/// A WebTransport session of a page. Clones are the same session.
#[derive(Clone)]
pub struct WebTransportSession {
    open: Arc<Open>,
}

/// The sending half of a channel. Dropping it ends the channel, in this direction, after the messages that were sent.
#[derive(Debug)]
pub struct MessageSender {
    stream: SendStream,
    session: WebTransportSession,
}

/// The receiving half of a channel. Dropping it asks the page to send no more.
#[derive(Debug)]
pub struct MessageReceiver {
    stream: RecvStream,
    buffer: MessageBuffer,
    session: WebTransportSession,
}

/// Why a channel carries no more messages.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// The length of a message above [`CHANNEL_MESSAGE_LEN_MAX`], bytes; this side wanted to send it, or the peer announced it.
    #[error("a message of {0} bytes is longer than the {CHANNEL_MESSAGE_LEN_MAX} allowed")]
    TooLong(u64),
    /// The channel ended inside a message.
    #[error("the channel ended inside a message")]
    CutShort,
    /// The peer wants no more messages.
    #[error("the peer asked to stop the channel (code {0})")]
    Stopped(u64),
    /// The peer reset the channel, with this code.
    #[error("the peer reset the channel (code {0})")]
    Reset(u64),
    /// The session is closed.
    #[error(transparent)]
    SessionLost(#[from] CloseReason),
}

/// The session, and the facts that outlast its stream.
struct Open {
    session: Session,
    certificate_hash: [u8; 32],
    is_closed_here: AtomicBool,
}

impl WebTransportChannel {
    pub(super) fn new(session: WebTransportSession, (sender, receiver): (SendStream, RecvStream)) -> Self {
        let sender = MessageSender { stream: sender, session: session.clone() };
        let buffer = MessageBuffer::default();
        let receiver = MessageReceiver { stream: receiver, buffer, session: session.clone() };
        Self { sender, receiver, session }
    }

    /// As [`MessageSender::send`].
    ///
    /// # Errors
    /// As [`MessageSender::send`].
    pub async fn send(&mut self, message: Bytes) -> Result<(), ChannelError> {
        self.sender.send(message).await
    }

    /// As [`MessageReceiver::next`].
    ///
    /// # Errors
    /// As [`MessageReceiver::next`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, ChannelError> {
        self.receiver.next().await
    }

    /// As [`WebTransportSession::certificate_hash`].
    pub fn certificate_hash(&self) -> [u8; 32] {
        self.session.certificate_hash()
    }

    /// As [`WebTransportSession::remote_address`].
    pub fn remote_address(&self) -> SocketAddr {
        self.session.remote_address()
    }

    /// As [`WebTransportSession::close`].
    pub fn close(&self, code: u32, reason: &str) {
        self.session.close(code, reason);
    }
}

impl MessageSender {
    /// Sends a message without copying it; waits for the peer to read. An empty message arrives as such.
    ///
    /// Must not be cancelled: half a message may have been written.
    ///
    /// # Errors
    /// If the message is longer than [`CHANNEL_MESSAGE_LEN_MAX`] (then nothing is written), the peer stopped the channel, or the
    /// session is closed.
    pub async fn send(&mut self, message: Bytes) -> Result<(), ChannelError> {
        let prefix = Bytes::copy_from_slice(&message::prefix(&message)?);
        let sent = self.stream.write_all_chunks(&mut [prefix, message]).await;
        sent.map_err(|error| self.session.why_not_sent(error))
    }

    /// Ends the channel in this direction, and waits until the peer's QUIC stack has all of it, the session is closed, or
    /// [`LINK_FINISH_TIMEOUT`] has passed. The peer may go on sending.
    pub async fn finish(mut self) {
        if self.stream.finish().is_ok() {
            let _ = timeout(LINK_FINISH_TIMEOUT, self.stream.stopped()).await;
        }
    }
}

impl MessageReceiver {
    /// The next message; `None` after the peer ended the channel. Dropping the future cancels it without loss.
    ///
    /// # Errors
    /// If the peer announces a message longer than [`CHANNEL_MESSAGE_LEN_MAX`] (every later call says so again), reset the channel
    /// or ended it inside a message, or the session is closed.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ChannelError> {
        loop {
            if let Some(message) = self.buffer.take()? {
                return Ok(Some(message));
            }
            match self.stream.read_chunk(READ_LEN, true).await {
                Ok(Some(chunk)) => self.buffer.push(&chunk.bytes),
                Ok(None) if self.buffer.is_empty() => return Ok(None),
                Ok(None) => return Err(ChannelError::CutShort),
                Err(error) => return Err(self.session.why_not_received(error)),
            }
        }
    }
}

impl WebTransportSession {
    pub(super) fn new(session: Session, certificate_hash: [u8; 32]) -> Self {
        Self { open: Arc::new(Open { session, certificate_hash, is_closed_here: AtomicBool::new(false) }) }
    }

    /// SHA-256 of the certificate (DER) that the page was shown. It stays the same while certificates rotate.
    pub fn certificate_hash(&self) -> [u8; 32] {
        self.open.certificate_hash
    }

    /// The page's current address; it may change.
    pub fn remote_address(&self) -> SocketAddr {
        canonical(self.connection().remote_address())
    }

    /// Smoothed round-trip time.
    pub fn rtt(&self) -> Duration {
        self.connection().rtt()
    }

    /// Traffic so far, and the state of the path.
    pub fn stats(&self) -> LinkStats {
        LinkStats::of(self.connection())
    }

    /// Sets the bytes received and not yet read from now on. Before the first call it is [`WEB_RECEIVE_WINDOW_LEN`].
    ///
    /// [`WEB_RECEIVE_WINDOW_LEN`]: crate::limits::WEB_RECEIVE_WINDOW_LEN
    pub fn set_receive_window(&self, len: u32) {
        self.connection().set_receive_window(VarInt::from_u32(len));
    }

    /// Closes the session: messages that are not yet acknowledged may be lost. The page is told the code and the reason, which is
    /// cut to [`CLOSE_REASON_LEN_MAX`].
    pub fn close(&self, code: u32, reason: &str) {
        let reason = &reason.as_bytes()[..reason.len().min(CLOSE_REASON_LEN_MAX)];
        self.open.close(code, reason);
    }

    /// Waits until either side has closed the session.
    pub async fn closed(&self) -> CloseReason {
        let error = self.open.session.closed().await;
        self.close_reason(error)
    }

    pub(super) async fn accept_stream(&self) -> Result<(SendStream, RecvStream), CloseReason> {
        self.open.session.accept_bi().await.map_err(|error| self.close_reason(error))
    }

    /// Holds the streams of HTTP/3 until the connection is closed, without keeping the session open.
    pub(super) fn hold_streams(&self) -> impl Future<Output = ()> + Send + use<> {
        let streams = self.open.session.clone();
        async move {
            streams.closed().await;
        }
    }

    fn connection(&self) -> &Connection {
        &self.open.session
    }

    fn why_not_sent(&self, error: WriteError) -> ChannelError {
        match error {
            WriteError::Stopped(code) => ChannelError::Stopped(code.into()),
            WriteError::InvalidStopped(code) => ChannelError::Stopped(code.into_inner()),
            WriteError::SessionError(error) => self.close_reason(error).into(),
            // The stream lasts as long as its sender, so only a closed session ends it before.
            WriteError::ClosedStream => CloseReason::ClosedHere.into(),
        }
    }

    fn why_not_received(&self, error: ReadError) -> ChannelError {
        match error {
            ReadError::Reset(code) => ChannelError::Reset(code.into()),
            ReadError::InvalidReset(code) => ChannelError::Reset(code.into_inner()),
            ReadError::SessionError(error) => self.close_reason(error).into(),
            // Reads out of order and reads after the end are not used.
            ReadError::ClosedStream | ReadError::IllegalOrderedRead => ChannelError::CutShort,
        }
    }

    /// The library takes some closes by the peer for closes by this side, so QUIC is asked as well.
    fn close_reason(&self, error: SessionError) -> CloseReason {
        match error {
            SessionError::WebTransportError(WebTransportError::Closed(code, reason)) => {
                CloseReason::ClosedByPeer { code, reason: printable(reason.as_bytes()) }
            }
            SessionError::WebTransportError(other) => {
                CloseReason::Transport(printable(other.to_string().as_bytes()))
            }
            SessionError::ConnectionError(_) | SessionError::SendDatagramError(_)
                if self.open.is_closed_here.load(Ordering::Relaxed) =>
            {
                CloseReason::ClosedHere
            }
            SessionError::ConnectionError(_) | SessionError::SendDatagramError(_) => {
                self.connection().close_reason().map_or_else(ended_by_peer, reason_of)
            }
        }
    }
}

impl Open {
    fn close(&self, code: u32, reason: &[u8]) {
        self.is_closed_here.store(true, Ordering::Relaxed);
        self.session.close(code, reason);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.close(0, b"");
    }
}

impl fmt::Debug for WebTransportSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebTransportSession({})", self.remote_address())
    }
}

impl From<TooLong> for ChannelError {
    fn from(TooLong(len): TooLong) -> Self {
        Self::TooLong(len)
    }
}

fn reason_of(error: ConnectionError) -> CloseReason {
    match error {
        // Codes of a session travel in the code space of HTTP/3.
        ConnectionError::ApplicationClosed(close) => CloseReason::ClosedByPeer {
            code: error_from_http3(close.error_code.into_inner()).unwrap_or(u32::MAX),
            reason: printable(&close.reason),
        },
        ConnectionError::LocallyClosed => ended_by_peer(),
        other => other.into(),
    }
}

/// A session whose CONNECT stream the peer ended: the same as a close with code 0 and no reason (draft-ietf-webtrans-http3, section 6).
fn ended_by_peer() -> CloseReason {
    CloseReason::ClosedByPeer { code: 0, reason: String::new() }
}

/// Bytes of one read.
const READ_LEN: usize = 64 << 10;
