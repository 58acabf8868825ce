//! One node as the peer book has it: where it may be dialed, when next, and what it did. Invariant: what is dialed or linked is not
//! forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::refusal::Refusal;
use crate::reputation::Reputation;
use crate::violation::Violation;
use swarm_core::base::{ContentId, Instant, NodeId, Rng};
use swarm_core::manifest::Address;

use super::network::Network;

/// One node.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    pub(super) rank: Rank,
    pub(super) addresses: Vec<Address>,
    pub(super) contents: BTreeMap<ContentId, Tie>,
    pub(super) standing: Standing,
    pub(super) failures: u32,
    pub(super) last_failure: Option<String>,
    /// It was dialed in its turn, or linked.
    pub(super) is_tried: bool,
    /// Dials under way only because the other side dials too.
    pub(super) meetings: u32,
    /// Another peer told of it, and it was not linked yet.
    pub(super) is_on_trial: bool,
    /// It said that it has what it is dialed for, and has given nothing since: a refusal may be older than that word.
    pub(super) is_announced: bool,
    /// What it was worth at this run, and before.
    pub(crate) totals: PeerTotals,
    pub(super) past: Reputation,
    /// Others were told that it gave more than one wrong chunk.
    pub(super) is_accused_here: bool,
    /// Who says the same of it.
    pub(super) accusers: BTreeSet<NodeId>,
}

/// Which node is dialed before which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// It was named, as the first, the second and so on.
    Named(u32),
    /// In an order drawn at random.
    Chance(u64),
    /// After all others.
    #[default]
    Last,
}

/// What binds a peer to a content. The greater holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tie {
    /// It may have it.
    Fetch,
    /// This node pushes it to that one, whatever it says.
    Push,
}

/// What a peer gave and took, over all its links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerTotals {
    /// What it says of itself.
    pub agent: String,
    /// Payload received from it, bytes.
    pub received_len: u64,
    /// Payload sent to it, bytes.
    pub sent_len: u64,
    /// Chunks from it that were verified.
    pub verified_chunks: u64,
    /// Bytes of these.
    pub verified_len: u64,
    /// Chunks from it that failed verification.
    pub corrupt_chunks: u64,
    /// How often it took requests and stalled.
    pub stalls: u64,
    /// Chunks that it said it had, and did not take back, and did not have.
    pub lies: u64,
}

#[derive(Debug, Default)]
pub(super) enum Standing {
    /// It may be dialed from then on.
    Waiting(Instant),
    Dialing,
    Linked,
    /// It has no address: it dials us or stays away.
    #[default]
    Passive,
    /// No use trying: it refuses, proves another key, or lacks the content.
    Refused(Refusal),
    Banned(Violation),
}

/// Where a peer stands, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerStanding {
    /// A link to it stands.
    Linked,
    /// It is being dialed, or will be.
    Away(Option<String>),
    /// It refuses, or has nothing to give.
    Refused(Refusal),
    /// It misbehaved.
    Banned(Violation),
}

impl Peer {
    pub(super) fn is_wanted(&self, is_wanted: impl Fn(&ContentId, Tie) -> bool) -> bool {
        self.contents.iter().any(|(content, tie)| is_wanted(content, *tie))
    }

    /// No fetch needs it, no dial waits for it, and what it did need not be remembered.
    pub(super) fn may_be_forgotten(&self) -> bool {
        let is_idle = match self.standing {
            Standing::Waiting(_) | Standing::Passive | Standing::Refused(_) => true,
            Standing::Dialing | Standing::Linked | Standing::Banned(_) => false,
        };
        is_idle && self.meetings == 0 && !self.has_pushes()
    }

    /// The order of forgetting: nodes first that gave and took nothing, then those that refuse, then those that failed most.
    pub(super) fn worthlessness(&self) -> impl Ord {
        let is_useless = self.totals.received_len == 0 && self.totals.sent_len == 0;
        (is_useless, matches!(self.standing, Standing::Refused(_)), self.failures, self.rank)
    }

    pub(super) fn reputation(&self) -> Reputation {
        self.past.with(&self.totals)
    }

    /// By what it did here, or, where that is little, by what others say.
    pub(super) fn is_doubtful(&self) -> bool {
        let is_unknown =
            self.past.good_len == 0.0 && self.accusers.len() as u64 > self.totals.verified_chunks;
        self.reputation().is_doubtful() || is_unknown
    }

    /// Who is dialed first: nodes that something is pushed to; the honest; those that did not fail, unless they were of use
    /// before; where few are being dialed already, so that neither one dead network is waited for nor one host is flooded.
    pub(super) fn turn(&self, crowds: &BTreeMap<Network, usize>) -> impl Ord + use<> {
        let has_only_failed = self.failures > 0 && self.totals.verified_chunks == 0;
        let crowd = self.network().and_then(|network| crowds.get(&network)).copied().unwrap_or_default();
        let crowd = crowd / CROWD_STEP;
        (!self.has_pushes(), self.is_doubtful(), has_only_failed, crowd, self.rank)
    }

    pub(super) fn network(&self) -> Option<Network> {
        self.addresses.first().map(Network::of)
    }

    pub(super) fn has_pushes(&self) -> bool {
        self.contents.values().any(|tie| *tie == Tie::Push)
    }

    /// Wait twice as long as last time, with jitter. An orderly end has no reason: it is no failure to tell of.
    pub(super) fn back_off(&mut self, now: Instant, reason: Option<&str>, rng: &mut Rng) {
        let wait = BACKOFF_MIN * 2u32.saturating_pow(self.failures.min(16));
        let jittered = wait.min(BACKOFF_MAX).mul_f64(0.75 + rng.unit() / 2.0);
        self.failures += 1;
        self.last_failure = reason.map(str::to_owned);
        self.standing =
            if self.addresses.is_empty() { Standing::Passive } else { Standing::Waiting(now + jittered) };
    }

    pub(super) fn standing(&self) -> PeerStanding {
        match &self.standing {
            Standing::Waiting(_) | Standing::Dialing | Standing::Passive => {
                PeerStanding::Away(self.last_failure.clone())
            }
            Standing::Linked => PeerStanding::Linked,
            Standing::Refused(reason) => PeerStanding::Refused(reason.clone()),
            Standing::Banned(violation) => PeerStanding::Banned(violation.clone()),
        }
    }
}

/// So many dials to one network are as good as none: the order in which sources were named counts among the first few.
const CROWD_STEP: usize = 4;
pub(super) const BACKOFF_MIN: Duration = Duration::from_millis(500);
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(60);
