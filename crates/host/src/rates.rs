//! How fast payload moves: totals sampled every second, over the last few. Knows no clock.

use std::collections::{BTreeMap, VecDeque};

use swarm_core::base::{ContentId, Instant, NodeId, Rate};
use swarm_engine::Snapshot;

/// Samples of the last seconds.
#[derive(Debug, Default)]
pub(super) struct RecentRates(VecDeque<Sample>);

#[derive(Debug)]
struct Sample {
    at: Instant,
    contents: BTreeMap<ContentId, Moved>,
    peers: BTreeMap<NodeId, Moved>,
}

/// Bytes, or bytes per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) sent: u64,
    pub(super) received: u64,
}

impl RecentRates {
    /// Takes the totals of this instant.
    pub(super) fn sample(&mut self, now: Instant, snapshot: &Snapshot) {
        let contents = snapshot.contents.iter().map(|content| (content.content, Moved::of_content(content)));
        let linked = snapshot.peers.iter().filter(|peer| peer.link.is_some());
        let peers = linked.map(|peer| (peer.node, Moved::of_peer(peer)));
        self.0.push_back(Sample { at: now, contents: contents.collect(), peers: peers.collect() });
        while self.0.len() > SAMPLES_MAX {
            self.0.pop_front();
        }
    }

    /// Of a content, per second.
    pub(super) fn content(&self, content: ContentId) -> Moved {
        self.rate(|sample| sample.contents.get(&content).copied())
    }

    /// Of a peer, per second.
    pub(super) fn peer(&self, node: NodeId) -> Moved {
        self.rate(|sample| sample.peers.get(&node).copied())
    }

    fn rate(&self, of: impl Fn(&Sample) -> Option<Moved>) -> Moved {
        let mut known = self.0.iter().filter_map(|sample| Some((sample.at, of(sample)?)));
        let (Some((then, old)), Some((now, new))) = (known.next(), known.next_back()) else {
            return Moved::default();
        };
        let rate = |new: u64, old: u64| Rate::over(new.saturating_sub(old), now - then).0;
        Moved { sent: rate(new.sent, old.sent), received: rate(new.received, old.received) }
    }
}

impl Moved {
    fn of_content(content: &swarm_engine::ContentSnapshot) -> Self {
        Self { sent: content.totals.sent_len, received: content.totals.fetched_len }
    }

    fn of_peer(peer: &swarm_engine::PeerSnapshot) -> Self {
        Self { sent: peer.totals.sent_len, received: peer.totals.received_len }
    }
}

/// One a second: chunks come whole, so a shorter time would jump.
const SAMPLES_MAX: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_rate_is_what_moved_over_the_last_samples() {
        let (mut rates, node) = (RecentRates::default(), NodeId::from_bytes([1; 32]));
        for second in 0..20 {
            let peers = [(node, Moved { sent: second * 100, received: second * 7 })].into();
            let at = Instant::ZERO + Duration::from_secs(second);
            rates.0.push_back(Sample { at, contents: BTreeMap::new(), peers });
            assert_eq!(rates.peer(node).sent, if second == 0 { 0 } else { 100 });
        }
        assert_eq!(rates.peer(node), Moved { sent: 100, received: 7 });
        assert_eq!(rates.peer(NodeId::from_bytes([2; 32])), Moved::default());
    }
}
