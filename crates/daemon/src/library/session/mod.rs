//! One library at work, in the thread of its worker: looks at the mounts, takes commits, plans and performs. Every decision about trees is made
//! in `swarm-sync`, every one about versions in `swarm-library`.
//!
//! `mounting` opens its folders, `looking` sees what stands in them, `commits` takes what peers signed, `fetched` what was fetched; `pass` makes the
//! folders and the view agree, `retention` ends what was kept, `explaining` says why a path is as it is.
//!
//! Invariant: what peers say changes a disk only by way of a plan whose operations look again at what stands there.

mod commits;
pub(super) mod explaining;
mod fetched;
mod looking;
mod mounting;
pub(super) mod pass;
mod retention;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use swarm_core::manifest::SigningKey;
use swarm_files::{BlobFolder, OnTwoThreads};
use swarm_index::{IndexLock, LibraryBook, SqliteIndex};
use swarm_mounts::Overlay;
use swarm_sync::{Blind, ContentHash, IgnoreRules, PerSide, Run, RunEvent, RunId, TreePath};

use super::arrivals::Arrivals;
use super::digests::DigestQueue;
use super::error::LibraryError;
use super::keys::LibraryKeys;
use super::memory::AuthorMemory;
use super::places::LibraryPlaces;
use super::policies::ToldPolicies;
use super::settings::LibrarySettings;
use super::target_lock::TargetLock;
use super::view_side::{Signer, ViewSide};
use super::whiteouts::StoredWhiteouts;
use crate::clock;
use crate::sentence::Sentence;
pub(crate) use mounting::ignore_rules;
use mounting::{LockedTarget, Mounting, roots_of, sides_of};

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
    pub(in crate::library) blind: PerSide<Vec<Blind>>,
    /// Entries that the last looks could not take up, and why.
    pub(super) unseen: BTreeMap<String, Sentence>,
    /// Files of read-only mounts that their owners changed, and that something else covers for now.
    pub(super) covered: BTreeSet<TreePath>,
    stop: Arc<AtomicBool>,
    last_run_ms: u64,
    /// What others have where this node has conflicts.
    disputed: BTreeSet<ContentHash>,
    pub(crate) blobs: Option<Arc<BlobFolder>>,
    /// Somebody that counts was heard about this library.
    pub(crate) is_heard: bool,
    /// The last pass ended in the midst of a run.
    is_cut_off: bool,
    /// A look ended in the midst of a walk: what is known of the folders is of two times, and nothing is planned by it.
    is_half_seen: bool,
    /// New paths of one plan.
    part_paths_max: usize,
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
        let target_lock = match LockedTarget::of(&settings, &folder, None)? {
            LockedTarget::Same => None,
            LockedTarget::Other(lock) => lock,
        };
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
            covered: BTreeSet::new(),
            stop,
            last_run_ms: 0,
            disputed: BTreeSet::new(),
            blobs: None,
            is_heard,
            is_cut_off: false,
            // A look of the process before this one may have been cut off.
            is_half_seen: true,
            part_paths_max: crate::test_controls::part_paths().unwrap_or(pass::PART_PATHS_MAX),
        };
        session.open_blobs()?;
        Ok(session)
    }

    /// The file of the index, for connections of others.
    pub(crate) fn index_path(&self) -> PathBuf {
        self.folder.join(INDEX)
    }

    /// Takes over what the files say now: all of it, or after an error nothing.
    pub(crate) fn set_settings(&mut self, settings: LibrarySettings) -> Result<(), LibraryError> {
        let is_same_place = (&settings.mounts, &settings.includes, &settings.excludes)
            == (&self.settings.mounts, &self.settings.includes, &self.settings.excludes);
        if !is_same_place {
            let ignore = ignore_rules(&settings)?;
            let mounts = Mounting {
                settings: &settings,
                folder: &self.folder,
                whiteouts: &self.whiteouts,
                digests: &self.digests,
                ignore: &ignore,
                stop: &self.stop,
            };
            let overlay = mounts.open()?;
            let target_lock = LockedTarget::of(&settings, &self.folder, self.target_lock.as_ref())?;
            self.book.unpark_all()?;
            self.index.agree_anew(&sides_of(&settings))?;
            (self.ignore, self.overlay) = (ignore, overlay);
            match target_lock {
                LockedTarget::Same => {}
                LockedTarget::Other(lock) => self.target_lock = lock,
            }
            self.covered.clear();
            self.places.set_roots(roots_of(&settings));
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
            group_ops_max: PerSide { local: GROUP_FILES_MAX, remote: swarm_sync::limits::GROUP_OPS_MAX },
        };
        let done = work(&mut run)?;
        Ok((done, view.made()))
    }
}

pub(crate) const INDEX: &str = "library.db";
/// Operations of one group on this disk: while one group is performed the next one is staged, so that both cores work. The groups of the other
/// side are larger, since each of them is signed as commits.
const GROUP_FILES_MAX: usize = 1 << 12;
