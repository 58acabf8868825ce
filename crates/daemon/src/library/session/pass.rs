//! One pass over a library: plans, and performs what was planned. Invariant: a path whose content is not here is left out of the plan until it
//! is; more deletions on this disk than one expects are held, and not signed. Absent here: the plan itself (`swarm-sync`).

use std::collections::{BTreeMap, BTreeSet};

use swarm_sync::{
    ContentHash, Guard, Index as _, IndexStep, Kind, NameRules, Op, OpKind, Plan, Policy, Proposal,
    Replica as _, Rules, RunEvent, RunId, Side, Source, TreePath, keep_texts, propose,
};

use super::Session;
use crate::clock;
use crate::library::disputes::DISPUTES_AT_ONCE;
use crate::library::error::LibraryError;
use crate::sentence::Sentence;

/// What a pass did.
#[derive(Clone, Debug, Default)]
pub(crate) struct PassReport {
    /// Operations that were performed on the mounts.
    pub(crate) performed: u64,
    /// Operations that were refused: the next pass tries again.
    pub(crate) refused: Vec<(TreePath, Sentence)>,
    /// Commits that were signed.
    pub(crate) commits: u64,
    /// Contents that paths wait for, and their lengths.
    pub(crate) wanted: BTreeMap<ContentHash, u64>,
    /// Conflicts that wait for a decision.
    pub(crate) conflicts: u64,
    /// Why nothing was done: too much would have been deleted at once.
    pub(crate) held: Option<u64>,
    /// It was about a part of what is new: another pass is to follow.
    pub(crate) is_part: bool,
}

impl Session {
    /// Plans and performs once.
    pub(crate) fn pass(&mut self, approved: bool) -> Result<PassReport, LibraryError> {
        let mut report = PassReport::default();
        if self.settings.is_followed && !self.is_heard {
            return Ok(report);
        }
        self.signer.keys.sealing()?;
        if self.is_cut_off {
            let me = self.signer.key.public();
            self.book.settle_own(&me, true)?;
        }
        if self.is_half_seen {
            self.look(None, false)?;
        }
        self.next_run();
        let is_part = self.begin_part()?;
        let mut proposal = self.propose()?;
        for _ in 0..REPLANS_MAX {
            let lacking = self.lacking(&proposal)?;
            if lacking.is_empty() {
                break;
            }
            let parked: Vec<(TreePath, ContentHash)> =
                lacking.iter().map(|(path, hash, _)| (path.clone(), *hash)).collect();
            self.book.park(&parked)?;
            report.wanted.extend(lacking.into_iter().map(|(_, hash, len)| (hash, len)));
            proposal = self.propose()?;
        }
        report.conflicts = proposal.plan.conflicts.len() as u64;
        let disputed = self.disputed_contents(&proposal, &mut report)?;
        let deletions = deletions_of(&proposal.plan.ops.remote);
        if !approved && self.is_too_much(deletions)? {
            report.held = Some(deletions);
            return Ok(report);
        }
        // What was signed before an error is in no tree yet.
        self.is_cut_off = true;
        self.carry_out(&proposal, &mut report)?;
        self.is_cut_off = false;
        self.arrivals.release(self.disputed.difference(&disputed).copied());
        self.disputed = disputed;
        report.commits += self.settle_disputes()?;
        let me = self.signer.key.public();
        self.book.settle_own(&me, false)?;
        report.is_part = is_part;
        Ok(report)
    }

    /// Leaves what is new and too much for one plan to later ones. Returns whether there is such.
    fn begin_part(&mut self) -> Result<bool, LibraryError> {
        if self.overlay.names() == NameRules::default() {
            return Ok(self.book.plan_part(self.part_paths_max)?);
        }
        // Where two names may be one, any path may be about another.
        self.book.plan_whole()?;
        Ok(false)
    }

    /// The contents that others have where this node has a conflict: a merge reads them. Those that are not here are wanted.
    fn disputed_contents(
        &self,
        proposal: &Proposal,
        report: &mut PassReport,
    ) -> Result<BTreeSet<ContentHash>, LibraryError> {
        let mut disputed = BTreeSet::new();
        for conflict in proposal.plan.conflicts.iter().take(DISPUTES_AT_ONCE) {
            let Some(content) = conflict.versions.remote.as_ref().and_then(|version| version.kind.file())
            else {
                continue;
            };
            if content.len == 0 || content.len > swarm_sync::limits::MERGE_LEN_MAX {
                continue;
            }
            disputed.insert(content.hash);
            if !self.is_here(content)? {
                report.wanted.insert(content.hash, content.len);
            }
        }
        Ok(disputed)
    }

    /// Whether so many deletions on this disk are more than one expects: an emptied folder is not to empty those of the team.
    fn is_too_much(&self, deletions: u64) -> Result<bool, LibraryError> {
        if deletions < Guard::DELETED_MIN || self.signer.policy.delete_votes >= 2 {
            return Ok(false);
        }
        let all = self.index.totals()?.remote;
        Ok(deletions > Guard::PATHS_MAX || deletions * 100 > all * u64::from(Guard::PERCENT_MAX))
    }

