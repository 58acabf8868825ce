//! What one author changed since a time, and the way back: for each path at which a version of that author wins, the one before it becomes
//! a version of this node, made from the author's. Nothing is lost on this disk: what goes is kept as a version. Bytes come from where this
//! node has them, from versions that it kept, or from peers.
//!
//! Invariant: the time is that at which a commit came here, which no author can set.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use swarm_core::base::NodeId;
use swarm_library::{Commit, Head, Record, State};
use swarm_sync::{
    ContentHash, DeedEnd, Entry, KeptId, Kind, Op, OpKind, Replica as _, RunId, Side, Source, Stamp, TreePath,
};
use utoipa::ToSchema;

use super::error::LibraryError;
use super::session::Session;
use super::view_side::ViewSide;

/// A node that changed a library.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AuthorView {
    /// Who.
    pub node: String,
    /// Commits of it that are known here.
    pub commits: u64,
    /// Milliseconds since 1970, when the last one came here.
    pub last_seen_at_ms: u64,
    /// Commits that are only carried, because the node is not trusted.
    pub carried: u64,
}

/// What was taken back of an author, or would be.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct TakenBackView {
    /// Paths that get what they had before.
    pub back: u64,
    /// Paths that the author added, and that go.
    pub gone: u64,
    /// Bytes of earlier versions that are not on this machine: peers are asked for them.
    pub wanted_len: u64,
    /// Some of the paths.
    pub paths: Vec<TakenBackPath>,
    /// Paths that stay as they are, and why.
    #[schema(value_type = Vec<Vec<String>>)]
    pub refused: Vec<(String, String)>,
}

/// A path that is taken back.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TakenBackPath {
    /// The path.
    pub path: String,
    /// `file`, `folder`, `symlink` or `nothing`: what the author made of it.
    pub from: String,
    /// The same of what it becomes.
    pub to: String,
    /// Whether the bytes are on this machine.
    pub is_here: bool,
}

/// A path at which a version of the author wins.
struct Step {
    path: TreePath,
    winner: Head,
    before: Option<State>,
}

impl Session {
    /// The nodes that signed commits.
    pub(crate) fn authors(&self) -> Result<Vec<AuthorView>, LibraryError> {
        let mut views: BTreeMap<NodeId, AuthorView> = BTreeMap::new();
        for known in self.book.log(COMMITS_LOOKED_AT)? {
            let new = || AuthorView {
                node: known.author.to_string(),
                commits: 0,
                last_seen_at_ms: known.seen_at_ms,
                carried: 0,
            };
            let view = views.entry(known.author).or_insert_with(new);
            view.commits += 1;
            view.carried += u64::from(!known.is_applied);
        }
        Ok(views.into_values().collect())
    }

    /// Takes back what an author did since a time in milliseconds since 1970; only says what that would be if it is a `rehearsal`.
    pub(crate) fn take_back(
        &mut self,
        author: &NodeId,
        since_ms: u64,
        is_rehearsal: bool,
    ) -> Result<TakenBackView, LibraryError> {
        let steps = self.steps(author, since_ms)?;
        let going: BTreeSet<TreePath> =
            steps.iter().filter(|step| is_removal(step)).map(|step| step.path.clone()).collect();
        let (mut report, mut ops, mut removals) = (TakenBackView::default(), Vec::new(), Vec::new());
        for step in &steps {
            let Some(op) = op_of(step) else { continue };
            if is_removal(step) {
                if self.has_other_entries(step, &going)? {
                    let why = "others have put something into the folder".to_owned();
                    refuse(&mut report, &step.path, why);
                    continue;
                }
                report.gone += 1;
                removals.push(op);
            } else {
                report.back += 1;
                ops.push(op);
            }
            self.describe(step, &mut report)?;
        }
        if !is_rehearsal {
            // What stands in a folder goes before it.
            ops.extend(removals.into_iter().rev());
            self.sign_all(ops, &mut report)?;
        }
        Ok(report)
    }

    /// Paths at which a version wins that came from the author since then, in path order.
    fn steps(&self, author: &NodeId, since_ms: u64) -> Result<Vec<Step>, LibraryError> {
        let log = self.book.log(COMMITS_LOOKED_AT)?;
        let (undone, rest): (Vec<_>, Vec<_>) = log
            .into_iter()
            .filter(|known| known.is_applied)
            .partition(|known| known.author == *author && known.seen_at_ms >= since_ms);
        let numbers: BTreeSet<u64> = undone.iter().map(|known| known.seq).collect();
        let mut winners: BTreeMap<TreePath, Head> = BTreeMap::new();
        for known in &undone {
            for record in self.records(&known.author, known.seq)? {
                let heads = self.book.heads(&record.path)?;
                let is_its =
                    |head: &&Head| head.record.author == *author && numbers.contains(&head.record.seq);
                if let Some(winner) = heads.winner().filter(is_its) {
                    winners.insert(record.path, winner.clone());
                }
            }
        }
        let mut before: BTreeMap<TreePath, Record> = BTreeMap::new();
        for known in rest {
            for record in self.records(&known.author, known.seq)? {
                let Some(winner) = winners.get(&record.path) else { continue };
                let is_later = |known: &Record| record.vector.includes(&known.vector);
                if winner.vector.includes(&record.vector) && before.get(&record.path).is_none_or(is_later) {
                    before.insert(record.path.clone(), record);
                }
            }
        }
        let step = |(path, winner): (TreePath, Head)| {
            let before = before.remove(&path).map(|record| record.state);
            Step { path, winner, before }
        };
        Ok(winners.into_iter().map(step).collect())
    }

