//! The view of a library as the remote side of a sync. Its bytes are those that peers sent, or that stand on this disk under any name; what a
//! run changes on it becomes records, and at the next settling signed commits. Invariant: a commit is stored, and its number remembered,
//! before the run goes on; no peer hears of it earlier.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use swarm_core::base::{ContentId, NodeId};
use swarm_core::manifest::{ContentFile, Hash, SigningKey, Tag, library_manifest};
use swarm_index::{IndexError, LibraryBook};
use swarm_library::{
    Commit, Draft, Drafted, Drafter, Drafts, EpochKey, Heads, LibraryKey, Policy, Record, ViewReader, held,
};
use swarm_mounts::Overlay;
use swarm_sync::{
    Blind, BlindWhy, ContentHash, ContentSource, Done, Entry, FileContent, Found, KeptId, Kind, NameRules,
    Op, OpKind, Replica, ReplicaError, RunId, StageJob, Staged, Stamp, TreePath, Walk,
};

use super::arrivals::Arrivals;
use super::digests::{DigestQueue, digest_of};
use super::keys::LibraryKeys;
use super::memory::{AuthorMemory, LastCommit};
use super::sealing::{seal_file, sealed_content_of};
use crate::clock;

/// What signs commits of this node in one library.
pub(crate) struct Signer {
    pub(crate) key: SigningKey,
    pub(crate) library: LibraryKey,
    pub(crate) memory: AuthorMemory,
    pub(crate) policy: Policy,
    pub(crate) keys: Arc<LibraryKeys>,
}

/// The view during one run.
pub(crate) struct ViewSide<'a> {
    pub(crate) local: &'a Overlay,
    pub(crate) arrivals: &'a Arrivals,
    pub(crate) digests: &'a DigestQueue,
    pub(crate) signer: &'a Signer,
    state: Mutex<State<'a>>,
}

struct State<'a> {
    book: &'a mut LibraryBook,
    drafts: Drafts,
    staged: u64,
    /// Commits that were made in this run.
    made: u64,
    /// Paths that operations of this run took away: the rows tell of them until their group is recorded.
    gone: BTreeSet<TreePath>,
}

impl<'a> ViewSide<'a> {
    pub(crate) fn new(
        local: &'a Overlay,
        (arrivals, digests): (&'a Arrivals, &'a DigestQueue),
        signer: &'a Signer,
        book: &'a mut LibraryBook,
    ) -> Self {
        let state = State { book, drafts: Drafts::default(), staged: 0, made: 0, gone: BTreeSet::new() };
        Self { local, arrivals, digests, signer, state: Mutex::new(state) }
    }

    /// Ends disputes at these paths, where the winner stands on this disk.
    pub(crate) fn settle_disputes(&self, paths: &[TreePath]) -> Result<(), ReplicaError> {
        let mut state = self.lock();
        let drafter = self.drafter(state.book)?;
        let State { book, drafts, .. } = &mut *state;
        let reader = self.reader(book)?;
        for path in paths {
            drafts.settle(path, &reader, drafter).map_err(|error| failed(path, &error))?;
        }
        self.commit(&mut state)
    }

    /// Ends disputes at these paths for the winners, whoever made the other versions. Returns how many there were.
    pub(crate) fn decide_disputes(&self, paths: &[TreePath]) -> Result<u64, ReplicaError> {
        let mut state = self.lock();
        let drafter = self.drafter(state.book)?;
        let State { book, drafts, .. } = &mut *state;
        let reader = self.reader(book)?;
        let mut decided = 0;
        for path in paths {
            let is_decided = drafts.decide(path, &reader, drafter).map_err(|error| failed(path, &error))?;
            decided += u64::from(is_decided);
        }
        self.commit(&mut state)?;
        Ok(decided)
    }

    /// How many commits were made.
    pub(crate) fn made(&self) -> u64 {
        self.lock().made
    }

    fn lock(&self) -> MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drafter(&self, book: &LibraryBook) -> Result<Drafter, ReplicaError> {
        let signed = book.own_counter().map_err(|error| lost(&error))?;
        Ok(Drafter { me: self.signer.key.public(), now_s: (clock::now_ms() / 1000).max(signed + 1) })
    }

