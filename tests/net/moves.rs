//! Hosts whose address changes while a fetch runs: from one network to another, a new lease, a tunnel that comes up.

use serde_json::Value;

use crate::support::{Figures, Host, Lab, Line, MIB, Process, World, assert_same_file, report};

#[test]
fn a_fetcher_that_moves_keeps_its_link() {
    let Some(lab) = Lab::new() else { return };
    let world = World::new();
    let (film, manifest) = world.film(LEN, MIB);
    let [seed, leech] = [(); 2].map(|()| world.node(&lab.host(LINE)));
    let _seeding = seed.seed(&manifest, &film, &[]);
    let mut fetch = leech.fetch(&manifest, &[&seed.peer], &[]);
    move_amid(&mut fetch, &leech.host);
    let fetch = fetch.end();
    let figures = Figures::of(&fetch);
    assert_same_file(&film, &leech.path("out/film.bin"));
    let is_lost = |line: &Value| line["event"] == "peer" && line["state"] == "left";
    assert!(!fetch.json().iter().any(is_lost), "the link did not live through it: {fetch:#?}");
    tell("the fetcher", &figures);
}

#[test]
fn a_fetcher_whose_interface_comes_back_with_another_address_goes_on() {
    let Some(lab) = Lab::new() else { return };
    let world = World::new();
    let (film, manifest) = world.film(LEN, MIB);
    let [seed, leech] = [(); 2].map(|()| world.node(&lab.host(LINE)));
    let _seeding = seed.seed(&manifest, &film, &[]);
    let mut fetch = leech.fetch(&manifest, &[&seed.peer], &[]);
    fetch.wait_json(|line| (line["verified_bytes"].as_u64()? >= LEN / 4).then_some(()));
    leech.host.take_down();
    // Each fetch prints about one line a second.
    for _ in 0..3 {
        fetch.wait_json(|line| (line["event"] == "progress").then_some(()));
    }
    leech.host.move_away();
    leech.host.bring_back();
    let figures = Figures::of(&fetch.end());
    assert_same_file(&film, &leech.path("out/film.bin"));
    tell("the fetcher, three seconds later,", &figures);
}

#[test]
fn a_seed_that_moves_is_found_again_where_it_is_now() {
    let Some(lab) = Lab::for_long() else { return };
    let world = World::new();
    let (film, manifest) = world.film(LEN, MIB);
    let [coordinator, seed, leech] = [(); 3].map(|()| world.node(&lab.host(LINE)));
    let _coordinating = coordinator.coordinator();
    let ask = ["--coordinator", coordinator.peer.as_str()];
    let _seeding = seed.seed(&manifest, &film, &ask);
    let mut fetch = leech.fetch(&manifest, &[&seed.peer], &ask);
    move_amid(&mut fetch, &seed.host);
    let figures = Figures::of(&fetch.end());
    assert_same_file(&film, &leech.path("out/film.bin"));
    tell("the seed", &figures);
}

fn move_amid(fetch: &mut Process, host: &Host) {
    fetch.wait_json(|line| (line["verified_bytes"].as_u64()? >= LEN / 4).then_some(()));
    host.move_away();
}

fn tell(who: &str, figures: &Figures) {
    let more = figures.seconds - LEN as f64 * 8.0 / 1e6 / f64::from(MBIT);
    report(
        &format!("{who} moves"),
        &format!("{:.1} s, {more:.1} s more than the line needs", figures.seconds),
    );
}

const MBIT: u32 = 50;
const LINE: Line = Line::mbit(MBIT, MBIT);
const LEN: u64 = 48 * MIB;
