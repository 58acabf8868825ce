//! One pass of a daemon: its folder and the view become the same. What every plan may do to the folder is checked against all that was signed:
//! nothing goes that no counted author took away with enough votes, and nothing comes that no counted author signed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use swarm_core::base::mix;
use swarm_library::{CommitId, Drafts, Record};
use swarm_sync::{
    Beside, ContentHash, Guard, Kind, Op, OpKind, PerSide, Plan, Policy, Proposal, Rules, Run, RunError,
    RunEvent, RunId, Side, Source, Strategy, TreePath, keep_texts, limits, observe_side, propose,
};

use super::super::hub::Shared;
use super::super::index::IndexFault;
use super::super::replica::SimReplica;
use super::book::Ended;
use super::bug::TeamBug;
use super::daemon::Daemon;
use super::index::TeamIndex;
use super::ledger::{Ledger, SharedLedger, Signed};
use super::setup::{Part, policy};
use super::view::{View, available};

/// An operation that was not performed.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) side: Side,
    pub(super) path: TreePath,
    /// Where a move would have begun.
    pub(super) from: Option<TreePath>,
    /// It would bring back what both had agreed on, and its bytes are on no disk that is reached.
    pub(super) lacks_bytes: bool,
    pub(super) what: String,
}

/// What a pass did.
#[derive(Clone, Debug, Default)]
pub(super) struct Passed {
    pub(super) proposal: Proposal,
    pub(super) error: Option<String>,
    pub(super) refused: Vec<Refused>,
    pub(super) blind_count: usize,
}

impl Passed {
    /// Whether nothing was left to do that could be done.
    pub(super) fn is_idle(&self) -> bool {
        let plan = &self.proposal.plan;
        let is_stuck = plan.ops.local.len() + plan.ops.remote.len() == self.refused.len();
        self.error.is_none() && is_stuck && plan.agreed.is_empty()
    }
}

/// What a pass uses.
pub(super) struct Around<'a> {
    pub(super) hub: &'a Shared,
    pub(super) ledger: &'a SharedLedger,
    pub(super) daemon: &'a Daemon,
    pub(super) reached: Vec<usize>,
    pub(super) strategy: Strategy,
}

/// Makes one pass.
pub(super) fn pass(around: &Around<'_>, run: RunId, thorough: bool) -> Passed {
    let mut passed = Passed::default();
    let end = catch_unwind(AssertUnwindSafe(|| steps(around, run, thorough, &mut passed)));
    match end {
        Ok(Ok(())) => {}
        Ok(Err(error)) => passed.error = Some(error.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let text = text.unwrap_or_default();
            around.hub.lock().find(format!("a pass panicked: {text}"));
            passed.error = Some(text);
        }
    }
    if let Some(error) = &passed.error {
        around.hub.lock().tell(format_args!("  ended early: {error}"));
    }
    passed
}

fn steps(
    around: &Around<'_>,
    run: RunId,
    thorough: bool,
    passed: &mut Passed,
) -> Result<(), RunError<IndexFault>> {
    let Around { hub, ledger, daemon, reached, strategy } = around;
    let local = SimReplica { hub: (*hub).clone(), at: daemon.at };
    let view = View {
        hub: (*hub).clone(),
        book: daemon.book.clone(),
        ledger: (*ledger).clone(),
        author: daemon.author(),
        reached: reached.clone(),
        drafts: Mutex::new(Drafts::default()),
        gone: Mutex::default(),
    };
    let available = available(hub, reached);
    let mut index =
        TeamIndex { hub: (*hub).clone(), book: daemon.book.clone(), available: available.clone() };
    let Passed { refused, .. } = passed;
    let mut on_event = |event| match event {
        RunEvent::Performed { side, op } => hub.lock().count(op_word(side, &op.kind)),
        RunEvent::Refused { side, op, error } => {
            let what = format!("{side:?} {op:?}: {error}");
            let put = content_of(&op.kind).filter(|hash| !available.contains(hash));
            let agreed =
                || daemon.book.lock().index.base().get(&op.path).and_then(|base| file_hash(&base.kind));
            let lacks_bytes = put.is_some() && put == agreed();
            let from = match op.kind {
                OpKind::Move { from } => Some(from),
                _ => None,
            };
            refused.push(Refused { side, path: op.path, from, lacks_bytes, what });
        }
    };
    let mut run = Run {
        id: run,
        sides: PerSide { local: &local, remote: &view },
        index: &mut index,
        on_event: &mut on_event,
        carried: &|_, _| (),
        beside: &OneAfterOther,
        group_ops_max: PerSide {
            local: [1, 2, 5, limits::GROUP_OPS_MAX][(mix(0, run.ms()) % 4) as usize],
            remote: [1, 2, 5, limits::GROUP_OPS_MAX][(mix(1, run.ms()) % 4) as usize],
        },
    };
    for side in Side::BOTH {
        run.sides.of(side).recover().map_err(|error| RunError::Replica { side, error })?;
    }
    let blind = observe_side(&mut run, Side::Local, None, thorough, &|_, _| false)?.blind;
    passed.blind_count = blind.len();
    let guard = Guard { approved: true, ..Guard::default() };
    let policy = Policy { strategy: *strategy, guard, copy_label: copy_label(daemon), ..Policy::default() };
    let rules = Rules { policy, strategy_of: &|_| None, is_ignored: &|_, _| false };
    passed.proposal = propose(&mut run, &rules, &PerSide { local: blind, remote: Vec::new() })?;
    let Proposal { plan, differences, .. } = &passed.proposal;
    note_plan(around, plan);
    check_plan(around, plan);
    run.carry_out(plan, differences)?;
    keep_texts(&mut run, &passed.proposal)?;
    if !daemon.book.lock().has(TeamBug::LostNotSettled) {
        view.settle_lost().map_err(|error| RunError::Replica { side: Side::Remote, error })?;
    }
    Ok(())
}

