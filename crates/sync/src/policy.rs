//! What a user said about how a pair is kept the same. Data alone: the same policy and trees give the same plan.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Choice, ConflictId, PerSide, TreePath};

/// How conflicts are decided when nobody is asked. No strategy discards anything: what loses is a kept version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Somebody decides each one.
    #[default]
    Manual,
    /// The local version stands on both sides.
    KeepLocal,
    /// The remote version stands on both sides.
    KeepRemote,
    /// Texts that merge without an overlap are merged; all others are left to somebody.
    AutoMerge,
    /// The version that was modified later stands; equal times are left to somebody.
    Newer,
    /// Both stand, the remote one under a name of its own.
    KeepBoth,
}

/// In which direction changes go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Both sides take the changes of the other.
    #[default]
    Both,
    /// The remote side becomes what the local one is; what it had becomes kept versions. Nothing changes on the local side.
    ToRemote,
}

/// How much a run may delete or replace before somebody is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// Most paths of one side, by number.
    pub paths_max: u64,
    /// Most paths of one side, in percent of all that it has.
    pub percent_max: u8,
    /// Somebody saw the plan and said yes.
    pub approved: bool,
}

/// Which names a side can hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameRules {
    /// Names that differ in case alone are one name.
    pub ignores_case: bool,
    /// Names that differ in Unicode form alone are one name.
    pub ignores_form: bool,
    /// Names that Windows reserves, and characters that it forbids, are refused.
    pub refuses_windows_names: bool,
    /// Longest name in bytes; `None` for the usual 255.
    pub name_len_max: Option<u16>,
}

/// All that a plan depends on beside the trees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// For paths of which `strategies` says nothing.
    pub strategy: Strategy,
    /// The strategy of single paths, as patterns gave it for the paths of this run.
    pub strategies: BTreeMap<TreePath, Strategy>,
    /// What was decided about conflicts.
    pub choices: BTreeMap<ConflictId, Choice>,
    /// In which direction changes go.
    pub direction: Direction,
    /// How much may be deleted or replaced.
    pub guard: Guard,
    /// Which names each side can hold.
    pub names: PerSide<NameRules>,
    /// What a side could not read, or what changed while it was read: nothing is planned there or below.
    pub blind: PerSide<Vec<TreePath>>,
    /// Unchanged paths beside those that differ. Only where a side takes different names for one, or for the names of conflict copies:
    /// what is not told here is not known to the planner.
    pub standing: Vec<TreePath>,
    /// Number of paths that each side has, for the guard.
    pub totals: PerSide<u64>,
    /// Written into the names of conflict copies: `film (conflict 2026-11-29 10.15.00).mp4`.
    pub copy_label: String,
}

impl Guard {
    /// More deletions than this in one run, and somebody is asked.
    pub const PATHS_MAX: u64 = 1000;
    /// In percent of a side's paths.
    pub const PERCENT_MAX: u8 = 50;
    /// Fewer deletions are never held for their share: a folder of three files may lose two.
    pub const DELETED_MIN: u64 = 5;
    /// Fewer replaced files are never held for their share: people edit all files of a small folder.
    pub const REPLACED_MIN: u64 = 50;
}

impl Default for Guard {
    fn default() -> Self {
        Self { paths_max: Self::PATHS_MAX, percent_max: Self::PERCENT_MAX, approved: false }
    }
}

impl Policy {
    /// The strategy of a path.
    pub fn strategy_of(&self, path: &TreePath) -> Strategy {
        self.strategies.get(path).copied().unwrap_or(self.strategy)
    }
}
