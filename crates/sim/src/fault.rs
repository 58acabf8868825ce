//! Applies the operations of a script to a world: crashes, partitions, clock jumps.

use swarm_engine::{Input, LinkId};

use super::op::Op;
use super::world::World;

impl World {
    pub(super) fn step(&mut self, op: Op) {
        if op.node().is_some_and(|node| node as usize >= self.nodes.len()) {
            return;
        }
        match op {
            Op::Crash { node } => self.crash(node),
            Op::Restart { node } => {
                if !self.nodes[node as usize].is_alive && !self.nodes[node as usize].has_left {
                    self.nodes[node as usize].revive(self.swarm.seed);
                    self.join(node);
                    self.introduce(node);
                }
            }
            Op::Leave { node } => {
                self.stats.on_gone(&mut self.nodes[node as usize]);
                self.input(node, Input::Stop);
            }
            Op::Partition { below } => self.partition(below),
            Op::Heal => self.partition_below = None,
            Op::ClockJump { node, millis } => {
                self.nodes[node as usize].skew += i64::from(millis) * 1_000_000;
                self.input(node, Input::Wakeup);
            }
            Op::Uplink { node, per_sec } => {
                self.nodes[node as usize].uplink.per_sec = u64::from(per_sec.max(1));
            }
            Op::SeedLeavesAfter { percent } => {
                let len = self.manifest.geometry().content_len() * u64::from(percent) / 100;
                self.stats.seed_leaves_after_len = Some(len);
            }
        }
    }

    /// Removes the first seed once it has sent as much as the scenario allows.
    pub(super) fn maybe_seed_leaves(&mut self) {
        if self.stats.seed_leaves_after_len.is_some_and(|len| self.nodes[0].uplink.sent_len >= len) {
            self.stats.seed_leaves_after_len = None;
            self.input(0, Input::Stop);
        }
    }

    fn crash(&mut self, index: u32) {
        if !self.nodes[index as usize].is_alive {
            return;
        }
        for number in self.nodes[index as usize].links.clone() {
            self.hang_up(index, number, "the link timed out");
        }
        let node = &mut self.nodes[index as usize];
        node.is_alive = false;
        node.life += 1;
    }

    fn partition(&mut self, below: u32) {
        self.partition_below = Some(below);
        for number in 0..self.links.len() as u32 {
            let [a, b] = self.links[number as usize].ends;
            if (a < below) != (b < below) {
                for end in [a, b] {
                    let link = &self.links[number as usize];
                    if link.is_up[link.end_of(end)] {
                        let (link, reason) = (LinkId(u64::from(number)), "cut".to_owned());
                        self.admit(end, Input::LinkDown { link, reason });
                    }
                }
            }
        }
    }
}
