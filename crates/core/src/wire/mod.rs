//! Messages of the control stream and the header of a chunk stream. Decoding validates: every decoded value is within its
//! caps. Absent here: sockets, the meaning of a message (engine).

mod close;
mod codec;
mod framing;
mod header;
mod message;

mod coordination;

pub use close::CloseCode;
pub use codec::WireError;
pub use coordination::{AnnounceBody, Coordination, Neighbour, SignedAnnounce, Welcome};
pub use framing::{FrameBuffer, FramingError, put_frame};
pub use header::{CHUNK_STREAM_HEADER_LEN, ChunkStreamHeader};
pub use message::{
    ChunkRuns, DeclineReason, FEATURE_PEX, Handle, Hello, Message, PROTOCOL_MAJOR, PROTOCOL_MINOR,
    RejectReason, RequestId,
};
