//! Limits of the pages of a process.

use std::time::Duration;

/// Clients of the pages at once; further ones wait.
pub const CLIENTS_MAX: usize = 16;
/// Longest time for the head of a request, and for the process to answer it.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time for a request and its answer.
pub const TIMEOUT: Duration = Duration::from_secs(20);
/// Longest head of a request, bytes.
pub const HEAD_LEN_MAX: usize = 16 << 10;
/// Lines of the page /health; how many more there are is told in a last one.
pub const TROUBLES_MAX: usize = 256;

const _: () = assert!(HEAD_TIMEOUT.as_secs() < TIMEOUT.as_secs());
