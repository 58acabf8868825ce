//! One run: performs a plan on both sides and remembers what came of it. Operations go in groups: contents are staged and made durable,
//! then they take their places, then both sides are durable, and only then does the index believe it. Meanwhile the contents of the
//! next group are staged; where that ends first, one sync makes them and the places of this group durable. A run may be cut off between any two of these
//! steps; the next one sees from the trees what was done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{
    ContentHash, ContentSource, DETOUR_PREFIX, Deed, DeedEnd, Difference, Done, Entry, FileContent, Index,
    IndexStep, Kind, Observation, Op, OpKind, PerSide, Plan, Rebase, Replica, ReplicaError, RunId, Side,
    Source, StageJob, Staged, TreePath,
};

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum RunError<E: std::error::Error> {
    /// A side can do nothing more.
    #[error("{error}")]
    Replica {
        /// The side.
        side: Side,
        /// Its error.
        error: ReplicaError,
    },
    /// The index cannot be read or written.
    #[error(transparent)]
    Index(E),
}

/// What happens in a run, for whoever watches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEvent {
    /// An operation was performed.
    Performed {
        /// On which side.
        side: Side,
        /// The operation.
        op: Op,
    },
    /// An operation was not performed. The rest goes on.
    Refused {
        /// On which side.
        side: Side,
        /// The operation.
        op: Op,
        /// The reason.
        error: ReplicaError,
    },
}

/// What a run uses.
pub struct Run<'a, I> {
    /// Its name: versions that it displaces are kept under it.
    pub id: RunId,
    /// Both sides.
    pub sides: PerSide<&'a dyn Replica>,
    /// The memory of the pair.
    pub index: &'a mut I,
    /// Is told what happens, in its order.
    pub on_event: &'a mut (dyn FnMut(RunEvent) + Send),
    /// Is told of bytes as they are copied to a side, from several threads at once.
    pub carried: &'a (dyn Fn(Side, u64) + Sync),
    /// Does pieces of work at once that do not depend on each other.
    pub beside: &'a dyn Beside,
    /// Most operations of a group on each side: [`GROUP_OPS_MAX`](crate::limits::GROUP_OPS_MAX), if there is no reason for fewer.
    pub group_ops_max: PerSide<usize>,
}

/// Does two pieces of work that do not depend on each other.
pub trait Beside: Sync {
    /// Returns when both are done.
    fn both(&self, one: &mut (dyn FnMut() + Send), other: &mut (dyn FnMut() + Send));
}

impl<I: Index> Run<'_, I> {
    /// Performs a plan. `differences` are those that it was made from.
    pub fn carry_out(&mut self, plan: &Plan, differences: &[Difference]) -> Result<(), RunError<I::Error>> {
        self.agree(&plan.agreed)?;
        let mut work =
            Work { run: self, differences, moves: PerSide::default(), marked: PerSide::default(), number: 0 };
        for side in Side::BOTH {
            work.perform(side, plan.ops.of(side))?;
        }
        self.remember(vec![IndexStep::Rebase(plan.rebased.clone())])?;
        self.agree_on_moved(plan, differences)?;
        self.remember(vec![IndexStep::Conflicts(plan.conflicts.clone())])
    }

    /// Moves the base of what stood below moved entries. The base of entries that wait for a decision stays, even where both sides have
    /// nothing: it tells what the conflict is about.
    fn agree_on_moved(&mut self, plan: &Plan, differences: &[Difference]) -> Result<(), RunError<I::Error>> {
        let has_move = |side: Side| plan.ops.of(side).iter().any(|op| matches!(op.kind, OpKind::Move { .. }));
        if differences.is_empty() || !Side::BOTH.into_iter().any(has_move) {
            return Ok(());
        }
        let agreed: BTreeSet<&TreePath> = plan.agreed.iter().collect();
        let equal =
            differences.iter().filter(|difference| difference.agrees()).map(|difference| &difference.path);
        let mut waiting: BTreeSet<&TreePath> = equal.filter(|path| !agreed.contains(path)).collect();
        waiting.extend(plan.rebased.iter().filter_map(|rebased| rebased.to.as_ref()));
        let left = self.index.differences().map_err(RunError::Index)?.into_iter().filter(Difference::agrees);
        let moved: Vec<TreePath> =
            left.map(|difference| difference.path).filter(|path| !waiting.contains(path)).collect();
        self.agree(&moved)
    }

    fn agree(&mut self, paths: &[TreePath]) -> Result<(), RunError<I::Error>> {
        if paths.is_empty() {
            return Ok(());
        }
        // The base must not claim what a power cut could still take from one side.
        self.settle()?;
        for batch in paths.chunks(BATCH_MAX) {
            self.remember(batch.iter().cloned().map(IndexStep::Agree).collect())?;
        }
        Ok(())
    }

    /// Makes both sides durable.
    pub(crate) fn settle(&mut self) -> Result<(), RunError<I::Error>> {
        Side::BOTH.into_iter().try_for_each(|side| self.settle_side(side))
    }

    fn settle_side(&mut self, side: Side) -> Result<(), RunError<I::Error>> {
        self.sides.of(side).settle().map_err(|error| RunError::Replica { side, error })
    }

    fn remember(&mut self, steps: Vec<IndexStep>) -> Result<(), RunError<I::Error>> {
        if steps.is_empty() { Ok(()) } else { self.index.apply(steps).map_err(RunError::Index) }
    }
}

