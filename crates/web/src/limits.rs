//! Limits of a node in a page.

use std::time::Duration;

use swarm_core::base::limits::{CHUNK_LEN_LOG2_MAX, LINK_IDLE_TIMEOUT};

/// Chunk bytes of streams that are being received, all links together. A stream that finds no room is not read until there is.
pub const BUFFERS_LEN_MAX: usize = 32 << 20;
/// Bytes of messages that a channel may hold before it is given more.
pub const CHANNEL_WAITING_LEN_MAX: usize = 1 << 20;
/// Bytes of frames that a peer may leave unread before its link is closed.
pub const CONTROL_WAITING_LEN_MAX: usize = 4 << 20;
/// A link is asked for a sign of life so often.
pub const PING_INTERVAL: Duration = Duration::from_secs(5);
/// Longest time for which a peer takes nothing of what it asked for, as in a native node.
pub const UPLOAD_STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// A fetch does not end sooner because all known sources refuse: those that are named with it are heard of after it has begun.
pub const SEARCH_PATIENCE: Duration = Duration::from_secs(2);
/// Longest time from an open channel to a link.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Chunks that were verified just now and are kept to be served from, each up to 16 MiB long.
pub const CHUNKS_CACHED_MAX: usize = 2;

const _: () = assert!(BUFFERS_LEN_MAX >= 1 << CHUNK_LEN_LOG2_MAX);
const _: () = assert!(PING_INTERVAL.as_secs() * 3 < LINK_IDLE_TIMEOUT.as_secs());
