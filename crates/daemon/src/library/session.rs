//! One library at work, in the thread of its worker: looks at the mounts, takes commits, plans and performs. Every decision about trees is made
//! in `swarm-sync`, every one about versions in `swarm-library`.
//!
//! Invariant: what peers say changes a disk only by way of a plan whose operations look again at what stands there; a path whose content is
//! not here is left out of the plan until it is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use swarm_core::base::{NodeId, Shown};
use swarm_core::manifest::SigningKey;
use swarm_files::{BlobFolder, Digests, GatheredStore, KeptVersion, OnTwoThreads};
use swarm_index::{IndexLock, LibraryBook, SqliteIndex};
use swarm_library::{Commit, CommitError, CommitId, Record};
use swarm_mounts::{MountIdentity, MountKind, MountSpec, Overlay, OverlayOptions, mark_target};
use swarm_sync::{
    Blind, BlindWhy, ContentHash, Entry, FileContent, Guard, IgnoreRules, Index as _, Kept, KeptId, Kind, Op,
    OpKind, PerSide, Policy, Proposal, Replica as _, ReplicaError, Rules, Run, RunEvent, RunId, Side, Source,
    Tally, TreePath, expired, keep_texts, observe_side, propose,
};

use super::arrivals::Arrivals;
use super::ask::{EntryView, PathView, VersionLine, shape_of};
use super::digests::{DigestQueue, digest_of};
use super::error::LibraryError;
use super::keys::LibraryKeys;
use super::memory::{AuthorMemory, write_durably};
use super::places::{LibraryPlaces, Root};
use super::policies::ToldPolicies;
use super::settings::LibrarySettings;
use super::target_lock::TargetLock;
use super::verifying::{Rotten, verify_one};
use super::view_side::{Signer, ViewSide, votes_of};
use super::whiteouts::StoredWhiteouts;
use super::worker::FetchedFolder;
use crate::clock;

/// A library that this process works on.
pub(crate) struct Session {
    pub(crate) settings: LibrarySettings,
    pub(super) folder: PathBuf,
    pub(super) index: SqliteIndex,
    pub(crate) book: LibraryBook,
    _lock: IndexLock,
    pub(super) overlay: Overlay,
    target_lock: Option<TargetLock>,
    pub(crate) signer: Signer,
    pub(crate) told_policies: ToldPolicies,
    pub(crate) arrivals: Arc<Arrivals>,
    pub(super) digests: Arc<DigestQueue>,
    pub(crate) places: Arc<LibraryPlaces>,
    whiteouts: Arc<StoredWhiteouts>,
    ignore: IgnoreRules,
    blind: PerSide<Vec<Blind>>,
    /// Entries that the last looks could not take up, and why.
    pub(super) unseen: BTreeMap<String, String>,
    stop: Arc<AtomicBool>,
    last_run_ms: u64,
    /// What others have where this node has conflicts.
    disputed: BTreeSet<ContentHash>,
    pub(crate) blobs: Option<Arc<BlobFolder>>,
    /// Somebody that counts was heard about this library.
    pub(crate) is_heard: bool,
    /// The last pass ended in the midst of a run.
    is_cut_off: bool,
}

/// What a pass did.
#[derive(Clone, Debug, Default)]
pub(crate) struct PassReport {
    /// Operations that were performed on the mounts.
    pub(crate) performed: u64,
    /// Operations that were refused: the next pass tries again.
    pub(crate) refused: Vec<(TreePath, String)>,
    /// Commits that were signed.
    pub(crate) commits: u64,
    /// Contents that paths wait for, and their lengths.
    pub(crate) wanted: BTreeMap<ContentHash, u64>,
    /// Conflicts that wait for a decision.
    pub(crate) conflicts: u64,
    /// Why nothing was done: too much would have been deleted at once.
    pub(crate) held: Option<u64>,
}

/// What a session is made from.
pub(crate) struct Opening {
    pub(crate) settings: LibrarySettings,
    /// The folder of the library's state.
    pub(crate) folder: PathBuf,
    pub(crate) key: SigningKey,
    pub(crate) stop: Arc<AtomicBool>,
}

