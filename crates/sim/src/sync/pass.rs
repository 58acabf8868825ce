//! One pass in a world, put together from the product's parts, with a place for a planted bug at each seam between them. Checks what holds
//! for each pass by itself.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use swarm_core::base::mix;
use swarm_sync::{
    Beside, ConflictKind, Difference, Direction, Guard, IndexStep, Op, OpKind, PerSide, Plan, Policy,
    Proposal, Rules, Run, RunError, RunEvent, RunId, Side, Source, Strategy, TreePath, forgotten, keep_texts,
    limits, observe_side, propose, undo,
};

use super::bug::Bug;
use super::disk::{Body, Node};
use super::hub::Shared;
use super::index::{IndexFault, SimIndex};
use super::replica::SimReplica;
use super::script::{Setup, is_ignored_name};

/// How a pass is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings<'a> {
    pub(super) setup: &'a Setup,
    pub(super) run: RunId,
    pub(super) thorough: bool,
    /// Somebody says yes to whatever is deleted.
    pub(super) approved: bool,
    pub(super) is_ignoring: bool,
}

/// What a pass did.
#[derive(Clone, Debug, Default)]
pub(super) struct Passed {
    pub(super) proposal: Proposal,
    /// Why it ended early.
    pub(super) error: Option<String>,
    pub(super) performed: PerSide<u32>,
    /// Removals on each side.
    pub(super) removed: PerSide<u64>,
    pub(super) refused: Vec<String>,
    pub(super) blind_count: usize,
}

impl Passed {
    /// Whether no operation was left; after moves there may be something to agree on.
    pub(super) fn is_quiet(&self, before: &Self) -> bool {
        let ops = &self.proposal.plan.ops;
        let moves = |op: &Op| matches!(op.kind, OpKind::Move { .. });
        let has_moved =
            Side::BOTH.into_iter().any(|side| before.proposal.plan.ops.of(side).iter().any(moves));
        self.is_idle() || (has_moved && self.error.is_none() && ops.local.is_empty() && ops.remote.is_empty())
    }

    /// Whether nothing was left to do.
    pub(super) fn is_idle(&self) -> bool {
        let plan = &self.proposal.plan;
        let has_ops = !plan.ops.local.is_empty() || !plan.ops.remote.is_empty();
        self.error.is_none() && !has_ops && plan.agreed.is_empty() && plan.held.is_none()
    }
}

/// Makes one pass over a pair.
pub(super) fn pass(hub: &Shared, index: &mut SimIndex, settings: Settings<'_>) -> Passed {
    let mut passed = Passed::default();
    let end = catch_unwind(AssertUnwindSafe(|| steps(hub, index, settings, &mut passed)));
    match end {
        Ok(Ok(())) => {}
        Ok(Err(error)) => passed.error = Some(error.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let text = text.unwrap_or_default();
            hub.lock().find(format!("a pass panicked: {text}"));
            passed.error = Some(text);
        }
    }
    check(hub, &passed, settings);
    passed
}

