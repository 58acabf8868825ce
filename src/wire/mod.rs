//! Messages of the control stream and the header of a chunk stream. Decoding validates: what comes out of this room is
//! within every cap. Absent here: sockets, framing by length (transport), what a message means (engine).

mod close;
mod codec;
mod header;
mod message;

mod coordination;

pub use close::CloseCode;
pub use codec::WireError;
pub use coordination::{AnnounceBody, Coordination, Neighbour, SignedAnnounce, Welcome};
pub use header::{CHUNK_STREAM_HEADER_LEN, ChunkStreamHeader};
pub use message::{
    ChunkRuns, DeclineReason, FEATURE_PEX, Handle, Hello, Message, PROTOCOL_MAJOR, PROTOCOL_MINOR,
    RejectReason, RequestId,
};
