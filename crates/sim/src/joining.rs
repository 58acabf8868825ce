//! Lets nodes join, and tells each of its neighbours: the coordinator's registry answers, as it does for real nodes.

use swarm_core::base::{Bitfield, Instant, NodeId, Rate};
use swarm_core::registry::{Announce, Ask};
use swarm_engine::{Input, Join, Kept, Purpose};

use super::heap::What;
use super::scenario::Honesty;
use super::world::World;

impl World {
    /// A node joins, or announces itself again; if it lacks neighbours it is told of some.
    pub(super) fn introduce(&mut self, index: u32) {
        let node = &self.nodes[index as usize];
        if !node.is_alive && !node.has_left && node.life == 0 {
            self.join(index);
        } else if !node.is_alive {
            return;
        }
        if self.has_sink() {
            return self.introduce_to_sink(index);
        }
        if !self.swarm.has_registry {
            let seed = self.nodes[0].id;
            return self.tell(index, std::iter::once(seed).filter(|_| index > 0));
        }
        self.announce(index);
        let node = &self.nodes[index as usize];
        let lacking = self.swarm.neighbours.saturating_sub(node.links.len() as u32);
        if !node.store.verified.is_full() && lacking > 0 {
            let ask = Ask { content: self.manifest.id(), node: node.id, wanted: self.swarm.neighbours };
            let told = self.registry.ask(Instant::from_nanos(self.now), &ask);
            self.tell(index, told.into_iter().map(|other| other.node));
        }
        let wait = if lacking > 0 { LACKING_INTERVAL } else { INTRODUCE_INTERVAL };
        self.heap.push(self.now + wait, What::Introduce(index));
    }

    /// Announces a node as its coordinator client would.
    pub(super) fn announce(&mut self, index: u32) {
        let node = &self.nodes[index as usize];
        let others = node.links.iter().map(|&link| self.links[link as usize].other(index));
        let links = others.map(|other| self.nodes[other as usize].id).collect();
        let announce = Announce {
            content: self.manifest.id(),
            node: node.id,
            is_listed: true,
            have_count: node.store.verified.count(),
            chunk_count: node.store.verified.len(),
            up: Rate(node.spec.up_per_sec),
            zone: self
                .swarm
                .zone_links
                .map(|_| node.spec.zone.to_string().parse().expect("digits name a zone")),
            links,
        };
        self.registry.expire(Instant::from_nanos(self.now));
        // Cannot fail: a simulated swarm is far below the registry's limits.
        let _ = self.registry.announce(Instant::from_nanos(self.now), announce);
    }

    fn introduce_to_sink(&mut self, index: u32) {
        if index > 0 {
            let (content, node, addresses) =
                (self.manifest.id(), self.nodes[0].id, vec![self.address.clone()]);
            self.input(index, Input::AddSource { content, node, addresses, purpose: Purpose::Push });
        }
    }

    fn tell(&mut self, index: u32, others: impl Iterator<Item = NodeId>) {
        let content = self.manifest.id();
        for node in others {
            let addresses = vec![self.address.clone()];
            self.input(index, Input::AddSource { content, node, addresses, purpose: Purpose::Fetch });
        }
    }

    pub(super) fn join(&mut self, index: u32) {
        let content = self.manifest.id();
        let count = self.manifest.geometry().chunk_count();
        let node = &mut self.nodes[index as usize];
        node.is_alive = true;
        let order = node.spec.order;
        let durable = match node.spec.honesty {
            Honesty::Boaster => Bitfield::full(count),
            Honesty::Honest | Honesty::Corrupt | Honesty::Mute | Honesty::Trickle => {
                node.store.durable.clone()
            }
        };
        let manifest = Some(self.manifest.clone());
        self.input(index, Input::Join(Box::new(Join { content, manifest, order, patience: None })));
        // A source of a sink scenario fetches nothing.
        let wanted = if self.has_sink() && index > 0 { durable.clone() } else { Bitfield::full(count) };
        self.input(index, Input::StoreOpened { content, durable, wanted, kept: Kept::new() });
    }

    fn has_sink(&self) -> bool {
        self.nodes.first().is_some_and(|node| node.spec.is_sink)
    }
}

const INTRODUCE_INTERVAL: u64 = 10_000_000_000;
/// Interval of a node with too few neighbours, nanoseconds.
const LACKING_INTERVAL: u64 = 1_000_000_000;
