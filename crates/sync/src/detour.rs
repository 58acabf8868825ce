//! Detours: an entry that is in another one's way is moved aside under a name that nothing else has, and on to its place later. People
//! are told of one move, between two names that they know. Absent here: when a detour is taken (`planner/sequence`).

use std::collections::BTreeMap;

use crate::{Op, OpKind, ReplicaError, TreePath};

/// How the name of an entry begins that is on a detour.
pub const DETOUR_PREFIX: &str = ".swarm-move-";

/// The detours of one side in one run, and the operations as people see them.
#[derive(Clone, Debug, Default)]
pub struct Detours {
    /// By the name on the detour: where the entry stood before.
    origins: BTreeMap<Box<str>, TreePath>,
}

impl Detours {
    /// Takes the next operation; returns it with the paths that people know. `None` for one that only moves an entry aside.
    pub fn shown(&mut self, op: &Op) -> Option<Op> {
        if let OpKind::Move { from } = &op.kind
            && op.path.name().starts_with(DETOUR_PREFIX)
        {
            let origin = self.known(from);
            self.origins.insert(op.path.name().into(), origin);
            return None;
        }
        let kind = match &op.kind {
            OpKind::Move { from } => OpKind::Move { from: self.known(from) },
            other => other.clone(),
        };
        Some(Op { path: self.known(&op.path), kind, expected: op.expected.clone() })
    }

    /// The path by which people know an entry: what is on a detour is where it stood before.
    pub fn known(&self, path: &TreePath) -> TreePath {
        let on_detour = std::iter::once(path.clone()).chain(path.ancestors());
        let mut known = on_detour.filter_map(|at| path.moved(&at, self.origins.get(at.name())?));
        known.next().unwrap_or_else(|| path.clone())
    }

    /// The error of an operation, with the paths that people know.
    pub fn known_in(&self, error: ReplicaError) -> ReplicaError {
        match error {
            ReplicaError::Changed { path } => ReplicaError::Changed { path: self.known(&path) },
            ReplicaError::Denied { path, op } => ReplicaError::Denied { path: self.known(&path), op },
            ReplicaError::Full { path } => ReplicaError::Full { path: self.known(&path) },
            ReplicaError::Name { path } => ReplicaError::Name { path: self.known(&path) },
            ReplicaError::NotEmpty { path } => ReplicaError::NotEmpty { path: self.known(&path) },
            ReplicaError::NoTarget { path } => ReplicaError::NoTarget { path: self.known(&path) },
            ReplicaError::Integrity { path } => ReplicaError::Integrity { path: self.known(&path) },
            ReplicaError::Io { path, op, why } => {
                let known = TreePath::new(path.as_str()).map(|place| self.known(&place).to_string());
                ReplicaError::Io { path: known.unwrap_or(path), op, why }
            }
            ReplicaError::Gone(_) | ReplicaError::ReadOnly | ReplicaError::Stopped => error,
        }
    }
}

/// The operations of one side as people see them.
pub fn shown_ops(ops: &[Op]) -> impl Iterator<Item = Op> {
    let mut detours = Detours::default();
    ops.iter().filter_map(move |op| detours.shown(op))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::new(text).expect("a path")
    }

    /// `a -> b` is a move, `-a` a removal.
    fn op(text: &str) -> Op {
        let (at, kind) = match text.split_once(" -> ") {
            Some((from, to)) => (to, OpKind::Move { from: path(from) }),
            None => (text.trim_start_matches('-'), OpKind::Remove),
        };
        Op { path: path(at), kind, expected: None }
    }

    fn check(ops: &[&str], shown: &[&str]) {
        let ops: Vec<Op> = ops.iter().map(|text| op(text)).collect();
        let words = |op: Op| match &op.kind {
            OpKind::Move { from } => format!("{from} -> {}", op.path),
            _ => format!("-{}", op.path),
        };
        assert_eq!(shown_ops(&ops).map(words).collect::<Vec<_>>(), shown);
    }

    #[test]
    fn a_detour_is_shown_as_one_move() {
        check(&["b -> .swarm-move-50431693", "a -> b", ".swarm-move-50431693 -> a"], &["a -> b", "b -> a"]);
    }

    #[test]
    fn what_stands_in_a_folder_on_a_detour_has_the_path_it_had() {
        check(
            &["a -> .swarm-move-f3a08fe1", ".swarm-move-f3a08fe1/x -> a", "-.swarm-move-f3a08fe1"],
            &["a/x -> a", "-a"],
        );
        check(&["d/b -> d/.swarm-move-1", "d -> e", "e/.swarm-move-1 -> e/a"], &["d -> e", "d/b -> e/a"]);
    }

    #[test]
    fn an_error_names_the_path_that_people_know() {
        let mut detours = Detours::default();
        assert_eq!(detours.shown(&op("d/b -> d/.swarm-move-1")), None);
        let place = path("d/.swarm-move-1/x");
        let io = |path: String| ReplicaError::Io { path, op: "move", why: "no".into() };
        assert_eq!(detours.known_in(io(place.to_string())), io("d/b/x".into()));
        let changed = |path| ReplicaError::Changed { path };
        assert_eq!(detours.known_in(changed(place)), changed(path("d/b/x")));
        assert_eq!(detours.known_in(changed(path("other"))), changed(path("other")));
    }
}
