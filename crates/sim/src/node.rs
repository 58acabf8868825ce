//! One simulated node: the production engine, a store of three sets, an uplink that serves its streams in turn.

use std::collections::{BTreeSet, VecDeque};

use swarm_core::base::{Bitfield, Instant, NodeId, Rng, WindowShare, Windows, mix};
use swarm_core::manifest::ChunkIndex;
use swarm_engine::{Engine, Order};

use super::scenario::{Disk, Has, Honesty, NodeSpec};

/// One node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) spec: NodeSpec,
    pub(super) engine: Engine,
    pub(super) is_alive: bool,
    /// Whether it left in good order; it does not come back.
    pub(super) has_left: bool,
    /// Number of restarts: inputs for an earlier life are dropped.
    pub(super) life: u32,
    pub(super) links: Vec<u32>,
    pub(super) store: SimStore,
    pub(super) uplink: Uplink,
    pub(super) downlink: Downlink,
    /// Divides its memory among its links.
    pub(super) windows: Windows,
    /// Bytes under way to it and not yet read, over all links.
    pub(super) unread_len: u64,
    /// When it is woken; `u64::MAX` means never.
    pub(super) wakeup_at: u64,
    /// Its clock minus the world's, nanoseconds.
    pub(super) skew: i64,
    pub(super) completed_at: Option<u64>,
    /// When each percent of the bytes was verified.
    pub(super) marks: Vec<u64>,
    /// When each chunk was verified; only for nodes that play while they fetch, else empty.
    pub(super) verified_at: Vec<u64>,
    /// Number of open requests for each chunk.
    pub(super) asked: Vec<u8>,
}

/// The uplink: sends a unit of each stream in turn.
#[derive(Debug)]
pub(super) struct Uplink {
    pub(super) per_sec: u64,
    pub(super) is_busy: bool,
    /// Links and directions with something to send and room in their window.
    pub(super) round: VecDeque<(u32, u8)>,
    pub(super) sent_len: u64,
}

/// The downlink: a queue that drains at its capacity.
#[derive(Debug)]
pub(super) struct Downlink {
    per_sec: u64,
    backlog_len: u64,
    updated_at: u64,
}

/// The chunks on disk.
#[derive(Debug)]
pub(super) struct SimStore {
    pub(super) verified: Bitfield,
    pub(super) durable: Bitfield,
    pub(super) unflushed: Vec<ChunkIndex>,
    /// Chunks that hold bytes of a corrupt peer.
    pub(super) tainted: BTreeSet<u32>,
    pub(super) written_count: u32,
    pub(super) busy_until: u64,
}

impl Node {
    /// A node that has not joined yet.
    pub(super) fn new(index: u32, spec: NodeSpec, chunk_count: u32, seed: u64) -> Self {
        let mut rng = Rng::seeded(mix(seed, u64::from(index)));
        let verified = held(spec.has, chunk_count, &mut rng);
        let id = node_id(seed, index);
        Self {
            id,
            engine: Engine::new(id, mix(seed, u64::from(index) << 8)),
            is_alive: false,
            has_left: false,
            life: 0,
            links: Vec::new(),
            store: SimStore {
                durable: verified.clone(),
                verified,
                unflushed: Vec::new(),
                tainted: BTreeSet::new(),
                written_count: 0,
                busy_until: 0,
            },
            uplink: Uplink {
                per_sec: up_per_sec(&spec),
                is_busy: false,
                round: VecDeque::new(),
                sent_len: 0,
            },
            downlink: Downlink { per_sec: spec.down_per_sec, backlog_len: 0, updated_at: 0 },
            windows: windows(spec.memory_len),
            unread_len: 0,
            wakeup_at: u64::MAX,
            skew: 0,
            completed_at: None,
            marks: Vec::new(),
            verified_at: match spec.order {
                Order::Sequential { .. } => vec![u64::MAX; chunk_count as usize],
                Order::RarestFirst => Vec::new(),
            },
            asked: vec![0; chunk_count as usize],
            spec,
        }
    }