/// The state of a plan that is being performed.
struct Work<'run, 'a, I> {
    run: &'run mut Run<'a, I>,
    differences: &'run [Difference],
    /// Moves that were performed, in their order: where a path of the plan stands now.
    moves: PerSide<Vec<(TreePath, TreePath)>>,
    /// Files whose executable bit was changed, as they are now: the other side may read their bytes after that.
    marked: PerSide<BTreeMap<TreePath, Entry>>,
    /// Number of the next operation.
    number: u64,
}

impl<'a, I: Index> Work<'_, 'a, I> {
    /// Performs all operations of a side.
    fn perform(&mut self, side: Side, ops: &[Op]) -> Result<(), RunError<I::Error>> {
        let mut done = Vec::new();
        let performed = self.perform_groups(side, ops, &mut done);
        // What was done before an error counts, too, if it can still be made durable.
        performed.and(self.record(&mut done))
    }

    /// While the operations of one group are performed, and those of the group before are made durable and recorded, the contents of the next group
    /// are staged. `done` is what is still to be recorded.
    fn perform_groups(
        &mut self,
        side: Side,
        ops: &[Op],
        done: &mut Vec<IndexStep>,
    ) -> Result<(), RunError<I::Error>> {
        let mut groups = groups(ops, *self.run.group_ops_max.of(side)).peekable();
        let Some(first) = groups.peek() else { return Ok(()) };
        let mut staged = self.stage_jobs(side, first)?.stage()?;
        while let Some(group) = groups.next() {
            let ahead = groups.peek().map(|next| self.stage_jobs(side, next)).transpose()?;
            let (mut ahead, mut now) = (ahead.map(|ahead| move || ahead.stage()), Some(staged));
            let (mut performed, mut next) = (Ok(()), Ok(Vec::new()));
            let is_staged = AtomicBool::new(false);
            let beside = self.run.beside;
            beside.both(
                &mut || {
                    performed = self.perform_group(side, group, done, now.take().unwrap_or_default());
                    // Staging may still take long: what was done is not to wait for it. And the bytes of later groups may stand elsewhere now.
                    let is_due = !is_staged.load(Ordering::Acquire) || !group.iter().all(is_new);
                    if performed.is_ok() && is_due {
                        performed = self.record(done);
                    }
                },
                &mut || {
                    next = ahead.take().map_or(Ok(Vec::new()), |stage| stage());
                    is_staged.store(true, Ordering::Release);
                },
            );
            performed?;
            staged = next?;
        }
        Ok(())
    }

    /// Makes both sides durable, and then records what was done.
    fn record(&mut self, done: &mut Vec<IndexStep>) -> Result<(), RunError<I::Error>> {
        let done = std::mem::take(done);
        if done.is_empty() {
            return Ok(());
        }
        self.run.settle()?;
        self.run.remember(done)
    }

    /// Records what the group before did, and performs a group. `done` has what it did then.
    fn perform_group(
        &mut self,
        side: Side,
        ops: &[Op],
        done: &mut Vec<IndexStep>,
        mut staged: Vec<StagedOp>,
    ) -> Result<(), RunError<I::Error>> {
        // A name must not lead to bytes that a power cut could still take. What makes the group before durable makes these so, too.
        if !done.is_empty() {
            self.record(done)?;
        } else if staged.iter().any(Option::is_some) {
            let failed = |error| RunError::Replica { side, error };
            self.run.sides.of(side).settle_staged().map_err(failed)?;
        }
        let first = self.intend(side, ops)?;
        let mut wanted = Vec::new();
        let mut results: Vec<Option<Result<Done, ReplicaError>>> = Vec::new();
        for (op, staged) in ops.iter().zip(&mut staged) {
            let refused = match staged.take() {
                Some(Err(error)) => Some(Err(error)),
                Some(Ok(staged)) => {
                    wanted.push((op.clone(), Some(staged)));
                    None
                }
                None => {
                    wanted.push((op.clone(), None));
                    None
                }
            };
            results.push(refused);
        }
        let mut performed = self.run.sides.of(side).perform(self.run.id, wanted).into_iter();
        let missing = || Err(ReplicaError::Stopped);
        let results = results
            .into_iter()
            .map(|result| result.unwrap_or_else(|| performed.next().unwrap_or_else(missing)))
            .collect();
        let (steps, ends) = self.steps_of(side, first, ops, results);
        done.extend(steps);
        ends.map_or(Ok(()), Err)
    }

    /// Numbers a group, and remembers what it is about to do. What displaces or moves nothing needs no intent: if the run is killed, a new
    /// file that is not known as its deed is no loss.
    fn intend(&mut self, side: Side, ops: &[Op]) -> Result<u64, RunError<I::Error>> {
        let first = self.number;
        self.number += ops.len() as u64;
        let displacing = (first..).zip(ops).filter(|(_, op)| op.expected.is_some());
        let intents = displacing.map(|(number, op)| self.deed(number, side, op, DeedEnd::Intended));
        let intents: Vec<IndexStep> = intents.collect();
        self.run.remember(intents).map(|()| first)
    }

    /// What has to be staged for a group.
    fn stage_jobs(&mut self, side: Side, ops: &[Op]) -> Result<Staging<'a>, RunError<I::Error>> {
        let (replica, carried) = (*self.run.sides.of(side), self.run.carried);
        let mut staging =
            Staging { side, replica, carried, jobs: Vec::new(), waiting: Vec::new(), staged: Vec::new() };
        for (at, op) in ops.iter().enumerate() {
            staging.staged.push(None);
            let OpKind::Put { content: Kind::File(content), modified_ns, source } = &op.kind else {
                continue;
            };
            match self.source(side, op, source)? {
                Some(source) => {
                    let (path, standing) = (op.path.clone(), op.expected.as_deref().cloned());
                    let (content, modified_ns) = (*content, *modified_ns);
                    staging.jobs.push(StageJob { path, standing, content, modified_ns, source });
                    staging.waiting.push(at);
                }
                None => staging.staged[at] = Some(Err(ReplicaError::Changed { path: op.path.clone() })),
            }
        }
        Ok(staging)
    }

    /// Where the bytes for an operation come from; `None` if they are nowhere any more.
    fn source(
        &mut self,
        side: Side,
        op: &Op,
        source: &Source,
    ) -> Result<Option<Box<dyn ContentSource>>, RunError<I::Error>> {
        Ok(match source {
            Source::Kept { kept, side } => Some(self.run.sides.of(*side).kept_source(kept)),
            Source::Settled { .. } => {
                let OpKind::Put { content: Kind::File(FileContent { hash, .. }), .. } = &op.kind else {
                    return Ok(None);
                };
                let text = self.run.index.text(hash).map_err(RunError::Index)?;
                text.map(|bytes| Box::new(Bytes(bytes)) as Box<dyn ContentSource>)
            }
            Source::Other { path } => {
                let other = side.other();
                let at = self.differences.binary_search_by(|difference| difference.path.cmp(path));
                let seen = at.ok().and_then(|at| self.differences[at].now.of(other).as_ref());
                let now_at = self.now_at(other, path);
                let now = self.marked.of(other).get(&now_at).or(seen);
                now.map(|now| self.run.sides.of(other).source(&now_at, now))
            }
        })
    }

    /// Where an entry stands now that was observed at `path`.
    fn now_at(&self, side: Side, path: &TreePath) -> TreePath {
        let moves = self.moves.of(side).iter();
        moves.fold(path.clone(), |path, (from, to)| path.moved(from, to).unwrap_or(path))
    }

    /// What is to be recorded of a group, and why the run ends, if it does.
    fn steps_of(
        &mut self,
        side: Side,
        first: u64,
        ops: &[Op],
        results: Vec<Result<Done, ReplicaError>>,
    ) -> (Vec<IndexStep>, Option<RunError<I::Error>>) {
        let mut steps = Vec::new();
        let mut ends = None;
        for ((number, op), result) in (first..).zip(ops).zip(results) {
            match result {
                Ok(done) => {
                    if let OpKind::Move { from } = &op.kind {
                        let left = self.left_behind(side, op, from);
                        steps.extend(left.map(|left| IndexStep::Rebase(vec![left])));
                        self.moves.of_mut(side).push((from.clone(), op.path.clone()));
                        steps.push(IndexStep::Moved { side, from: from.clone(), to: op.path.clone() });
                    }
                    if let (OpKind::SetExecutable { .. }, Some(now)) = (&op.kind, &done.now) {
                        self.marked.of_mut(side).insert(op.path.clone(), now.clone());
                    }
                    let bit = op.executable().filter(|_| !self.run.sides.of(side).keeps_executable());
                    let now = done.now.map(|now| now.with_executable(bit));
                    let seen = Observation { path: op.path.clone(), entry: now.clone() };
                    steps.extend([IndexStep::Observe(side, seen), IndexStep::Agree(op.path.clone())]);
                    let end = DeedEnd::Done { now, kept: done.kept };
                    steps.push(self.deed(number, side, op, end));
                    (self.run.on_event)(RunEvent::Performed { side, op: op.clone() });
                }
                Err(error) => {
                    // Whether an operation that was cut off was performed is not known: it stays intended.
                    if error.ends_run() {
                        ends.get_or_insert(RunError::Replica { side, error });
                        continue;
                    }
                    steps.push(self.deed(number, side, op, DeedEnd::Refused));
                    (self.run.on_event)(RunEvent::Refused { side, op: op.clone(), error });
                }
            }
        }
        (steps, ends)
    }

    /// The base of an entry that is moved where the other side has it already leaves its old path. Left there, it would tell of one entry
    /// at two paths, and make a deletion of the next move.
    fn left_behind(&self, side: Side, op: &Op, from: &TreePath) -> Option<Rebase> {
        // The base of what stands below a moved folder is where it was.
        let moves = self.moves.of(side).iter().rev();
        let origin = moves.fold(from.clone(), |path, (from, to)| path.moved(to, from).unwrap_or(path));
        let at = self.differences.binary_search_by(|difference| difference.path.cmp(&origin)).ok()?;
        let base = self.differences[at].base.as_ref()?;
        let is_it = op.expected.as_ref().is_some_and(|entry| entry.stamp.id == *base.ids.of(side));
        is_it.then_some(Rebase { from: origin, to: None })
    }

    fn deed(&self, number: u64, side: Side, op: &Op, end: DeedEnd) -> IndexStep {
        IndexStep::Deed(self.run.id, Box::new(Deed { number, side, op: op.clone(), end }))
    }
}

