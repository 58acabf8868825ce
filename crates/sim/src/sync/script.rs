//! What happens in a world, step by step. A script that a generator wrote can be replayed, and shortened while it still fails.

use swarm_core::base::Rng;
use swarm_sync::{Direction, NameRules, Strategy, TreePath};

use super::disk::Disk;
use super::edit::{Edit, any_edit, any_path};

/// Something that happens to a disk or to a pass, at any moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A user edits a replica.
    Edit(usize, Edit),
    /// A replica loses power. The number decides what survives. A pass that uses the replica ends there.
    PowerCut(usize, u64),
    /// The process that runs the pass is killed. Disks are as they were.
    Kill,
    /// The user interrupts the pass.
    Stop,
    /// The next effect on a replica is refused.
    Refuse(usize, Refusal),
    /// No space is left on a replica, or there is space again.
    Full(usize, bool),
    /// A replica cannot be written, or can be again.
    ReadOnly(usize, bool),
    /// A replica is unplugged, or is back.
    Away(usize, bool),
    /// The clock of a replica is set to another time, so many nanoseconds later.
    Clock(usize, i64),
}

/// How the system refuses one effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Denied,
    Io,
}

/// One step of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Event(Event),
    /// A pass over a pair; `thorough` reads every file.
    Pass {
        pair: usize,
        thorough: bool,
    },
    /// All pairs, in turn, until nothing changes. Every replica has to be as this one is now.
    Spread {
        writer: usize,
    },
    /// The index of a pair is deleted.
    DropIndex(usize),
    /// Somebody decides an open conflict of a pair.
    Decide {
        pair: usize,
        conflict: u64,
        choice: u64,
    },
    /// A pass over a pair, which is then taken back.
    Undo(usize),
    /// Paths named `ig` are left out from now on, or no more.
    Ignore(bool),
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
    /// Which names each replica can hold.
    pub(super) names: Vec<NameRules>,
    /// The pairs: a local and a remote replica.
    pub(super) pairs: Vec<(usize, usize)>,
    pub(super) strategy: Strategy,
    pub(super) direction: Direction,
    /// Most paths that a pass may delete before somebody is asked.
    pub(super) delete_max: u64,
    /// Edits come from one replica at a time and spread before the next: what has to come of them is known exactly.
    pub(super) is_calm: bool,
}

/// A world in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) setup: Setup,
    pub(super) steps: Vec<Step>,
}

impl Setup {
    pub(super) fn any(rng: &mut Rng) -> Self {
        let count = [2, 2, 2, 3, 3, 4, 5][rng.below(7) as usize];
        let is_calm = rng.below(4) == 0;
        let is_odd = rng.below(4) == 0;
        let mut odd = || NameRules {
            ignores_case: is_odd && rng.below(2) == 0,
            ignores_form: is_odd && rng.below(2) == 0,
            ..NameRules::default()
        };
        let names = (0..count).map(|_| odd()).collect();
        let strategies = [
            Strategy::Manual,
            Strategy::Manual,
            Strategy::KeepBoth,
            Strategy::Newer,
            Strategy::AutoMerge,
            Strategy::KeepLocal,
            Strategy::KeepRemote,
        ];
        let direction =
            if count == 2 && !is_calm && rng.below(8) == 0 { Direction::ToRemote } else { Direction::Both };
        Self {
            names,
            pairs: pairs(count, rng),
            strategy: strategies[rng.below(7) as usize],
            direction,
            delete_max: if rng.below(3) == 0 { 1 } else { u64::MAX },
            is_calm,
        }
    }
}

impl Setup {
    /// What the world is like, for the histogram.
    pub(super) fn words(&self) -> Vec<&'static str> {
        let is_ring = self.pairs.len() == self.names.len();
        let is_any = |is_so: fn(&NameRules) -> bool| self.names.iter().any(is_so);
        let all = [
            (is_ring, "world: a ring"),
            (!is_ring, "world: a star"),
            (is_any(|names| names.ignores_case), "world: a side ignores case"),
            (is_any(|names| names.ignores_form), "world: a side ignores Unicode form"),
            (self.direction == Direction::ToRemote, "world: a mirror"),
            (self.is_calm, "world: one writer at a time"),
        ];
        all.into_iter().filter(|(is_so, _)| *is_so).map(|(_, word)| word).collect()
    }
}

/// A star or a ring.
fn pairs(count: usize, rng: &mut Rng) -> Vec<(usize, usize)> {
    let is_ring = count > 2 && rng.below(2) == 0;
    let far = |at: usize| if is_ring { ((at + count - 1) % count, at) } else { (0, at) };
    (usize::from(!is_ring)..count).map(far).collect()
}

/// Something to happen during a pass of a pair, or between two.
pub(super) fn any_event(
    rng: &mut Rng,
    disks: &[Disk],
    pair: Option<(usize, usize)>,
    token: &mut u32,
    edits_only: bool,
) -> Event {
    let near = |rng: &mut Rng| match pair {
        Some((local, remote)) if rng.below(6) > 0 => [local, remote][rng.below(2) as usize],
        Some(_) | None => rng.below(disks.len() as u64) as usize,
    };
    let at = near(rng);
    let disk = &disks[at];
    // What is broken is mended soon, or nothing would happen there any more.
    if !edits_only && rng.below(6) == 0 {
        if disk.away {
            return Event::Away(at, false);
        }
        if disk.full {
            return Event::Full(at, false);
        }
        if disk.read_only {
            return Event::ReadOnly(at, false);
        }
    }
    if edits_only || rng.below(10) < 6 {
        *token += 1;
        return Event::Edit(at, any_edit(rng, disk, *token));
    }
    match rng.below(16) {
        0..=2 => Event::PowerCut(at, rng.next_u64() >> 32),
        3..=4 => Event::Kill,
        5 => Event::Stop,
        6..=7 => Event::Refuse(at, Refusal::Denied),
        8..=9 => Event::Refuse(at, Refusal::Io),
        10..=11 => Event::Full(at, true),
        12 => Event::ReadOnly(at, true),
        13 => Event::Away(at, true),
        _ => {
            // Odd amounts: two files must not get the same times by accident.
            let most = 1 << [40, 43, 46, 48][rng.below(4) as usize];
            let by_ns = rng.below(most).cast_signed();
            Event::Clock(at, if rng.below(2) == 0 { by_ns } else { -by_ns })
        }
    }
}

/// An edit of what a pass is looking at.
pub(super) fn edit_at(rng: &mut Rng, at: usize, path: &TreePath, token: &mut u32) -> Event {
    *token += 1;
    let (path, token) = (path.clone(), *token);
    let below = |name: &str| TreePath::below(Some(&path), name).unwrap_or_else(|_| path.clone());
    let edit = match rng.below(12) {
        10 => return Event::PowerCut(at, rng.next_u64() >> 32),
        0 | 11 => Edit::Write(path, token),
        1..=2 => Edit::Line(path, rng.below(3) as u8, token),
        3..=4 => Edit::Sneak(path, token),
        5 => {
            if rng.below(2) == 0 {
                Edit::Replace(path, token)
            } else {
                Edit::Remove(path)
            }
        }
        6 => Edit::Executable(path),
        7 => Edit::Write(below("a"), token),
        8 => Edit::Folder(path),
        _ => Edit::Rename(path, any_path(rng)),
    };
    Event::Edit(at, edit)
}

/// Whether a path, or a folder above it, has the name that worlds leave out at times.
pub(super) fn is_ignored_name(path: &TreePath) -> bool {
    path.components().any(|name| name == "ig")
}
