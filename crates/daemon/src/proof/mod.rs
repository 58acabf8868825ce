//! How a user proves a password, to the API and to the exchange of libraries alike: one gate. `passwords` compares few at once, `backoff` says how long
//! somebody waits after wrong ones. Invariant: a wrong password counts and leaves a line in the audit log, whichever way it came and whether or not its
//! client is still there. Absent here: sessions and tokens (`swarm-api`), what a user may do.

mod backoff;
mod client;
mod passwords;

pub use client::{Client, of_one_client};
pub use passwords::{Busy, Gate, Passwords};
