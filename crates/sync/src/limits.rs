//! Limits of what is accepted from a disk, a plan file or another machine.

/// Longest path below the root, in bytes (`PATH_MAX` of Linux).
pub const PATH_LEN_MAX: usize = 4096;
/// Longest name, in bytes (`NAME_MAX` of Linux).
pub const NAME_LEN_MAX: usize = 255;
/// Longest target of a symbolic link, in bytes.
pub const LINK_LEN_MAX: usize = 4096;
/// Files above this length are not merged as text, in bytes.
pub const MERGE_LEN_MAX: u64 = 4 << 20;
/// Files of more lines are not merged as text: a hostile file of 50 000 lines takes seconds.
pub const MERGE_LINES_MAX: usize = 20_000;
/// Longest pattern of paths, in bytes.
pub const PATTERN_LEN_MAX: usize = PATH_LEN_MAX;
/// Most patterns of one `.swarmignore`: each path is compared with all of them.
pub const IGNORE_LINES_MAX: usize = 10_000;
/// Most pieces of a recipe: 256 GiB of pieces of average length, 80 MiB encoded. A longer file has a recipe for each part of it.
pub const RECIPE_PIECES_MAX: u32 = 1 << 22;
/// Operations that a run performs as one group: a flush of the file system for so many is cheap, and a crash costs at most this many.
pub const GROUP_OPS_MAX: usize = 1 << 14;
