//! One seed, one fetch: what a single link makes of a line.

use std::time::Duration;

use crate::support::{Figures, Lab, Line, MIB, World, assert_same_file, report};

#[test]
fn one_link_fills_a_line() {
    pair("one to one", LINE, 0.8);
}

#[test]
fn one_link_fills_a_long_line() {
    pair("one to one, 100 ms", LINE.delay(Duration::from_millis(25)), 0.5);
}

#[test]
fn one_link_fills_a_line_that_loses() {
    pair("one to one, 0.5 % loss, 40 ms", LINE.delay(Duration::from_millis(10)).loss(5), 0.2);
}

fn pair(scenario: &str, line: Line, share_min: f64) {
    let Some(lab) = Lab::new() else { return };
    let world = World::new();
    let (film, manifest) = world.film(LEN, MIB);
    let [seed, leech] = [(); 2].map(|()| world.node(&lab.host(line)));
    let _seeding = seed.seed(&manifest, &film, &[]);
    let figures = Figures::of(&leech.fetch(&manifest, &[&seed.peer], &[]).end());
    assert_same_file(&film, &leech.path("out/film.bin"));
    let mbit = f64::from(MBIT);
    let (content, frames) = (figures.content_share(mbit), figures.frame_share(mbit));
    report(
        scenario,
        &format!(
            "{:.1} % of {mbit} Mbit/s are content, {:.1} % with headers; {:.1} s",
            content * 100.0,
            frames * 100.0,
            figures.seconds
        ),
    );
    assert!(frames >= share_min, "{frames} of {mbit} Mbit/s: {figures:?}");
}

const MBIT: u32 = 50;
const LINE: Line = Line::mbit(MBIT, MBIT);
const LEN: u64 = 32 * MIB;
