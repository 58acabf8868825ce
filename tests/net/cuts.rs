//! Lines that are cut during a fetch.

use crate::support::{Figures, Lab, Line, MIB, Process, World, assert_same_file, report};

#[test]
fn fetches_continue_after_their_hosts_were_cut_off_for_a_while() {
    let Some(lab) = Lab::new() else { return };
    let world = World::new();
    let (film, manifest) = world.film(LEN, MIB);
    // A seed for each, so that neither finishes before the other has started.
    let [one, other, unaware, aware] = [(); 4].map(|()| world.node(&lab.host(LINE)));
    let pairs = [(&one, &unaware), (&other, &aware)];
    let _seeding = pairs.map(|(seed, _)| seed.seed(&manifest, &film, &[]));
    let mut fetches = pairs.map(|(seed, leech)| leech.fetch(&manifest, &[&seed.peer], &[]));
    fetches.iter_mut().for_each(wait_for_a_quarter);
    unaware.host.cut();
    aware.host.take_down();
    // Each fetch prints about one line a second.
    for _ in 0..CUT_SECONDS {
        fetches[0].wait_json(|line| (line["event"] == "progress").then_some(()));
    }
    unaware.host.mend();
    aware.host.bring_back();
    let least = LEN as f64 * 8.0 / 1e6 / f64::from(MBIT);
    for ((fetch, leech), what) in fetches.into_iter().zip([&unaware, &aware]).zip(["unaware", "aware"]) {
        let figures = Figures::of(&fetch.end());
        assert_same_file(&film, &leech.path("out/film.bin"));
        let more = figures.seconds - least - f64::from(CUT_SECONDS);
        let seconds = figures.seconds;
        report(
            &format!("cut off for {CUT_SECONDS} s, {what}"),
            &format!("{seconds:.1} s, {more:.1} s more than the line needs and the cut takes"),
        );
        assert!(more < 15.0, "{figures:?}");
    }
}

#[test]
fn requests_of_a_seed_that_is_cut_off_are_reassigned() {
    let Some(lab) = Lab::new() else { return };
    let world = World::new();
    let (film, manifest) = world.film(LEN, MIB);
    let seeds: Vec<_> = lab.hosts(3, LINE).iter().map(|host| world.node(host)).collect();
    let leech = world.node(&lab.host(Line::mbit(2 * MBIT, 2 * MBIT)));
    let _seeding: Vec<Process> = seeds.iter().map(|seed| seed.seed(&manifest, &film, &[])).collect();
    let peers: Vec<&str> = seeds.iter().map(|seed| seed.peer.as_str()).collect();
    let mut fetch = leech.fetch(&manifest, &peers, &[]);
    wait_for_a_quarter(&mut fetch);
    seeds[0].host.cut();
    let figures = Figures::of(&fetch.end());
    assert_same_file(&film, &leech.path("out/film.bin"));
    let least = LEN as f64 * 8.0 / 1e6 / f64::from(2 * MBIT);
    let more = figures.seconds - least;
    report(
        "one seed of three cut off for good",
        &format!("{:.1} s, {more:.1} s more than the sink's line needs", figures.seconds),
    );
    assert!(more < 10.0, "{figures:?}");
}

fn wait_for_a_quarter(fetch: &mut Process) {
    fetch.wait_json(|line| (line["verified_bytes"].as_u64()? >= LEN / 4).then_some(()));
}

const MBIT: u32 = 50;
const LINE: Line = Line::mbit(MBIT, MBIT);
const LEN: u64 = 48 * MIB;
const CUT_SECONDS: u32 = 8;
