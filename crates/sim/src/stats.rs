//! Counters of a running world, and the hash of its trace.

use swarm_core::base::{Bitfield, mix};
use swarm_engine::{Output, RunRequest};

use super::heap::What;
use super::node::Node;
use super::scenario::Has;

/// Counts of one run. Lengths are bytes.
#[derive(Debug)]
pub(super) struct Stats {
    pub(super) events: u64,
    pub(super) trace: u64,
    pub(super) control_len: u64,
    pub(super) sent_len: u64,
    /// Payload handed to engines.
    pub(super) received_len: u64,
    /// Payload that arrived after its request was cancelled.
    pub(super) unread_len: u64,
    pub(super) corrupt_chunks: u64,
    pub(super) banned: u64,
    pub(super) closes: u64,
    /// Measured nodes that lack chunks.
    pub(super) unfinished: u32,
    pub(super) seed_sent_len: u64,
    /// Payload sent in each second.
    pub(super) sent_by_second: Vec<u64>,
    /// Payload sent by seeds when every chunk had reached another node.
    pub(super) seed_sent_at_copy: Option<u64>,
    pub(super) seed_leaves_after_len: Option<u64>,
    pub(super) last_step_done: u32,
    is_seed: Vec<bool>,
    copied: Bitfield,
}

impl Stats {
    /// Counters at the start of a run.
    pub(super) fn new(nodes: &[Node], chunk_count: u32) -> Self {
        let unfinished = nodes.iter().filter(|node| node.spec.is_measured).count() as u32;
        Self {
            events: 0,
            trace: 0,
            control_len: 0,
            sent_len: 0,
            received_len: 0,
            unread_len: 0,
            corrupt_chunks: 0,
            banned: 0,
            closes: 0,
            unfinished,
            seed_sent_len: 0,
            sent_by_second: Vec::new(),
            seed_sent_at_copy: None,
            seed_leaves_after_len: None,
            last_step_done: 0,
            is_seed: nodes.iter().map(|node| node.spec.has == Has::All).collect(),
            copied: Bitfield::new(chunk_count),
        }
    }

    pub(super) fn on_event(&mut self, at: u64, what: &What) {
        self.events += 1;
        let code = match *what {
            What::Unit { link, direction, request, len } => {
                mix(u64::from(link) << 1 | u64::from(direction), u64::from(request) << 32 | u64::from(len))
            }
            What::UplinkFree(node) => 1 << 40 | u64::from(node),
            What::Wakeup(node) => 2 << 40 | u64::from(node),
            What::Input(place) => 3 << 40 | u64::from(place),
            What::Dialed { from, to, .. } => mix(u64::from(from), u64::from(to)),
            What::Introduce(node) => 4 << 40 | u64::from(node),
            What::Step(step) => 5 << 40 | u64::from(step),
        };
        self.trace = mix(self.trace ^ at, code);
    }

    pub(super) fn on_output(&mut self, node: u32, output: &Output) {
        let code = match output {
            Output::Dial { .. } => 1,
            Output::Close { .. } => 2,
            Output::Send { .. } => 3,
            Output::Receive(RunRequest { run, .. }) => 16 + u64::from(run.first().get()),
            Output::Abandon { .. } => 4,
            Output::Upload(RunRequest { run, .. }) => (1 << 24) + u64::from(run.first().get()),
            Output::StopUpload { .. } => 5,
            Output::VerifyKept { .. } | Output::Reread { .. } => 6,
            Output::Flush { .. } => 7,
            Output::Finish { .. } => 8,
            Output::Event(_) => 9,
        };
        self.trace = mix(self.trace ^ u64::from(node), code);
    }

    pub(super) fn on_sent(&mut self, now: u64, node: u32, len: u32) {
        let second = (now / 1_000_000_000) as usize;
        if self.sent_by_second.len() <= second {
            self.sent_by_second.resize(second + 1, 0);
        }
        self.sent_by_second[second] += u64::from(len);
        self.sent_len += u64::from(len);
        if self.is_seed[node as usize] {
            self.seed_sent_len += u64::from(len);
        }
    }

    pub(super) fn on_verified(&mut self, now: u64, index: u32, nodes: &mut [Node], chunk: u32) {
        if nodes[index as usize].spec.is_measured {
            self.copied.insert(chunk);
        }
        if self.copied.is_full() && self.seed_sent_at_copy.is_none() {
            self.seed_sent_at_copy = Some(self.seed_sent_len);
        }
        let node = &mut nodes[index as usize];
        if let Some(at) = node.verified_at.get_mut(chunk as usize) {
            *at = now;
        }
        let percent = u64::from(node.store.verified.count()) * 100 / u64::from(node.store.verified.len());
        while (node.marks.len() as u64) < percent {
            node.marks.push(now);
        }
    }

    pub(super) fn on_completed(&mut self, now: u64, node: &mut Node) {
        if node.completed_at.is_none() {
            node.completed_at = Some(now);
            self.unfinished -= u32::from(node.spec.is_measured);
        }
    }

    /// A node leaves for good, so it need not finish.
    pub(super) fn on_gone(&mut self, node: &mut Node) {
        if node.spec.is_measured && node.completed_at.is_none() {
            self.unfinished -= 1;
        }
        node.spec.is_measured = false;
    }
}
