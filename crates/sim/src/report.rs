//! The figures of a run, beside the bounds that no system can beat.

use super::checks::Finding;
use super::op::Op;
use super::scenario::{Has, Honesty, NodeSpec};
use super::world::World;

/// Completion times, in seconds since each node joined, and the cost of the run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The seed that repeats this run.
    pub seed: u64,
    /// Number of nodes.
    pub nodes: u32,
    /// Number of nodes that had to finish.
    pub measured: u32,
    /// Number of measured nodes that finished.
    pub finished: u32,
    /// Completion times of the measured nodes.
    pub times: Times,
    /// The measured node that finished last.
    pub slowest: Slowest,
    /// Lower bounds of the slowest completion time.
    pub bounds: Bounds,
    /// Slowest completion time divided by the fluid bound.
    pub ratio: f64,
    /// Payload received twice or more, as a share of the payload needed.
    pub duplicate_share: f64,
    /// Time from 99 % of all measured bytes to the last one, as a share of the slowest time.
    pub tail_share: f64,
    /// Payload sent by seeds until every chunk was out once, in lengths of the content.
    pub seed_copies: Option<f64>,
    /// Slowest rate divided by the mean rate.
    pub fairness: f64,
    /// Control bytes as a share of the payload sent.
    pub control_share: f64,
    /// Share of the summed upload capacity that was used until 98 % of the measured bytes had arrived.
    pub upload_used: f64,
    /// Corrupt chunks received by all nodes.
    pub corrupt_chunks: u64,
    /// Bans issued by all nodes.
    pub banned: u64,
    /// Most corrupt chunks that one node received from one other node.
    pub corrupt_per_pair_max: u64,
    /// Seconds that players stood still, all players together.
    pub stalled: f64,
    /// Number of handled events.
    pub events: u64,
    /// Hash of every event and output, in order.
    pub trace: u64,
    /// Broken rules; empty in a good run.
    pub findings: Vec<Finding>,
    /// Share of the summed upload capacity used in each second.
    pub upload_by_second: Vec<f64>,
    /// Times at which nodes completed, seconds, rising.
    pub completions: Vec<f64>,
    /// For up to 64 nodes: when each percent had arrived, seconds.
    pub timelines: Vec<Vec<f64>>,
}

/// Mean and percentiles, seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Times {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// The slowest.
    pub p100: f64,
}

/// The node that finished last, compared with the median.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slowest {
    /// Index of the node.
    pub node: u32,
    /// Seconds behind the median peer at 10 %, 20 % .. 100 % of the content.
    pub behind: Vec<f64>,
}

impl Slowest {
    fn of(world: &World) -> Self {
        let finishers =
            || (0u32..).zip(&world.nodes).filter(|(_, n)| n.spec.is_measured && n.marks.len() == 100);
        let Some((node, slowest)) = finishers().max_by_key(|(_, n)| n.marks[99]) else {
            return Self::default();
        };
        let behind = |percent: usize| {
            let mut times: Vec<u64> = finishers().map(|(_, n)| n.marks[percent - 1]).collect();
            times.sort_unstable();
            (slowest.marks[percent - 1] as f64 - times[times.len() / 2] as f64) / 1e9
        };
        Self { node, behind: (1..=10).map(|tenth| behind(tenth * 10)).collect() }
    }
}

/// Lower bounds of completion times, seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bounds {
    /// max(F / u of the seeds, F / d of the slowest, missing bytes / all honest uploads, the bound of nodes that faults cut off).
    pub fluid: f64,
    /// The bound for whole chunks: K - 1 + log2(N + 1) rounds, where uploads are equal.
    pub discrete: f64,
}