fn content_of(kind: &OpKind) -> Option<ContentHash> {
    match kind {
        OpKind::Put { content, source: Source::Other { .. }, .. } => file_hash(content),
        OpKind::Put { .. }
        | OpKind::MakeFolder
        | OpKind::Move { .. }
        | OpKind::SetExecutable { .. }
        | OpKind::Remove => None,
    }
}

/// Conflict copies of two daemons have two names.
fn copy_label(daemon: &Daemon) -> String {
    format!("c{}", daemon.at)
}

struct OneAfterOther;

impl Beside for OneAfterOther {
    fn both(&self, one: &mut (dyn FnMut() + Send), other: &mut (dyn FnMut() + Send)) {
        one();
        other();
    }
}

fn op_word(side: Side, kind: &OpKind) -> &'static str {
    match (side, kind) {
        (Side::Local, OpKind::MakeFolder) => "folder: make a folder",
        (Side::Local, OpKind::Move { .. }) => "folder: move",
        (Side::Local, OpKind::Put { source: Source::Settled { .. }, .. }) => "folder: put a merged text",
        (Side::Local, OpKind::Put { .. }) => "folder: put",
        (Side::Local, OpKind::SetExecutable { .. }) => "folder: executable bit",
        (Side::Local, OpKind::Remove) => "folder: remove",
        (Side::Remote, OpKind::MakeFolder) => "view: make a folder",
        (Side::Remote, OpKind::Move { .. }) => "view: move",
        (Side::Remote, OpKind::Put { .. }) => "view: put",
        (Side::Remote, OpKind::SetExecutable { .. }) => "view: executable bit",
        (Side::Remote, OpKind::Remove) => "view: remove",
    }
}

fn note_plan(around: &Around<'_>, plan: &Plan) {
    let mut hub = around.hub.lock();
    for side in Side::BOTH {
        for op in plan.ops.of(side) {
            hub.tell(format_args!("  plan {side:?} {op:?}"));
        }
    }
    for conflict in &plan.conflicts {
        hub.count("conflict open after a plan");
        hub.tell(format_args!("  conflict {conflict:?}"));
    }
}

fn check_plan(around: &Around<'_>, plan: &Plan) {
    if around.daemon.part == Part::Traitor {
        return;
    }
    let ledger = around.ledger.lock();
    let mut moves: Vec<(&TreePath, &TreePath)> = Vec::new();
    for op in &plan.ops.local {
        if let Some(what) = fault(around.daemon, &ledger, &moves, op) {
            around.hub.lock().find(what);
        }
        if let OpKind::Move { from } = &op.kind {
            moves.push((from, &op.path));
        }
    }
}

/// What is wrong with an operation on a folder.
fn fault(daemon: &Daemon, ledger: &Ledger, moves: &[(&TreePath, &TreePath)], op: &Op) -> Option<String> {
    let at = daemon.at;
    match &op.kind {
        OpKind::Remove => {
            let kind = op.expected.as_ref().map(|entry| &entry.kind)?;
            let path = moves
                .iter()
                .rev()
                .fold(op.path.clone(), |path, (from, to)| path.moved(to, from).unwrap_or(path));
            // What a user moved, or changed and did not tell of yet, goes for what both had agreed on, if the strategy says so.
            let agreed = agreed_on(daemon, &op.path);
            let agreed = agreed.as_ref().map(|(path, kind)| (path, kind));
            let places = [(&op.path, kind), (&path, kind)].into_iter().chain(agreed);
            let is_let = places.into_iter().any(|(path, kind)| may_go(daemon, ledger, path, kind));
            (!is_let).then(|| format!("daemon {at} removes {} without enough votes", op.path))
        }
        OpKind::Put { content, source: Source::Other { .. }, .. } => {
            let is_let = is_signed(daemon, ledger, content);
            (!is_let).then(|| {
                format!("daemon {at} puts {content:?} at {}, which nobody who counts signed", op.path)
            })
        }
        OpKind::MakeFolder | OpKind::Move { .. } | OpKind::Put { .. } | OpKind::SetExecutable { .. } => None,
    }
}

