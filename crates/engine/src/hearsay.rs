//! Peers that others told of and that were not dialed yet. Invariant: bounded in all and for each informer, and so are the
//! dials that come of it in any minute, so that a liar can neither fill memory nor aim this node at others.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::limits::{
    PEX_DIALS_PER_INFORMER_MAX, PEX_DIALS_PER_MINUTE_MAX, PEX_HEARD_MAX, PEX_HEARD_PER_INFORMER_MAX,
};
use swarm_core::base::{ContentId, Instant, NodeId, Rng};
use swarm_core::manifest::Address;

/// What was heard, and what was done about it in the last minute.
#[derive(Debug, Default)]
pub(super) struct Hearsay {
    heard: BTreeMap<(ContentId, NodeId), Heard>,
    /// When a node was dialed, and on the word of which informer; the oldest first.
    dials: VecDeque<(Instant, NodeId)>,
}

/// Where a node is said to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) addresses: Vec<Address>,
    pub(super) informer: NodeId,
}

impl Hearsay {
    /// Notes what was heard. The first word holds until it is tried.
    pub(super) fn add(&mut self, content: ContentId, node: NodeId, heard: Heard) {
        let of_informer = self.heard.values().filter(|other| other.informer == heard.informer).count();
        if self.heard.len() < PEX_HEARD_MAX && of_informer < PEX_HEARD_PER_INFORMER_MAX {
            self.heard.entry((content, node)).or_insert(heard);
        }
    }

    /// Takes one at random whose informer has not had its share of dials.
    pub(super) fn take(
        &mut self,
        now: Instant,
        content: ContentId,
        rng: &mut Rng,
    ) -> Option<(NodeId, Heard)> {
        while self.dials.front().is_some_and(|(at, _)| now.since(*at) >= MINUTE) {
            self.dials.pop_front();
        }
        if self.dials.len() >= PEX_DIALS_PER_MINUTE_MAX {
            return None;
        }
        let may_dial = |heard: &Heard| {
            self.dials.iter().filter(|(_, informer)| *informer == heard.informer).count()
                < PEX_DIALS_PER_INFORMER_MAX
        };
        let of_content = self.of(content).filter(|(_, heard)| may_dial(heard));
        let nodes: Vec<NodeId> = of_content.map(|(node, _)| node).collect();
        let node = *nodes.get(rng.below(nodes.len() as u64) as usize)?;
        let heard = self.heard.remove(&(content, node))?;
        Some((node, heard))
    }

    /// A node is dialed on this word.
    pub(super) fn on_dialed(&mut self, now: Instant, informer: NodeId) {
        self.dials.push_back((now, informer));
    }

    /// Whether a node is left to be tried for this content.
    pub(super) fn has(&self, content: ContentId) -> bool {
        self.of(content).next().is_some()
    }

    /// The content is left.
    pub(super) fn forget_content(&mut self, content: ContentId) {
        self.heard.retain(|(of, _), _| *of != content);
    }

    /// Its word is worth nothing.
    pub(super) fn forget_informer(&mut self, informer: NodeId) {
        self.heard.retain(|_, heard| heard.informer != informer);
    }

    fn of(&self, content: ContentId) -> impl Iterator<Item = (NodeId, &Heard)> {
        let (first, last) = (NodeId::from_bytes([0; 32]), NodeId::from_bytes([0xff; 32]));
        self.heard.range((content, first)..=(content, last)).map(|((_, node), heard)| (*node, heard))
    }
}

const MINUTE: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: ContentId = ContentId::from_bytes([1; 32]);

    fn node(index: u32) -> NodeId {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&index.to_be_bytes());
        NodeId::from_bytes(bytes)
    }

    /// Victims that a few informers name, as fast as they like.
    fn dials_in(informers: u32, seconds: u64) -> usize {
        let (mut hearsay, mut rng, mut dials) = (Hearsay::default(), Rng::seeded(1), 0);
        for second in 0..seconds {
            let now = Instant::from_nanos(second * 1_000_000_000);
            for victim in 0..200 {
                let informer = node(victim % informers);
                let heard = Heard { addresses: Vec::new(), informer };
                hearsay.add(CONTENT, node(1000 + second as u32 * 200 + victim), heard);
            }
            while let Some((_, heard)) = hearsay.take(now, CONTENT, &mut rng) {
                hearsay.on_dialed(now, heard.informer);
                dials += 1;
            }
        }
        dials
    }

    #[test]
    fn one_informer_fills_its_share_of_what_is_kept_and_all_together_no_more_than_all_of_it() {
        let mut hearsay = Hearsay::default();
        let mut tell = |informer: u32, victims: std::ops::Range<u32>| {
            for victim in victims {
                let heard = Heard { addresses: Vec::new(), informer: node(informer) };
                hearsay.add(CONTENT, node(victim), heard);
            }
            hearsay.heard.len()
        };
        assert_eq!(tell(1, 1000..2000), PEX_HEARD_PER_INFORMER_MAX);
        assert_eq!(tell(2, 1000..1010), PEX_HEARD_PER_INFORMER_MAX, "the first word holds");
        for informer in 3..500 {
            tell(informer, informer * 10_000..informer * 10_000 + 20);
        }
        assert_eq!(tell(1000, 0..10), PEX_HEARD_MAX);
    }

    #[test]
    fn what_was_heard_of_one_content_is_not_for_another() {
        let mut hearsay = Hearsay::default();
        let other = ContentId::from_bytes([2; 32]);
        hearsay.add(CONTENT, node(1), Heard { addresses: Vec::new(), informer: node(9) });
        assert!(hearsay.has(CONTENT) && !hearsay.has(other));
        assert!(hearsay.take(Instant::ZERO, other, &mut Rng::seeded(1)).is_none());
        hearsay.forget_content(other);
        assert!(hearsay.has(CONTENT));
        hearsay.forget_content(CONTENT);
        assert!(!hearsay.has(CONTENT));
    }

    #[test]
    fn a_liar_gets_its_share_of_dials_a_minute_and_many_liars_no_more_than_all() {
        assert_eq!(dials_in(1, 60), PEX_DIALS_PER_INFORMER_MAX);
        assert_eq!(dials_in(1, 120), 2 * PEX_DIALS_PER_INFORMER_MAX);
        assert_eq!(dials_in(20, 60), PEX_DIALS_PER_MINUTE_MAX);
    }

    #[test]
    fn what_a_banned_informer_told_is_forgotten() {
        let mut hearsay = Hearsay::default();
        for (victim, informer) in [(1, 8), (2, 9)] {
            hearsay.add(CONTENT, node(victim), Heard { addresses: Vec::new(), informer: node(informer) });
        }
        hearsay.forget_informer(node(8));
        let (taken, _) = hearsay.take(Instant::ZERO, CONTENT, &mut Rng::seeded(1)).expect("one is left");
        assert_eq!(taken, node(2));
        assert!(!hearsay.has(CONTENT));
    }
}