impl Session {
    /// Opens the index and the mounts.
    pub(crate) fn open(opening: Opening) -> Result<Self, LibraryError> {
        let Opening { settings, folder, key, stop } = opening;
        std::fs::create_dir_all(&folder).map_err(LibraryError::state(&folder, "make"))?;
        let path = folder.join(INDEX);
        let lock = IndexLock::try_lock(&path)?;
        let mut index = SqliteIndex::open_small(&path)?;
        index.agree_anew(&sides_of(&settings))?;
        let mut book = LibraryBook::open(&path)?;
        book.unpark_all()?;
        book.settle_own(&key.public(), true)?;
        let is_heard = !book.frontier()?.is_empty();
        let memory = AuthorMemory::new(&folder, key.public());
        let told_policies = ToldPolicies::open(&folder)
            .map_err(LibraryError::state(&folder.join(ToldPolicies::FILE), "read"))?;
        let policy = settings.policy.unwrap_or_default();
        let keys = Arc::new(LibraryKeys::open(&folder)?);
        let signer = Signer { library: settings.guid.key(), key, memory, policy, keys };
        let whiteouts = Arc::new(StoredWhiteouts::open(LibraryBook::open(&path)?)?);
        let places = Arc::new(LibraryPlaces::new(LibraryBook::open(&path)?));
        let (arrivals, digests) = (Arc::new(Arrivals::default()), Arc::new(DigestQueue::default()));
        let ignore = ignore_rules(&settings)?;
        let mounts = Mounting {
            settings: &settings,
            folder: &folder,
            whiteouts: &whiteouts,
            digests: &digests,
            ignore: &ignore,
            stop: &stop,
        };
        let overlay = mounts.open()?;
        let target_lock = locked_target(&settings, &folder, None)?;
        places.set_roots(roots_of(&settings));
        let blind = PerSide::default();
        let mut session = Self {
            settings,
            folder,
            index,
            book,
            _lock: lock,
            overlay,
            target_lock,
            signer,
            told_policies,
            arrivals,
            digests,
            places,
            whiteouts,
            ignore,
            blind,
            unseen: BTreeMap::new(),
            stop,
            last_run_ms: 0,
            disputed: BTreeSet::new(),
            blobs: None,
            is_heard,
            is_cut_off: false,
        };
        session.open_blobs()?;
        Ok(session)
    }

    /// The file of the index, for connections of others.
    pub(crate) fn index_path(&self) -> PathBuf {
        self.folder.join(INDEX)
    }

    /// Takes over what the files say now.
    pub(crate) fn set_settings(&mut self, settings: LibrarySettings) -> Result<(), LibraryError> {
        let is_same_place = (&settings.mounts, &settings.includes, &settings.excludes)
            == (&self.settings.mounts, &self.settings.includes, &self.settings.excludes);
        if !is_same_place {
            self.ignore = ignore_rules(&settings)?;
            let mounts = Mounting {
                settings: &settings,
                folder: &self.folder,
                whiteouts: &self.whiteouts,
                digests: &self.digests,
                ignore: &self.ignore,
                stop: &self.stop,
            };
            self.overlay = mounts.open()?;
            self.target_lock = locked_target(&settings, &self.folder, self.target_lock.take())?;
            self.places.set_roots(roots_of(&settings));
            self.index.agree_anew(&sides_of(&settings))?;
            self.book.unpark_all()?;
        }
        self.settings = settings;
        self.open_blobs()
    }

    /// The folders of the library, for a watcher each.
    pub(crate) fn watched(&self) -> Vec<(Option<TreePath>, PathBuf)> {
        self.settings.mounts.iter().map(|mount| (mount.libpath.clone(), mount.dir.clone())).collect()
    }

    /// Whether what others changed needs a sync target, and there is none.
    pub(crate) fn needs_target(&self) -> bool {
        self.overlay.needs_target()
    }

