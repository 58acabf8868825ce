//! Limits of links: handshakes, timers, windows, datagrams, key files.

use std::time::Duration;

use swarm_core::base::limits::{LINK_IDLE_TIMEOUT, SOURCE_ADDRESSES_MAX};

/// Chunk streams a peer may have open towards this node.
pub const CHUNK_STREAMS_PER_LINK_MAX: u32 = 64;
/// Longest dial, from its start to a finished handshake, over all addresses of a node.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// Head start that one address has over the next (RFC 8305 recommends 250 ms).
pub const DIAL_STAGGER: Duration = Duration::from_millis(250);
/// Host names resolved at once, over all dials; others wait. A resolver call occupies a blocking thread until it returns.
pub const RESOLVES_AT_ONCE: usize = 64;
/// Longest handshake of a node that dials in.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest handshake of a node that dials in while half of the handshake slots are taken: a client that starts many and finishes
/// none must not block others for longer. On a path of 500 ms a handshake takes 1 s.
pub const HANDSHAKE_TIMEOUT_CROWDED: Duration = Duration::from_secs(2);
/// Handshakes of dialing nodes at once; others wait.
pub const HANDSHAKES_MAX: usize = 256;
/// Number of handshakes from which on a dialing node must first prove its address (a QUIC Retry).
pub const HANDSHAKES_UNPROVEN_MAX: usize = 64;
/// Dialing nodes that wait for their handshake to start; others are refused.
pub const HANDSHAKES_WAITING_MAX: usize = 256;
/// Links over other transports that wait for the node to take them; those after them wait with their handshake done.
pub const CARRIED_WAITING_MAX: usize = 64;
/// Early bytes kept for one waiting dialer.
pub const HANDSHAKE_WAITING_LEN_MAX: u64 = 16 << 10;
/// Early bytes kept for all waiting dialers.
pub const HANDSHAKES_WAITING_LEN_MAX: u64 = 4 << 20;
/// A link that is idle for so long sends a keep-alive; three may be lost. NAT mappings of UDP live 30 s and longer.
pub const LINK_KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Longest wait for the last control frames to be acknowledged before a link closes.
pub const LINK_FINISH_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait for closing packets to leave when a node ends.
pub const ENDPOINT_CLOSE_TIMEOUT: Duration = Duration::from_millis(250);
/// Longest reason given or kept when a link closes, bytes.
pub const CLOSE_REASON_LEN_MAX: usize = 256;
/// Bytes received and not yet read on a link over which nothing long was requested: before its control stream stands no task
/// reads there, and later little is said. A peer needs only a key to fill this window, so it is small.
pub const EARLY_RECEIVE_WINDOW_LEN: u32 = 64 << 10;
/// Bytes written and not yet acknowledged on a link within one machine: the path is short, and bytes that wait here briefly are
/// still in the processor's cache when they are encrypted.
pub const LOCAL_SEND_WINDOW_LEN: u32 = 2 << 20;
/// Control frames are gathered into writes of about this many bytes.
pub const FRAMES_GATHERED_LEN: usize = 64 << 10;
/// Kernel buffer requested for the UDP socket, each way, bytes. The usual 208 KiB overflow at once above 1 Gbit/s.
pub const UDP_BUFFER_LEN: usize = 8 << 20;
/// Longest UDP payload searched for on a network: Ethernet's 1500 less IPv6 and UDP headers.
pub const DATAGRAM_LEN_MAX: u16 = 1452;
/// Longest UDP payload searched for within one machine: 1.9 GB/s where 1452 gives 0.7, and still 1.3 with the kernel buffers
/// of 208 KiB that an unprivileged user gets. A batch of 10 stays below the 64 KiB of one send; above, throughput collapses.
pub const DATAGRAM_LEN_MAX_LOCAL: u16 = 6500;
/// QUIC requires every path to carry it (RFC 9000, section 14).
pub const DATAGRAM_LEN_MIN: u16 = 1200;
/// Longest handshake that only identifies the node at an address.
pub const IDENTIFY_TIMEOUT: Duration = Duration::from_secs(5);
/// Outside addresses that a node keeps; more than one only where a gateway changes its own.
pub const LEARNED_ADDRESSES_MAX: usize = 4;
/// Most keys in one state folder, and so most nodes that one user runs at once.
pub const KEY_SLOTS_MAX: u32 = 256;
/// Longest key or claim file that is read, bytes.
pub const KEY_FILE_LEN_MAX: u64 = 4096;
/// Bytes received and not yet read on a link to a coordinator.
pub const COORDINATOR_RECEIVE_WINDOW_LEN: u32 = 256 << 10;
/// Receive window of a link between nodes that keep libraries, bytes: half a million records come in some 80 MB of frames.
pub const LIBRARY_RECEIVE_WINDOW_LEN: u32 = 1 << 20;
/// Longest message of a channel to a page, bytes: a part of a chunk of 256 KiB, and what goes in front of it.
pub const CHANNEL_MESSAGE_LEN_MAX: usize = (256 << 10) + 64;
/// Bytes received and not yet read on a channel to a page, once its stream stands: some messages.
pub const WEB_RECEIVE_WINDOW_LEN: u32 = 1 << 20;
/// Datagrams of a page that are kept, bytes: nobody reads them, but HTTP/3 wants a node to take some.
pub const WEB_DATAGRAMS_LEN_MAX: usize = 2 << 10;
/// Channels to pages that wait for the node to take them; other pages are sent away.
pub const WEB_CHANNELS_WAITING_MAX: usize = 64;
/// Time that a certificate for browsers is served. The hash of the next one is published as long ahead.
pub const WEB_CERTIFICATE_ROTATION: Duration = Duration::from_secs(7 * 24 * 3600);
/// Time that a certificate for browsers is valid before and after it is served: so wrong may the clock of a page be.
pub const WEB_CERTIFICATE_MARGIN: Duration = Duration::from_secs(3 * 24 * 3600);
/// Longest span of a certificate that browsers accept by its hash (WebTransport, section "custom certificate requirements").
pub const WEB_CERTIFICATE_SPAN_MAX: Duration = Duration::from_secs(14 * 24 * 3600);

const _: () = assert!(CHUNK_STREAMS_PER_LINK_MAX as usize == swarm_carrier::limits::STREAMS_MAX);
const _: () = assert!(CLOSE_REASON_LEN_MAX == swarm_carrier::limits::CLOSE_REASON_LEN_MAX);
const _: () = assert!(EARLY_RECEIVE_WINDOW_LEN <= COORDINATOR_RECEIVE_WINDOW_LEN);
const _: () = assert!(DATAGRAM_LEN_MAX_LOCAL as usize * 10 < 65_507);
const _: () = assert!(HANDSHAKES_UNPROVEN_MAX <= HANDSHAKES_MAX);
const _: () = assert!(LINK_KEEP_ALIVE.as_secs() * 3 < LINK_IDLE_TIMEOUT.as_secs());
const _: () = assert!(LEARNED_ADDRESSES_MAX < SOURCE_ADDRESSES_MAX);
const _: () = assert!(IDENTIFY_TIMEOUT.as_secs() <= DIAL_TIMEOUT.as_secs());
const _: () = assert!(CHANNEL_MESSAGE_LEN_MAX < WEB_RECEIVE_WINDOW_LEN as usize);
const _: () = assert!(
    WEB_CERTIFICATE_ROTATION.as_secs() + 2 * WEB_CERTIFICATE_MARGIN.as_secs()
        < WEB_CERTIFICATE_SPAN_MAX.as_secs()
);
