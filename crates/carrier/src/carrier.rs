//! One end of a carried link: records in, records out. Decides only what goes first: orders (credits, stops, pings), then the control
//! stream, then chunk streams in the order in which they were written.
//!
//! Invariant: whatever the other side sends, at most [`LINK_WINDOW_LEN`] of chunk bytes are kept. Its owner takes frames out as they
//! come, and receives nothing while it [is congested](Carrier::is_congested).
//!
//! [`LINK_WINDOW_LEN`]: crate::limits::LINK_WINDOW_LEN

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::incoming::{Incoming, Read, StreamFault};
use crate::limits::{ORDERS_WAITING_MAX, RECORD_LEN_MAX};
use crate::outgoing::{Outgoing, WriteError};
use crate::record::{Record, RecordError, StreamId};
use swarm_core::wire::{FrameBuffer, FramingError, put_frame};

/// One end of a carried link.
#[derive(Debug)]
pub struct Carrier {
    outgoing: Outgoing,
    incoming: Incoming,
    orders: VecDeque<Record>,
    /// Bytes of the control stream that wait to be sent.
    control_out: BytesMut,
    control_in: FrameBuffer,
    is_closed: bool,
}

/// What a record meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// Bytes of the control stream came: see [`Carrier::next_frame`].
    Control,
    /// The other side opened a stream.
    Opened(StreamId),
    /// More of a stream can be read, or it has ended.
    Arrived(StreamId),
    /// More bytes may be written, or another stream opened.
    Room,
    /// A stream of this side is over: the code with which the other side stopped it, or `None` if it has read all.
    Over(StreamId, Option<u32>),
    /// A [`Record::Pong`] with this number.
    Pong(u32),
    /// The other side closed the link.
    Closed {
        /// Its code.
        code: u32,
        /// What it says to people.
        reason: String,
    },
    /// Nothing that its owner has to know.
    Nothing,
}

/// How the other side breaks the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A message that is no record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// More bytes than there was credit for.
    #[error("the peer sent more than it had credit for")]
    OverCredit,
    /// A stream that was not opened, or opened out of order, or more streams than there may be.
    #[error("the peer named a stream that is not open, or opened too many")]
    StreamNumber,
    /// Bytes of a stream after its end.
    #[error("the peer sent bytes of a stream that had ended")]
    AfterEnd,
}

impl Carrier {
    /// A link on which nothing was said yet.
    #[expect(clippy::new_without_default, reason = "a link is begun, not defaulted")]
    pub fn new() -> Self {
        Self {
            outgoing: Outgoing::new(),
            incoming: Incoming::new(),
            orders: VecDeque::new(),
            control_out: BytesMut::new(),
            control_in: FrameBuffer::default(),
            is_closed: false,
        }
    }

    /// Takes a message of the channel.
    ///
    /// # Errors
    /// If the other side breaks the rules; the link is to be closed.
    pub fn receive(&mut self, message: Bytes) -> Result<Happened, Violation> {
        let arrived =
            |stream, is_wanted| if is_wanted { Happened::Arrived(stream) } else { Happened::Nothing };
        Ok(match Record::decode(message)? {
            Record::Control(bytes) => {
                self.control_in.push(&bytes);
                Happened::Control
            }
            Record::Open(stream) => {
                self.incoming.on_open(stream)?;
                Happened::Opened(stream)
            }
            Record::Chunk { stream, bytes } => {
                arrived(stream, self.incoming.on_chunk(stream, bytes, &mut self.orders)?)
            }
            Record::End(stream) => arrived(stream, self.incoming.on_end(stream)?),
            Record::Reset { stream, code } => arrived(stream, self.incoming.on_reset(stream, code)?),
            Record::Stop { stream, code } if self.outgoing.on_stop(stream, code) => {
                Happened::Over(stream, Some(code))
            }
            Record::Taken(stream) if self.outgoing.on_taken(stream) => Happened::Over(stream, None),
            // Nobody waits for its end, but there may be room for another.
            Record::Stop { .. } | Record::Taken(_) => Happened::Room,
            Record::Credit { stream, len } => {
                self.outgoing.on_credit(stream, len);
                Happened::Room
            }
            Record::Ping(number) => {
                self.orders.push_back(Record::Pong(number));
                Happened::Nothing
            }
            Record::Pong(number) => Happened::Pong(number),
            Record::Close { code, reason } => Happened::Closed { code, reason },
        })
    }

