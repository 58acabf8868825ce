//! The remote side of a daemon's pass: the view of its library. Operations become drafts, a settle makes signed commits of them. Bytes are
//! read from any peer that is reached, under any name.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use swarm_core::base::NodeId;
use swarm_core::manifest::SigningKey;
use swarm_library::{
    Commit, Draft, Drafted, Drafter, Drafts, Heads, LibraryKey, Policy, Record, Vector, held,
};
use swarm_sync::{
    Blind, ContentHash, ContentSource, Done, Entry, Found, KeptId, Kind, NameRules, Op, OpKind, Replica,
    ReplicaError, RunId, Side, StageJob, Staged, Stamp, TreePath, Walk,
};

use super::super::disk::{Body, Disk, Node};
use super::super::hub::Shared;
use super::book::{Book, SharedBook};
use super::bug::TeamBug;
use super::ledger::SharedLedger;

/// Who signs, and by what rules.
#[derive(Clone)]
pub(super) struct Author {
    pub(super) at: usize,
    pub(super) key: Arc<SigningKey>,
    pub(super) me: NodeId,
    pub(super) library: LibraryKey,
    pub(super) policy: Policy,
}

/// The view of a daemon.
pub(super) struct View {
    pub(super) hub: Shared,
    pub(super) book: SharedBook,
    pub(super) ledger: SharedLedger,
    pub(super) author: Author,
    /// Disks from which bytes come: its own, and those of peers that are reached.
    pub(super) reached: Vec<usize>,
    pub(super) drafts: Mutex<Drafts>,
    /// Paths that operations of this pass took away.
    pub(super) gone: Mutex<BTreeSet<TreePath>>,
}

impl View {
    fn drafts(&self) -> MutexGuard<'_, Drafts> {
        self.drafts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before and after each effect something may happen, as on a disk.
    fn effect(&self, is_settle: bool) -> Result<(), ReplicaError> {
        let mut hub = self.hub.lock();
        hub.advance();
        let running = hub.running.as_ref();
        let is_over = running.is_some_and(|running| running.is_dead || (running.is_stopped && !is_settle));
        if is_over { Err(ReplicaError::Stopped) } else { Ok(()) }
    }

    fn drafter(&self, book: &Book) -> Drafter {
        let clock_s = now_ms(&self.hub, self.author.at) / 1000;
        Drafter { me: self.author.me, now_s: clock_s.max(book.own_counter + 1) }
    }

    fn draft(&self, op: &Op) -> Result<Done, ReplicaError> {
        self.effect(false)?;
        let book = self.book.lock();
        if op.kind == OpKind::Remove && self.has_below(&book, &op.path) {
            self.hub.lock().count("draft refused: folder is not empty");
            return Err(ReplicaError::NotEmpty { path: op.path.clone() });
        }
        let drafted =
            self.drafts().draft(op, &*book, self.drafter(&book)).unwrap_or_else(|never| match never {});
        if drafted == Drafted::Done {
            self.note_gone(&book, op);
        }
        let mut hub = self.hub.lock();
        hub.tell(format_args!("  daemon {} drafts {op:?}: {drafted:?}", self.author.at));
        match drafted {
            Drafted::Done => Ok(Done { now: entry_after(op), kept: None }),
            Drafted::Changed => {
                hub.count("draft refused");
                Err(ReplicaError::Changed { path: op.path.clone() })
            }
        }
    }

    /// Whether an entry stands below a folder once the drafts hold.
    fn has_below(&self, book: &Book, folder: &TreePath) -> bool {
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rows = book.index.side(Side::Remote).keys();
        rows.any(|path| path.is_below(folder) && !gone.contains(path))
    }

    fn note_gone(&self, book: &Book, op: &Op) {
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.remove(&op.path);
        match &op.kind {
            OpKind::Remove => {
                gone.insert(op.path.clone());
            }
            OpKind::Move { from } => {
                let rows = book.index.side(Side::Remote).keys();
                gone.extend(rows.filter(|path| path.is_at_or_below(from)).cloned());
            }
            OpKind::MakeFolder | OpKind::Put { .. } | OpKind::SetExecutable { .. } => {}
        }
    }

