//! Limits of the resources that nodes can occupy in a coordinator.

use std::time::Duration;

/// Nodes linked to a coordinator at once, besides the endpoint's own limit.
pub const COORDINATOR_LINKS_MAX: usize = 16 << 10;
/// Frames that wait to be written to one node; further ones are dropped, and the node may ask again.
pub const COORDINATOR_QUEUE_FRAMES: usize = 256;
/// Announcements from one address (IPv6: one /64), so that one machine cannot fill the registry.
pub const REGISTRY_ENTRIES_PER_ADDRESS_MAX: usize = 64 << 10;
/// Length of all signed announcements, bytes.
pub const REGISTRY_RECORDS_LEN_MAX: usize = 512 << 20;
/// Links that wait until the coordinator accepts them.
pub const COORDINATOR_LINKS_WAITING_MAX: usize = 256;
/// Messages of links and probes that wait for the desk.
pub const COORDINATOR_CALLS_WAITING_MAX: usize = 1024;
/// Rows that a coordinator writes in one transaction.
pub const BOOK_ROWS_AT_ONCE: usize = 8192;
/// Nodes that a coordinator probes at once.
pub const PROBES_AT_ONCE: usize = 16;
/// Longest probe: dial, manifest, one chunk.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest manifest that a probe fetches, bytes; no chunk of longer ones is tested.
pub const PROBE_MANIFEST_LEN_MAX: usize = 8 << 20;
/// Manifests kept for probes, bytes of all bodies.
pub const PROBE_MANIFESTS_LEN_MAX: usize = 64 << 20;
