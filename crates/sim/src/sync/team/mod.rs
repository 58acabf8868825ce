//! Worlds of daemons that keep one library: members, strangers, mirrors and one traitor, under edits, votes, faults and lies at any moment. Each
//! has a folder on a disk in memory and a book; the production parts of `swarm-library` and `swarm-sync` decide. Checkers look at every plan
//! and at the end. A seed gives one world, in any build. Absent here: real storage, the network, and every decision that is the product's.

mod bug;

mod ledger;

mod book;
mod index;
mod view;

mod daemon;
mod pass;

mod setup;

mod evil;
mod world;

mod ending;
mod story;

mod shrink;

pub use bug::TeamBug;

use super::{Shrunken, SyncWorld};
use world::Mode;

/// Runs the world of daemons of a seed. With `until`, it ends after so many effects, without a last look.
pub fn team_world(seed: u64, bug: Option<TeamBug>, is_told: bool, until: Option<u64>) -> SyncWorld {
    let world::End { findings, trace, ticks, counts, lines, .. } =
        world::generate(seed, Mode { bug, is_told, until });
    SyncWorld { seed, findings, trace, ticks, counts, lines }
}

/// Shortens the world of daemons of a seed while it fails; `None` if it does not.
pub fn shrink_team_world(seed: u64, bug: Option<TeamBug>) -> Option<Shrunken> {
    shrink::shrink(seed, Mode { bug, ..Mode::default() })
}

/// The number of worlds after which a planted bug is found, of so many at most from a seed on; `None` if it is not.
pub fn team_worlds_to_catch(bug: TeamBug, seed: u64, worlds_max: u64) -> Option<u64> {
    let is_found = |at: &u64| !team_world(seed + at, Some(bug), false, None).findings.is_empty();
    (0..worlds_max).find(is_found).map(|at| at + 1)
}

#[cfg(test)]
mod tests;
