//! What people are told of a run. Decides which paths are named: one move instead of a detour, and for a folder that stays, what keeps
//! it. Absent here: how it is shown.

use std::collections::BTreeSet;
use std::path::Path;

use swarm_sync::{Detours, Op, OpKind, PerSide, Plan, ReplicaError, RunEvent, Side, TreePath};

use crate::SyncEvent;
use crate::rules::RulesReader;

/// Turns the events of one run into those that people are told.
pub(crate) struct Teller<'a> {
    plan: &'a Plan,
    roots: PerSide<&'a Path>,
    rules: &'a RulesReader,
    detours: PerSide<Detours>,
    /// Names on a detour that was refused: what needs it fails for the same reason.
    blocked: BTreeSet<Box<str>>,
    /// Folders that were to go and stay.
    staying: PerSide<Vec<TreePath>>,
}

impl<'a> Teller<'a> {
    pub(crate) fn new(plan: &'a Plan, roots: PerSide<&'a Path>, rules: &'a RulesReader) -> Self {
        let (detours, blocked, staying) = Default::default();
        Self { plan, roots, rules, detours, blocked, staying }
    }

    /// What is told of an event; `None` for one that says nothing more.
    pub(crate) fn told(&mut self, event: RunEvent) -> Option<SyncEvent> {
        match event {
            RunEvent::Performed { side, op } => {
                let op = self.detours.of_mut(side).shown(&op)?;
                Some(SyncEvent::Run(RunEvent::Performed { side, op }))
            }
            RunEvent::Refused { side, op, error } => self.refused(side, &op, error),
        }
    }

    fn refused(&mut self, side: Side, op: &Op, error: ReplicaError) -> Option<SyncEvent> {
        if self.is_blocked(op) {
            return None;
        }
        let shown = self.detours.of_mut(side).shown(op);
        let error = self.detours.of(side).known_in(error);
        if let ReplicaError::NotEmpty { path } = error {
            return self.stays(side, path);
        }
        let op = shown.unwrap_or_else(|| {
            self.blocked.insert(op.path.name().into());
            self.whole_move(side, op)
        });
        Some(SyncEvent::Run(RunEvent::Refused { side, op, error }))
    }

    fn is_blocked(&self, op: &Op) -> bool {
        let from = match &op.kind {
            OpKind::Move { from } => from,
            _ => &op.path,
        };
        from.components().any(|name| self.blocked.contains(name))
    }

    /// The move that begins with this detour.
    fn whole_move(&self, side: Side, aside: &Op) -> Op {
        let goes_on =
            |op: &&Op| matches!(&op.kind, OpKind::Move { from } if from.name() == aside.path.name());
        let end = self.plan.ops.of(side).iter().find(goes_on);
        let detours = self.detours.of(side);
        let kind = match &aside.kind {
            OpKind::Move { from } => OpKind::Move { from: detours.known(from) },
            other => other.clone(),
        };
        let path = end.map_or_else(|| detours.known(&aside.path), |end| end.path.clone());
        Op { path, kind, expected: aside.expected.clone() }
    }

    /// Of folders in each other that stay, the innermost alone says why.
    fn stays(&mut self, side: Side, path: TreePath) -> Option<SyncEvent> {
        let staying = self.staying.of_mut(side);
        let is_known = staying.iter().any(|inner| inner.is_below(&path));
        staying.push(path.clone());
        (!is_known).then(|| SyncEvent::Stays { side, holds: self.left_out_in(side, &path), path })
    }

    fn left_out_in(&self, side: Side, folder: &TreePath) -> Option<TreePath> {
        let entries = std::fs::read_dir(self.roots.of(side).join(folder.as_str())).ok()?;
        let left_out = entries.flatten().filter_map(|entry| {
            let path = TreePath::below(Some(folder), entry.file_name().to_str()?).ok()?;
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            self.rules.is_ignored(&path, is_folder).then_some(path)
        });
        left_out.min()
    }
}
