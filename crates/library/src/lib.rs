//! What a team keeps together: versions of paths as their authors signed them, and what a node accepts of them. Pure: time and chance are
//! arguments, storage and network are elsewhere.
//!
//! `record` is one version of one path, `commit` a signed batch of them; `vector` says which versions a version was made from, `heads`
//! which versions of a path hold. `key` is a library's name on the wire. Invariant: nothing here depends on the order in which commits come.
//! Absent here: bytes of files (the engine moves them), what is done about a difference (sync).

pub mod limits;

mod proto;

mod key;
mod vector;

mod record;

pub mod record_codec;

mod commit;
mod heads;

pub use commit::{Commit, CommitError, CommitId, Draft, Header};
pub use heads::{Head, Heads, Taken};
pub use key::{BadGuid, GUID_LEN_MAX, Guid, LibraryKey};
pub use record::{Live, Record, RecordRef, State};
pub use vector::Vector;
