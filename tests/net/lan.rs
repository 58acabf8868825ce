//! Nodes of one network that find each other by multicast.

use crate::support::{Figures, Lab, Line, MIB, Node, Process, Stopwatch, World, assert_same_file, report};

#[test]
fn a_fetch_finds_a_seed_on_its_network() {
    let Some(lab) = Lab::new() else { return };
    let world = World::new();
    let (film, manifest) = world.film(LEN, MIB);
    let [seed, leech] = [(); 2].map(|()| world.node(&lab.host(LINE)).on_lan());
    let _seeding = seed.seed(&manifest, &film, &[]);
    let clock = Stopwatch::start();
    let mut fetch = leech.fetch(&manifest, &[], &[]);
    wait_found(&mut fetch, &seed);
    let found_secs = clock.elapsed().as_secs_f64();
    let figures = Figures::of(&fetch.end());
    assert_same_file(&film, &leech.path("out/film.bin"));
    let secs = figures.seconds;
    report("no ticket, one network", &format!("seed found after {found_secs:.2} s, done after {secs:.2} s"));
}

#[test]
fn a_fetch_waits_for_a_seed_that_comes_later() {
    let Some(lab) = Lab::new() else { return };
    let world = World::new();
    let (film, manifest) = world.film(LEN, MIB);
    let [seed, leech] = [(); 2].map(|()| world.node(&lab.host(LINE)).on_lan());
    let mut fetch = leech.fetch(&manifest, &[], &[]);
    fetch.wait_json(|line| (line["event"] == "ready").then_some(()));
    let clock = Stopwatch::start();
    let _seeding = seed.seed(&manifest, &film, &[]);
    wait_found(&mut fetch, &seed);
    report("no ticket, the seed comes later", &format!("found after {:.2} s", clock.elapsed().as_secs_f64()));
    fetch.end().done();
    assert_same_file(&film, &leech.path("out/film.bin"));
}

#[test]
fn a_fetch_that_finds_no_peer_gives_up_after_its_timeout() {
    let Some(lab) = Lab::new() else { return };
    let world = World::new();
    let (film, manifest) = world.film(MIB, MIB);
    let [apart, leech] = [(); 2].map(|()| world.node(&lab.host(LINE)));
    let _not_announced = apart.seed(&manifest, &film, &[]);
    let outcome = leech.on_lan().fetch(&manifest, &[], &["--timeout", "3"]).end();
    outcome.expect_code(3);
}

/// Waits until a fetch reports the node as found on its network.
fn wait_found(fetch: &mut Process, node: &Node) {
    let id = node.peer.split('@').next().expect("it begins with the key").to_owned();
    fetch.wait_json(|line| {
        let is_found = line["event"] == "peer" && line["state"] == "found" && line["detail"] == "lan";
        (is_found && line["node"] == id.as_str()).then_some(())
    });
}

const LINE: Line = Line::mbit(100, 100);
const LEN: u64 = 8 * MIB;
