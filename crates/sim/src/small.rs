//! Small worlds with many faults: every test run goes through hundreds of them, and the fuzz target through as many as it can.

use std::time::Duration;

use swarm_core::base::{Rng, mix};
use swarm_engine::Order;

use super::op::Script;
use super::scenario::{Disk, Has, Honesty, NodeSpec, Swarm};

impl Swarm {
    /// A random world with faults, all of which heal; the seed repeats it.
    pub fn random(seed: u64) -> Self {
        let mut rng = Rng::seeded(mix(seed, 0x3a11));
        let leeches = 2 + rng.below(9) as u32;
        let mut script = [0; 24];
        for byte in &mut script {
            *byte = rng.next_u64() as u8;
        }
        let steps = rng.below(4) as usize;
        Self::small(seed, leeches, &script[..steps * 6])
    }

    /// One seed, leeches of every kind, and the operations that the bytes encode.
    pub fn small(seed: u64, leeches: u32, script: &[u8]) -> Self {
        let chunks = 8 + (mix(seed, 1) % 57) as u32;
        Self::seed(seed)
            .content(chunks, 18)
            .link(1_000_000, 2_000_000)
            .seeds(1)
            .leeches(leeches)
            .loss((mix(seed, 2) % 3) as f64 / 100.0)
            .within(Duration::from_hours(1))
            .each(|index, spec, rng| {
                if index > 0 {
                    become_something(spec, rng);
                }
            })
            .script(Script::from_bytes(script, 1 + leeches))
    }
}

/// Most nodes are honest; the others are corrupt, slow, late, out of disk space, or hold a part of the content.
fn become_something(spec: &mut NodeSpec, rng: &mut Rng) {
    spec.up_per_sec = 200_000 + rng.below(2_000_000);
    spec.down_per_sec = spec.up_per_sec * 2;
    match rng.below(24) {
        0 => (spec.honesty, spec.is_measured) = (Honesty::Corrupt, false),
        1 => (spec.honesty, spec.is_measured) = (Honesty::Boaster, false),
        2 => (spec.honesty, spec.is_measured) = (Honesty::Mute, false),
        3 => spec.disk = Disk::Slow(300_000),
        4 => (spec.disk, spec.is_measured) = (Disk::FullAfter(5), false),
        5 => spec.order = Order::Sequential { window_len: Some(2 << 20) },
        6 => spec.joins_at = Duration::from_secs(rng.below(20)),
        7 => spec.has = Has::Share(0.5),
        8 => (spec.honesty, spec.is_measured) = (Honesty::Trickle, false),
        _ => {}
    }
}
