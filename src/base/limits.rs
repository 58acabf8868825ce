//! Every limit that something from outside runs into, in one place, with the relations that must hold between them.

use std::time::Duration;

/// Longest canonical manifest body, bytes: 1.3 million chunks of 8 MiB (10 TB) need 42 MB.
pub const MANIFEST_BODY_LEN_MAX: usize = 64 << 20;
/// Longest `.swarm` file, bytes: a body and what may stand around it.
pub const MANIFEST_FILE_LEN_MAX: usize = MANIFEST_BODY_LEN_MAX + (1 << 20);
/// Bytes of the body that travel in one manifest page.
pub const MANIFEST_PAGE_LEN: usize = 64 << 10;
/// Manifest pages asked for before the first has come.
pub const MANIFEST_PAGES_IN_FLIGHT: u32 = 16;
/// Most files one content may hold.
pub const FILES_MAX: usize = 1 << 20;
/// Most chunks one content may hold; a bitfield is then 512 KiB.
pub const CHUNKS_MAX: u32 = 1 << 22;
/// Longest path in a manifest, bytes.
pub const PATH_LEN_MAX: usize = 4096;
/// Longest component of a path, bytes; what ext4, xfs, btrfs and APFS allow.
pub const PATH_COMPONENT_LEN_MAX: usize = 255;
/// Deepest path, components.
pub const PATH_DEPTH_MAX: usize = 128;
/// Longest comment in a manifest, bytes.
pub const COMMENT_LEN_MAX: usize = 64 << 10;
/// Most sources in a manifest or ticket.
pub const SOURCES_MAX: usize = 1024;
/// Most addresses of one source.
pub const SOURCE_ADDRESSES_MAX: usize = 32;
/// Longest source in a manifest, bytes: a key and its addresses, and room for what later versions say.
pub const SOURCE_LEN_MAX: usize = 16 << 10;
/// Longest address: a host name (RFC 1035: 253) and a port.
pub const ADDRESS_LEN_MAX: usize = 260;
/// Most signatures on a manifest.
pub const SIGNATURES_MAX: usize = 64;
/// Nodes that a ticket may hold a key for, each in 80 bytes.
pub const WRAPPED_KEYS_MAX: usize = 64;
/// Longest ticket, characters.
pub const TICKET_LEN_MAX: usize = 64 << 10;

/// Shortest chunk, as a power of two (16 KiB): below it BLAKE3 is slow and manifests are long.
pub const CHUNK_LEN_LOG2_MIN: u8 = 14;
/// Longest chunk, as a power of two (16 MiB): a chunk is held in memory whole.
pub const CHUNK_LEN_LOG2_MAX: u8 = 24;
/// Shortest chunk chosen by itself (1 MiB).
pub const CHUNK_LEN_LOG2_AUTO_MIN: u8 = 20;
/// Longest chunk chosen by itself (8 MiB).
pub const CHUNK_LEN_LOG2_AUTO_MAX: u8 = 23;

/// Bytes of one run of chunks, unless a single chunk is longer: small files travel many to a stream.
pub const RUN_LEN_TARGET: u32 = 1 << 20;
/// Most chunks in one run.
pub const RUN_CHUNKS_MAX: u32 = 1024;

/// Longest frame on a control stream, bytes.
pub const FRAME_LEN_MAX: usize = 128 << 10;
/// Most gap/run numbers in one Have or Lost.
pub const HAVE_RUNS_MAX: usize = 8192;
/// Most feature names in a Hello, and the longest of them.
pub const FEATURES_MAX: usize = 64;
/// Longest feature or agent name, bytes.
pub const NAME_LEN_MAX: usize = 64;
/// Contents one link may carry.
pub const HANDLES_PER_LINK_MAX: usize = 1024;
/// Requests a peer may have waiting here.
pub const REQUESTS_PER_LINK_MAX: usize = 1024;
/// Requests this node has open at one peer.
pub const REQUESTS_OPEN_MAX: usize = 256;
/// Links one node holds.
pub const LINKS_MAX: usize = 4096;
/// Frames waiting to be written to one control stream.
pub const CONTROL_QUEUE_FRAMES: usize = 4096;
/// Chunk streams a peer may have open towards this node.
pub const CHUNK_STREAMS_PER_LINK_MAX: u32 = 64;

