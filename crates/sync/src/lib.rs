//! Sync: keeps two replicas the same. Three trees (local, remote, and the base that both last agreed on) and a policy give a plan: operations for
//! each side, conflicts, and what is held until somebody decides.
//!
//! Invariants: a plan is a function of its inputs; nothing is planned over what was not observed; whatever loses is a kept version.
//! Absent here: disks, clocks, threads and chance. A replica performs what is planned; an index remembers what was observed.

mod entry;
mod path;
mod side;

mod difference;
mod op;
mod plan;

mod conflict;
mod policy;

pub mod delta;

pub mod limits;

pub use conflict::{Choice, Conflict, ConflictId, ConflictKind, SideVersion};
pub use difference::{BaseEntry, Difference};
pub use entry::{ContentHash, Entry, FileContent, FileId, Kind, Stamp};
pub use op::{Op, OpKind, Source};
pub use path::{PathFault, TreePath};
pub use plan::{Hold, MergeTask, Plan};
pub use policy::{Direction, Guard, NameRules, Policy, Strategy};
pub use side::{PerSide, Side};
