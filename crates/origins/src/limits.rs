//! Limits of what a server may answer.

use std::time::Duration;

/// Bytes of a listing: some half a million files.
pub const LISTING_LEN_MAX: usize = 192 << 20;
/// Files of a listing.
pub const FILES_MAX: usize = 1 << 20;
/// Bytes of a path in it.
pub const PATH_LEN_MAX: usize = 4096;
/// Bytes of a time in it.
pub const TIME_LEN_MAX: usize = 64;
/// Bytes of an ETag.
pub const TAG_LEN_MAX: usize = 256;
/// Letters of a text of a server that is shown to people.
pub const SHOWN_LEN_MAX: usize = 200;
/// Longest wait for a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for the head of an answer. A server may hash a file first.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest wait for more of a body.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest time for a whole listing.
pub const LISTING_TIMEOUT: Duration = Duration::from_secs(600);
/// Longest time for a range that is read into memory, with all tries: the chunk that it is needed for holds a thread meanwhile.
pub const RANGE_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a body that have to come while it is waited for this long: a server that sends a byte now and then would hold a request for ever.
pub const PACE_LEN_MIN: u64 = 32 << 10;
/// The time for them. What is not waited for the server, as at a rate limit here, does not count.
pub const PACE_TIME: Duration = Duration::from_secs(60);
/// How long an idle connection is kept.
pub const KEPT_FOR: Duration = Duration::from_secs(30);
/// Idle connections that are kept.
pub const KEPT_MAX: usize = 4;
/// Waits before a request is sent again that came to nothing.
pub const AGAIN_AFTER: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];
/// Longest wait that a server may ask for within one request.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);
/// How long a server is left alone that did not answer, at first.
pub const REST_MIN: Duration = Duration::from_millis(500);
/// The same at most.
pub const REST_MAX: Duration = Duration::from_secs(60);
/// How long a server is left alone at most that asks for it.
pub const REST_ASKED_MAX: Duration = Duration::from_secs(600);

const _: () = assert!(PACE_TIME.as_secs() >= IDLE_TIMEOUT.as_secs());
const _: () = assert!(REST_MAX.as_secs() > RETRY_AFTER_MAX.as_secs());
