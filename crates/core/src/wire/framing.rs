//! Frames on a byte stream: a LEB128 length of at most 5 bytes, then that many bytes. Pure: knows no stream.
//! Invariant: every length is compared with [`FRAME_LEN_MAX`] before any memory is allocated for it.

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::base::limits::FRAME_LEN_MAX;

/// Bytes of a control stream that are no frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// A frame was announced that is longer than [`FRAME_LEN_MAX`].
    #[error("the peer announced a frame of {0} bytes, more than the {FRAME_LEN_MAX} allowed")]
    TooLong(u64),
    /// The length of a frame does not end within 5 bytes.
    #[error("the peer sent a frame length that does not end")]
    EndlessLen,
}

/// Received bytes that are split into frames.
#[derive(Debug, Default)]
pub struct FrameBuffer {
    bytes: BytesMut,
}

impl FrameBuffer {
    /// Adds bytes that came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether all that came was taken out as frames.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next complete frame, if there is one.
    ///
    /// # Errors
    /// If the length of the next frame is too great or does not end.
    pub fn take(&mut self) -> Result<Option<Bytes>, FramingError> {
        let Some((prefix_len, body_len)) = read_prefix(&self.bytes)? else { return Ok(None) };
        if self.bytes.len() < prefix_len + body_len {
            return Ok(None);
        }
        let frame = self.bytes.split_to(prefix_len + body_len).freeze().slice(prefix_len..);
        if self.bytes.is_empty() {
            // An idle link keeps no buffer: thousands of links would hold much memory.
            self.bytes = BytesMut::new();
        }
        Ok(Some(frame))
    }
}

/// Appends a frame.
///
/// # Errors
/// Returns the length if it exceeds [`FRAME_LEN_MAX`].
pub fn put_frame(into: &mut BytesMut, body: &[u8]) -> Result<(), usize> {
    if body.len() > FRAME_LEN_MAX {
        return Err(body.len());
    }
    let mut rest = body.len();
    while rest >= 0x80 {
        into.put_u8((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    into.put_u8(rest as u8);
    into.put_slice(body);
    Ok(())
}

/// Lengths of the prefix and of the body; `None` while the prefix is incomplete.
fn read_prefix(bytes: &[u8]) -> Result<Option<(usize, usize)>, FramingError> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().take(PREFIX_LEN_MAX).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let len = usize::try_from(value).ok().filter(|len| *len <= FRAME_LEN_MAX);
            return Ok(Some((index + 1, len.ok_or(FramingError::TooLong(value))?)));
        }
    }
    if bytes.len() >= PREFIX_LEN_MAX { Err(FramingError::EndlessLen) } else { Ok(None) }
}

const PREFIX_LEN_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(bytes: &[u8]) -> Result<Option<Bytes>, FramingError> {
        let mut buffer = FrameBuffer::default();
        buffer.push(bytes);
        buffer.take()
    }

    #[test]
    fn a_length_above_the_cap_is_refused_before_anything_is_allocated() {
        let mut buffer = FrameBuffer::default();
        buffer.push(&[0xff, 0xff, 0xff, 0xff, 0x0f]);
        assert_eq!(buffer.take(), Err(FramingError::TooLong(u64::from(u32::MAX))));
        assert!(buffer.bytes.capacity() < 1024);
        assert_eq!(taken(&[0x81, 0x80, 0x08]), Err(FramingError::TooLong(FRAME_LEN_MAX as u64 + 1)));
        assert_eq!(taken(&[0x80, 0x80, 0x08]), Ok(None), "exactly at the cap");
    }

    #[test]
    fn a_length_that_does_not_end_is_refused() {
        assert_eq!(taken(&[0xff; 4]), Ok(None));
        assert_eq!(taken(&[0xff; 5]), Err(FramingError::EndlessLen));
        assert_eq!(taken(&[0x80; 5]), Err(FramingError::EndlessLen));
    }

    #[test]
    fn a_frame_above_the_cap_is_not_written() {
        let mut bytes = BytesMut::new();
        assert_eq!(put_frame(&mut bytes, &vec![0; FRAME_LEN_MAX + 1]), Err(FRAME_LEN_MAX + 1));
        assert!(bytes.is_empty());
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_however_they_are_cut(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
            cut in 1usize..64,
        ) {
            let mut bytes = BytesMut::new();
            for frame in &frames {
                put_frame(&mut bytes, frame).expect("short");
            }
            let (mut buffer, mut out) = (FrameBuffer::default(), Vec::new());
            for piece in bytes.chunks(cut) {
                buffer.push(piece);
                while let Some(frame) = buffer.take().expect("well formed") {
                    out.push(frame.to_vec());
                }
            }
            prop_assert_eq!(out, frames);
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut buffer = FrameBuffer::default();
            buffer.push(&bytes);
            while let Ok(Some(_)) = buffer.take() {}
        }
    }
}
