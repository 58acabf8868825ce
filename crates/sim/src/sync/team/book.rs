//! What a daemon remembers of its library: the twin in memory of the product's tables, with the same steps in the same order. Invariant: each
//! method is one transaction, and durable when it returns. Planted bugs break one step each.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use swarm_core::base::NodeId;
use swarm_library::{
    BaseChange, Commit, CommitId, Frontier, Head, Heads, Live, Position, Record, RecordRef, State, Step,
    ViewReader, VoteSet, take,
};
use swarm_sync::{
    ContentHash, Entry, FileContent, Index, IndexStep, Kind, MemoryIndex, Observation, Rebase, Side, Stamp,
    TreePath,
};

use super::bug::TeamBug;

/// Shared by a daemon's pass, its view and its index. A world runs in one thread.
#[derive(Clone)]
pub(super) struct SharedBook(Arc<Mutex<Book>>);

impl SharedBook {
    pub(super) fn new(book: Book) -> Self {
        Self(Arc::new(Mutex::new(book)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a commit stands to what is known of its author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Next,
    Known,
    Gap,
    Equivocation,
}

/// How a proposal ended here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ended {
    Approved,
    Refused,
    Expired,
    Withdrawn,
}

/// A commit of which records wait, or waited.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) commit: Commit,
    /// Yes that it needs by the policy of this daemon.
    pub(super) votes: u32,
    pub(super) seen_at_ms: u64,
    pub(super) ended: Option<Ended>,
}

#[derive(Clone, Debug)]
struct Stored {
    commit: Commit,
    is_applied: bool,
}

pub(super) struct Book {
    pub(super) me: NodeId,
    pub(super) bug: Option<TeamBug>,
    pub(super) index: MemoryIndex,
    commits: BTreeMap<NodeId, Vec<Stored>>,
    pub(super) heads: BTreeMap<TreePath, Heads>,
    held: BTreeMap<(NodeId, u64, u32), Record>,
    /// Records of proposals that came to nothing, so far as is known.
    dropped: BTreeMap<(NodeId, u64, u32), Record>,
    pub(super) proposals: BTreeMap<CommitId, Waiting>,
    pub(super) votes: BTreeMap<CommitId, VoteSet>,
    /// Authors that signed two histories.
    pub(super) forked: BTreeSet<NodeId>,
    /// The last commit of one's own of which the trees tell.
    recorded: u64,
    /// The greatest counter of one's own versions.
    pub(super) own_counter: u64,
    /// Records that were taken, for the checker.
    taken: BTreeSet<(NodeId, u64, u32)>,
    /// How often the records of a commit were taken, for the checker.
    pub(super) applied: BTreeMap<(NodeId, u64), u32>,
}

/// Who changes the remote tree.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The run of this node that made the records.
    Own,
    /// The taking of them.
    Peer,
}

impl Book {
    pub(super) fn new(me: NodeId, bug: Option<TeamBug>) -> Self {
        Self {
            me,
            bug,
            index: MemoryIndex::default(),
            commits: BTreeMap::new(),
            heads: BTreeMap::new(),
            held: BTreeMap::new(),
            dropped: BTreeMap::new(),
            proposals: BTreeMap::new(),
            votes: BTreeMap::new(),
            forked: BTreeSet::new(),
            recorded: 0,
            own_counter: 0,
            taken: BTreeSet::new(),
            applied: BTreeMap::new(),
        }
    }

    pub(super) fn has(&self, bug: TeamBug) -> bool {
        self.bug == Some(bug)
    }

    pub(super) fn place_of(&self, commit: &Commit) -> Place {
        let header = commit.header();
        let all = self.commits.get(&header.author).map_or(&[][..], Vec::as_slice);
        let (last, seq) = (all.last(), header.seq);
        let next = all.len() as u64 + 1;
        match seq.cmp(&next) {
            std::cmp::Ordering::Greater => Place::Gap,
            std::cmp::Ordering::Equal if header.previous == last.map(|last| last.commit.id()) => Place::Next,
            std::cmp::Ordering::Less if all[seq as usize - 1].commit.id() == commit.id() => Place::Known,
            std::cmp::Ordering::Equal | std::cmp::Ordering::Less => Place::Equivocation,
        }
    }

    pub(super) fn last_of(&self, author: &NodeId) -> Option<(u64, CommitId)> {
        let last = self.commits.get(author)?.last()?;
        Some((last.commit.header().seq, last.commit.id()))
    }

