//! One seed, and leeches that help each other.

use std::time::Duration;

use crate::support::{Lab, Line, MIB, Process, Stopwatch, World, assert_same_file, report};

#[test]
fn eight_leeches_finish_little_later_than_one() {
    crowd("one seed, eight leeches", |line| line, 2.0);
}

#[test]
fn eight_leeches_with_loss_and_delay_finish_little_later() {
    // A round trip crosses two lines each way: 40 ms.
    let bad = |line: Line| line.delay(Duration::from_millis(10)).loss(5);
    crowd("one seed, eight leeches, 0.5 % loss, 40 ms", bad, 2.5);
}

#[test]
fn eight_leeches_that_know_the_seed_alone_find_each_other() {
    crowd_of("one seed, eight leeches that know it alone", |line| line, 2.0, false);
}

fn crowd(scenario: &str, worsen: impl Fn(Line) -> Line, times_max: f64) {
    crowd_of(scenario, worsen, times_max, true);
}

/// `times_max`: the longest allowed time of the slowest leech, as a multiple of the bound.
fn crowd_of(scenario: &str, worsen: impl Fn(Line) -> Line, times_max: f64, knows_all: bool) {
    let Some(lab) = Lab::for_long() else { return };
    let (world, size) = (World::new(), Size::asked_for());
    let line = worsen(Line::mbit(size.mbit, size.mbit));
    let (film, manifest) = world.film(size.len, size.chunk_len);
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
    // The seed is the first to know which leeches have everything.
    let mut seconds = Vec::new();
    for _ in leeches {
        seeding.wait_json(|line| (line["event"] == "peer" && line["state"] == "completed").then_some(()));
        seconds.push(clock.elapsed().as_secs_f64());
    }
    for (leech, fetch) in leeches.iter().zip(&mut fetching) {
        fetch.wait_json(|line| (line["phase"] == "complete").then_some(()));
        assert_same_file(&film, &leech.path("out/film.bin"));
    }
    let bound = size.fluid_bound();
    let (first, last) = (seconds[0], seconds[LEECHES - 1]);
    let times = last / bound;
    report(
        scenario,
        &format!("{times:.2} x the bound of {bound:.1} s; first {first:.1} s, last {last:.1} s"),
    );
    assert!(times <= times_max, "{times} times the bound of {bound} s");
}

/// Lines, content and chunks of a crowd.
struct Size {
    mbit: u32,
    len: u64,
    chunk_len: u64,
}

impl Size {
    /// Small for tests; or as `SWARM_NET_CROWD` sets it, for figures: Mbit/s, MiB, and KiB of a chunk, as in "50 512 1024".
    fn asked_for() -> Self {
        let Ok(asked) = std::env::var("SWARM_NET_CROWD") else {
            return Self { mbit: 20, len: 40 * MIB, chunk_len: MIB / 4 };
        };
        let numbers: Vec<u32> = asked.split(' ').map(|number| number.parse().expect("a number")).collect();
        let [mbit, mib, chunk_kib] = numbers[..] else { panic!("not three numbers: {asked}") };
        Self { mbit, len: u64::from(mib) * MIB, chunk_len: u64::from(chunk_kib) << 10 }
    }

    /// Seconds that the fluid model needs: max(F / u_seed, F / d_min, N F / (u_seed + sum u)), without headers.
    fn fluid_bound(&self) -> f64 {
        let (bits, mbit, leeches) = (self.len as f64 * 8.0 / 1e6, f64::from(self.mbit), LEECHES as f64);
        (bits / mbit).max(leeches * bits / (mbit + leeches * mbit))
    }
}

const LEECHES: usize = 8;
