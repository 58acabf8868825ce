//! Limits of clients over HTTP.

use std::time::Duration;

/// Clients at once whose connections have not become links; others wait to be accepted.
pub const CLIENTS_MAX: usize = 256;
/// Links by WebSocket at once, proven or not; others are answered with 503.
pub const WEB_SOCKETS_MAX: usize = 1024;
/// Longest head of a request, bytes.
pub const HEAD_LEN_MAX: usize = 16 << 10;
/// Longest time to the end of a head; and longest silence of a connection that is kept alive.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