/// What is staged for an operation: nothing for one that puts no file.
type StagedOp = Option<Result<Staged, ReplicaError>>;

/// Whether an operation puts something where nothing stands.
fn is_new(op: &Op) -> bool {
    op.expected.is_none() && matches!(op.kind, OpKind::Put { .. } | OpKind::MakeFolder)
}

/// The contents of a group on their way to a side.
struct Staging<'a> {
    side: Side,
    replica: &'a dyn Replica,
    carried: &'a (dyn Fn(Side, u64) + Sync),
    jobs: Vec<StageJob>,
    /// The operation of each job, by its place in the group.
    waiting: Vec<usize>,
    /// One for each operation of the group.
    staged: Vec<StagedOp>,
}

impl Staging<'_> {
    /// Brings them beside the tree.
    fn stage<E: std::error::Error>(self) -> Result<Vec<StagedOp>, RunError<E>> {
        let Self { side, replica, carried, jobs, waiting, mut staged } = self;
        if jobs.is_empty() {
            return Ok(staged);
        }
        let failed = |error| RunError::Replica { side, error };
        let results = replica.stage(jobs, &|len| carried(side, len));
        let mut errors = results.iter().filter_map(|result| result.as_ref().err());
        if let Some(error) = errors.find(|error| error.ends_run()) {
            return Err(failed(error.clone()));
        }
        waiting.into_iter().zip(results).for_each(|(at, result)| staged[at] = Some(result));
        Ok(staged)
    }
}

