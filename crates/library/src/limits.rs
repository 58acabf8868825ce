//! Caps on what other nodes can cause with libraries.

/// Records of one commit.
pub const COMMIT_RECORDS_MAX: usize = 8192;
/// Bytes of the files that one commit carries: 64 GiB.
pub const COMMIT_CONTENT_LEN_MAX: u64 = 64 << 30;
/// Bytes of an encoded commit. 8192 records of long paths fit; an author that has longer ones makes smaller commits.
pub const COMMIT_LEN_MAX: usize = 8 << 20;
/// Bytes of records after which an author begins another commit.
pub const COMMIT_LEN_TARGET: usize = 4 << 20;
/// Authors of one library.
pub const AUTHORS_MAX: usize = 1024;
/// The greatest number of a commit. SQLite and JSON have no greater whole numbers.
pub const SEQ_MAX: u64 = 1 << 53;
/// Seconds by which a counter may be ahead of the time at which its commit was made, and that time ahead of a node's clock: 136 years. An
/// author whose clock is off by decades is heard, and a counter never comes near the greatest number.
pub const AHEAD_MAX_S: u64 = 1 << 32;
/// Authors that one version vector counts.
pub const VECTOR_AUTHORS_MAX: usize = 64;
/// Versions of one path that exclude each other; further ones are not taken.
pub const HEADS_MAX: usize = 16;
/// Voters about one proposal, of whom two votes are kept at most.
pub const VOTES_PER_PROPOSAL_MAX: usize = 256;
/// Proposals of one library that wait at once.
pub const PROPOSALS_MAX: usize = 4096;
/// Bytes of a reason that somebody gives.
pub const WHY_LEN_MAX: usize = 500;
/// Locks of one library at once.
pub const LOCKS_MAX: usize = 1024;
/// Locks of one holder, so that one node cannot take all.
pub const LOCKS_PER_HOLDER_MAX: usize = 256;
/// Bytes of an encoded lock with its signature.
pub const LOCK_LEN_MAX: usize = 5 << 10;
/// Longest time that a lock holds, milliseconds: a day.
pub const LOCK_TIME_MAX_MS: u64 = 24 * 3600 * 1000;
/// Contents that one Seek names.
pub const SEEK_CONTENTS_MAX: usize = 256;
/// Peers of one list.
pub const LISTED_PEERS_MAX: usize = 256;
/// Users of one list.
pub const LISTED_USERS_MAX: usize = 128;
/// Bytes of a name in such a list.
pub const LISTED_NAME_LEN_MAX: usize = 96;
/// Votes of one message.
pub const VOTES_PER_FRAME_MAX: usize = 128;
/// Bytes of an encoded vote with its signature.
pub const VOTE_LEN_MAX: usize = 900;
/// Nodes that one grant of a key names; more need several grants.
pub const GRANT_NODES_MAX: usize = 128;
/// Bytes of an encoded grant with its signature.
pub const GRANT_LEN_MAX: usize = 24 << 10;
/// Grants of one message.
pub const GRANTS_PER_FRAME_MAX: usize = 4;
/// Grants of one library. Those of nodes that are not trusted take a quarter of it at most.
pub const GRANTS_MAX: usize = 4096;
/// Bytes of a commit in one frame.
pub const PIECE_LEN: usize = 64 << 10;
/// Bytes of the files of one pack.
pub const PACK_LEN_MAX: usize = 96 << 10;
/// Files of one pack.
pub const PACK_FILES_MAX: usize = 256;
/// Bytes of a recipe: ten million pieces are a file of 600 GB.
pub const RECIPE_LEN_MAX: usize = 64 << 20;
/// Ranges that one request for a recipe names.
pub const RECIPE_RANGES_MAX: usize = 1024;
/// Bytes of all ranges of one request: what a disk reads in a few seconds.
pub const RECIPE_SPAN_MAX: u64 = 1 << 30;
/// Bytes of a range whose slices are asked for: it is read into memory.
pub const SLICED_LEN_MAX: u64 = 16 << 20;
/// Bytes of a name, user, password or activity.
pub const TEXT_LEN_MAX: usize = 1024;

const _: () = assert!(COMMIT_LEN_TARGET * 2 <= COMMIT_LEN_MAX);
const _: () = assert!(PIECE_LEN + 1024 <= swarm_core::base::limits::FRAME_LEN_MAX);
// What a message may hold fits in a frame: positions of all authors, the longest votes, the longest lists.
const _: () = assert!(AUTHORS_MAX * 96 + 1024 <= swarm_core::base::limits::FRAME_LEN_MAX);
const _: () =
    assert!(VOTES_PER_FRAME_MAX * (VOTE_LEN_MAX + 8) + 64 <= swarm_core::base::limits::FRAME_LEN_MAX);
const _: () = assert!(
    LISTED_PEERS_MAX * (48 + swarm_core::base::limits::ADDRESS_LEN_MAX + LISTED_NAME_LEN_MAX)
        + LISTED_USERS_MAX * (24 + LISTED_NAME_LEN_MAX)
        <= swarm_core::base::limits::FRAME_LEN_MAX
);
const _: () =
    assert!(GRANTS_PER_FRAME_MAX * (GRANT_LEN_MAX + 8) + 64 <= swarm_core::base::limits::FRAME_LEN_MAX);
// A node, its key of 80 bytes, and the keys of their fields; a node that was removed.
const _: () = assert!(GRANT_NODES_MAX * (32 + 80 + 8 + 36) + 256 <= GRANT_LEN_MAX);
const _: () = assert!(5 * 40 + 64 + WHY_LEN_MAX <= VOTE_LEN_MAX);
const _: () = assert!(swarm_sync::limits::PATH_LEN_MAX + WHY_LEN_MAX + 300 <= LOCK_LEN_MAX);
const _: () = assert!(LOCKS_PER_HOLDER_MAX * 4 <= LOCKS_MAX);
