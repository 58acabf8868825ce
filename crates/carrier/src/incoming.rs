//! Chunk streams that the other side sends. Invariant: no more bytes are kept than this side gave credit for, whatever comes; credit
//! goes back for each byte that is read or dropped.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};

use crate::carrier::Violation;
use crate::limits::{CREDIT_OWED_LEN, LINK_WINDOW_LEN, SHORT_PIECE_LEN, STREAM_WINDOW_LEN, STREAMS_KEPT_MAX};
use crate::record::{Record, StreamId};

/// What reading a stream came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// The next bytes, at least one.
    Bytes(Bytes),
    /// Nothing has come yet.
    Pending,
    /// That was all.
    End,
    /// The other side gave it up, with this code.
    Reset(u32),
}

/// A stream that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stream has ended")]
pub struct StreamFault;

#[derive(Debug)]
pub(crate) struct Incoming {
    streams: BTreeMap<StreamId, Receiving>,
    /// The number that the next new stream has.
    next: StreamId,
    /// Bytes that may still come on all streams.
    link_credit: u64,
}

#[derive(Debug)]
struct Receiving {
    pieces: VecDeque<Bytes>,
    /// Short pieces after those, together: each alone would cost more than its bytes, and could pin the message that it came in.
    tail: BytesMut,
    /// Bytes that may still come on it.
    credit: u64,
    /// Bytes that were read and for which no credit was given back yet.
    owed: u32,
    end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Whole,
    Reset(u32),
}

impl Receiving {
    fn push(&mut self, bytes: Bytes) {
        if bytes.len() < SHORT_PIECE_LEN {
            self.tail.extend_from_slice(&bytes);
            return;
        }
        if !self.tail.is_empty() {
            self.pieces.push_back(self.tail.split().freeze());
        }
        self.pieces.push_back(bytes);
    }

    /// Whether all that came was read.
    fn is_read(&self) -> bool {
        self.pieces.is_empty() && self.tail.is_empty()
    }
}

impl Incoming {
    /// Bytes that came and were neither read nor dropped, or for which no credit was given back yet.
    pub(crate) fn unread_len(&self) -> u64 {
        u64::from(LINK_WINDOW_LEN).saturating_sub(self.link_credit)
    }

    pub(crate) fn new() -> Self {
        Self { streams: BTreeMap::new(), next: StreamId(0), link_credit: LINK_WINDOW_LEN.into() }
    }

    pub(crate) fn on_open(&mut self, stream: StreamId) -> Result<(), Violation> {
        if stream != self.next || self.streams.len() >= STREAMS_KEPT_MAX {
            return Err(Violation::StreamNumber);
        }
        self.next = StreamId(stream.0.checked_add(1).ok_or(Violation::StreamNumber)?);
        let (pieces, tail, credit) = (VecDeque::new(), BytesMut::new(), STREAM_WINDOW_LEN.into());
        self.streams.insert(stream, Receiving { pieces, tail, credit, owed: 0, end: None });
        Ok(())
    }

    /// Takes bytes of a stream. Returns whether anybody waits for them.
    pub(crate) fn on_chunk(
        &mut self,
        stream: StreamId,
        bytes: Bytes,
        orders: &mut VecDeque<Record>,
    ) -> Result<bool, Violation> {
        let len = bytes.len() as u64;
        self.link_credit = self.link_credit.checked_sub(len).ok_or(Violation::OverCredit)?;
        let Some(receiving) = self.known(stream)? else {
            // It was stopped, and these bytes were on their way.
            self.give_back(stream, len as u32, orders);
            return Ok(false);
        };
        if receiving.end.is_some() {
            return Err(Violation::AfterEnd);
        }
        receiving.credit = receiving.credit.checked_sub(len).ok_or(Violation::OverCredit)?;
        receiving.push(bytes);
        Ok(true)
    }

    pub(crate) fn on_end(&mut self, stream: StreamId) -> Result<bool, Violation> {
        self.on_last(stream, End::Whole)
    }

    /// What came of it before stays to be read: it may be whole chunks.
    pub(crate) fn on_reset(&mut self, stream: StreamId, code: u32) -> Result<bool, Violation> {
        self.on_last(stream, End::Reset(code))
    }

    /// The next bytes of a stream, `max` at most.
    pub(crate) fn read(
        &mut self,
        stream: StreamId,
        max: usize,
        orders: &mut VecDeque<Record>,
    ) -> Result<Read, StreamFault> {
        let receiving = self.streams.get_mut(&stream).ok_or(StreamFault)?;
        if receiving.pieces.is_empty() && !receiving.tail.is_empty() {
            let tail = std::mem::take(&mut receiving.tail);
            receiving.pieces.push_back(tail.freeze());
        }
        if let Some(piece) = receiving.pieces.front_mut() {
            let bytes = piece.split_to(piece.len().min(max));
            if piece.is_empty() {
                receiving.pieces.pop_front();
            }
            receiving.owed += bytes.len() as u32;
            if receiving.owed >= CREDIT_OWED_LEN || receiving.is_read() && receiving.end.is_some() {
                let owed = std::mem::take(&mut receiving.owed);
                receiving.credit += u64::from(owed);
                self.give_back(stream, owed, orders);
            }
            return Ok(Read::Bytes(bytes));
        }
        match receiving.end {
            None => Ok(Read::Pending),
            Some(end) => {
                let owed = receiving.owed;
                self.streams.remove(&stream);
                self.give_back(stream, owed, orders);
                match end {
                    End::Whole => {
                        orders.push_back(Record::Taken(stream));
                        Ok(Read::End)
                    }
                    End::Reset(code) => Ok(Read::Reset(code)),
                }
            }
        }
    }

    /// Wants no more of a stream. What came of it and was not read is dropped.
    pub(crate) fn stop(&mut self, stream: StreamId, code: u32, orders: &mut VecDeque<Record>) {
        let Some(receiving) = self.streams.remove(&stream) else { return };
        let unread = receiving.pieces.iter().map(Bytes::len).sum::<usize>() + receiving.tail.len();
        self.give_back(stream, receiving.owed + unread as u32, orders);
        orders.push_back(match receiving.end {
            Some(End::Whole) if unread == 0 => Record::Taken(stream),
            _ => Record::Stop { stream, code },
        });
    }

    fn on_last(&mut self, stream: StreamId, end: End) -> Result<bool, Violation> {
        let Some(receiving) = self.known(stream)? else { return Ok(false) };
        match (receiving.end, end) {
            (None, end) => receiving.end = Some(end),
            // What was whole may still be given up: its bytes may have been withdrawn before they were sent.
            (Some(End::Whole), End::Reset(code)) => receiving.end = Some(End::Reset(code)),
            (Some(_), _) => return Err(Violation::AfterEnd),
        }
        Ok(true)
    }

    /// A stream that was opened; `None` if this side wants no more of it.
    fn known(&mut self, stream: StreamId) -> Result<Option<&mut Receiving>, Violation> {
        if stream >= self.next {
            return Err(Violation::StreamNumber);
        }
        Ok(self.streams.get_mut(&stream))
    }

    fn give_back(&mut self, stream: StreamId, len: u32, orders: &mut VecDeque<Record>) {
        if len > 0 {
            self.link_credit += u64::from(len);
            orders.push_back(Record::Credit { stream, len });
        }
    }
}
