//! The header of a chunk stream: which request the bytes after it answer. Fixed length, big-endian.

use super::message::RequestId;

/// Bytes of the header.
pub const CHUNK_STREAM_HEADER_LEN: usize = 20;

/// First on every chunk stream; raw bytes follow, then the end of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkStreamHeader {
    /// The request that is answered.
    pub request: RequestId,
    /// The chunk that the run starts in.
    pub chunk: u32,
    /// Bytes before the run in that chunk.
    pub offset: u32,
    /// Bytes that follow.
    pub len: u32,
}

impl ChunkStreamHeader {
    /// The bytes of the header.
    pub fn encode(&self) -> [u8; CHUNK_STREAM_HEADER_LEN] {
        let mut bytes = [0; CHUNK_STREAM_HEADER_LEN];
        bytes[..8].copy_from_slice(&self.request.0.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.chunk.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.offset.to_be_bytes());
        bytes[16..].copy_from_slice(&self.len.to_be_bytes());
        bytes
    }

    /// Every 20 bytes are a header; the receiver checks that it matches a request.
    pub fn decode(bytes: &[u8; CHUNK_STREAM_HEADER_LEN]) -> Self {
        let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let request = u64::from(word(0)) << 32 | u64::from(word(4));
        Self { request: RequestId(request), chunk: word(8), offset: word(12), len: word(16) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_header_survives_the_wire(request: u64, chunk: u32, offset: u32, len: u32) {
            let header = ChunkStreamHeader { request: RequestId(request), chunk, offset, len };
            prop_assert_eq!(ChunkStreamHeader::decode(&header.encode()), header);
        }
    }
}
