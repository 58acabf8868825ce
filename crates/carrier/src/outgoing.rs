//! Chunk streams that this side sends. Invariant: no more bytes are under way than the other side gave credit for, on each stream and
//! on the link, and no more wait here than [`WAITING_LEN_MAX`].

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::limits::{LINK_WINDOW_LEN, RECORD_LEN_MAX, STREAM_WINDOW_LEN, STREAMS_MAX, WAITING_LEN_MAX};
use crate::record::{CHUNK_HEAD_LEN, Record, StreamId};

/// Why bytes of a stream cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The other side wants no more of it.
    #[error("the peer asked to stop the stream (code {0})")]
    Stopped(u32),
    /// This side has ended it.
    #[error("the stream has ended")]
    Ended,
}

#[derive(Debug)]
pub(crate) struct Outgoing {
    streams: BTreeMap<StreamId, Sending>,
    next: StreamId,
    /// Bytes that may still be sent on all streams.
    link_credit: u64,
    /// Records that wait for the channel; all of one stream in order.
    waiting: VecDeque<Record>,
    /// Chunk bytes among them.
    waiting_len: usize,
}

#[derive(Debug)]
struct Sending {
    /// Bytes that may still be sent on it.
    credit: u64,
    state: State,
    /// Its owner does not wait for its end: it goes when that comes.
    is_let_go: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Whole: waits until the other side has read it.
    Ended,
    /// The other side has read it.
    Taken,
    Stopped(u32),
}

impl Outgoing {
    pub(crate) fn new() -> Self {
        Self {
            streams: BTreeMap::new(),
            next: StreamId(0),
            link_credit: LINK_WINDOW_LEN.into(),
            waiting: VecDeque::new(),
            waiting_len: 0,
        }
    }

    /// A new stream; `None` while as many are open as may be.
    pub(crate) fn open(&mut self) -> Option<StreamId> {
        if self.streams.len() >= STREAMS_MAX {
            return None;
        }
        let stream = self.next;
        // Four thousand million streams of a link are years of traffic; its peer would refuse a number that was used.
        self.next = StreamId(stream.0.checked_add(1)?);
        self.streams.insert(
            stream,
            Sending { credit: STREAM_WINDOW_LEN.into(), state: State::Open, is_let_go: false },
        );
        // Said at once, so that streams are heard of in the order of their numbers, whichever is written first.
        self.waiting.push_back(Record::Open(stream));
        Some(stream)
    }

    /// Takes as many bytes as there is credit and room for, none if there is none.
    pub(crate) fn write(&mut self, stream: StreamId, bytes: &mut Bytes) -> Result<usize, WriteError> {
        let sending = self.streams.get_mut(&stream).ok_or(WriteError::Ended)?;
        match sending.state {
            State::Open => {}
            State::Ended | State::Taken => return Err(WriteError::Ended),
            State::Stopped(code) => return Err(WriteError::Stopped(code)),
        }
        let mut written = 0;
        while !bytes.is_empty() && self.waiting_len < WAITING_LEN_MAX {
            let credit = sending.credit.min(self.link_credit) as usize;
            let len = bytes.len().min(RECORD_LEN_MAX - CHUNK_HEAD_LEN).min(credit);
            if len == 0 {
                break;
            }
            let piece = bytes.split_to(len);
            sending.credit -= len as u64;
            self.link_credit -= len as u64;
            self.waiting_len += len;
            written += len;
            self.waiting.push_back(Record::Chunk { stream, bytes: piece });
        }
        Ok(written)
    }

    /// Ends a stream after what was written.
    pub(crate) fn finish(&mut self, stream: StreamId) -> Result<(), WriteError> {
        let sending = self.streams.get_mut(&stream).ok_or(WriteError::Ended)?;
        match sending.state {
            State::Open => {
                sending.state = State::Ended;
                self.waiting.push_back(Record::End(stream));
                Ok(())
            }
            State::Ended | State::Taken => Err(WriteError::Ended),
            State::Stopped(code) => Err(WriteError::Stopped(code)),
        }
    }

    /// Gives a stream up, and lets it go: what of it waits here is not sent. Its credit of the link comes back at once.
    pub(crate) fn reset(&mut self, stream: StreamId, code: u32) {
        let Some(sending) = self.streams.remove(&stream) else { return };
        self.withdraw(stream);
        if !matches!(sending.state, State::Stopped(_)) {
            self.waiting.push_back(Record::Reset { stream, code });
        }
    }

    /// Lets a stream go: now if it is over, or as soon as it is. One that is open is reset.
    pub(crate) fn forget(&mut self, stream: StreamId) {
        let Some(sending) = self.streams.get_mut(&stream) else { return };
        match sending.state {
            State::Open => self.reset(stream, 0),
            State::Ended => sending.is_let_go = true,
            State::Taken | State::Stopped(_) => drop(self.streams.remove(&stream)),
        }
    }

    /// The other side has read so much. What it says of its own memory harms nobody else.
    pub(crate) fn on_credit(&mut self, stream: StreamId, len: u32) {
        self.link_credit = self.link_credit.saturating_add(len.into());
        if let Some(sending) = self.streams.get_mut(&stream) {
            sending.credit = sending.credit.saturating_add(len.into());
        }
    }

    /// The other side wants no more of a stream. Returns whether anybody waits for its end.
    pub(crate) fn on_stop(&mut self, stream: StreamId, code: u32) -> bool {
        self.withdraw(stream);
        self.on_over(stream, State::Stopped(code))
    }

    /// The other side has read a stream to its end. Returns whether anybody waits for that. Of a stream that did not end it says nothing.
    pub(crate) fn on_taken(&mut self, stream: StreamId) -> bool {
        let is_whole = self.streams.get(&stream).is_some_and(|sending| sending.state == State::Ended);
        is_whole && self.on_over(stream, State::Taken)
    }

    pub(crate) fn next_record(&mut self) -> Option<Record> {
        let record = self.waiting.pop_front()?;
        if let Record::Chunk { bytes, .. } = &record {
            self.waiting_len -= bytes.len();
        }
        Some(record)
    }

    /// Records that wait for the channel.
    pub(crate) fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn has_records(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether bytes would be taken, credit allowing.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting_len < WAITING_LEN_MAX
    }

    fn on_over(&mut self, stream: StreamId, state: State) -> bool {
        let Some(sending) = self.streams.get_mut(&stream) else { return false };
        sending.state = state;
        if sending.is_let_go {
            self.streams.remove(&stream);
            return false;
        }
        true
    }

    fn withdraw(&mut self, stream: StreamId) {
        let mut withdrawn_len = 0;
        self.waiting.retain(|record| match record {
            Record::Chunk { stream: of, bytes } if *of == stream => {
                withdrawn_len += bytes.len();
                false
            }
            Record::End(of) => *of != stream,
            _ => true,
        });
        self.waiting_len -= withdrawn_len;
        self.link_credit += withdrawn_len as u64;
    }
}