// Transport.

/// Longest time from the wish for a link to a finished handshake, over all addresses of a node.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// Head start that one address has over the next (RFC 8305 recommends 250 ms).
pub const DIAL_STAGGER: Duration = Duration::from_millis(250);
/// Names of hosts that are looked up at a time, over all dials; further ones wait.
pub const RESOLVES_AT_ONCE: usize = 64;
/// Longest handshake of a node that dials in.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The same, while half of the places for handshakes are taken: whoever begins many and finishes none is to be in the way of
/// others for no longer. On a path of 500 ms one takes 1 s.
pub const HANDSHAKE_TIMEOUT_CROWDED: Duration = Duration::from_secs(2);
/// Handshakes of dialing nodes that go on at once; further ones wait.
pub const HANDSHAKES_MAX: usize = 256;
/// Handshakes going on from which a dialing node has to prove first that its address is its own.
pub const HANDSHAKES_UNPROVEN_MAX: usize = 64;
/// Dialing nodes that wait for their handshake to begin; further ones are refused.
pub const HANDSHAKES_WAITING_MAX: usize = 256;
/// Early bytes kept for one waiting dialer, and for all of them.
pub const HANDSHAKE_WAITING_LEN_MAX: u64 = 16 << 10;
/// See [`HANDSHAKE_WAITING_LEN_MAX`].
pub const HANDSHAKES_WAITING_LEN_MAX: u64 = 4 << 20;
/// Silence after which a link is lost.
pub const LINK_IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// Silence after which a sign of life is sent; three may be lost. NAT mappings of UDP live 30 s and longer.
pub const LINK_KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Longest wait for the last control frames to be acknowledged before a link closes.
pub const LINK_FINISH_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait for closing packets to leave when a node ends.
pub const ENDPOINT_CLOSE_TIMEOUT: Duration = Duration::from_millis(250);
/// Longest reason given or kept when a link closes, bytes.
pub const CLOSE_REASON_LEN_MAX: usize = 256;
/// Received and not yet read on a link over which nothing long was asked for, bytes: before its control stream stands nobody reads
/// there, later there is little to say, and it costs its sender nothing but a key.
pub const EARLY_RECEIVE_WINDOW_LEN: u32 = 64 << 10;
/// Written and not yet acknowledged on a link within one machine, bytes: the path is short, and what waits here no longer than it
/// must is still in the processor's cache when it is encrypted.
pub const LOCAL_SEND_WINDOW_LEN: u32 = 2 << 20;
/// Longest time for which a peer takes nothing of what it asked for. One that may receive 20 KB/s takes something every 26 s.
pub const UPLOAD_STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Control frames are gathered into writes of about this many bytes.
pub const FRAMES_GATHERED_LEN: usize = 64 << 10;
/// Kernel buffer asked for the UDP socket, each way, bytes. The usual 208 KiB overflow at once above 1 Gbit/s.
pub const UDP_BUFFER_LEN: usize = 8 << 20;
/// Longest UDP payload searched for on a network: Ethernet's 1500 less IPv6 and UDP headers.
pub const DATAGRAM_LEN_MAX: u16 = 1452;
/// Longest UDP payload searched for within one machine: 1.9 GB/s where 1452 gives 0.7, and still 1.3 with the kernel buffers
/// of 208 KiB that an unprivileged user gets. A batch of 10 stays below the 64 KiB of one send; above, throughput collapses.
pub const DATAGRAM_LEN_MAX_LOCAL: u16 = 6500;
/// What QUIC demands of every path (RFC 9000, 14).
pub const DATAGRAM_LEN_MIN: u16 = 1200;
/// Longest handshake that asks who is at an address.
pub const IDENTIFY_TIMEOUT: Duration = Duration::from_secs(5);
/// Addresses outside that a node is told of; more than one only where a gateway changes its own.
pub const LEARNED_ADDRESSES_MAX: usize = 4;
/// Most keys in one state folder, thus most nodes of one user at once.
pub const KEY_SLOTS_MAX: u32 = 256;
/// Longest key or claim file that is read, bytes.
pub const KEY_FILE_LEN_MAX: u64 = 4096;

