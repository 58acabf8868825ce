//! The control stream and chunk streams of a carried link. The same promises as those of QUIC: what ends cleanly is whole.

use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use tokio::sync::Notify;

use super::link::CarriedLink;
use crate::limits::FRAMES_GATHERED_LEN;
use crate::{FrameError, ReceiveError, SendError};
use swarm_carrier::{Read, StreamId, WriteError};

/// The sending half of a control stream.
#[derive(Debug)]
pub struct CarriedFrameWriter {
    link: CarriedLink,
}

/// The receiving half of a control stream.
#[derive(Debug)]
pub struct CarriedFrameReader {
    link: CarriedLink,
}

/// The sending half of a chunk stream. Dropped unfinished it is reset with code 0.
#[derive(Debug)]
pub struct CarriedSender {
    link: CarriedLink,
    stream: StreamId,
    is_ended: bool,
}

/// The receiving half of a chunk stream. Dropped before its end it asks the sender to stop, with code 0.
#[derive(Debug)]
pub struct CarriedReceiver {
    link: CarriedLink,
    stream: StreamId,
    arrived: Arc<Notify>,
    /// What was taken from the carrier and did not fit the last buffer.
    piece: Bytes,
    is_over: bool,
}

impl CarriedFrameWriter {
    pub(super) fn new(link: CarriedLink) -> Self {
        Self { link }
    }

    /// Writes frames. Waits for the peer to read.
    ///
    /// # Errors
    /// If a frame is too long, or the link is closed.
    pub async fn write_frames(&mut self, frames: &[Bytes]) -> Result<(), SendError> {
        for frame in frames {
            let shared = &self.link.shared;
            let sent = shared.when(&shared.room, |state| {
                let has_room = state.carrier.control_waiting_len() < FRAMES_GATHERED_LEN;
                has_room.then(|| state.carrier.send_frame(frame))
            });
            sent.await?.map_err(SendError::FrameTooLong)?;
            self.link.send_soon();
        }
        Ok(())
    }
}

impl CarriedFrameReader {
    pub(super) fn new(link: CarriedLink) -> Self {
        Self { link }
    }

    /// The next frame. Dropping the future cancels it without loss.
    ///
    /// # Errors
    /// If the peer breaks the framing, or the link is closed.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        let shared = &self.link.shared;
        let found = shared.when_came(&shared.frames, |state| match state.frames_in.pop_front() {
            Some(frame) => Some(Ok(frame)),
            None => state.fault.map(Err),
        });
        let frame = found.await?;
        self.link.read_on();
        Ok(Some(frame?))
    }
}

impl CarriedSender {
    pub(super) fn new(link: CarriedLink, stream: StreamId) -> Self {
        Self { link, stream, is_ended: false }
    }

    /// Writes all bytes. Not to be cancelled unless the stream is then reset.
    ///
    /// # Errors
    /// If the peer stopped the stream, it has ended, or the link is closed.
    pub async fn write_all(&mut self, mut bytes: Bytes) -> Result<(), SendError> {
        while !bytes.is_empty() {
            self.write_some(&mut bytes).await?;
        }
        Ok(())
    }

    /// Waits for room and writes as much as there is, at least one byte. Dropping the future cancels it: nothing was written then.
    ///
    /// # Errors
    /// As [`Self::write_all`].
    pub async fn write_some(&mut self, bytes: &mut Bytes) -> Result<(), SendError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (shared, stream) = (&self.link.shared, self.stream);
        let written = shared.when(&shared.room, |state| match state.carrier.write(stream, bytes) {
            Ok(0) => None,
            Ok(_) => Some(Ok(())),
            Err(error) => Some(Err(error)),
        });
        written.await??;
        self.link.send_soon();
        Ok(())
    }

    /// Ends the stream after what was written.
    ///
    /// # Errors
    /// If it has ended.
    pub fn finish(&mut self) -> Result<(), SendError> {
        self.is_ended = true;
        let finished = self.link.shared.lock().carrier.finish(self.stream);
        self.link.send_soon();
        Ok(finished?)
    }

    /// Gives the stream up; what the peer has not read may be lost.
    pub fn reset(&mut self, code: u32) {
        self.is_ended = true;
        self.link.shared.lock().carrier.reset(self.stream, code);
        self.link.send_soon();
    }

    /// Waits for the end of the stream: the peer's code if it stopped the stream, `None` if it has read every byte.
    ///
    /// # Errors
    /// If the link is closed before.
    pub async fn stopped(&self) -> Result<Option<u64>, SendError> {
        let (shared, stream) = (&self.link.shared, self.stream);
        let code = shared.when(&shared.room, |state| state.over.get(&stream).copied()).await?;
        Ok(code.map(u64::from))
    }
}

impl Drop for CarriedSender {
    fn drop(&mut self) {
        if !self.is_ended {
            self.reset(0);
        }
        let shared = &self.link.shared;
        {
            let mut state = shared.lock();
            state.over.remove(&self.stream);
            state.carrier.forget(self.stream);
        }
        // Another stream may be waiting to be opened.
        shared.room.notify_waiters();
    }
}

impl CarriedReceiver {
    pub(super) fn new(link: CarriedLink, stream: StreamId, arrived: Arc<Notify>) -> Self {
        Self { link, stream, arrived, piece: Bytes::new(), is_over: false }
    }

    /// Waits for bytes and copies them into `buffer`, at least one; 0 is the end. Dropping the future cancels it without loss.
    ///
    /// # Errors
    /// If the peer reset the stream, this side stopped it, or the link is closed.
    pub async fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, ReceiveError> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.piece.is_empty() {
            if self.is_over {
                return Err(ReceiveError::Ended);
            }
            let (shared, stream) = (&self.link.shared, self.stream);
            let read =
                shared.when_came(&self.arrived, |state| match state.carrier.read(stream, usize::MAX) {
                    Ok(Read::Pending) => None,
                    read => Some(read),
                });
            let read = read.await?;
            self.link.send_soon();
            match read {
                Ok(Read::Bytes(bytes)) => self.piece = bytes,
                Ok(Read::End) => {
                    self.over();
                    return Ok(0);
                }
                Ok(Read::Reset(code)) => {
                    self.over();
                    return Err(ReceiveError::Reset(code.into()));
                }
                Ok(Read::Pending) | Err(_) => return Err(ReceiveError::Ended),
            }
        }
        let len = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..len]);
        Ok(len)
    }

    /// Fills `buffer`. Dropping the future early loses the bytes read so far.
    ///
    /// # Errors
    /// As [`Self::read_some`], or if the stream ends before the buffer is full.
    pub async fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), ReceiveError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_some(&mut buffer[filled..]).await? {
                0 => return Err(ReceiveError::EndedEarly(filled)),
                len => filled += len,
            }
        }
        Ok(())
    }

    /// Asks the sender to stop. What has come and was not read is dropped.
    pub fn stop(&mut self, code: u32) {
        self.piece = Bytes::new();
        if !self.is_over {
            self.over();
            self.link.shared.lock().carrier.stop(self.stream, code);
            self.link.send_soon();
        }
    }

    fn over(&mut self) {
        self.is_over = true;
        self.link.shared.lock().readers.remove(&self.stream);
    }
}

impl Drop for CarriedReceiver {
    fn drop(&mut self) {
        self.stop(0);
    }
}

impl From<WriteError> for SendError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Stopped(code) => Self::Stopped(code.into()),
            WriteError::Ended => Self::Ended,
        }
    }
}
