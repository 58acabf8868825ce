//! QUIC as a [`Network`]: each call is the endpoint's, link's or stream's own. Decides nothing.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::chunk_stream::{ChunkReceiver, ChunkSender, ReceiveError, SendError};
use super::config::LinkOptions;
use super::control::{FrameReader, FrameWriter};
use super::dial::DialError;
use super::endpoint::{Admission, Endpoint};
use super::frame::FrameError;
use super::link::{CloseReason, LinkStats, QuicLink};
use super::network::{ChunkReceive, ChunkSend, FrameRead, FrameWrite, Link, Network};
use super::protocol::Protocol;
use swarm_core::base::NodeId;
use swarm_core::manifest::Address;
use swarm_core::trust::{Denial, Role};

impl Network for Endpoint {
    type Link = QuicLink;

    fn node_id(&self) -> NodeId {
        self.node_id()
    }

    fn link_options(&self) -> LinkOptions {
        self.link_options()
    }

    async fn dial_peer(
        &self,
        limit: Duration,
        node: NodeId,
        addresses: &[Address],
    ) -> Result<QuicLink, DialError> {
        self.dial_within(limit, node, Protocol::Peer, addresses).await
    }

    async fn accept(&self) -> Option<QuicLink> {
        self.accept().await
    }

    fn admission(&self) -> watch::Receiver<Admission> {
        self.admission()
    }

    fn admits(&self, link: &QuicLink) -> Result<Role, Denial> {
        self.admits(link)
    }

    async fn close(&self, code: u32, reason: &str) {
        self.close(code, reason).await;
    }
}

impl Link for QuicLink {
    type FrameWriter = FrameWriter;
    type FrameReader = FrameReader;
    type ChunkSender = ChunkSender;
    type ChunkReceiver = ChunkReceiver;

    fn peer(&self) -> NodeId {
        self.peer()
    }

    fn protocol(&self) -> Protocol {
        self.protocol()
    }

    fn address(&self) -> Option<Address> {
        Some(self.remote_address().into())
    }

    fn rtt(&self) -> Duration {
        self.rtt()
    }

    fn stats(&self) -> LinkStats {
        self.stats()
    }

    fn set_windows(&self, receive_len: u32, send_len: u32) {
        self.set_windows(receive_len, send_len);
    }

    async fn control(&self) -> Result<(FrameWriter, FrameReader), CloseReason> {
        self.control().await
    }

    async fn open_chunk_stream(&self) -> Result<ChunkSender, CloseReason> {
        self.open_chunk_stream().await
    }

    async fn accept_chunk_stream(&self) -> Result<ChunkReceiver, CloseReason> {
        self.accept_chunk_stream().await
    }

    fn close(&self, code: u32, reason: &str) {
        self.close(code, reason);
    }

    async fn finish(&self, control: FrameWriter, code: u32, reason: &str) {
        self.finish(control, code, reason).await;
    }

    async fn closed(&self) -> CloseReason {
        self.closed().await
    }

    fn is_closed_here(&self) -> bool {
        self.is_closed_here()
    }
}

impl FrameWrite for FrameWriter {
    async fn write_frames(&mut self, frames: &[Bytes]) -> Result<(), SendError> {
        self.write_frames(frames).await
    }
}

impl FrameRead for FrameReader {
    async fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        self.next().await
    }
}

impl ChunkSend for ChunkSender {
    async fn write_all(&mut self, bytes: Bytes) -> Result<(), SendError> {
        self.write_all(bytes).await
    }

    async fn write_some(&mut self, bytes: &mut Bytes) -> Result<(), SendError> {
        self.write_some(bytes).await
    }

    fn finish(&mut self) -> Result<(), SendError> {
        self.finish()
    }

    fn reset(&mut self, code: u32) {
        self.reset(code);
    }

    async fn stopped(&self) -> Result<Option<u64>, SendError> {
        self.stopped().await
    }
}

impl ChunkReceive for ChunkReceiver {
    async fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, ReceiveError> {
        self.read_some(buffer).await
    }

    async fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), ReceiveError> {
        self.read_exact(buffer).await
    }

    fn stop(&mut self, code: u32) {
        self.stop(code);
    }
}
