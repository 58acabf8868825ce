//! A link of any transport, as one type: nodes take links as a type, and the choice between a few transports costs nothing that can be
//! measured beside encryption. Decides nothing.

use std::time::Duration;

use bytes::Bytes;

use super::carried::{CarriedFrameReader, CarriedFrameWriter, CarriedLink, CarriedReceiver, CarriedSender};
use super::chunk_stream::{ChunkReceiver, ChunkSender, ReceiveError, SendError};
use super::control::{FrameError, FrameReader, FrameWriter};
use super::link::{CloseReason, LinkStats, QuicLink};
use super::network::{ChunkReceive, ChunkSend, FrameRead, FrameWrite, Link};
use swarm_core::base::NodeId;
use swarm_core::manifest::Address;

/// A link.
#[derive(Clone, Debug)]
pub enum AnyLink {
    /// A QUIC connection.
    Quic(QuicLink),
    /// A channel of messages. Its address is not one that others could dial.
    Carried(CarriedLink),
}

/// The sending half of a control stream.
#[derive(Debug)]
pub enum AnyFrameWriter {
    /// Of a QUIC connection.
    Quic(FrameWriter),
    /// Of a channel of messages.
    Carried(CarriedFrameWriter),
}

/// The receiving half of a control stream.
#[derive(Debug)]
pub enum AnyFrameReader {
    /// Of a QUIC connection.
    Quic(FrameReader),
    /// Of a channel of messages.
    Carried(CarriedFrameReader),
}

/// The sending half of a chunk stream.
#[derive(Debug)]
pub enum AnyChunkSender {
    /// Of a QUIC connection.
    Quic(ChunkSender),
    /// Of a channel of messages.
    Carried(CarriedSender),
}

/// The receiving half of a chunk stream.
#[derive(Debug)]
pub enum AnyChunkReceiver {
    /// Of a QUIC connection.
    Quic(ChunkReceiver),
    /// Of a channel of messages.
    Carried(CarriedReceiver),
}

impl From<QuicLink> for AnyLink {
    fn from(link: QuicLink) -> Self {
        Self::Quic(link)
    }
}

impl From<CarriedLink> for AnyLink {
    fn from(link: CarriedLink) -> Self {
        Self::Carried(link)
    }
}

impl AnyLink {
    /// The certificate (DER) that holds the peer's key, where the transport has shown one: empty otherwise.
    pub fn certificate(&self) -> &[u8] {
        match self {
            Self::Quic(link) => link.certificate(),
            Self::Carried(_) => &[],
        }
    }
}

impl Link for AnyLink {
    type FrameWriter = AnyFrameWriter;
    type FrameReader = AnyFrameReader;
    type ChunkSender = AnyChunkSender;
    type ChunkReceiver = AnyChunkReceiver;

    fn peer(&self) -> NodeId {
        match self {
            Self::Quic(link) => link.peer(),
            Self::Carried(link) => link.peer(),
        }
    }

    fn address(&self) -> Option<Address> {
        match self {
            Self::Quic(link) => Some(link.remote_address().into()),
            Self::Carried(link) => link.address(),
        }
    }

    fn rtt(&self) -> Duration {
        match self {
            Self::Quic(link) => link.rtt(),
            Self::Carried(link) => link.rtt(),
        }
    }

    fn stats(&self) -> LinkStats {
        match self {
            Self::Quic(link) => link.stats(),
            Self::Carried(link) => link.stats(),
        }
    }

    /// The windows of a carried link are fixed, and smaller than any that is set here.
    fn set_windows(&self, receive_len: u32, send_len: u32) {
        match self {
            Self::Quic(link) => link.set_windows(receive_len, send_len),
            Self::Carried(_) => {}
        }
    }

    async fn control(&self) -> Result<(AnyFrameWriter, AnyFrameReader), CloseReason> {
        match self {
            Self::Quic(link) => {
                let (writer, reader) = link.control().await?;
                Ok((AnyFrameWriter::Quic(writer), AnyFrameReader::Quic(reader)))
            }
            Self::Carried(link) => {
                let (writer, reader) = link.control()?;
                Ok((AnyFrameWriter::Carried(writer), AnyFrameReader::Carried(reader)))
            }
        }
    }

