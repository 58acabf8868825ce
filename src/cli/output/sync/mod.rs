//! What `swarm sync` and the commands about a pair show: progress, plans, conflicts, versions and changes, as text and as JSON.

mod conflict;
mod json;
mod paint;
mod plan;
mod progress;
mod view;
mod words;

pub(in crate::cli) use conflict::{Comparison, conflict_question, conflict_text, diff_text};
pub(in crate::cli) use json::{ConflictJson, PairJson, SyncJson, VersionJson};
pub(in crate::cli) use paint::Paint;
pub(in crate::cli) use plan::{hold, plan_text};
pub(in crate::cli) use view::SyncView;
pub(in crate::cli) use words::{Names, changes_table, explanation_text, pairs_table, versions_table};
pub(super) use words::{quoted, run_line, time_of_ms, time_of_ns};
