//! A WebSocket (RFC 6455) as a channel: one binary message each. Absent here: the HTTP request before it, TLS around it, encryption.

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::channel::{ChannelFault, ChannelReceive, ChannelSend};
use swarm_carrier::limits::{RECORD_LEN_MAX, TAG_LEN};

/// The sending half.
pub(super) struct WebSocketSender<S>(SplitSink<WebSocketStream<S>, Message>);

/// The receiving half.
pub(super) struct WebSocketReceiver<S>(SplitStream<WebSocketStream<S>>);

/// A stream of bytes that may carry a WebSocket.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> ByteStream for S {}

/// A WebSocket on a stream whose HTTP upgrade is done.
pub(super) async fn on_upgraded<S: ByteStream>(
    stream: S,
    role: Role,
) -> (WebSocketSender<S>, WebSocketReceiver<S>) {
    let socket = WebSocketStream::from_raw_socket(stream, role, Some(config())).await;
    let (sender, receiver) = socket.split();
    (WebSocketSender(sender), WebSocketReceiver(receiver))
}

/// Asks the server at the other end of a stream for a WebSocket.
pub(super) async fn asked_for<S: ByteStream>(
    stream: S,
    url: &str,
) -> Result<(WebSocketSender<S>, WebSocketReceiver<S>), ChannelFault> {
    let asked = tokio_tungstenite::client_async_with_config(url, stream, Some(config())).await;
    let (socket, _) = asked.map_err(|error| words(&error))?;
    let (sender, receiver) = socket.split();
    Ok((WebSocketSender(sender), WebSocketReceiver(receiver)))
}

impl<S: ByteStream> ChannelSend for WebSocketSender<S> {
    async fn send(&mut self, message: Bytes) -> Result<(), ChannelFault> {
        self.0.feed(Message::Binary(message)).await.map_err(|error| words(&error))
    }

    async fn flush(&mut self) -> Result<(), ChannelFault> {
        self.0.flush().await.map_err(|error| words(&error))
    }

    async fn close(&mut self) {
        // A channel that is gone needs no farewell.
        let _ = self.0.close().await;
    }
}

impl<S: ByteStream> ChannelReceive for WebSocketReceiver<S> {
    async fn next(&mut self) -> Result<Option<Bytes>, ChannelFault> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Binary(message))) => return Ok(Some(message)),
                // Pings are answered by the library.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Text(_))) => return Err(ChannelFault("it sends text".to_owned())),
                Some(Ok(Message::Close(_)) | Err(Error::ConnectionClosed | Error::AlreadyClosed)) | None => {
                    return Ok(None);
                }
                Some(Err(error)) => return Err(words(&error)),
            }
        }
    }
}

/// A frame is a message is a record: none is longer, so nothing longer is ever kept.
fn config() -> WebSocketConfig {
    let len_max = RECORD_LEN_MAX + TAG_LEN;
    WebSocketConfig::default()
        .max_message_size(Some(len_max))
        .max_frame_size(Some(len_max))
        .read_buffer_size(READ_BUFFER_LEN)
        .write_buffer_size(WRITE_BUFFER_LEN)
        .max_write_buffer_size(WRITE_BUFFER_LEN + 2 * len_max)
}

fn words(error: &Error) -> ChannelFault {
    ChannelFault(error.to_string())
}

const READ_BUFFER_LEN: usize = 128 << 10;
const WRITE_BUFFER_LEN: usize = 128 << 10;
