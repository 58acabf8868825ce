//! Events on their way to the product. Invariant: peers, disks and finders cause no event while [`LATE_EVENTS_MAX`] wait beside the
//! product's queue, beyond those of the turn that reached the limit; none is lost, unless the product is gone or has ended the node.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use super::NodeEvent;
use crate::limits::LATE_EVENTS_MAX;

pub(super) struct Events {
    queue: mpsc::Sender<NodeEvent>,
    /// Events that found the queue full, oldest first.
    late: VecDeque<NodeEvent>,
    is_ending: bool,
}

impl Events {
    pub(super) fn new(queue: mpsc::Sender<NodeEvent>) -> Self {
        Self { queue, late: VecDeque::new(), is_ending: false }
    }

    /// Hands an event over, after those that wait.
    pub(super) fn tell(&mut self, event: NodeEvent) {
        if self.is_ending && self.is_full() {
            // A product that has ended the node may listen no more, and the end must not wait for it.
            return;
        }
        self.late.push_back(event);
        self.hand_over();
    }

    /// The product has ended the node: from now on events beyond the limit are dropped.
    pub(super) fn end(&mut self) {
        self.is_ending = true;
    }

    /// The product does not listen: the loop is to cause no more events until it does.
    pub(super) fn is_full(&self) -> bool {
        self.late.len() >= LATE_EVENTS_MAX
    }

    /// Whether the loop is to wait for the product.
    pub(super) fn holds_up(&self) -> bool {
        self.is_full() && !self.is_ending
    }

    /// Waits until the product took an event while others wait, and hands those over. To be cancelled by dropping the future.
    pub(super) async fn relieved(&mut self) {
        if self.late.is_empty() {
            std::future::pending::<()>().await;
        }
        let is_open = match self.queue.reserve().await {
            Ok(permit) => {
                if let Some(event) = self.late.pop_front() {
                    permit.send(event);
                }
                true
            }
            Err(_) => false,
        };
        if is_open {
            self.hand_over();
        } else {
            self.late.clear();
        }
    }

    fn hand_over(&mut self) {
        while let Some(event) = self.late.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(event)) = self.queue.try_send(event) {
                self.late.push_front(event);
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_core::base::NodeId;
    use swarm_engine::Event;

    fn event(number: usize) -> NodeEvent {
        let node = NodeId::from_bytes([1; 32]);
        NodeEvent::Engine(Event::PeerLeft { node, reason: number.to_string() })
    }

    fn number_of(event: Option<NodeEvent>) -> Option<usize> {
        match event {
            Some(NodeEvent::Engine(Event::PeerLeft { reason, .. })) => reason.parse().ok(),
            _ => None,
        }
    }

    #[tokio::test]
    async fn a_product_that_does_not_listen_holds_the_loop_up_and_loses_nothing() {
        let (queue, mut product) = mpsc::channel(1);
        let mut events = Events::new(queue);
        for number in 0..=LATE_EVENTS_MAX {
            assert!(!events.holds_up(), "{number}");
            events.tell(event(number));
        }
        assert!(events.holds_up());
        for number in 0..=LATE_EVENTS_MAX {
            assert_eq!(number_of(product.recv().await), Some(number));
            if number < LATE_EVENTS_MAX {
                events.relieved().await;
                assert!(!events.holds_up());
            }
        }
    }

    #[tokio::test]
    async fn a_node_that_ends_waits_for_no_listener() {
        let (queue, _product) = mpsc::channel(1);
        let mut events = Events::new(queue);
        events.end();
        for number in 0..LATE_EVENTS_MAX + 10 {
            events.tell(event(number));
            assert!(!events.holds_up());
        }
        assert_eq!(events.late.len(), LATE_EVENTS_MAX);
    }
}
