//! The line between a host and its switch: rates, delay and loss.

use std::time::Duration;

use super::shell::{load_rules, run};

/// A host's line. A packet from one host to another crosses two of them.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    up_mbit: Option<u32>,
    down_mbit: Option<u32>,
    /// One way.
    pub(super) delay: Duration,
    /// Datagrams lost, of a thousand that arrive.
    lost_per_mille: u32,
}

impl Line {
    /// As fast as this machine.
    pub const fn fast() -> Self {
        Self { up_mbit: None, down_mbit: None, delay: Duration::ZERO, lost_per_mille: 0 }
    }

    /// So many megabits a second (Ethernet frames, without preamble and checksum) up and down.
    pub const fn mbit(up: u32, down: u32) -> Self {
        Self { up_mbit: Some(up), down_mbit: Some(down), ..Self::fast() }
    }

    /// Delays every frame this long, each way. Between two hosts with such lines a round trip takes four times as long.
    pub const fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Loses so many of a thousand datagrams that arrive at the host, at random.
    pub const fn loss(self, lost_per_mille: u32) -> Self {
        Self { lost_per_mille, ..self }
    }

    /// Shapes both ends and loses what is to be lost. Each end is a namespace and its interface.
    pub(super) fn apply(&self, host: (&str, &str), switch: (&str, &str)) {
        for ((netns, interface), mbit) in [(host, self.up_mbit), (switch, self.down_mbit)] {
            if let Some(mbit) = mbit {
                run(&format!("tc -n {netns} qdisc add dev {interface} root tbf rate {mbit}mbit {BUCKET}"));
            }
        }
        if self.lost_per_mille > 0 {
            let per_mille = self.lost_per_mille;
            let rule = format!("meta l4proto udp numgen random mod 1000 < {per_mille} drop");
            let chain = format!("chain arriving {{\n type filter hook input priority 0;\n {rule}\n }}");
            load_rules(host.0, &format!("table inet loss {{\n {chain}\n }}\n"));
        }
    }
}

/// A bucket of some twenty frames, and the queue of a good home router: frames that would wait longer are dropped.
const BUCKET: &str = "burst 32k latency 50ms";
