//! The control stream of a link: frames in each direction, sent before all chunk bytes. Does not read the content of a frame.

use bytes::{Bytes, BytesMut};
use quinn::{ReadError, RecvStream, SendStream};

use super::chunk_stream::SendError;
use super::link::CloseReason;
use crate::limits::FRAMES_GATHERED_LEN;
use swarm_core::wire::{FrameBuffer, FramingError, put_frame};

/// Why a control stream cannot be read any further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The bytes are no frames.
    #[error(transparent)]
    Framing(#[from] FramingError),
    /// The stream ended inside a frame.
    #[error("the control stream ended inside a frame")]
    CutShort,
    /// The peer reset the stream, with this code.
    #[error("the peer reset the control stream (code {0})")]
    Reset(u64),
    /// The link is closed.
    #[error(transparent)]
    LinkLost(#[from] CloseReason),
}

/// The sending half of a control stream. Dropping it ends the stream after the written frames.
#[derive(Debug)]
pub struct FrameWriter {
    stream: SendStream,
}

/// The receiving half of a control stream.
#[derive(Debug)]
pub struct FrameReader {
    stream: RecvStream,
    buffer: FrameBuffer,
}

impl FrameWriter {
    pub(super) fn new(stream: SendStream) -> Self {
        // Setting a priority fails only on a closed stream; a lost link shows with the first write.
        let _ = stream.set_priority(CONTROL_PRIORITY);
        Self { stream }
    }

    /// Writes frames, gathered into as few writes as [`FRAMES_GATHERED_LEN`] allows. Waits for the peer to read.
    ///
    /// Must not be cancelled: half a frame may have been written.
    ///
    /// # Errors
    /// If a frame exceeds the cap (that frame and those after it are not written), the peer stopped the stream, or the link is
    /// closed.
    pub async fn write_frames(&mut self, frames: &[Bytes]) -> Result<(), SendError> {
        let mut gathered = BytesMut::new();
        for frame in frames {
            put_frame(&mut gathered, frame).map_err(SendError::FrameTooLong)?;
            if gathered.len() >= FRAMES_GATHERED_LEN {
                self.stream.write_chunk(gathered.split().freeze()).await?;
            }
        }
        if !gathered.is_empty() {
            self.stream.write_chunk(gathered.freeze()).await?;
        }
        Ok(())
    }

    /// Ends the stream, and waits until the peer's QUIC stack has all of it or the link is closed.
    pub(super) async fn delivered(mut self) {
        if self.stream.finish().is_ok() {
            let _ = self.stream.stopped().await;
        }
    }
}

impl FrameReader {
    pub(super) fn new(stream: RecvStream) -> Self {
        Self { stream, buffer: FrameBuffer::default() }
    }

    /// The next frame; `None` after the peer ended the stream. Dropping the future cancels it without loss.
    ///
    /// # Errors
    /// If the peer breaks the framing or reset the stream, or the link is closed.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        loop {
            if let Some(frame) = self.buffer.take()? {
                return Ok(Some(frame));
            }
            match self.stream.read_chunk(READ_LEN, true).await {
                Ok(Some(chunk)) => self.buffer.push(&chunk.bytes),
                Ok(None) if self.buffer.is_empty() => return Ok(None),
                Ok(None) => return Err(FrameError::CutShort),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl From<ReadError> for FrameError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset(code) => Self::Reset(code.into_inner()),
            ReadError::ConnectionLost(error) => Self::LinkLost(error.into()),
            // Reads out of order, 0-RTT and reads after the end are not used.
            ReadError::ClosedStream | ReadError::IllegalOrderedRead | ReadError::ZeroRttRejected => {
                Self::CutShort
            }
        }
    }
}

/// Above chunk streams, which have 0: a request must not wait behind megabytes of chunks.
const CONTROL_PRIORITY: i32 = 1;

/// Bytes of one read.
const READ_LEN: usize = 64 << 10;