    fn reader<'b>(&self, book: &'b LibraryBook) -> Result<BookReader<'b>, ReplicaError> {
        let me = self.signer.key.public();
        let has_held = book.has_held(&me).map_err(|error| lost(&error))?;
        Ok(BookReader { book, me, has_held, keys: Arc::clone(&self.signer.keys) })
    }

    /// Signs and stores what was drafted.
    fn commit(&self, state: &mut State<'a>) -> Result<(), ReplicaError> {
        if state.drafts.is_empty() {
            return Ok(());
        }
        self.digests.store(state.book).map_err(|error| lost(&error))?;
        for records in state.drafts.take_batches() {
            self.commit_batch(state, &records)?;
        }
        Ok(())
    }

    fn commit_batch(&self, state: &mut State<'a>, records: &[Record]) -> Result<(), ReplicaError> {
        let author = self.signer.key.public();
        let remembered = self.signer.memory.read().map_err(|error| lost(&error))?;
        let known = state.book.last_of(&author).map_err(|error| lost(&error))?;
        let known = known.map(|(seq, id)| LastCommit { seq, id });
        // The greater of both: the index may be a new one, the memory older by one commit that no peer heard of.
        let last = [remembered, known].into_iter().flatten().max_by_key(|last| last.seq);
        let sealing = self.signer.keys.sealing().map_err(|error| lost(&error))?;
        let content = match &sealing {
            None => content_of(state.book, records)?,
            Some((_, key)) => sealed_content_of(state.book, records, key, &|book, record, content| {
                self.seal_standing(book, record, content, key)
            })?,
        };
        let draft = Draft {
            library: self.signer.library,
            after: last.map(|last| (last.seq, last.id)),
            content,
            made_at_ms: clock::now_ms(),
            covers: 0,
            records,
        };
        let signed = match &sealing {
            None => Commit::sign(&self.signer.key, &draft),
            Some((epoch, key)) => Commit::sign_sealed(&self.signer.key, &draft, (*epoch, key)),
        };
        let commit = signed.map_err(|error| lost(&error))?;
        let votes = votes_of(&self.signer.policy, records, state.book).map_err(|error| lost(&error))?;
        let taken = state.book.take_own(&commit, records, &votes, clock::now_ms());
        taken.map_err(|error| lost(&error))?;
        let last = LastCommit { seq: commit.header().seq, id: commit.id() };
        self.signer.memory.write(last).map_err(|error| lost(&error))?;
        state.made += 1;
        Ok(())
    }
}

impl ViewSide<'_> {
    /// Seals a file that stands on this disk, and was not sealed with this key yet: one that was moved.
    fn seal_standing(
        &self,
        book: &LibraryBook,
        record: &Record,
        content: &FileContent,
        key: &EpochKey,
    ) -> Result<Vec<(Hash, Tag)>, ReplicaError> {
        for place in book.places_of(&content.hash).map_err(|error| lost(&error))? {
            if self.local.file_path(&place).is_none() {
                continue;
            }
            let kind = Kind::File(*content);
            let entry = Entry { kind, modified_ns: 0, stamp: Stamp::default() };
            let mut source = self.local.source(&place, &entry);
            if let Ok(sealed) = seal_file(&mut *source, &record.path, content, key) {
                return Ok(sealed);
            }
        }
        Err(ReplicaError::Changed { path: record.path.clone() })
    }
}

/// The votes that each record needs; nothing if none is held.
pub(crate) fn votes_of(
    policy: &Policy,
    records: &[Record],
    book: &LibraryBook,
) -> Result<Vec<u32>, IndexError> {
    if policy.holds_nothing() {
        return Ok(Vec::new());
    }
    let mut standing: BTreeMap<TreePath, Option<Kind>> = BTreeMap::new();
    for path in records.iter().flat_map(|record| [Some(&record.path), record.moved_from.as_ref()]).flatten() {
        for place in std::iter::once(path.clone()).chain(path.ancestors()) {
            // Those above a known place are known.
            let std::collections::btree_map::Entry::Vacant(unknown) = standing.entry(place) else { break };
            let heads = book.heads(unknown.key())?;
            unknown.insert(heads.winner().and_then(|head| head.state.kind()).cloned());
        }
    }
    let needs = held(policy, records, &|path: &TreePath| standing.get(path).cloned().flatten());
    Ok(needs.into_iter().map(|need| need.map_or(0, |need| need.votes)).collect())
}

/// The content that carries the files of these records; `None` if they have no bytes.
fn content_of(book: &mut LibraryBook, records: &[Record]) -> Result<Option<ContentId>, ReplicaError> {
    let carried = content_files(book, records).map_err(|error| lost(&error))?;
    if carried.files.is_empty() {
        return Ok(None);
    }
    // A commit without its content would be taken by all, and its files could be had by nobody.
    let manifest = library_manifest(carried.files).map_err(|error| lost(&error))?;
    if !carried.is_all {
        // Once the chunks of the others are known, it cannot be made again.
        book.put_manifest(&manifest.id(), manifest.body()).map_err(|error| lost(&error))?;
    }
    Ok(Some(manifest.id()))
}