fn steps(
    hub: &Shared,
    index: &mut SimIndex,
    settings: Settings<'_>,
    passed: &mut Passed,
) -> Result<(), RunError<IndexFault>> {
    let bug = hub.lock().bug;
    let pair = index.pair;
    let local = SimReplica { hub: hub.clone(), at: pair.0 };
    let remote = SimReplica { hub: hub.clone(), at: pair.1 };
    let Passed { performed, removed, refused, .. } = passed;
    let mut on_event = |event| match event {
        RunEvent::Performed { side, op } => {
            *performed.of_mut(side) += 1;
            *removed.of_mut(side) += u64::from(op.kind == OpKind::Remove);
            hub.lock().count(op_word(&op.kind));
        }
        RunEvent::Refused { side, op, error } => refused.push(format!("{side:?} {op:?}: {error}")),
    };
    let mut run = Run {
        id: settings.run,
        sides: PerSide { local: &local, remote: &remote },
        index,
        on_event: &mut on_event,
        carried: &|_, _| (),
        beside: &EitherFirst(hub.clone()),
        group_ops_max: group_ops_max(settings.run),
    };
    let odd = PerSide::each(|side| odd_places(hub, pair, side));
    let before = PerSide::each(|side| hub.lock().disks[replica_of(pair, side)].live().clone());
    for side in Side::BOTH {
        run.sides.of(side).recover().map_err(|error| RunError::Replica { side, error })?;
    }
    let is_ignoring = settings.is_ignoring && bug != Some(Bug::IgnoredIsPlanned);
    let is_ignored = |path: &TreePath, _: bool| is_ignoring && is_ignored_name(path);
    let mut blind: PerSide<Vec<_>> = PerSide::default();
    for side in Side::BOTH {
        *blind.of_mut(side) = observe_side(&mut run, side, None, settings.thorough, &is_ignored)?.blind;
        passed.blind_count += blind.of(side).len();
    }
    match bug {
        Some(Bug::BlindIgnored) => blind = PerSide::default(),
        Some(Bug::BlindRemoteIgnored) => blind.remote = Vec::new(),
        _ => {}
    }
    let rules = Rules { policy: policy(settings, bug), strategy_of: &|_| None, is_ignored: &is_ignored };
    passed.proposal = propose(&mut run, &rules, &blind)?;
    mutate(&mut passed.proposal, bug);
    let Proposal { plan, differences, .. } = &passed.proposal;
    note_plan(hub, plan, differences);
    check_removals(hub, plan, pair, &before);
    for side in Side::BOTH {
        let still = odd_places(hub, pair, side);
        let odd: Vec<TreePath> = odd.of(side).iter().filter(|path| still.contains(path)).cloned().collect();
        check_odd(hub, plan, &odd);
    }
    if plan.held.is_none() || bug == Some(Bug::HoldIgnored) {
        run.carry_out(plan, differences)?;
        keep_texts(&mut run, &passed.proposal)?;
    }
    Ok(())
}

fn replica_of(pair: (usize, usize), side: Side) -> usize {
    match side {
        Side::Local => pair.0,
        Side::Remote => pair.1,
    }
}

/// No file or link is removed on one side while the same stood on the other, from before the pass until the plan. One of two
/// with the same content may go: the other takes its place.
fn check_removals(
    hub: &Shared,
    plan: &Plan,
    pair: (usize, usize),
    before: &PerSide<BTreeMap<TreePath, Node>>,
) {
    let mut hub = hub.lock();
    // A power cut may have brought back what was removed.
    if hub.running.as_ref().is_some_and(|running| running.is_dead) {
        return;
    }
    for side in Side::BOTH {
        let (was, other) = (before.of(side.other()), replica_of(pair, side.other()));
        for op in plan.ops.of(side).iter().filter(|op| op.kind == OpKind::Remove) {
            let kind = op.expected.as_ref().map(|entry| entry.kind.clone());
            let is = hub.disks[other].live().get(&op.path).cloned();
            let is = is.filter(|node| !node.is_folder());
            let mine = hub.disks[replica_of(pair, side)].live().values();
            let has_twin = mine.filter(|node| node.kind() == kind).count() > 1;
            if is.is_some()
                && is.as_ref() == was.get(&op.path)
                && !has_twin
                && is.as_ref().and_then(Node::kind) == kind
            {
                hub.find(format!("{} stands on the other side, and its removal is planned", op.path));
            }
        }
    }
}

/// Places of a side that nothing can be said of.
fn odd_places(hub: &Shared, pair: (usize, usize), side: Side) -> Vec<TreePath> {
    let at = replica_of(pair, side);
    let hub = hub.lock();
    let is_odd = |node: &Node| node.body == Body::Special || (node.locked && node.is_folder());
    hub.disks[at].live().iter().filter(|(_, node)| is_odd(node)).map(|(path, _)| path.clone()).collect()
}

