//! A library is started here, and the rest of the daemon holds it by its handle. Invariant: the index is locked and the mounts are open before
//! there is a handle. Absent here: what the worker does (`worker`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use swarm_core::base::NodeId;
use swarm_core::manifest::SigningKey;
use swarm_daemon_files::Limits;
use swarm_files::NewFile;
use swarm_mounts::MountKind;
use tokio::sync::{mpsc, oneshot, watch};

use super::Worker;
use super::input::Input;
use super::state::LibraryState;
use crate::clock;
use crate::library::WrittenPart;
use crate::library::carrying::Carrying;
use crate::library::error::LibraryError;
use crate::library::keys::LibraryKeys;
use crate::library::outbox::Outbox;
use crate::library::places::LibraryPlaces;
use crate::library::scrubbing::Scrub;
use crate::library::session::{Opening, Session};
use crate::library::settings::LibrarySettings;
use crate::library::watching::Watchers;
use crate::limits::INPUTS_WAITING_MAX;
use crate::test_controls;

/// A library that works.
#[derive(Clone)]
pub(crate) struct LibraryHandle {
    pub(crate) inputs: mpsc::Sender<Input>,
    /// For what comes of fetches, in its order: it is taken first.
    pub(crate) arrived: mpsc::Sender<Input>,
    pub(crate) state: watch::Receiver<LibraryState>,
    /// Contents of libraries with a greater one are fetched first.
    pub(crate) priority: i8,
    /// Nothing of it is fetched now.
    pub(crate) is_paused: bool,
    pub(crate) limits: Limits,
    pub(crate) index_path: PathBuf,
    pub(crate) places: Arc<LibraryPlaces>,
    pub(crate) stop: Arc<AtomicBool>,
    /// Where contents are fetched into; nothing while there is no sync target.
    pub(crate) fetched: watch::Receiver<Option<FetchedFolder>>,
    /// Where new files go.
    pub(crate) written: WrittenPart,
    pub(crate) keys: Arc<LibraryKeys>,
    /// Whether contents are fetched whole, whoever wants what of them.
    pub(crate) is_mirror: watch::Receiver<bool>,
}

impl LibraryHandle {
    /// It is paused, by its settings or by the limits that hold now.
    pub(crate) fn fetches_nothing(&self) -> bool {
        self.is_paused || self.limits.down.is_some_and(|rate| rate.0 == 0)
    }
}

/// A folder that contents are fetched into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FetchedFolder {
    pub(crate) dir: PathBuf,
    /// Bytes that stay free on its disk.
    pub(crate) min_free: u64,
}

/// What a worker is started with.
pub(crate) struct Start {
    pub(crate) settings: LibrarySettings,
    pub(crate) folder: PathBuf,
    pub(crate) key: SigningKey,
    pub(crate) authors: BTreeSet<NodeId>,
    pub(crate) outputs: Arc<Outbox>,
}

/// Starts a library. The worker ends when its handle's inputs are closed and `stop` is set.
pub(crate) fn start(start: Start) -> Result<(LibraryHandle, oneshot::Receiver<()>), LibraryError> {
    let stop = Arc::new(AtomicBool::new(false));
    let Start { settings, folder, key, authors, outputs } = start;
    let opening = Opening { settings, folder, key, stop: Arc::clone(&stop) };
    let mut session = Session::open(opening)?;
    for mount in session.settings.mounts.iter().filter(|mount| mount.kind == MountKind::SyncTarget) {
        // What cannot be removed now is removed at another start.
        let _ = NewFile::remove_leftovers(&mount.dir);
    }
    session.set_policy(&authors)?;
    let library = session.signer.library;
    let (inputs, input_queue) = mpsc::channel(INPUTS_WAITING_MAX);
    let (arrived, arrived_queue) = mpsc::channel(INPUTS_WAITING_MAX);
    let known = LibraryState {
        policy: session.signer.policy,
        is_policy_taken_over: session.settings.policy.is_none(),
        ..LibraryState::default()
    };
    let (state, state_watch) = watch::channel(known.clone());
    let (fetched, fetched_watch) = watch::channel(session.fetched_folder());
    let (mirror, mirror_watch) = watch::channel(session.settings.is_mirror);
    let handle = LibraryHandle {
        inputs: inputs.clone(),
        arrived,
        state: state_watch,
        priority: session.settings.priority,
        is_paused: session.settings.is_paused,
        limits: session.settings.limits,
        index_path: session.index_path(),
        places: Arc::clone(&session.places),
        stop: Arc::clone(&stop),
        fetched: fetched_watch,
        written: WrittenPart::of(&session.settings.mounts),
        keys: Arc::clone(&session.signer.keys),
        is_mirror: mirror_watch,
    };
    // A mirror carries those that count, too.
    let strangers = session.book.carried_lens()?.into_iter().filter(|(author, _)| !authors.contains(author));
    let carrying = Carrying::of(strangers, test_controls::carried_len());
    let mut worker = Worker {
        mounts: watch::Sender::new(session.settings.mounts.clone()),
        scrub_days: watch::Sender::new(session.settings.scrub_days),
        session,
        library,
        authors,
        inputs: input_queue,
        arrived: arrived_queue,
        hints: inputs.downgrade(),
        outputs,
        state,
        fetched,
        mirror,
        stop,
        watchers: Watchers::default(),
        known,
        approved_here: false,
        figured_at: None,
        ticked_at: Some(clock::moment()),
        pruned_at: None,
        looked_at: None,
        is_complete_look_due: true,
        refused_settings: None,
        is_carried_due: true,
        taken: 0,
        has_new_votes: true,
        is_part_left: false,
        has_new_versions: true,
        false_contents: BTreeSet::new(),
        wished_up_to: None,
        carrying,
        batch: BTreeMap::new(),
    };
    start_scrub(&worker);
    let runtime = tokio::runtime::Handle::current();
    // A thread of its own: it works for as long as the library is kept, and those for blocking work are few.
    let (ended, end) = oneshot::channel::<()>();
    let spawned = std::thread::Builder::new().name("library".to_owned()).spawn(move || {
        worker.run(&runtime);
        // Its locks are free before anybody hears of the end.
        drop(worker);
        drop(ended);
    });
    spawned.map_err(LibraryError::state(&handle.index_path, "start a thread for"))?;
    Ok((handle, end))
}

/// Files are read again in a thread of their own, so that reading them does not delay the worker.
fn start_scrub(worker: &Worker) {
    let scrub = Scrub {
        index: worker.session.index_path(),
        folder: worker.session.folder.clone(),
        mounts: worker.mounts.subscribe(),
        days: worker.scrub_days.subscribe(),
        stop: Arc::clone(&worker.stop),
        inputs: worker.hints.clone(),
    };
    let spawned = std::thread::Builder::new().name("scrub".to_owned()).spawn(move || scrub.run());
    if let Err(error) = spawned {
        tracing::warn!(%error, "files are not read again");
    }
}
