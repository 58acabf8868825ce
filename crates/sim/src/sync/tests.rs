//! Worlds for every test run: 2000 fixed ones and some fresh ones without a bug, and each planted bug.

use std::io::Write as _;

use swarm_core::base::mix;
use swarm_sync::{Direction, NameRules, Strategy, TreePath};

use super::edit::Edit;
use super::script::{Act, Event, Script, Setup, Step};
use super::world::{Mode, replay};
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
fn without_a_base_nothing_is_agreed_on_that_cannot_be_seen() {
    check_worlds([5_068_153, 748_924].into_iter());
}

#[test]
fn a_folder_moved_to_where_an_equal_one_stands_rewrites_nothing() {
    check_worlds([5_053_964, 113_239].into_iter());
}

#[test]
fn a_conflict_that_ends_at_a_name_is_decided_by_a_choice() {
    check_worlds([5_117_695].into_iter());
}

#[test]
fn a_power_cut_leaves_no_state_with_the_times_of_another_one() {
    check_worlds([5_031_161, 5_131_764].into_iter());
}

#[test]
fn a_copy_whose_name_nobody_could_look_at_is_no_reason_to_remove_a_version() {
    check_worlds([20_113_183].into_iter());
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

const PASS: Act = Act::Pass { pair: 0, thorough: false };

fn edit(at: usize, edit: Edit) -> Act {
    Act::Event(Event::Edit(at, edit))
}

fn path(text: &str) -> TreePath {
    TreePath::new(text).expect("a good path")
}

/// Nothing is found in a world of two replicas, the second with these names.
fn check_script(names: NameRules, acts: Vec<Act>) {
    let setup = Setup {
        names: vec![NameRules::default(), names],
        pairs: vec![(0, 1)],
        strategy: Strategy::Manual,
        direction: Direction::Both,
        delete_max: u64::MAX,
        is_calm: false,
    };
    let steps = acts.into_iter().map(|act| Step { act, during: Vec::new() }).collect();
    let end = replay(&Script { setup, steps }, Mode { is_told: true, ..Mode::default() });
    assert!(end.findings.is_empty(), "{:#?}", end.lines);
}

#[test]
fn what_both_have_at_first_is_durable_before_it_is_agreed() {
    for luck in 0..20 {
        let write = |at| edit(at, Edit::Write(path("a"), 1));
        let cut = Act::Event(Event::PowerCut(0, luck));
        check_script(NameRules::default(), vec![write(0), write(1), PASS, cut]);
    }
}

#[test]
fn bytes_of_one_side_and_the_executable_bit_of_the_other_meet_in_one_pass() {
    let changes = |one, other| {
        let write = edit(0, Edit::Write(path("a"), 1));
        let line = edit(one, Edit::Line(path("a"), 0, 2));
        vec![write, PASS, line, edit(other, Edit::Executable(path("a")))]
    };
    check_script(NameRules::default(), changes(0, 1));
    check_script(NameRules::default(), changes(1, 0));
}

#[test]
fn a_new_name_in_another_case_is_a_conflict_however_long_the_other_stands() {
    let names = NameRules { ignores_case: true, ..NameRules::default() };
    let lower = edit(1, Edit::Write(path("a"), 1));
    check_script(names, vec![lower, PASS, edit(0, Edit::Write(path("A"), 2))]);
}

#[test]
fn a_conflict_copy_stands_beside_the_one_before_it() {
    let clash = |token| {
        let write = |at, token| edit(at, Edit::Replace(path("a"), token));
        let decide = Act::Decide { pair: 0, conflict: 0, choice: 2 };
        vec![write(0, token), write(1, token + 1), PASS, decide, PASS]
    };
    let first = vec![edit(0, Edit::Write(path("a"), 1)), PASS];
    check_script(NameRules::default(), [first, clash(10), clash(20), clash(30)].concat());
}
