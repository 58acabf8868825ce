//! The control stream of a link: frames each way. It goes before all chunk bytes. Reads no frame's content.

use bytes::{Bytes, BytesMut};
use quinn::{ReadError, RecvStream, SendStream};

use super::chunk_stream::SendError;
use super::frame::{self, FrameBuffer, FrameError};
use crate::limits::FRAMES_GATHERED_LEN;

/// The sending half of a control stream. Dropped, it ends the stream after what was written.
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
        // A new stream takes any priority; a lost link shows with the first write.
        let _ = stream.set_priority(CONTROL_PRIORITY);
        Self { stream }
    }

    /// Writes frames, gathered into as few writes as [`FRAMES_GATHERED_LEN`] allows. Waits for the peer to read.
    ///
    /// Not to be cancelled: a frame may be left half written.
    ///
    /// # Errors
    /// If a frame is above the cap (then it and what follows is not written), the peer stopped the stream, or the link is
    /// closed.
    pub async fn write_frames(&mut self, frames: &[Bytes]) -> Result<(), SendError> {
        let mut gathered = BytesMut::new();
        for frame in frames {
            frame::put(&mut gathered, frame).map_err(SendError::FrameTooLong)?;
            if gathered.len() >= FRAMES_GATHERED_LEN {
                self.stream.write_chunk(gathered.split().freeze()).await?;
            }
        }
        if !gathered.is_empty() {
            self.stream.write_chunk(gathered.freeze()).await?;
        }
        Ok(())
    }

    /// Ends the stream, and waits until the peer's QUIC has all of it or the link is closed.
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

    /// The next frame; `None` when the peer ended the stream. To be cancelled by dropping the future: nothing is lost.
    ///
    /// # Errors
    /// If the peer breaks the framing, gave the stream up, or the link is closed.
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
            // Neither is done here: reads out of order, 0-RTT, reads after the end.
            ReadError::ClosedStream | ReadError::IllegalOrderedRead | ReadError::ZeroRttRejected => {
                Self::CutShort
            }
        }
    }
}

/// Before all chunk streams, which have 0.
const CONTROL_PRIORITY: i32 = 1;

/// Bytes read at once.
const READ_LEN: usize = 64 << 10;
