//! Limits of credential files.

/// Longest credential file, bytes: a list of [`MEMBERS_MAX`](swarm_core::base::limits::MEMBERS_MAX) nodes with comments, or as many
/// revocations.
pub const CREDENTIALS_LEN_MAX: usize = 16 << 20;
