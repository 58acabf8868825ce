//! How a world's script is written while it happens: a beginning, then edits, faults, letters, votes, passes and lies by chance.

use swarm_core::base::Rng;
use swarm_sync::{Kind, TreePath};

use super::super::edit::{Edit, any_edit, any_path};
use super::super::hub::Director;
use super::super::script::{Event, any_event};
use super::daemon::open;
use super::setup::{Act, POLICIES, Part, is_plain};
use super::world::World;

impl World {
    /// Writes a script while it happens.
    pub(super) fn write(&mut self, rng: &mut Rng) {
        self.write_beginning(rng);
        let steps = if self.setup.is_calm { 1 + rng.below(4) } else { 10 + rng.below(40) };
        for _ in 0..steps {
            if self.is_over() {
                return;
            }
            if self.setup.is_calm { self.write_calm(rng) } else { self.write_wild(rng) }
        }
    }

    fn write_beginning(&mut self, rng: &mut Rng) {
        let writer = self.member(rng);
        let manner = if self.setup.is_calm { 1 } else { rng.below(4) };
        for _ in 0..2 + rng.below(5) {
            let at = if manner == 0 { self.member(rng) } else { writer };
            let token = self.token();
            let edit = match rng.below(4) {
                0 => Edit::Folder(any_path(rng)),
                _ => Edit::Write(any_path(rng), token),
            };
            self.act(Act::Event(Event::Edit(at, edit)));
        }
        if manner != 0 {
            self.pace(rng, false);
            self.act(Act::Spread(writer));
        }
    }

    fn write_calm(&mut self, rng: &mut Rng) {
        let writer = self.member(rng);
        for _ in 0..=rng.below(4) {
            let edit = self.edit(rng, writer);
            if is_plain(&edit) {
                self.act(Act::Event(Event::Edit(writer, edit)));
            }
        }
        self.pace(rng, false);
        self.act(Act::Spread(writer));
    }

    fn write_wild(&mut self, rng: &mut Rng) {
        let count = self.daemons.len() as u64;
        let any = |rng: &mut Rng| rng.below(count) as usize;
        if rng.below(8) == 0 {
            self.write_both(rng);
        }
        let at = any(rng);
        let act = match rng.below(64) {
            0..=9 => self.user(rng),
            10..=12 => self.fault(rng),
            13..=28 => Act::Pass { at, thorough: rng.below(16) == 0 },
            29..=37 => return self.write_exchange(rng, at),
            38..=43 => Act::Deliver { which: rng.next_u64() >> 32, fate: rng.below(64) },
            44..=48 => Act::Vote { at: self.voter(rng), which: rng.below(8), verdict: rng.below(8) },
            49..=53 => {
                let transactions = if rng.below(2) == 0 { rng.below(3) as u32 } else { u32::MAX };
                Act::Tally { at: self.voter(rng), transactions }
            }
            54 => Act::Link { one: at, other: any(rng), is_up: rng.below(2) == 0 },
            55 => Act::Partition(if rng.below(2) == 0 { 0 } else { rng.below(256) }),
            56 => self.any_policy(rng),
            57 => self.any_trust(rng),
            58 => Act::Presence { at: self.member(rng), is_here: rng.below(3) > 0 },
            59 => Act::Decide { at, which: rng.below(4), choice: rng.below(3) },
            _ if self.setup.parts[0] == Part::Traitor => {
                Act::Evil { what: rng.below(16), luck: rng.next_u64() >> 32 }
            }
            60..=61 => self.any_trust(rng),
            _ => Act::Pass { at, thorough: false },
        };
        self.pace(rng, true);
        self.act(act);
    }

    /// A daemon asks some peers, and most letters come soon.
    fn write_exchange(&mut self, rng: &mut Rng, to: usize) {
        for from in 0..self.daemons.len() {
            if from != to && rng.below(2) == 0 {
                self.act(Act::Ask { from, to });
            }
        }
        for _ in 0..rng.below(self.mail.len() as u64 + 1) {
            self.act(Act::Deliver { which: rng.next_u64() >> 32, fate: rng.below(64) });
        }
    }

