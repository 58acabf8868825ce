//! Limits of clients over HTTP.

use std::time::Duration;

/// Clients at once whose connections have not become links; others wait to be accepted.
pub const CLIENTS_MAX: usize = 256;
/// Longest life of a connection that has not become a link: the page's files at 4 kB/s.
pub const CLIENT_TIMEOUT: Duration = Duration::from_secs(120);
/// Links by WebSocket at once, proven or not; others are answered with 503.
pub const WEB_SOCKETS_MAX: usize = 1024;
/// Of them, those that have not proved a key: these take ten seconds at most.
pub const WEB_SOCKETS_UNPROVEN_MAX: usize = 256;
/// Longest head of a request, bytes.
pub const HEAD_LEN_MAX: usize = 16 << 10;
/// Longest time to the end of a head; and longest silence of a connection that is kept alive.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
