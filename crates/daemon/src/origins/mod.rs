//! Origins: peers that speak HTTP(S) alone. Each has two tasks: `polling` reads what it lists, and takes over what a trusted one has of a library
//! that no linked peer has; `serving` gives its bytes to the engine, by a node of this process that stands in for it (`stand_in`), so that an
//! origin shares the work with peers, and is blamed, as any of them.
//!
//! Invariants: a byte of an origin is used only once a hash proves it that did not come from it, or, for a trusted one's own list, that hash. What
//! is wrong with an origin delays no peer and no other origin: it waits on threads of its own (`threads`), and what it is told is a state of which
//! the newest counts, so that nobody waits for it. Absent here: HTTP (`swarm_origins`), the order of chunks (the engine).

mod deciding;
mod learning;
mod listed;
mod polling;
mod putting;
mod resting;
mod serving;
mod shared;
mod spool;
mod stand_in;
mod store;
mod taken;
mod taking;
#[cfg(test)]
mod test_world;
mod threads;
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use swarm_core::base::{ContentId, NodeId};
use swarm_core::manifest::Manifest;
use swarm_daemon_files::OriginUrl;
use swarm_library::LibraryKey;
use swarm_node::Throttle;
use swarm_sync::ContentHash;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::contents;
use crate::exchange::PeerState;
use crate::library::{LibraryHandle, LibrarySettings};
use crate::limits::ORIGINS_MAX;
use crate::sentence::Sentence;
use threads::Threads;

pub(crate) use shared::{OriginFault, OriginSettings, OriginShare, OriginState, Shared};

/// What the files say, and the libraries that work.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    pub(crate) origins: Vec<OriginSettings>,
    pub(crate) libraries: BTreeMap<LibraryKey, (LibraryHandle, LibrarySettings)>,
}

/// What is fetched now, each with the library that it is of. An entry that is replaced is another fetch of the content.
pub(crate) type Fetches = BTreeMap<ContentId, Arc<Fetch>>;

/// A content that is fetched.
pub(crate) struct Fetch {
    pub(crate) library: LibraryKey,
    /// `None` as long as nobody here knows it.
    pub(crate) manifest: Option<Manifest>,
    /// The files that are wanted of it; all, if none are named.
    pub(crate) wanted: BTreeSet<ContentHash>,
}

/// A library of this node.
#[derive(Clone)]
struct Followed {
    handle: LibraryHandle,
    settings: LibrarySettings,
    /// The limits of what comes for it.
    down: [Throttle; 2],
}

/// The libraries, for the tasks of origins.
type Libraries = BTreeMap<LibraryKey, Followed>;

/// The origins there are, for those who show them.
#[derive(Clone, Default)]
pub(crate) struct Origins {
    pub(crate) used: BTreeMap<OriginUrl, Arc<Shared>>,
    /// Those that are not used, with why not.
    pub(crate) unused: BTreeMap<OriginUrl, Sentence>,
}

/// What the tasks of all origins share.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) me: NodeId,
    /// Where whole files are kept while they are used.
    pub(crate) spool: PathBuf,
    pub(crate) contents: mpsc::Sender<contents::Input>,
    pub(crate) peers: watch::Receiver<Vec<PeerState>>,
    pub(crate) fetches: watch::Receiver<Fetches>,
    /// The limit of all that comes to this node.
    pub(crate) down: Throttle,
    pub(crate) tasks: TaskTracker,
    pub(crate) ending: CancellationToken,
}

/// One task that owns all origins.
pub(crate) struct Running {
    ground: Ground,
    known: watch::Sender<Origins>,
    libraries: watch::Sender<Libraries>,
    /// The limit of each library that there was.
    down: BTreeMap<LibraryKey, Throttle>,
    at_work: BTreeMap<OriginUrl, AtWork>,
}

/// An origin whose tasks run.
struct AtWork {
    shared: Arc<Shared>,
    ending: CancellationToken,
}

impl Running {
    pub(crate) fn new(ground: Ground) -> (Self, watch::Receiver<Origins>) {
        let (known, seen) = watch::channel(Origins::default());
        let libraries = watch::channel(Libraries::new()).0;
        (Self { ground, known, libraries, down: BTreeMap::new(), at_work: BTreeMap::new() }, seen)
    }

    /// Runs until nobody sets anything any more, or the daemon ends.
    pub(crate) async fn run(mut self, mut settings: watch::Receiver<Settings>) {
        spool::clear(&self.ground.spool);
        let ending = self.ground.ending.clone();
        while let Some(Ok(())) = ending.run_until_cancelled(settings.changed()).await {
            let Settings { origins, libraries } = settings.borrow_and_update().clone();
            self.set_libraries(libraries);
            self.set_origins(origins);
        }
        for (_, at_work) in std::mem::take(&mut self.at_work) {
            at_work.ending.cancel();
        }
    }

    fn set_libraries(&mut self, libraries: BTreeMap<LibraryKey, (LibraryHandle, LibrarySettings)>) {
        let mut followed = Libraries::new();
        for (key, (handle, settings)) in libraries {
            let own = self.down.entry(key).or_insert_with(|| Throttle::new(None));
            own.set(settings.limits.down);
            let down = [own.clone(), self.ground.down.clone()];
            followed.insert(key, Followed { handle, settings, down });
        }
        self.libraries.send_replace(followed);
    }

    fn set_origins(&mut self, origins: Vec<OriginSettings>) {
        self.at_work.retain(|url, at_work| {
            let stays = origins.iter().any(|origin| origin.url == *url && at_work.shared.is_as(origin));
            if !stays {
                at_work.ending.cancel();
            }
            stays
        });
        let mut unused = BTreeMap::new();
        for (number, settings) in origins.into_iter().enumerate() {
            let url = settings.url.clone();
            if number >= ORIGINS_MAX && !self.at_work.contains_key(&url) {
                let why = format!(
                    "not used: of the origins in peers.json, the first {ORIGINS_MAX} are: remove others"
                );
                unused.insert(url, Sentence::new("origin-surplus", [("n", &ORIGINS_MAX)], why));
            } else if !self.at_work.contains_key(&url)
                && let Err(why) = self.begin(settings)
            {
                unused.insert(url, why.into());
            }
        }
        for (url, why) in &unused {
            tracing::warn!(origin = url.as_str(), %why, "an origin cannot be used");
        }
        let used = self.at_work.iter().map(|(url, at_work)| (url.clone(), Arc::clone(&at_work.shared)));
        self.known.send_replace(Origins { used: used.collect(), unused });
    }

    /// # Errors
    /// Why not, for people.
    fn begin(&mut self, settings: OriginSettings) -> Result<(), String> {
        let url = settings.url.clone();
        let ending = self.ground.ending.child_token();
        let threads = Threads::start().map_err(|error| format!("cannot start threads for it: {error}"))?;
        let shared = Shared::new(settings, ending.clone()).map_err(|error| error.to_string())?;
        let shared = Arc::new(shared);
        let (ground, libraries) = (self.ground.clone(), self.libraries.subscribe());
        if let Some(threads) = threads.handle() {
            let polling =
                polling::Polling::new(Arc::clone(&shared), ground.clone(), libraries.clone(), threads);
            let polling = polling.run();
            let ending = ending.clone();
            self.ground.tasks.spawn(async move { ending.run_until_cancelled(polling).await });
        }
        let serving = serving::Serving::new(Arc::clone(&shared), ground, libraries, threads);
        self.ground.tasks.spawn(serving.run(ending.clone()));
        self.at_work.insert(url, AtWork { shared, ending });
        Ok(())
    }
}
