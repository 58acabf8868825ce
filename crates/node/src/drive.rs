//! The loop: perform what the engine ordered, wait for the next fact, hand it over.

use tokio::sync::mpsc;

use super::clock::AwakeClock;
use super::fact::Command;
use super::finding::Finding;
use super::ground::Ground;
use super::io::Io;
use super::{NodeEvent, NodeSnapshot, Options};
use swarm_core::base::Instant;
use swarm_engine::{Engine, Input};
use swarm_link::Network;

pub(super) struct Driver<N: Network> {
    engine: Engine,
    io: Io<N>,
    clock: AwakeClock,
}

impl<N: Network> Driver<N> {
    pub(super) fn new(
        network: N,
        finding: Finding,
        ground: Ground,
        options: Options,
        (commands, events): (mpsc::Receiver<Command>, mpsc::Sender<NodeEvent>),
    ) -> Self {
        let node = network.node_id();
        let mut engine = Engine::new(node, seed(node));
        if options.takes_offers {
            engine.take_offers();
        }
        for (node, past) in &options.past {
            engine.remember(*node, *past);
        }
        let clock = AwakeClock::start(ground.clock);
        let mut io = Io::new(network, finding, ground, &options, (commands, events));
        engine.handle(Instant::ZERO, io.access());
        Self { engine, io, clock }
    }

    pub(super) async fn run(mut self) -> NodeSnapshot {
        while !self.io.is_stopped() {
            if self.io.is_held_up() {
                self.clock.on_held_up();
            }
            let wakeup = self.clock.next_look(self.engine.next_wakeup().map(|(at, _)| at));
            for fact in self.io.next_facts(wakeup).await {
                // A loop that is held up hears nothing of peers, so engine time stands still: no peer has stalled.
                if !self.io.is_held_up()
                    && let Some(slept) = self.clock.look()
                {
                    self.handle(Input::Woke { slept });
                }
                if let Some(input) = self.io.admit(fact, &self.engine) {
                    self.handle(input);
                }
            }
        }
        let last = self.io.snapshot(&self.engine);
        self.io.end().await;
        last
    }

    fn handle(&mut self, input: Input) {
        self.engine.handle(self.clock.now(), input);
        while let Some(output) = self.engine.poll() {
            self.io.perform(output);
        }
    }
}

/// Different at every start and on every node.
fn seed(node: swarm_core::base::NodeId) -> u64 {
    let since_epoch = super::clock::wall_clock().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut hasher = blake3::Hasher::new();
    hasher.update(node.as_bytes()).update(&since_epoch.as_nanos().to_le_bytes());
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}
