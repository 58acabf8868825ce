//! Limits of what the files may hold. Each is far beyond what a team writes, and small enough that reading stays instant.

/// Longest file that is read, bytes. `files-local.json` is only written, and has no limit.
pub const FILE_LEN_MAX: u64 = 4 << 20;
/// Deepest nesting of lists and objects; the parser recurses once for each.
pub const DEPTH_MAX: usize = 32;
/// Most entries of `peers.json`.
pub const PEERS_MAX: usize = 4096;
/// Most nodes by which a DHT is entered.
pub const DHT_BOOTSTRAP_MAX: usize = 8;
/// Most entries of the schedule of limits.
pub const SCHEDULE_MAX: usize = 64;
/// Names of a node's page in `config.json`.
pub const HOSTS_MAX: usize = 32;
/// Most entries of `users.json`.
pub const USERS_MAX: usize = 10_000;
/// Most libraries, and most subscriptions.
pub const LIBRARIES_MAX: usize = 1024;
/// Most mounts of one library.
pub const MOUNTS_MAX: usize = 64;
/// Most patterns in one `include` or `exclude`, and most peers in one `from`.
pub const PATTERNS_MAX: usize = 1024;
/// Longest GUID, bytes.
pub const GUID_LEN_MAX: usize = 64;
/// Longest name of a library, user or peer, bytes. A library's name becomes the name of a folder.
pub const NAME_LEN_MAX: usize = 128;
/// Longest piece of a file that a message quotes, characters.
pub const QUOTE_LEN_MAX: usize = 60;
/// Longest message about a file, and longest key that it is about, characters: both may quote a file.
pub const MESSAGE_LEN_MAX: usize = 600;
/// Polls after a change during which the contents are compared as well as the times: at four polls a second these are two
/// seconds, the coarsest granularity of times on a file system in use (FAT).
pub const DOUBTFUL_POLLS: u8 = 8;
/// Polls after which a file that keeps changing is read although it has not come to rest.
pub const RESTLESS_POLLS: u8 = 3;
/// How often an edit is begun anew because somebody else wrote the file in between.
pub const EDIT_ATTEMPTS: usize = 4;
