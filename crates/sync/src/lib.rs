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

pub mod delta;

mod decision;
mod lines;
mod merge;
mod unified;

mod planner;

mod run_id;
mod timestamp;

mod index;
mod memory;
mod observe;
mod replica;

mod pass;
mod run;
mod standing;
mod undo;

mod change;
mod detour;
mod retention;

#[doc(hidden)]
pub mod model;

pub mod limits;

pub use change::{Change, ChangeCause, ChangeKind, ChangeLog, RunInfo, changes_of};
pub use conflict::{Choice, Conflict, ConflictId, ConflictKind, SideVersion};
pub use decision::{NoMerge, base_of, merged, settled};
pub use detour::{DETOUR_PREFIX, Detours, shown_ops};
pub use difference::{BaseEntry, Difference};
pub use entry::{ContentHash, Entry, FileContent, FileId, Kind, Stamp};
pub use ignore::{
    BadLine, BadPattern, IGNORE_FILE_NAME, IgnoreRules, RuleRef, RuleSource, STATE_FOLDER_NAME,
};
pub use index::{Deed, DeedEnd, Index, IndexStep, KeptId, Known};
pub use lines::is_text;
pub use memory::MemoryIndex;
pub use merge::{Merged, merge};
pub use observe::{Observation, Observer, Tally, observe};
pub use op::{Op, OpKind, Source};
pub use pass::{Pass, Proposal, Rules, keep_texts, observe_side, pass, propose};
pub use path::{BadPath, PathFault, TreePath};
pub use pattern::{Pattern, PatternFault};
pub use plan::{Hold, MergeTask, Plan, Rebase};
pub use planner::plan;
pub use policy::{Direction, Guard, NameRules, Policy, Strategy};
pub use replica::{
    Blind, BlindWhy, ContentSource, Done, Found, FoundKind, Replica, ReplicaError, Seen, StageJob, Staged,
    UnnamedWhy, Walk,
};
pub use retention::{Kept, Retention, expired};
pub use run::{Beside, Run, RunError, RunEvent, read_whole};
pub use run_id::{NotARun, RunId};
pub use side::{PerSide, Side};
pub use strategy::{BadStrategyRule, StrategyRule, StrategyRules, UnknownStrategy};
pub use timestamp::{BadTimestamp, Timestamp};
pub use undo::{Undo, forgotten, undo};
pub use unified::{DiffNames, unified_diff};