    fn propose(&mut self) -> Result<Proposal, LibraryError> {
        let (rules, blind) = (self.ignore.clone(), self.blind.clone());
        let policy = Policy {
            strategy: self.settings.strategy,
            guard: Guard { paths_max: u64::MAX, percent_max: 100, approved: true },
            copy_label: RunId::at_ms(self.last_run_ms).to_string(),
            ..Policy::default()
        };
        let rules = Rules {
            policy,
            strategy_of: &|_| None,
            is_ignored: &|path: &TreePath, is_folder: bool| rules.is_ignored(path, is_folder),
        };
        let proposed = self.with_run(&mut |_| {}, |run| Ok(propose(run, &rules, &blind)?));
        proposed.map(|(proposal, _)| proposal)
    }

    /// Files that a plan puts on this disk and whose bytes are not here.
    fn lacking(&self, proposal: &Proposal) -> Result<Vec<(TreePath, ContentHash, u64)>, LibraryError> {
        self.book.in_one_look(|_| self.lacking_now(proposal))?
    }

    fn lacking_now(&self, proposal: &Proposal) -> Result<Vec<(TreePath, ContentHash, u64)>, LibraryError> {
        let mut lacking = Vec::new();
        for op in &proposal.plan.ops.local {
            let OpKind::Put { content: Kind::File(content), source: Source::Other { path }, .. } = &op.kind
            else {
                continue;
            };
            if self.is_here(content)? {
                continue;
            }
            // What both sides agreed on is here, or was: the plan may be about a change of this disk, which has to be signed.
            let agreed = self.index.base(path)?.map(|base| base.kind);
            if agreed.is_some() && agreed == self.book.row(path)?.map(|row| row.kind) {
                continue;
            }
            lacking.push((path.clone(), content.hash, content.len));
            if op.path != *path {
                lacking.push((op.path.clone(), content.hash, content.len));
            }
        }
        Ok(lacking)
    }

    fn carry_out(&mut self, proposal: &Proposal, report: &mut PassReport) -> Result<(), LibraryError> {
        let plan = &proposal.plan;
        if has_nothing_to_do(plan) {
            // Conflicts may have come or gone.
            return self.index.apply(vec![IndexStep::Conflicts(plan.conflicts.clone())]).map_err(Into::into);
        }
        let _turn = self.overlay.take_turn(&|| {}).map_err(LibraryError::Mounts)?;
        let (mut performed, mut refused, mut arrived, mut unput) = (0, Vec::new(), Vec::new(), Vec::new());
        let mut on_event = |event: RunEvent| match event {
            RunEvent::Performed { side: Side::Local, op } => {
                performed += 1;
                arrived.extend(file_put(&op));
            }
            RunEvent::Performed { side: Side::Remote, .. } => {}
            RunEvent::Refused { side, op, error } => {
                unput.extend(file_put(&op).filter(|_| side == Side::Local));
                if refused.len() < REFUSED_MAX {
                    refused.push((op.path, Sentence::from(&error)));
                }
            }
        };
        self.index.begin_run(RunId::at_ms(self.last_run_ms), self.last_run_ms)?;
        let done = self.with_run(&mut on_event, |run| {
            run.carry_out(&proposal.plan, &proposal.differences)?;
            Ok(keep_texts(run, proposal)?)
        });
        self.index.end_run(RunId::at_ms(self.last_run_ms), clock::now_ms(), "")?;
        self.arrivals.release(arrived);
        unput.iter().for_each(|hash| self.arrivals.forget_lost(hash));
        (report.performed, report.refused) = (performed, refused);
        report.commits += done?.1;
        Ok(())
    }
}

fn has_nothing_to_do(plan: &Plan) -> bool {
    plan.ops.local.is_empty()
        && plan.ops.remote.is_empty()
        && plan.agreed.is_empty()
        && plan.rebased.is_empty()
}

fn deletions_of(ops: &[Op]) -> u64 {
    ops.iter().filter(|op| matches!(op.kind, OpKind::Remove)).count() as u64
}

fn file_put(op: &Op) -> Option<ContentHash> {
    match &op.kind {
        OpKind::Put { content: Kind::File(content), .. } => Some(content.hash),
        OpKind::Put { .. }
        | OpKind::MakeFolder
        | OpKind::Move { .. }
        | OpKind::SetExecutable { .. }
        | OpKind::Remove => None,
    }
}

/// New paths of one plan. A path takes some 400 bytes in a plan, and as much again in a group.
pub(super) const PART_PATHS_MAX: usize = 2 * swarm_sync::limits::GROUP_OPS_MAX;
/// A plan without what is lacking may want what was hidden by it, once or twice.
const REPLANS_MAX: usize = 4;
/// Refused operations that a report names.
const REFUSED_MAX: usize = 100;
