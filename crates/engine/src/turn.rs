//! What every machine of the engine uses while one fact is handled: the time, chance, deadlines, and the orders that come of it.
//! Invariant: orders leave in the sequence in which they were given. Decides nothing.

use std::collections::VecDeque;

use swarm_core::base::{Instant, Rng};
use swarm_core::wire::Message;

use super::io::{Event, LinkId, Output};
use super::timers::Timers;

#[derive(Debug)]
pub(super) struct Turn {
    pub(super) now: Instant,
    pub(super) rng: Rng,
    pub(super) timers: Timers,
    outputs: VecDeque<Output>,
}

impl Turn {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            now: Instant::ZERO,
            rng: Rng::seeded(seed),
            timers: Timers::default(),
            outputs: VecDeque::new(),
        }
    }

    pub(super) fn order(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(super) fn send(&mut self, link: LinkId, message: Message) {
        self.order(Output::Send { link, message });
    }

    pub(super) fn emit(&mut self, event: Event) {
        self.order(Output::Event(event));
    }

    /// The first order that was not taken out yet.
    pub(super) fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}