    pub(super) fn frontier(&self) -> Frontier {
        let last = self.commits.keys().filter_map(|author| {
            let (seq, id) = self.last_of(author)?;
            Some(Position { author: *author, seq, id })
        });
        Frontier::from_positions(last).unwrap_or_default()
    }

    pub(super) fn id_at(&self, author: &NodeId, seq: u64) -> Option<CommitId> {
        let all = self.commits.get(author)?;
        all.get((seq as usize).checked_sub(1)?).map(|stored| stored.commit.id())
    }

    /// Commits of an author after this number.
    pub(super) fn after(&self, author: &NodeId, seq: u64) -> Vec<Commit> {
        let all = self.commits.get(author).map_or(&[][..], Vec::as_slice);
        all.iter().skip(seq as usize).map(|stored| stored.commit.clone()).collect()
    }

    pub(super) fn commit_by_id(&self, id: &CommitId) -> Option<Commit> {
        let mut all = self.commits.values().flatten();
        all.find(|stored| stored.commit.id() == *id).map(|stored| stored.commit.clone())
    }

    pub(super) fn all_commits(&self) -> impl Iterator<Item = &Commit> {
        self.commits.values().flatten().map(|stored| &stored.commit)
    }

    /// What stands at a path by the versions that hold.
    pub(super) fn standing(&self, path: &TreePath) -> Option<Kind> {
        self.heads.get(path)?.winner()?.state.kind().cloned()
    }

    // Transactions.

    /// Stores a commit of an author that does not count.
    pub(super) fn carry(&mut self, commit: &Commit) {
        if !self.has(TeamBug::CarriesNothing) {
            self.insert(commit, false);
        }
    }

    /// Takes a commit that came from a peer.
    pub(super) fn take_peer(&mut self, commit: &Commit, records: &[Record], votes: &[u32], now_ms: u64) {
        self.insert(commit, true);
        self.apply(commit, records, votes, Way::Peer, now_ms);
    }

    /// Takes a commit of this node, whose run changes the remote tree itself.
    pub(super) fn take_own(&mut self, commit: &Commit, records: &[Record], votes: &[u32], now_ms: u64) {
        if !(self.has(TeamBug::SeqReused) && commit.header().seq.is_multiple_of(2)) {
            self.insert(commit, true);
        }
        let counters = records.iter().map(|record| record.vector.counter(&self.me));
        self.own_counter = counters.fold(self.own_counter, u64::max);
        self.apply(commit, records, votes, Way::Own, now_ms);
    }

    /// The trees tell of all commits of one's own: a run that was cut off did not come to it, and a version that lost at once is a conflict.
    pub(super) fn settle_own(&mut self) {
        let (me, seq) = (self.me, self.recorded);
        if self.has(TeamBug::OwnNotSettled) {
            return;
        }
        for commit in self.after(&me, seq) {
            for record in commit.records().unwrap_or_default() {
                self.settle_own_record(&record);
            }
            self.recorded = commit.header().seq;
        }
    }

    fn settle_own_record(&mut self, record: &Record) {
        let is_held = self.is_held(&record.path);
        let winner = self.winner(&record.path).cloned();
        let is_winner = winner.as_ref().is_some_and(|winner| winner.state.says_the_same(&record.state));
        if is_held && !record.state.is_live() {
            // What stands there again was put back: a deletion that waits takes nothing from the folder.
            self.see(&record.path, None);
            self.force_base(&record.path, None);
        } else if is_held || is_winner {
            // The base is only ever what both have: the folder may have something else by now.
            self.see(&record.path, entry_of(&record.state));
            self.step(IndexStep::Agree(record.path.clone()));
        } else {
            self.set_base_of_lost(&record.path);
        }
        self.refresh(&record.path);
    }

    /// Takes a commit that was carried so far.
    pub(super) fn take_carried(&mut self, commit: &Commit, records: &[Record], votes: &[u32], now_ms: u64) {
        let header = commit.header();
        let all = self.commits.get_mut(&header.author);
        let is_marked = self.bug != Some(TeamBug::CarriedNotMarked);
        if let Some(stored) = all.and_then(|all| all.get_mut(header.seq as usize - 1)) {
            stored.is_applied = is_marked;
        }
        self.apply(commit, records, votes, Way::Peer, now_ms);
    }

    /// Commits of an author that were only carried so far.
    pub(super) fn carried_of(&self, author: &NodeId) -> Vec<Commit> {
        let all = self.commits.get(author).map_or(&[][..], Vec::as_slice);
        all.iter().filter(|stored| !stored.is_applied).map(|stored| stored.commit.clone()).collect()
    }

