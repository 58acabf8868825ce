//! One pass over a pair: both sides are put in order and observed, a plan is made, and it is performed. Products that scan in several
//! threads call the steps one by one; the simulator and tests call the pass.

use std::collections::BTreeMap;

use crate::standing::{has_copies, standing};
use crate::{
    Blind, Choice, ContentHash, Difference, Entry, FileContent, Found, Guard, Index, IndexStep, Kind,
    MergeTask, Merged, Observation, Observer, PerSide, Plan, Policy, Replica, ReplicaError, Run, RunError,
    Side, Strategy, Tally, TreePath, is_text, limits, merge, observe, plan, read_whole,
};

/// What a user said about a pair, beside the fixed part of its policy.
pub struct Rules<'a> {
    /// What does not depend on the trees. The rest of it is filled in here.
    pub policy: Policy,
    /// The strategy of a path, if a pattern names one.
    pub strategy_of: &'a dyn Fn(&TreePath) -> Option<Strategy>,
    /// Whether a path, or a folder above it, is left out. The flag says whether it is a folder.
    pub is_ignored: &'a dyn Fn(&TreePath, bool) -> bool,
}

/// A plan, and what it was made from.
#[derive(Clone, Debug, Default)]
pub struct Proposal {
    /// Where the three trees are not the same.
    pub differences: Vec<Difference>,
    /// What is to be done about it.
    pub plan: Plan,
    /// The plan's policy, filled in.
    pub policy: Policy,
}

/// What a pass found and did.
#[derive(Clone, Debug, Default)]
pub struct Pass {
    /// What was observed on each side.
    pub tallies: PerSide<Tally>,
    /// The plan. It was performed, unless it is held.
    pub proposal: Proposal,
}

/// Observes, plans and performs once. A held plan is returned and not performed.
pub fn pass<I: Index>(
    run: &mut Run<'_, I>,
    rules: &Rules<'_>,
    thorough: bool,
) -> Result<Pass, RunError<I::Error>> {
    let mut pass = Pass::default();
    for side in Side::BOTH {
        run.sides.of(side).recover().map_err(|error| RunError::Replica { side, error })?;
    }
    for side in Side::BOTH {
        *pass.tallies.of_mut(side) = observe_side(run, side, None, thorough, rules.is_ignored)?;
    }
    let blind = PerSide::each(|side| pass.tallies.of(side).blind.clone());
    pass.proposal = propose(run, rules, &blind)?;
    if pass.proposal.plan.held.is_none() {
        run.carry_out(&pass.proposal.plan, &pass.proposal.differences)?;
        keep_texts(run, &pass.proposal)?;
    }
    Ok(pass)
}

/// Brings what is known of a side up to date, at a place and below it or everywhere, in one thread.
pub fn observe_side<I: Index>(
    run: &mut Run<'_, I>,
    side: Side,
    place: Option<&TreePath>,
    thorough: bool,
    is_ignored: &dyn Fn(&TreePath, bool) -> bool,
) -> Result<Tally, RunError<I::Error>> {
    let forgets_unseen = !run.index.has_base().map_err(RunError::Index)?;
    let known = run.index.known(side, place).map_err(RunError::Index)?;
    let known = known.collect::<Result<Vec<_>, _>>().map_err(RunError::Index)?;
    let replica = *run.sides.of(side);
    let refused = |error| RunError::Replica { side, error };
    let walk = replica.walk(place).map_err(refused)?;
    let mut noted = Noted { replica, is_ignored, forgets_unseen, seen: Vec::new() };
    let tally = observe(walk, known.into_iter().map(Ok), thorough, &mut noted).map_err(refused)?;
    let steps = noted.seen.into_iter().map(|seen| IndexStep::Observe(side, seen)).collect();
    run.index.apply(steps).map_err(RunError::Index)?;
    Ok(tally)
}

/// Notes what was seen, to be remembered at the end.
struct Noted<'a> {
    replica: &'a dyn Replica,
    is_ignored: &'a dyn Fn(&TreePath, bool) -> bool,
    forgets_unseen: bool,
    seen: Vec<Observation>,
}

impl Observer for Noted<'_> {
    type Error = ReplicaError;

    fn keeps_executable(&self) -> bool {
        self.replica.keeps_executable()
    }

    fn is_ignored(&self, path: &TreePath, is_folder: bool) -> bool {
        (self.is_ignored)(path, is_folder)
    }

    fn forgets_unseen(&self) -> bool {
        self.forgets_unseen
    }

    fn hash(&mut self, files: Vec<Found>) -> Vec<Result<(TreePath, Entry), Blind>> {
        self.replica.hash(files)
    }

    fn remember(&mut self, batch: Vec<Observation>) -> Result<(), ReplicaError> {
        self.seen.extend(batch);
        Ok(())
    }

    fn progress(&mut self, _: &Tally) {}
}

