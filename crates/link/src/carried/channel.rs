//! What carries a link: messages in order, both ways, none lost.

use std::future::Future;

use bytes::Bytes;

/// A channel that has failed, with the words of its transport.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ChannelError(pub String);

/// The sending half of a channel. Dropped, it ends the channel.
pub(super) trait ChannelSend: Send + 'static {
    /// Sends a message; it may wait in a buffer until [`Self::flush`]. Waits while the other side does not read. Not to be cancelled.
    fn send(&mut self, message: Bytes) -> impl Future<Output = Result<(), ChannelError>> + Send;

    /// Sends what waits in a buffer.
    fn flush(&mut self) -> impl Future<Output = Result<(), ChannelError>> + Send;

    /// Ends the channel in an orderly way, after all that was sent.
    fn close(&mut self) -> impl Future<Output = ()> + Send;
}

/// The receiving half of a channel.
pub(super) trait ChannelReceive: Send + 'static {
    /// The next message; `None` after the other side ended the channel. Dropping the future cancels it without loss.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, ChannelError>> + Send;
}
