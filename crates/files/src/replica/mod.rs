//! A folder as a replica: one side of a pair that is kept the same.
//!
//! Invariants: every effect looks again at what stands there, and what it displaces is renamed into `.swarm/versions`; bytes come under
//! their name by a rename, after they were proven and synced; nothing outside the folder is touched, and no link is followed.
//! Absent here: what to do (`swarm-sync` plans it), and what was known before (its index).
//!
//! A file keeps its bytes, time of change and executable bit. Extended attributes and access lists are not carried. A file that replaces
//! another takes its permissions and owner, as far as the system lets it.

mod beneath;
mod fault;
mod look;
mod root;

mod listing;
mod names;
mod reading;

mod digests;
mod hashing;
mod walk;

mod chunk_values;
mod delta;
mod fetched;
mod incoming;
mod source;
mod stage;

mod again;
mod apply;
mod landing;
mod new_file;
mod partial_file;
mod put;
mod record;
mod recover;
mod turn;
mod versions;

mod watch;

mod folder;

#[cfg(test)]
pub(crate) use incoming::place as place_beside;

pub use digests::{Digest, Digests, digest_of_source};
pub(crate) use fetched::packed_source;
pub use fetched::{FetchedSource, fetched_source};
pub use folder::{FolderOptions, FolderReplica, Ignore, RootIdentity};
pub use landing::Landing;
pub use new_file::{NewFile, PutError, Replaces};
pub use partial_file::{PartFound, PartialFile};
pub use reading::is_ours;
pub use turn::FolderTurn;
pub use versions::KeptVersion;
pub use watch::{FolderWatcher, Hint, Hints, WatchError, WatcherGone};