/// Where and what an entry of the folder was when both sides agreed on it last, though its user moved it, or a folder above it, since then.
fn agreed_on(daemon: &Daemon, path: &TreePath) -> Option<(TreePath, Kind)> {
    let book = daemon.book.lock();
    let base = book.index.base();
    let before = |place: &TreePath| {
        let id = book.index.side(Side::Local).get(place)?.stamp.id?;
        let (origin, _) = base.iter().find(|(_, entry)| entry.ids.local == Some(id))?;
        path.moved(place, origin)
    };
    let mut places = std::iter::once(path.clone()).chain(path.ancestors());
    let origin = places.find_map(|place| before(&place))?;
    let kind = base.get(&origin)?.kind.clone();
    Some((origin, kind))
}

fn is_signed(daemon: &Daemon, ledger: &Ledger, content: &Kind) -> bool {
    let hash = file_hash;
    let is_it = |record: &Record| {
        record
            .state
            .kind()
            .is_some_and(|kind| kind == content || (hash(kind).is_some() && hash(kind) == hash(content)))
    };
    let mut all = ledger.commits.values();
    all.any(|signed| daemon.may_count(&signed.author, signed.seq) && signed.records.iter().any(is_it))
}

/// Whether somebody who counts took this away from this path, or from another one from which a user moved it here.
fn may_go(daemon: &Daemon, ledger: &Ledger, path: &TreePath, stood: &Kind) -> bool {
    let is_it = |record: &Record| record.path == *path && record.state.kind() == Some(stood);
    // A folder that nobody signed stood there because of what stood in it.
    let is_implied = *stood == Kind::Folder && !records(ledger).any(is_it);
    let is_same = |record: &&Record| record.state.kind().and_then(file_hash) == file_hash(stood);
    let others = records(ledger).filter(|_| file_hash(stood).is_some()).filter(is_same);
    let mut places = others.map(|record| &record.path).chain([path]);
    is_implied
        || was_taken_back(daemon, path, stood)
        || places.any(|place| was_taken(daemon, ledger, place, stood))
}

fn records(ledger: &Ledger) -> impl Iterator<Item = &Record> {
    ledger.commits.values().flat_map(|signed| &signed.records)
}

/// Whether somebody who counts took this away from this path, with the votes that the mildest policy of the daemon asked for.
fn was_taken(daemon: &Daemon, ledger: &Ledger, path: &TreePath, stood: &Kind) -> bool {
    let needed = |signed: &Signed, record: &Record| {
        let of = |which: &usize| match record.state.is_live() {
            true => 0,
            false if is_move(signed, path, stood) => policy(*which).move_votes,
            false => policy(*which).delete_votes,
        };
        daemon.policies.iter().map(of).min().unwrap_or(0)
    };
    let is_let = |id: &CommitId, signed: &Signed, record: &Record| {
        let is_live = record.state.is_live();
        // A folder stands wherever something stands in it, and a file where others have a folder is a conflict.
        let is_near = record.path.is_below(path) || path.is_below(&record.path);
        let is_about = record.path == *path && record.state.kind() != Some(stood);
        let needed = needed(signed, record);
        let has_votes = || ledger.yes_of(id, |node| daemon.may_count(node, 0)) >= needed;
        (is_live && is_near) || (is_about && (needed < 2 || has_votes()))
    };
    let counted = ledger.commits.iter().filter(|(_, signed)| daemon.may_count(&signed.author, signed.seq));
    counted.into_iter().any(|(id, signed)| signed.records.iter().any(|record| is_let(id, signed, record)))
}

fn file_hash(kind: &Kind) -> Option<ContentHash> {
    kind.file().map(|file| file.hash)
}

/// Whether this daemon itself put it there, by a proposal that came to nothing.
fn was_taken_back(daemon: &Daemon, path: &TreePath, stood: &Kind) -> bool {
    let book = daemon.book.lock();
    book.proposals.values().any(|waiting| {
        let is_over = waiting.ended.is_some_and(|end| end != Ended::Approved);
        let is_own = waiting.commit.header().author == daemon.id;
        let records = waiting.commit.records().unwrap_or_default();
        is_over && is_own && records.iter().any(|one| one.path == *path && one.state.kind() == Some(stood))
    })
}

/// Whether the same bytes come to another path in the same commit.
fn is_move(signed: &Signed, from: &TreePath, stood: &Kind) -> bool {
    let hash = file_hash;
    signed.records.iter().any(|record| {
        let kind = record.state.kind();
        record.moved_from.as_ref() == Some(from)
            && kind.is_some_and(|kind| match (hash(kind), hash(stood)) {
                (Some(one), Some(other)) => one == other,
                (None, None) => kind == stood,
                (Some(_), None) | (None, Some(_)) => false,
            })
    })
}