    /// Drafts that this node follows the winner where its own version lost and the winner stands on its disk.
    pub(super) fn settle_lost(&self) -> Result<(), ReplicaError> {
        self.effect(false)?;
        {
            let book = self.book.lock();
            let local = book.index.side(Side::Local);
            let is_followed = |path: &TreePath, heads: &Heads| {
                let here = local.get(path).map(|entry| entry.kind.clone());
                here == book.expected_row(path) && heads.is_given_up(&self.author.me, here.as_ref())
            };
            let given_up = book.heads.iter().filter(|(path, heads)| is_followed(path, heads));
            let paths: Vec<TreePath> = given_up.map(|(path, _)| path.clone()).collect();
            for path in paths {
                self.hub.lock().count("own version lost, and its dispute ended");
                self.drafts()
                    .settle(&path, &*book, self.drafter(&book))
                    .unwrap_or_else(|never| match never {});
            }
        }
        self.settle()?;
        self.book.lock().settle_own();
        Ok(())
    }

    /// Signs records and takes them.
    pub(super) fn sign(&self, records: &[Record]) {
        let mut book = self.book.lock();
        let records = &mutated(&book, records);
        let after = book.last_of(&self.author.me);
        let made_at_ms = now_ms(&self.hub, self.author.at);
        let draft =
            Draft { library: self.author.library, after, content: None, made_at_ms, covers: 0, records };
        let commit = Commit::sign(&self.author.key, &draft).unwrap_or_else(|error| unreachable!("{error}"));
        self.ledger.lock().note(&commit, records);
        let votes = self.needs(&book, records);
        let mut hub = self.hub.lock();
        hub.count("commit");
        hub.tell(format_args!(
            "  daemon {} signs commit {}: {}, needs {votes:?}",
            self.author.at,
            commit.header().seq,
            words(records)
        ));
        drop(hub);
        book.take_own(&commit, records, &votes, made_at_ms);
    }

    fn needs(&self, book: &Book, records: &[Record]) -> Vec<u32> {
        if book.has(TeamBug::OwnIsNeverHeld) {
            return Vec::new();
        }
        needs(book, &self.author.policy, records)
    }
}

/// Votes that each record waits for; zero for none.
pub(super) fn needs(book: &Book, policy: &Policy, records: &[Record]) -> Vec<u32> {
    let needs = held(policy, records, &|path| book.standing(path));
    needs.into_iter().map(|need| need.map_or(0, |need| need.votes)).collect()
}

fn mutated(book: &Book, records: &[Record]) -> Vec<Record> {
    let mut records = records.to_vec();
    if book.has(TeamBug::VectorForgetsOthers) {
        for record in &mut records {
            record.vector = Vector::of(book.me, record.vector.counter(&book.me));
        }
    }
    if book.has(TeamBug::DeletionsNotSigned) && records.iter().any(|record| record.state.is_live()) {
        records.retain(|record| record.state.is_live());
    }
    records
}

/// Records for the trace.
pub(super) fn words(records: &[Record]) -> String {
    let word = |record: &Record| {
        let state = match record.state.kind() {
            None => "-".to_owned(),
            Some(Kind::Folder) => "/".to_owned(),
            Some(Kind::File(file)) => format!("{:?}{}", file.hash, if file.executable { "*" } else { "" }),
            Some(Kind::Symlink { target }) => format!("->{target}"),
        };
        let vector = record.vector.iter().map(|(node, n)| format!("{}:{}", node.as_bytes()[0], n % 100_000));
        let vector: Vec<String> = vector.collect();
        let from = record.moved_from.as_ref().map(|from| format!("<{from}")).unwrap_or_default();
        format!("{}={state}{from}[{}]", record.path, vector.join(" "))
    };
    records.iter().map(word).collect::<Vec<_>>().join(", ")
}

fn entry_after(op: &Op) -> Option<Entry> {
    let expected = op.expected.as_deref();
    let entry = |kind, modified_ns| Entry { kind, modified_ns, stamp: Stamp::default() };
    match &op.kind {
        OpKind::MakeFolder => Some(entry(Kind::Folder, 0)),
        OpKind::Put { content, modified_ns, .. } => Some(entry(content.clone(), *modified_ns)),
        OpKind::Move { .. } => expected.map(|was| entry(was.kind.clone(), was.modified_ns)),
        OpKind::SetExecutable { executable } => expected.and_then(|was| {
            let mut file = *was.file()?;
            file.executable = *executable;
            Some(entry(Kind::File(file), was.modified_ns))
        }),
        OpKind::Remove => None,
    }
}

