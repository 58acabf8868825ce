//! A long fat line: 500 Mbit/s, 50 ms round trip, one datagram in a thousand lost. The share that one link uses, and four.

use std::time::Duration;

use crate::support::{Bottleneck, Figures, Lab, Line, MIB, Path, UdpRelay, World, assert_same_file, report};

#[test]
fn one_link_makes_use_of_a_long_fat_line() {
    fetch_from(1);
}

#[test]
fn four_links_make_use_of_a_long_fat_line() {
    fetch_from(4);
}

fn fetch_from(seed_count: usize) {
    let Some(lab) = Lab::for_long() else { return };
    let world = World::new();
    let (film, manifest) = world.film(asked_len(), MIB);
    let leech = world.node(&lab.host(Line::fast()));
    let seeds: Vec<_> = lab.hosts(seed_count, Line::fast()).iter().map(|host| world.node(host)).collect();
    let _seeding: Vec<_> = seeds.iter().map(|seed| seed.seed(&manifest, &film, &[])).collect();
    let (router, shared) = (lab.host(Line::fast()), Bottleneck::new());
    let relays = (1..).zip(&seeds).map(|(port, seed): (u16, _)| {
        let relay = UdpRelay::start(&router, port, seed.listens_at(), PATH, &shared);
        (seed.peer_at((router.address(), port).into()), relay)
    });
    let (peers, _relays): (Vec<String>, Vec<UdpRelay>) = relays.unzip();
    let peers: Vec<&str> = peers.iter().map(String::as_str).collect();
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

/// Short for tests; or the MiB in `SWARM_NET_FAT`, for figures.
fn asked_len() -> u64 {
    let asked = std::env::var("SWARM_NET_FAT").ok();
    asked.map_or(64, |mib| mib.parse().expect("a number of MiB")) * MIB
}

const MBIT: u32 = 500;
const PATH: Path = Path { mbit: MBIT, delay: Duration::from_millis(25), lost_per_mille: 1 };
/// A debug build, the relay and both ends share this machine.
const SHARE_MIN: f64 = if cfg!(debug_assertions) { 0.02 } else { 0.3 };
