//! A world, its faults and its goal, stated fluently. Draws everything random from one seed; runs nothing itself.

use std::time::Duration;

use swarm_core::base::{Rng, mix};
use swarm_engine::Order;

use super::op::{Op, Script};
use super::report::Report;
use super::world::World;

/// A swarm to be simulated. Methods that add nodes use the link profile stated last.
#[derive(Clone, Debug)]
pub struct Swarm {
    pub(super) seed: u64,
    pub(super) chunk_count: u32,
    pub(super) chunk_len_log2: u8,
    pub(super) nodes: Vec<NodeSpec>,
    pub(super) script: Script,
    pub(super) neighbours: u32,
    pub(super) has_registry: bool,
    pub(super) delay: (Duration, Duration),
    pub(super) loss: f64,
    pub(super) unreachable_share: f64,
    pub(super) zone_links: Option<u64>,
    pub(super) play_per_sec: Option<u64>,
    pub(super) limit: Duration,
    profile: (u64, u64),
}

/// One node of a world.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    /// What it holds at the start.
    pub has: Has,
    /// Upload capacity, bytes a second.
    pub up_per_sec: u64,
    /// Download capacity, bytes a second.
    pub down_per_sec: u64,
    /// When it joins.
    pub joins_at: Duration,
    /// How it behaves.
    pub honesty: Honesty,
    /// In which order it fetches.
    pub order: Order,
    /// What its disk does.
    pub disk: Disk,
    /// What it may hold of chunks on their way, bytes, as `--memory` says it.
    pub memory_len: u64,
    /// Where it is; links between zones may be thin.
    pub zone: u32,
    /// It must have everything at the end, and its time counts.
    pub is_measured: bool,
    /// It links only to those that hold everything at the start (and they to it).
    pub is_sink: bool,
}

/// What a node holds at the start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Has {
    /// Nothing.
    Nothing,
    /// Every chunk.
    All,
    /// About this share of the chunks, at random.
    Share(f64),
    /// Every chunk but this one.
    AllBut(u32),
    /// Only this chunk.
    Only(u32),
}

/// How a node behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Honesty {
    /// As it should.
    Honest,
    /// Every chunk it sends is corrupt.
    Corrupt,
    /// It says it has everything, and sends rubbish.
    Boaster,
    /// It takes requests and never sends.
    Mute,
    /// It takes requests and sends a few bytes now and then, so that it never falls silent.
    Trickle,
}

/// What a node's disk does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// Checks and writes a chunk in no time to speak of.
    Fast,
    /// Writes so many bytes a second.
    Slow(u64),
    /// Fails after so many chunks.
    FullAfter(u32),
}

impl Swarm {
    /// An empty world that this seed always gives.
    pub fn seed(seed: u64) -> Self {
        Self {
            seed,
            chunk_count: 1000,
            chunk_len_log2: 20,
            nodes: Vec::new(),
            script: Script::default(),
            neighbours: 10,
            has_registry: true,
            delay: (Duration::from_millis(10), Duration::from_millis(40)),
            loss: 0.0,
            unreachable_share: 0.0,
            zone_links: None,
            play_per_sec: None,
            limit: Duration::from_hours(1),
            profile: (10_000_000, 10_000_000),
        }
    }

    /// What is to be spread: so many chunks of a power of two.
    pub fn content(mut self, chunk_count: u32, chunk_len_log2: u8) -> Self {
        (self.chunk_count, self.chunk_len_log2) = (chunk_count, chunk_len_log2);
        self
    }

    /// Capacity of the nodes added from here on, bytes a second.
    pub fn link(mut self, up_per_sec: u64, down_per_sec: u64) -> Self {
        self.profile = (up_per_sec, down_per_sec);
        self
    }

    /// Nodes that hold everything.
    pub fn seeds(self, count: u32) -> Self {
        self.add(count, |spec| (spec.has, spec.is_measured) = (Has::All, false))
    }

    /// Nodes that hold nothing.
    pub fn leeches(self, count: u32) -> Self {
        self.add(count, |_| {})
    }