    fn records(&self, author: &NodeId, seq: u64) -> Result<Vec<Record>, LibraryError> {
        let Some(bytes) = self.book.commit(author, seq)? else { return Ok(Vec::new()) };
        // What cannot be read was never taken.
        Ok(self.signer.keys.records_of(&Commit::decode(bytes)?).unwrap_or_default())
    }

    /// Whether something stands in a folder that stays.
    fn has_other_entries(&self, step: &Step, going: &BTreeSet<TreePath>) -> Result<bool, LibraryError> {
        if step.winner.state.kind() != Some(&Kind::Folder) {
            return Ok(false);
        }
        let below = self.book.view(Some(&step.path), Some(&step.path), ENTRIES_LOOKED_AT)?;
        Ok(below.iter().any(|entry| !going.contains(&entry.path)))
    }

    /// Notes a path in the report, and where its bytes are.
    fn describe(&mut self, step: &Step, report: &mut TakenBackView) -> Result<(), LibraryError> {
        let state = step.before.as_ref();
        let file = state.and_then(|state| state.kind()?.file().copied());
        let is_here = match file.filter(|file| file.len > 0) {
            Some(file) => self.finds(&step.path, &file.hash)?,
            None => true,
        };
        report.wanted_len += file.filter(|_| !is_here).map_or(0, |file| file.len);
        if report.paths.len() < PATHS_SHOWN {
            report.paths.push(TakenBackPath {
                path: step.path.to_string(),
                from: word(step.winner.state.kind()),
                to: word(state.and_then(State::kind)),
                is_here,
            });
        }
        Ok(())
    }

    /// Whether the bytes of an earlier version of a path are on this disk. One that was kept is found by the runs that use it from now on.
    fn finds(&mut self, path: &TreePath, hash: &ContentHash) -> Result<bool, LibraryError> {
        if self.arrivals.has(hash) || !self.book.places_of(hash)?.is_empty() {
            return Ok(true);
        }
        let Some(kept) = self.kept_with(path, hash)? else { return Ok(false) };
        self.arrivals.insert_kept(*hash, kept);
        Ok(true)
    }

    /// A kept version of a path with these bytes.
    fn kept_with(&self, path: &TreePath, hash: &ContentHash) -> Result<Option<KeptId>, LibraryError> {
        for (_, deed) in self.index.deeds_of_path(path)? {
            let DeedEnd::Done { kept: Some(id), .. } = &deed.end else { continue };
            let was = deed.op.expected.as_ref().and_then(|entry| entry.file());
            let is_it = deed.side == Side::Local && was.is_some_and(|file| file.hash == *hash);
            // Its time may be over.
            if is_it && self.overlay.kept_source(id).read_at(0, &mut [0]).is_ok_and(|len| len > 0) {
                return Ok(Some(id.clone()));
            }
        }
        Ok(None)
    }

    /// Makes operations versions of this node.
    fn sign_all(&mut self, ops: Vec<Op>, report: &mut TakenBackView) -> Result<(), LibraryError> {
        let view =
            ViewSide::new(&self.overlay, (&self.arrivals, &self.digests), &self.signer, &mut self.book);
        let paths: Vec<TreePath> = ops.iter().map(|op| op.path.clone()).collect();
        let done = view.perform(RunId::at_ms(0), ops.into_iter().map(|op| (op, None)).collect());
        view.settle().map_err(LibraryError::Mounts)?;
        for (path, done) in paths.iter().zip(done) {
            match done {
                // No run wrote this row: the next one carries it to this disk.
                Ok(_) => self.book.restore_row(path, &self.signer.key.public())?,
                Err(error) => refuse(report, path, error.to_string()),
            }
        }
        Ok(())
    }
}

fn refuse(report: &mut TakenBackView, path: &TreePath, why: String) {
    if report.refused.len() < PATHS_SHOWN {
        report.refused.push((path.to_string(), why));
    }
}

fn is_removal(step: &Step) -> bool {
    step.winner.state.is_live() && !step.before.as_ref().is_some_and(State::is_live)
}

/// What leads back; nothing if the same stands there.
fn op_of(step: &Step) -> Option<Op> {
    let expected = step
        .winner
        .state
        .kind()
        .map(|kind| Box::new(Entry { kind: kind.clone(), modified_ns: 0, stamp: Stamp::default() }));
    let kind = match &step.before {
        Some(State::Live(live)) if step.winner.state.kind() == Some(&live.kind) => return None,
        Some(State::Live(live)) => OpKind::Put {
            content: live.kind.clone(),
            modified_ns: live.modified_ns,
            source: Source::Other { path: step.path.clone() },
        },
        Some(State::Deleted) | None if step.winner.state.is_live() => OpKind::Remove,
        Some(State::Deleted) | None => return None,
    };
    Some(Op { path: step.path.clone(), kind, expected })
}

fn word(kind: Option<&Kind>) -> String {
    let word = match kind {
        Some(Kind::File(_)) => "file",
        Some(Kind::Folder) => "folder",
        Some(Kind::Symlink { .. }) => "symlink",
        None => "nothing",
    };
    word.to_owned()
}

/// Commits that are looked through.
const COMMITS_LOOKED_AT: usize = 1 << 20;
/// Entries of a folder that are looked through for one that stays.
const ENTRIES_LOOKED_AT: usize = 1 << 20;
/// Paths that a report names.
const PATHS_SHOWN: usize = 10_000;
