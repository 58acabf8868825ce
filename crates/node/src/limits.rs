//! Limits of the queues of a running node.

use std::time::Duration;

/// Frames waiting to be written to one control stream.
pub const CONTROL_QUEUE_FRAMES: usize = 4096;
/// Longest time for which a peer takes nothing of what it asked for. One that may receive 20 KB/s takes something every 26 s.
pub const UPLOAD_STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Nodes that were found and wait to be looked at.
pub const FOUND_WAITING_MAX: usize = 256;
/// Events that wait for the product beside its full queue. At the limit the loop takes commands and checks links again, and nothing else:
/// facts wait in their bounded queue, streams and disks wait for that, and peers for those. Engine time stands still meanwhile, as if
/// the machine slept, so that no peer is given up for it.
pub const LATE_EVENTS_MAX: usize = 4096;
/// WebTransport sessions of pages at once, proven or not; others are turned away.
pub const WEB_SESSIONS_MAX: usize = 1024;
