//! Processes that are stopped for a while, as on a laptop with a closed lid. The pause itself is tested, so these tests
//! wait for a fixed time: `SWARM_PAUSE_SECS`, 5 by default; with 60 every link times out meanwhile.

use std::time::Duration;

use crate::support::{MIB, Process, Signal, World, args, assert_same_file};

#[test]
fn a_fetch_that_was_stopped_for_a_while_goes_on() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let seed = world.seed(args![film]);
    let mut fetch = world.fetch(args!["-o", "out", "--limit-down", "8MiB/s", seed.ticket()]);
    wait_for_a_quarter(&mut fetch);
    pause(&mut fetch);
    fetch.end().done();
    assert_same_file(&film, &world.path("out/film.bin"));
}

#[test]
fn a_fetch_goes_on_when_its_stopped_seed_does() {
    let world = World::new();
    let film = world.file("film.bin", LEN);
    let mut seed = world.seed(args![film]);
    let mut fetch =
        world.fetch(args!["-o", "out", "--limit-down", "8MiB/s", "--timeout", "300", seed.ticket()]);
    wait_for_a_quarter(&mut fetch);
    pause(&mut seed.process);
    fetch.end().done();
    assert_same_file(&film, &world.path("out/film.bin"));
}

#[test]
fn a_fetch_that_waits_for_its_source_counts_no_time_for_which_it_stands_still() {
    let world = World::new();
    let film = world.file("film.bin", MIB);
    let seed = world.seed(args![film]);
    let (address, ticket) = (seed.address(), seed.ticket().to_owned());
    seed.process.kill();
    let mut fetch = world.fetch(args!["-o", "out", "--timeout", "3", ticket]);
    fetch.wait_json(|line| (line["event"] == "progress").then_some(()));
    fetch.signal(Signal::Stop);
    // The source is back before the fetch dials again.
    std::thread::sleep(Duration::from_secs(4));
    let _seed = world.seed_at(&address, args![film]);
    fetch.signal(Signal::Continue);
    fetch.end().done();
}

fn wait_for_a_quarter(fetch: &mut Process) {
    fetch.wait_json(|line| (line["verified_bytes"].as_u64()? >= LEN / 4).then_some(()));
}

fn pause(process: &mut Process) {
    let seconds = std::env::var("SWARM_PAUSE_SECS").map_or(5, |seconds| seconds.parse().expect("a number"));
    process.signal(Signal::Stop);
    std::thread::sleep(Duration::from_secs(seconds));
    process.signal(Signal::Continue);
}

const LEN: u64 = 32 * MIB;
