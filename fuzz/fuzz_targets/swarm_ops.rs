//! The engine in a small world under any operations: whatever happens, the checkers find nothing and everybody finishes.
//! Bytes: two for the seed, one for the leeches, the rest is a script.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swarm::sim::Swarm;

fuzz_target!(|bytes: &[u8]| {
    let [low, high, leeches, script @ ..] = bytes else { return };
    let seed = u64::from(u16::from_le_bytes([*low, *high]));
    let report = Swarm::small(seed, 1 + u32::from(*leeches % 8), script).run();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
});