    /// Looks at the mounts, at these places or everywhere.
    pub(crate) fn look(&mut self, places: Option<&[TreePath]>, thorough: bool) -> Result<(), LibraryError> {
        self.overlay.recover().map_err(LibraryError::Mounts)?;
        match places {
            None => {
                let tally = self.observe(None, thorough)?;
                self.unseen.clear();
                self.note_unseen(&tally);
                self.blind.local = tally.blind;
            }
            Some(places) => {
                for place in places {
                    let tally = self.observe(Some(place), thorough)?;
                    let at = Shown(place.as_str()).to_string();
                    self.unseen.retain(|path, _| {
                        path.strip_prefix(&at).is_none_or(|rest| !rest.is_empty() && !rest.starts_with('/'))
                    });
                    self.note_unseen(&tally);
                    self.blind.local.retain(|blind| !blind.path.is_at_or_below(place));
                    self.blind.local.extend(tally.blind);
                }
            }
        }
        self.digests.store(&mut self.book)?;
        Ok(())
    }

    /// What is written to at this moment is seen by the next look.
    fn note_unseen(&mut self, tally: &Tally) {
        let blind = tally.blind.iter().filter(|blind| blind.why != BlindWhy::Changing);
        let blind = blind.map(|blind| (blind.path.to_string(), blind.why.to_string()));
        let unnamed = tally.unnamed.iter().map(|(path, why)| (path.clone(), why.to_string()));
        for (path, why) in blind.chain(unnamed) {
            if self.unseen.len() < UNSEEN_MAX {
                self.unseen.insert(path, why);
            }
        }
    }

    fn observe(&mut self, place: Option<&TreePath>, thorough: bool) -> Result<Tally, LibraryError> {
        let rules = self.ignore.clone();
        let is_ignored = move |path: &TreePath, is_folder: bool| rules.is_ignored(path, is_folder);
        self.with_run(&mut |_| {}, |run| {
            observe_side(run, Side::Local, place, thorough, &is_ignored).map_err(LibraryError::from)
        })
        .map(|(tally, _)| tally)
    }

    /// The name of a run that begins now.
    pub(super) fn next_run(&mut self) -> RunId {
        self.last_run_ms = clock::now_ms().max(self.last_run_ms + 1);
        RunId::at_ms(self.last_run_ms)
    }