/// Milliseconds since 1970 by the clock of a daemon's machine.
pub(super) fn now_ms(hub: &Shared, at: usize) -> u64 {
    u64::try_from(hub.lock().now_ns(at) / 1_000_000).unwrap_or(0)
}

impl Replica for View {
    fn names(&self) -> NameRules {
        NameRules::default()
    }

    fn recover(&self) -> Result<(), ReplicaError> {
        self.effect(false)?;
        self.book.lock().settle_own();
        Ok(())
    }

    fn walk(&self, _: Option<&TreePath>) -> Result<Walk, ReplicaError> {
        unreachable!("the view is what its index knows")
    }

    fn hash(&self, _: Vec<Found>) -> Vec<Result<(TreePath, Entry), Blind>> {
        Vec::new()
    }

    fn source(&self, path: &TreePath, expected: &Entry) -> Box<dyn ContentSource> {
        let (hub, reached) = (self.hub.clone(), self.reached.clone());
        Box::new(Fetched { hub, reached, path: path.clone(), hash: expected.file().map(|file| file.hash) })
    }

    fn kept_source(&self, kept: &KeptId) -> Box<dyn ContentSource> {
        let (hub, reached) = (self.hub.clone(), self.reached.clone());
        Box::new(Fetched { hub, reached, path: kept.path.clone(), hash: None })
    }

    /// Nothing is staged: bytes stay where they are until a peer asks for them.
    fn stage(&self, jobs: Vec<StageJob>, _: &(dyn Fn(u64) + Sync)) -> Vec<Result<Staged, ReplicaError>> {
        jobs.into_iter().map(|_| self.effect(false).map(|()| Staged(0))).collect()
    }

    fn settle_staged(&self) -> Result<(), ReplicaError> {
        Ok(())
    }

    fn settle(&self) -> Result<(), ReplicaError> {
        let batches = self.drafts().take_batches();
        if self.book.lock().has(TeamBug::DraftsForgotten) {
            return Ok(());
        }
        for records in batches {
            self.effect(true)?;
            self.sign(&records);
        }
        self.effect(true)
    }

    fn perform(&self, _: RunId, ops: Vec<(Op, Option<Staged>)>) -> Vec<Result<Done, ReplicaError>> {
        ops.iter().map(|(op, _)| self.draft(op)).collect()
    }
}

/// The bytes of a content, wherever they are reached.
struct Fetched {
    hub: Shared,
    reached: Vec<usize>,
    path: TreePath,
    hash: Option<ContentHash>,
}

impl ContentSource for Fetched {
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, ReplicaError> {
        let mut hub = self.hub.lock();
        hub.advance();
        if hub.running.as_ref().is_some_and(|running| running.is_dead || running.is_stopped) {
            return Err(ReplicaError::Stopped);
        }
        let nodes = self.reached.iter().map(|at| &hub.disks[*at]).filter(|disk| !disk.away).flat_map(served);
        let found = nodes.filter_map(|node| match &node.body {
            Body::File { bytes, .. } if Some(bytes.hash()) == self.hash => Some(bytes.as_slice()),
            Body::File { .. } | Body::Folder | Body::Symlink(_) | Body::Special => None,
        });
        let Some(bytes) = found.into_iter().next() else {
            return Err(ReplicaError::Changed { path: self.path.clone() });
        };
        let rest = bytes.get(offset as usize..).unwrap_or_default();
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

fn served(disk: &Disk) -> impl Iterator<Item = &Node> {
    disk.live().values().chain(disk.kept().values()).filter(|node| !node.locked)
}

/// Contents that can be read from these disks.
pub(super) fn available(hub: &Shared, reached: &[usize]) -> BTreeSet<ContentHash> {
    let hub = hub.lock();
    let disks = reached.iter().map(|at| &hub.disks[*at]).filter(|disk| !disk.away);
    disks.flat_map(served).filter_map(|node| node.kind()?.file().map(|file| file.hash)).collect()
}
