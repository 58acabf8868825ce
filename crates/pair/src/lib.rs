//! Two folders of one machine that are kept the same: which pairs a user has, one session with a pair, and what a user asks of its past.
//!
//! `store` knows the pairs, `session` is one process at work on a pair (`scan`, `carry`, `watching` are its parts), `decisions` are
//! conflicts and what was decided, `history` is kept versions, undoing and the change log. Every decision about trees is
//! made in `swarm-sync`; every effect on a folder in `swarm-files`. Blocking. Absent here: printing, arguments, networks.

mod error;
mod event;
mod options;

mod bounded;
mod clock;
mod pace;

mod plan_file;
mod purpose;
mod rules;
mod store;

mod scan;
mod session;
mod telling;
mod told;
mod watching;

mod decisions;
mod history;

pub use decisions::{ConflictView, Decision, conflicts_in};
pub use error::PairError;
pub use event::{SideSummary, Summary, SyncEvent};
pub use history::{ChangeView, Explanation, VersionView, changes_in, deeds_in};
pub use options::Options;
pub use purpose::Purpose;
pub use session::{Report, Session};
pub use swarm_sync::NoMerge;

pub use store::{Found, Pair, PairInfo, PairList, PairStore};