const _: () = assert!(MANIFEST_PAGE_LEN + 64 <= FRAME_LEN_MAX);
const _: () = assert!(EARLY_RECEIVE_WINDOW_LEN <= COORDINATOR_RECEIVE_WINDOW_LEN);
const _: () = assert!(HAVE_RUNS_MAX * 5 + 64 <= FRAME_LEN_MAX);
const _: () = assert!(SOURCE_ADDRESSES_MAX * (ADDRESS_LEN_MAX + 4) + 64 <= SOURCE_LEN_MAX);
const _: () = assert!(REQUESTS_OPEN_MAX <= REQUESTS_PER_LINK_MAX);
const _: () = assert!(CHUNK_LEN_LOG2_MIN <= CHUNK_LEN_LOG2_AUTO_MIN);
const _: () = assert!(CHUNK_LEN_LOG2_AUTO_MIN <= CHUNK_LEN_LOG2_AUTO_MAX);
const _: () = assert!(CHUNK_LEN_LOG2_AUTO_MAX <= CHUNK_LEN_LOG2_MAX);
const _: () = assert!(RUN_LEN_TARGET <= 1 << CHUNK_LEN_LOG2_MAX);

/// How often a node looks whether those that are linked may still be: certificates end.
pub const ADMISSION_CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// A file that says who belongs: a list of [`MEMBERS_MAX`] nodes with comments, or of as many revocations.
pub const CREDENTIALS_LEN_MAX: usize = 16 << 20;

/// Nodes on one list of who may link, or of who may have a content.
pub const MEMBERS_MAX: usize = 100_000;

/// Nodes that the peer book remembers.
pub const PEERS_MAX: usize = 16 << 10;
const _: () = assert!(DATAGRAM_LEN_MAX_LOCAL as usize * 10 < 65_507);
const _: () = assert!(HANDSHAKES_UNPROVEN_MAX <= HANDSHAKES_MAX);
const _: () = assert!(LINK_KEEP_ALIVE.as_secs() * 3 < LINK_IDLE_TIMEOUT.as_secs());
// Storage.

/// Files a store holds open at once: a content may have a hundred thousand, a process gets 1024 descriptors.
pub const OPEN_FILES_MAX: usize = 128;
/// Files of these that a store holds open a second time, for writing past the page cache.
pub const OPEN_DIRECT_FILES_MAX: usize = 16;
/// Bytes a hashing thread reads at once: long enough for BLAKE3 to be fast, short enough to stay in the cache.
pub const HASH_READ_LEN: usize = 512 << 10;
/// Bytes hashed between two progress reports.
pub const PROGRESS_STEP_LEN: u64 = 16 << 20;
/// Dirty files synced one by one; beyond it one sync of the file system is quicker.
pub const SYNC_FILES_MAX: usize = 64;
/// Runs of chunks in one journal record (64 KiB of them).
pub const JOURNAL_RECORD_RUNS_MAX: usize = 8192;
/// Most space set aside for the journal's records, bytes.
pub const JOURNAL_RESERVE_LEN_MAX: u64 = 4 << 20;
/// Chunks re-hashed on resume to see whether the journal tells the truth.
pub const RESUME_SAMPLES_MAX: usize = 16;
/// Locks that keep a chunk's writers apart.
pub const CHUNK_LOCKS: usize = 64;
/// Longest index cache file that is read, bytes.
pub const CACHE_FILE_LEN_MAX: u64 = 256 << 20;
/// Index cache files kept; the oldest go first.
pub const CACHE_FILES_MAX: usize = 8192;
/// A file changed within this many nanoseconds may change again without its times showing it (FAT counts in 2 s).
pub const RACY_NANOS: i128 = 2_000_000_000;

