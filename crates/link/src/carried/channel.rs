//! What carries a link: messages in order, both ways, none lost.

use std::future::Future;

use bytes::Bytes;

use crate::web_channel::{MessageReceiver, MessageSender};

/// A channel that has failed, with the words of its transport.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ChannelFault(pub String);

/// The sending half of a channel. Dropped, it ends the channel.
pub(super) trait ChannelSend: Send + 'static {
    /// Sends a message; it may wait in a buffer until [`Self::flush`]. Waits while the other side does not read. Not to be cancelled.
    fn send(&mut self, message: Bytes) -> impl Future<Output = Result<(), ChannelFault>> + Send;

    /// Sends what waits in a buffer.
    fn flush(&mut self) -> impl Future<Output = Result<(), ChannelFault>> + Send;

    /// Ends the channel in an orderly way, after all that was sent.
    fn close(&mut self) -> impl Future<Output = ()> + Send;
}

/// The receiving half of a channel.
pub(super) trait ChannelReceive: Send + 'static {
    /// The next message; `None` after the other side ended the channel. Dropping the future cancels it without loss.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, ChannelFault>> + Send;
}

impl ChannelSend for MessageSender {
    async fn send(&mut self, message: Bytes) -> Result<(), ChannelFault> {
        Self::send(self, message).await.map_err(|error| ChannelFault(error.to_string()))
    }

    /// QUIC sends as soon as it may.
    async fn flush(&mut self) -> Result<(), ChannelFault> {
        Ok(())
    }

    /// The session ends when both halves are dropped, and the stream then: what was said last is a message like any other.
    async fn close(&mut self) {}
}

impl ChannelReceive for MessageReceiver {
    async fn next(&mut self) -> Result<Option<Bytes>, ChannelFault> {
        Self::next(self).await.map_err(|error| ChannelFault(error.to_string()))
    }
}
