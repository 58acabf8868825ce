//! Files that are added at one daemon of eight, over uplinks that are the bottleneck.

use std::time::Duration;

use super::crew::Crew;
use super::is_long;
use crate::support::{Lab, Line, MIB, Stopwatch, World, assert_same_file, report};

/// One daemon is killed on the way and restarted, another is cut off for a while.
#[test]
fn eight_daemons_have_what_one_got_little_later_than_its_uplink_takes() {
    let Some(lab) = Lab::new() else { return };
    let world = World::new();
    let cut = if is_long() { Duration::from_mins(1) } else { Duration::from_secs(4) };
    let len = content_len();
    let crew = Crew::new(&world, &lab.hosts(DAEMONS, Line::mbit(UP_MBIT, 2 * UP_MBIT)));
    crew.introduce();
    crew.start_all();
    crew.until_linked();
    for number in 0..FILES {
        world.file(&format!("new/film {number}.bin"), len / FILES);
    }
    let bound = len as f64 * 8.0 / 1e6 / f64::from(UP_MBIT);
    let limit = Duration::from_secs_f64(bound * 4.0) + cut + Duration::from_mins(1);
    let clock = Stopwatch::start();
    std::fs::rename(world.path("new"), crew.path(0, "lib/new")).expect("one file system");
    let part =
        |number: usize| crew.library(number)["bytes_here"].as_u64().is_some_and(|here| here >= len / 4);
    super::until(limit, "a quarter is there", || part(KILLED));
    crew.kill(KILLED);
    crew.nodes[CUT].host.cut();
    let at = clock.elapsed();
    crew.start(KILLED);
    super::until(limit, "the cut is over", || clock.elapsed() >= at + cut);
    crew.nodes[CUT].host.mend();
    for number in (1..DAEMONS).filter(|number| *number != CUT) {
        crew.until_has(number, FILES, limit);
    }
    let others = clock.elapsed().as_secs_f64();
    crew.until_has(CUT, FILES, limit);
    let last = clock.elapsed().as_secs_f64();
    let (times, of_cut) = (others / bound, last / bound);
    report(
        "eight daemons, files added at one",
        &format!(
            "{} MiB in {others:.1} s, {times:.2} x the bound of {bound:.1} s; the one cut off for {cut:?}: {last:.1} s, {of_cut:.2} x",
            len / MIB
        ),
    );
    for number in 1..DAEMONS {
        for file in 0..FILES {
            let name = format!("lib/new/film {file}.bin");
            assert_same_file(&crew.path(0, &name), &crew.path(number, &name));
        }
    }
    crew.stop();
    assert!(last <= 3.0 * bound + cut.as_secs_f64() + SLACK_SECS, "{last} s, {bound} s is the bound");
}

/// Bytes of all files, which eight disks hold: for figures, `SWARM_NET_LIBRARY` says how many MiB.
fn content_len() -> u64 {
    let asked = std::env::var("SWARM_NET_LIBRARY").ok().map(|mib| mib.parse().expect("a number"));
    asked.unwrap_or(if is_long() { 256 } else { 64 }) * MIB
}

const DAEMONS: usize = 8;
const UP_MBIT: u32 = 50;
const FILES: u64 = 8;
const KILLED: usize = 3;
const CUT: usize = 5;
/// What links, hashes and restarts take on a machine that does other things, too.
const SLACK_SECS: f64 = 30.0;
