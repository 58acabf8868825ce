//! Fetches that end early, and their continuation.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{MIB, Outcome, Signal, World, args, assert_same_file, heavy, kill_count};

#[test]
fn many_kills_cost_at_most_a_flush_window_each() {
    let _turn = heavy();
    let world = World::new();
    let film = world.file("film.bin", KILLED_LEN);
    let seed = world.seed(args![film]);
    let mut previous: Option<Run> = None;
    let kills = kill_count();
    for number in 1..=kills {
        let args = args!["-o", "out", "--limit-down", format!("{KILLED_RATE}B/s"), seed.ticket()];
        let mut fetch = world.fetch(args);
        let target_len = KILLED_LEN * 9 / 10 * number / kills;
        fetch.wait_json(|line| (line["verified_bytes"].as_u64()? >= target_len).then_some(()));
        let run = Run::of(&fetch.kill());
        run.check_after(previous.as_ref());
        previous = Some(run);
    }
    let last = world.fetch(args!["-o", "out", seed.ticket()]).end();
    last.done();
    Run::of(&last).check_after(previous.as_ref());
    assert_same_file(&film, &world.path("out/film.bin"));
}

/// The figures in the output of one run.
struct Run {
    present_len: u64,
    durable_len: u64,
    verified_len: u64,
    bytes_per_sec: u64,
}

impl Run {
    fn of(outcome: &Outcome) -> Self {
        // A kill may cut the last line.
        let whole = |line: &String| serde_json::from_str(line).ok();
        let lines: Vec<Value> = outcome.out.iter().filter_map(whole).collect();
        let most = |field: &str| lines.iter().filter_map(|line| line[field].as_u64()).max().unwrap_or(0);
        Self {
            present_len: most("present_bytes"),
            durable_len: most("durable_bytes"),
            verified_len: most("verified_bytes"),
            bytes_per_sec: most("bytes_per_sec"),
        }
    }

    fn check_after(&self, previous: Option<&Self>) {
        let Some(previous) = previous else { return };
        let (present, durable) = (self.present_len, previous.durable_len);
        assert!(present >= durable, "{durable} bytes were durable, {present} are there");
        let again = previous.verified_len.saturating_sub(present);
        // Two seconds until a flush starts, and two more for the disk to finish it.
        let window = (4 * previous.bytes_per_sec.max(KILLED_RATE)).min(256 * MIB) + 32 * MIB;
        assert!(again <= window, "{again} bytes were fetched for nothing, a window is {window}");
    }
}

#[test]
fn ctrl_c_says_how_to_go_on_and_going_on_works() {
    let world = World::new();
    let film = world.file("film.bin", 48 * MIB);
    let seed = world.seed(args![film]);
    let mut fetch = world.fetch(args!["-o", "out", "--limit-down", "12MiB/s", seed.ticket()]);
    let verified_len = fetch.wait_json(|line| line["verified_bytes"].as_u64().filter(|len| *len >= 12 * MIB));
    fetch.signal(Signal::Interrupt);
    let outcome = fetch.end().expect_code(130);
    assert!(outcome.error_message().contains("run the same command again"), "{outcome:#?}");
    let again = world.fetch(args!["-o", "out", seed.ticket()]).end();
    let done = again.done();
    // An orderly end keeps every verified chunk.
    assert!(done.present_bytes >= verified_len, "{verified_len} were verified: {done:#?}");
    assert_same_file(&film, &world.path("out/film.bin"));
}

#[test]
fn ctrl_c_before_anything_came_ends_at_once() {
    let world = World::new();
    let film = world.file("film.bin", MIB);
    let seed = world.seed(args![film]);
    let ticket = seed.ticket().to_owned();
    drop(seed);
    let mut fetch = world.start(&args!["fetch", "-o", "out", ticket]);
    fetch.wait_stderr("");
    fetch.signal(Signal::Interrupt);
    let outcome = fetch.end().expect_code(130);
    assert!(outcome.failure_line().contains("interrupted"), "{outcome:#?}");
}

#[test]
fn ctrl_c_ends_a_fetch_that_is_held_back_to_almost_nothing() {
    let world = World::new();
    let film = world.file("film.bin", 8 * MIB);
    let seed = world.seed(args![film]);
    // At this rate a chunk takes a quarter of an hour: a user would think that a process waiting for it hangs.
    let mut fetch = world.fetch(args!["-o", "out", "--limit-down", "1KiB/s", seed.ticket()]);
    fetch.wait_json(|line| (line["event"] == "peer" && line["state"] == "joined").then_some(()));
    fetch.wait_json(|line| (line["event"] == "progress").then_some(()));
    fetch.signal(Signal::Interrupt);
    fetch.end().expect_code(130);
}

#[test]
fn a_ticket_goes_on_without_its_seed_having_to_tell_the_manifest_again() {
    let world = World::new();
    let film = world.file("film.bin", 40 * MIB);
    let seed = world.seed(args![film]);
    let mut fetch = world.fetch(args!["-o", "out", "--limit-down", "8MiB/s", seed.ticket()]);
    fetch.wait_json(|line| (line["durable_bytes"].as_u64()? > 0).then_some(()));
    fetch.kill();
    let manifest = world.manifest(&film, "film.swarm");
    let again = world.fetch(args!["-o", "out", manifest, "--peer", seed.ticket()]).end();
    assert!(again.done().present_bytes > 0);
    assert_same_file(&film, &world.path("out/film.bin"));
}

#[test]
fn nodes_of_one_user_have_different_keys_at_the_same_time() {
    let world = World::new();
    let films: Vec<_> = (0..3).map(|number| world.file(&format!("film-{number}"), 8 * MIB)).collect();
    let seeds: Vec<_> = films.iter().map(|film| world.seed(args![film])).collect();
    let mut fetches: Vec<_> = (0..3)
        .map(|number| {
            let out = format!("out-{number}");
            world.fetch(args!["-o", out, "--keep-seeding", seeds[number].ticket()])
        })
        .collect();
    let mut keys: BTreeSet<String> = seeds.iter().map(|seed| seed.node().to_owned()).collect();
    for fetch in &mut fetches {
        keys.insert(fetch.wait_json(|line| (line["event"] == "ready").then(|| line["node"].to_string())));
    }
    assert_eq!(keys.len(), 6, "{keys:#?}");
}

#[test]
fn a_restarted_seed_is_the_same_node_at_the_same_port() {
    let world = World::new();
    let film = world.file("film.bin", 4 * MIB);
    let first = world.seed_anywhere(args![film]);
    let ticket = first.ticket().to_owned();
    let mut process = first.process;
    process.signal(Signal::Interrupt);
    process.end().expect_code(130);
    let second = world.seed_anywhere(args![film]);
    assert_eq!(second.ticket(), ticket);
    world.fetch(args!["-o", "out", ticket]).end().done();
    second.process.kill();
    // After a kill, too.
    assert_eq!(world.seed_anywhere(args![film]).ticket(), ticket);
}

const KILLED_LEN: u64 = 640 * MIB;
const KILLED_RATE: u64 = 48 * MIB;