    fn user(&mut self, rng: &mut Rng) -> Act {
        let editors = (0..self.daemons.len()).filter(|at| self.setup.parts[*at] != Part::Mirror);
        let editors: Vec<usize> = editors.collect();
        let at = editors[rng.below(editors.len() as u64) as usize];
        Act::Event(Event::Edit(at, self.edit(rng, at)))
    }

    /// Something else than an edit, which mirrors do not have.
    fn fault(&mut self, rng: &mut Rng) -> Act {
        loop {
            let mut hub = self.hub.lock();
            let mut token = hub.token;
            let event = any_event(rng, &hub.disks, None, &mut token, false);
            hub.token = token;
            if !matches!(event, Event::Edit(..)) {
                return Act::Event(event);
            }
        }
    }

    fn any_policy(&self, rng: &mut Rng) -> Act {
        let at = if rng.below(2) == 0 { Some(rng.below(self.daemons.len() as u64) as usize) } else { None };
        Act::Policy { at, which: rng.below(POLICIES) as usize }
    }

    /// A stranger is trusted from now on, or the traitor no longer.
    fn any_trust(&self, rng: &mut Rng) -> Act {
        let at = self.member(rng);
        let find = |part| self.setup.parts.iter().position(|one| *one == part);
        match (find(Part::Stranger), find(Part::Traitor)) {
            (Some(whom), _) if rng.below(2) == 0 => Act::Trust { at, whom, is_so: rng.below(4) > 0 },
            (_, Some(whom)) => Act::Trust { at, whom, is_so: rng.below(4) == 0 },
            _ => Act::Pass { at, thorough: false },
        }
    }

    /// Two members do something to the same file before they hear of each other.
    fn write_both(&mut self, rng: &mut Rng) {
        let (one, other) = (self.member(rng), self.member(rng));
        let (mine, theirs) = (self.tree(one), self.tree(other));
        let is_shared =
            |path: &&TreePath| mine[*path].file().is_some() && theirs.get(*path) == mine.get(*path);
        let shared: Vec<&TreePath> = mine.keys().filter(is_shared).collect();
        if one == other || shared.is_empty() {
            return;
        }
        let path = shared[rng.below(shared.len() as u64) as usize].clone();
        let manner = rng.below(4);
        for (at, line) in [(one, 0), (other, 1 + rng.below(2) as u8)] {
            let token = self.token();
            let edit = match (manner, line) {
                (1, 0) => Edit::Remove(path.clone()),
                (0 | 1, _) => Edit::Rename(path.clone(), any_path(rng)),
                (_, _) => Edit::Line(path.clone(), line, token),
            };
            self.act(Act::Event(Event::Edit(at, edit)));
        }
    }

    fn edit(&mut self, rng: &mut Rng, at: usize) -> Edit {
        let token = self.token();
        any_edit(rng, &self.hub.lock().disks[at], token)
    }

    fn token(&self) -> u32 {
        let mut hub = self.hub.lock();
        hub.token += 1;
        hub.token
    }

    fn member(&self, rng: &mut Rng) -> usize {
        let all = (0..self.daemons.len()).filter(|at| self.setup.parts[*at] == Part::Member);
        let all: Vec<usize> = all.collect();
        all[rng.below(all.len() as u64) as usize]
    }

    /// Somebody who has something to vote about, most of the time.
    fn voter(&self, rng: &mut Rng) -> usize {
        let all = (0..self.daemons.len()).filter(|at| !open(&self.daemons[*at].book.lock()).is_empty());
        let all: Vec<usize> = all.collect();
        if all.is_empty() { self.member(rng) } else { all[rng.below(all.len() as u64) as usize] }
    }

    /// How often something happens during the next pass.
    fn pace(&self, rng: &mut Rng, may_be_wild: bool) {
        let one_in = if may_be_wild { [0, 0, 60, 25, 12][rng.below(5) as usize] } else { 0 };
        let only = rng.below(3) == 0;
        if let Director::Chance { one_in: is, edits_only, .. } = &mut self.hub.lock().director {
            (*is, *edits_only) = (one_in, only);
        }
    }
}

/// Whether an entry is a file.
pub(super) fn is_file(kind: &Kind) -> bool {
    kind.file().is_some()
}
