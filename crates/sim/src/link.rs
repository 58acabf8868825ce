//! One link between two simulated nodes: the bytes under way and the requests that wait for them. Decides nothing.

use std::collections::VecDeque;

use swarm_core::manifest::Run;
use swarm_core::wire::RequestId;

/// A link. End 0 dialed; direction `d` is what end `d` sends.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) ends: [u32; 2],
    /// Whether each end still takes part.
    pub(super) is_up: [bool; 2],
    /// One-way delay, nanoseconds.
    pub(super) delay: u64,
    /// Units that may be under way at once in each direction.
    pub(super) window: u32,
    pub(super) directions: [Direction; 2],
}

/// One direction of a link.
#[derive(Debug, Default)]
pub(super) struct Direction {
    /// Streams under way, sent one after another, as the transport does.
    pub(super) uploads: VecDeque<Upload>,
    pub(super) in_flight: u32,
    /// Bytes under way: they occupy the receiver's window.
    pub(super) in_flight_len: u64,
    /// Whether the sender's uplink serves this direction now.
    pub(super) is_in_round: bool,
    /// When the last unit arrives: streams and messages stay in order.
    pub(super) last_unit_at: u64,
    pub(super) last_message_at: u64,
    /// Payload that the receiving end requested and this end began to send, bytes.
    pub(super) asked_len: u64,
    pub(super) answered_len: u64,
    /// Requests whose answer the receiving end waits for.
    pub(super) expected: Vec<Expected>,
}

/// A run being sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Upload {
    pub(super) request: RequestId,
    pub(super) run: Run,
    pub(super) sent_len: u32,
}

/// A run being received.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    pub(super) request: RequestId,
    pub(super) run: Run,
    pub(super) received_len: u32,
    /// Received and not yet reported to the engine.
    pub(super) unreported_len: u32,
}

impl Link {
    /// The end that a node is.
    pub(super) fn end_of(&self, node: u32) -> usize {
        usize::from(self.ends[0] != node)
    }

    /// The other end's node.
    pub(super) fn other(&self, node: u32) -> u32 {
        self.ends[1 - self.end_of(node)]
    }
}

impl Direction {
    /// Removes the request of this id from those that the receiver waits for.
    pub(super) fn take_expected(&mut self, request: RequestId) -> Option<Expected> {
        let at = self.expected.iter().position(|expected| expected.request == request)?;
        Some(self.expected.remove(at))
    }
}
