//! Messages on a byte stream: a length of 4 bytes, big-endian, then that many bytes. Pure: knows no stream.
//! Invariant: every length is compared with [`CHANNEL_MESSAGE_LEN_MAX`] before any memory is allocated for it.

use bytes::{Bytes, BytesMut};

use crate::limits::CHANNEL_MESSAGE_LEN_MAX;

/// The length of a message above [`CHANNEL_MESSAGE_LEN_MAX`], bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong(pub(super) u64);

/// Received bytes that are split into messages.
#[derive(Debug, Default)]
pub(super) struct MessageBuffer {
    bytes: BytesMut,
}

impl MessageBuffer {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next complete message, if there is one.
    pub(super) fn take(&mut self) -> Result<Option<Bytes>, TooLong> {
        let Some(prefix) = self.bytes.first_chunk::<PREFIX_LEN>() else { return Ok(None) };
        let len = u32::from_be_bytes(*prefix);
        let body_len = usize::try_from(len).ok().filter(|len| *len <= CHANNEL_MESSAGE_LEN_MAX);
        let whole_len = PREFIX_LEN + body_len.ok_or(TooLong(len.into()))?;
        if self.bytes.len() < whole_len {
            return Ok(None);
        }
        let message = self.bytes.split_to(whole_len).freeze().slice(PREFIX_LEN..);
        if self.bytes.is_empty() {
            // An idle channel keeps no buffer: many channels would hold much memory.
            self.bytes = BytesMut::new();
        }
        Ok(Some(message))
    }
}

/// The bytes in front of a message.
///
/// # Errors
/// If the message is longer than [`CHANNEL_MESSAGE_LEN_MAX`].
pub(super) fn prefix(message: &[u8]) -> Result<[u8; PREFIX_LEN], TooLong> {
    let len = u32::try_from(message.len()).ok().filter(|_| message.len() <= CHANNEL_MESSAGE_LEN_MAX);
    len.map(u32::to_be_bytes).ok_or(TooLong(message.len() as u64))
}

const PREFIX_LEN: usize = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_length_above_the_cap_is_refused_before_anything_is_allocated() {
        let mut buffer = MessageBuffer::default();
        buffer.push(&u32::MAX.to_be_bytes());
        assert_eq!(buffer.take(), Err(TooLong(u32::MAX.into())));
        assert_eq!(buffer.take(), Err(TooLong(u32::MAX.into())), "and it stays refused");
        assert!(buffer.bytes.capacity() < 1024);
        let len = CHANNEL_MESSAGE_LEN_MAX as u32;
        for (len, taken) in [(len, Ok(None)), (len + 1, Err(TooLong(u64::from(len) + 1)))] {
            let mut buffer = MessageBuffer::default();
            buffer.push(&len.to_be_bytes());
            assert_eq!(buffer.take(), taken);
        }
    }

    #[test]
    fn a_message_above_the_cap_is_not_written() {
        assert!(prefix(&vec![0; CHANNEL_MESSAGE_LEN_MAX]).is_ok());
        let len = CHANNEL_MESSAGE_LEN_MAX + 1;
        assert_eq!(prefix(&vec![0; len]), Err(TooLong(len as u64)));
    }

    proptest! {
        #[test]
        fn messages_survive_any_splitting(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
            piece_len in 1usize..400,
        ) {
            let mut stream = Vec::new();
            for message in &messages {
                stream.extend(prefix(message).expect("short"));
                stream.extend(message);
            }
            let (mut buffer, mut taken) = (MessageBuffer::default(), Vec::new());
            for piece in stream.chunks(piece_len) {
                buffer.push(piece);
                while let Some(message) = buffer.take().expect("none is too long") {
                    taken.push(message.to_vec());
                }
            }
            prop_assert!(buffer.is_empty());
            prop_assert_eq!(taken, messages);
        }
    }
}