/// The files that a content has.
pub(crate) struct Carried {
    pub(crate) files: Vec<ContentFile>,
    /// None of the records was left out.
    pub(crate) is_all: bool,
}

/// The files of the content of these records. A long file of which this node does not know the chunks is left out: it is one that never was on
/// this disk, moved together with its folder, and the commit that brought it still carries it.
pub(crate) fn content_files(book: &LibraryBook, records: &[Record]) -> Result<Carried, IndexError> {
    let mut carried = Carried { files: Vec::new(), is_all: true };
    for content in records.iter().filter_map(|record| record.state.kind()?.file()).filter(|file| file.len > 0)
    {
        let chunk_hashes = if swarm_core::manifest::content_chunk_len_log2(content.len) == 0 {
            Vec::new()
        } else {
            let Some(digest) = book.digest(&content.hash)? else {
                tracing::debug!(content = %content.hash, "a long file is not carried: its chunks are not known here");
                carried.is_all = false;
                continue;
            };
            digest.chunk_hashes
        };
        let chunk_hashes = chunk_hashes.into();
        carried.files.push(ContentFile { hash: content.hash.0, len: content.len, chunk_hashes });
    }
    Ok(carried)
}

impl Replica for ViewSide<'_> {
    /// Any name stands in a view: a side that cannot hold it says so.
    fn names(&self) -> NameRules {
        NameRules::default()
    }

    fn recover(&self) -> Result<(), ReplicaError> {
        Ok(())
    }

    /// The rows of the view are kept by the taking of commits: nothing is walked.
    fn walk(&self, _: Option<&TreePath>) -> Result<Walk, ReplicaError> {
        Ok(Box::new(std::iter::empty()))
    }

    fn hash(&self, files: Vec<Found>) -> Vec<Result<(TreePath, Entry), Blind>> {
        files.into_iter().map(|file| Err(Blind { path: file.path, why: BlindWhy::Changing })).collect()
    }

    fn source(&self, path: &TreePath, expected: &Entry) -> Box<dyn ContentSource> {
        let Some(content) = expected.file() else { return Box::new(Nowhere(path.clone())) };
        if content.len == 0 {
            return Box::new(Empty);
        }
        if let Some(source) = self.arrivals.source(&content.hash) {
            return source;
        }
        if let Some(kept) = self.arrivals.kept_with(&content.hash) {
            return self.local.kept_source(&kept);
        }
        let state = self.lock();
        for place in state.book.places_of(&content.hash).unwrap_or_default() {
            let entry = Entry { kind: Kind::File(*content), ..expected.clone() };
            if self.local.file_path(&place).is_some() {
                return self.local.source(&place, &entry);
            }
        }
        Box::new(Nowhere(path.clone()))
    }

    fn kept_source(&self, kept: &KeptId) -> Box<dyn ContentSource> {
        Box::new(Nowhere(kept.path.clone()))
    }

    /// Nothing is copied: the bytes stand on this disk. What proves their chunks to others is computed, if it is not known.
    fn stage(
        &self,
        jobs: Vec<StageJob>,
        carried: &(dyn Fn(u64) + Sync),
    ) -> Vec<Result<Staged, ReplicaError>> {
        let mut state = self.lock();
        if let Err(error) = self.digests.store(state.book) {
            let error = lost(&error);
            return jobs.into_iter().map(|_| Err(error.clone())).collect();
        }
        let mut computed = Vec::new();
        let sealing = match self.signer.keys.sealing() {
            Ok(sealing) => sealing.map(|(_, key)| key),
            Err(error) => {
                let error = lost(&error);
                return jobs.into_iter().map(|_| Err(error.clone())).collect();
            }
        };
        let unknown = match unknown_of(state.book, &jobs) {
            Ok(unknown) => unknown,
            Err(error) => {
                let error = lost(&error);
                return jobs.into_iter().map(|_| Err(error.clone())).collect();
            }
        };
        let mut stage = |mut job: StageJob| {
            if job.content.len > 0 {
                if let Some(key) = &sealing {
                    seal_job(state.book, &mut job, key)?;
                }
                if unknown.contains(&job.content.hash) {
                    computed.push((job.content.hash, digest_of(&mut *job.source, &job.path, &job.content)?));
                }
            }
            carried(job.content.len);
            state.staged += 1;
            Ok(Staged(state.staged))
        };
        let staged: Vec<Result<Staged, ReplicaError>> = jobs.into_iter().map(&mut stage).collect();
        match state.book.put_digests(&computed) {
            Ok(()) => staged,
            Err(error) => staged.into_iter().map(|staged| staged.and(Err(lost(&error)))).collect(),
        }
    }

    fn settle_staged(&self) -> Result<(), ReplicaError> {
        Ok(())
    }

    fn settle(&self) -> Result<(), ReplicaError> {
        self.commit(&mut self.lock())
    }

    fn perform(&self, _: RunId, ops: Vec<(Op, Option<Staged>)>) -> Vec<Result<Done, ReplicaError>> {
        let mut state = self.lock();
        let drafter = match self.drafter(state.book) {
            Ok(drafter) => drafter,
            Err(error) => return ops.into_iter().map(|_| Err(error.clone())).collect(),
        };
        let State { book, drafts, gone, .. } = &mut *state;
        let performed = book.in_one_look(|book| -> Result<Vec<_>, ReplicaError> {
            let reader = self.reader(book)?;
            Ok(ops.iter().map(|(op, _)| perform_one(&reader, (drafts, gone), op, drafter)).collect())
        });
        match performed.map_err(|error| lost(&error)).and_then(|performed| performed) {
            Ok(performed) => performed,
            Err(error) => ops.iter().map(|_| Err(error.clone())).collect(),
        }
    }
}

