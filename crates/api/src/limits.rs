//! Limits of the API. Each bounds what a client can make this process hold, do or wait for.

use std::time::Duration;

pub use swarm_daemon::limits::{NAME_LEN_MAX, PASSWORD_LEN_MAX};

/// Connections at once. When all are taken, one of those who have most gives way, strangers first.
pub const CONNECTIONS_MAX: usize = 4096;
/// Connections have this share of the descriptors: a program that opened a thousand sockets would otherwise keep this one from its own files.
pub const SHARE_OF_DESCRIPTORS: u64 = 4;
/// One user has this share of the connections, and so much is kept for those that have yet to prove one.
pub const SHARE_OF_CONNECTIONS: usize = 8;
/// Longest time until a client has said its first byte, has shaken hands, or has sent the head of a request.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests that a client of HTTP/2 may begin and break off before it is sent away.
pub const RESETS_MAX: usize = 32;
/// How often a quiet connection of HTTP/2 is asked whether it lives.
pub const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How long answers that have begun may go on at the end.
pub const LAST_ANSWERS: Duration = Duration::from_secs(3);
/// How long all clients may take to go at the end.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause before clients are taken again after that failed.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Longest head of a request, bytes.
pub const HEAD_LEN_MAX: usize = 32 << 10;
/// Requests at once on one connection of HTTP/2.
pub const STREAMS_MAX: u32 = 64;
/// Longest body of a request that is no file, bytes: also of one that proves nobody.
pub const BODY_LEN_MAX: usize = 16 << 10;
/// The same where a proven user sends lists: of peers, patterns, roles, settings.
pub const LONG_BODY_LEN_MAX: usize = 1 << 20;
/// Longest time until such a body is here.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(20);
/// Requests for public libraries that an address may send at once.
pub const RATE_BURST: u64 = 240;
/// The same in a second, from then on.
pub const RATE_PER_SECOND: u64 = 20;
/// Addresses that are remembered for that.
pub const RATE_ADDRESSES_MAX: usize = 4096;
/// Rows of a page of a public library.
pub const PUBLIC_ROWS: usize = 500;
/// Longest text of a QR code, bytes.
pub const QR_LEN_MAX: usize = 512;
/// Links to files that are kept at once.
pub const LINKS_MAX: usize = 1000;
/// The same of one user.
pub const LINKS_OF_USER_MAX: usize = 250;
/// All that is kept of those of one user, bytes.
pub const LINKS_OF_USER_LEN_MAX: usize = LINKS_LEN_MAX / 4;
/// All that is kept of them, bytes.
pub const LINKS_LEN_MAX: usize = 900 << 10;
/// Single parts of such a download that are remembered.
pub const LINK_PARTS_MAX: usize = 64;
/// Longest file that only this program's user reads, bytes.
pub const PRIVATE_FILE_LEN_MAX: usize = 1 << 20;
/// A link for one download is free for others when its client took nothing for so long.
pub const LINK_IDLE: Duration = Duration::from_secs(20);
/// Addresses of this node that the maker of a link is offered.
pub const PAGE_ADDRESSES_MAX: usize = 8;
/// Longest time for which a link holds.
pub const LINK_AGE_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
/// The link by which somebody becomes the first admin holds for so long.
pub const SETUP_AGE: Duration = Duration::from_secs(3600);
/// Sessions at once, of all users.
pub const SESSIONS_MAX: usize = 1024;
/// The same of one user: more logins of one end none of the others'.
pub const SESSIONS_OF_USER_MAX: usize = 32;
/// A session ends when it was not used for so long.
pub const SESSION_IDLE: Duration = Duration::from_secs(24 * 3600);
/// A session ends after so long in any case.
pub const SESSION_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// An access token holds for so long.
pub const ACCESS_AGE: Duration = Duration::from_secs(15 * 60);
/// All refresh tokens of a login end so long after it, however often they are exchanged.
pub const LOGIN_AGE_MAX: Duration = Duration::from_secs(90 * 24 * 3600);
/// A refresh token holds for so long.
pub const REFRESH_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Logins at once that hold by refresh tokens, of all users.
pub const REFRESH_MAX: usize = 1024;
/// The same of one user: more logins of one end none of the others'.
pub const REFRESH_OF_USER_MAX: usize = 32;
/// Access tokens that were revoked one by one and have not expired.
pub const REVOKED_MAX: usize = 4096;
/// The same of one user: one more revokes all access tokens of that user.
pub const REVOKED_OF_USER_MAX: usize = 64;
/// Shortest password that this API takes for a new user, characters (NIST SP 800-63B, section 5.1.1.2).
pub const PASSWORD_LEN_MIN: usize = 8;
/// The status is asked for at most this often, however many ask.
pub const STATUS_AGE: Duration = Duration::from_millis(250);
/// How often events are made while somebody listens.
pub const EVENT_INTERVAL: Duration = Duration::from_millis(500);
/// Events that wait for a slow client before it loses some.
pub const EVENTS_WAITING: usize = 8;
/// Clients that listen to events at once.
pub const LISTENERS_MAX: usize = 2048;
/// The same of one user: each window of the page is one.
pub const LISTENERS_OF_USER_MAX: usize = 64;
/// Statuses of one event that are kept for roles that see a part of it: users with the same roles see the same.
pub const STATUSES_SEEN_MAX: usize = 32;
/// A line without meaning is sent to listeners this often, so that a dead connection is noticed.
pub const EVENT_KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Entries on one page of a listing.
pub const ENTRIES_MAX: usize = 5000;
/// Ranges of one request for a file; with more, the whole file is sent (RFC 9110, section 14.2).
pub const RANGES_MAX: usize = 16;
/// A block of a file: read, verified and sent at once.
pub const BLOCK_LEN: usize = 256 << 10;
/// Blocks that are read before the client has taken the last one.
pub const BLOCKS_AHEAD: usize = 2;
/// Longest time until a client has taken a block, on however slow a line.
pub const BLOCK_TIMEOUT: Duration = Duration::from_secs(600);
/// How old a look may be whether a body that goes on may go on: a user who is taken out, or loses a role, has its bodies ended within this time.
pub const RIGHT_AGE: Duration = Duration::from_secs(1);
/// What is still taken of a body that was answered before it came to its end: a system that has bytes left for a socket that is closed resets the
/// connection, and the client may lose the answer (RFC 9112, section 9.6).
pub const LINGER_LEN_MAX: u64 = 32 << 20;
/// The longest time for that.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest time in which a client takes no byte of what is sent to it: a player that pauses comes back for the rest with a range.
pub const WRITE_IDLE: Duration = Duration::from_secs(120);
/// A file that nobody reads is closed after once or twice so long.
pub const OPEN_FILES_AGE: Duration = Duration::from_secs(60);
/// How often the files of the daemon's folder are looked at: an edit is to be noticed within a second.
pub const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// Copies of sides of conflicts that are made or sent at once.
pub const SCRATCHES_MAX: usize = 8;
/// The same for one user, or for all links of one.
pub const SCRATCHES_OF_ONE_MAX: usize = 2;
/// A side of a conflict is no longer, bytes: so much room has to be there for a copy.
pub const SIDE_LEN_MAX: u64 = 256 << 20;
/// Folders that are sent at once as ZIP files: each has a thread.
pub const ZIPS_MAX: usize = 16;
/// The same to one user, to those who have links of one, or from one public library.
pub const ZIPS_OF_ONE_MAX: usize = 2;
/// Names in the list of files of such a folder that are on other machines.
pub const ABSENT_MAX: usize = 10_000;
/// Longest time in which nothing more of a file comes.
pub const UPLOAD_IDLE: Duration = Duration::from_secs(60);
/// Bytes of a file that comes after which it is looked again whether the disk has room.
pub const UPLOAD_CHECKED_LEN: usize = 4 << 20;
/// An upload in parts that nobody continued for so long is removed.
pub const UPLOAD_AGE: Duration = Duration::from_secs(24 * 3600);
/// How often such uploads are looked for.
pub const UPLOADS_LOOK: Duration = Duration::from_secs(600);
/// Uploads in parts of one user that are not done, in all libraries.
pub const UPLOADS_OF_USER_MAX: usize = 64;
/// Bytes that these have when they are done.
pub const UPLOADS_LEN_OF_USER_MAX: u64 = 1 << 40;
/// Uploads of one user that are done and still known, so that a client whose last answer was lost hears of it.
pub const UPLOADS_DONE_OF_USER_MAX: usize = 16;
/// Bytes of an upload in parts after which the disk has to have them.
pub const UPLOAD_SYNCED_LEN: u64 = 64 << 20;
/// Changes of one library in one answer about syncs.
pub const CHANGES_MAX: u32 = 10_000;
/// How often it is looked for the library that a node is to offer: five seconds.
pub const OFFER_LOOKS: u32 = 20;
/// How often it is looked whether the daemon has taken a library over from the files, which it looks at every second: three seconds.
pub const KNOWN_LOOKS: u32 = 12;
/// Peers of one merge.
pub const PEERS_MERGED_MAX: usize = 1024;
/// As few digits of a proposal's id as a vote may name.
pub const ID_DIGITS_MIN: usize = 4;

const _: () = assert!(BODY_LEN_MAX < LONG_BODY_LEN_MAX);
const _: () = assert!(LINKS_LEN_MAX < PRIVATE_FILE_LEN_MAX, "what was written is read again");
const _: () = assert!(4 * LINKS_OF_USER_MAX <= LINKS_MAX && 4 * LISTENERS_OF_USER_MAX <= LISTENERS_MAX);
const _: () = assert!(4 * ZIPS_OF_ONE_MAX <= ZIPS_MAX && 4 * SCRATCHES_OF_ONE_MAX <= SCRATCHES_MAX);
const _: () = assert!(SESSIONS_OF_USER_MAX < SESSIONS_MAX && REFRESH_OF_USER_MAX < REFRESH_MAX);
const _: () = assert!(REVOKED_OF_USER_MAX < REVOKED_MAX);
const _: () = assert!(LINGER_TIMEOUT.as_secs() < LAST_ANSWERS.as_secs());
const _: () = assert!(LAST_ANSWERS.as_secs() < STOP_TIMEOUT.as_secs());