/// Nothing is planned where nothing could be seen, from before the pass until the plan.
fn check_odd(hub: &Shared, plan: &Plan, odd: &[TreePath]) {
    for op in Side::BOTH.into_iter().flat_map(|side| plan.ops.of(side)) {
        if let Some(place) = odd.iter().find(|place| op.path.is_at_or_below(place)) {
            hub.lock().find(format!("{place} cannot be seen, and {op:?} is planned"));
        }
    }
}

fn policy(settings: Settings<'_>, bug: Option<Bug>) -> Policy {
    let setup = settings.setup;
    let strategy = if bug == Some(Bug::LocalAlwaysWins) { Strategy::KeepLocal } else { setup.strategy };
    let direction = if bug == Some(Bug::DirectionIgnored) { Direction::default() } else { setup.direction };
    // The share is for folders of more than a few files.
    let guard = Guard { paths_max: setup.delete_max, percent_max: 100, approved: settings.approved };
    Policy { strategy, direction, guard, copy_label: "c".to_owned(), ..Policy::default() }
}

/// Changes a plan as a planted bug does.
fn mutate(proposal: &mut Proposal, bug: Option<Bug>) {
    let Proposal { plan, differences, .. } = proposal;
    match bug {
        Some(Bug::DeletionAlwaysWins) => decide_deletions(plan, differences),
        Some(Bug::SwappedSides) => std::mem::swap(&mut plan.ops.local, &mut plan.ops.remote),
        _ => Side::BOTH.into_iter().for_each(|side| mutate_ops(plan.ops.of_mut(side), differences, bug)),
    }
}

fn mutate_ops(ops: &mut Vec<Op>, differences: &[Difference], bug: Option<Bug>) {
    match bug {
        Some(Bug::ExpectsNothing) => ops.iter_mut().for_each(|op| op.expected = None),
        Some(Bug::ReversedOps) => ops.reverse(),
        Some(Bug::RemovalsDropped) => ops.retain(|op| op.kind != OpKind::Remove),
        Some(Bug::FoldersDropped) => ops.retain(|op| op.kind != OpKind::MakeFolder),
        Some(Bug::LastOpDropped) => {
            ops.pop();
        }
        Some(Bug::PutsFromElsewhere) => {
            let first = differences.first().map(|difference| difference.path.clone());
            for op in ops {
                if let (OpKind::Put { source: Source::Other { path }, .. }, Some(first)) =
                    (&mut op.kind, &first)
                {
                    *path = first.clone();
                }
            }
        }
        _ => {}
    }
}

fn decide_deletions(plan: &mut Plan, differences: &[Difference]) {
    let (deletions, rest): (Vec<_>, Vec<_>) =
        plan.conflicts.drain(..).partition(|conflict| conflict.kind == ConflictKind::Deletion);
    plan.conflicts = rest;
    for conflict in deletions {
        let at = differences.iter().find(|difference| difference.path == conflict.path);
        for side in Side::BOTH {
            if let Some(entry) = at.and_then(|at| at.now.of(side).clone()) {
                let path = conflict.path.clone();
                plan.ops.of_mut(side).push(Op {
                    path,
                    kind: OpKind::Remove,
                    expected: Some(Box::new(entry)),
                });
            }
        }
    }
}

fn op_word(kind: &OpKind) -> &'static str {
    match kind {
        OpKind::MakeFolder => "op: make a folder",
        OpKind::Move { .. } => "op: move",
        OpKind::Put { source: Source::Settled { .. }, .. } => "op: put a settled text",
        OpKind::Put { .. } => "op: put",
        OpKind::SetExecutable { .. } => "op: executable bit",
        OpKind::Remove => "op: remove",
    }
}

