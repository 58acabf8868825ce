//! How a session keeps a pair the same. The last ones that were used are remembered: deciding a conflict and undoing a run go by them.

use serde::{Deserialize, Serialize};
use swarm_core::base::Rate;
use swarm_sync::{Direction, Guard, PerSide, Retention, Strategy};

/// What a user said about a session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// How conflicts are decided where no pattern says otherwise.
    pub strategy: Strategy,
    /// How conflicts are decided, each `PATTERN=STRATEGY`; the last one that matches counts.
    pub strategies: Vec<String>,
    /// Patterns of paths that are left out, in git's syntax.
    pub excludes: Vec<String>,
    /// If there are any, only files that match one of them are synced.
    pub includes: Vec<String>,
    /// In which direction changes go.
    pub direction: Direction,
    /// How much may be deleted or replaced before somebody is asked.
    pub guard: Guard,
    /// Whether every file is read, whatever the disk tells of it.
    #[serde(skip)]
    pub thorough: bool,
    /// Whether a root that lost all its entries is believed.
    #[serde(skip)]
    pub accept_empty: bool,
    /// Whether a root on another file system than last time is believed.
    #[serde(skip)]
    pub accept_root: bool,
    /// Most bytes a second that are copied to each side.
    #[serde(skip)]
    pub rates: PerSide<Option<Rate>>,
    /// How long kept versions stay.
    pub retention: Retention,
}
