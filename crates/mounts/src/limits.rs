//! Limits of overlays.

/// Mounts of one library: each has a folder open, and a thread while the tree is walked.
pub const MOUNTS_MAX: usize = 256;
/// Files that are copied at once out of a read-only mount.
pub const COPIED_FILES_MAX: usize = 512;
/// Bytes that are copied at once out of a read-only mount: then the next files are looked for.
pub const COPIED_LEN_MAX: u64 = 256 << 20;
/// Longest marker of a sync target that is read, bytes.
pub const MARKER_LEN_MAX: u64 = 1024;
/// Paths of shadowed files that walks note at once: then they are remembered, and another walk finds the next ones.
pub const SHADOWED_MAX: usize = 10_000;