    /// World time converted to this node's clock.
    pub(super) fn clock(&self, now: u64) -> Instant {
        Instant::from_nanos(now.saturating_add_signed(self.skew))
    }

    /// This node's clock converted to world time.
    pub(super) fn world_time(&self, at: Instant) -> u64 {
        at.as_nanos().saturating_add_signed(-self.skew)
    }

    /// Restarts the node with its durable chunks.
    pub(super) fn revive(&mut self, seed: u64) {
        self.life += 1;
        self.engine = Engine::new(self.id, mix(seed, u64::from(self.life)));
        self.store.verified = self.store.durable.clone();
        self.store.unflushed.clear();
        self.store.tainted.clear();
        self.asked.fill(0);
        self.uplink.round.clear();
        self.links.clear();
        self.wakeup_at = u64::MAX;
    }
}

impl Downlink {
    /// When bytes that arrive at a given time have passed the downlink.
    pub(super) fn through_at(&mut self, now: u64, arrives_at: u64, len: u32) -> u64 {
        let drained = u128::from(now - self.updated_at) * u128::from(self.per_sec) / 1_000_000_000;
        self.backlog_len = self.backlog_len.saturating_sub(u64::try_from(drained).unwrap_or(u64::MAX));
        self.backlog_len += u64::from(len);
        self.updated_at = now;
        arrives_at + nanos_for(self.backlog_len, self.per_sec)
    }
}

impl SimStore {
    /// When a chunk that arrived now is checked and written; `None` if the disk refuses it.
    pub(super) fn write(&mut self, now: u64, len: u32, disk: Disk) -> Option<u64> {
        self.written_count += 1;
        match disk {
            Disk::Fast => Some(now + CHECK_TIME),
            Disk::Slow(per_sec) => {
                self.busy_until = self.busy_until.max(now) + nanos_for(u64::from(len), per_sec);
                Some(self.busy_until)
            }
            Disk::FullAfter(count) => (self.written_count <= count).then_some(now + CHECK_TIME),
        }
    }
}

/// The windows of a node with this much memory, divided as the command line does it.
fn windows(memory_len: u64) -> Windows {
    let widest = (memory_len / 16).clamp(1 << 20, 32 << 20) as u32;
    Windows::new(memory_len / 2, memory_len / 2, WindowShare { receive_len: widest, send_len: widest })
}

fn up_per_sec(spec: &NodeSpec) -> u64 {
    match spec.honesty {
        Honesty::Trickle => TRICKLE_PER_SEC,
        Honesty::Honest | Honesty::Corrupt | Honesty::Boaster | Honesty::Mute => spec.up_per_sec,
    }
}

/// Nanoseconds that a number of bytes takes.
pub(super) fn nanos_for(len: u64, per_sec: u64) -> u64 {
    u64::try_from(u128::from(len) * 1_000_000_000 / u128::from(per_sec.max(1))).unwrap_or(u64::MAX / 4)
}

/// The index of a node made by [`Node::new`].
pub(super) fn index_of(id: swarm_core::base::NodeId) -> u32 {
    let bytes = id.as_bytes();
    u32::from_be_bytes([bytes[28], bytes[29], bytes[30], bytes[31]])
}

fn node_id(seed: u64, index: u32) -> NodeId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&mix(seed ^ 0x1d, u64::from(index)).to_be_bytes());
    bytes[28..].copy_from_slice(&index.to_be_bytes());
    NodeId::from_bytes(bytes)
}

fn held(has: Has, chunk_count: u32, rng: &mut Rng) -> Bitfield {
    (0..chunk_count)
        .map(|chunk| match has {
            Has::Nothing => false,
            Has::All => true,
            Has::Share(share) => rng.unit() < share,
            Has::AllBut(missing) => chunk != missing,
            Has::Only(only) => chunk == only,
        })
        .collect()
}

/// One transfer unit of a chunk of 1 MiB in half a minute, all peers together.
const TRICKLE_PER_SEC: u64 = 2_000;
/// Time to hash and write a chunk on a fast disk, nanoseconds.
const CHECK_TIME: u64 = 1_000_000;