    /// The records of a proposal hold now.
    pub(super) fn take_held(&mut self, commit: &Commit) {
        for (index, record) in self.waiting_of(commit) {
            let key = key_of(commit, index);
            self.held.remove(&key);
            self.dropped.remove(&key);
            if !self.has(TeamBug::ApprovedForgotten) {
                self.take(reference(commit, index), &record, Way::Peer);
            }
        }
    }

    /// Notes how a proposal ended; its records are forgotten, unless they were taken before. What a proposal of this daemon did to the view is
    /// taken back in the same transaction: a kill must not come between the two.
    pub(super) fn end_proposal(&mut self, id: &CommitId, end: Ended, restores: bool) -> Vec<TreePath> {
        let Some(waiting) = self.proposals.get_mut(id) else { return Vec::new() };
        waiting.ended = Some(end);
        let commit = waiting.commit.clone();
        let held = self.held_of(&commit);
        for (index, record) in &held {
            let key = key_of(&commit, *index);
            self.held.remove(&key);
            // Votes that were signed in time may still come.
            self.dropped.insert(key, record.clone());
        }
        let paths: Vec<TreePath> = held.into_iter().map(|(_, record)| record.path).collect();
        if restores && commit.header().author == self.me {
            paths.iter().for_each(|path| self.restore_row(path));
        }
        paths
    }

    /// Makes the row of a path what the view has there.
    pub(super) fn restore_row(&mut self, path: &TreePath) {
        let entry = self.winner(path).and_then(|head| entry_of(&head.state));
        self.see(path, entry);
        self.refresh(path);
    }

    /// A version of this daemon that lost while a proposal hid that is a conflict from now on.
    fn set_base_of_lost(&mut self, path: &TreePath) {
        let lost = self.heads.get(path).and_then(|heads| heads.origin_of_lost(&self.me));
        if let Some(parent) = lost.filter(|_| !self.is_held(path)) {
            self.set_base(path, BaseChange::Parent(parent));
        }
    }

    /// Makes the rows of a path and of the folders above it what the view has there, but for what a proposal of this node says. A folder stands
    /// wherever something stands in it.
    fn refresh(&mut self, path: &TreePath) {
        for place in std::iter::once(path.clone()).chain(path.ancestors()) {
            let is_held = self.is_held(&place);
            let row = self.index.side(Side::Remote).get(&place).cloned();
            let winner = self.winner(&place);
            let is_own = winner.is_some_and(|head| head.record.author == self.me);
            let own = if is_held { row.clone() } else { winner.and_then(|head| entry_of(&head.state)) };
            let is_implied = !self.has(TeamBug::FoldersNotImplied) && self.has_below(&place);
            let entry = match own {
                Some(entry) if entry.is_folder() || !is_implied => Some(entry),
                // The author of a file where others put something hears of it as of a conflict, whether it holds or waits.
                Some(_) if is_own || is_held => {
                    self.force_base(&place, None);
                    Some(folder())
                }
                Some(_) => Some(folder()),
                None => is_implied.then(folder),
            };
            if row.map(|row| row.kind) != entry.as_ref().map(|entry| entry.kind.clone()) {
                self.see(&place, entry);
            }
        }
    }

    /// What is known of disputed paths, for the trace.
    pub(super) fn words(&self) -> String {
        let kind = |kind: Option<&Kind>| match kind {
            None => "-".to_owned(),
            Some(Kind::File(file)) => format!("{:?}", file.hash),
            Some(other) => format!("{other:?}"),
        };
        let head = |head: &Head| {
            let vector =
                head.vector.iter().map(|(node, n)| format!("{}:{}", node.as_bytes()[0], n % 100_000));
            let vector: Vec<String> = vector.collect();
            let (author, state) = (head.record.author.as_bytes()[0], kind(head.state.kind()));
            format!("{state} by {author}[{}]", vector.join(" "))
        };
        let word = |(path, heads): (&TreePath, &Heads)| {
            let all: Vec<String> = heads.all().iter().map(head).collect();
            let row = kind(self.index.side(Side::Remote).get(path).map(|entry| &entry.kind));
            let base = kind(self.index.base().get(path).map(|base| &base.kind));
            let held = if self.is_held(path) { " held" } else { "" };
            format!("{path}: {} row {row} base {base}{held}", all.join(" | "))
        };
        self.heads.iter().map(word).collect::<Vec<_>>().join("; ")
    }

    fn see(&mut self, path: &TreePath, entry: Option<Entry>) {
        self.step(IndexStep::Observe(Side::Remote, Observation { path: path.clone(), entry }));
    }

