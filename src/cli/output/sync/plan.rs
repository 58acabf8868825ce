//! A plan as text: what each side has to do, what somebody has to decide.

use std::fmt::Write as _;

use swarm_core::base::{ByteLen, Shown};
use swarm_pair::Summary;
use swarm_sync::{ConflictKind, Entry, Hold, Kind, Op, OpKind, Plan, Side, shown_ops};

use super::super::text::count;
use super::words::{self, Names};

/// The whole plan: the operations of each side, the conflicts, and the sum.
pub(in crate::cli) fn plan_text(plan: &Plan, names: &Names) -> String {
    let mut text = String::new();
    for side in [Side::Remote, Side::Local] {
        let mut ops = shown_ops(plan.ops.of(side)).peekable();
        if ops.peek().is_some() {
            let _ = writeln!(text, "in {}:", names.of(side));
        }
        for op in ops {
            let _ = writeln!(text, "  {}", op_line(&op));
        }
    }
    if !plan.conflicts.is_empty() {
        text += "to be decided:\n";
        for conflict in &plan.conflicts {
            let _ = writeln!(text, "  {}  {}: {}", conflict.id, conflict.path, cause(conflict.kind));
        }
    }
    text + &words::summary(&Summary::of(plan), names) + "\n"
}

/// `changed  docs/page.md  4.5 kB`.
fn op_line(op: &Op) -> String {
    let (path, (_, word)) = (&op.path, kind(op));
    let slash = if op.expected.as_deref().is_some_and(Entry::is_folder) { "/" } else { "" };
    match &op.kind {
        OpKind::Move { from } => format!("{word:<9}{from}{slash} -> {path}{slash}"),
        OpKind::MakeFolder => format!("{word:<9}{path}/"),
        OpKind::Put { content: Kind::File(content), .. } => {
            format!("{word:<9}{path}  {}", ByteLen(content.len))
        }
        OpKind::Put { content: Kind::Symlink { target }, .. } => {
            format!("{word:<9}{path}  link to {}", Shown(&**target))
        }
        OpKind::SetExecutable { executable } => {
            format!("{word:<9}{path}  {}", if *executable { "executable" } else { "not executable" })
        }
        OpKind::Put { content: Kind::Folder, .. } | OpKind::Remove => format!("{word:<9}{path}{slash}"),
    }
}

/// What an operation does to a path, in JSON and for people.
pub(super) fn kind(op: &Op) -> (&'static str, &'static str) {
    match (&op.kind, &op.expected) {
        (OpKind::MakeFolder, _) | (OpKind::Put { .. }, None) => ("created", "new"),
        (OpKind::Put { .. }, Some(_)) | (OpKind::SetExecutable { .. }, _) => ("modified", "changed"),
        (OpKind::Move { .. }, _) => ("moved", "moved"),
        (OpKind::Remove, _) => ("deleted", "deleted"),
    }
}

/// What an operation is about to do, in words: "write `page`".
pub(super) fn task(op: &Op) -> String {
    let path = &op.path;
    match &op.kind {
        OpKind::MakeFolder => format!("make `{path}`"),
        OpKind::Put { .. } => format!("write `{path}`"),
        OpKind::SetExecutable { .. } => format!("change the mode of `{path}`"),
        OpKind::Move { from } => format!("move `{from}` to `{path}`"),
        OpKind::Remove => format!("delete `{path}`"),
    }
}

/// What makes a conflict one.
pub(super) fn cause(kind: ConflictKind) -> &'static str {
    match kind {
        ConflictKind::SimultaneousEdit => "changed on both sides",
        ConflictKind::Deletion => "deleted on one side, changed on the other",
        ConflictKind::Structure => "moved or replaced in ways that exclude each other",
        ConflictKind::Name => "the other side cannot hold this name",
    }
}

/// Why a run is held, with the ways out.
pub(in crate::cli) fn hold(hold: &Hold, names: &Names) -> String {
    let Hold { side, deleted, replaced, total } = hold;
    let lost = match (deleted, replaced) {
        (deleted, 0) => format!("delete {deleted}"),
        (0, replaced) => format!("replace {replaced}"),
        (deleted, replaced) => format!("delete {deleted} and replace {replaced}"),
    };
    let (name, local, remote) = (names.of(*side), names.word(Side::Local), names.word(Side::Remote));
    format!(
        "held, nothing was changed: the run would {lost} of {} in {name}; look at it with \
         `swarm sync --dry-run {local} {remote}`, and approve it with --max-delete {}, or with --plan-out and --plan",
        count(*total as usize, "path"),
        deleted + replaced
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_held_run_says_its_numbers_and_the_way_out() {
        let held = Hold { side: Side::Remote, deleted: 60, replaced: 0, total: 100 };
        let text = hold(&held, &Names::new(Path::new("A"), Path::new("B")));
        for part in ["delete 60 of 100 paths in B", "swarm sync --dry-run A B", "--max-delete 60", "--plan"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
