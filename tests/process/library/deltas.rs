//! Long files that change: what comes over the wire is little more than what changed, and the old version can be had again.

use std::fs;
use std::time::Duration;

use serde_json::json;

use super::Team;
use crate::support::MIB;

/// In bytes: shorter than what is filled from older versions.
const MARKER_LEN: u64 = 2 * MIB;

/// Bytes that came from a peer since a daemon started.
fn came(team: &Team, letter: char, from: char) -> u64 {
    team.peer_status(letter, from)["received"].as_u64().unwrap_or(0)
}

/// What came for a new version: `b` has it, and got nothing else since `before`. The figures of a daemon lag behind, so a new file is sent
/// after it: when most of that is counted, all before is.
fn came_for(team: &Team, bytes: &[u8], before: u64, marker: &str) -> u64 {
    replace(team, "a/lib/big.bin", bytes);
    until_there(team, 'b', bytes);
    team.file(&format!("a/lib/{marker}"), MARKER_LEN);
    team.until_same("ab");
    team.until("all is counted", || came(team, 'b', 'a') >= before + MARKER_LEN);
    team.within(Duration::from_secs(60), "the counting ends", || !is_counting(team));
    came(team, 'b', 'a') - before - MARKER_LEN
}

/// Whether the figures of `b` show that bytes come.
fn is_counting(team: &Team) -> bool {
    team.status('b')["rate_down"].as_u64().is_none_or(|rate| rate > MARKER_LEN / 64)
}

/// Other bytes at so many places, evenly spread.
fn overwritten(old: &[u8], places: usize, len: usize) -> Vec<u8> {
    let mut new = old.to_vec();
    for place in 0..places {
        let at = old.len() / places * place + (place * 7919) % (old.len() / places - len);
        new[at..at + len].iter_mut().for_each(|byte| *byte = !*byte);
    }
    new
}

/// Takes the place of a file at once.
fn replace(team: &Team, name: &str, bytes: &[u8]) {
    let aside = team.path("new version");
    fs::write(&aside, bytes).expect("a place");
    fs::rename(&aside, team.path(name)).expect("a place");
}

fn until_there(team: &Team, letter: char, bytes: &[u8]) {
    let path = team.path(&format!("{letter}/lib/big.bin"));
    team.until("the new version is there", || {
        path.metadata().is_ok_and(|found| found.len() == bytes.len() as u64)
            && fs::read(&path).is_ok_and(|found| found == bytes)
    });
}

/// Whether a daemon keeps these bytes as an earlier version.
fn is_kept(team: &Team, letter: char, bytes: &[u8]) -> bool {
    let state = team.path(&format!("{letter}/lib/.swarm"));
    let files = walkdir::WalkDir::new(state).into_iter().filter_map(Result::ok);
    let mut long =
        files.filter(|entry| entry.metadata().is_ok_and(|found| found.len() == bytes.len() as u64));
    long.any(|entry| fs::read(entry.path()).is_ok_and(|found| found == bytes))
}

#[test]
fn little_more_than_what_changed_comes_over_the_wire() {
    let team = Team::sharing("ab");
    let first = fs::read(team.file("a/lib/big.bin", 64 * MIB)).expect("it is there");
    until_there(&team, 'b', &first);
    team.until_same("ab");

    // One percent, at 64 places.
    let place_len = 10_486;
    let second = overwritten(&first, 64, place_len);
    team.until("the first version is counted", || came(&team, 'b', 'a') > 64 * MIB && !is_counting(&team));
    let before = came(&team, 'b', 'a');
    let changed = came_for(&team, &second, before, "marker");
    // Each place is two slices of 4 KiB longer at most; the rest is talk.
    let most = 64 * (place_len as u64 + (8 << 10)) + (400 << 10);
    println!("{changed} bytes came for {} that changed", 64 * place_len);
    assert!(changed > 64 * place_len as u64, "{changed} bytes came");
    assert!(changed < most, "{changed} bytes came, {most} at most");
    assert!(is_kept(&team, 'b', &first), "the first version can be had again");

    let third = [&b"!"[..], &second].concat();
    let before = came(&team, 'b', 'a');
    let inserted = came_for(&team, &third, before, "next marker");
    println!("{inserted} bytes came for one that was inserted");
    assert!(inserted < 400 << 10, "{inserted} bytes came");
    assert!(is_kept(&team, 'b', &second), "the second version can be had again");
}

#[test]
fn whoever_has_the_new_version_sends_a_part_of_what_changed() {
    let team = Team::new("abc");
    team.keep('a', &json!({}));
    for letter in ['b', 'c'] {
        team.subscribe(letter, &json!({}));
    }
    let first = fs::read(team.file("a/lib/big.bin", 64 * MIB)).expect("it is there");
    "abc".chars().for_each(|letter| team.start(letter));
    "bc".chars().for_each(|letter| until_there(&team, letter, &first));
    team.until_same("abc");
    "abc".chars().for_each(|letter| drop(team.stop(letter)));

    let second = overwritten(&first, 64, 200_000);
    replace(&team, "a/lib/big.bin", &second);
    for letter in ['a', 'c'] {
        team.start(letter);
    }
    until_there(&team, 'c', &second);
    team.until_same("ac");
    // Slow enough that one of them alone is not done before the other is linked.
    for letter in ['a', 'c'] {
        drop(team.stop(letter));
        let mut config = team.settings(letter, "config.json");
        config["limits"] = json!({"up": "2MB/s"});
        team.set(letter, "config.json", &config);
        team.start(letter);
    }
    team.start_logging('b', "info,swarm_daemon::contents=debug");
    until_there(&team, 'b', &second);
    team.until_same("abc");
    let (from_a, from_c) = (came(&team, 'b', 'a'), came(&team, 'b', 'c'));
    let changed = 64 * 200_000;
    println!("{from_a} and {from_c} bytes came for {changed} that changed");
    assert!(from_a + from_c < changed * 5 / 4, "{from_a} and {from_c} bytes came for {changed}");
    assert!(from_a * 5 > changed && from_c * 5 > changed, "{from_a} and {from_c} bytes came for {changed}");
}
