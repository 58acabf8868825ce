//! What a product has done for one content, as data and as events: a plan says what, a job does it on a node, and the product shows
//! the job's events. A command line, a service and a page differ in where plans come from and in how events read, and in nothing else.
//!
//! `plan` is the data, `selection` which files are wanted, `target` and `copy` the blocking work
//! before a fetch or a seed can begin, `events` what the
//! events of a node mean, `fetch` and `seed` the jobs, `place` where a node is reached. Invariant: the engine's events are told apart
//! in `events` alone. Absent here: arguments, printing, exit codes.

mod copy;
mod events;
mod fetch;
mod place;
mod plan;
mod seed;
mod selection;
mod target;

pub use copy::{CopyError, open_copy};
pub use events::{ChunkNews, JobEvent, PeerNews, Ready};
pub use fetch::{FetchEnd, FetchError, FetchJob};
pub use plan::{Destination, FetchPlan, FolderPlan};
pub use seed::{ReplicaPlan, SeedEnd, SeedError, SeedJob, SeedPlan};
pub use selection::{Selection, SelectionError};

pub(crate) use copy::scanned;
pub(crate) use events::{Meaning, News, meaning_of};
pub(crate) use fetch::len_of;
pub(crate) use target::{OpenedTarget, open_folder};
