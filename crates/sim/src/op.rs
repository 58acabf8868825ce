//! Faults and events of a world, as data: scenarios, property tests and the fuzz target use the same operations.

use std::time::Duration;

/// One fault or event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// The node disappears without a message; chunks that were not durable are lost.
    Crash {
        /// Index of the node.
        node: u32,
    },
    /// The node comes back with the chunks of its journal.
    Restart {
        /// Index of the node.
        node: u32,
    },
    /// The node leaves in good order and does not come back.
    Leave {
        /// Index of the node.
        node: u32,
    },
    /// Cuts all links between two groups of nodes; new ones fail until [`Op::Heal`].
    Partition {
        /// Nodes with a smaller index are one group, the others the second.
        below: u32,
    },
    /// Ends a partition.
    Heal,
    /// A node's clock jumps.
    ClockJump {
        /// Index of the node.
        node: u32,
        /// Milliseconds, forward or back.
        millis: i32,
    },
    /// A node's uplink gets another capacity.
    Uplink {
        /// Index of the node.
        node: u32,
        /// New capacity, bytes a second.
        per_sec: u32,
    },
    /// The first seed leaves once seeds have sent this much.
    SeedLeavesAfter {
        /// Percent of the content.
        percent: u32,
    },
}

impl Op {
    /// The node that the operation concerns; a script may name one that a small world lacks.
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

/// Operations and their times.
#[derive(Clone, Debug, Default)]
pub struct Script {
    pub(super) steps: Vec<(Duration, Op)>,
}

impl Script {
    /// Adds an operation.
    pub fn push(&mut self, at: Duration, op: Op) {
        self.steps.push((at, op));
    }

    /// Makes a script for a world of `node_count` nodes from any bytes: six bytes a step, all within the first minute. Nodes and
    /// links that go down come back before its end.
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
