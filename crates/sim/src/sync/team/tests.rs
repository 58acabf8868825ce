//! Worlds of daemons for every test run, and each planted bug.

use super::{TeamBug, shrink_team_world, team_world, team_worlds_to_catch};

/// Runs one world for each seed. The first that fails is shown as short as it gets.
fn check_worlds(seeds: impl Iterator<Item = u64>) {
    let fails = |seed: &u64| !team_world(*seed, None, false, None).findings.is_empty();
    let failed: Vec<u64> = seeds.filter(fails).collect();
    let shown = failed.first().and_then(|seed| shrink_team_world(*seed, None));
    assert!(failed.is_empty(), "worlds {failed:?} fail; the first, shortened: {shown:#?}");
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_another() {
    let trace = |seed| {
        let world = team_world(seed, None, false, None);
        (world.trace, world.ticks)
    };
    for seed in 0..30 {
        assert_eq!(trace(seed), trace(seed), "seed {seed}");
        assert_ne!(trace(seed), trace(seed + 50), "seed {seed}");
    }
}

#[test]
fn fixed_worlds_lose_nothing_and_become_equal() {
    check_worlds(0..600);
}

#[test]
fn every_planted_bug_is_found() {
    let missed: Vec<&TeamBug> =
        TeamBug::ALL.iter().filter(|bug| team_worlds_to_catch(**bug, 0, 400).is_none()).collect();
    assert!(missed.is_empty(), "{missed:?}");
}