    /// Nodes as the closure makes them out of a leech.
    pub fn add(mut self, count: u32, make: impl Fn(&mut NodeSpec)) -> Self {
        for _ in 0..count {
            let mut spec = NodeSpec {
                has: Has::Nothing,
                up_per_sec: self.profile.0,
                down_per_sec: self.profile.1,
                joins_at: Duration::ZERO,
                honesty: Honesty::Honest,
                order: Order::RarestFirst,
                disk: Disk::Fast,
                memory_len: 64 << 20,
                zone: 0,
                is_measured: true,
                is_sink: false,
            };
            make(&mut spec);
            self.nodes.push(spec);
        }
        self
    }

    /// Changes nodes by their number, with chance of the world's own.
    pub fn each(mut self, change: impl Fn(usize, &mut NodeSpec, &mut Rng)) -> Self {
        let mut rng = Rng::seeded(mix(self.seed, 0xeac4));
        for (index, spec) in self.nodes.iter_mut().enumerate() {
            change(index, spec, &mut rng);
        }
        self
    }

    /// Neighbours each node is given.
    pub fn neighbours(mut self, count: u32) -> Self {
        self.neighbours = count;
        self
    }

    /// Nobody tells nodes of each other but they themselves: each knows the first node alone.
    pub fn exchange_alone(mut self) -> Self {
        self.has_registry = false;
        self
    }

    /// One-way delay of links, drawn evenly between the two.
    pub fn delay(mut self, least: Duration, most: Duration) -> Self {
        self.delay = (least, most.max(least));
        self
    }

    /// Share of the transfer units that are lost and come a round trip later.
    pub fn loss(mut self, share: f64) -> Self {
        self.loss = share;
        self
    }

    /// Share of the pairs of nodes that cannot reach each other.
    pub fn unreachable(mut self, share: f64) -> Self {
        self.unreachable_share = share;
        self
    }

    /// Links between zones carry no more than this, bytes a second each.
    pub fn zone_links(mut self, per_sec: u64) -> Self {
        self.zone_links = Some(per_sec);
        self
    }

    /// Those who fetch in order play so many bytes a second from 5 s after their start.
    pub fn play(mut self, per_sec: u64) -> Self {
        self.play_per_sec = Some(per_sec);
        self
    }

    /// Something that happens at a time.
    pub fn at(mut self, at: Duration, op: Op) -> Self {
        self.script.push(at, op);
        self
    }

    /// That share of the leeches leaves every minute, half of them for good and half to come back from their journal 20 s
    /// later; as many new ones join as leave for good.
    pub fn churn_per_min(mut self, share: f64) -> Self {
        let mut rng = Rng::seeded(mix(self.seed, 0xc4a2));
        let leeches: Vec<u32> =
            (0u32..).zip(&self.nodes).filter(|(_, s)| s.has == Has::Nothing).map(|(i, _)| i).collect();
        let horizon = self.limit.as_secs_f64().min(CHURN_HORIZON.as_secs_f64());
        for node in leeches {
            let leaves_at = -(1.0 - rng.unit()).ln() / share * 60.0;
            if leaves_at > horizon {
                continue;
            }
            let at = Duration::from_secs_f64(leaves_at);
            self.nodes[node as usize].is_measured = false;
            if rng.below(2) == 0 {
                self.script.push(at, Op::Crash { node });
                self.script.push(at + Duration::from_secs(20), Op::Restart { node });
            } else {
                self.script.push(at, Op::Leave { node });
                self = self.add(1, |spec| (spec.joins_at, spec.is_measured) = (at, false));
            }
        }
        self
    }

    /// All operations of a script.
    pub fn script(mut self, script: Script) -> Self {
        self.script.steps.extend(script.steps);
        self
    }

    /// Gives up after that much virtual time.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs until every measured node has everything, or the time is over.
    pub fn run(self) -> Report {
        World::new(self).run()
    }
}

/// Nobody is still fetching after that in any scenario with churn.
const CHURN_HORIZON: Duration = Duration::from_mins(5);
