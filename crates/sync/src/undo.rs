//! Undoes a run: the operations that lead back, the last one first. They are performed like any others, so each refuses where something
//! else stands by now, and what they displace is kept.

use crate::{Deed, DeedEnd, Entry, KeptId, Kind, Op, OpKind, PerSide, Source};

/// What undoing a run takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undo {
    /// The operations of each side, in their order.
    pub ops: PerSide<Vec<Op>>,
    /// Operations that cannot be undone: the run was killed while it performed them. Their kept versions can be restored one by one.
    pub unknown: Vec<Deed>,
}

/// The way back from what a run did.
pub fn undo(deeds: &[Deed]) -> Undo {
    let mut undo = Undo::default();
    for deed in deeds.iter().rev() {
        match &deed.end {
            DeedEnd::Refused => {}
            DeedEnd::Intended => undo.unknown.push(deed.clone()),
            DeedEnd::Done { now, kept } => {
                undo.ops.of_mut(deed.side).extend(reversed(deed, now.as_ref(), kept.as_ref()));
            }
        }
    }
    undo
}

/// The operation that leads back; `None` if there is nothing to do.
fn reversed(deed: &Deed, now: Option<&Entry>, kept: Option<&KeptId>) -> Option<Op> {
    let Deed { op, side, .. } = deed;
    let at = |kind: OpKind| Op { path: op.path.clone(), kind, expected: now.cloned() };
    Some(match (&op.kind, &op.expected) {
        (OpKind::Move { from }, _) => {
            Op { path: from.clone(), kind: OpKind::Move { from: op.path.clone() }, expected: now.cloned() }
        }
        (OpKind::SetExecutable { executable }, _) => at(OpKind::SetExecutable { executable: !executable }),
        (OpKind::MakeFolder, _) | (OpKind::Put { .. }, None) => at(OpKind::Remove),
        (OpKind::Put { .. } | OpKind::Remove, Some(before)) => match &before.kind {
            Kind::Folder => at(OpKind::MakeFolder),
            Kind::File(_) | Kind::Symlink { .. } => at(OpKind::Put {
                content: before.kind.clone(),
                modified_ns: before.modified_ns,
                source: Source::Kept { kept: kept?.clone(), side: *side },
            }),
        },
        (OpKind::Remove, None) => return None,
    })
}
