//! Limits of a daemon.

use std::ops::RangeInclusive;
use std::time::Duration;

/// What waits for the worker of a library; links wait when it is full.
pub(crate) const INPUTS_WAITING_MAX: usize = 16;
/// What a worker takes before it makes a pass.
pub(crate) const INPUTS_AT_ONCE: usize = 64;
/// Bytes of records after which it makes one in any case: the files of the first commits are fetched while later commits are still being taken.
pub(crate) const RECORDS_LEN_AT_ONCE: usize = 1 << 20;
/// Files that a worker waits for and that nobody was told of yet, some 60 bytes each: the others are told again.
pub(crate) const WANTED_WAITING_MAX: usize = 256 << 10;
/// Bytes of packed files that one library holds in memory.
pub(crate) const PACKED_LEN_MAX: usize = 8 << 20;
/// Bytes of a commit's files up to which they are packed with it.
pub(crate) const PACKED_COMMIT_LEN_MAX: u64 = 512 << 10;
/// Links about libraries at once.
pub(crate) const LINKS_MAX: usize = 256;
/// Of these, with nodes that are neither peers of this node nor users that proved it.
pub(crate) const STRANGERS_MAX: usize = 64;
/// Libraries that one peer may name.
pub(crate) const STANDINGS_MAX: usize = 1024;
/// Libraries that a stranger may name.
pub(crate) const STRANGER_STANDINGS_MAX: usize = 16;
/// Authors that are remembered of all libraries that one peer names and this node does not have: 72 bytes each.
pub(crate) const POSITIONS_MAX: usize = 4096;
/// The same of all libraries that a stranger names.
pub(crate) const STRANGER_POSITIONS_MAX: usize = 1024;
/// Files with wrong bytes that one peer may report.
pub(crate) const FLAGS_PER_PEER_MAX: usize = 128;
/// Passwords that are compared at once, of users of the API and of peers: each takes 19 MiB and a core for some 60 ms.
pub(crate) const COMPARED_AT_ONCE: usize = 2;
/// Passwords that wait to be compared; further ones are sent away.
pub(crate) const COMPARISONS_WAITING_MAX: usize = 32;
/// What somebody waits when too many passwords are compared already.
pub(crate) const BUSY_WAIT: Duration = Duration::from_secs(1);
/// How long a password that was proven by Basic authentication is known without comparing it again.
pub(crate) const PROVEN_AGE: Duration = Duration::from_secs(300);
/// Passwords that are known in this way.
pub(crate) const PROVEN_MAX: usize = 256;
/// Wrong passwords for one name, or from one place, that cost no wait.
pub(crate) const FREE_FAILURES: u32 = 5;
/// The longest wait after wrong passwords, of a place, and of a name at a place.
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(15 * 60);
/// The longest wait of a name at places where it was not proven: somebody elsewhere may have caused it.
pub(crate) const NAME_BACKOFF_MAX: Duration = Duration::from_secs(60);
/// Names, places, and names at places that are remembered to have been wrong, each.
pub(crate) const BACKOFFS_MAX: usize = 4096;
/// A place where a name was proven waits for none of what others do under that name for so long.
pub(crate) const PLACE_PROVEN_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Names of which such places are remembered.
pub(crate) const NAMES_PROVEN_MAX: usize = 1024;
/// Such places of one name.
pub(crate) const PLACES_PROVEN_MAX: usize = 16;
/// Longest name of a user, bytes.
pub const NAME_LEN_MAX: usize = 256;
/// Longest password, bytes.
pub const PASSWORD_LEN_MAX: usize = 1024;
/// Length of the log of what users did, bytes, before it is put aside.
pub(crate) const AUDIT_LEN_MAX: u64 = 4 << 20;
/// Such logs that were put aside and are kept.
pub(crate) const AUDIT_KEPT: usize = 8;
/// Bytes of it that one user may fill at once: some five thousand lines.
pub(crate) const AUDIT_SHARE_LEN: u64 = 1 << 20;
/// The same each second, from then on: it takes a user twelve days to fill all logs that are kept.
pub(crate) const AUDIT_LEN_PER_SEC: u64 = 32;
/// Users of whom that is remembered; further ones share.
pub(crate) const AUDIT_SHARES_MAX: usize = 1024;
/// Bytes of a name in a line of it.
pub(crate) const AUDIT_TEXT_LEN_MAX: usize = 256;
/// Messages from an index that wait to be written to one link.
pub(crate) const BULK_FRAMES: usize = 8;
/// Messages that wait to be written to one link.
pub(crate) const QUEUE_FRAMES: usize = 64;
/// Contents that are fetched at once.
pub(crate) const FETCHES_MAX: usize = 8;
/// Files of one library that were fetched and stand at no place yet, beyond which no further fetch begins: two passes of its worker.
pub(crate) const FILES_FETCHED_MAX: usize = 64 << 10;
/// Files of contents that are joined at once, beyond which those are left that nobody fetches: a file takes some 400 bytes.
pub(crate) const FILES_JOINED_MAX: usize = 64 << 10;
/// Contents that are joined for others at once.
pub(crate) const JOINED_MAX: usize = 64;
/// Bytes of files that are filled from older versions: a shorter one is a few chunks, the pieces of a longer one would fill the memory.
pub(crate) const FILLED_LEN: RangeInclusive<u64> = 4 << 20..=128 << 30;
/// Older versions that one file is filled from.
pub(crate) const OLD_VERSIONS_MAX: usize = 2;
/// Bytes of an answer about a file: slices of 1 GiB from both ends are 4 MiB.
pub(crate) const RECIPE_ANSWER_LEN_MAX: usize = 8 << 20;
/// Bytes of answers about files that are kept in memory.
pub(crate) const RECIPES_KEPT_LEN_MAX: usize = 16 << 20;
/// Origins that are used.
pub(crate) const ORIGINS_MAX: usize = 32;
/// Threads that wait for one origin at once, beside the one that its tasks run on.
pub(crate) const ORIGIN_THREADS_MAX: usize = 8;
/// Files that one origin lists, of all libraries together: a file takes some 400 bytes.
pub(crate) const ORIGIN_FILES_LISTED_MAX: usize = 1 << 20;
/// Files of one origin of which something wrong is told by name.
pub(crate) const ORIGIN_FAULTS_MAX: usize = 256;
/// Files of one origin that are remembered to be left alone.
pub(crate) const ORIGIN_FILES_RESTING_MAX: usize = 4096;
/// Bytes of chunks of one content that are kept while they are sent.
pub(crate) const ORIGIN_CHUNKS_KEPT_LEN_MAX: usize = 16 << 20;
/// Files that are taken over from an origin before it is looked again what it lists.
pub(crate) const ORIGIN_TAKES_AT_ONCE: usize = 1000;
/// Libraries on the page of metrics.
pub(crate) const LIBRARIES_LISTED_MAX: usize = 500;
/// Peers on it.
pub(crate) const PEERS_LISTED_MAX: usize = 500;
/// Libraries of peers on it.
pub(crate) const SHARES_LISTED_MAX: usize = 5000;
/// Bytes of a name on it.
pub(crate) const LABEL_LEN_MAX: usize = 128;
/// Bytes of a line of the page of health.
pub(crate) const TROUBLE_LEN_MAX: usize = 1024;
/// Wait before the pages try an address again that was taken.
pub(crate) const PAGE_RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// Bytes of a file from which on it is a transfer of its own; shorter ones of a commit are one together.
pub(crate) const FILE_JOB_LEN_MIN: u64 = 16 << 20;
/// Transfers that have a pause, a skip or a priority of their own.
pub(crate) const STEERED_MAX: usize = 1024;
/// Transfers that are listed; the others are counted.
pub const TRANSFERS_LISTED_MAX: usize = 256;
/// Cells of the map of a transfer.
pub const MAP_CELLS_MAX: u32 = 256;
/// Peers on the map of a transfer; the others are counted.
pub const MAP_PEERS_MAX: usize = 32;
/// Fetches of tickets that are remembered, also those that are done; the oldest of the done ones give way.
pub(crate) const TICKETS_MAX: usize = 64;
/// Of these, those that are fetched at once.
pub(crate) const TICKETS_AT_ONCE: usize = 4;
/// How long nothing may come of such a content while others wait for their turn.
pub(crate) const TICKET_QUIET: Duration = Duration::from_mins(5);
/// Bytes of a ticket or manifest that is given: as a manifest, it names a quarter of a million chunks.
pub const GIVEN_LEN_MAX: usize = 8 << 20;
/// Bytes of one content that is fetched by a ticket.
pub(crate) const TICKET_CONTENT_LEN_MAX: u64 = 16 << 40;
/// Names of files that are chosen of such a content.
pub(crate) const TICKET_CHOSEN_MAX: usize = 4096;
/// Names that are tried for a file where another one stands.
pub(crate) const TICKET_NAMES_TRIED_MAX: u32 = 1000;
/// Files of such a content that are listed before it is fetched.
pub const GIVEN_FILES_LISTED_MAX: usize = 100;

const _: () = assert!(COMPARED_AT_ONCE < COMPARISONS_WAITING_MAX);
const _: () = assert!(NAME_BACKOFF_MAX.as_secs() < BACKOFF_MAX.as_secs());
const _: () = assert!(
    AUDIT_SHARE_LEN + 7 * 24 * 3600 * AUDIT_LEN_PER_SEC < AUDIT_KEPT as u64 * AUDIT_LEN_MAX,
    "lines stay for a week at least"
);
