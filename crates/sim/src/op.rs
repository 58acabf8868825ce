//! What can happen to a world from outside, as data: scenarios, property tests and the fuzz target use the same operations.

use std::time::Duration;

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// The node is gone without a word; what was not durable is lost.
    Crash {
        /// Which.
        node: u32,
    },
    /// The node comes back with what its journal holds.
    Restart {
        /// Which.
        node: u32,
    },
    /// The node ends in good order and does not come back.
    Leave {
        /// Which.
        node: u32,
    },
    /// All links between two nodes are cut, and new ones fail until it heals.
    Partition {
        /// Nodes with a number below this are on one side.
        below: u32,
    },
    /// The network is whole again.
    Heal,
    /// A node's clock jumps.
    ClockJump {
        /// Which.
        node: u32,
        /// Milliseconds, ahead or back.
        millis: i32,
    },
    /// A node's uplink gets another capacity.
    Uplink {
        /// Which.
        node: u32,
        /// Bytes a second.
        per_sec: u32,
    },
    /// The first seed leaves as soon as so many percent of the content have been sent by seeds.
    SeedLeavesAfter {
        /// Percent of the content.
        percent: u32,
    },
}

impl Op {
    /// The node that it happens to; scripts may name one that a small world lacks.
    pub(super) fn node(&self) -> Option<u32> {
        match *self {
            Self::Crash { node }
            | Self::Restart { node }
            | Self::Leave { node }
            | Self::ClockJump { node, .. }
            | Self::Uplink { node, .. } => Some(node),
            Self::Partition { .. } | Self::Heal | Self::SeedLeavesAfter { .. } => None,
        }
    }
}

/// Operations and when they happen.
#[derive(Clone, Debug, Default)]
pub struct Script {
    pub(super) steps: Vec<(Duration, Op)>,
}

impl Script {
    /// Adds an operation.
    pub fn push(&mut self, at: Duration, op: Op) {
        self.steps.push((at, op));
    }

    /// Any bytes are a script for a world of so many nodes: six bytes a step, all within the first minute. Whatever is cut
    /// or gone for a while comes back before the end of it.
    pub fn from_bytes(bytes: &[u8], node_count: u32) -> Self {
        let mut script = Self::default();
        for step in bytes.chunks_exact(6).take(STEPS_MAX) {
            let at = Duration::from_millis(u64::from(u16::from_le_bytes([step[0], step[1]])) % 60_000);
            let node = u32::from(step[2]) % node_count.max(1);
            let value = i32::from(i16::from_le_bytes([step[4], step[5]]));
            match step[3] % 5 {
                0 if node > 0 => {
                    script.push(at, Op::Crash { node });
                    script.push(at + Duration::from_secs(5), Op::Restart { node });
                }
                1 if node > 0 => script.push(at, Op::Leave { node }),
                2 => {
                    script.push(at, Op::Partition { below: node });
                    script.push(at + Duration::from_secs(10), Op::Heal);
                }
                3 => script.push(at, Op::ClockJump { node, millis: value }),
                _ => script.push(at, Op::Uplink { node, per_sec: 50_000 + value.unsigned_abs() * 10 }),
            }
        }
        script.push(Duration::from_secs(75), Op::Heal);
        script
    }
}

const STEPS_MAX: usize = 32;