const _: () = assert!(HASH_READ_LEN <= 2 << 20);

// A node as a service.

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
/// Clients of the metrics page at once; further ones wait.
pub const METRICS_CLIENTS_MAX: usize = 16;
/// Longest time for the head of a request for the metrics page.
pub const METRICS_HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time for a request for the metrics page and its answer.
pub const METRICS_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest head of a request for the metrics page, bytes.
pub const METRICS_HEAD_LEN_MAX: usize = 16 << 10;
/// Chunk buffers of everything that a node fetches, bytes.
pub const NODE_BUFFERS_LEN: u64 = 64 << 20;
/// What QUIC holds of all links of such a node, bytes each way.
pub const NODE_WINDOWS_LEN: u64 = 128 << 20;
/// What QUIC holds of all links of a seed, bytes each way.
pub const SEED_WINDOWS_LEN: u64 = 64 << 20;
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
const _: () = assert!(METRICS_HEAD_TIMEOUT.as_secs() < METRICS_TIMEOUT.as_secs());
const _: () = assert!(LINK_FINISH_TIMEOUT.as_secs() < NODE_STOP_TIMEOUT.as_secs());

/// A receiver tells the engine of payload this often, bytes; what the engine knows is at most so much behind.
pub const PROGRESS_REPORT_LEN: u32 = 256 << 10;

// Coordinator.

/// Contents that a registry knows.
pub const REGISTRY_CONTENTS_MAX: usize = 16 << 10;
/// Nodes of one content that a registry knows.
pub const REGISTRY_NODES_MAX: usize = 64 << 10;
/// Announcements in all, about 1 KiB each.
pub const REGISTRY_ENTRIES_MAX: usize = 256 << 10;
/// What a coordinator forgets unless it is announced again.
pub const ANNOUNCE_TIME_TO_LIVE: Duration = Duration::from_secs(5 * 60);
/// Time between two announcements of what has not changed: two may be lost.
pub const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(100);
/// Peers that one announcement names as linked.
pub const ANNOUNCE_LINKS_MAX: usize = 64;
/// Longest zone, bytes.
pub const ZONE_LEN_MAX: usize = 64;
/// Longest signed body of an announcement, bytes.
pub const ANNOUNCE_LEN_MAX: usize = 10 << 10;
/// Contents that one node announces to a coordinator.
pub const ANNOUNCED_CONTENTS_MAX: usize = 4096;
/// Addresses that a coordinator hands out of one node.
pub const NEIGHBOUR_ADDRESSES_MAX: usize = 8;
/// Nodes linked to a coordinator at once, beside what the endpoint takes.
pub const COORDINATOR_LINKS_MAX: usize = 16 << 10;
/// Received and not yet read on a link to a coordinator, bytes.
pub const COORDINATOR_RECEIVE_WINDOW_LEN: u32 = 256 << 10;
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
/// Coordinators that one content is announced to.
pub const COORDINATORS_MAX: usize = 8;
/// Nodes that were found and wait to be looked at.
pub const FOUND_WAITING_MAX: usize = 256;
/// Nodes that a coordinator probes at once.
pub const PROBES_AT_ONCE: usize = 16;
/// Longest probe: dialing, the manifest, one chunk.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest manifest that a coordinator takes for a probe, bytes; of longer ones no chunk is tried.
pub const PROBE_MANIFEST_LEN_MAX: usize = 8 << 20;
/// Manifests that a coordinator keeps for probes, bytes of their bodies in all.
pub const PROBE_MANIFESTS_LEN_MAX: usize = 64 << 20;
/// Neighbours each node is brought to: with about ten a random regular graph of any size hangs together and is shallow.
pub const NEIGHBOURS_TARGET: u32 = 10;

