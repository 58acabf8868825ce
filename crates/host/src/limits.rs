//! Limits of a long-running process: configuration, control socket, lists.

use std::time::Duration;

use swarm_files::limits::CACHE_FILES_MAX;
use swarm_link::limits::LINK_FINISH_TIMEOUT;

/// Longest configuration that is read, bytes.
pub const CONFIG_LEN_MAX: u64 = 4 << 20;
/// Contents that one node serves or fetches.
pub const CONTENTS_MAX: usize = 4096;
/// Contents that are hashed at once; each takes all cores that are free.
pub const OPENINGS_MAX: usize = 2;
/// Wait before a content that could not be opened is tried again.
pub const OPENING_RETRY: Duration = Duration::from_secs(30);
/// Longest request on a control socket, bytes.
pub const CONTROL_REQUEST_LEN_MAX: u64 = 1 << 20;
/// Longest answer on a control socket, bytes: all contents and peers there may be, with a ticket each.
pub const CONTROL_ANSWER_LEN_MAX: u64 = 64 << 20;
/// Clients of a control socket at once; further ones wait.
pub const CONTROL_CLIENTS_MAX: usize = 16;
/// Longest path of a control socket, bytes: `sun_path` is 108 on Linux and 104 elsewhere; the socket is made under a name
/// that is 4 longer.
pub const CONTROL_PATH_LEN_MAX: usize = 98;
/// Silence after which a control client is let go.
pub const CONTROL_IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Chunk buffers of everything that a node fetches, bytes.
pub const NODE_BUFFERS_LEN: u64 = 64 << 20;
/// What QUIC holds of all links of such a node, bytes each way.
pub const NODE_WINDOWS_LEN: u64 = 128 << 20;
/// Longest orderly end of a node; what is not done by then is cut off.
pub const NODE_STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest list of what peers were worth that is read, bytes.
pub const REPUTATIONS_LEN_MAX: u64 = 8 << 20;
/// Longest list of contents added at run time that is read, bytes.
pub const SAVED_LEN_MAX: u64 = 64 << 20;
/// Bytes that a node leaves free on the disk that it collects contents on.
pub const STORE_FREE_LEN_MIN: u64 = 16 << 20;
/// An offer whose manifest never came is forgotten after this time.
pub const UNHEARD_OFFER_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// When contents were last wanted is written down this often.
pub const WANTED_SAVE_INTERVAL: Duration = Duration::from_secs(60);

const _: () = assert!(CONTENTS_MAX * 2 <= CACHE_FILES_MAX);
const _: () = assert!(LINK_FINISH_TIMEOUT.as_secs() < NODE_STOP_TIMEOUT.as_secs());
