//! The scenarios by name. Each states a world, faults and a goal; figures are bytes a second unless they say otherwise.

use std::str::FromStr;
use std::time::Duration;

use swarm_engine::Order;

use super::op::Op;
use super::scenario::{Has, Honesty, Swarm};

/// A named world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// One seed, all leeches at once, equal links.
    FlashCrowd,
    /// As `FlashCrowd`, but each leech knows only the seed, and learns of all others from its peers.
    FlashCrowdExchange,
    /// One seed, a leech every second.
    SteadyArrival,
    /// Many slow holders of parts, one sink with a fast link.
    Sink,
    /// Capacities spread ten-fold.
    Spread,
    /// 5 % of the leeches leave every minute.
    Churn,
    /// Every fifth peer sends rubbish.
    Corrupt,
    /// One peer fifty times slower than the rest.
    OneSlow,
    /// The only seed leaves after 1.1 copies.
    SeedLeaves,
    /// Four zones with thin links between them.
    Zones,
    /// All nodes have everything but one chunk, which one slow peer holds.
    LastChunk,
    /// One leech plays the content while it fetches.
    Streaming,
    /// Some peers claim chunks that they lack, some never send, some send very slowly, some are cut off for a while; links lose datagrams.
    Faults,
}

/// The parameters of a scenario that the command line may change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScenarioArgs {
    /// Number of peers besides the seed.
    pub peers: u32,
    /// Chunks of the content.
    pub chunks: u32,
    /// Chunk length as a power of two.
    pub chunk_len_log2: u8,
    /// Seed of every random choice.
    pub seed: u64,
    /// Upload capacity, bytes a second, where the scenario does not set one.
    pub up_per_sec: u64,
    /// Download capacity divided by upload capacity.
    pub down_factor: f64,
}

/// A name that no scenario has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no scenario `{0}`: take one of {names}", names = Scenario::names().join(", "))]
pub struct UnknownScenario(String);

impl Scenario {
    /// All scenarios, with their names.
    pub const ALL: [(Self, &'static str); 13] = [
        (Self::FlashCrowd, "flash-crowd"),
        (Self::FlashCrowdExchange, "flash-crowd-exchange"),
        (Self::SteadyArrival, "steady-arrival"),
        (Self::Sink, "sink"),
        (Self::Spread, "spread"),
        (Self::Churn, "churn"),
        (Self::Corrupt, "corrupt"),
        (Self::OneSlow, "one-slow"),
        (Self::SeedLeaves, "seed-leaves"),
        (Self::Zones, "zones"),
        (Self::LastChunk, "last-chunk"),
        (Self::Streaming, "streaming"),
        (Self::Faults, "faults"),
    ];

    fn names() -> Vec<&'static str> {
        Self::ALL.iter().map(|(_, name)| *name).collect()
    }

    /// The world of this scenario.
    pub fn swarm(self, args: ScenarioArgs) -> Swarm {
        let ScenarioArgs { peers, chunks, chunk_len_log2, seed, up_per_sec: up, down_factor } = args;
        let down = (up as f64 * down_factor) as u64;
        let base = Swarm::seed(seed).content(chunks, chunk_len_log2).link(up, down);
        let crowd = || base.clone().seeds(1).leeches(peers);
        match self {
            Self::FlashCrowd => crowd(),
            Self::FlashCrowdExchange => crowd().exchange_alone(),
            Self::SteadyArrival => crowd().each(|index, spec, _| {
                spec.joins_at = Duration::from_secs(index.saturating_sub(1) as u64);
            }),
            Self::Sink => base
                .link(up, 1 << 40)
                .add(1, |spec| spec.is_sink = true)
                .add(peers, |spec| (spec.has, spec.is_measured) = (Has::Share(0.2), false))
                .each(|index, spec, rng| {
                    if index > 0 {
                        // 1 to 10 Mbit/s.
                        spec.up_per_sec = 125_000 + rng.below(1_125_001);
                        spec.down_per_sec = 10 * spec.up_per_sec;
                    }
                    if index == 1 {
                        spec.has = Has::All;
                    }
                }),
            Self::Spread => crowd().each(|index, spec, rng| {
                if index > 0 {
                    spec.up_per_sec = (1e6 * 10f64.powf(rng.unit())) as u64 * 3;
                    spec.down_per_sec = (spec.up_per_sec as f64 * down_factor.max(4.0)) as u64;
                }
            }),
            Self::Churn => crowd().churn_per_min(0.05),
            Self::Corrupt => crowd().each(|index, spec, _| {
                if index > 0 && index % 5 == 0 {
                    (spec.honesty, spec.is_measured) = (Honesty::Corrupt, false);
                }
            }),
            Self::OneSlow => crowd().each(|index, spec, _| {
                if index == 1 {
                    (spec.up_per_sec, spec.is_measured) = (spec.up_per_sec / 50, false);
                }
            }),
            Self::SeedLeaves => crowd().at(Duration::ZERO, Op::SeedLeavesAfter { percent: 110 }),
            Self::Zones => crowd().zone_links(up / 20).each(|index, spec, _| spec.zone = index as u32 % 4),
            Self::LastChunk => base
                .add(1, |spec| {
                    (spec.has, spec.is_measured) = (Has::Only(7), false);
                    spec.up_per_sec /= 10;
                })
                .add(peers, |spec| spec.has = Has::AllBut(7)),
            Self::Streaming => base
                .link(up / 4, up)
                .seeds(peers.clamp(4, 16))
                .link(up, up)
                .add(1, |spec| spec.order = Order::Sequential { window_len: None })
                .play(up * 8 / 10),
            Self::Faults => crowd()
                .loss(0.01)
                .unreachable(0.1)
                .at(Duration::from_secs(20), Op::Partition { below: peers / 2 })
                .at(Duration::from_secs(40), Op::Heal)
                .at(Duration::from_secs(30), Op::ClockJump { node: 1, millis: 30_000 })
                .at(Duration::from_secs(35), Op::ClockJump { node: 2, millis: -30_000 })
                .at(Duration::from_secs(50), Op::Crash { node: 3 })
                .at(Duration::from_mins(1), Op::Restart { node: 3 })
                .each(|index, spec, _| match index % 16 {
                    5 => (spec.honesty, spec.is_measured) = (Honesty::Boaster, false),
                    9 => (spec.honesty, spec.is_measured) = (Honesty::Mute, false),
                    13 => (spec.honesty, spec.is_measured) = (Honesty::Trickle, false),
                    _ => {}
                }),
        }
    }
}

impl FromStr for Scenario {
    type Err = UnknownScenario;

    fn from_str(name: &str) -> Result<Self, UnknownScenario> {
        let found = Self::ALL.into_iter().find(|(_, known)| *known == name);
        found.map(|(scenario, _)| scenario).ok_or_else(|| UnknownScenario(name.to_owned()))
    }
}
