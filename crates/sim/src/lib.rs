//! The deterministic simulator: the production [`swarm_engine::Engine`] among thousands of peers under a virtual clock.
//!
//! A scenario states a world, faults and a goal ([`Swarm`]). Its run gives a [`Report`]: how far the swarm stayed from the bound
//! that no system can beat, and the findings of the checkers. The same seed gives the same trace, in any build.
//! Absent here: clocks, threads, files, sockets, hash maps, and every decision that is the engine's.

mod library;
mod scenario;
mod small;

mod world;

mod fault;
mod joining;

mod link;
mod node;
mod transfer;

mod checks;
mod heap;
mod op;
mod report;
mod stats;

mod sync;

pub use checks::Finding;
pub use library::{Scenario, ScenarioArgs, UnknownScenario};
pub use op::{Op, Script};
pub use report::{Bounds, Report, Slowest, Times};
pub use scenario::{Disk, Has, Honesty, NodeSpec, Swarm};
pub use sync::{
    Bug, Shrunken, SyncWorld, TeamBug, shrink_sync_world, shrink_team_world, sync_world, team_world,
    team_worlds_to_catch, worlds_to_catch,
};

#[cfg(test)]
mod tests;
