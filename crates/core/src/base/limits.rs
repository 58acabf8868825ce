//! Limits of what something from outside can cause, where more than one crate knows them: the protocol and the formats. A limit
//! that one crate alone needs stands in the `limits` of that crate.

use std::time::Duration;

/// Longest canonical manifest body, bytes: 1.3 million chunks of 8 MiB (10 TB) need 42 MB.
pub const MANIFEST_BODY_LEN_MAX: usize = 64 << 20;
/// Longest `.swarm` file, bytes: a body and what may stand around it.
pub const MANIFEST_FILE_LEN_MAX: usize = MANIFEST_BODY_LEN_MAX + (1 << 20);
/// Bytes of the body that travel in one manifest page.
pub const MANIFEST_PAGE_LEN: usize = 64 << 10;
/// Manifest pages asked for before the first has come.
pub const MANIFEST_PAGES_IN_FLIGHT: u32 = 16;
/// Most files in one content. The cap bounds the memory that a manifest from outside can cost.
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
/// Most gap/run numbers in one Have or Lost: as varints they fit in one frame.
pub const HAVE_RUNS_MAX: usize = 8192;
/// Most feature names in a Hello, and the longest of them.
pub const FEATURES_MAX: usize = 64;
/// Longest feature or agent name, bytes.
pub const NAME_LEN_MAX: usize = 64;
/// A link on which nothing arrives for so long is lost.
pub const LINK_IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a node asks again whether its linked peers may still be linked: certificates expire while a link stands.
pub const ADMISSION_CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// Nodes on one allow list (of nodes that may link, or of the readers of a content).
pub const MEMBERS_MAX: usize = 100_000;
/// Contents that a registry knows.
pub const REGISTRY_CONTENTS_MAX: usize = 16 << 10;
/// Nodes of one content that a registry knows.
pub const REGISTRY_NODES_MAX: usize = 64 << 10;
/// Announcements in all, about 1 KiB each.
pub const REGISTRY_ENTRIES_MAX: usize = 256 << 10;
/// A coordinator forgets an announcement after this time, unless it is repeated.
pub const ANNOUNCE_TIME_TO_LIVE: Duration = Duration::from_secs(5 * 60);
/// Time between two announcements of what has not changed: two may be lost.
pub const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(100);
/// Contents that one node announces to a coordinator.
pub const ANNOUNCED_CONTENTS_MAX: usize = 4096;
/// Peers that one announcement names as linked.
pub const ANNOUNCE_LINKS_MAX: usize = 64;
/// Longest zone, bytes.
pub const ZONE_LEN_MAX: usize = 64;
/// Longest signed body of an announcement, bytes.
pub const ANNOUNCE_LEN_MAX: usize = 10 << 10;
/// Addresses of one node that a coordinator passes on.
pub const NEIGHBOUR_ADDRESSES_MAX: usize = 8;
/// Coordinators that one content is announced to.
pub const COORDINATORS_MAX: usize = 8;
/// Neighbours that each node is introduced to: a random regular graph with about ten is connected and shallow at any size.
pub const NEIGHBOURS_TARGET: u32 = 10;
/// Peers named in one message: more than a node ever lacks.
pub const PEX_SOURCES_MAX: usize = 16;
/// Addresses of each such peer: one that worked and a few others.
pub const PEX_ADDRESSES_MAX: usize = 4;

const _: () = assert!(MANIFEST_PAGE_LEN + 64 <= FRAME_LEN_MAX);
const _: () = assert!(HAVE_RUNS_MAX * 5 + 64 <= FRAME_LEN_MAX);
const _: () = assert!(SOURCE_ADDRESSES_MAX * (ADDRESS_LEN_MAX + 4) + 64 <= SOURCE_LEN_MAX);
const _: () = assert!(CHUNK_LEN_LOG2_MIN <= CHUNK_LEN_LOG2_AUTO_MIN);
const _: () = assert!(CHUNK_LEN_LOG2_AUTO_MIN <= CHUNK_LEN_LOG2_AUTO_MAX);
const _: () = assert!(CHUNK_LEN_LOG2_AUTO_MAX <= CHUNK_LEN_LOG2_MAX);
const _: () = assert!(RUN_LEN_TARGET <= 1 << CHUNK_LEN_LOG2_MAX);
const _: () = assert!(ANNOUNCE_INTERVAL.as_secs() * 3 <= ANNOUNCE_TIME_TO_LIVE.as_secs());
const _: () = assert!(
    NEIGHBOURS_TARGET as usize * (ANNOUNCE_LEN_MAX + NEIGHBOUR_ADDRESSES_MAX * ADDRESS_LEN_MAX + 256)
        < FRAME_LEN_MAX
);
const _: () = assert!(SOURCE_ADDRESSES_MAX * (ADDRESS_LEN_MAX + 4) + ZONE_LEN_MAX + 256 < ANNOUNCE_LEN_MAX);
const _: () = assert!(ANNOUNCE_LEN_MAX + ANNOUNCE_LINKS_MAX * 34 + 64 < FRAME_LEN_MAX);
const _: () =
    assert!(PEX_SOURCES_MAX * (PEX_ADDRESSES_MAX * (ADDRESS_LEN_MAX + 4) + 64) + 64 <= FRAME_LEN_MAX);
const _: () = assert!(PEX_ADDRESSES_MAX <= SOURCE_ADDRESSES_MAX);