/// The operations in groups, each of which is durable before the next begins. A group ends where nothing is on a detour, if that comes soon:
/// nobody is to find an entry under a name that it has for the time of a run.
fn groups(ops: &[Op], ops_max: usize) -> impl Iterator<Item = &[Op]> {
    let mut rest = ops;
    std::iter::from_fn(move || {
        let mut len = 0_u64;
        let fits = |op: &&Op| {
            let fits = len < GROUP_LEN_MAX;
            len = len.saturating_add(put_len(op));
            fits
        };
        let count = rest.iter().take(ops_max).take_while(fits).count();
        let count = count + until_no_detour(&rest[..count], &rest[count..]);
        let (group, after) = rest.split_at(count);
        rest = after;
        (!group.is_empty()).then_some(group)
    })
}

/// How many of the operations that come after a group have to be in it for its detours to end; none if that takes too many.
fn until_no_detour(group: &[Op], after: &[Op]) -> usize {
    let mut open: BTreeSet<TreePath> = BTreeSet::new();
    let mut pass = |op: &Op| {
        let OpKind::Move { from } = &op.kind else { return open.is_empty() };
        // A folder takes along what is on a detour in it.
        open = open.iter().map(|at| at.moved(from, &op.path).unwrap_or_else(|| at.clone())).collect();
        if op.path.name().starts_with(DETOUR_PREFIX) {
            open.insert(op.path.clone());
        } else {
            open.remove(&op.path);
        }
        open.is_empty()
    };
    if group.iter().map(&mut pass).last().unwrap_or(true) {
        return 0;
    }
    after.iter().take(DETOUR_OPS_MAX).position(pass).map_or(0, |last| last + 1)
}

