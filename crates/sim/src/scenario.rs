//! Builds a world with its faults and its goal. Draws every random choice from one seed; runs nothing itself.

use std::time::Duration;

use swarm_core::base::{Rng, mix};
use swarm_engine::Order;

use super::op::{Op, Script};
use super::report::Report;
use super::world::World;

/// A swarm to simulate. Methods that add nodes use the link profile set last.
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
    /// Its chunks at the start.
    pub has: Has,
    /// Upload capacity, bytes a second.
    pub up_per_sec: u64,
    /// Download capacity, bytes a second.
    pub down_per_sec: u64,
    /// When it joins.
    pub joins_at: Duration,
    /// Whether it follows the protocol, and how it breaks it.
    pub honesty: Honesty,
    /// The order in which it fetches chunks.
    pub order: Order,
    /// Speed and faults of its disk.
    pub disk: Disk,
    /// Memory for chunks under way, bytes, as `--memory` sets it.
    pub memory_len: u64,
    /// Number of its zone; links between zones may be thin.
    pub zone: u32,
    /// Whether it has to have everything at the end, and its time counts.
    pub is_measured: bool,
    /// Whether it links only to nodes that have everything at the start (and they only to it).
    pub is_sink: bool,
}

/// The chunks of a node at the start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Has {
    /// Nothing.
    Nothing,
    /// Every chunk.
    All,
    /// About this share of the chunks, chosen at random.
    Share(f64),
    /// Every chunk but this one.
    AllBut(u32),
    /// Only this chunk.
    Only(u32),
}

/// Whether a node follows the protocol, and how it breaks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Honesty {
    /// Follows the protocol.
    Honest,
    /// Every chunk it sends is corrupt.
    Corrupt,
    /// Announces every chunk, and sends corrupt ones.
    Boaster,
    /// Accepts requests and never sends.
    Mute,
    /// Accepts requests and sends a few bytes now and then, so that it never counts as stalled.
    Trickle,
}

/// The speed and faults of a node's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// Checks and writes a chunk in a millisecond.
    Fast,
    /// Writes this many bytes a second.
    Slow(u64),
    /// Refuses every write after this many chunks.
    FullAfter(u32),
}

impl Swarm {
    /// An empty world; every random choice follows from the seed.
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

    /// Sets the content: a number of chunks, each a power of two long.
    pub fn content(mut self, chunk_count: u32, chunk_len_log2: u8) -> Self {
        (self.chunk_count, self.chunk_len_log2) = (chunk_count, chunk_len_log2);
        self
    }

    /// Sets the capacity of the nodes added after it, bytes a second.
    pub fn link(mut self, up_per_sec: u64, down_per_sec: u64) -> Self {
        self.profile = (up_per_sec, down_per_sec);
        self
    }

    /// Adds nodes that hold every chunk.
    pub fn seeds(self, count: u32) -> Self {
        self.add(count, |spec| (spec.has, spec.is_measured) = (Has::All, false))
    }

    /// Adds nodes without chunks.
    pub fn leeches(self, count: u32) -> Self {
        self.add(count, |_| {})
    }

    /// Adds leeches, each changed by the closure.
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

    /// Changes nodes by their index, with random numbers of the world.
    pub fn each(mut self, change: impl Fn(usize, &mut NodeSpec, &mut Rng)) -> Self {
        let mut rng = Rng::seeded(mix(self.seed, 0xeac4));
        for (index, spec) in self.nodes.iter_mut().enumerate() {
            change(index, spec, &mut rng);
        }
        self
    }

    /// Sets the number of neighbours that each node is told of.
    pub fn neighbours(mut self, count: u32) -> Self {
        self.neighbours = count;
        self
    }

    /// Only peers tell nodes of each other: each node knows the first node alone at the start.
    pub fn exchange_alone(mut self) -> Self {
        self.has_registry = false;
        self
    }

    /// Sets the one-way delay of links, drawn evenly from a range.
    pub fn delay(mut self, least: Duration, most: Duration) -> Self {
        self.delay = (least, most.max(least));
        self
    }

    /// Sets the share of transfer units that are lost and arrive a round trip later.
    pub fn loss(mut self, share: f64) -> Self {
        self.loss = share;
        self
    }

    /// Sets the share of the pairs of nodes that cannot link.
    pub fn unreachable(mut self, share: f64) -> Self {
        self.unreachable_share = share;
        self
    }

    /// Sets the capacity of each link between zones, bytes a second.
    pub fn zone_links(mut self, per_sec: u64) -> Self {
        self.zone_links = Some(per_sec);
        self
    }

    /// Nodes that fetch in order play this many bytes a second, from 5 s after their start.
    pub fn play(mut self, per_sec: u64) -> Self {
        self.play_per_sec = Some(per_sec);
        self
    }

    /// Adds one operation at a time.
    pub fn at(mut self, at: Duration, op: Op) -> Self {
        self.script.push(at, op);
        self
    }

    /// This share of the leeches goes every minute: half of them for good, half of them come back from their journal 20 s
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

    /// Adds all operations of a script.
    pub fn script(mut self, script: Script) -> Self {
        self.script.steps.extend(script.steps);
        self
    }

    /// Sets the virtual time after which the run is given up.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs until every measured node has everything, or the time is over.
    pub fn run(self) -> Report {
        World::new(self).run()
    }
}

/// In every scenario with churn all fetches end within this time.
const CHURN_HORIZON: Duration = Duration::from_mins(5);
