//! How fast each content comes from each peer, by what came over the last seconds. Invariant: what it remembers is bounded by the contents that are
//! fetched. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use swarm_core::base::{ContentId, NodeId};
use swarm_engine::ContentSnapshot;

/// Payload of contents, as it was seen now and then.
#[derive(Debug, Default)]
pub(super) struct Flow {
    seen: BTreeMap<ContentId, VecDeque<Seen>>,
}

/// When it was looked, and what had come by then, by the peer that sent it.
type Seen = (Instant, BTreeMap<NodeId, u64>);

impl Flow {
    /// Notes what came of each content until now.
    pub(super) fn note(&mut self, now: Instant, contents: &[ContentSnapshot]) {
        self.seen.retain(|content, _| contents.binary_search_by_key(content, |known| known.content).is_ok());
        for known in contents.iter().filter(|known| !known.received.is_empty()) {
            let seen = self.seen.entry(known.content).or_default();
            let is_less =
                |(_, before): &Seen| before.values().sum::<u64>() > known.received.values().sum::<u64>();
            // It was left, and joined again.
            if seen.back().is_some_and(is_less) {
                seen.clear();
            }
            seen.push_back((now, known.received.clone()));
            while seen.len() > 2 && seen.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= SPAN) {
                seen.pop_front();
            }
        }
    }

    pub(super) fn forget(&mut self, content: &ContentId) {
        self.seen.remove(content);
    }

    pub(super) fn clear(&mut self) {
        self.seen.clear();
    }

    /// Bytes a second of a content from each peer; nothing before there is anything to go by.
    pub(super) fn rates(&self, content: &ContentId) -> BTreeMap<NodeId, u64> {
        let ends = self.seen.get(content).and_then(|seen| Some((seen.front()?, seen.back()?)));
        let Some(((from, before), (to, now))) = ends.filter(|(first, last)| first.0 < last.0) else {
            return BTreeMap::new();
        };
        let millis = to.duration_since(*from).as_millis().max(1);
        let rate = |(node, len): (&NodeId, &u64)| {
            let more = len.saturating_sub(before.get(node).copied().unwrap_or_default());
            (*node, u64::try_from(u128::from(more) * 1000 / millis).unwrap_or(u64::MAX))
        };
        now.iter().map(rate).collect()
    }
}

/// Long enough that a slow peer's bytes, which are told in steps, make an even rate.
const SPAN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use swarm_engine::{Bottleneck, ContentTotals, FetchPhase};

    use super::*;
    use crate::clock;

    const CONTENT: ContentId = ContentId::from_bytes([1; 32]);
    const PEER: NodeId = NodeId::from_bytes([2; 32]);

    fn seen(received_len: u64) -> Vec<ContentSnapshot> {
        vec![ContentSnapshot {
            content: CONTENT,
            name: None,
            phase: FetchPhase::Fetching,
            wanted_len: 1000,
            verified_len: 0,
            durable_len: 0,
            totals: ContentTotals::default(),
            bottleneck: Bottleneck::None,
            lacking_peers: 0,
            received: BTreeMap::from([(PEER, received_len)]),
        }]
    }

    #[test]
    fn a_rate_is_what_came_over_the_last_seconds() {
        let (mut flow, start) = (Flow::default(), clock::moment());
        let mut check = |second: u64, len: u64, expected: Option<u64>| {
            flow.note(start + Duration::from_secs(second), &seen(len));
            assert_eq!(flow.rates(&CONTENT).get(&PEER).copied(), expected, "{second} {len}");
        };
        check(0, 100, None);
        check(1, 300, Some(200));
        check(5, 500, Some(80));
        // The first ones are too long ago.
        check(10, 600, Some(20));
        check(15, 600, Some(0));
        // It was left and joined again.
        check(16, 50, None);
        check(17, 150, Some(100));
        flow.note(start, &[]);
        assert_eq!(flow.rates(&CONTENT), BTreeMap::new(), "it is fetched no more");
    }
}
