//! Worlds of replicas that are kept the same: 2 to 5 disks in memory, joined by pairs, under users' edits and faults at any moment. The
//! production parts of [`swarm_sync`] plan and perform; checkers look at every effect and at the end. A seed gives one world, in any build.
//! Absent here: real disks, clocks, threads, and every decision that is the product's.

mod bug;

mod disk;
mod edit;

mod hub;
mod oracle;

mod index;
mod perform;
mod replica;
mod source;

mod pass;
mod rules;

mod ending;
mod quiet;
mod script;
mod story;
mod world;

mod shrink;

mod team;

use std::collections::BTreeMap;

pub use bug::Bug;
pub use team::{TeamBug, shrink_team_world, team_world, team_worlds_to_catch};
use world::Mode;

/// What came of one world.
#[derive(Clone, Debug)]
pub struct SyncWorld {
    /// Its seed.
    pub seed: u64,
    /// What the checkers found; nothing if all is well.
    pub findings: Vec<String>,
    /// Hash of all that happened.
    pub trace: u64,
    /// Number of effects and steps.
    pub ticks: u64,
    /// How often what happened.
    pub counts: BTreeMap<&'static str, u64>,
    /// The trace in words, if it was asked for.
    pub lines: Vec<String>,
}

/// Runs the world of a seed. With `until`, it ends after so many effects, without a last look.
pub fn sync_world(seed: u64, bug: Option<Bug>, is_told: bool, until: Option<u64>) -> SyncWorld {
    let end = world::generate(seed, Mode { bug, is_told, until });
    let world::End { findings, trace, ticks, counts, lines, .. } = end;
    SyncWorld { seed, findings, trace, ticks, counts, lines }
}

/// A failing world with as few steps as still fail.
#[derive(Clone, Debug)]
pub struct Shrunken {
    /// What happens, a line for each step.
    pub script: Vec<String>,
    /// What the checkers find in it.
    pub findings: Vec<String>,
    /// Its trace in words.
    pub lines: Vec<String>,
}

/// Shortens the world of a seed while it fails; `None` if it does not.
pub fn shrink_sync_world(seed: u64, bug: Option<Bug>) -> Option<Shrunken> {
    shrink::shrink(seed, Mode { bug, ..Mode::default() })
}

/// The number of worlds after which a planted bug is found, of so many at most from a seed on; `None` if it is not.
pub fn worlds_to_catch(bug: Bug, seed: u64, worlds_max: u64) -> Option<u64> {
    let is_found = |at: &u64| !sync_world(seed + at, Some(bug), false, None).findings.is_empty();
    (0..worlds_max).find(is_found).map(|at| at + 1)
}

#[cfg(test)]
mod tests;
