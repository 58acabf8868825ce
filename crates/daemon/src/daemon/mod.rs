//! The daemon itself: ties what there is together in one loop. Invariant: one daemon has a folder; what is wrong in one of its files changes
//! nothing, and is told until it is mended.
//!
//! `preparing` takes the folder, `starting` starts all parts, and the loop works on the `Desk`: `libraries` has those that run, `dialing` which peers are
//! dialed, `told` what peers told, `seen` when they were linked last, `limiting` which limits hold now, `traffic` what came and went. Absent here: the answers to commands (`answering`).

mod dialing;
pub(crate) mod libraries;
mod limiting;
mod origins;
pub(crate) mod preparing;
mod seen;
mod starting;
mod told;
mod traffic;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use swarm_core::base::{ContentId, NodeId};
use swarm_core::manifest::{Address, Source};
use swarm_daemon_files::{DaemonFolder, Reloaded};
use swarm_library::wire::ListedPeer;
use swarm_library::{Guid, LibraryKey, Locks};
use swarm_link::Endpoint;
use swarm_node::{Node, NodeSnapshot};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::asking::{Asker, Call};
use crate::clock;
use crate::contents::{self, Lacking};
use crate::control::ControlSocket;
use crate::exchange::{self, Dialed, PeerState, Target};
use crate::library::{self, LibraryHandle, Outbox, Output as LibraryOutput};
use crate::page::Pages;
use crate::proof::Passwords;
use crate::protocol::ProposedUser;
use crate::sentence::Sentence;
use crate::settings::Settings;
use libraries::Running;
use preparing::{hash_passwords, tell};
use seen::Seen;
use starting::{Started, start};
use traffic::Traffic;

/// A daemon that is ready to run.
pub struct Daemon {
    folder: DaemonFolder,
    state: PathBuf,
    _lock: File,
    endpoint: Endpoint,
    control: ControlSocket,
    asker: Asker,
    calls: mpsc::Receiver<Call>,
    passwords: Passwords,
}

/// How a daemon ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// In order.
    Done,
    /// At once, at a second signal.
    Forced,
}

/// What the loop works on.
pub(crate) struct Desk {
    pub(crate) folder: DaemonFolder,
    state: PathBuf,
    pub(crate) endpoint: Endpoint,
    pub(crate) node: Node,
    pub(crate) libraries: BTreeMap<LibraryKey, Running>,
    authors: BTreeSet<NodeId>,
    pub(crate) peers: watch::Receiver<Vec<PeerState>>,
    /// Why peers are not linked, by address.
    pub(crate) dial_troubles: BTreeMap<String, Sentence>,
    /// Peers that trusted peers told of: node, then who told, with the address.
    pub(crate) told: BTreeMap<NodeId, BTreeMap<NodeId, ListedPeer>>,
    /// Where finders saw peers of this node, the newest first.
    pub(crate) found: BTreeMap<NodeId, Vec<Address>>,
    pub(crate) proposed: Vec<ProposedUser>,
    pub(crate) locks: BTreeMap<LibraryKey, Locks>,
    /// Files that failed verification, as peers report them.
    pub(crate) flags: Vec<(NodeId, swarm_library::wire::Flag)>,
    pub(crate) began_at: Instant,
    pub(crate) traffic: Traffic,
    /// When peers were linked last.
    pub(crate) seen: Seen,
    /// Nodes that announce themselves on the local network.
    pub(crate) lan: watch::Receiver<Arc<[Source]>>,
    /// What no linked peer has of what libraries wait for.
    pub(crate) lacking: watch::Receiver<BTreeMap<LibraryKey, Lacking>>,
    /// Peers that speak HTTP(S) alone.
    pub(crate) origins: watch::Receiver<crate::origins::Origins>,
    pub(crate) pages: Pages,
    dialing: BTreeMap<Target, CancellationToken>,
    exchange: mpsc::Sender<exchange::Input>,
    contents: mpsc::Sender<contents::Input>,
    to_origins: watch::Sender<crate::origins::Settings>,
    outputs: Arc<Outbox>,
    dialed: mpsc::Sender<Dialed>,
    meeting_places: watch::Sender<Vec<ContentId>>,
    /// Of all libraries together, as they hold now: a rate of zero is a pause.
    pub(crate) limits: swarm_daemon_files::Limits,
    tasks: TaskTracker,
    ending: CancellationToken,
    /// Held until all has ended.
    _lock: File,
}

impl Daemon {
    /// Runs until `stop` is ready.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Started { mut desk, mut queues, node_task } = start(self);
        desk.apply().await;
        tokio::pin!(stop);
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(link) = queues.links.recv() => desk.to_exchange(exchange::Input::Up { link, dialed: false }).await,
                Some(output) = queues.exchange.recv() => desk.on_exchange(output),
                outputs = queues.libraries.next() => desk.on_library(outputs).await,
                Some(dialed) = queues.dialed.recv() => desk.on_dialed(dialed).await,
                Some(found) = queues.found.recv() => desk.on_found(&found),
                Some(call) = queues.calls.recv() => desk.on_call(call).await,
                _ = look.tick() => desk.look().await,
            }
        }
        desk.stop(node_task).await;
    }
}

