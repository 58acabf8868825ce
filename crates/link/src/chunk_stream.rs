//! Chunk streams: one run of chunk bytes each, one way. Invariant: a stream ends cleanly only if its sender finished it; a sender
//! dropped before [`ChunkSender::finish`] resets the stream, so that a receiver never takes a part for the whole.

use bytes::Bytes;
use quinn::{ReadError, ReadExactError, RecvStream, SendStream, VarInt, WriteError};

use super::link::CloseReason;

/// The sending half of a chunk stream. Dropped unfinished it is reset with code 0.
#[derive(Debug)]
pub struct ChunkSender {
    stream: SendStream,
    is_ended: bool,
}

/// The receiving half of a chunk stream. Dropped before its end it asks the sender to stop, with code 0.
#[derive(Debug)]
pub struct ChunkReceiver {
    stream: RecvStream,
    /// Needed because QUIC shows a stream that this side stopped as one that ended cleanly.
    is_stopped: bool,
}

/// Why bytes cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The receiver cancelled: it wants no more of this stream.
    #[error("the peer asked to stop the stream (code {0})")]
    Stopped(u64),
    /// This side finished or reset the stream earlier.
    #[error("the stream has ended")]
    Ended,
    /// The length of the refused frame, bytes.
    #[error("a frame of {0} bytes is above the cap")]
    FrameTooLong(usize),
    /// The link is closed.
    #[error(transparent)]
    LinkLost(#[from] CloseReason),
}

/// Why bytes cannot be received.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiveError {
    /// The sender reset the stream, with this code.
    #[error("the peer reset the stream (code {0})")]
    Reset(u64),
    /// The stream ended after this many bytes of the wanted piece.
    #[error("the stream ended too early: {0} bytes into the piece")]
    EndedEarly(usize),
    /// This side stopped the stream earlier.
    #[error("the stream has ended")]
    Ended,
    /// The link is closed.
    #[error(transparent)]
    LinkLost(#[from] CloseReason),
}

impl ChunkSender {
    pub(super) fn new(stream: SendStream) -> Self {
        Self { stream, is_ended: false }
    }

    /// Writes all bytes, without copying them; waits for the peer to read. Large pieces are fast: gather small ones first.
    ///
    /// If the future is dropped early, reset the stream: a part may have been written.
    ///
    /// # Errors
    /// If the peer stopped the stream, it has ended, or the link is closed.
    pub async fn write_all(&mut self, bytes: Bytes) -> Result<(), SendError> {
        Ok(self.stream.write_chunk(bytes).await?)
    }

    /// Waits for room and writes as much as fits, at least one byte. The rest stays in `bytes`. Dropping the future cancels it:
    /// nothing was written then.
    ///
    /// # Errors
    /// As [`Self::write_all`].
    pub async fn write_some(&mut self, bytes: &mut Bytes) -> Result<(), SendError> {
        self.stream.write_chunks(std::slice::from_mut(bytes)).await?;
        Ok(())
    }

    /// As [`Self::write_all`], for a list of pieces; they are left empty.
    pub async fn write_all_pieces(&mut self, pieces: &mut [Bytes]) -> Result<(), SendError> {
        Ok(self.stream.write_all_chunks(pieces).await?)
    }

    /// Ends the stream after the written bytes.
    ///
    /// # Errors
    /// If the stream has ended before.
    pub fn finish(&mut self) -> Result<(), SendError> {
        self.is_ended = true;
        self.stream.finish().map_err(|_| SendError::Ended)
    }

    /// Resets the stream with a code for the peer; bytes that the peer has not read are lost.
    pub fn reset(&mut self, code: u32) {
        self.is_ended = true;
        // A stream that was stopped or has ended needs no reset.
        let _ = self.stream.reset(VarInt::from_u32(code));
    }

    /// Waits for the end of the stream: the peer's code if it stopped the stream, `None` if it has received every byte.
    ///
    /// # Errors
    /// If the link is closed before that.
    pub async fn stopped(&self) -> Result<Option<u64>, SendError> {
        match self.stream.stopped().await {
            Ok(code) => Ok(code.map(VarInt::into_inner)),
            Err(error) => Err(WriteError::from(error).into()),
        }
    }
}

impl Drop for ChunkSender {
    fn drop(&mut self) {
        if !self.is_ended {
            self.reset(0);
        }
    }
}

impl ChunkReceiver {
    pub(super) fn new(stream: RecvStream) -> Self {
        Self { stream, is_stopped: false }
    }

    /// Waits for bytes and reads them straight into `buffer`, at least one; 0 is the end of the stream (or an empty buffer).
    /// Dropping the future cancels it without loss.
    ///
    /// # Errors
    /// If the peer reset the stream, this side stopped it, or the link is closed.
    pub async fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, ReceiveError> {
        if self.is_stopped {
            return Err(ReceiveError::Ended);
        }
        Ok(self.stream.read(buffer).await?.unwrap_or(0))
    }

    /// Fills `buffer`. Dropping the future early loses the bytes read so far.
    ///
    /// # Errors
    /// As [`Self::read_some`], or if the stream ends before the buffer is full.
    pub async fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), ReceiveError> {
        if self.is_stopped {
            return Err(ReceiveError::Ended);
        }
        match self.stream.read_exact(buffer).await {
            Ok(()) => Ok(()),
            Err(ReadExactError::FinishedEarly(len)) => Err(ReceiveError::EndedEarly(len)),
            Err(ReadExactError::ReadError(error)) => Err(error.into()),
        }
    }

    /// Asks the sender to stop, with a code. Received bytes that were not read are lost: read first what is to be kept.
    pub fn stop(&mut self, code: u32) {
        self.is_stopped = true;
        // A stream that has ended needs no stop.
        let _ = self.stream.stop(VarInt::from_u32(code));
    }
}

impl From<WriteError> for SendError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Stopped(code) => Self::Stopped(code.into_inner()),
            WriteError::ConnectionLost(error) => Self::LinkLost(error.into()),
            // 0-RTT is not used, so it is never rejected.
            WriteError::ClosedStream | WriteError::ZeroRttRejected => Self::Ended,
        }
    }
}

impl From<ReadError> for ReceiveError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset(code) => Self::Reset(code.into_inner()),
            ReadError::ConnectionLost(error) => Self::LinkLost(error.into()),
            // Reads out of order and 0-RTT are not used.
            ReadError::ClosedStream | ReadError::IllegalOrderedRead | ReadError::ZeroRttRejected => {
                Self::Ended
            }
        }
    }
}
