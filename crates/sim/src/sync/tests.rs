//! Worlds for every test run: 2000 fixed ones and some fresh ones without a bug, and each planted bug.

use std::io::Write as _;

use swarm_core::base::mix;

use super::{Bug, shrink_sync_world, sync_world, worlds_to_catch};

/// Runs one world for each seed. The first that fails is shown as short as it gets.
fn check_worlds(seeds: impl Iterator<Item = u64>) {
    let fails = |seed: &u64| !sync_world(*seed, None, false, None).findings.is_empty();
    let failed: Vec<u64> = seeds.filter(fails).collect();
    let shown = failed.first().and_then(|seed| shrink_sync_world(*seed, None));
    assert!(failed.is_empty(), "worlds {failed:?} fail; the first, shortened: {shown:#?}");
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_another() {
    let trace = |seed| {
        let world = sync_world(seed, None, false, None);
        (world.trace, world.ticks)
    };
    for seed in 0..50 {
        assert_eq!(trace(seed), trace(seed), "seed {seed}");
        assert_ne!(trace(seed), trace(seed + 50), "seed {seed}");
    }
}

#[test]
fn two_thousand_fixed_worlds_lose_nothing_and_become_equal() {
    check_worlds(0..2000);
}

#[test]
fn two_hundred_fresh_worlds_lose_nothing_and_become_equal() {
    let fresh = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
    // Written past the test harness, which hides the output of passed tests.
    writeln!(std::io::stderr(), "fresh worlds: swarm-sim sync --seed {fresh} --worlds 200")
        .expect("stderr is open");
    check_worlds((0..200).map(|n| fresh.wrapping_add(n)));
}

#[test]
fn every_planted_bug_is_found_within_a_thousand_worlds() {
    let missed: Vec<&Bug> = Bug::ALL.iter().filter(|bug| worlds_to_catch(**bug, 0, 1000).is_none()).collect();
    assert!(missed.is_empty(), "not found: {missed:?}");
}

#[test]
fn a_failing_world_is_shortened_to_what_makes_it_fail() {
    let shrunken = shrink_sync_world(mix(0, 1), Some(Bug::PutKeepsNothing));
    let shrunken =
        shrunken.or_else(|| (0..50).find_map(|seed| shrink_sync_world(seed, Some(Bug::PutKeepsNothing))));
    let shrunken = shrunken.expect("one of the first worlds replaces a file");
    assert!(shrunken.script.len() <= 8, "{:#?}", shrunken.script);
    assert!(
        shrunken.findings[0].contains("neither under a name nor as a kept version"),
        "{:?}",
        shrunken.findings
    );
}