/// Bytes that an operation copies.
fn put_len(op: &Op) -> u64 {
    match &op.kind {
        OpKind::Put { content: Kind::File(content), .. } => content.len,
        OpKind::Put { .. }
        | OpKind::MakeFolder
        | OpKind::Move { .. }
        | OpKind::SetExecutable { .. }
        | OpKind::Remove => 0,
    }
}

/// A content in memory.
struct Bytes(Vec<u8>);

impl ContentSource for Bytes {
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, ReplicaError> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).unwrap_or_default();
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn as_any(&mut self) -> &mut dyn std::any::Any {
        self
    }
}

/// Reads a whole content of at most `len_max` bytes and proves it by its hash.
pub fn read_whole(
    source: &mut dyn ContentSource,
    path: &TreePath,
    content: &FileContent,
) -> Result<Vec<u8>, ReplicaError> {
    let mut bytes = vec![0; usize::try_from(content.len).unwrap_or(0)];
    let mut filled = 0;
    while filled < bytes.len() {
        match source.read_at(filled as u64, &mut bytes[filled..])? {
            0 => break,
            read_len => filled += read_len,
        }
    }
    if filled == bytes.len() && ContentHash::of(&bytes) == content.hash {
        Ok(bytes)
    } else {
        Err(ReplicaError::Changed { path: path.clone() })
    }
}

/// Bytes after which a group ends.
const GROUP_LEN_MAX: u64 = 256 << 20;
/// Operations by which a group grows for its detours to end.
const DETOUR_OPS_MAX: usize = 1 << 12;
/// Paths in one transaction of the index.
const BATCH_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// `a>b` moves a to b, where `~` begins a name for the time of a run; `-a` removes it.
    fn check(ops: &str, ops_max: usize, expected: &[usize]) {
        let path = |text: &str| TreePath::new(text.replace('~', DETOUR_PREFIX)).expect("a path");
        let op = |text: &str| match text.split_once('>') {
            Some((from, to)) => {
                Op { path: path(to), kind: OpKind::Move { from: path(from) }, expected: None }
            }
            None => Op { path: path(&text[1..]), kind: OpKind::Remove, expected: None },
        };
        let ops: Vec<Op> = ops.split_whitespace().map(op).collect();
        let lens: Vec<usize> = groups(&ops, ops_max).map(<[Op]>::len).collect();
        assert_eq!(lens, expected, "{ops:?}");
    }

    #[test]
    fn a_group_ends_where_nothing_is_on_a_detour() {
        check("-a -b -c", 2, &[2, 1]);
        check("a>~1 b>a ~1>b -c", 1, &[3, 1]);
        check("a>~1 b>a ~1>b -c", 2, &[3, 1]);
        check("-c a>~1 b>a ~1>b -d", 2, &[4, 1]);
        check("a>~1 b>~2 ~1>b ~2>a", 1, &[4]);
        // What is on a detour in a folder goes along with it.
        check("d/a>d/~1 d>e e/~1>e/b -c", 1, &[3, 1]);
        // It never ends: the rest is no group of its own for that.
        check("a>~1 -b -c", 1, &[1, 1, 1]);
    }
}