    fn has_below(&self, place: &TreePath) -> bool {
        self.index.side(Side::Remote).keys().any(|path| path.is_below(place))
    }

    /// What the row of a path has to be: what the view has there, or a folder where something stands in it.
    pub(super) fn expected_row(&self, path: &TreePath) -> Option<Kind> {
        let winner = self.standing(path);
        if self.has_below(path) { Some(Kind::Folder) } else { winner }
    }

    /// Records of a commit that wait.
    pub(super) fn held_of(&self, commit: &Commit) -> Vec<(u32, Record)> {
        let range = key_of(commit, 0)..=key_of(commit, u32::MAX);
        self.held.range(range).map(|((_, _, index), record)| (*index, record.clone())).collect()
    }

    /// The same, and those that waited until the proposal came to nothing.
    fn waiting_of(&self, commit: &Commit) -> Vec<(u32, Record)> {
        let range = key_of(commit, 0)..=key_of(commit, u32::MAX);
        let all = self.held.range(range.clone()).chain(self.dropped.range(range));
        all.map(|((_, _, index), record)| (*index, record.clone())).collect()
    }

    /// The last record of an author at a path that waits.
    fn held_at(&self, author: &NodeId, path: &TreePath) -> Option<&Record> {
        let own = self.held.range((*author, 0, 0)..=(*author, u64::MAX, u32::MAX));
        own.rev().map(|(_, record)| record).find(|record| record.path == *path)
    }

    /// Whether all commits of which records were taken or are held are known as such.
    pub(super) fn is_marked(&self) -> bool {
        let mut all = self.commits.values().flatten();
        all.all(|stored| {
            let header = stored.commit.header();
            stored.is_applied || !self.applied.contains_key(&(header.author, header.seq))
        })
    }

    /// Places of the records of a commit that were taken.
    pub(super) fn taken_of(&self, commit: &Commit) -> BTreeSet<u32> {
        let id = (commit.header().author, commit.header().seq);
        let all = 0..commit.header().record_count;
        let is_taken = |index: &u32| self.taken.contains(&(id.0, id.1, *index));
        all.filter(is_taken).collect()
    }

    /// Whether a record of this daemon at a path waits.
    pub(super) fn is_held(&self, path: &TreePath) -> bool {
        self.held_at(&self.me, path).is_some()
    }

    pub(super) fn step(&mut self, step: IndexStep) {
        self.index.apply(vec![step]).unwrap_or_else(|never| match never {});
    }

    fn insert(&mut self, commit: &Commit, is_applied: bool) {
        let all = self.commits.entry(commit.header().author).or_default();
        all.push(Stored { commit: commit.clone(), is_applied });
    }

    fn apply(&mut self, commit: &Commit, records: &[Record], votes: &[u32], way: Way, now_ms: u64) {
        let header = commit.header();
        *self.applied.entry((header.author, header.seq)).or_default() += 1;
        let count = if self.has(TeamBug::HalfIsTaken) { records.len().div_ceil(2) } else { records.len() };
        for (index, record) in (0_u32..).zip(&records[..count]) {
            match votes.get(index as usize).copied().unwrap_or(0) {
                0 => self.take(reference(commit, index), record, way),
                votes => self.hold(commit, index, record, votes, now_ms),
            }
        }
    }

    fn hold(&mut self, commit: &Commit, index: u32, record: &Record, votes: u32, now_ms: u64) {
        let begin = || Waiting { commit: commit.clone(), votes: 0, seen_at_ms: now_ms, ended: None };
        let waiting = self.proposals.entry(commit.id()).or_insert_with(begin);
        waiting.votes = waiting.votes.max(votes);
        self.held.insert(key_of(commit, index), record.clone());
    }

    fn take(&mut self, reference: RecordRef, record: &Record, way: Way) {
        self.taken.insert((reference.author, reference.seq, reference.index));
        let before = self.heads.get(&record.path).cloned().unwrap_or_default();
        let Record { state, vector, parent, .. } = record.clone();
        let head = Head { record: reference, state, vector, parent };
        let Some(Step { heads, base, .. }) = self.taken(&before, head) else {
            // A proposal of one's own may have ended like this.
            if way == Way::Peer {
                self.set_base_of_lost(&record.path);
                self.refresh(&record.path);
            }
            return;
        };
        self.heads.insert(record.path.clone(), heads);
        if way == Way::Own {
            return;
        }
        if !self.has(TeamBug::BaseForgotten) {
            self.set_base(&record.path, base);
        }
        if !self.has(TeamBug::RowsForgotten) {
            self.refresh(&record.path);
        }
    }

