//! What a node asks of a network: links to peers that are proven, a control stream and chunk streams on each, a close with a code.
//! An endpoint with what comes in over QUIC and other transports is one ([`Endpoint`], [`AnyLink`]); a network of another kind is another
//! implementation, and the node above stays as it is.
//!
//! Nodes take a network as a type, not as a trait object: chunk bytes then pass the same calls as without the trait, inlined, with
//! no allocation for each future, and a piece goes from the store's buffer to QUIC, and from QUIC to the buffer that is written,
//! without a copy in between.
//!
//! [`Endpoint`]: super::Endpoint
//! [`AnyLink`]: super::AnyLink

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::chunk_stream::{ReceiveError, SendError};
use super::config::LinkOptions;
use super::control::FrameError;
use super::dial::DialError;
use super::endpoint::Admission;
use super::link::{CloseReason, LinkStats};
use swarm_core::base::NodeId;
use swarm_core::manifest::Address;
use swarm_core::trust::{Denial, Role};
use swarm_core::wire::CloseCode;

/// A node's place in a network. Clones are the same place. Invariant: no link is handed out that the admission rules do not allow.
pub trait Network: Clone + Send + Sync + 'static {
    /// What it gives.
    type Link: Link;

    /// The key of this node.
    fn node_id(&self) -> NodeId;

    /// What one link may hold in memory.
    fn link_options(&self) -> LinkOptions;

    /// A link to `node` for peers' traffic, at one of `addresses`. To be cancelled by dropping the future.
    fn dial_peer(
        &self,
        limit: Duration,
        node: NodeId,
        addresses: &[Address],
    ) -> impl Future<Output = Result<Self::Link, DialError>> + Send;

    /// The next link for peers' traffic that another node dialed; `None` when the place is closed. To be cancelled by dropping the future.
    fn accept(&self) -> impl Future<Output = Option<Self::Link>> + Send;

    /// Who decides about links, and whenever that changes.
    fn admission(&self) -> watch::Receiver<Admission>;

    /// What the node at the other end of a link may be, as things stand; or why it may have no link.
    fn admits(&self, link: &Self::Link) -> Result<Role, Denial>;

    /// Closes all links and accepts no more.
    fn close(&self, code: u32, reason: &str) -> impl Future<Output = ()> + Send;
}

/// A link to a peer that proved its key. Clones are the same link.
pub trait Link: Clone + Send + Sync + 'static {
    /// The control stream, out.
    type FrameWriter: FrameWrite;
    /// The control stream, in.
    type FrameReader: FrameRead;
    /// A chunk stream, out.
    type ChunkSender: ChunkSend;
    /// A chunk stream, in.
    type ChunkReceiver: ChunkReceive;

    /// The node at the other end.
    fn peer(&self) -> NodeId;

    /// Where the peer is now, if it has an address.
    fn address(&self) -> Option<Address>;

    /// Smoothed round-trip time.
    fn rtt(&self) -> Duration;

    /// What it has moved so far.
    fn stats(&self) -> LinkStats;

    /// From now on: bytes received and not yet read, and written and not yet acknowledged.
    fn set_windows(&self, receive_len: u32, send_len: u32);

    /// The control stream, once. The dialer speaks first.
    fn control(
        &self,
    ) -> impl Future<Output = Result<(Self::FrameWriter, Self::FrameReader), CloseReason>> + Send;

    /// A new stream for one run of chunk bytes. Waits while the peer has too many open.
    fn open_chunk_stream(&self) -> impl Future<Output = Result<Self::ChunkSender, CloseReason>> + Send;

    /// The next chunk stream that the peer opened. To be cancelled by dropping the future.
    fn accept_chunk_stream(&self) -> impl Future<Output = Result<Self::ChunkReceiver, CloseReason>> + Send;

    /// Closes at once: what was written may be lost.
    fn close(&self, code: u32, reason: &str);

    /// Closes after the frames written so far have reached the peer, or after a while.
    fn finish(&self, control: Self::FrameWriter, code: u32, reason: &str) -> impl Future<Output = ()> + Send;

    /// Waits until the link is closed, at either end.
    fn closed(&self) -> impl Future<Output = CloseReason> + Send;

    /// True once this node has closed the link.
    fn is_closed_here(&self) -> bool;

    /// Closes it because the peer may have none; the peer is told why.
    fn turn_away(&self, denial: &Denial) {
        self.close(CloseCode::TurnedAway.code(), &denial.to_string());
    }
}

/// The sending half of a control stream. Dropped, it ends the stream after what was written.
pub trait FrameWrite: Send + 'static {
    /// Writes frames. Waits for the peer to read. Not to be cancelled.
    fn write_frames(&mut self, frames: &[Bytes]) -> impl Future<Output = Result<(), SendError>> + Send;
}

/// The receiving half of a control stream.
pub trait FrameRead: Send + 'static {
    /// The next frame; `None` when the peer ended the stream. To be cancelled by dropping the future.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, FrameError>> + Send;
}

/// The sending half of a chunk stream. Dropped unfinished it is reset with code 0.
pub trait ChunkSend: Send + Sync + 'static {
    /// Writes all bytes, without copying them. Not to be cancelled unless the stream is then reset.
    fn write_all(&mut self, bytes: Bytes) -> impl Future<Output = Result<(), SendError>> + Send;

    /// Writes as much as there is room for, at least one byte, without copying; what is left stays in `bytes`. To be cancelled by
    /// dropping the future.
    fn write_some(&mut self, bytes: &mut Bytes) -> impl Future<Output = Result<(), SendError>> + Send;

    /// Ends the stream after what was written.
    fn finish(&mut self) -> Result<(), SendError>;

    /// Gives the stream up; what the peer has not read is dropped.
    fn reset(&mut self, code: u32);

    /// Waits until the stream is over: the peer's code if it stopped the stream, `None` if it has all bytes.
    fn stopped(&self) -> impl Future<Output = Result<Option<u64>, SendError>> + Send;
}

/// The receiving half of a chunk stream. Dropped before its end it asks the sender to stop, with code 0.
pub trait ChunkReceive: Send + 'static {
    /// Reads what has come straight into `buffer`, at least one byte; 0 is the end. To be cancelled by dropping the future.
    fn read_some(&mut self, buffer: &mut [u8]) -> impl Future<Output = Result<usize, ReceiveError>> + Send;

    /// Fills `buffer`. Not to be cancelled if the bytes read so far matter.
    fn read_exact(&mut self, buffer: &mut [u8]) -> impl Future<Output = Result<(), ReceiveError>> + Send;

    /// Asks the sender to stop. What has come and was not read is dropped.
    fn stop(&mut self, code: u32);
}
