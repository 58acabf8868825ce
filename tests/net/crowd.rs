//! One seed, and leeches that help each other.

use std::time::Duration;

use crate::support::{Lab, Line, MIB, Process, Stopwatch, World, assert_same_file, report};

#[test]
fn eight_leeches_are_done_little_later_than_one() {
    crowd("one seed, eight leeches", Line::mbit(MBIT, MBIT), 2.0);
}

#[test]
fn eight_leeches_with_loss_and_delay_are_done_little_later() {
    // A packet crosses two lines each way: 40 ms a round trip.
    let line = Line::mbit(MBIT, MBIT).delay(Duration::from_millis(10)).loss(5);
    crowd("one seed, eight leeches, 0.5 % loss, 40 ms", line, 2.5);
}

#[test]
fn eight_leeches_that_know_the_seed_alone_find_each_other() {
    crowd_of("one seed, eight leeches that know it alone", Line::mbit(MBIT, MBIT), 2.0, false);
}

fn crowd(scenario: &str, line: Line, times_max: f64) {
    crowd_of(scenario, line, times_max, true);
}

/// `times_max`: the last one's time, as times of the bound.
fn crowd_of(scenario: &str, line: Line, times_max: f64, knows_all: bool) {
    let Some(lab) = Lab::new() else { return };
    let world = World::new();
    let (film, manifest) = world.film(LEN, CHUNK_LEN);
    let nodes: Vec<_> = lab.hosts(1 + LEECHES, line).iter().map(|host| world.node(host)).collect();
    let (seed, leeches) = nodes.split_first().expect("there is a seed");
    let mut seeding = seed.seed(&manifest, &film, &[]);
    let clock = Stopwatch::start();
    let fetch = |leech: &crate::support::Node| -> Process {
        let is_told =
            |node: &&crate::support::Node| node.peer == seed.peer || (knows_all && node.peer != leech.peer);
        let others = nodes.iter().filter(is_told);
        let peers: Vec<&str> = others.map(|node| node.peer.as_str()).collect();
        leech.fetch(&manifest, &peers, &["--keep-seeding"])
    };
    let mut fetching: Vec<Process> = leeches.iter().map(fetch).collect();
    // The seed is the first to know who has everything.
    let mut seconds = Vec::new();
    for _ in leeches {
        seeding.wait_json(|line| (line["event"] == "peer" && line["state"] == "completed").then_some(()));
        seconds.push(clock.elapsed().as_secs_f64());
    }
    for (leech, fetch) in leeches.iter().zip(&mut fetching) {
        fetch.wait_json(|line| (line["phase"] == "complete").then_some(()));
        assert_same_file(&film, &leech.path("out/film.bin"));
    }
    let bound = fluid_bound();
    let (first, last) = (seconds[0], seconds[LEECHES - 1]);
    let times = last / bound;
    report(
        scenario,
        &format!("{times:.2} x the bound of {bound:.1} s; first {first:.1} s, last {last:.1} s"),
    );
    assert!(times <= times_max, "{times} times the bound of {bound} s");
}

/// Seconds that the fluid model needs: max(F / u_seed, F / d_min, N F / (u_seed + sum u)). Headers are not taken off.
fn fluid_bound() -> f64 {
    let (bits, mbit, leeches) = (LEN as f64 * 8.0 / 1e6, f64::from(MBIT), LEECHES as f64);
    (bits / mbit).max(leeches * bits / (mbit + leeches * mbit))
}

const LEECHES: usize = 8;
const MBIT: u32 = 20;
const LEN: u64 = 40 * MIB;
const CHUNK_LEN: u64 = MIB / 4;
