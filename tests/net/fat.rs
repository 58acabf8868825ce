//! A long fat line: 500 Mbit/s, 50 ms there and back, one datagram in a thousand lost. What one link makes of it, and four.

use std::time::Duration;

use crate::support::{Figures, Lab, Line, MIB, World, assert_same_file, report};

#[test]
fn one_link_fills_a_long_fat_line() {
    fetch_from(1);
}

#[test]
fn four_links_fill_a_long_fat_line() {
    fetch_from(4);
}

fn fetch_from(seed_count: usize) {
    let Some(lab) = Lab::new() else { return };
    let world = World::new();
    let (film, manifest) = world.film(asked_len(), MIB);
    let leech = world.node(&lab.host(LINE.loss(1)));
    let seeds: Vec<_> = lab.hosts(seed_count, LINE).iter().map(|host| world.node(host)).collect();
    let _seeding: Vec<_> = seeds.iter().map(|seed| seed.seed(&manifest, &film, &[])).collect();
    let peers: Vec<&str> = seeds.iter().map(|seed| seed.peer.as_str()).collect();
    let figures = Figures::of(&leech.fetch(&manifest, &peers, &[]).end());
    assert_same_file(&film, &leech.path("out/film.bin"));
    let mbit = f64::from(MBIT);
    let (content, frames) = (figures.content_share(mbit), figures.frame_share(mbit));
    report(
        &format!("{mbit} Mbit/s, 50 ms, 0.1 % loss, from {seed_count}"),
        &format!(
            "{:.1} % of the line are content, {:.1} % with headers; {:.1} s",
            content * 100.0,
            frames * 100.0,
            figures.seconds
        ),
    );
    assert!(frames >= SHARE_MIN, "{frames} of {mbit} Mbit/s: {figures:?}");
}

/// Short, as tests are; or as many MiB as `SWARM_NET_FAT` says, for figures.
fn asked_len() -> u64 {
    let asked = std::env::var("SWARM_NET_FAT").ok();
    asked.map_or(64, |mib| mib.parse().expect("a number of MiB")) * MIB
}

const MBIT: u32 = 500;
/// A packet crosses two lines each way, so a round trip is four times this.
const LINE: Line = Line::mbit(MBIT, MBIT).delay(Duration::from_micros(12_500));
/// A debug build, the delaying of every frame and both ends share this machine.
const SHARE_MIN: f64 = 0.1;
