//! The pages /metrics and /health of a process that runs for long: `serving` answers their clients. What a page tells comes from the process,
//! by [`Tells`].
//!
//! Invariant: so many clients at once, one request each, heads of a limited length and time. Absent here: what the figures are, passwords.

pub mod limits;

mod serving;

pub use serving::{Answer, OPENMETRICS, Page, Tells, client, serve};
