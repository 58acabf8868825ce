//! Records: what a carrier sends, each in one message of the channel. A byte for the kind, then numbers (big-endian) and bytes.
//! Decoding copies nothing and accepts no record that is longer than [`RECORD_LEN_MAX`].

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use crate::limits::{CLOSE_REASON_LEN_MAX, RECORD_LEN_MAX};

/// A chunk stream of a link, as its sender numbers them: from 0, rising by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(pub u32);

/// One message between two carriers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The next bytes of the sender's control stream.
    Control(Bytes),
    /// The sender opens a stream.
    Open(StreamId),
    /// The next bytes of a stream of the sender.
    Chunk {
        /// Which stream.
        stream: StreamId,
        /// At least one byte.
        bytes: Bytes,
    },
    /// A stream of the sender is whole.
    End(StreamId),
    /// The sender gives a stream up.
    Reset {
        /// Which stream.
        stream: StreamId,
        /// For the receiver.
        code: u32,
    },
    /// The sender wants no more of a stream of the receiver.
    Stop {
        /// Which stream.
        stream: StreamId,
        /// For the receiver.
        code: u32,
    },
    /// The sender has read, or dropped, so many bytes of a stream of the receiver: as many more may come on it, and on the link.
    Credit {
        /// Which stream.
        stream: StreamId,
        /// How many bytes.
        len: u32,
    },
    /// The sender has read a stream of the receiver to its end.
    Taken(StreamId),
    /// To be answered by [`Record::Pong`] with the same number.
    Ping(u32),
    /// The answer.
    Pong(u32),
    /// The link is closed; nothing comes after this.
    Close {
        /// See [`CloseCode`](swarm_core::wire::CloseCode).
        code: u32,
        /// For people.
        reason: String,
    },
}

/// A message that is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Longer than [`RECORD_LEN_MAX`].
    #[error("a record of {0} bytes is longer than the {RECORD_LEN_MAX} allowed")]
    TooLong(usize),
    /// It has no kind, or one that this build does not know.
    #[error("a record of unknown kind")]
    Kind,
    /// Too short or too long for its kind.
    #[error("a record that is cut short or has bytes left over")]
    Shape,
}

impl Record {
    /// Reads a message.
    ///
    /// # Errors
    /// If it is no record.
    pub fn decode(mut message: Bytes) -> Result<Self, RecordError> {
        if message.len() > RECORD_LEN_MAX {
            return Err(RecordError::TooLong(message.len()));
        }
        let kind = message.try_get_u8().map_err(|_| RecordError::Kind)?;
        let mut number = || message.try_get_u32().map_err(|_| RecordError::Shape);
        let record = match kind {
            CONTROL => {
                return if message.is_empty() { Err(RecordError::Shape) } else { Ok(Self::Control(message)) };
            }
            CHUNK => {
                let stream = StreamId(number()?);
                return if message.is_empty() {
                    Err(RecordError::Shape)
                } else {
                    Ok(Self::Chunk { stream, bytes: message })
                };
            }
            OPEN => Self::Open(StreamId(number()?)),
            END => Self::End(StreamId(number()?)),
            RESET => Self::Reset { stream: StreamId(number()?), code: number()? },
            STOP => Self::Stop { stream: StreamId(number()?), code: number()? },
            CREDIT => Self::Credit { stream: StreamId(number()?), len: number()? },
            TAKEN => Self::Taken(StreamId(number()?)),
            PING => Self::Ping(number()?),
            PONG => Self::Pong(number()?),
            CLOSE => {
                let code = number()?;
                return Ok(Self::Close { code, reason: readable(&message) });
            }
            _ => return Err(RecordError::Kind),
        };
        if message.is_empty() { Ok(record) } else { Err(RecordError::Shape) }
    }

    /// Appends the message. Chunk and control bytes are copied: encryption needs them in one piece.
    pub fn encode(&self, into: &mut BytesMut) {
        match self {
            Self::Control(bytes) => {
                into.put_u8(CONTROL);
                into.put_slice(bytes);
            }
            Self::Chunk { stream, bytes } => {
                into.put_u8(CHUNK);
                into.put_u32(stream.0);
                into.put_slice(bytes);
            }
            Self::Open(stream) => numbers(into, OPEN, &[stream.0]),
            Self::End(stream) => numbers(into, END, &[stream.0]),
            Self::Reset { stream, code } => numbers(into, RESET, &[stream.0, *code]),
            Self::Stop { stream, code } => numbers(into, STOP, &[stream.0, *code]),
            Self::Credit { stream, len } => numbers(into, CREDIT, &[stream.0, *len]),
            Self::Taken(stream) => numbers(into, TAKEN, &[stream.0]),
            Self::Ping(number) => numbers(into, PING, &[*number]),
            Self::Pong(number) => numbers(into, PONG, &[*number]),
            Self::Close { code, reason } => {
                numbers(into, CLOSE, &[*code]);
                into.put_slice(cut(reason).as_bytes());
            }
        }
    }