impl Report {
    /// The report of a finished world.
    pub(super) fn of(world: &World) -> Self {
        let measured = || world.nodes.iter().filter(|node| node.spec.is_measured);
        let took = |at: u64, spec: &NodeSpec| at as f64 / 1e9 - spec.joins_at.as_secs_f64();
        let mut completions: Vec<f64> =
            measured().filter_map(|node| Some(took(node.completed_at?, &node.spec))).collect();
        completions.sort_by(f64::total_cmp);
        let times = Times::of(&completions);
        let bounds = Bounds::of(world);
        let stats = &world.stats;
        let totals = |node: &super::node::Node| node.engine.survey().snapshot();
        let mut report = Self {
            seed: world.swarm.seed,
            nodes: world.nodes.len() as u32,
            measured: measured().count() as u32,
            finished: completions.len() as u32,
            times,
            bounds,
            ratio: times.p100 / bounds.fluid,
            seed_copies: stats
                .seed_sent_at_copy
                .map(|len| len as f64 / world.manifest.geometry().content_len() as f64),
            control_share: stats.control_len as f64 / stats.sent_len.max(1) as f64,
            corrupt_chunks: stats.corrupt_chunks,
            banned: stats.banned,
            events: stats.events,
            trace: stats.trace,
            findings: world.checks.findings.clone(),
            slowest: Slowest::of(world),
            ..Self::default()
        };
        let (mut duplicate_len, mut fetched_len) = (stats.unread_len, 0);
        for snapshot in world.nodes.iter().map(totals) {
            for content in &snapshot.contents {
                duplicate_len += content.totals.duplicate_len;
                fetched_len += content.totals.fetched_len;
            }
            let worst = snapshot.peers.iter().map(|peer| peer.totals.corrupt_chunks).max();
            report.corrupt_per_pair_max = report.corrupt_per_pair_max.max(worst.unwrap_or(0));
        }
        report.duplicate_share = duplicate_len as f64 / fetched_len.max(1) as f64;
        let rates: Vec<f64> = completions.iter().map(|time| 1.0 / time).collect();
        if !rates.is_empty() {
            let mean = rates.iter().sum::<f64>() / rates.len() as f64;
            report.fairness = rates.iter().copied().fold(f64::INFINITY, f64::min) / mean;
        }
        let mut marks: Vec<u64> = measured().flat_map(|node| node.marks.iter().copied()).collect();
        marks.sort_unstable();
        let mark =
            |share: f64| marks.get((marks.len() as f64 * share) as usize).map_or(0.0, |at| *at as f64 / 1e9);
        let end = marks.last().map_or(0.0, |at| *at as f64 / 1e9);
        report.tail_share = (end - mark(0.99)) / times.p100.max(1e-9);
        let up: u64 = world
            .nodes
            .iter()
            .filter(|n| !n.spec.is_measured || !n.spec.is_sink)
            .map(|n| n.spec.up_per_sec)
            .sum();
        let needed: u64 = measured().map(|node| missing_len(world, &node.spec)).sum();
        report.upload_used = 0.98 * needed as f64 / (up as f64 * mark(0.98)).max(1e-9);
        report.upload_by_second =
            stats.sent_by_second.iter().map(|len| *len as f64 / up.max(1) as f64).collect();
        report.stalled = measured().map(|node| stalled(world, node)).sum();
        report.timelines = measured()
            .take(TIMELINES_MAX)
            .map(|node| node.marks.iter().map(|at| *at as f64 / 1e9).collect())
            .collect();
        report.completions = completions;
        report
    }
}

impl Times {
    fn of(sorted: &[f64]) -> Self {
        if sorted.is_empty() {
            return Self::default();
        }
        let at = |share: f64| {
            let place = (sorted.len() as f64 * share).ceil() as usize;
            sorted.get(place.saturating_sub(1)).copied().unwrap_or(0.0)
        };
        let mean = sorted.iter().sum::<f64>() / sorted.len().max(1) as f64;
        Self { mean, p50: at(0.5), p99: at(0.99), p100: at(1.0) }
    }
}