/// Makes the plan for what was observed. Paths that are ignored now are no part of it; what both sides agreed on there stays known. Texts that
/// are to be merged are merged; what does not merge is left as a conflict.
pub fn propose<I: Index>(
    run: &mut Run<'_, I>,
    rules: &Rules<'_>,
    blind: &PerSide<Vec<Blind>>,
) -> Result<Proposal, RunError<I::Error>> {
    if !run.index.has_base().map_err(RunError::Index)? {
        // A first look agrees on what both sides have: a power cut must not take it from one side after that.
        run.settle()?;
    }
    let found = run.index.differences().map_err(RunError::Index)?;
    let mut differences: Vec<Difference> =
        found.into_iter().filter(|difference| !is_ignored(difference, rules)).collect();
    let mut steps = Vec::new();
    for side in Side::BOTH.into_iter().filter(|side| !run.sides.of(*side).keeps_executable()) {
        steps.extend(differences.iter_mut().filter_map(|difference| take_bit_across(difference, side)));
    }
    run.index.apply(steps).map_err(RunError::Index)?;

    let mut policy = rules.policy.clone();
    // Counting a million paths takes longer than all the rest of a small pass, and few differences are never held for their share.
    if differences.len() as u64 >= Guard::DELETED_MIN.min(policy.guard.paths_max) {
        policy.totals = run.index.totals().map_err(RunError::Index)?;
    }
    policy.names = PerSide::each(|side| run.sides.of(side).names());
    policy.blind = PerSide::each(|side| blind.of(side).iter().map(|blind| blind.path.clone()).collect());
    policy.choices.extend(run.index.choices().map_err(RunError::Index)?);
    let strategies = differences.iter().map(|difference| &difference.path);
    let named = strategies.filter_map(|path| Some((path.clone(), (rules.strategy_of)(path)?)));
    policy.strategies = named.collect::<BTreeMap<_, _>>();

    policy.standing = standing(&*run.index, &differences, &policy.names, None).map_err(RunError::Index)?;

    let mut first = plan(&differences, &policy);
    if has_copies(&first) {
        policy.standing =
            standing(&*run.index, &differences, &policy.names, Some(&first)).map_err(RunError::Index)?;
        first = plan(&differences, &policy);
    }
    let mut merged = false;
    for task in &first.merges {
        if let Some(choice) = settle_by_merging(run, &differences, task)? {
            policy.choices.insert(task.conflict, choice);
            merged = true;
        }
    }
    let plan = if merged { plan(&differences, &policy) } else { first };
    Ok(Proposal { differences, plan, policy })
}

/// A side that keeps no executable bits has the one of the other side, or of the base. Returns what is known of the side then.
fn take_bit_across(difference: &mut Difference, side: Side) -> Option<IndexStep> {
    let executable = |kind: &Kind| kind.file().map(|content| content.executable);
    let across = difference.now.of(side.other()).as_ref().and_then(|entry| executable(&entry.kind));
    let bit = across.or_else(|| difference.base.as_ref().and_then(|base| executable(&base.kind)))?;
    let entry = difference.now.of_mut(side).as_mut().filter(|entry| executable(&entry.kind) == Some(!bit))?;
    *entry = entry.clone().with_executable(Some(bit));
    Some(IndexStep::Observe(side, Observation { path: difference.path.clone(), entry: Some(entry.clone()) }))
}

/// Whether a path is left out now. A path at which nothing stands any more is judged by what the base has.
fn is_ignored(difference: &Difference, rules: &Rules<'_>) -> bool {
    let kinds =
        [&difference.now.local, &difference.now.remote].into_iter().flatten().map(|entry| &entry.kind);
    let mut kinds = kinds.chain(difference.base.iter().map(|base| &base.kind));
    kinds.any(|kind| (rules.is_ignored)(&difference.path, matches!(kind, Kind::Folder)))
}

/// Merges one text; `None` if it does not merge, or if a version of it is not there any more.
fn settle_by_merging<I: Index>(
    run: &mut Run<'_, I>,
    differences: &[Difference],
    task: &MergeTask,
) -> Result<Option<Choice>, RunError<I::Error>> {
    let Some(base) = run.index.text(&task.base.hash).map_err(RunError::Index)? else { return Ok(None) };
    let Ok(at) = differences.binary_search_by(|difference| difference.path.cmp(&task.path)) else {
        return Ok(None);
    };
    let read = |side: Side| -> Option<Vec<u8>> {
        let entry = differences[at].now.of(side).as_ref()?;
        let mut source = run.sides.of(side).source(&task.path, entry);
        read_whole(&mut *source, &task.path, task.versions.of(side)).ok()
    };
    let (Some(local), Some(remote)) = (read(Side::Local), read(Side::Remote)) else { return Ok(None) };
    let Merged::Clean(text) = merge(&base, &local, &remote) else { return Ok(None) };
    let hash = ContentHash::of(&text);
    let executable = |side: Side| task.versions.of(side).executable;
    let was = task.base.executable;
    // A bit that one side changed is changed; two sides that changed a bit changed it to the same.
    let executable =
        if executable(Side::Local) == was { executable(Side::Remote) } else { executable(Side::Local) };
    let choice = Choice::Settled { len: text.len() as u64, hash, executable };
    run.index.apply(vec![IndexStep::KeepText(hash, text)]).map_err(RunError::Index)?;
    Ok(Some(choice))
}