/// Adds a plan to the trace and to the histogram.
fn note_plan(hub: &Shared, plan: &Plan, differences: &[Difference]) {
    let mut hub = hub.lock();
    for word in super::rules::words(differences) {
        hub.count(word);
    }
    for side in Side::BOTH {
        for op in plan.ops.of(side) {
            hub.tell(format_args!("  plan {side:?} {op:?}"));
        }
    }
    for conflict in &plan.conflicts {
        hub.count(match conflict.kind {
            ConflictKind::SimultaneousEdit => "conflict: simultaneous edit",
            ConflictKind::Deletion => "conflict: deletion",
            ConflictKind::Structure => "conflict: structure",
            ConflictKind::Name => "conflict: name",
        });
        hub.tell(format_args!("  conflict {conflict:?}"));
    }
    if let Some(hold) = plan.held {
        hub.count("plan held");
        hub.tell(format_args!("  held {hold:?}"));
    }
}

/// What holds for every pass.
fn check(hub: &Shared, passed: &Passed, settings: Settings<'_>) {
    let mut hub = hub.lock();
    let plan = &passed.proposal.plan;
    let paths = passed.proposal.differences.len();
    if plan.ops.local.len() + plan.ops.remote.len() > 8 * paths + 8 {
        hub.find(format!("a plan for {paths} differences has too many operations"));
    }
    if settings.setup.direction == Direction::ToRemote && passed.performed.local > 0 {
        hub.find("a pass to the remote side changed the local one".to_owned());
    }
    for side in Side::BOTH {
        if !settings.approved && *passed.removed.of(side) > settings.setup.delete_max {
            hub.find(format!("a pass that nobody approved removed {} paths", passed.removed.of(side)));
        }
        for op in plan.ops.of(side) {
            if settings.is_ignoring && is_ignored_name(&op.path) {
                hub.find(format!("{} is left out, and planned", op.path));
            }
        }
    }
    match &passed.error {
        Some(error) => hub.tell(format_args!("  ended early: {error}")),
        None => hub.tell(format_args!("  refused {}", passed.refused.len())),
    }
}

/// Takes a run back.
pub(super) fn undo_run(hub: &Shared, index: &mut SimIndex, run: RunId, by: RunId) -> Result<(), String> {
    let deeds = swarm_sync::Index::deeds(index, run).map_err(|error| error.to_string())?;
    let way = undo(&deeds);
    if !way.unknown.is_empty() {
        return Err(format!("the fate of {:?} is not known", way.unknown));
    }
    let (local, remote) = index.pair;
    let local = SimReplica { hub: hub.clone(), at: local };
    let remote = SimReplica { hub: hub.clone(), at: remote };
    let (mut refused, mut performed) = (Vec::new(), Vec::new());
    let mut run = Run {
        id: by,
        sides: PerSide { local: &local, remote: &remote },
        index: &mut *index,
        on_event: &mut |event| match event {
            RunEvent::Performed { op, .. } => performed.push(op),
            RunEvent::Refused { op, error, .. } => refused.push(format!("{op:?}: {error}")),
        },
        carried: &|_, _| (),
        beside: &EitherFirst(hub.clone()),
        group_ops_max: group_ops_max(by),
    };
    let plan = Plan { ops: way.ops, ..Plan::default() };
    run.carry_out(&plan, &[]).map_err(|error| error.to_string())?;
    let gone = forgotten(index, &performed).map_err(|error| error.to_string())?;
    swarm_sync::Index::apply(index, vec![IndexStep::Rebase(gone)]).map_err(|error| error.to_string())?;
    if refused.is_empty() { Ok(()) } else { Err(format!("refused: {refused:?}")) }
}

/// Does one piece of work after the other, this or that one first. What they do is told apart by the disk alone, so any order stands for
/// all that threads could do.
struct EitherFirst(Shared);

impl Beside for EitherFirst {
    fn both(&self, one: &mut (dyn FnMut() + Send), other: &mut (dyn FnMut() + Send)) {
        let is_turned = self.0.lock().ticks % 2 == 1;
        if is_turned {
            other();
        }
        one();
        if !is_turned {
            other();
        }
    }
}

/// Small groups show what happens between two of them.
fn group_ops_max(run: RunId) -> PerSide<usize> {
    let of = |side| [1, 2, 5, limits::GROUP_OPS_MAX][(mix(side, run.ms()) % 4) as usize];
    PerSide { local: of(0), remote: of(1) }
}
