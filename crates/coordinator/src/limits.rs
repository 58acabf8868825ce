//! Limits of what nodes can make a coordinator hold.

use std::time::Duration;

/// Nodes linked to a coordinator at once, beside what the endpoint takes.
pub const COORDINATOR_LINKS_MAX: usize = 16 << 10;
/// Frames waiting to be written to a node by a coordinator; what does not fit is not said, and may be asked for again.
pub const COORDINATOR_QUEUE_FRAMES: usize = 256;
/// Announcements from one address (IPv6: one /64).
pub const REGISTRY_ENTRIES_PER_ADDRESS_MAX: usize = 64 << 10;
/// What nodes signed, bytes in all.
pub const REGISTRY_RECORDS_LEN_MAX: usize = 512 << 20;
/// Links that wait for a coordinator to take them.
pub const COORDINATOR_LINKS_WAITING_MAX: usize = 256;
/// What links and probes said and a coordinator has not yet answered.
pub const COORDINATOR_CALLS_WAITING_MAX: usize = 1024;
/// Rows that a coordinator writes at once.
pub const BOOK_ROWS_AT_ONCE: usize = 8192;
/// Nodes that a coordinator probes at once.
pub const PROBES_AT_ONCE: usize = 16;
/// Longest probe: dialing, the manifest, one chunk.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest manifest that a coordinator takes for a probe, bytes; of longer ones no chunk is tried.
pub const PROBE_MANIFEST_LEN_MAX: usize = 8 << 20;
/// Manifests that a coordinator keeps for probes, bytes of their bodies in all.
pub const PROBE_MANIFESTS_LEN_MAX: usize = 64 << 20;