/// Drafts the records of an operation.
fn perform_one(
    reader: &BookReader<'_>,
    (drafts, gone): (&mut Drafts, &mut BTreeSet<TreePath>),
    op: &Op,
    drafter: Drafter,
) -> Result<Done, ReplicaError> {
    let is_folder = op.expected.as_deref().is_some_and(Entry::is_folder);
    let below = if is_folder { below_of(op, reader)? } else { Vec::new() };
    if op.kind == OpKind::Remove && below.iter().any(|(path, _)| !gone.contains(path)) {
        return Err(ReplicaError::NotEmpty { path: op.path.clone() });
    }
    let drafted = drafts.draft(op, reader, drafter);
    match drafted.map_err(|error| failed(&op.path, &error))? {
        Drafted::Changed => Err(ReplicaError::Changed { path: op.path.clone() }),
        Drafted::Done => {
            gone.remove(&op.path);
            match &op.kind {
                OpKind::Remove => drop(gone.insert(op.path.clone())),
                OpKind::Move { from } => {
                    gone.insert(from.clone());
                    gone.extend(below.into_iter().map(|(path, _)| path));
                }
                OpKind::MakeFolder | OpKind::Put { .. } | OpKind::SetExecutable { .. } => {}
            }
            Ok(Done { now: entry_after(op), kept: None })
        }
    }
}

/// The contents of these jobs of which this node has no digest.
fn unknown_of(book: &LibraryBook, jobs: &[StageJob]) -> Result<BTreeSet<ContentHash>, IndexError> {
    book.in_one_look(|book| {
        let mut unknown = BTreeSet::new();
        for content in jobs.iter().map(|job| job.content).filter(|content| content.len > 0) {
            if book.digest(&content.hash)?.is_none() {
                unknown.insert(content.hash);
            }
        }
        Ok(unknown)
    })?
}

/// Remembers what the file of a job is sealed to, if that is not known: a file that changes meanwhile fails alone, before anything is signed.
fn seal_job(book: &mut LibraryBook, job: &mut StageJob, key: &EpochKey) -> Result<(), ReplicaError> {
    let id = key.id();
    if book.sealed(&id, &job.content.hash).map_err(|error| lost(&error))?.is_some() {
        return Ok(());
    }
    let chunks = seal_file(&mut *job.source, &job.path, &job.content, key)?;
    book.put_sealed(&id, &job.content.hash, &chunks).map_err(|error| lost(&error))
}

/// What stands at the path of an operation after it.
fn entry_after(op: &Op) -> Option<Entry> {
    let entry = |kind: Kind, modified_ns: i64| Some(Entry { kind, modified_ns, stamp: Stamp::default() });
    match &op.kind {
        OpKind::MakeFolder => entry(Kind::Folder, 0),
        OpKind::Put { content, modified_ns, .. } => entry(content.clone(), *modified_ns),
        OpKind::Move { .. } => {
            let expected = op.expected.as_deref()?;
            entry(expected.kind.clone(), expected.modified_ns)
        }
        OpKind::SetExecutable { executable } => {
            let expected = op.expected.as_deref()?;
            let file = FileContent { executable: *executable, ..*expected.file()? };
            entry(Kind::File(file), expected.modified_ns)
        }
        OpKind::Remove => None,
    }
}

