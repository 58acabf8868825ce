//! Limits of what a server may answer.

use std::time::Duration;

/// Bytes of a listing: some half a million files.
pub const LISTING_LEN_MAX: usize = 192 << 20;
/// Files of a listing.
pub const FILES_MAX: usize = 1 << 20;
/// Bytes of a path in it.
pub const PATH_LEN_MAX: usize = 4096;
/// Bytes of an ETag.
pub const TAG_LEN_MAX: usize = 256;
/// Longest wait for a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for the head of an answer. A server may hash a file first.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest wait for more of a body.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// How long an idle connection is kept.
pub const KEPT_FOR: Duration = Duration::from_secs(30);
/// Idle connections that are kept.
pub const KEPT_MAX: usize = 4;
/// Waits before a request is sent again that came to nothing.
pub const AGAIN_AFTER: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];
/// Longest wait that a server may ask for within one request.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);
