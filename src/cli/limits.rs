//! Limits of the command.

/// What QUIC holds of all links of a seed, bytes each way.
pub(super) const SEED_WINDOWS_LEN: u64 = 64 << 20;