    fn taken(&self, before: &Heads, head: Head) -> Option<Step> {
        if self.has(TeamBug::LastVersionWins) {
            let heads = Heads::of(vec![head]);
            return Some(Step { heads, is_changed: true, base: BaseChange::Keep });
        }
        take(before, head, &self.me)
    }

    /// The version that stands for now.
    fn winner(&self, path: &TreePath) -> Option<&Head> {
        let heads = self.heads.get(path)?;
        if self.has(TeamBug::DeletionWins) {
            return heads.all().iter().find(|head| !head.state.is_live()).or(heads.winner());
        }
        if self.has(TeamBug::OwnWins) {
            let own = heads.all().iter().find(|head| head.record.author == self.me);
            return own.or(heads.winner());
        }
        heads.winner()
    }

    fn set_base(&mut self, path: &TreePath, change: BaseChange) {
        let kind = match change {
            BaseChange::Keep => return,
            BaseChange::Parent(None) | BaseChange::Settled(None) => None,
            BaseChange::Parent(Some(parent)) => match self.base_of_content(path, parent) {
                Known::AsItIs => return,
                Known::Other(kind) => kind.map(|kind| (kind, 0)),
            },
            BaseChange::Settled(Some(live)) => Some((live.kind, live.modified_ns)),
        };
        self.force_base(path, kind);
    }

    fn base_of_content(&self, path: &TreePath, parent: ContentHash) -> Known {
        let known = self.index.base().get(path).and_then(|base| base.kind.file());
        if known.is_some_and(|file| file.hash == parent) {
            return Known::AsItIs;
        }
        let text = self.index.text(&parent).unwrap_or_else(|never| match never {});
        let file = |text: Vec<u8>| FileContent { len: text.len() as u64, hash: parent, executable: false };
        Known::Other(text.map(|text| Kind::File(file(text))))
    }

    /// The index in memory has no step for this, since the base of two folders is only ever what both had.
    fn force_base(&mut self, path: &TreePath, base: Option<(Kind, i64)>) {
        let Some((kind, modified_ns)) = base else {
            return self.step(IndexStep::Rebase(vec![Rebase { from: path.clone(), to: None }]));
        };
        let observe = |side, entry| IndexStep::Observe(side, Observation { path: path.clone(), entry });
        let rows = Side::BOTH.map(|side| (side, self.index.side(side).get(path).cloned()));
        let entry = Entry { kind, modified_ns, stamp: Stamp::default() };
        Side::BOTH.into_iter().for_each(|side| self.step(observe(side, Some(entry.clone()))));
        self.step(IndexStep::Agree(path.clone()));
        rows.into_iter().for_each(|(side, entry)| self.step(observe(side, entry)));
    }
}

enum Known {
    AsItIs,
    Other(Option<Kind>),
}

impl ViewReader for Book {
    type Error = Infallible;

    fn heads(&self, path: &TreePath) -> Result<Heads, Infallible> {
        Ok(self.heads.get(path).cloned().unwrap_or_default())
    }

    fn row(&self, path: &TreePath) -> Result<Option<Entry>, Infallible> {
        Ok(self.index.side(Side::Remote).get(path).cloned())
    }

    fn below(&self, place: &TreePath) -> Result<Vec<(TreePath, Entry)>, Infallible> {
        let below = self.index.side(Side::Remote).iter().filter(|(path, _)| path.is_below(place));
        Ok(below.map(|(path, entry)| (path.clone(), entry.clone())).collect())
    }

    fn sha256(&self, _: &ContentHash) -> Result<Option<[u8; 32]>, Infallible> {
        Ok(None)
    }

    fn proposed(&self, path: &TreePath) -> Result<Option<Record>, Infallible> {
        Ok(self.held_at(&self.me, path).cloned())
    }
}

fn reference(commit: &Commit, index: u32) -> RecordRef {
    RecordRef { author: commit.header().author, seq: commit.header().seq, index }
}

fn key_of(commit: &Commit, index: u32) -> (NodeId, u64, u32) {
    (commit.header().author, commit.header().seq, index)
}

fn folder() -> Entry {
    Entry { kind: Kind::Folder, modified_ns: 0, stamp: Stamp::default() }
}

fn entry_of(state: &State) -> Option<Entry> {
    match state {
        State::Live(Live { kind, modified_ns, .. }) => {
            Some(Entry { kind: kind.clone(), modified_ns: *modified_ns, stamp: Stamp::default() })
        }
        State::Deleted => None,
    }
}
