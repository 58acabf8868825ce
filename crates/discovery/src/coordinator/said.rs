//! What was said to a coordinator, and when to say it again. Knows no clock and no network.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::Presence;
use crate::limits::ANNOUNCED_CONTENTS_MAX;
use swarm_core::base::ContentId;
use swarm_core::base::limits::NEIGHBOURS_TARGET;
use swarm_core::manifest::Address;

/// What one coordinator was told.
#[derive(Debug)]
pub(super) struct Said {
    contents: BTreeMap<ContentId, Last>,
    interval: Duration,
}

#[derive(Clone, Debug)]
struct Last {
    at: Instant,
    have_count: u32,
    chunk_count: u32,
    addresses: Arc<[Address]>,
    /// Announcements in a row that asked, and found this node still without enough neighbours.
    hungry: u32,
}

impl Said {
    /// Nothing was said yet; what does not change is said again after that time.
    pub(super) fn new(interval: Duration) -> Self {
        Self { contents: BTreeMap::new(), interval }
    }

    /// Contents that were announced and are present no more. They count as withdrawn.
    pub(super) fn take_gone(&mut self, presences: &[Presence]) -> Vec<ContentId> {
        let is_gone = |content: &ContentId| !presences.iter().any(|presence| presence.content == *content);
        let gone: Vec<ContentId> = self.contents.keys().copied().filter(is_gone).collect();
        for content in &gone {
            self.contents.remove(content);
        }
        gone
    }

    /// Whether a content is to be announced now; if so, how many neighbours are wanted. It counts as said.
    pub(super) fn take_due(
        &mut self,
        now: Instant,
        presence: &Presence,
        addresses: &Arc<[Address]>,
    ) -> Option<u32> {
        let last = self.contents.get(&presence.content);
        if last.is_none() && self.contents.len() >= ANNOUNCED_CONTENTS_MAX {
            return None;
        }
        let is_hungry = presence.is_wanting && presence.links.len() < NEIGHBOURS_TARGET as usize;
        let is_news = |last: &Last| is_milestone(last, presence) || last.addresses != *addresses;
        let wait = |last: &Last| match (is_hungry, is_news(last)) {
            (_, true) => MILESTONE_WAIT,
            (true, false) => (HUNGRY_WAIT_MIN * 2u32.saturating_pow(last.hungry)).min(HUNGRY_WAIT_MAX),
            (false, false) => self.interval,
        };
        if last.is_some_and(|last| now < last.at + wait(last)) {
            return None;
        }
        let hungry = if is_hungry { last.map_or(0, |last| (last.hungry + 1).min(8)) } else { 0 };
        let (have_count, chunk_count) = (presence.have_count, presence.chunk_count);
        self.contents.insert(
            presence.content,
            Last { at: now, have_count, chunk_count, addresses: Arc::clone(addresses), hungry },
        );
        Some(if is_hungry { NEIGHBOURS_TARGET } else { 0 })
    }
}

/// News that others should hear soon: the first chunk, half of them, all of them; the manifest is known.
fn is_milestone(last: &Last, presence: &Presence) -> bool {
    let stage = |have: u32, all: u32| match (have, all) {
        (_, 0) => 0,
        (0, _) => 1,
        (have, all) if have == all => 4,
        (have, all) if have >= all / 2 => 3,
        _ => 2,
    };
    stage(last.have_count, last.chunk_count) != stage(presence.have_count, presence.chunk_count)
}

const MILESTONE_WAIT: Duration = Duration::from_millis(500);
const HUNGRY_WAIT_MIN: Duration = Duration::from_secs(1);
const HUNGRY_WAIT_MAX: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_core::base::{NodeId, Rate};

    fn presence(have_count: u32, link_count: u8) -> Presence {
        Presence {
            content: ContentId::from_bytes([1; 32]),
            have_count,
            chunk_count: 100,
            is_wanting: have_count < 100,
            links: (0..link_count).map(|n| NodeId::from_bytes([n; 32])).collect(),
            up: Rate(0),
            coordinators: Vec::new(),
        }
    }

    /// Seconds at which an announcement is due within two minutes, looked at ten times a second, and what it asks for.
    fn said(presence_at: impl Fn(f64) -> Presence) -> Vec<(f64, u32)> {
        let (mut said, start) = (Said::new(Duration::from_secs(50)), Instant::now());
        let at = |tenth: u32| (f64::from(tenth) / 10.0, start + Duration::from_millis(100) * tenth);
        let look = |(seconds, now)| {
            said.take_due(now, &presence_at(seconds), &Arc::from([])).map(|wanted| (seconds, wanted))
        };
        (0..1200).map(at).filter_map(look).collect()
    }

    #[test]
    fn a_seed_says_that_it_is_there_at_every_interval() {
        assert_eq!(said(|_| presence(100, 0)), [(0.0, 0), (50.0, 0), (100.0, 0)]);
    }

    #[test]
    fn who_lacks_neighbours_asks_less_and_less_often() {
        let asked: Vec<f64> = said(|_| presence(5, 3)).into_iter().map(|(at, _)| at).collect();
        assert_eq!(asked[..6], [0.0, 1.0, 3.0, 7.0, 15.0, 30.0]);
    }

    #[test]
    fn a_milestone_is_told_at_once() {
        let told = said(|at| if at < 20.0 { presence(60, 10) } else { presence(100, 10) });
        assert_eq!(told, [(0.0, 0), (20.0, 0), (70.0, 0)]);
    }

    #[test]
    fn what_is_left_is_withdrawn_once() {
        let mut known = Said::new(Duration::from_secs(50));
        assert!(known.take_due(Instant::now(), &presence(0, 0), &Arc::from([])).is_some());
        assert_eq!(known.take_gone(&[]), [ContentId::from_bytes([1; 32])]);
        assert!(known.take_gone(&[]).is_empty());
    }
}
