//! Networks that block UDP.

use crate::support::{Figures, Lab, Line, MIB, World, assert_same_file, report};

#[test]
fn a_fetch_goes_by_web_socket_where_udp_is_blocked() {
    let Some(lab) = Lab::new() else { return };
    let world = World::new();
    let (film, manifest) = world.film(16 * MIB, MIB);
    let (seed, leech) = (world.node(&lab.host(LINE)), world.node(&lab.host(LINE)));
    let _seeding = seed.seed(&manifest, &film, &["--web"]);
    leech.host.drop_udp();
    let figures = Figures::of(&leech.fetch(&manifest, &[&seed.peer], &[]).end());
    assert_same_file(&film, &leech.path("out/film.bin"));
    report("UDP blocked at the sink", &format!("{:.1} s by WebSocket", figures.seconds));
    assert!(figures.seconds < 12.0, "{figures:?}");
}

const LINE: Line = Line::mbit(50, 50);