impl Bounds {
    fn of(world: &World) -> Self {
        let len = world.manifest.geometry().content_len() as f64;
        let chunk_len = f64::from(world.manifest.geometry().chunk_len_max());
        let specs = || world.nodes.iter().map(|node| &node.spec);
        let sum =
            |up: &mut dyn Iterator<Item = &NodeSpec>| up.map(|spec| spec.up_per_sec).sum::<u64>() as f64;
        let seed_up = sum(&mut specs().filter(|spec| spec.has == Has::All));
        let only_seeds_have = specs().all(|spec| matches!(spec.has, Has::All | Has::Nothing));
        let by_seed = if only_seeds_have && seed_up > 0.0 { len / seed_up } else { 0.0 };
        let by_holder = specs()
            .filter(|spec| matches!(spec.has, Has::Only(_)))
            .map(|spec| chunk_len / spec.up_per_sec as f64)
            .fold(0.0, f64::max);
        let measured = || specs().filter(|spec| spec.is_measured);
        let by_down = measured()
            .map(|spec| missing_len(world, spec) as f64 / spec.down_per_sec as f64)
            .fold(0.0, f64::max);
        let needed: u64 = measured().map(|spec| missing_len(world, spec)).sum();
        let gives = |spec: &&NodeSpec| !spec.is_sink && spec.honesty == Honesty::Honest;
        let by_all = needed as f64 / sum(&mut specs().filter(gives)).max(1.0);
        let up_max = specs().map(|spec| spec.up_per_sec).max().unwrap_or(1) as f64;
        let rounds = len / chunk_len - 1.0 + (measured().count() as f64 + 1.0).log2().ceil();
        let fluid = by_seed.max(by_holder).max(by_down).max(by_all).max(by_faults(world));
        Self { fluid, discrete: fluid.max(rounds * chunk_len / up_max) }
    }
}

/// The earliest time at which the last node that the script cuts off from every seed, or takes down, can have everything: before
/// the fault it has no more than could arrive by then, and afterwards the rest arrives no faster than its downlink carries it.
fn by_faults(world: &World) -> f64 {
    let len = world.manifest.geometry().content_len() as f64;
    let nodes = || (0u32..).zip(&world.swarm.nodes);
    let seeds = || nodes().filter(|(_, spec)| spec.has == Has::All);
    let seed_up = seeds().map(|(_, spec)| spec.up_per_sec).sum::<u64>() as f64;
    let back_at = |from: usize, is_back: &dyn Fn(Op) -> bool| {
        world.swarm.script.steps[from..].iter().find(|(_, op)| is_back(*op)).map(|(at, _)| at.as_secs_f64())
    };
    let mut latest: f64 = 0.0;
    for (place, (at, op)) in world.swarm.script.steps.iter().enumerate() {
        let at = at.as_secs_f64();
        let is_out = |node: u32| match *op {
            Op::Partition { below } => seeds().all(|(seed, _)| (seed < below) != (node < below)),
            Op::Crash { node: crashed } => crashed == node,
            Op::Restart { .. }
            | Op::Leave { .. }
            | Op::Heal
            | Op::ClockJump { .. }
            | Op::Uplink { .. }
            | Op::SeedLeavesAfter { .. } => false,
        };
        let is_back = |other: Op| match *op {
            Op::Partition { .. } => other == Op::Heal,
            _ => matches!((*op, other), (Op::Crash { node: a }, Op::Restart { node: b }) if a == b),
        };
        let Some(back_at) = back_at(place, &is_back) else { continue };
        let victims = nodes().filter(|(node, spec)| {
            spec.is_measured && spec.has == Has::Nothing && spec.joins_at.is_zero() && is_out(*node)
        });
        for (_, spec) in victims {
            let down = spec.down_per_sec as f64;
            let left_len = len - down.min(seed_up) * at;
            latest = latest.max(if left_len > 0.0 { back_at + left_len / down } else { 0.0 });
        }
    }
    latest
}

/// Approximate length of the chunks that a node lacks at the start, bytes.
fn missing_len(world: &World, spec: &NodeSpec) -> u64 {
    let len = world.manifest.geometry().content_len();
    match spec.has {
        Has::Nothing => len,
        Has::All => 0,
        Has::Share(share) => (len as f64 * (1.0 - share)) as u64,
        Has::AllBut(_) => len / u64::from(world.swarm.chunk_count),
        Has::Only(_) => len - len / u64::from(world.swarm.chunk_count),
    }
}

/// Seconds that a player on this node stood still after its start-up.
fn stalled(world: &World, node: &super::node::Node) -> f64 {
    let Some(per_sec) = world.swarm.play_per_sec else { return 0.0 };
    let chunk_time = f64::from(world.manifest.geometry().chunk_len_max()) / per_sec as f64;
    let mut due = node.spec.joins_at.as_secs_f64() + START_UP;
    let mut stalled = 0.0;
    for &at in &node.verified_at {
        let late = (at as f64 / 1e9 - due).max(0.0);
        stalled += late;
        due += late + chunk_time;
    }
    stalled
}

const TIMELINES_MAX: usize = 64;
/// Seconds of fetching before a player starts.
const START_UP: f64 = 5.0;
