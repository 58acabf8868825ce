//! Chunk streams: one run of chunk bytes each, one way. Invariant: a stream ends cleanly only if its sender said so; dropped
//! before [`ChunkSender::finish`] it is reset, so that a receiver never takes a part for the whole.

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
    /// QUIC would show a stream stopped here as one that ended cleanly.
    is_stopped: bool,
}

/// Why bytes cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The receiver wants no more of this stream: it cancelled.
    #[error("the peer asked to stop the stream (code {0})")]
    Stopped(u64),
    /// The stream was finished or reset here before.
    #[error("the stream has ended")]
    Ended,
    /// The frame has this many bytes.
    #[error("a frame of {0} bytes is above the cap")]
    FrameTooLong(usize),
    /// The link is closed.
    #[error(transparent)]
    LinkLost(#[from] CloseReason),
}

/// Why bytes do not come.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiveError {
    /// The sender gave the stream up.
    #[error("the peer gave the stream up (code {0})")]
    Reset(u64),
    /// The stream ended this many bytes into what was to be read.
    #[error("the stream ended too early: {0} bytes into the piece")]
    EndedEarly(usize),
    /// The stream was stopped here before.
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
    /// Not to be cancelled unless the stream is then reset: a part may have been written.
    ///
    /// # Errors
    /// If the peer stopped the stream, it has ended, or the link is closed.
    pub async fn write_all(&mut self, bytes: Bytes) -> Result<(), SendError> {
        Ok(self.stream.write_chunk(bytes).await?)
    }

    /// Writes as much as there is room for, at least one byte; waits for room. What is left stays in `bytes`. To be cancelled by
    /// dropping the future: nothing was written then.
    ///
    /// # Errors
    /// As [`Self::write_all`].
    pub async fn write_some(&mut self, bytes: &mut Bytes) -> Result<(), SendError> {
        self.stream.write_chunks(std::slice::from_mut(bytes)).await?;
        Ok(())
    }

    /// As [`Self::write_all`], for a list, which is left with empty pieces.
    pub async fn write_all_pieces(&mut self, pieces: &mut [Bytes]) -> Result<(), SendError> {
        Ok(self.stream.write_all_chunks(pieces).await?)
    }

    /// Ends the stream after what was written.
    ///
    /// # Errors
    /// If it has ended before.
    pub fn finish(&mut self) -> Result<(), SendError> {
        self.is_ended = true;
        self.stream.finish().map_err(|_| SendError::Ended)
    }

    /// Gives the stream up, for the reason that `code` tells the peer; what the peer has not read is dropped.
    pub fn reset(&mut self, code: u32) {
        self.is_ended = true;
        // That it was stopped or has ended is fine too.
        let _ = self.stream.reset(VarInt::from_u32(code));
    }

    /// Waits until the stream is over: the peer's code if it stopped the stream, `None` if it has all bytes up to the end.
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

    /// Reads what has come, at least one byte, straight into `buffer`; 0 is the end of the stream (or an empty buffer). To be
    /// cancelled by dropping the future: nothing is lost.
    ///
    /// # Errors
    /// If the peer gave the stream up, it was stopped here, or the link is closed.
    pub async fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, ReceiveError> {
        if self.is_stopped {
            return Err(ReceiveError::Ended);
        }
        Ok(self.stream.read(buffer).await?.unwrap_or(0))
    }

    /// Fills `buffer`. Not to be cancelled if the bytes read so far matter.
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

    /// Asks the sender to stop, for the reason that `code` tells it. What has come and was not read is dropped: read first
    /// what is to be kept.
    pub fn stop(&mut self, code: u32) {
        self.is_stopped = true;
        // A stream that is over needs no stopping.
        let _ = self.stream.stop(VarInt::from_u32(code));
    }
}

impl From<WriteError> for SendError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Stopped(code) => Self::Stopped(code.into_inner()),
            WriteError::ConnectionLost(error) => Self::LinkLost(error.into()),
            // 0-RTT is not done here.
            WriteError::ClosedStream | WriteError::ZeroRttRejected => Self::Ended,
        }
    }
}

impl From<ReadError> for ReceiveError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset(code) => Self::Reset(code.into_inner()),
            ReadError::ConnectionLost(error) => Self::LinkLost(error.into()),
            // Neither is done here: reads out of order, 0-RTT.
            ReadError::ClosedStream | ReadError::IllegalOrderedRead | ReadError::ZeroRttRejected => {
                Self::Ended
            }
        }
    }
}
