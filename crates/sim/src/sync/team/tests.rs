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
    check_worlds(0..200);
}

#[test]
fn what_failed_once_holds() {
    // A version made over the winner that lost at once to a third one; a kill between a commit and the trees; a base that its author alone
    // had; a winner that a proposal hid; a folder that others deleted; a move onto a folder; a base that the folder never had.
    check_worlds([2, 59, 2846, 986, 142, 5747, 3314].into_iter());
}

#[test]
fn an_own_file_under_a_proposal_does_not_give_way_unheard() {
    check_worlds([15267, 41330, 44432, 76986, 94620].into_iter());
}

#[test]
fn a_version_that_keeps_the_bytes_of_another_is_a_conflict_when_it_loses() {
    // One that follows the winner, the executable bit, both over a deletion that waits.
    check_worlds([19215, 20008, 29118, 46676].into_iter());
}

#[test]
fn what_was_made_apart_has_no_version_in_common() {
    check_worlds([33768].into_iter());
}

#[test]
fn a_folder_that_came_back_under_a_deletion_that_waits_stays() {
    check_worlds([50903].into_iter());
}

#[test]
fn entries_that_change_places_wait_together_and_no_detour_is_told() {
    check_worlds([18328, 41578, 54893, 92995].into_iter());
}

#[test]
fn a_traitor_takes_no_room_and_no_numbers_from_others() {
    check_worlds([35819, 52384, 13827].into_iter());
}

#[test]
fn what_the_checkers_took_for_faults() {
    // A user's change that the strategy gives up for a move or a deletion; what stands in the way of a swap because of bytes that nobody has;
    // a move of a file that one member had changed, and that needs more votes there.
    check_worlds([38790, 72580, 42672, 55181, 77782, 99170, 61051, 73389].into_iter());
}

#[test]
fn most_planted_bugs_are_found_within_fifty_worlds() {
    let found = TeamBug::ALL.iter().filter(|bug| team_worlds_to_catch(**bug, 0, 50).is_some()).count();
    assert!(found >= 25, "{found} of {}", TeamBug::ALL.len());
}