/// Keeps texts that both sides agreed on in this pass, as the base of a merge: all of them where the policy merges, and of the others
/// as many as cost little, those first that were edited before.
pub fn keep_texts<I: Index>(run: &mut Run<'_, I>, proposal: &Proposal) -> Result<(), RunError<I::Error>> {
    let merges =
        |difference: &&Difference| proposal.policy.strategy_of(&difference.path) == Strategy::AutoMerge;
    let carried = |is_edit: bool| {
        let all = proposal.differences.iter();
        let others =
            all.filter(move |difference| difference.base.is_some() == is_edit && !merges(difference));
        others.filter_map(|difference| Some((difference, carried_text_len(difference)?)))
    };
    let mut left = CHEAP_LEN_MAX;
    let cheap = carried(true).chain(carried(false)).filter(|(_, len)| {
        let fits = *len <= left;
        left -= if fits { *len } else { 0 };
        fits
    });
    let cheap = cheap.map(|(difference, _)| difference).take(CHEAP_COUNT_MAX);
    let (mut batch, mut batch_len) = (Vec::new(), 0);
    for difference in proposal.differences.iter().filter(merges).chain(cheap) {
        let Some((hash, text)) = text_to_keep(run, &difference.path)? else { continue };
        batch_len += text.len();
        batch.push(IndexStep::KeepText(hash, text));
        if batch_len >= BATCH_LEN_MAX {
            run.index.apply(std::mem::take(&mut batch)).map_err(RunError::Index)?;
            batch_len = 0;
        }
    }
    if batch.is_empty() { Ok(()) } else { run.index.apply(batch).map_err(RunError::Index) }
}

/// The length of a file that one side made or changed, or that both have: what both agree on after the run. `None` where both sides
/// changed it, each in its own way, and where it is too long to be merged.
fn carried_text_len(difference: &Difference) -> Option<u64> {
    let is_unchanged = Side::BOTH.map(|side| difference.is_unchanged(side));
    let side = match is_unchanged {
        [false, true] => Side::Local,
        [true, false] => Side::Remote,
        [false, false] if difference.agrees() => Side::Local,
        [false, false] | [true, true] => return None,
    };
    let len = difference.now.of(side).as_ref()?.file()?.len;
    (len <= limits::MERGE_LEN_MAX).then_some(len)
}

/// A text, and its hash.
type Text = (ContentHash, Vec<u8>);

/// The text at a path, if it is one that may be merged later and is not kept yet. A file that cannot be read any more is not kept.
fn text_to_keep<I: Index>(run: &mut Run<'_, I>, path: &TreePath) -> Result<Option<Text>, RunError<I::Error>> {
    let Some((entry, content)) = known_file(run.index, path)? else { return Ok(None) };
    if content.len > limits::MERGE_LEN_MAX
        || run.index.text(&content.hash).map_err(RunError::Index)?.is_some()
    {
        return Ok(None);
    }
    let mut source = run.sides.local.source(path, &entry);
    let text = read_whole(&mut *source, path, &content).ok().filter(|text| is_text(text));
    Ok(text.map(|text| (content.hash, text)))
}

/// The file that is known to stand at a path on the local side.
fn known_file<I: Index>(
    index: &I,
    path: &TreePath,
) -> Result<Option<(Entry, FileContent)>, RunError<I::Error>> {
    let first = index.known(Side::Local, Some(path)).map_err(RunError::Index)?.next();
    let entry = first
        .transpose()
        .map_err(RunError::Index)?
        .filter(|(known, _)| known == path)
        .map(|(_, entry)| entry);
    Ok(entry.and_then(|entry| entry.file().copied().map(|content| (entry, content))))
}

/// Bytes of texts that a run reads only because a later one may merge them.
const CHEAP_LEN_MAX: u64 = 8 << 20;
/// Number of such texts: reading as many takes some ten milliseconds.
const CHEAP_COUNT_MAX: usize = 1000;
/// Bytes of texts in one transaction of the index.
const BATCH_LEN_MAX: usize = 16 << 20;