impl Desk {
    /// Makes everything as the files say now.
    async fn apply(&mut self) {
        self.apply_limits().await;
        let settings = Settings::of(&self.folder, self.endpoint.node_id());
        let Settings { libraries, access, authors, .. } = settings;
        self.found.retain(|node, _| access.peers.contains_key(node));
        self.authors.clone_from(&authors);
        let gone: Vec<LibraryKey> =
            self.libraries.keys().filter(|key| !libraries.contains_key(key)).copied().collect();
        for key in gone {
            self.end_library(key).await;
        }
        for (key, settings) in libraries {
            self.apply_library(key, settings).await;
        }
        let handles: BTreeMap<LibraryKey, LibraryHandle> = self.handles();
        let guids = self.libraries.values().map(|running| &running.settings().guid);
        self.meeting_places.send_replace(guids.map(LibraryKey::rendezvous).collect());
        let known = self.libraries.keys().copied().collect();
        self.to_contents(contents::Input::Libraries(handles.clone(), known)).await;
        self.to_exchange(exchange::Input::Access(Box::new(access))).await;
        self.to_exchange(exchange::Input::Libraries(handles)).await;
        self.set_origins();
        self.say_own_list().await;
        self.dial(self.all_targets());
        self.pages.follow(self.folder.config().metrics);
    }

    /// Looks whether files changed, and whether a library that stands can work now.
    async fn look(&mut self) {
        if self.folder.changed() {
            let reloaded = self.folder.reload();
            self.on_reloaded(reloaded).await;
        }
        let waiting: Vec<LibraryKey> = self
            .libraries
            .iter()
            .filter(|(_, running)| matches!(running, Running::Stands { tried_at, .. } if tried_at.elapsed() >= RETRY_INTERVAL))
            .map(|(key, _)| *key)
            .collect();
        if !waiting.is_empty() || self.are_other_limits_due() {
            self.apply().await;
        }
        self.pages.look();
        self.pin_origins().await;
        if self.traffic.is_old() {
            self.look_at_traffic().await;
        }
        let linked: Vec<NodeId> = self.peers.borrow().iter().map(|state| state.node).collect();
        self.see_peers(&linked);
    }

    /// Remembers who is linked now.
    fn see_peers(&mut self, linked: &[NodeId]) {
        let known: Vec<NodeId> = self.folder.peers().iter().filter_map(|peer| peer.node).collect();
        self.seen.look(&known, linked, clock::now_ms());
    }

    /// Takes the bytes that came and went until now; the rates are those of an interval.
    pub(crate) async fn look_at_traffic(&mut self) {
        let snapshot = self.node.snapshot().await;
        self.traffic.take(snapshot);
    }

    /// Takes over what a reading of the files brought. An edit reads them all, too: what somebody else wrote meanwhile comes with it, and is told
    /// by no later look.
    async fn on_reloaded(&mut self, reloaded: Reloaded) {
        tell(&reloaded);
        if !reloaded.changed.is_empty() {
            let names: Vec<String> = reloaded.changed.iter().map(ToString::to_string).collect();
            tracing::info!(files = names.join(" "), "taken over");
            hash_passwords(&mut self.folder);
            self.apply().await;
        }
    }

    async fn on_library(&mut self, outputs: Vec<LibraryOutput>) {
        for output in outputs {
            match output {
                LibraryOutput::Wanted(library, wanted, taken) => {
                    self.to_contents(contents::Input::Wanted(library, wanted, taken)).await;
                }
                LibraryOutput::Mirror(library, contents, taken) => {
                    self.to_contents(contents::Input::Mirror(library, contents, taken)).await;
                }
                LibraryOutput::Changed(library) => self.to_exchange(exchange::Input::Changed(library)).await,
                LibraryOutput::WantsNothing(library) => {
                    self.to_contents(contents::Input::WantsNothing(library)).await;
                }
                LibraryOutput::NeedsTarget(library) => self.make_target(library).await,
            }
        }
    }

    /// The parts of a daemon take what they are told for as long as they live.
    pub(crate) async fn to_exchange(&self, input: exchange::Input) {
        let _ = self.exchange.send(input).await;
    }

    async fn to_contents(&self, input: contents::Input) {
        let _ = self.contents.send(input).await;
    }

    pub(crate) fn contents(&self) -> &mpsc::Sender<contents::Input> {
        &self.contents
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    async fn on_call(&mut self, call: Call) {
        crate::answering::answer(self, call).await;
    }

    async fn stop(mut self, node_task: JoinHandle<NodeSnapshot>) {
        self.see_peers(&[]);
        let Self { libraries, node, ending, tasks, contents, to_origins, exchange, .. } = self;
        let mut workers = Vec::new();
        for running in libraries.into_values() {
            if let Running::Works { handle, end, .. } = running {
                handle.stop.store(true, Ordering::Relaxed);
                workers.push(end);
            }
        }
        ending.cancel();
        drop((contents, to_origins, exchange));
        let orderly = async {
            node.stop().await;
            drop(node);
            // A node that panicked has said so.
            let _ = node_task.await;
            for worker in workers {
                let _ = worker.await;
            }
            tasks.close();
            tasks.wait().await;
        };
        if tokio::time::timeout(STOP_TIMEOUT, orderly).await.is_err() {
            tracing::warn!("something did not end in time");
        }
    }
}

/// The name of this machine.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A daemon's state, below its folder.
pub(crate) const STATE_FOLDER: &str = ".swarm";
const LIBRARIES_FOLDER: &str = "libraries";
/// Whole files of origins, while they are used.
const SPOOL_FOLDER: &str = "origins";
const QUEUE: usize = 256;
/// How often files are looked at: an edit is to be noticed within a second.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the index of a library is, in the folder of a daemon: for commands that only read.
pub fn index_path(folder: &Path, guid: &str) -> PathBuf {
    folder.join(STATE_FOLDER).join(LIBRARIES_FOLDER).join(guid).join(library::INDEX)
}

/// A GUID for a new library: 128 bits of chance.
pub fn new_guid() -> Option<Guid> {
    let mut bytes = [0; 16];
    let identity = swarm_link::Identity::ephemeral().ok()?;
    bytes.copy_from_slice(&identity.node_id().as_bytes()[..16]);
    Guid::new(&format!("{:032x}", u128::from_be_bytes(bytes))).ok()
}