const _: () = assert!(ANNOUNCE_INTERVAL.as_secs() * 3 <= ANNOUNCE_TIME_TO_LIVE.as_secs());
const _: () = assert!(
    NEIGHBOURS_TARGET as usize * (ANNOUNCE_LEN_MAX + NEIGHBOUR_ADDRESSES_MAX * ADDRESS_LEN_MAX + 256)
        < FRAME_LEN_MAX
);
const _: () = assert!(SOURCE_ADDRESSES_MAX * (ADDRESS_LEN_MAX + 4) + ZONE_LEN_MAX + 256 < ANNOUNCE_LEN_MAX);
const _: () = assert!(ANNOUNCE_LEN_MAX + ANNOUNCE_LINKS_MAX * 34 + 64 < FRAME_LEN_MAX);
/// Neighbours of one content beyond which a node dials nobody to fetch, unless more of them bring more: half of them come by
/// themselves, so both sides of the target are its own.
pub const NEIGHBOURS_DIALED_MAX: usize = 2 * NEIGHBOURS_TARGET as usize;
/// And where more bring more.
pub const NEIGHBOURS_WIDE_MAX: usize = 320;

// Peer exchange.

/// Peers told of in one message: more than anybody lacks.
pub const PEX_SOURCES_MAX: usize = 16;
/// Addresses of each: one that worked and a few others.
pub const PEX_ADDRESSES_MAX: usize = 4;
/// A peer is told of others of one content no more often.
pub const PEX_INTERVAL: Duration = Duration::from_secs(30);
/// Peers heard of and not dialed that are remembered, over all contents.
pub const PEX_HEARD_MAX: usize = 1024;
/// Of them, those that one peer told of.
pub const PEX_HEARD_PER_INFORMER_MAX: usize = 2 * PEX_SOURCES_MAX;
/// Dials a minute to peers that were only heard of: a liar who names victims gets each node to send them about 10 KB, once a
/// second in all; a newcomer needs about ten.
pub const PEX_DIALS_PER_MINUTE_MAX: usize = 60;
/// Of them, those that one peer told of: a newcomer who knows one seed alone still gets all its neighbours from it.
pub const PEX_DIALS_PER_INFORMER_MAX: usize = 16;

const _: () =
    assert!(PEX_SOURCES_MAX * (PEX_ADDRESSES_MAX * (ADDRESS_LEN_MAX + 4) + 64) + 64 <= FRAME_LEN_MAX);
const _: () = assert!(PEX_DIALS_PER_INFORMER_MAX <= PEX_DIALS_PER_MINUTE_MAX);
const _: () = assert!(PEX_ADDRESSES_MAX <= SOURCE_ADDRESSES_MAX);
const _: () = assert!(NEIGHBOURS_DIALED_MAX <= NEIGHBOURS_WIDE_MAX && NEIGHBOURS_WIDE_MAX <= LINKS_MAX);

// Finding peers on the local network.

/// Contents that a node announces at once: their short ids, the node's key and its addresses stay within one datagram.
/// A node that takes part in more announces first what it looks for and what others here ask for, and the rest by turns.
pub const LAN_CONTENTS_MAX: usize = 64;
/// Short ids in one string of a TXT record, which may be 255 bytes long.
pub const LAN_IDS_PER_STRING: usize = 16;
/// Addresses that are taken from one announcement.
pub const LAN_ADDRESSES_MAX: usize = 16;
/// Announcing nodes that are remembered; further ones are not heard until one of these goes.
pub const LAN_NODES_MAX: usize = 512;
/// Time after which contents that do not fit change places.
pub const LAN_TURN: Duration = Duration::from_secs(60);
/// Records that the responder may remember before it is started anew, without them: it has no limit of its own. An honest
/// node makes about eight, on a machine with four addresses.
pub const LAN_RECORDS_MAX: i64 = 16 << 10;
/// Longest wait for the words that take an announcement back.
pub const LAN_GOODBYE_TIMEOUT: Duration = Duration::from_millis(500);