    /// Runs something with both sides; also says how many commits were signed.
    pub(super) fn with_run<T>(
        &mut self,
        on_event: &mut (dyn FnMut(RunEvent) + Send),
        work: impl FnOnce(&mut Run<'_, SqliteIndex>) -> Result<T, LibraryError>,
    ) -> Result<(T, u64), LibraryError> {
        let view =
            ViewSide::new(&self.overlay, (&self.arrivals, &self.digests), &self.signer, &mut self.book);
        let mut run = Run {
            id: RunId::at_ms(self.last_run_ms),
            sides: PerSide { local: &self.overlay, remote: &view },
            index: &mut self.index,
            on_event,
            carried: &|_, _| {},
            beside: &OnTwoThreads,
            group_ops_max: swarm_sync::limits::GROUP_OPS_MAX,
        };
        let done = work(&mut run)?;
        Ok((done, view.made()))
    }

    /// Takes a commit that a peer sent and that follows its author's last one.
    pub(crate) fn take(&mut self, commit: &Commit, counts: bool) -> Result<swarm_index::Taken, LibraryError> {
        use swarm_index::Acceptance;
        let (me, now_ms) = (self.signer.key.public(), clock::now_ms());
        if counts && commit.header().key_epoch != 0 {
            self.signer.keys.require();
        }
        self.is_heard |= counts;
        let records = if counts && !self.settings.is_mirror { self.records_of(commit) } else { None };
        let Some(records) = records else {
            return Ok(self.book.take(commit, &Acceptance::CarryOnly, &me, now_ms)?);
        };
        let votes = votes_of(&self.signer.policy, &records, &self.book)?;
        let acceptance = Acceptance::Take { records: &records, votes: &votes };
        Ok(self.book.take(commit, &acceptance, &me, now_ms)?)
    }

    /// Takes commits of an author that were only carried so far. Returns how many.
    pub(crate) fn take_carried(&mut self, author: &NodeId) -> Result<usize, LibraryError> {
        if self.settings.is_mirror {
            return Ok(0);
        }
        let mut taken = 0;
        let (me, now_ms) = (self.signer.key.public(), clock::now_ms());
        let carried = self.book.carried_of(author)?;
        for seq in &carried {
            let Some(bytes) = self.book.commit(author, *seq)? else { continue };
            let commit = Commit::decode(bytes)?;
            let Some(records) = self.records_of(&commit) else { continue };
            let votes = votes_of(&self.signer.policy, &records, &self.book)?;
            self.book.take_carried(&commit, &records, &votes, &me, now_ms)?;
            taken += 1;
        }
        self.is_heard |= taken > 0;
        Ok(taken)
    }

    /// Goes by the policy of the library's file, or else by the strictest of the trusted peers'. What waits needs as many votes as it says
    /// now. Returns whether it changed.
    pub(crate) fn set_policy(&mut self, authors: &BTreeSet<NodeId>) -> Result<bool, LibraryError> {
        let told = || self.told_policies.strictest(&|node| authors.contains(node));
        let policy = self.settings.policy.unwrap_or_else(told);
        if policy == self.signer.policy {
            return Ok(false);
        }
        self.signer.policy = policy;
        for known in self.book.proposals(false)? {
            let Some(bytes) = self.book.commit_by_id(&known.id)? else { continue };
            let Some(records) = self.records_of(&Commit::decode(bytes)?) else { continue };
            let votes = votes_of(&policy, &records, &self.book)?;
            // The author alone is enough where nothing is held any more.
            let needed = votes.into_iter().max().unwrap_or(0).max(1);
            self.book.set_needed_votes(&known.id, needed)?;
        }
        Ok(true)
    }

    /// Reads the files that are to have this content.
    pub(crate) fn verify_places_of(&self, hash: &ContentHash) -> Result<Vec<Rotten>, LibraryError> {
        let mut rotten = Vec::new();
        for path in self.book.places_of(hash)? {
            let Some(entry) = self.index.entry(Side::Local, &path)? else { continue };
            rotten.extend(verify_one(&path, &entry, &self.settings.mounts));
        }
        Ok(rotten)
    }

    /// How many commits this node signed that its index has not: it was lost. A commit that is signed before they are back would be one that
    /// nobody can take who lacks them.
    pub(crate) fn lacking_history(&self) -> Result<u64, LibraryError> {
        let memory = &self.signer.memory;
        let remembered = memory.read().map_err(LibraryError::state(memory.path(), "read"))?;
        let known = self.book.last_of(&self.signer.key.public())?;
        let seq_of = |last: Option<u64>| last.unwrap_or(0);
        Ok(seq_of(remembered.map(|last| last.seq)).saturating_sub(seq_of(known.map(|(seq, _)| seq))))
    }

    /// The records of a proposal hold now.
    pub(crate) fn take_held(&mut self, id: &CommitId) -> Result<(), LibraryError> {
        let me = self.signer.key.public();
        let Some(bytes) = self.book.commit_by_id(id)? else { return Ok(()) };
        let commit = Commit::decode(bytes)?;
        let Some(records) = self.records_of(&commit) else { return Ok(()) };
        self.book.take_held(&commit, &records, &me)?;
        Ok(())
    }

    /// The folder that contents are fetched into: on the file system of the sync target, so that they are renamed to their places.
    pub(crate) fn fetched_folder(&self) -> Option<FetchedFolder> {
        if let Some(blobs) = &self.blobs {
            return Some(FetchedFolder { dir: blobs.incoming(), min_free: self.settings.mirror_min_free });
        }
        let target = self.settings.mounts.iter().find(|mount| mount.kind == MountKind::SyncTarget)?;
        let dir = target.dir.join(swarm_sync::STATE_FOLDER_NAME).join(FETCHED);
        Some(FetchedFolder { dir, min_free: target.min_free })
    }

    /// Whether the entry of the view at a path stands on this disk.
    pub(crate) fn has(&self, path: &TreePath, kind: &Kind) -> Result<bool, LibraryError> {
        Ok(self.index.entry(Side::Local, path)?.is_some_and(|entry| entry.kind == *kind))
    }

    /// Why a path is as it is.
    pub(crate) fn explain(&self, path: &TreePath) -> Result<PathView, LibraryError> {
        let heads = self.book.heads(path)?;
        let winner = heads.winner().map(|head| head.record);
        let mut versions: Vec<VersionLine> =
            heads.all().iter().map(|head| version_line(head, Some(head.record) == winner)).collect();
        versions.sort_by_key(|line| !line.wins);
        let entry = self.index.entry(Side::Local, path)?;
        let here = entry.as_ref().map(|entry| EntryView {
            path: path.to_string(),
            modified_ns: entry.modified_ns,
            is_here: true,
            ..shape_of(&entry.kind)
        });
        let hash = heads.winner().and_then(|head| head.state.kind()?.file()).map(|file| file.hash);
        let is_waiting = match hash {
            Some(hash) => self.book.parked_at(&hash, PARKED_LOOKED_AT)?.contains(path),
            None => false,
        };
        Ok(PathView {
            path: path.to_string(),
            here,
            versions,
            held_by: self.book.holders_at(path)?.iter().map(NodeId::to_string).collect(),
            place: self.overlay.file_path(path).map(|place| place.to_string_lossy().into_owned()),
            is_left_out: self.ignore.is_ignored(path, entry.is_some_and(|entry| entry.is_folder())),
            is_waiting,
            supply: None,
        })
    }

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
        self.next_run();
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
        Ok(report)
    }