    /// The next frame of the control stream, if all of it has come.
    ///
    /// # Errors
    /// If the other side breaks the framing.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FramingError> {
        self.control_in.take()
    }

    /// The next record for the channel.
    pub fn next_record(&mut self) -> Option<Record> {
        if let Some(order) = self.orders.pop_front() {
            return Some(order);
        }
        if !self.control_out.is_empty() {
            let len = self.control_out.len().min(RECORD_LEN_MAX - 1);
            return Some(Record::Control(self.control_out.split_to(len).freeze()));
        }
        self.outgoing.next_record()
    }

    /// Whether there is a record for the channel.
    pub fn has_records(&self) -> bool {
        !self.orders.is_empty() || !self.control_out.is_empty() || self.outgoing.has_records()
    }

    /// Whether nothing more is to be received until the channel has taken what waits: the other side causes answers, and reads none.
    pub fn is_congested(&self) -> bool {
        self.orders.len() + self.outgoing.waiting_count() >= ORDERS_WAITING_MAX
    }

    /// Chunk bytes that came and were not read.
    pub fn unread_len(&self) -> u64 {
        self.incoming.unread_len()
    }

    /// Adds a frame to the control stream. Look at [`Self::control_waiting_len`] before: nothing is dropped here.
    ///
    /// # Errors
    /// Returns the length of a frame that is too long.
    pub fn send_frame(&mut self, frame: &[u8]) -> Result<(), usize> {
        put_frame(&mut self.control_out, frame)
    }

    /// Bytes of the control stream that the channel has not taken.
    pub fn control_waiting_len(&self) -> usize {
        self.control_out.len()
    }

    /// Opens a chunk stream; `None` while as many are open as may be.
    pub fn open(&mut self) -> Option<StreamId> {
        self.outgoing.open()
    }

    /// Takes as many bytes as there are credit and room for; the rest stays in `bytes`.
    ///
    /// # Errors
    /// If the stream is over.
    pub fn write(&mut self, stream: StreamId, bytes: &mut Bytes) -> Result<usize, WriteError> {
        self.outgoing.write(stream, bytes)
    }

    /// Whether the channel has taken enough that bytes would find room, if there is credit for them.
    pub fn has_room(&self) -> bool {
        self.outgoing.has_room()
    }

    /// Ends a stream after what was written.
    ///
    /// # Errors
    /// If it is over.
    pub fn finish(&mut self, stream: StreamId) -> Result<(), WriteError> {
        self.outgoing.finish(stream)
    }

    /// Gives a stream of this side up, unless it is over: what waits of it is not sent.
    pub fn reset(&mut self, stream: StreamId, code: u32) {
        self.outgoing.reset(stream, code);
    }

    /// Lets a stream of this side go, now or when it is over: another may be opened in its place then. One that did not end is reset.
    pub fn forget(&mut self, stream: StreamId) {
        self.outgoing.forget(stream);
    }

    /// The next bytes of a stream of the other side, `max` at most.
    ///
    /// # Errors
    /// If it was read to its end, or stopped.
    pub fn read(&mut self, stream: StreamId, max: usize) -> Result<Read, StreamFault> {
        self.incoming.read(stream, max, &mut self.orders)
    }

    /// Wants no more of a stream of the other side, unless it is over.
    pub fn stop(&mut self, stream: StreamId, code: u32) {
        self.incoming.stop(stream, code, &mut self.orders);
    }

    /// Asks for a sign of life.
    pub fn ping(&mut self, number: u32) {
        self.orders.push_back(Record::Ping(number));
    }

    /// Closes the link: once, and nothing follows but what was said on the control stream before.
    pub fn close(&mut self, code: u32, reason: &str) -> Vec<Record> {
        if std::mem::replace(&mut self.is_closed, true) {
            return Vec::new();
        }
        let mut last = Vec::new();
        while !self.control_out.is_empty() {
            let len = self.control_out.len().min(RECORD_LEN_MAX - 1);
            last.push(Record::Control(self.control_out.split_to(len).freeze()));
        }
        last.push(Record::Close { code, reason: reason.to_owned() });
        last
    }
}
