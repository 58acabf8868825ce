//! Origins: peers that speak HTTP(S) alone. Each has two tasks: `polling` reads what it lists, and takes over what a trusted one has of a library
//! that no linked peer has; `serving` gives its bytes to the engine, by a node of this process that stands in for it (`stand_in`), so that an
//! origin shares the work with peers, and is blamed, as any of them.
//!
//! Invariant: a byte of an origin is used only once a hash proves it that did not come from it, or, for a trusted one's own list, that hash. What
//! is wrong with an origin delays no peer. Absent here: HTTP (`swarm_origins`), the order of chunks (the engine).

mod deciding;
mod learning;
mod listed;
mod polling;
mod serving;
mod shared;
mod spool;
mod stand_in;
mod store;
mod taken;
mod taking;
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use swarm_core::base::{ContentId, NodeId};
use swarm_core::manifest::Manifest;
use swarm_daemon_files::OriginUrl;
use swarm_library::LibraryKey;
use swarm_sync::ContentHash;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::contents;
use crate::exchange::PeerState;
use crate::library::{LibraryHandle, LibrarySettings};
use crate::limits::{ORIGIN_INPUTS_WAITING_MAX, ORIGINS_MAX};

pub(crate) use shared::{OriginFault, OriginSettings, OriginShare, Shared};

/// What the origins are told.
pub(crate) enum Input {
    /// What the files say, and the libraries that work.
    Settings(Vec<OriginSettings>, BTreeMap<LibraryKey, Followed>),
    /// Files of a content are fetched, and its manifest is known.
    Fetching(Fetching),
    /// Files of a content are fetched, and nobody here knows its manifest.
    Unknown { library: LibraryKey, content: ContentId, wanted: BTreeSet<ContentHash> },
    /// A content is not fetched any more.
    Left(ContentId),
}

/// A library of this node.
#[derive(Clone)]
pub(crate) struct Followed {
    pub(crate) handle: LibraryHandle,
    pub(crate) settings: LibrarySettings,
}

/// A content that is fetched.
#[derive(Clone)]
pub(crate) struct Fetching {
    pub(crate) library: LibraryKey,
    pub(crate) manifest: Manifest,
    /// The files that are wanted of it; all, if none are named.
    pub(crate) wanted: BTreeSet<ContentHash>,
}

/// The origins there are, for those who show them.
pub(crate) type Origins = BTreeMap<OriginUrl, Arc<Shared>>;

/// What the tasks of all origins share.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) me: NodeId,
    /// Where whole files are kept while they are used.
    pub(crate) spool: PathBuf,
    pub(crate) contents: mpsc::Sender<contents::Input>,
    pub(crate) peers: watch::Receiver<Vec<PeerState>>,
    pub(crate) tasks: TaskTracker,
    pub(crate) ending: CancellationToken,
}

/// One task that owns all origins.
pub(crate) struct Running {
    ground: Ground,
    known: watch::Sender<Origins>,
    libraries: watch::Sender<BTreeMap<LibraryKey, Followed>>,
    at_work: BTreeMap<OriginUrl, AtWork>,
    /// What is fetched, for origins that come later.
    fetching: BTreeMap<ContentId, Fetching>,
}

/// An origin whose tasks run.
struct AtWork {
    shared: Arc<Shared>,
    inputs: mpsc::Sender<serving::Input>,
    ending: CancellationToken,
}

impl Running {
    pub(crate) fn new(ground: Ground) -> (Self, watch::Receiver<Origins>) {
        let (known, seen) = watch::channel(Origins::new());
        let libraries = watch::channel(BTreeMap::new()).0;
        (Self { ground, known, libraries, at_work: BTreeMap::new(), fetching: BTreeMap::new() }, seen)
    }

    /// Runs until the inputs end.
    pub(crate) async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        spool::clear(&self.ground.spool);
        let ending = self.ground.ending.clone();
        // The contents have a sender of these inputs, and the origins one to the contents: neither ends by the other.
        while let Some(Some(input)) = ending.run_until_cancelled(inputs.recv()).await {
            match input {
                Input::Settings(origins, libraries) => {
                    self.libraries.send_replace(libraries);
                    self.set_origins(origins).await;
                }
                Input::Fetching(fetching) => {
                    self.fetching.insert(fetching.manifest.id(), fetching.clone());
                    self.to_all(|| serving::Input::Fetching(fetching.clone())).await;
                }
                Input::Unknown { library, content, wanted } => {
                    self.to_all(|| serving::Input::Unknown { library, content, wanted: wanted.clone() })
                        .await;
                }
                Input::Left(content) => {
                    self.fetching.remove(&content);
                    self.to_all(|| serving::Input::Left(content)).await;
                }
            }
        }
        for (_, at_work) in std::mem::take(&mut self.at_work) {
            at_work.ending.cancel();
        }
    }

    async fn set_origins(&mut self, origins: Vec<OriginSettings>) {
        let stays = |url: &OriginUrl, at_work: &AtWork| {
            origins.iter().any(|origin| origin.url == *url && at_work.shared.is_as(origin))
        };
        self.at_work.retain(|url, at_work| {
            let stays = stays(url, at_work);
            if !stays {
                at_work.ending.cancel();
            }
            stays
        });
        for settings in origins.into_iter().take(ORIGINS_MAX) {
            if !self.at_work.contains_key(&settings.url) {
                self.begin(settings).await;
            }
        }
        let known = self.at_work.iter().map(|(url, at_work)| (url.clone(), Arc::clone(&at_work.shared)));
        self.known.send_replace(known.collect());
    }

    async fn begin(&mut self, settings: OriginSettings) {
        let url = settings.url.clone();
        let ending = self.ground.ending.child_token();
        let shared = match Shared::new(settings, ending.clone()) {
            Ok(shared) => Arc::new(shared),
            Err(error) => {
                tracing::warn!(origin = url.as_str(), %error, "an origin cannot be used");
                return;
            }
        };
        let (inputs, queue) = mpsc::channel(ORIGIN_INPUTS_WAITING_MAX);
        let polling =
            polling::Polling::new(Arc::clone(&shared), self.ground.clone(), self.libraries.subscribe());
        let serving =
            serving::Serving::new(Arc::clone(&shared), self.ground.clone(), self.libraries.subscribe());
        self.ground.tasks.spawn(until(ending.clone(), polling.run()));
        self.ground.tasks.spawn(serving.run(queue, ending.clone()));
        for fetching in self.fetching.values() {
            let _ = inputs.send(serving::Input::Fetching(fetching.clone())).await;
        }
        self.at_work.insert(url, AtWork { shared, inputs, ending });
    }

    async fn to_all(&self, input: impl Fn() -> serving::Input) {
        for at_work in self.at_work.values() {
            // One that has ended needs nothing more.
            let _ = at_work.inputs.send(input()).await;
        }
    }
}

async fn until(ending: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = ending.cancelled() => {}
    }
}