const _: () = assert!(LAN_IDS_PER_STRING * 8 * 4 / 3 + 8 <= 255);
const _: () = assert!(LAN_CONTENTS_MAX.is_multiple_of(LAN_IDS_PER_STRING));
const _: () = assert!(LAN_ADDRESSES_MAX <= SOURCE_ADDRESSES_MAX);
const _: () = assert!(LAN_NODES_MAX * 8 <= LAN_RECORDS_MAX as usize);

const _: () = assert!(LEARNED_ADDRESSES_MAX < SOURCE_ADDRESSES_MAX);
const _: () = assert!(IDENTIFY_TIMEOUT.as_secs() <= DIAL_TIMEOUT.as_secs());

// Finding peers by the DHT.

/// Lookups and announcements that go on at once, each some fifty datagrams.
pub const DHT_QUERIES_MAX: usize = 4;
/// Longest lookup or announcement: an honest one is done in ten seconds.
pub const DHT_QUERY_TIMEOUT: Duration = Duration::from_secs(30);
/// Addresses that are taken from one lookup.
pub const DHT_ADDRESSES_PER_LOOKUP_MAX: usize = 64;
/// Addresses that are asked at once who is there.
pub const DHT_PROBES_MAX: usize = 8;
/// Addresses that were asked and are remembered; the oldest go first.
pub const DHT_ADDRESSES_MAX: usize = 4096;
/// Time for which an address is not asked again: what the DHT says may be meant to have somebody else flooded.
pub const DHT_ADDRESS_LIFE: Duration = Duration::from_secs(600);
/// Time after which a content is announced again; nodes of the DHT forget after half an hour or more.
pub const DHT_ANNOUNCE_INTERVAL: Duration = Duration::from_secs(900);
/// Time to the second lookup of a content without peers, or to another try of what failed; it doubles from there.
pub const DHT_RETRY_MIN: Duration = Duration::from_secs(10);
/// Longest time between two lookups of what is still wanted.
pub const DHT_LOOKUP_INTERVAL: Duration = Duration::from_secs(600);

const _: () = assert!(DHT_RETRY_MIN.as_secs() < DHT_LOOKUP_INTERVAL.as_secs());
const _: () = assert!(DHT_ADDRESSES_PER_LOOKUP_MAX * DHT_QUERIES_MAX < DHT_ADDRESSES_MAX);

// Mapped ports.

/// Time for which a port is asked for; what RFC 6886 recommends. It is renewed when half of it is over.
pub const PORT_LEASE_LEN_MAX: Duration = Duration::from_secs(7200);
/// Shortest time between a gateway's grant and what is taken for its end: it is not asked more often.
pub const PORT_LEASE_LEN_MIN: Duration = Duration::from_secs(120);
/// Wait before a port that was not renewed is asked for again.
pub const PORT_RENEW_RETRY: Duration = Duration::from_secs(15);
/// Wait before gateways are asked again where none gave a port.
pub const PORT_MAP_RETRY: Duration = Duration::from_secs(600);
/// Longest search for a UPnP gateway.
pub const PORT_SEARCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for a port before a ticket is made without it: four datagrams to the gateway, and a search.
pub const PORT_MAP_PATIENCE: Duration = Duration::from_secs(10);
/// Longest wait for a gateway to take a port back.
pub const PORT_RELEASE_TIMEOUT: Duration = Duration::from_secs(1);

const _: () = assert!(PORT_LEASE_LEN_MIN.as_secs() / 2 > PORT_RENEW_RETRY.as_secs());
const _: () = assert!(PORT_LEASE_LEN_MIN.as_secs() <= PORT_LEASE_LEN_MAX.as_secs());
