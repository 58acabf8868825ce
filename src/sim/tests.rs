//! Scenarios small enough for every test run, and random worlds under random operations.

use std::time::Duration;

use super::*;

fn small(seed: u64) -> Swarm {
    Swarm::seed(seed).content(64, 18).link(1_000_000, 4_000_000).within(Duration::from_secs(600))
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_another() {
    let run = |seed| small(seed).seeds(1).leeches(12).run();
    let (a, b, c) = (run(7), run(7), run(8));
    assert_eq!((a.trace, a.events), (b.trace, b.events));
    assert_ne!(a.trace, c.trace);
}

#[test]
fn a_flash_crowd_finishes_without_findings() {
    let report = small(7).seeds(1).leeches(20).run();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.finished, 20);
}
