//! Who joins, and whom each node is told of: the part of a coordinator, until there is one.

use std::collections::BTreeSet;

use crate::base::Bitfield;
use crate::engine::{Input, Join};

use super::heap::What;
use super::scenario::{Has, Honesty};
use super::world::World;

impl World {
    /// A node joins, or gets more neighbours if it has too few.
    pub(super) fn introduce(&mut self, index: u32) {
        let content = self.manifest.id();
        let node = &mut self.nodes[index as usize];
        if !node.is_alive && !node.has_left && node.life == 0 {
            self.join(index);
        } else if !node.is_alive {
            return;
        }
        if self.nodes[index as usize].store.verified.is_full() {
            return;
        }
        let mut others = std::mem::take(&mut self.introductions[index as usize]);
        let links = self.nodes[index as usize].links.len();
        if others.is_empty() && links < (self.swarm.neighbours as usize).div_ceil(2) && !self.has_sink() {
            let count = self.nodes.len() as u64;
            others = (0..self.swarm.neighbours).map(|_| self.rng.below(count) as u32).collect();
        }
        for other in others {
            let node = self.nodes[other as usize].id;
            if other != index && (self.nodes[other as usize].is_alive || self.now == 0) {
                let addresses = vec![self.address.clone()];
                self.input(index, Input::AddSource { content, node, addresses });
            }
        }
        self.heap.push(self.now + INTRODUCE_INTERVAL, What::Introduce(index));
    }

    pub(super) fn join(&mut self, index: u32) {
        let content = self.manifest.id();
        let count = self.manifest.geometry().chunk_count();
        let node = &mut self.nodes[index as usize];
        node.is_alive = true;
        let order = node.spec.order;
        let durable = match node.spec.honesty {
            Honesty::Boaster => Bitfield::full(count),
            Honesty::Honest | Honesty::Corrupt | Honesty::Mute => node.store.durable.clone(),
        };
        let manifest = Some(self.manifest.clone());
        self.input(index, Input::Join(Box::new(Join { content, manifest, order, patience: None })));
        self.input(index, Input::StoreOpened { content, durable, wanted: Bitfield::full(count) });
    }

    fn has_sink(&self) -> bool {
        self.nodes.first().is_some_and(|node| node.spec.is_sink)
    }

    /// Whom each node that is there from the start is told of: a union of random rings, so that everyone has as many
    /// neighbours and all hang together. Every link is dialed from one end: by whoever lacks something.
    pub(super) fn neighbourhoods(&mut self) -> Vec<Vec<u32>> {
        let mut told = vec![Vec::new(); self.nodes.len()];
        let mut first: Vec<u32> = (0..self.nodes.len() as u32)
            .filter(|&i| self.nodes[i as usize].spec.joins_at.is_zero())
            .collect();
        if self.has_sink() {
            told[0] = first[1..].to_vec();
            return told;
        }
        let lacks = |node: u32| self.nodes[node as usize].spec.has != Has::All;
        let mut tell = |a: u32, b: u32| match (lacks(a), lacks(b)) {
            (true, _) => told[a as usize].push(b),
            (false, true) => told[b as usize].push(a),
            (false, false) => {}
        };
        if first.len() <= self.swarm.neighbours as usize + 1 {
            for (at, &a) in first.iter().enumerate() {
                first[at + 1..].iter().for_each(|&b| tell(a, b));
            }
            return told;
        }
        let mut pairs = BTreeSet::new();
        for _ in 0..self.swarm.neighbours / 2 {
            self.rng.shuffle(&mut first);
            for at in 0..first.len() {
                // A pair that is linked already would cost both a neighbour.
                let next = (at + 1) % first.len();
                let is_new = |a: u32, b: u32, pairs: &BTreeSet<_>| !pairs.contains(&(a.min(b), a.max(b)));
                if let Some(other) =
                    (next..first.len()).find(|&other| is_new(first[at], first[other], &pairs))
                {
                    first.swap(next, other);
                }
                let (a, b) = (first[at], first[next]);
                if is_new(a, b, &pairs) {
                    pairs.insert((a.min(b), a.max(b)));
                    tell(a, b);
                }
            }
        }
        told
    }
}

const INTRODUCE_INTERVAL: u64 = 10_000_000_000;
