//! Limits of what peers can make the engine remember or do, with the relations that must hold between them.

use std::time::Duration;

use swarm_core::base::limits::{NEIGHBOURS_TARGET, PEX_SOURCES_MAX};

/// Contents one link may carry.
pub const HANDLES_PER_LINK_MAX: usize = 1024;
/// Requests a peer may have waiting here.
pub const REQUESTS_PER_LINK_MAX: usize = 1024;
/// Requests this node has open at one peer.
pub const REQUESTS_OPEN_MAX: usize = 256;
/// Links one node holds.
pub const LINKS_MAX: usize = 4096;
/// Nodes that the peer book remembers.
pub const PEERS_MAX: usize = 16 << 10;
/// A receiver tells the engine of payload this often, bytes; what the engine knows is at most so much behind.
pub const PROGRESS_REPORT_LEN: u32 = 256 << 10;
/// Neighbours of one content beyond which a node dials no more to fetch, unless more of them bring more: half of them come by
/// themselves, so both sides of the target are its own.
pub const NEIGHBOURS_DIALED_MAX: usize = 2 * NEIGHBOURS_TARGET as usize;
/// And where more bring more.
pub const NEIGHBOURS_WIDE_MAX: usize = 320;
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

const _: () = assert!(REQUESTS_OPEN_MAX <= REQUESTS_PER_LINK_MAX);
const _: () = assert!(PEX_DIALS_PER_INFORMER_MAX <= PEX_DIALS_PER_MINUTE_MAX);
const _: () = assert!(NEIGHBOURS_DIALED_MAX <= NEIGHBOURS_WIDE_MAX && NEIGHBOURS_WIDE_MAX <= LINKS_MAX);
