//! Undoes a run: the operations that lead back, the last one first. They are performed like any others, so each refuses where something
//! else stands by now, and what they displace is kept.

use std::collections::BTreeSet;

use crate::{Deed, DeedEnd, Entry, Index, KeptId, Kind, Op, OpKind, PerSide, Rebase, Side, Source};

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

/// The entries of the base that go after these operations led back from a run. Without them, the next run takes nothing that was undone
/// for a change of the side that it was undone on: what one side alone has is copied, and what differs is asked about. What was moved
/// back stands at its old path on one side and at its new one on the other, with all below it, and so does the base of it go at both.
pub fn forgotten<I: Index>(index: &I, performed: &[Op]) -> Result<Vec<Rebase>, I::Error> {
    let mut gone = BTreeSet::new();
    for op in performed {
        gone.insert(op.path.clone());
        let OpKind::Move { from } = &op.kind else { continue };
        for (one, other) in [(from, &op.path), (&op.path, from)] {
            for side in Side::BOTH {
                for row in index.known(side, Some(one))? {
                    let (path, _) = row?;
                    gone.extend(path.moved(one, other));
                    gone.insert(path);
                }
            }
        }
    }
    Ok(gone.into_iter().map(|from| Rebase { from, to: None }).collect())
}

/// The operation that leads back; `None` if there is nothing to do.
fn reversed(deed: &Deed, now: Option<&Entry>, kept: Option<&KeptId>) -> Option<Op> {
    let Deed { op, side, .. } = deed;
    let at = |kind: OpKind| Op { path: op.path.clone(), kind, expected: now.cloned().map(Box::new) };
    Some(match (&op.kind, &op.expected) {
        (OpKind::Move { from }, _) => Op {
            path: from.clone(),
            kind: OpKind::Move { from: op.path.clone() },
            expected: now.cloned().map(Box::new),
        },
        (OpKind::SetExecutable { executable }, _) => at(OpKind::SetExecutable { executable: !executable }),
        (OpKind::MakeFolder, _) | (OpKind::Put { .. }, None) => at(OpKind::Remove),
        (OpKind::Put { .. } | OpKind::Remove, Some(before)) => match &before.kind {
            Kind::Folder => at(OpKind::MakeFolder),
            Kind::File(_) | Kind::Symlink { .. } => at(OpKind::Put {
                content: before.kind.clone(),
                modified_ns: before.modified_ns,
                source: Source::Kept { kept: Box::new(kept?.clone()), side: *side },
            }),
        },
        (OpKind::Remove, None) => return None,
    })
}