    async fn open_chunk_stream(&self) -> Result<AnyChunkSender, CloseReason> {
        match self {
            Self::Quic(link) => link.open_chunk_stream().await.map(AnyChunkSender::Quic),
            Self::Carried(link) => link.open_chunk_stream().await.map(AnyChunkSender::Carried),
        }
    }

    async fn accept_chunk_stream(&self) -> Result<AnyChunkReceiver, CloseReason> {
        match self {
            Self::Quic(link) => link.accept_chunk_stream().await.map(AnyChunkReceiver::Quic),
            Self::Carried(link) => link.accept_chunk_stream().await.map(AnyChunkReceiver::Carried),
        }
    }

    fn close(&self, code: u32, reason: &str) {
        match self {
            Self::Quic(link) => link.close(code, reason),
            Self::Carried(link) => link.close(code, reason),
        }
    }

    async fn finish(&self, control: AnyFrameWriter, code: u32, reason: &str) {
        match (self, control) {
            (Self::Quic(link), AnyFrameWriter::Quic(control)) => link.finish(control, code, reason).await,
            (Self::Carried(link), AnyFrameWriter::Carried(control)) => {
                link.finish(control, code, reason).await
            }
            // The control stream of another link: there is nothing to wait for.
            (Self::Quic(_) | Self::Carried(_), AnyFrameWriter::Quic(_) | AnyFrameWriter::Carried(_)) => {
                self.close(code, reason);
            }
        }
    }

    async fn closed(&self) -> CloseReason {
        match self {
            Self::Quic(link) => link.closed().await,
            Self::Carried(link) => link.closed().await,
        }
    }

    fn is_closed_here(&self) -> bool {
        match self {
            Self::Quic(link) => link.is_closed_here(),
            Self::Carried(link) => link.is_closed_here(),
        }
    }
}

impl FrameWrite for AnyFrameWriter {
    async fn write_frames(&mut self, frames: &[Bytes]) -> Result<(), SendError> {
        match self {
            Self::Quic(writer) => writer.write_frames(frames).await,
            Self::Carried(writer) => writer.write_frames(frames).await,
        }
    }
}

impl FrameRead for AnyFrameReader {
    async fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        match self {
            Self::Quic(reader) => reader.next().await,
            Self::Carried(reader) => reader.next().await,
        }
    }
}

impl ChunkSend for AnyChunkSender {
    async fn write_all(&mut self, bytes: Bytes) -> Result<(), SendError> {
        match self {
            Self::Quic(stream) => stream.write_all(bytes).await,
            Self::Carried(stream) => stream.write_all(bytes).await,
        }
    }

    async fn write_some(&mut self, bytes: &mut Bytes) -> Result<(), SendError> {
        match self {
            Self::Quic(stream) => stream.write_some(bytes).await,
            Self::Carried(stream) => stream.write_some(bytes).await,
        }
    }

    fn finish(&mut self) -> Result<(), SendError> {
        match self {
            Self::Quic(stream) => stream.finish(),
            Self::Carried(stream) => stream.finish(),
        }
    }

    fn reset(&mut self, code: u32) {
        match self {
            Self::Quic(stream) => stream.reset(code),
            Self::Carried(stream) => stream.reset(code),
        }
    }

    async fn stopped(&self) -> Result<Option<u64>, SendError> {
        match self {
            Self::Quic(stream) => stream.stopped().await,
            Self::Carried(stream) => stream.stopped().await,
        }
    }
}

impl ChunkReceive for AnyChunkReceiver {
    async fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, ReceiveError> {
        match self {
            Self::Quic(stream) => stream.read_some(buffer).await,
            Self::Carried(stream) => stream.read_some(buffer).await,
        }
    }

    async fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), ReceiveError> {
        match self {
            Self::Quic(stream) => stream.read_exact(buffer).await,
            Self::Carried(stream) => stream.read_exact(buffer).await,
        }
    }

    fn stop(&mut self, code: u32) {
        match self {
            Self::Quic(stream) => stream.stop(code),
            Self::Carried(stream) => stream.stop(code),
        }
    }
}