    /// Bytes of the message.
    pub fn encoded_len(&self) -> usize {
        match self {
            Self::Control(bytes) => 1 + bytes.len(),
            Self::Chunk { bytes, .. } => CHUNK_HEAD_LEN + bytes.len(),
            Self::Open(_) | Self::End(_) | Self::Taken(_) | Self::Ping(_) | Self::Pong(_) => 5,
            Self::Reset { .. } | Self::Stop { .. } | Self::Credit { .. } => 9,
            Self::Close { reason, .. } => 5 + cut(reason).len(),
        }
    }
}

fn numbers(into: &mut BytesMut, kind: u8, numbers: &[u32]) {
    into.put_u8(kind);
    for number in numbers {
        into.put_u32(*number);
    }
}

/// A reason as it travels: cut at a letter's border.
fn cut(reason: &str) -> &str {
    let end = (0..=reason.len().min(CLOSE_REASON_LEN_MAX)).rev().find(|end| reason.is_char_boundary(*end));
    &reason[..end.unwrap_or(0)]
}

/// A reason from the wire: cut, and without control characters.
fn readable(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(CLOSE_REASON_LEN_MAX)];
    String::from_utf8_lossy(bytes).chars().filter(|letter| !letter.is_control()).collect()
}

/// Bytes of a chunk record before those of the chunk.
pub(crate) const CHUNK_HEAD_LEN: usize = 5;

const CONTROL: u8 = 0;
const CHUNK: u8 = 1;
const END: u8 = 2;
const RESET: u8 = 3;
const STOP: u8 = 4;
const CREDIT: u8 = 5;
const TAKEN: u8 = 6;
const PING: u8 = 7;
const PONG: u8 = 8;
const CLOSE: u8 = 9;
const OPEN: u8 = 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record() -> impl Strategy<Value = Record> {
        let bytes = || prop::collection::vec(any::<u8>(), 1..200).prop_map(Bytes::from);
        let stream = || any::<u32>().prop_map(StreamId);
        prop_oneof![
            bytes().prop_map(Record::Control),
            (stream(), bytes()).prop_map(|(stream, bytes)| Record::Chunk { stream, bytes }),
            stream().prop_map(Record::Open),
            stream().prop_map(Record::End),
            (stream(), any::<u32>()).prop_map(|(stream, code)| Record::Reset { stream, code }),
            (stream(), any::<u32>()).prop_map(|(stream, code)| Record::Stop { stream, code }),
            (stream(), any::<u32>()).prop_map(|(stream, len)| Record::Credit { stream, len }),
            stream().prop_map(Record::Taken),
            any::<u32>().prop_map(Record::Ping),
            any::<u32>().prop_map(Record::Pong),
            (any::<u32>(), "[a-zé]{0,40}").prop_map(|(code, reason)| Record::Close { code, reason }),
        ]
    }

    proptest! {
        #[test]
        fn a_record_survives_the_channel(record in record()) {
            let mut message = BytesMut::new();
            record.encode(&mut message);
            prop_assert_eq!(message.len(), record.encoded_len());
            prop_assert_eq!(Record::decode(message.freeze()), Ok(record));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Record::decode(bytes.into());
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_letters_and_shows_no_control_characters() {
        let reason = "é".repeat(200);
        let mut message = BytesMut::new();
        let close = Record::Close { code: 1, reason };
        close.encode(&mut message);
        assert_eq!(message.len(), close.encoded_len());
        let Ok(Record::Close { reason, .. }) = Record::decode(message.freeze()) else {
            panic!("it is a close")
        };
        assert_eq!(reason, "é".repeat(128));
        let shown = Record::decode(Bytes::from_static(b"\x09\0\0\0\0a\x1b[2J"));
        assert_eq!(shown, Ok(Record::Close { code: 0, reason: "a[2J".to_owned() }));
    }

    #[test]
    fn what_is_empty_too_long_or_unknown_is_no_record() {
        let decode = |bytes: Vec<u8>| Record::decode(bytes.into());
        assert_eq!(decode(vec![]), Err(RecordError::Kind));
        assert_eq!(decode(vec![77]), Err(RecordError::Kind));
        assert_eq!(decode(vec![CONTROL]), Err(RecordError::Shape));
        assert_eq!(decode(vec![CHUNK, 0, 0, 0, 1]), Err(RecordError::Shape));
        assert_eq!(decode(vec![END, 0, 0, 0, 1, 0]), Err(RecordError::Shape));
        assert_eq!(decode(vec![0; RECORD_LEN_MAX + 1]), Err(RecordError::TooLong(RECORD_LEN_MAX + 1)));
    }
}
