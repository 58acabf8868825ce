//! Limits of carried links.

use swarm_core::base::limits::FRAME_LEN_MAX;

/// Longest record, bytes: with the 16 bytes of its authentication tag it is the longest message that Noise allows.
pub const RECORD_LEN_MAX: usize = 65_535 - TAG_LEN;
/// Bytes that encryption adds to a record.
pub const TAG_LEN: usize = 16;
/// Longest message of a handshake, bytes.
pub const HANDSHAKE_MESSAGE_LEN_MAX: usize = 256;
/// Chunk streams that one side may have open. As many as on a native link.
pub const STREAMS_MAX: usize = 64;
/// Streams that a side keeps for the other: a stream that was reset is kept until its reader has noticed.
pub const STREAMS_KEPT_MAX: usize = 2 * STREAMS_MAX;
/// Bytes of all chunk streams that one side may send before the other has read them: on a path of 50 ms, 80 MB/s at most.
pub const LINK_WINDOW_LEN: u32 = 4 << 20;
/// Bytes of one chunk stream, likewise: a stream that waits for its reader leaves room for others. Streams go one after the other, so that a
/// chunk that is longer than this comes at 20 MB/s at most on a path of 50 ms.
pub const STREAM_WINDOW_LEN: u32 = 1 << 20;
/// Chunk bytes of a record below which they are copied to those before them: of a shorter piece, what keeps it weighs more than its bytes.
pub const SHORT_PIECE_LEN: usize = 16 << 10;
/// Bytes read before credit for them is given back: few records, and the sender never runs dry.
pub const CREDIT_OWED_LEN: u32 = STREAM_WINDOW_LEN / 4;
/// Chunk bytes that wait in a carrier for the channel to take them. More would only delay what is said on the control stream.
pub const WAITING_LEN_MAX: usize = 4 * RECORD_LEN_MAX;
/// Records but those of the control stream that wait for the channel: whoever has more waiting reads nothing more of the other side, which
/// sends what causes them and does not read them.
pub const ORDERS_WAITING_MAX: usize = 1024;
/// Longest reason given or kept when a link closes, bytes.
pub const CLOSE_REASON_LEN_MAX: usize = 256;

const _: () = assert!(STREAM_WINDOW_LEN <= LINK_WINDOW_LEN);
const _: () = assert!(CREDIT_OWED_LEN as usize >= RECORD_LEN_MAX);
const _: () = assert!(FRAME_LEN_MAX < 3 * RECORD_LEN_MAX);
