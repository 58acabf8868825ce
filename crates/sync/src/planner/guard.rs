//! The guard: holds a run that would delete or replace too much.

use crate::{Guard, Hold, Op, OpKind, PerSide, Policy, Side};

/// Why nothing may be performed, if so. The local side is looked at first.
pub(super) fn hold(ops: &PerSide<Vec<Op>>, policy: &Policy) -> Option<Hold> {
    let holds = Side::BOTH.into_iter().map(|side| count(side, ops.of(side), *policy.totals.of(side)));
    holds.into_iter().find(|hold| is_too_much(hold, &policy.guard))
}

fn is_too_much(hold: &Hold, guard: &Guard) -> bool {
    let is_share = |count: u64, min: u64| {
        count >= min && u128::from(count) * 100 > u128::from(hold.total) * u128::from(guard.percent_max)
    };
    let is_many = hold.deleted + hold.replaced > guard.paths_max;
    let is_most = is_share(hold.deleted, Guard::DELETED_MIN) || is_share(hold.replaced, Guard::REPLACED_MIN);
    !guard.approved && (is_many || is_most)
}

fn count(side: Side, ops: &[Op], total: u64) -> Hold {
    let is_removal = |op: &&Op| op.kind == OpKind::Remove;
    let is_replacement = |op: &&Op| matches!(op.kind, OpKind::Put { .. }) && op.expected.is_some();
    let deleted = ops.iter().filter(is_removal).count() as u64;
    let replaced = ops.iter().filter(is_replacement).count() as u64;
    Hold { side, deleted, replaced, total }
}