/// What a run sees below the folder that an operation takes away.
fn below_of(op: &Op, reader: &BookReader<'_>) -> Result<Vec<(TreePath, Entry)>, ReplicaError> {
    let place = match &op.kind {
        OpKind::Remove => &op.path,
        OpKind::Move { from } => from,
        OpKind::MakeFolder | OpKind::Put { .. } | OpKind::SetExecutable { .. } => return Ok(Vec::new()),
    };
    reader.book.rows_below(place).map_err(|error| failed(place, &error))
}

/// What drafts read of the index.
struct BookReader<'a> {
    book: &'a LibraryBook,
    me: NodeId,
    /// Whether any proposal of this node waits.
    has_held: bool,
    keys: Arc<LibraryKeys>,
}

impl ViewReader for BookReader<'_> {
    type Error = IndexError;

    fn heads(&self, path: &TreePath) -> Result<Heads, IndexError> {
        self.book.heads(path)
    }

    fn row(&self, path: &TreePath) -> Result<Option<Entry>, IndexError> {
        self.book.row(path)
    }

    fn below(&self, place: &TreePath) -> Result<Vec<(TreePath, Entry)>, IndexError> {
        self.book.rows_below(place)
    }

    fn sha256(&self, hash: &ContentHash) -> Result<Option<[u8; 32]>, IndexError> {
        Ok(self.book.digest(hash)?.and_then(|digest| digest.sha256))
    }

    fn proposed(&self, path: &TreePath) -> Result<Option<Record>, IndexError> {
        if !self.has_held {
            return Ok(None);
        }
        let Some((seq, place)) = self.book.held_at(&self.me, path)? else { return Ok(None) };
        let bytes = self.book.commit(&self.me, seq)?;
        let records = bytes.and_then(|bytes| self.keys.records_of(&Commit::decode(bytes).ok()?).ok());
        let records = records.unwrap_or_default();
        Ok(records.into_iter().nth(place as usize))
    }
}

/// A file without bytes.
struct Empty;

impl ContentSource for Empty {
    fn read_at(&mut self, _: u64, _: &mut [u8]) -> Result<usize, ReplicaError> {
        Ok(0)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// A content that is not here: the next pass asks for it again.
struct Nowhere(TreePath);

impl ContentSource for Nowhere {
    fn read_at(&mut self, _: u64, _: &mut [u8]) -> Result<usize, ReplicaError> {
        Err(ReplicaError::Changed { path: self.0.clone() })
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

fn failed(path: &TreePath, error: &IndexError) -> ReplicaError {
    ReplicaError::Io { path: path.to_string(), op: "record", why: error.to_string() }
}

/// The records of a run cannot be kept: nothing more can be done in it.
fn lost(error: &dyn std::fmt::Display) -> ReplicaError {
    ReplicaError::Gone(format!("cannot record changes of the library: {error}"))
}

#[cfg(test)]
mod tests {
    use swarm_library::{Live, State, Vector};

    use super::*;

    #[test]
    fn a_long_file_with_unknown_chunks_keeps_no_other_file_from_being_carried() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut book = LibraryBook::open(&folder.path().join("library.db")).expect("a new one");
        let record = |name: &str, len: u64| {
            let hash = ContentHash::of(name.as_bytes());
            let kind = Kind::File(FileContent { len, hash, executable: false });
            Record {
                path: TreePath::new(name).expect("a path"),
                state: State::Live(Live { kind, modified_ns: 0, sha256: None }),
                vector: Vector::of(NodeId::from_bytes([1; 32]), 1),
                parent: None,
                moved_from: None,
            }
        };
        let (short, long) = (record("short", 5), record("long", 1 << 30));
        let carried = content_files(&book, &[short.clone(), long.clone(), record("empty", 0)]);
        let carried = carried.expect("it reads");
        assert!(!carried.is_all && carried.files.iter().map(|file| file.len).eq([5]));
        let content = content_of(&mut book, &[short, long.clone()]).expect("a manifest");
        let content = content.expect("one with the short file");
        // It is served as it was signed, whatever is learned of the long one later.
        assert!(book.manifest(&content).expect("it reads").is_some());
        assert_eq!(content_of(&mut book, &[long]), Ok(None));
        let content = content_of(&mut book, &[record("other", 6)]).expect("a manifest").expect("one");
        assert_eq!(book.manifest(&content).expect("it reads"), None, "it can be made again");
    }
}
