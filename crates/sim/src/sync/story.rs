//! How a world's script is written while it happens: a beginning, then edits, faults, passes and decisions by chance.

use swarm_core::base::Rng;
use swarm_sync::{Kind, Strategy, TreePath};

use super::edit::{Edit, any_edit, any_path};
use super::hub::Director;
use super::script::{Act, Event, any_event};
use super::world::World;

impl World {
    /// Writes a script while it happens.
    pub(super) fn write(&mut self, rng: &mut Rng) {
        self.write_beginning(rng);
        let steps = 4 + rng.below(12);
        for _ in 0..steps {
            if self.is_over() {
                return;
            }
            if self.setup.is_calm { self.write_calm(rng) } else { self.write_wild(rng) }
        }
    }

    fn write_beginning(&mut self, rng: &mut Rng) {
        // The same on all replicas, on one alone, or on each something else.
        let manner = if self.setup.is_calm { 1 } else { rng.below(3) };
        for _ in 0..3 + rng.below(5) {
            let (edit, at) = (self.first_edit(rng), rng.below(self.setup.names.len() as u64) as usize);
            let replicas = match manner {
                0 => (0..self.setup.names.len()).collect(),
                1 => vec![0],
                _ => vec![at],
            };
            for at in replicas {
                self.act(Act::Event(Event::Edit(at, edit.clone())));
            }
        }
        if rng.below(4) > 0 {
            self.pace(rng, false);
            (0..self.setup.pairs.len()).for_each(|pair| self.act(Act::Pass { pair, thorough: false }));
        }
    }

    fn first_edit(&self, rng: &mut Rng) -> Edit {
        let mut hub = self.hub.lock();
        hub.token += 1;
        let token = hub.token;
        match rng.below(3) {
            0 => Edit::Folder(any_path(rng)),
            _ => Edit::Write(any_path(rng), token),
        }
    }

    fn write_calm(&mut self, rng: &mut Rng) {
        let writer = rng.below(self.setup.names.len() as u64) as usize;
        for _ in 0..=rng.below(4) {
            let edit = {
                let mut hub = self.hub.lock();
                hub.token += 1;
                let token = hub.token;
                any_edit(rng, &hub.disks[writer], token)
            };
            // What cannot be seen cannot spread.
            if !matches!(edit, Edit::Lock(_) | Edit::Special(_)) {
                self.act(Act::Event(Event::Edit(writer, edit)));
            }
        }
        self.pace(rng, false);
        self.act(Act::Spread { writer });
    }

    fn write_wild(&mut self, rng: &mut Rng) {
        let pairs = self.setup.pairs.len() as u64;
        let pair = rng.below(pairs) as usize;
        let one_in = if self.setup.strategy == Strategy::AutoMerge { 2 } else { 6 };
        if rng.below(one_in) == 0 {
            self.write_both(rng, pair);
        }
        let act = match rng.below(32) {
            0..=13 => {
                let mut hub = self.hub.lock();
                let mut token = hub.token;
                let event = any_event(rng, &hub.disks, None, &mut token, false);
                hub.token = token;
                Act::Event(event)
            }
            14..=25 => Act::Pass { pair, thorough: rng.below(8) == 0 },
            26 => Act::DropIndex(pair),
            27..=28 => Act::Decide { pair, conflict: rng.below(4), choice: rng.below(3) },
            29 => Act::Ignore(!self.is_ignoring),
            _ => Act::Undo(pair),
        };
        self.pace(rng, true);
        self.act(act);
    }

    /// Both users of a pair do something to the same file: they move it, or change lines that may be far enough from each other.
    fn write_both(&mut self, rng: &mut Rng, pair: usize) {
        let (local, remote) = self.setup.pairs[pair];
        let (one, other) = (self.tree(local), self.tree(remote));
        let is_shared = |path: &TreePath, kind: &Kind| kind.file().is_some() && other.get(path) == Some(kind);
        let shared: Vec<&TreePath> =
            one.iter().filter(|(path, kind)| is_shared(path, kind)).map(|(path, _)| path).collect();
        if shared.is_empty() {
            return;
        }
        let path = shared[rng.below(shared.len() as u64) as usize].clone();
        let manner = if self.setup.strategy == Strategy::AutoMerge { 9 } else { rng.below(4) };
        for (at, line) in [(local, 0), (remote, 1 + rng.below(2) as u8)] {
            let token = {
                let mut hub = self.hub.lock();
                hub.token += 1;
                hub.token
            };
            let edit = match (manner, line) {
                (1, 0) => Edit::Remove(path.clone()),
                (0 | 1, _) => Edit::Rename(path.clone(), any_path(rng)),
                (_, _) => Edit::Line(path.clone(), line, token),
            };
            self.act(Act::Event(Event::Edit(at, edit)));
        }
    }

    /// How often something happens during the next pass.
    fn pace(&self, rng: &mut Rng, may_be_wild: bool) {
        let one_in = if may_be_wild { [0, 60, 25, 12, 6][rng.below(5) as usize] } else { 0 };
        let only = rng.below(3) == 0;
        if let Director::Chance { one_in: is, edits_only, .. } = &mut self.hub.lock().director {
            (*is, *edits_only) = (one_in, only);
        }
    }
}
