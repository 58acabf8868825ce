//! What a node has and wants of each content, as it tells others, and when it tells them again. Pure: the clock is an argument.
//!
//! Invariant: a content that is withdrawn was announced before. Absent here: the receivers of an announcement, and its finder.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::base::limits::{ANNOUNCED_CONTENTS_MAX, NEIGHBOURS_TARGET};
use crate::base::{ContentId, Instant, NodeId};
use crate::manifest::Address;

/// One content that a node takes part in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// The content.
    pub content: ContentId,
    /// Number of verified chunks.
    pub have_count: u32,
    /// Number of chunks of the content; zero while the manifest is unknown.
    pub chunk_count: u32,
    /// The node still fetches: it looks for other nodes.
    pub is_wanting: bool,
    /// Linked peers that take part in it.
    pub links: Vec<NodeId>,
}

/// Decides when a content is announced to a coordinator again.
#[derive(Debug)]
pub struct Announcer {
    announced: BTreeMap<ContentId, Announced>,
    interval: Duration,
}

#[derive(Clone, Debug)]
struct Announced {
    at: Instant,
    have_count: u32,
    chunk_count: u32,
    addresses: Arc<[Address]>,
    /// Consecutive announcements that asked for neighbours while this node had too few. Backoff grows with it.
    hungry_count: u32,
}

impl Announcer {
    /// An announcer without history; unchanged contents are announced every `interval`.
    pub fn new(interval: Duration) -> Self {
        Self { announced: BTreeMap::new(), interval }
    }

    /// Contents that were announced and are gone. They count as withdrawn from now on.
    pub fn take_gone(&mut self, presences: &[&Presence]) -> Vec<ContentId> {
        let is_gone = |content: &ContentId| !presences.iter().any(|presence| presence.content == *content);
        let gone: Vec<ContentId> = self.announced.keys().copied().filter(is_gone).collect();
        for content in &gone {
            self.announced.remove(content);
        }
        gone
    }

    /// The number of neighbours to ask for, if a content is to be announced now; else `None`. It counts as announced from now on.
    pub fn take_due(&mut self, now: Instant, presence: &Presence, addresses: &Arc<[Address]>) -> Option<u32> {
        let last = self.announced.get(&presence.content);
        if last.is_none() && self.announced.len() >= ANNOUNCED_CONTENTS_MAX {
            return None;
        }
        let is_hungry = presence.is_wanting && presence.links.len() < NEIGHBOURS_TARGET as usize;
        if last.is_some_and(|last| now < last.at + self.wait(last, presence, addresses, is_hungry)) {
            return None;
        }
        let hungry_count = if is_hungry { last.map_or(0, |last| (last.hungry_count + 1).min(8)) } else { 0 };
        let announced = Announced {
            at: now,
            have_count: presence.have_count,
            chunk_count: presence.chunk_count,
            addresses: Arc::clone(addresses),
            hungry_count,
        };
        self.announced.insert(presence.content, announced);
        Some(if is_hungry { NEIGHBOURS_TARGET } else { 0 })
    }

    fn wait(
        &self,
        last: &Announced,
        presence: &Presence,
        addresses: &Arc<[Address]>,
        is_hungry: bool,
    ) -> Duration {
        if is_milestone(last, presence) || last.addresses != *addresses {
            MILESTONE_WAIT
        } else if is_hungry {
            (HUNGRY_WAIT_MIN * 2u32.saturating_pow(last.hungry_count)).min(HUNGRY_WAIT_MAX)
        } else {
            self.interval
        }
    }
}

/// News that others need soon: the manifest is known, the first chunk, half of the chunks, all of them.
fn is_milestone(last: &Announced, presence: &Presence) -> bool {
    let stage = |have: u32, all: u32| match (have, all) {
        (_, 0) => 0,
        (0, _) => 1,
        (have, all) if have == all => 4,
        (have, all) if have >= all / 2 => 3,
        _ => 2,
    };
    stage(last.have_count, last.chunk_count) != stage(presence.have_count, presence.chunk_count)
}

/// Milestones within this time make one announcement: at the start of a small fetch several come at once.
const MILESTONE_WAIT: Duration = Duration::from_millis(500);
/// Backoff of a node with too few neighbours: it asks again after this time, then after twice as long, up to
/// [`HUNGRY_WAIT_MAX`]. At the start of a crowd new nodes arrive every second; later, asking again brings nothing new.
const HUNGRY_WAIT_MIN: Duration = Duration::from_secs(1);
/// Longest backoff of a node with too few neighbours.
const HUNGRY_WAIT_MAX: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    fn presence(have_count: u32, link_count: u8) -> Presence {
        Presence {
            content: ContentId::from_bytes([1; 32]),
            have_count,
            chunk_count: 100,
            is_wanting: have_count < 100,
            links: (0..link_count).map(|n| NodeId::from_bytes([n; 32])).collect(),
        }
    }

    /// Announcements within two minutes, polled ten times a second: the second of each, and the number of neighbours it asks for.
    fn announced(presence_at: impl Fn(f64) -> Presence) -> Vec<(f64, u32)> {
        let (mut announcer, start) = (Announcer::new(Duration::from_secs(50)), Instant::ZERO);
        let at = |tenth: u32| (f64::from(tenth) / 10.0, start + Duration::from_millis(100) * tenth);
        let look = |(seconds, now)| {
            announcer.take_due(now, &presence_at(seconds), &Arc::from([])).map(|wanted| (seconds, wanted))
        };
        (0..1200).map(at).filter_map(look).collect()
    }

    #[test]
    fn a_seed_is_announced_at_every_interval() {
        assert_eq!(announced(|_| presence(100, 0)), [(0.0, 0), (50.0, 0), (100.0, 0)]);
    }

    #[test]
    fn a_node_without_neighbours_asks_less_and_less_often() {
        let asked: Vec<f64> = announced(|_| presence(5, 3)).into_iter().map(|(at, _)| at).collect();
        assert_eq!(asked[..6], [0.0, 1.0, 3.0, 7.0, 15.0, 30.0]);
    }

    #[test]
    fn a_milestone_is_announced_at_once() {
        let told = announced(|at| if at < 20.0 { presence(60, 10) } else { presence(100, 10) });
        assert_eq!(told, [(0.0, 0), (20.0, 0), (70.0, 0)]);
    }

    #[test]
    fn a_content_that_is_gone_is_withdrawn_once() {
        let mut known = Announcer::new(Duration::from_secs(50));
        assert!(known.take_due(Instant::ZERO, &presence(0, 0), &Arc::from([])).is_some());
        assert_eq!(known.take_gone(&[]), [ContentId::from_bytes([1; 32])]);
        assert!(known.take_gone(&[]).is_empty());
    }
}