    /// Removes kept versions whose time is over, and forgets runs that nobody undoes any more.
    pub(crate) fn prune(&mut self) -> Result<(), LibraryError> {
        let versions = self.overlay.kept(None).map_err(LibraryError::Mounts)?;
        let as_kept = |version: &KeptVersion| Kept {
            path: version.id.path.clone(),
            at_ns: i64::try_from(version.id.run.ms()).unwrap_or(i64::MAX).saturating_mul(1_000_000),
            len: version.len(),
        };
        let kept: Vec<Kept> = versions.iter().map(as_kept).collect();
        let now_ns = i64::try_from(clock::now_ms()).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        let gone = expired(&kept, now_ns, &self.settings.retention).into_iter();
        let gone: Vec<KeptId> =
            gone.filter_map(|at| versions.get(at).map(|version| version.id.clone())).collect();
        self.overlay.remove_kept(&gone).map_err(LibraryError::Mounts)?;
        self.index.prune_runs(RUNS_KEPT)?;
        Ok(())
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

    /// Whether the bytes of a file are on this disk, or in memory.
    fn is_here(&self, content: &FileContent) -> Result<bool, LibraryError> {
        Ok(content.len == 0
            || self.arrivals.has(&content.hash)
            || !self.book.places_of(&content.hash)?.is_empty())
    }

    /// The records of a commit; `None` if they are sealed and cannot be opened, or its author signed something that no node can read: it counts
    /// for nothing then.
    pub(crate) fn records_of(&self, commit: &Commit) -> Option<Vec<Record>> {
        match self.signer.keys.records_of(commit) {
            Ok(records) => Some(records),
            Err(CommitError::Sealed) => None,
            Err(error) => {
                tracing::warn!(author = commit.header().author.short(), seq = commit.header().seq, %error, "a commit is not taken");
                None
            }
        }
    }

    /// Those of the fetched contents that are what their hash says. A sealed content proves only that its author sealed it.
    pub(crate) fn proven(
        &mut self,
        hashes: Vec<ContentHash>,
        store: &GatheredStore,
    ) -> Result<Vec<ContentHash>, LibraryError> {
        if !store.is_opened() {
            return Ok(hashes);
        }
        let lens: BTreeMap<ContentHash, u64> = store.contents().collect();
        let (mut proven, mut digests) = (Vec::new(), Vec::new());
        for hash in hashes {
            let content = FileContent { len: lens.get(&hash).copied().unwrap_or(0), hash, executable: false };
            let Some(mut source) = store.source(&hash, false) else { continue };
            let Ok(path) = TreePath::new(hash.to_string()) else { continue };
            match digest_of(&mut source, &path, &content) {
                Ok(digest) => {
                    digests.push((hash, digest));
                    proven.push(hash);
                }
                Err(error) => {
                    tracing::warn!(content = %hash, %error, "what was sealed is not what its commit names");
                    store.release(&hash);
                }
            }
        }
        self.book.put_digests(&digests)?;
        Ok(proven)
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
        if plan.ops.local.is_empty()
            && plan.ops.remote.is_empty()
            && plan.agreed.is_empty()
            && plan.rebased.is_empty()
        {
            // Conflicts may have come or gone.
            return self
                .index
                .apply(vec![swarm_sync::IndexStep::Conflicts(plan.conflicts.clone())])
                .map_err(Into::into);
        }
        let _turn = self.overlay.take_turn(&|| {}).map_err(LibraryError::Mounts)?;
        let (mut performed, mut refused, mut arrived) = (0, Vec::new(), Vec::new());
        let mut on_event = |event: RunEvent| match event {
            RunEvent::Performed { side: Side::Local, op } => {
                performed += 1;
                arrived.extend(file_put(&op));
            }
            RunEvent::Performed { side: Side::Remote, .. } => {}
            RunEvent::Refused { op, error, .. } => {
                if refused.len() < REFUSED_MAX {
                    refused.push((op.path, error.to_string()));
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
        (report.performed, report.refused) = (performed, refused);
        report.commits += done?.1;
        Ok(())
    }

    /// Where a version of this node lost and the winner stands on its disk, the dispute is over.
    fn settle_disputes(&mut self) -> Result<u64, LibraryError> {
        let me = self.signer.key.public();
        let mut settled = Vec::new();
        for path in self.book.disputed(DISPUTES_AT_ONCE)? {
            let heads = self.book.heads(&path)?;
            let Some(winner) = heads.winner().filter(|_| heads.lost_of(&me).is_some()) else { continue };
            let here = self.index.entry(Side::Local, &path)?;
            let row = self.book.row(&path)?;
            let kind = |entry: &Option<Entry>| entry.as_ref().map(|entry| entry.kind.clone());
            if kind(&here) == kind(&row) && kind(&row) == winner.state.kind().cloned() {
                settled.push(path);
            }
        }
        if settled.is_empty() {
            return Ok(0);
        }
        let view =
            ViewSide::new(&self.overlay, (&self.arrivals, &self.digests), &self.signer, &mut self.book);
        view.settle_disputes(&settled).map_err(LibraryError::Mounts)?;
        Ok(view.made())
    }
}

fn version_line(head: &swarm_library::Head, wins: bool) -> VersionLine {
    let shape = head.state.kind().map(shape_of);
    VersionLine {
        author: head.record.author.to_string(),
        seq: head.record.seq,
        kind: shape.as_ref().map_or_else(|| "deleted".to_owned(), |shape| shape.kind.clone()),
        len: shape.as_ref().map_or(0, |shape| shape.len),
        blake3: shape.and_then(|shape| shape.blake3),
        wins,
    }
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

pub(crate) fn ignore_rules(settings: &LibrarySettings) -> Result<IgnoreRules, LibraryError> {
    let bad = |error: swarm_sync::BadPattern| LibraryError::Pattern(error.to_string());
    let rules = IgnoreRules::new().with_excludes(&settings.excludes).map_err(bad)?;
    rules.with_includes(&settings.includes).map_err(bad)
}

/// What the tree of this disk is made of. Where that changes, a file that is not there any more was not deleted by anybody.
fn sides_of(settings: &LibrarySettings) -> String {
    let mount = |mount: &MountSpec| {
        let kind = match mount.kind {
            MountKind::ReadOnly => "readonly",
            MountKind::SyncTarget => "sync",
        };
        (
            mount.dir.to_string_lossy().into_owned(),
            mount.libpath.as_ref().map(|path| path.as_str().to_owned()),
            kind,
        )
    };
    let mounts: Vec<_> = settings.mounts.iter().map(mount).collect();
    serde_json::json!([mounts, settings.includes, settings.excludes]).to_string()
}

/// The mounts as places, the sync target first.
fn roots_of(settings: &LibrarySettings) -> Vec<Root> {
    let root = |mount: &MountSpec| Root::new(mount.libpath.clone(), mount.dir.clone());
    let (targets, others): (Vec<&MountSpec>, Vec<&MountSpec>) =
        settings.mounts.iter().partition(|mount| mount.kind == MountKind::SyncTarget);
    targets.into_iter().chain(others).map(root).collect()
}

/// The lock of the sync target; the one that is held already, if it is of the same folder.
fn locked_target(
    settings: &LibrarySettings,
    folder: &Path,
    held: Option<TargetLock>,
) -> Result<Option<TargetLock>, LibraryError> {
    let target = settings.mounts.iter().find(|mount| mount.kind == MountKind::SyncTarget);
    let Some(target) = target else { return Ok(None) };
    match held.filter(|held| held.is_of(&target.dir)) {
        Some(held) => Ok(Some(held)),
        None => TargetLock::take(&target.dir, folder).map(Some),
    }
}

/// What the mounts are opened with.
struct Mounting<'a> {
    settings: &'a LibrarySettings,
    folder: &'a Path,
    whiteouts: &'a Arc<StoredWhiteouts>,
    digests: &'a Arc<DigestQueue>,
    ignore: &'a IgnoreRules,
    stop: &'a Arc<AtomicBool>,
}

impl Mounting<'_> {
    /// Opens the mounts. A folder that is new to this library is made and marked, and remembered: a later one at its path is another.
    fn open(&self) -> Result<Overlay, LibraryError> {
        let known_path = self.folder.join(MOUNTS);
        let known: Vec<MountIdentity> = match std::fs::read(&known_path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| LibraryError::state(&known_path, "read")(damaged(&error)))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(LibraryError::state(&known_path, "read")(error)),
        };
        let guid = self.settings.guid.as_str();
        for mount in &self.settings.mounts {
            let is_new = !known.iter().any(|known| known.dir == mount.dir);
            if mount.kind == MountKind::SyncTarget && is_new {
                std::fs::create_dir_all(&mount.dir).map_err(LibraryError::state(&mount.dir, "make"))?;
                mark_target(&mount.dir, guid)?;
            }
        }
        let rules = self.ignore.clone();
        let ignore = move |path: &TreePath, is_folder: bool| rules.is_ignored_in_folder(path, is_folder);
        let digests: Arc<dyn Digests> = Arc::clone(self.digests) as Arc<dyn Digests>;
        let options = OverlayOptions {
            stop: Arc::clone(self.stop),
            ignore: Some(Arc::new(ignore)),
            chunk_values: Some(self.folder.join(CHUNK_VALUES)),
            known,
            digests: Some(digests),
            ..OverlayOptions::new(guid)
        };
        let whiteouts: Arc<dyn swarm_mounts::Whiteouts> =
            Arc::clone(self.whiteouts) as Arc<dyn swarm_mounts::Whiteouts>;
        let overlay = Overlay::open(self.settings.mounts.clone(), whiteouts, options)?;
        let text = serde_json::to_vec_pretty(&overlay.identities())
            .map_err(|error| LibraryError::state(&known_path, "write")(error.into()))?;
        write_durably(&known_path, &text).map_err(LibraryError::state(&known_path, "write"))?;
        Ok(overlay)
    }
}

/// What was remembered of the folders says nothing any more.
fn damaged(error: &serde_json::Error) -> std::io::Error {
    let way_out = "see that the folders of the library are the right ones, then remove this file";
    std::io::Error::new(std::io::ErrorKind::InvalidData, format!("{error}: {way_out}"))
}

pub(crate) const INDEX: &str = "library.db";
const MOUNTS: &str = "mounts.json";
/// Below the state folder of the sync target.
const FETCHED: &str = "fetched";
/// Paths with one content that are looked through.
const PARKED_LOOKED_AT: usize = 10_000;
const CHUNK_VALUES: &str = "chunk-values";
/// A plan without what is lacking may want what was hidden by it, once or twice.
const REPLANS_MAX: usize = 4;
/// Runs that are remembered with their deeds.
const RUNS_KEPT: u32 = 1000;
/// Entries that could not be taken up and are named.
const UNSEEN_MAX: usize = 100;
/// Refused operations that a report names.
const REFUSED_MAX: usize = 100;
/// Disputes that are looked at in one pass.
const DISPUTES_AT_ONCE: usize = 1000;

/// An error that a mount made is one of a replica.
impl From<ReplicaError> for LibraryError {
    fn from(error: ReplicaError) -> Self {
        Self::Mounts(error)
    }
}
