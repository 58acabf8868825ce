//! What a world of daemons is made of, and what happens in it, step by step. A script that chance wrote can be replayed, and shortened while it
//! still fails.

use swarm_core::base::Rng;
use swarm_library::Policy;
use swarm_sync::Strategy;

use super::super::edit::Edit;
use super::super::script::Event;

/// What a daemon is to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Trusted by all members; its user edits and votes.
    Member,
    /// Trusted by all members, and lies.
    Traitor,
    /// Trusted by nobody; its user edits.
    Stranger,
    /// Trusted by nobody; nobody edits there.
    Mirror,
}

/// One step of a script. Numbers that choose among what is there at that time are taken modulo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// A user edits, or a machine fails.
    Event(Event),
    /// A pass of a daemon; `thorough` reads every file.
    Pass { at: usize, thorough: bool },
    /// A daemon asks a peer for what it lacks. The letters are on their way after that.
    Ask { from: usize, to: usize },
    /// A letter comes, comes twice, or is lost.
    Deliver { which: u64, fate: u64 },
    /// The user of a daemon votes about a proposal.
    Vote { at: usize, which: u64, verdict: u64 },
    /// A daemon looks whether votes suffice, and is killed after so many transactions.
    Tally { at: usize, transactions: u32 },
    /// Two daemons do not reach each other any more, or do again.
    Link { one: usize, other: usize, is_up: bool },
    /// Links between two groups go down, or all are up again.
    Partition(u64),
    /// A daemon gets another policy, or all do.
    Policy { at: Option<usize>, which: usize },
    /// A member trusts a daemon, or no longer.
    Trust { at: usize, whom: usize, is_so: bool },
    /// A daemon joins, with nothing, or goes for good.
    Presence { at: usize, is_here: bool },
    /// A user decides a conflict.
    Decide { at: usize, which: u64, choice: u64 },
    /// The traitor does something.
    Evil { what: u64, luck: u64 },
    /// Everything one member has spreads to all; its changes get their votes.
    Spread(usize),
}

/// A step, and what happens during it: each event at an effect of that number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) act: Act,
    pub(super) during: Vec<(u32, Event)>,
}

/// What a world is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setup {
    pub(super) parts: Vec<Part>,
    /// Index of each daemon's policy.
    pub(super) policies: Vec<usize>,
    pub(super) strategy: Strategy,
    /// Edits come from one member at a time and spread before the next: what has to come of them is known exactly.
    pub(super) is_calm: bool,
    /// Votes at the end say no where somebody is asked.
    pub(super) refuses_at_end: bool,
}

/// A world in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) setup: Setup,
    pub(super) steps: Vec<Step>,
}

impl Setup {
    pub(super) fn any(rng: &mut Rng) -> Self {
        let count = [3, 3, 3, 3, 4, 4, 5, 6, 8][rng.below(9) as usize];
        let is_calm = rng.below(5) == 0;
        let mut parts = vec![Part::Member; count];
        if rng.below(2) == 0 {
            parts[count - 1] = Part::Stranger;
        }
        if rng.below(4) == 0 {
            parts[if count > 3 { count - 2 } else { count - 1 }] = Part::Mirror;
        }
        if count > 2 && rng.below(3) == 0 && !is_calm {
            parts[0] = Part::Traitor;
        }
        let policy = rng.below(POLICIES) as usize;
        let is_mixed = rng.below(8) == 0;
        let of = |rng: &mut Rng| if is_mixed { rng.below(POLICIES) as usize } else { policy };
        let policies = (0..count).map(|_| of(rng)).collect();
        let strategies = [
            Strategy::Manual,
            Strategy::Manual,
            Strategy::KeepBoth,
            Strategy::Newer,
            Strategy::AutoMerge,
            Strategy::KeepRemote,
            Strategy::KeepLocal,
        ];
        let strategy = strategies[rng.below(7) as usize];
        Self { parts, policies, strategy, is_calm, refuses_at_end: rng.below(4) == 0 && !is_calm }
    }

    /// What the world is like, for the histogram.
    pub(super) fn words(&self) -> Vec<&'static str> {
        let has = |part| self.parts.contains(&part);
        let holds = self.policies.iter().any(|at| !policy(*at).holds_nothing());
        let all = [
            (has(Part::Traitor), "world: a traitor"),
            (has(Part::Stranger), "world: a stranger"),
            (has(Part::Mirror), "world: a mirror"),
            (holds, "world: changes wait for votes"),
            (self.policies.iter().any(|at| *at != self.policies[0]), "world: policies differ"),
            (self.is_calm, "world: one writer at a time"),
            (self.parts.len() > 5, "world: more than five daemons"),
        ];
        all.into_iter().filter(|(is_so, _)| *is_so).map(|(_, word)| word).collect()
    }
}

/// One of the policies that worlds use.
pub(super) fn policy(which: usize) -> Policy {
    let none = Policy { expiry_days: 0, ..Policy::default() };
    match which {
        0 | 1 => none,
        2 | 3 => Policy { delete_votes: 2, ..none },
        4 => Policy { delete_votes: 2, move_votes: 2, ..none },
        5 => Policy { delete_votes: 2, refused_by_one: true, ..none },
        6 => Policy { delete_votes: 2, bulk_changes: 2, bulk_votes: 2, ..none },
        _ => Policy { delete_votes: 3, move_votes: 2, expiry_days: 1, ..none },
    }
}

/// Number of policies.
pub(super) const POLICIES: u64 = 8;

/// An edit that all daemons' disks can hold and that can be seen.
pub(super) fn is_plain(edit: &Edit) -> bool {
    !matches!(edit, Edit::Lock(_) | Edit::Special(_))
}
