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

mod ignore;
mod pattern;
mod strategy;

mod lines;
mod merge;
mod unified;

mod change;
mod retention;
mod timestamp;

pub mod limits;

pub use change::{Change, ChangeKind, ChangeLog, RunInfo, changes_of};
pub use conflict::{Choice, Conflict, ConflictId, ConflictKind, SideVersion};
pub use difference::{BaseEntry, Difference};
pub use entry::{ContentHash, Entry, FileContent, FileId, Kind, Stamp};
pub use ignore::{
    BadLine, BadPattern, IGNORE_FILE_NAME, IgnoreRules, RuleRef, RuleSource, STATE_FOLDER_NAME,
};
pub use lines::is_text;
pub use merge::{Merged, merge};
pub use op::{Op, OpKind, Source};
pub use path::{PathFault, TreePath};
pub use pattern::{Pattern, PatternFault};
pub use plan::{Hold, MergeTask, Plan};
pub use policy::{Direction, Guard, NameRules, Policy, Strategy};
pub use retention::{Kept, Retention, expired};
pub use side::{PerSide, Side};
pub use strategy::{BadStrategyRule, StrategyRule, StrategyRules, UnknownStrategy};
pub use timestamp::{BadTimestamp, Timestamp};
pub use unified::{DiffNames, unified_diff};
